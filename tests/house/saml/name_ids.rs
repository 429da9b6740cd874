//! A NameID names a person in its format, for this service and by this identity provider. One of another kind with
//! the same value may be somebody else's.

use menshen::face::page::Cause;

use super::idp::Idp;
use super::response::{EMAIL, PERSISTENT, TRANSIENT, saml_attribute};
use super::{
    Edit, HarmlessEdit, SamlResponse, assert_edits_accepted, assert_edits_refused, assert_refused,
    sign_in, start_menshen,
};

const UNSPECIFIED: &str = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified";

fn name_id(response: &mut SamlResponse) -> &mut super::response::NameId {
    response.assertion.name_id.as_mut().unwrap()
}

/// The value of 张三 in other formats.
const OTHER_FORMATS: &[Edit] = &[
    (
        "an e-mail address",
        |response| name_id(response).format = Some(EMAIL),
        "the Format of the NameID is urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    ),
    (
        "an unspecified format",
        |response| name_id(response).format = Some(UNSPECIFIED),
        "the Format of the NameID is urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
    ),
    (
        "no format",
        |response| name_id(response).format = None,
        "the Format of the NameID is urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
    ),
    (
        "a transient one",
        |response| name_id(response).format = Some(TRANSIENT),
        "the Format of the NameID is urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    ),
    (
        "the format in capital letters",
        |response| {
            name_id(response).format = Some("URN:OASIS:NAMES:TC:SAML:2.0:NAMEID-FORMAT:PERSISTENT");
        },
        "the Format of the NameID is URN:OASIS",
    ),
];

const OF_OTHERS: &[Edit] = &[
    (
        "for another service",
        |response| name_id(response).qualifiers = " SPNameQualifier=\"https://other.example\"",
        "for another service or another identity provider",
    ),
    (
        "by another identity provider",
        |response| name_id(response).qualifiers = " NameQualifier=\"https://other.example\"",
        "for another service or another identity provider",
    ),
];

const OF_OURS: &[HarmlessEdit] = &[
    ("for us, by the identity provider", |response| {
        name_id(response).qualifiers = " NameQualifier=\"https://idp.example/metadata\" \
             SPNameQualifier=\"https://sso.test/.menshen/saml/idp/metadata\"";
    }),
    ("with empty qualifiers", |response| {
        name_id(response).qualifiers = " NameQualifier=\"\" SPNameQualifier=\"\"";
    }),
    ("a user name in a domain", |response| {
        let name_id = name_id(response);
        name_id.format = Some(UNSPECIFIED);
        name_id.qualifiers = " NameQualifier=\"CORP\"";
    }),
];

#[tokio::test]
async fn with_name_id_format_a_name_id_of_another_format_is_refused() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "name_id_format = 'persistent'").await;
    assert_edits_refused(&menshen, &idp, OTHER_FORMATS).await;
    // Also one that is not the subject, which an expression may read.
    let lines = "name_id_format = 'persistent'\nsubject = 'profile.name_id'";
    let menshen = start_menshen(&idp, lines).await;
    assert_edits_refused(&menshen, &idp, OTHER_FORMATS).await;
    // The person of the other format signs in where that one is set, and there only.
    idp.state().person.name_id.format = Some(EMAIL);
    let menshen = start_menshen(&idp, "name_id_format = 'email'").await;
    let persistent: &[Edit] = &[(
        "a persistent one",
        |response| name_id(response).format = Some(PERSISTENT),
        "the Format of the NameID is urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    )];
    assert_edits_refused(&menshen, &idp, persistent).await;
}

#[tokio::test]
async fn without_name_id_format_the_provider_chooses() {
    let idp = Idp::start().await;
    for lines in ["", "name_id_format = 'unspecified'"] {
        let menshen = start_menshen(&idp, lines).await;
        let edits: &[HarmlessEdit] = &[
            ("persistent", |_| {}),
            ("e-mail", |response| {
                name_id(response).format = Some(EMAIL);
            }),
            ("none", |response| name_id(response).format = None),
        ];
        assert_edits_accepted(&menshen, &idp, edits).await;
        // The account is the same, because the value is.
        let subjects = menshen
            .audit()
            .into_iter()
            .map(|line| line["subject"].clone());
        assert!(subjects.into_iter().all(|subject| subject == "p-zhangsan"));
    }
}

#[tokio::test]
async fn a_name_id_for_another_service_or_of_another_provider_is_refused() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    assert_edits_refused(&menshen, &idp, OF_OTHERS).await;
    assert_edits_accepted(&menshen, &idp, OF_OURS).await;
    // Whoever is identified by an attribute may have it.
    idp.state().person.attributes = saml_attribute("uid", None, &["zhangsan"]);
    let by_attribute = "subject = 'profile.attributes.uid[0]'";
    let menshen = start_menshen(&idp, by_attribute).await;
    let harmless: Vec<HarmlessEdit> = OF_OTHERS.iter().map(|edit| (edit.0, edit.1)).collect();
    assert_edits_accepted(&menshen, &idp, &harmless).await;
    let menshen = start_menshen(&idp, "name_id_format = 'persistent'").await;
    idp.state().edit = Some(|response| name_id(response).format = Some(EMAIL));
    let (_, page) = sign_in(&menshen, &idp).await;
    let reason = "not the one of `name_id_format`";
    let invalid = Cause::InvalidProviderResponse;
    assert_refused(&menshen, &page, invalid, reason, "an e-mail address");
}
