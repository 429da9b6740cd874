//! The metadata of menshen, which the administrator of the identity provider imports.

use std::collections::BTreeSet;

use menshen::login::connector::kit::xml::Element;
use menshen::login::connector::kit::xml_encryption::ENCRYPTION_METHODS;

use super::idp::Idp;
use super::keys;
use super::metadata_document::{METADATA, POST, REDIRECT};
use super::signer::SIGNATURE;
use super::{ACS, ENTITY_ID, HTTPS, LOGOUT, XML_LIMITS, new_browser, setup_with, start_menshen};
use crate::setup::Menshen;

async fn own_metadata(menshen: &Menshen) -> Element {
    let mut browser = new_browser(menshen);
    let answer = browser.send("GET", ENTITY_ID, &[], b"").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("application/samlmetadata+xml"), "{kind}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    Element::read(&answer.body, XML_LIMITS).unwrap()
}

fn descriptor(metadata: &Element) -> &Element {
    assert!(metadata.is(METADATA, "EntityDescriptor"));
    let descriptor = metadata.only_child(METADATA, "SPSSODescriptor").unwrap();
    descriptor.expect("a service provider")
}

/// The bindings and addresses of services with this name.
fn services(descriptor: &Element, name: &str) -> Vec<(String, String)> {
    let attribute = |service: &Element, name| service.attribute(name).unwrap().to_owned();
    let services = descriptor.children_named(METADATA, name);
    services
        .map(|service| {
            (
                attribute(service, "Binding"),
                attribute(service, "Location"),
            )
        })
        .collect()
}

fn certificates(descriptor: &Element) -> BTreeSet<(String, String)> {
    let keys = descriptor.children_named(METADATA, "KeyDescriptor");
    keys.map(|key| {
        let info = key.only_child(SIGNATURE, "KeyInfo").unwrap().unwrap();
        let data = info.only_child(SIGNATURE, "X509Data").unwrap().unwrap();
        let certificate = data
            .only_child(SIGNATURE, "X509Certificate")
            .unwrap()
            .unwrap();
        let key_use = key.attribute("use").unwrap_or("both").to_owned();
        (key_use, certificate.text().split_whitespace().collect())
    })
    .collect()
}

fn encryption_methods(descriptor: &Element) -> Vec<String> {
    let keys = descriptor.children_named(METADATA, "KeyDescriptor");
    keys.flat_map(|key| key.children_named(METADATA, "EncryptionMethod"))
        .map(|method| method.attribute("Algorithm").unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn our_metadata_names_our_services_keys_and_what_we_demand() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let metadata = own_metadata(&menshen).await;
    assert_eq!(metadata.attribute("entityID"), Some(ENTITY_ID));
    let descriptor = descriptor(&metadata);
    assert_eq!(descriptor.attribute("AuthnRequestsSigned"), Some("true"));
    assert_eq!(
        descriptor.attribute("protocolSupportEnumeration"),
        Some("urn:oasis:names:tc:SAML:2.0:protocol")
    );
    assert_eq!(
        services(descriptor, "AssertionConsumerService"),
        [(POST.to_owned(), ACS.to_owned())]
    );
    let logout: BTreeSet<_> = services(descriptor, "SingleLogoutService")
        .into_iter()
        .collect();
    let expected = [REDIRECT, POST].map(|binding| (binding.to_owned(), LOGOUT.to_owned()));
    assert_eq!(logout, BTreeSet::from(expected));
    let own = keys::own().certificate_base64();
    let certificates = certificates(descriptor);
    let uses = ["signing", "encryption"].map(|key_use| (key_use.to_owned(), own.clone()));
    assert!(
        certificates == BTreeSet::from(uses)
            || certificates == BTreeSet::from([("both".to_owned(), own)]),
        "{certificates:?}"
    );
    let methods = encryption_methods(descriptor);
    assert!(!methods.is_empty());
    for method in &methods {
        assert!(ENCRYPTION_METHODS.contains(&method.as_str()), "{method}");
    }
}

#[tokio::test]
async fn what_must_be_signed_is_in_our_metadata() {
    let idp = Idp::start().await;
    for (lines, wants) in [
        ("signed = 'assertion'", "true"),
        ("signed = 'both'", "true"),
        ("signed = 'response'", "false"),
    ] {
        let menshen = start_menshen(&idp, lines).await;
        let metadata = own_metadata(&menshen).await;
        let sent = descriptor(&metadata).attribute("WantAssertionsSigned");
        assert_eq!(sent.unwrap_or("false"), wants, "{lines}");
    }
}

#[tokio::test]
async fn without_a_key_our_metadata_has_no_key_and_no_logout() {
    let idp = Idp::start().await;
    let tables = idp.connector_toml_without_key("entity_id = 'urn:corp:menshen'");
    let menshen = setup_with(&idp, &tables).start().await;
    let metadata = own_metadata(&menshen).await;
    assert_eq!(metadata.attribute("entityID"), Some("urn:corp:menshen"));
    let descriptor = descriptor(&metadata);
    let signed = descriptor.attribute("AuthnRequestsSigned");
    assert_eq!(signed.unwrap_or("false"), "false");
    assert_eq!(certificates(descriptor), BTreeSet::new());
    assert_eq!(services(descriptor, "SingleLogoutService"), []);
    assert_eq!(services(descriptor, "AssertionConsumerService").len(), 1);
    let answer = new_browser(&menshen).visit(LOGOUT).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn our_metadata_needs_no_identity_provider_and_no_session() {
    let idp = Idp::start().await;
    idp.state().down = true;
    let menshen = start_menshen(&idp, "").await;
    own_metadata(&menshen).await;
    for (method, status) in [("HEAD", 200), ("POST", 405), ("PUT", 405)] {
        let mut browser = new_browser(&menshen);
        let answer = browser.send(method, ENTITY_ID, &[], b"").await;
        assert_eq!(answer.status, status, "{method}");
        if status == 405 {
            assert!(answer.header("allow").unwrap().contains("GET"), "{method}");
        }
    }
    let other = format!("{HTTPS}/.menshen/saml/nobody/metadata");
    assert_eq!(new_browser(&menshen).visit(&other).await.status, 404);
}
