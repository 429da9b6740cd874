//! Responses that the identity provider signed, and that are for somebody else, from somebody else, for
//! another login, or incomplete.

use menshen::face::page::Cause;

use super::idp::{ASSERTION_ONLY, BOTH, Idp, RESPONSE_ONLY};
use super::response::shifted;
use super::{
    ACS, Attempt, ENTITY_ID, Edit, LOGOUT, SamlResponse, assert_edits_accepted,
    assert_edits_refused, assert_refused, assert_signed_in, sign_in, start_menshen,
};

const OTHER_SERVICE: &str = "https://other.example/saml/metadata";

fn confirmation(response: &mut SamlResponse) -> &mut super::response::Confirmation {
    &mut response.assertion.confirmations[0]
}

/// For another service, or sent to another address.
const FOR_OTHERS: &[Edit] = &[
    (
        "another audience",
        |response| response.assertion.audiences = vec![vec![OTHER_SERVICE.to_owned()]],
        "the Audience of the assertion is another service",
    ),
    (
        "an audience that begins the same",
        |response| response.assertion.audiences[0][0].push('/'),
        "the Audience of the assertion is another service",
    ),
    (
        "no audience",
        |response| response.assertion.audiences.clear(),
        "the assertion has no Audience",
    ),
    (
        "an empty restriction",
        |response| response.assertion.audiences = vec![vec![]],
        "the Audience of the assertion is another service",
    ),
    (
        "two restrictions, of which one is for another service",
        |response| {
            let other = vec![OTHER_SERVICE.to_owned()];
            response.assertion.audiences.push(other);
        },
        "the Audience of the assertion is another service",
    ),
    (
        "another recipient",
        |response| {
            let other = "https://other.example/acs".to_owned();
            confirmation(response).recipient = Some(other);
        },
        "the confirmation is for another Recipient",
    ),
    (
        "a recipient with a query",
        |response| confirmation(response).recipient = Some(format!("{ACS}?a=b")),
        "the confirmation is for another Recipient",
    ),
    (
        "a recipient by http",
        |response| confirmation(response).recipient = Some(ACS.replace("https", "http")),
        "the confirmation is for another Recipient",
    ),
    (
        "no recipient",
        |response| confirmation(response).recipient = None,
        "the confirmation is for another Recipient",
    ),
    (
        "another destination",
        |response| response.destination = Some("https://other.example/acs".to_owned()),
        "the Destination of the response is not the callback URL",
    ),
    (
        "our logout service as destination",
        |response| response.destination = Some(LOGOUT.to_owned()),
        "the Destination of the response is not the callback URL",
    ),
    (
        "our metadata as destination",
        |response| response.destination = Some(ENTITY_ID.to_owned()),
        "the Destination of the response is not the callback URL",
    ),
];

/// From another identity provider, or for another login.
const FROM_OTHERS: &[Edit] = &[
    (
        "another issuer of the response",
        |response| response.issuer = Some("https://evil.example".to_owned()),
        "the Issuer of the response is not the identity provider",
    ),
    (
        "an issuer in capital letters",
        |response| response.issuer = response.issuer.as_ref().map(|it| it.to_uppercase()),
        "the Issuer of the response is not the identity provider",
    ),
    (
        "another issuer of the assertion",
        |response| response.assertion.issuer = Some("https://evil.example".to_owned()),
        "the Issuer of the assertion is not the identity provider",
    ),
    (
        "no issuer of the assertion",
        |response| response.assertion.issuer = None,
        "the Issuer of the assertion is not the identity provider",
    ),
    (
        "another request in the response",
        |response| response.in_response_to = Some("_other".to_owned()),
        "the response does not answer the request of this login",
    ),
    (
        "no request in the response",
        |response| response.in_response_to = None,
        "the response does not answer the request of this login",
    ),
    (
        "another request in the confirmation",
        |response| confirmation(response).in_response_to = Some("_other".to_owned()),
        "the confirmation does not answer the request of this login",
    ),
    (
        "no request in the confirmation",
        |response| confirmation(response).in_response_to = None,
        "the confirmation does not answer the request of this login",
    ),
];

/// Incomplete, too old, too early, or with what we do not know.
const INCOMPLETE: &[Edit] = &[
    (
        "no confirmation",
        |response| response.assertion.confirmations.clear(),
        "the assertion has no bearer confirmation",
    ),
    (
        "a confirmation of another method",
        |response| confirmation(response).method = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key",
        "the assertion has no bearer confirmation",
    ),
    (
        "no end of the confirmation",
        |response| confirmation(response).not_on_or_after = None,
        "the confirmation has no NotOnOrAfter",
    ),
    (
        "a confirmation that expired an hour ago",
        |response| {
            let past = shifted(response.issued_at, -3600);
            confirmation(response).not_on_or_after = Some(past);
        },
        "the confirmation has expired",
    ),
    (
        "conditions that expired an hour ago",
        |response| {
            response.assertion.not_on_or_after = Some(shifted(response.issued_at, -3600));
        },
        "the conditions have expired",
    ),
    (
        "conditions that begin in an hour",
        |response| response.assertion.not_before = Some(shifted(response.issued_at, 3600)),
        "the conditions are not valid yet",
    ),
    (
        "an assertion of the next hour",
        |response| response.assertion.issued_at = shifted(response.issued_at, 3600),
        "the assertion was issued in the future",
    ),
    (
        "a session that ended an hour ago",
        |response| {
            let past = shifted(response.issued_at, -3600);
            let authn = response.assertion.authn.as_mut().unwrap();
            authn.session_not_on_or_after = Some(past);
        },
        "the session at the provider has expired",
    ),
    (
        "no statement of an authentication",
        |response| response.assertion.authn = None,
        "the assertion has no AuthnStatement",
    ),
    (
        "an unknown condition",
        |response| {
            let condition = "<saml:Condition xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
                xsi:type=\"urn:x\"></saml:Condition>";
            response.assertion.conditions = condition.to_owned();
        },
        "the Condition Condition is not known",
    ),
    (
        "a condition of another namespace",
        |response| {
            response.assertion.conditions = "<x:Known xmlns:x=\"urn:x\"></x:Known>".to_owned();
        },
        "the Condition Known is not known",
    ),
    (
        "another version of the response",
        |response| response.version = "1.1",
        "it is not a Response of SAML 2.0",
    ),
    (
        "another version of the assertion",
        |response| response.assertion.version = "1.1",
        "it is not an assertion of SAML 2.0",
    ),
];

/// The status, and the page of the person.
const STATUSES: &[(&[&str], Cause, &str)] = &[
    (
        &["Responder", "AuthnFailed"],
        Cause::LoginDeclined,
        "AuthnFailed",
    ),
    (
        &["Responder", "RequestDenied"],
        Cause::LoginDeclined,
        "RequestDenied",
    ),
    (
        &["Responder", "NoAuthnContext"],
        Cause::AuthTooWeak,
        "NoAuthnContext",
    ),
    (&["Requester"], Cause::ProviderMisconfigured, "Requester"),
    (
        &["Requester", "InvalidNameIDPolicy"],
        Cause::ProviderMisconfigured,
        "InvalidNameIDPolicy",
    ),
    (
        &["VersionMismatch"],
        Cause::ProviderMisconfigured,
        "VersionMismatch",
    ),
];

async fn assert_all_refused(edits: &[Edit]) {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for signed in [RESPONSE_ONLY, BOTH] {
        idp.state().signed = signed;
        assert_edits_refused(&menshen, &idp, edits).await;
    }
}

#[tokio::test]
async fn a_response_for_somebody_else_is_refused() {
    assert_all_refused(FOR_OTHERS).await;
}

#[tokio::test]
async fn a_response_from_somebody_else_or_to_another_login_is_refused() {
    assert_all_refused(FROM_OTHERS).await;
}

#[tokio::test]
async fn an_incomplete_or_expired_response_is_refused() {
    assert_all_refused(INCOMPLETE).await;
}

/// What stands around a signed assertion is not signed, so what is right in it proves nothing, and what is
/// wrong in it is still refused.
#[tokio::test]
async fn an_unsigned_response_around_a_signed_assertion_is_checked_as_well() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    idp.state().signed = ASSERTION_ONLY;
    assert_edits_refused(&menshen, &idp, FOR_OTHERS).await;
    assert_edits_refused(&menshen, &idp, FROM_OTHERS).await;
}

#[tokio::test]
async fn optional_parts_may_be_absent_and_several_audiences_may_be_named() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    assert_edits_accepted(
        &menshen,
        &idp,
        &[
            ("no issuer of the response", |response| {
                response.issuer = None
            }),
            ("two audiences", |response| {
                response.assertion.audiences[0].insert(0, OTHER_SERVICE.to_owned());
            }),
            ("two restrictions for us", |response| {
                let same = response.assertion.audiences[0].clone();
                response.assertion.audiences.push(same);
            }),
            ("two confirmations, of which one is for us", |response| {
                let mut other = confirmation(response).clone();
                other.recipient = Some("https://other.example/acs".to_owned());
                response.assertion.confirmations.insert(0, other);
            }),
            ("no times in the conditions", |response| {
                response.assertion.not_before = None;
                response.assertion.not_on_or_after = None;
            }),
            ("no session index", |response| {
                let authn = response.assertion.authn.as_mut().unwrap();
                authn.session_index = None;
            }),
            ("conditions that we know", |response| {
                response.assertion.conditions = "<saml:OneTimeUse></saml:OneTimeUse>\
                    <saml:ProxyRestriction Count=\"1\"></saml:ProxyRestriction>"
                    .to_owned();
            }),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_signed_response_names_its_destination() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for (signed, is_accepted) in [(ASSERTION_ONLY, false), (RESPONSE_ONLY, false)] {
        idp.state().signed = signed;
        let mut attempt = Attempt::begin(&menshen, &idp).await;
        let mut response = idp.response_to(&attempt.request);
        response.destination = None;
        let page = attempt.answer(&idp.write(&response)).await;
        assert_eq!(page.answer.status == 200, is_accepted, "{signed:?}");
        let reason = "the Destination of the response is not the callback URL";
        let invalid = Cause::InvalidProviderResponse;
        assert_refused(&menshen, &page, invalid, reason, &format!("{signed:?}"));
    }
}

#[tokio::test]
async fn each_status_has_its_page_and_no_status_but_success_signs_in() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for signed in [RESPONSE_ONLY, BOTH] {
        idp.state().signed = signed;
        for (codes, cause, reason) in STATUSES {
            let mut attempt = Attempt::begin(&menshen, &idp).await;
            let response = idp.response_to(&attempt.request);
            let codes: Vec<_> = codes
                .iter()
                .map(|code| format!("urn:oasis:names:tc:SAML:2.0:status:{code}"))
                .collect();
            let codes: Vec<_> = codes.iter().map(String::as_str).collect();
            // Identity providers send no assertion then; this one does all the same.
            for assertion in [String::new(), response.assertion.xml()] {
                let honest = super::response::status_xml(&[super::response::SUCCESS]);
                let document = response.xml_with(&assertion);
                let status = super::response::status_xml(&codes);
                let document = super::signer::bent(&document, &honest, &status);
                let document = super::signer::honest().sign(&document, &response.id);
                let mut browser = attempt.browser.clone();
                let state = attempt.request.relay_state.as_deref();
                let page = super::post_response(&mut browser, &document, state).await;
                assert_refused(&menshen, &page, *cause, reason, reason);
            }
            attempt.browser.delete_cookies("flow");
        }
    }
    assert_signed_in(&sign_in(&menshen, &idp).await.1, "zhangsan", "Success");
}
