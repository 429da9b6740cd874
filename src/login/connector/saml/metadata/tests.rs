//! Tests of the description of one identity provider.

use super::*;

const KEY: &str = include_str!("../../kit/xml_signature/tests/xmlsec1.b64");

fn key(attributes: &str) -> String {
    format!(
        "<md:KeyDescriptor {attributes}><ds:KeyInfo xmlns:ds='http://www.w3.org/2000/09/xmldsig#'>\
         <ds:X509Data><ds:X509Certificate>{KEY}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>\
         </md:KeyDescriptor>"
    )
}

fn service(name: &str, binding: &str, location: &str) -> String {
    format!("<md:{name} Binding='{binding}' Location='{location}'/>")
}

fn role(attributes: &str, content: &str) -> String {
    format!(
        "<md:IDPSSODescriptor {attributes} protocolSupportEnumeration='urn:x {PROTOCOL}'>{content}\
         </md:IDPSSODescriptor>"
    )
}

fn sign_on() -> String {
    service(
        "SingleSignOnService",
        REDIRECT_BINDING,
        "https://idp.example/sso",
    )
}

fn entity(id: &str, attributes: &str, roles: &str) -> String {
    format!(
        "<md:EntityDescriptor xmlns:md='{METADATA}' entityID='{id}' {attributes}>{roles}\
         </md:EntityDescriptor>"
    )
}

fn good(id: &str) -> String {
    entity(id, "", &role("", &format!("{}{}", key(""), sign_on())))
}

fn list(attributes: &str, content: &str) -> String {
    format!(
        "<md:EntitiesDescriptor xmlns:md='{METADATA}' {attributes}>{content}</md:EntitiesDescriptor>"
    )
}

const NOW: Timestamp = Timestamp::from_unix_s(1_800_000_000);

fn read(document: &str, wanted: Option<&str>) -> Result<IdpMetadata, InvalidMetadata> {
    let rules = MetadataRules {
        entity_id: wanted.map(str::to_owned),
        signed_by: None,
        allow_sha1: false,
    };
    IdpMetadata::read(document.as_bytes(), &rules, NOW)
}

fn error(document: &str, wanted: Option<&str>) -> String {
    read(document, wanted).unwrap_err().to_string()
}

#[test]
fn keys_for_encryption_alone_verify_nothing() {
    let of = |keys: &str| entity("a", "", &role("", &format!("{keys}{}", sign_on())));
    assert_eq!(read(&of(&key("")), None).unwrap().signing_keys.len(), 1);
    let signing = key("use='signing'");
    assert_eq!(read(&of(&signing), None).unwrap().signing_keys.len(), 1);
    // The same key twice.
    let twice = format!("{signing}{}", key(""));
    assert_eq!(read(&of(&twice), None).unwrap().signing_keys.len(), 1);
    assert!(error(&of(&key("use='encryption'")), None).contains("no certificate"));
    assert!(error(&of(""), None).contains("no certificate"));
}

#[test]
fn one_of_several_entities_must_be_named() {
    let service = entity("sp", "", "<md:SPSSODescriptor/>");
    let two = list(
        "",
        &format!("{}{service}{}", good("a"), list("", &good("b"))),
    );
    assert!(error(&two, None).contains("describes 2"));
    assert_eq!(read(&two, Some("b")).unwrap().entity_id, "b");
    assert!(error(&two, Some("sp")).contains("named sp"));
    let one = list("", &format!("{}{service}", good("a")));
    assert_eq!(read(&one, None).unwrap().entity_id, "a");
    let repeated = list("", &format!("{}{}", good("a"), good("a")));
    assert!(error(&repeated, Some("a")).contains("twice"));
    assert!(error(&good("a"), Some("b")).contains("named b"));
    assert!(error("<x/>", None).contains("not SAML metadata"));
}

#[test]
fn the_earliest_end_and_the_shortest_period_count() {
    let role = role(
        "cacheDuration='PT2H' validUntil='2030-01-01T00:00:00Z'",
        &format!("{}{}", key(""), sign_on()),
    );
    let entity = entity("a", "validUntil='2029-01-01T00:00:00Z'", &role);
    let document = list("cacheDuration='PT1H'", &entity);
    let metadata = read(&document, None).unwrap();
    assert_eq!(metadata.valid_until, xml::timestamp("2029-01-01T00:00:00Z"));
    assert_eq!(metadata.cache_duration, Some(Duration::from_secs(3_600)));
    let past = document.replace("2029", "2020");
    assert!(error(&past, None).contains("has passed"));
    let unreadable = document.replace("2029-01-01", "soon");
    assert!(error(&unreadable, None).contains("validUntil"));
}

#[test]
fn only_web_addresses_of_known_bindings_are_used() {
    let with = |services: &str| entity("a", "", &role("", &format!("{}{services}", key(""))));
    let script = service(
        "SingleSignOnService",
        REDIRECT_BINDING,
        "javascript:alert(1)",
    );
    let soap = service(
        "SingleSignOnService",
        "urn:oasis:names:tc:SAML:2.0:bindings:SOAP",
        "https://a",
    );
    assert!(error(&with(&format!("{script}{soap}")), None).contains("SingleSignOnService"));
    let answers = sign_on().replace(
        "SingleSignOnService ",
        "SingleLogoutService ResponseLocation='https://idp.example/done' ",
    );
    let metadata = read(&with(&format!("{script}{}{answers}", sign_on())), None).unwrap();
    let url = |text: &str| Url::parse(text).unwrap();
    let endpoint = metadata.sign_on.redirect.unwrap();
    assert_eq!(endpoint.location, url("https://idp.example/sso"));
    assert_eq!(endpoint.answers, endpoint.location);
    let logout = metadata.logout.redirect.unwrap();
    assert_eq!(logout.answers, url("https://idp.example/done"));
    assert_eq!((metadata.sign_on.post, metadata.logout.post), (None, None));
}
