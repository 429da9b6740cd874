//! Signatures that are not those of the identity provider, or not of what they seem to be of.

use super::idp::{ASSERTION_ONLY, BOTH, Idp, RESPONSE_ONLY};
use super::response::SamlResponse;
use super::signer::{
    ENVELOPED, EXCLUSIVE, Signer, bent, element_text, honest, named_text, with_signature,
};
use super::{
    Attempt, Document, assert_documents_refused, assert_refused, assert_signed_in, keys,
    start_menshen,
};
use menshen::face::page::Cause;

const NO_KEY: &str = "no key of the source verifies the signature";
const ALTERED: &str = "the element was altered after it was signed";
const TRANSFORMS: &str =
    "the transforms are not enveloped-signature and exclusive canonicalization";
const FOREIGN: &str = "the signature refers to another element than the one that holds it";

/// The response whose assertion is signed in this way.
fn signed_by(response: &SamlResponse, signer: &Signer) -> String {
    let assertion = signer.sign(&response.assertion.xml(), &response.assertion.id);
    response.xml_with(&assertion)
}

fn stranger() -> Signer {
    Signer::with(keys::stranger())
}

const BY_OTHERS: [Document; 6] = [
    (
        "a key of somebody else",
        |_, response| signed_by(response, &stranger()),
        NO_KEY,
    ),
    (
        "with its certificate in the key information",
        |_, response| {
            let signer = Signer {
                key_info: keys::stranger().key_info(),
                ..stranger()
            };
            signed_by(response, &signer)
        },
        NO_KEY,
    ),
    (
        "with the certificate of the identity provider",
        |_, response| {
            let signer = Signer {
                key_info: keys::first().key_info(),
                ..stranger()
            };
            signed_by(response, &signer)
        },
        NO_KEY,
    ),
    (
        "our own key",
        |_, response| signed_by(response, &Signer::with(keys::own())),
        NO_KEY,
    ),
    (
        "a signature of the response by somebody else beside a good one",
        |_, response| {
            let document = signed_by(response, &honest());
            stranger().sign(&document, &response.id)
        },
        NO_KEY,
    ),
    (
        "a signature of the assertion by somebody else inside a good one",
        |_, response| {
            let document = signed_by(response, &stranger());
            honest().sign(&document, &response.id)
        },
        NO_KEY,
    ),
];

#[tokio::test]
async fn a_signature_by_somebody_else_is_refused() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    assert_documents_refused(&menshen, &idp, &BY_OTHERS).await;
    // What the signature says of keys is ignored, also when it is wrong.
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    let misleading = Signer {
        key_info: keys::stranger().key_info(),
        ..honest()
    };
    let document = signed_by(&idp.response_to(&attempt.request), &misleading);
    let page = attempt.answer(&document).await;
    assert_signed_in(&page, "zhangsan", "the key information of somebody else");
}

#[tokio::test]
async fn a_key_for_encryption_signs_nobody_in() {
    let idp = Idp::start().await;
    let good = idp.state().metadata.xml();
    let other = keys::stranger().key_info();
    let descriptor = format!("<md:KeyDescriptor use=\"encryption\">{other}</md:KeyDescriptor>");
    let start = "<md:KeyDescriptor use=\"signing\">";
    let document = bent(&good, start, &format!("{descriptor}{start}"));
    idp.state().metadata_answer = Some((200, document));
    let menshen = start_menshen(&idp, "").await;
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    let forged = signed_by(&idp.response_to(&attempt.request), &stranger());
    let page = attempt.answer(&forged).await;
    let invalid = Cause::InvalidProviderResponse;
    assert_refused(&menshen, &page, invalid, NO_KEY, "use=encryption");
    let (_, page) = super::sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "use=signing");
}

#[tokio::test]
async fn a_response_that_was_altered_after_it_was_signed_is_refused() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let changes: [(&str, &str); 7] = [
        (">p-zhangsan<", ">p-admin<"),
        (">zhangsan<", ">admin<"),
        ("Name=\"uid\"", "Name=\"mail\""),
        ("<saml:Conditions ", "<saml:Conditions x=\"1\" "),
        ("</saml:Subject>", "</saml:Subject> "),
        (
            "<saml:NameID",
            "<saml:NameID>p-admin</saml:NameID><saml:NameID",
        ),
        (
            "</saml:AttributeStatement>",
            "<x></x></saml:AttributeStatement>",
        ),
    ];
    for signed in [ASSERTION_ONLY, RESPONSE_ONLY, BOTH] {
        idp.state().signed = signed;
        for (from, to) in changes {
            let mut attempt = Attempt::begin(&menshen, &idp).await;
            let document = idp.write(&idp.response_to(&attempt.request));
            let page = attempt.answer(&bent(&document, from, to)).await;
            let invalid = Cause::InvalidProviderResponse;
            assert_refused(
                &menshen,
                &page,
                invalid,
                ALTERED,
                &format!("{signed:?} {to}"),
            );
        }
        let (_, page) = super::sign_in(&menshen, &idp).await;
        assert_signed_in(&page, "zhangsan", &format!("{signed:?}"));
    }
}

type Unusual = (&'static str, fn(&mut Signer, &SamlResponse), &'static str);

/// How a signature differs from what SAML prescribes. Each is made with the right key.
const UNUSUAL: [Unusual; 13] = [
    (
        "no reference",
        |signer, _| signer.reference = Some(String::new()),
        FOREIGN,
    ),
    (
        "a reference to the response",
        |signer, response| signer.reference = Some(format!("#{}", response.id)),
        FOREIGN,
    ),
    (
        "a reference to nothing",
        |signer, _| signer.reference = Some("#_nothing".to_owned()),
        FOREIGN,
    ),
    (
        "a reference by XPointer",
        |signer, response| {
            let id = &response.assertion.id;
            signer.reference = Some(format!("#xpointer(id('{id}'))"));
        },
        FOREIGN,
    ),
    (
        "a reference to a file",
        |signer, _| signer.reference = Some("file:///etc/passwd".to_owned()),
        FOREIGN,
    ),
    (
        "a second reference",
        |signer, _| {
            signer.more_references = "<ds:Reference URI=\"#_x\"><ds:Transforms></ds:Transforms>\
                <ds:DigestMethod Algorithm=\"x\"></ds:DigestMethod>\
                <ds:DigestValue></ds:DigestValue></ds:Reference>"
                .to_owned();
        },
        "the signature has several references",
    ),
    (
        "no transforms",
        |signer, _| signer.transforms.clear(),
        "the signature lacks Transform",
    ),
    (
        "only the first transform",
        |signer, _| signer.transforms.truncate(1),
        TRANSFORMS,
    ),
    (
        "the transforms the other way round",
        |signer, _| signer.transforms.reverse(),
        TRANSFORMS,
    ),
    (
        "a third transform",
        |signer, _| signer.transforms.push(EXCLUSIVE),
        TRANSFORMS,
    ),
    (
        "XSLT",
        |signer, _| {
            signer.transforms = vec![ENVELOPED, "http://www.w3.org/TR/1999/REC-xslt-19991116"]
        },
        TRANSFORMS,
    ),
    (
        "XPath",
        |signer, _| {
            signer.transforms = vec!["http://www.w3.org/TR/1999/REC-xpath-19991116", EXCLUSIVE];
        },
        TRANSFORMS,
    ),
    (
        "canonicalization with comments",
        |signer, _| signer.canonicalization = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
        "the canonicalization is not the exclusive one without comments",
    ),
];

#[tokio::test]
async fn a_signature_in_another_form_is_refused() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for (what, change, reason) in UNUSUAL {
        let mut attempt = Attempt::begin(&menshen, &idp).await;
        let response = idp.response_to(&attempt.request);
        let mut signer = honest();
        change(&mut signer, &response);
        let page = attempt.answer(&signed_by(&response, &signer)).await;
        assert_refused(
            &menshen,
            &page,
            Cause::InvalidProviderResponse,
            reason,
            what,
        );
    }
    let (_, page) = super::sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "the prescribed form");
}

const MISPLACED: [Document; 5] = [
    (
        "two signatures",
        |_, response| {
            let id = &response.assertion.id;
            let assertion = response.assertion.xml();
            let signature = honest().signature(&assertion, id);
            let twice = with_signature(&assertion, &format!("{signature}{signature}"));
            response.xml_with(&twice)
        },
        "the element has several signatures",
    ),
    (
        "the signature of the assertion in the response",
        |_, response| {
            let document = signed_by(response, &honest());
            let signature = named_text(&document, "ds:Signature").to_owned();
            with_signature(&bent(&document, &signature, ""), &signature)
        },
        FOREIGN,
    ),
    (
        "the signature deep inside the assertion",
        |_, response| {
            let document = signed_by(response, &honest());
            let signature = named_text(&document, "ds:Signature").to_owned();
            let without = bent(&document, &signature, "");
            bent(
                &without,
                "<saml:Subject>",
                &format!("<saml:Subject>{signature}"),
            )
        },
        "neither the response nor the assertion is signed",
    ),
    (
        "a signature of another namespace",
        |_, response| {
            let document = signed_by(response, &honest());
            document.replace("http://www.w3.org/2000/09/xmldsig#\">", "urn:x\">")
        },
        "neither the response nor the assertion is signed",
    ),
    (
        "the assertion of another login of the same person",
        |idp, response| {
            let other = idp.response_to(&super::ReceivedRequest::default());
            let theirs = idp.write(&other);
            let assertion = element_text(&theirs, &other.assertion.id);
            response.xml_with(assertion)
        },
        "the confirmation does not answer the request of this login",
    ),
];

#[tokio::test]
async fn a_signature_at_another_place_is_refused() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    assert_documents_refused(&menshen, &idp, &MISPLACED).await;
}
