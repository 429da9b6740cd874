//! The login requests of menshen.

use std::collections::BTreeSet;

use menshen::login::connector::kit::xml::Element;
use menshen::login::connector::kit::xml_signature::{
    SignaturePolicy, SignatureRefusal, verify, verify_query,
};

use super::idp::{Binding, Idp};
use super::keys;
use super::metadata_document::{POST, REDIRECT};
use super::response::{ASSERTION, PERSISTENT, PROTOCOL};
use super::{ACS, Attempt, ENTITY_ID, assert_signed_in, sign_in, start_menshen};
use crate::connector_features::flow_id_in;

const POLICY: SignaturePolicy = SignaturePolicy {
    allow_sha1: false,
    canonical_bytes_max: 1 << 20,
};

fn text_of(root: &Element, namespace: &str, name: &str) -> Option<String> {
    let child = root.only_child(namespace, name).unwrap();
    child.map(Element::text)
}

#[tokio::test]
async fn a_request_by_redirect_is_signed_and_names_our_service() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "redirect");
    let request = idp.last_login();
    assert_eq!(request.binding, Binding::Redirect);
    let signed = verify_query(&request.query, &[keys::own().verifying_key()], POLICY).unwrap();
    assert_eq!(signed.parameter, "SAMLRequest");
    assert_eq!(signed.relay_state, request.relay_state);
    let stranger = [keys::stranger().verifying_key()];
    assert!(matches!(
        verify_query(&request.query, &stranger, POLICY),
        Err(SignatureRefusal::NoKeyVerifies)
    ));
    let root = request.root();
    assert!(root.is(PROTOCOL, "AuthnRequest"));
    assert_eq!(
        text_of(&root, ASSERTION, "Issuer").as_deref(),
        Some(ENTITY_ID)
    );
    for (name, value) in [
        ("Version", "2.0"),
        ("Destination", idp.url("/sso").as_str()),
        ("AssertionConsumerServiceURL", ACS),
        ("ProtocolBinding", POST),
        ("IssueInstant", "2027-01-15T08:00:00.000Z"),
    ] {
        let sent = root.attribute(name).unwrap_or_default();
        // The milliseconds are optional.
        assert_eq!(
            sent.replace("00Z", "00.000Z")
                .replace("00.000.000Z", "00.000Z"),
            value,
            "{name}"
        );
    }
    assert_eq!(root.attribute("ForceAuthn"), None);
    assert_eq!(root.attribute("IsPassive"), None);
    // Without `name_id_format` the identity provider chooses.
    let policy = root.only_child(PROTOCOL, "NameIDPolicy").unwrap();
    assert_eq!(policy.and_then(|policy| policy.attribute("Format")), None);
}

#[tokio::test]
async fn a_request_by_post_is_signed_inside() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "binding = 'post'").await;
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "post");
    let request = idp.last_login();
    assert_eq!(request.binding, Binding::Post);
    let root = request.root();
    let signed = verify(&root, &root, &[keys::own().verifying_key()], POLICY).unwrap();
    let service = signed.root().attribute("AssertionConsumerServiceURL");
    assert_eq!(service, Some(ACS));
    let stranger = [keys::stranger().verifying_key()];
    assert!(verify(&root, &root, &stranger, POLICY).is_err());
}

#[tokio::test]
async fn the_setting_asks_for_a_format_of_the_name_id() {
    let idp = Idp::start().await;
    let email = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress";
    for (value, format) in [
        ("persistent", PERSISTENT),
        ("email", email),
        ("urn:corp:number", "urn:corp:number"),
    ] {
        let menshen = start_menshen(&idp, &format!("name_id_format = '{value}'")).await;
        Attempt::begin(&menshen, &idp).await;
        let root = idp.last_login().root();
        let policy = root.only_child(PROTOCOL, "NameIDPolicy").unwrap().unwrap();
        assert_eq!(policy.attribute("Format"), Some(format), "{value}");
    }
}

#[tokio::test]
async fn each_request_has_its_own_id_and_a_relay_state_that_is_no_address() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let (mut ids, mut states) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..20 {
        let attempt = Attempt::begin(&menshen, &idp).await;
        let state = attempt.request.relay_state.clone().unwrap();
        assert!(state.len() <= 80, "{state}");
        assert!(!state.contains('/') && !state.contains("echo"), "{state}");
        let flow = flow_id_in(&state);
        let cookie = format!("__Host-menshen-flow-{flow}");
        let cookie = attempt.browser.cookie(&cookie).unwrap().clone();
        // The response is a cross-site POST.
        assert!(cookie.secure && cookie.same_site == "none", "{cookie:?}");
        let id = attempt.request.id;
        // An ID must not begin with a digit.
        let first = id.chars().next().unwrap();
        assert!(first == '_' || first.is_ascii_alphabetic(), "{id}");
        assert!(id.len() >= 21, "{id}");
        ids.insert(id);
        states.insert(state);
    }
    assert_eq!((ids.len(), states.len()), (20, 20));
}

#[tokio::test]
async fn an_address_of_the_identity_provider_may_have_a_query() {
    let idp = Idp::start().await;
    let url = idp.url("/sso");
    idp.state().metadata.sso_bindings = vec![REDIRECT];
    let document = idp.state().metadata.xml();
    let document = document.replace(
        &format!("\"{url}\""),
        &format!("\"{url}?tenant=a&amp;b=c\""),
    );
    idp.state().metadata_answer = Some((200, document));
    let menshen = start_menshen(&idp, "").await;
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "a query");
    let request = idp.last_login();
    assert!(
        request.query.starts_with("tenant=a&b=c&SAMLRequest="),
        "{}",
        request.query
    );
    let destination = format!("{url}?tenant=a&b=c");
    assert_eq!(request.attribute("Destination"), Some(destination));
    // Only our own parameters are signed.
    verify_query(&request.query, &[keys::own().verifying_key()], POLICY).unwrap();
}
