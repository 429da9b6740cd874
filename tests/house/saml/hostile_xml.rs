//! Documents that two XML readers could understand differently, or that are work without an end.

use menshen::face::page::Cause;

use super::idp::{ASSERTION_ONLY, BOTH, Idp, RESPONSE_ONLY};
use super::response::{EMAIL, NameId};
use super::signer::{bent, element_text, honest};
use super::{
    Attempt, Person, SamlResponse, assert_refused, assert_signed_in, sign_in, start_menshen,
};

/// A change of the honest document, and the reason in the audit log.
type Change = (&'static str, fn(&str) -> String, &'static str);

const DOCUMENT_TYPE: &str = "document type";

fn with_document_type(document: &str, subset: &str) -> String {
    format!("<!DOCTYPE samlp:Response {subset}>{document}")
}

const DOCUMENT_TYPES: [Change; 6] = [
    (
        "a document type",
        |document| with_document_type(document, ""),
        DOCUMENT_TYPE,
    ),
    (
        "an external subset",
        |document| with_document_type(document, "SYSTEM \"http://127.0.0.1:1/x.dtd\""),
        DOCUMENT_TYPE,
    ),
    (
        "an external entity",
        |document| {
            let bent = bent(document, ">p-zhangsan<", ">&x;<");
            with_document_type(&bent, "[<!ENTITY x SYSTEM \"file:///etc/passwd\">]")
        },
        DOCUMENT_TYPE,
    ),
    (
        "an entity with a name",
        |document| {
            let bent = bent(document, ">p-zhangsan<", ">&x;<");
            with_document_type(&bent, "[<!ENTITY x \"p-zhangsan\">]")
        },
        DOCUMENT_TYPE,
    ),
    (
        "a billion laughs",
        |document| {
            let mut subset = "[<!ENTITY a0 \"ha\">".to_owned();
            for level in 1..10 {
                let inside = format!("&a{};", level - 1).repeat(10);
                subset.push_str(&format!("<!ENTITY a{level} \"{inside}\">"));
            }
            let bent = bent(document, ">p-zhangsan<", ">&a9;<");
            with_document_type(&bent, &format!("{subset}]"))
        },
        DOCUMENT_TYPE,
    ),
    (
        "an attribute that becomes an ID",
        |document| with_document_type(document, "[<!ATTLIST samlp:Status Id ID #IMPLIED>]"),
        DOCUMENT_TYPE,
    ),
];

const MALFORMED: [Change; 12] = [
    (
        "an undeclared entity",
        |it| bent(it, ">p-zhangsan<", ">&x;<"),
        "the document has an entity, which is not allowed",
    ),
    (
        "a processing instruction",
        |it| bent(it, "<samlp:Status>", "<?x y?><samlp:Status>"),
        "processing instruction",
    ),
    (
        "a stylesheet",
        |it| format!("<?xml-stylesheet href=\"x\"?>{it}"),
        "processing instruction",
    ),
    (
        "xml:id",
        |it| bent(it, "<samlp:Status>", "<samlp:Status xml:id=\"_x\">"),
        "xml:id",
    ),
    (
        "an attribute twice",
        |it| bent(it, " Version=\"2.0\"", " Version=\"2.0\" Version=\"2.0\""),
        "the same attribute twice",
    ),
    (
        "an undeclared prefix",
        |it| bent(it, "<samlp:Status>", "<x:y></x:y><samlp:Status>"),
        "prefix that it does not declare",
    ),
    (
        "an element that does not end",
        |it| bent(it, "</samlp:Response>", ""),
        "not well-formed",
    ),
    (
        "text after the end",
        |it| format!("{it}x"),
        "not well-formed",
    ),
    ("two documents", |it| format!("{it}{it}"), "not well-formed"),
    (
        "another encoding",
        |it| format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{it}"),
        "the document is not UTF-8",
    ),
    (
        "too deep",
        |it| {
            let (start, end) = ("<x>".repeat(200), "</x>".repeat(200));
            bent(it, "<samlp:Status>", &format!("{start}{end}<samlp:Status>"))
        },
        "exceeds the limit",
    ),
    (
        "too many elements",
        |it| {
            let many = "<x/>".repeat(20_000);
            bent(it, "<samlp:Status>", &format!("{many}<samlp:Status>"))
        },
        "exceeds the limit",
    ),
];

async fn assert_all_refused(changes: &[Change]) {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for signed in [ASSERTION_ONLY, RESPONSE_ONLY] {
        idp.state().signed = signed;
        for (what, change, reason) in changes {
            let mut attempt = Attempt::begin(&menshen, &idp).await;
            let document = idp.write(&idp.response_to(&attempt.request));
            let page = attempt.answer(&change(&document)).await;
            assert_refused(
                &menshen,
                &page,
                Cause::InvalidProviderResponse,
                reason,
                what,
            );
            assert!(!super::is_signed_in(&mut attempt.browser).await, "{what}");
        }
        let (_, page) = sign_in(&menshen, &idp).await;
        assert_signed_in(&page, "zhangsan", "the unchanged document");
    }
}

#[tokio::test]
async fn a_document_type_is_refused_before_anything_is_read() {
    assert_all_refused(&DOCUMENT_TYPES).await;
}

#[tokio::test]
async fn a_malformed_or_oversized_document_is_refused() {
    assert_all_refused(&MALFORMED).await;
}

#[tokio::test]
async fn an_id_that_two_elements_have_is_refused_however_it_is_written() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for attribute in ["ID", "Id", "id", "saml:ID"] {
        let mut attempt = Attempt::begin(&menshen, &idp).await;
        let response = idp.response_to(&attempt.request);
        let document = idp.write(&response);
        let namespace = format!("xmlns:saml=\"{}\"", super::ASSERTION_NAMESPACE);
        let status = format!(
            "<samlp:Status {namespace} {attribute}=\"{}\">",
            response.assertion.id
        );
        let page = attempt
            .answer(&bent(&document, "<samlp:Status>", &status))
            .await;
        let reason = "two elements of the document have the same ID";
        let invalid = Cause::InvalidProviderResponse;
        assert_refused(&menshen, &page, invalid, reason, attribute);
    }
    assert_signed_in(&sign_in(&menshen, &idp).await.1, "zhangsan", "unique IDs");
}

/// Comments are not signed. A reader that stops at one would take an attacker's account
/// `admin@corp.example.evil.example` for that of the administrator.
#[tokio::test]
async fn a_comment_does_not_cut_a_name_short() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let whole = "admin@corp.example.evil.example";
    idp.state().person = Person {
        name_id: NameId {
            qualifiers: "",
            format: Some(EMAIL),
            xml: whole.to_owned(),
        },
        attributes: String::new(),
        ..Person::named("nobody")
    };
    for signed in [ASSERTION_ONLY, RESPONSE_ONLY, BOTH] {
        idp.state().signed = signed;
        for inside in ["<!-- -->", "<![CDATA[]]>", "<!---->"] {
            let mut attempt = Attempt::begin(&menshen, &idp).await;
            let document = idp.write(&idp.response_to(&attempt.request));
            let cut = format!("admin@corp.example{inside}.evil.example");
            let page = attempt.answer(&bent(&document, whole, &cut)).await;
            assert_signed_in(&page, whole, inside);
            assert_eq!(menshen.audit().pop().unwrap()["subject"], whole);
        }
        // An element inside is not in what was signed.
        let mut attempt = Attempt::begin(&menshen, &idp).await;
        let document = idp.write(&idp.response_to(&attempt.request));
        let cut = "admin@corp.example<x></x>.evil.example";
        let page = attempt.answer(&bent(&document, whole, cut)).await;
        let reason = "the element was altered after it was signed";
        let invalid = Cause::InvalidProviderResponse;
        assert_refused(&menshen, &page, invalid, reason, "an element");
    }
    // Nor does one that the identity provider itself signed.
    idp.state().person.name_id.xml = "admin@corp.example<x></x>.evil.example".to_owned();
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_ne!(page.answer.status, 200, "{}", page.answer.text());
}

#[tokio::test]
async fn white_space_and_prefixes_of_others_change_nothing() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let changes: [fn(&str) -> String; 4] = [
        |it| format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{it}\n"),
        |it| format!("<!-- a comment -->{it}<!-- another -->"),
        |it| {
            bent(
                it,
                "<saml:Assertion ",
                "<saml:Assertion xmlns:unused=\"urn:x\"  ",
            )
        },
        |it| bent(it, "<saml:Conditions ", "<saml:Conditions\n\t"),
    ];
    for signed in [ASSERTION_ONLY, RESPONSE_ONLY] {
        idp.state().signed = signed;
        for change in changes {
            let mut attempt = Attempt::begin(&menshen, &idp).await;
            let document = change(&idp.write(&idp.response_to(&attempt.request)));
            let page = attempt.answer(&document).await;
            assert_signed_in(&page, "zhangsan", &document);
        }
    }
}

#[tokio::test]
async fn another_document_than_a_response_is_refused() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    type Make = fn(&SamlResponse) -> String;
    let rows: [(&str, Make, &str); 5] = [
        (
            "an assertion",
            |response| honest().sign(&response.assertion.xml(), &response.assertion.id),
            "it is not a Response of SAML 2.0",
        ),
        (
            "a response of another namespace",
            |response| {
                let document = response.xml_with(&response.assertion.xml());
                document.replace("2.0:protocol", "1.0:protocol")
            },
            "it is not a Response of SAML 2.0",
        ),
        (
            "a logout response",
            |response| {
                let document = response.xml_with("");
                let document = document.replace("samlp:Response", "samlp:LogoutResponse");
                honest().sign(&document, &response.id)
            },
            "it is not a Response of SAML 2.0",
        ),
        (
            "a response without an assertion",
            |response| honest().sign(&response.xml_with(""), &response.id),
            "the response has no assertion",
        ),
        (
            "an assertion of another namespace",
            |response| {
                let assertion = response
                    .assertion
                    .xml()
                    .replace("2.0:assertion", "1.0:assertion");
                honest().sign(&response.xml_with(&assertion), &response.id)
            },
            "the response has no assertion",
        ),
    ];
    for (what, make, reason) in rows {
        let mut attempt = Attempt::begin(&menshen, &idp).await;
        let response = idp.response_to(&attempt.request);
        let page = attempt.answer(&make(&response)).await;
        assert_refused(
            &menshen,
            &page,
            Cause::InvalidProviderResponse,
            reason,
            what,
        );
    }
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    let response = idp.response_to(&attempt.request);
    let document = idp.write(&response);
    assert!(element_text(&document, &response.assertion.id).starts_with("<saml:Assertion"));
    let page = attempt.answer(&document).await;
    assert_signed_in(&page, "zhangsan", "a response");
}
