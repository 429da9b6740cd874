//! Signature wrapping: documents that still contain what the identity provider signed, and want somebody else
//! to be read. The numbers are those of the literature (Somorovsky et al., “On Breaking SAML”).

use menshen::face::page::Cause;

use super::idp::{ASSERTION_ONLY, BOTH, Idp, RESPONSE_ONLY, Signed};
use super::signer::{bent, element_text, named_text};
use super::{Attempt, SamlResponse, assert_refused, assert_signed_in, sign_in, start_menshen};

/// The parts of a response that the identity provider signed.
struct Pieces {
    /// The whole response.
    honest: String,
    /// The signed element.
    signed: String,
    signature: String,
    /// The signed element without its signature.
    original: String,
    /// The signed element about an administrator, with another ID and without a signature.
    evil: String,
}

impl Pieces {
    fn of(honest: String, id: &str) -> Self {
        let signed = element_text(&honest, id).to_owned();
        let signature = named_text(&signed, "ds:Signature").to_owned();
        let original = bent(&signed, &signature, "");
        Self {
            evil: about_admin(&original, id),
            honest,
            signed,
            signature,
            original,
        }
    }

    /// The forged element with this ID, and with `inside` where a signature belongs.
    fn evil(&self, id: &str, inside: &str) -> String {
        let evil = bent(&self.evil, " ID=\"_evil\"", &format!(" ID=\"{id}\""));
        super::signer::with_signature(&evil, inside)
    }

    /// The signature with `inside` in a further element at its end.
    fn signature_around(&self, element: &str, inside: &str) -> String {
        let end = "</ds:SignatureValue>";
        let wrapped = format!("{end}<ds:{element}>{inside}</ds:{element}>");
        bent(&self.signature, end, &wrapped)
    }

    /// The response with this in place of the signed element.
    fn with(&self, replacement: &str) -> String {
        bent(&self.honest, &self.signed, replacement)
    }
}

/// The element about an administrator, with other IDs and without the signature of anything inside.
fn about_admin(element: &str, id: &str) -> String {
    let evil = element
        .replace("p-zhangsan", "p-admin")
        .replace(">zhangsan<", ">admin<")
        .replace(" ID=\"_", " ID=\"_0")
        .replace(&format!(" ID=\"_0{}\"", &id[1..]), " ID=\"_evil\"");
    match evil.contains("<ds:Signature ") {
        true => bent(&evil, named_text(&evil, "ds:Signature"), ""),
        false => evil,
    }
}

type Wrapping = (&'static str, fn(&Pieces, &str) -> String, &'static str);

const FOREIGN: &str = "the signature refers to another element than the one that holds it";
const FURTHER: &str = "the signature has a further element, which is not allowed";
const REPEATED: &str = "two elements of the document have the same ID";
const SEVERAL: &str = "the response has several assertions";

/// A forged response with the signature of the honest one.
const OF_RESPONSES: [Wrapping; 6] = [
    (
        "1: the signed response in an object of the signature",
        |it, _| {
            let signature = it.signature_around("Object", &it.original);
            it.with(&it.evil("_evil", &signature))
        },
        FURTHER,
    ),
    (
        "1: the signed response in the key information",
        |it, _| {
            let signature = it.signature_around("KeyInfo", &it.original);
            it.with(&it.evil("_evil", &signature))
        },
        FOREIGN,
    ),
    (
        "1: with the ID of the signed response",
        |it, id| {
            let signature = it.signature_around("KeyInfo", &it.original);
            it.with(&it.evil(id, &signature))
        },
        REPEATED,
    ),
    (
        "2: the signed response before the signature",
        |it, _| {
            let inside = format!("{}{}", it.original, it.signature);
            it.with(&it.evil("_evil", &inside))
        },
        FOREIGN,
    ),
    (
        "2: the signed response with its signature inside",
        |it, _| it.with(&it.evil("_evil", &it.signed)),
        SEVERAL,
    ),
    (
        "2: in extensions",
        |it, _| {
            let inside = format!("<samlp:Extensions>{}</samlp:Extensions>", it.signed);
            it.with(&it.evil("_evil", &inside))
        },
        SEVERAL,
    ),
];

/// A forged assertion beside, around or inside the signed one.
const OF_ASSERTIONS: [Wrapping; 14] = [
    (
        "3: the forged one first",
        |it, _| it.with(&format!("{}{}", it.evil, it.signed)),
        SEVERAL,
    ),
    (
        "3: the forged one last",
        |it, _| it.with(&format!("{}{}", it.signed, it.evil)),
        SEVERAL,
    ),
    (
        "4: the signed one inside the forged one",
        |it, _| it.with(&it.evil("_evil", &it.signed)),
        SEVERAL,
    ),
    (
        "4: in the advice of the forged one",
        |it, _| {
            let advice = format!("<saml:Advice>{}</saml:Advice>", it.signed);
            it.with(&bent(
                &it.evil,
                "</saml:Assertion>",
                &format!("{advice}</saml:Assertion>"),
            ))
        },
        SEVERAL,
    ),
    (
        "5: the forged one with the signature, the signed one at the end",
        |it, _| {
            it.with(&format!(
                "{}{}",
                it.evil("_evil", &it.signature),
                it.original
            ))
        },
        SEVERAL,
    ),
    (
        "5: with the ID of the signed one",
        |it, id| it.with(&format!("{}{}", it.evil(id, &it.signature), it.original)),
        SEVERAL,
    ),
    (
        "6: the signed one inside the signature of the forged one",
        |it, _| {
            let signature = it.signature_around("KeyInfo", &it.original);
            it.with(&it.evil("_evil", &signature))
        },
        SEVERAL,
    ),
    (
        "7: the forged one in extensions",
        |it, _| {
            let extensions = format!("<samlp:Extensions>{}</samlp:Extensions>", it.evil);
            it.with(&format!("{extensions}{}", it.signed))
        },
        SEVERAL,
    ),
    (
        "7: in the extensions of the forged one, with the same ID",
        |it, id| {
            let extensions = format!("<samlp:Extensions>{}</samlp:Extensions>", it.evil(id, ""));
            it.with(&format!("{extensions}{}", it.signed))
        },
        SEVERAL,
    ),
    (
        "8: the signed one in an object of the signature",
        |it, _| {
            let signature = it.signature_around("Object", &it.original);
            it.with(&it.evil("_evil", &signature))
        },
        SEVERAL,
    ),
    (
        "only the signature is kept",
        |it, _| it.with(&it.evil("_evil", &it.signature)),
        FOREIGN,
    ),
    (
        "the signature is kept under its ID",
        |it, id| it.with(&it.evil(id, &it.signature)),
        "the element was altered after it was signed",
    ),
    (
        "the signature beside the forged one",
        |it, _| it.with(&format!("{}{}", it.evil, it.signature)),
        FOREIGN,
    ),
    (
        "the ID of the response is that of the assertion",
        |it, id| {
            let response = it.honest.find(" ID=\"").unwrap() + 5;
            let end = response + it.honest[response..].find('"').unwrap();
            format!("{}{id}{}", &it.honest[..response], &it.honest[end..])
        },
        REPEATED,
    ),
];

async fn assert_all_refused(
    signed: Signed,
    id_of: fn(&SamlResponse) -> &str,
    wrappings: &[Wrapping],
) {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    idp.state().signed = signed;
    for (what, wrap, reason) in wrappings {
        let mut attempt = Attempt::begin(&menshen, &idp).await;
        let response = idp.response_to(&attempt.request);
        let id = id_of(&response);
        let pieces = Pieces::of(idp.write(&response), id);
        let page = attempt.answer(&wrap(&pieces, id)).await;
        assert_refused(
            &menshen,
            &page,
            Cause::InvalidProviderResponse,
            reason,
            what,
        );
        assert!(!super::is_signed_in(&mut attempt.browser).await, "{what}");
        // What was not changed still counts, in the same login.
        let (_, page) = sign_in(&menshen, &idp).await;
        assert_signed_in(&page, "zhangsan", what);
    }
}

#[tokio::test]
async fn a_signed_response_inside_a_forged_one_is_refused() {
    for signed in [RESPONSE_ONLY, BOTH] {
        assert_all_refused(signed, |response| &response.id, &OF_RESPONSES).await;
    }
}

#[tokio::test]
async fn a_forged_assertion_near_the_signed_one_is_refused() {
    assert_all_refused(
        ASSERTION_ONLY,
        |response| &response.assertion.id,
        &OF_ASSERTIONS,
    )
    .await;
}

#[tokio::test]
async fn two_assertions_are_refused_even_if_both_are_signed() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for signed in [ASSERTION_ONLY, RESPONSE_ONLY, BOTH] {
        idp.state().signed = signed;
        let mut attempt = Attempt::begin(&menshen, &idp).await;
        let response = idp.response_to(&attempt.request);
        let second = idp.response_to(&attempt.request).assertion;
        let signer = super::signer::honest();
        let sign = |xml: String, id: &str| match signed.assertion {
            true => signer.sign(&xml, id),
            false => xml,
        };
        let first = sign(response.assertion.xml(), &response.assertion.id);
        let both = format!("{first}{}", sign(second.xml(), &second.id));
        let document = response.xml_with(&both);
        let document = match signed.response {
            true => signer.sign(&document, &response.id),
            false => document,
        };
        let page = attempt.answer(&document).await;
        let invalid = Cause::InvalidProviderResponse;
        assert_refused(&menshen, &page, invalid, SEVERAL, &format!("{signed:?}"));
    }
    assert_signed_in(
        &sign_in(&menshen, &idp).await.1,
        "zhangsan",
        "one assertion",
    );
}
