//! Anybody who begins a login can write a status without a signature. It chooses the page of its sender, and says
//! nothing about the identity provider.

use menshen::face::page::Cause;
use menshen::login::health::HealthReport;

use super::idp::Idp;
use super::response::{SUCCESS, status_xml};
use super::signer::{bent, honest};
use super::{Attempt, assert_refused, assert_signed_in, post_response, sign_in, start_menshen};
use crate::setup::Menshen;

const PREFIX: &str = "urn:oasis:names:tc:SAML:2.0:status:";

const STATUSES: [(&str, Cause); 4] = [
    ("AuthnFailed", Cause::LoginDeclined),
    ("NoAuthnContext", Cause::AuthTooWeak),
    ("InvalidNameIDPolicy", Cause::ProviderMisconfigured),
    ("Requester", Cause::ProviderMisconfigured),
];

fn report(menshen: &Menshen) -> HealthReport {
    let site = menshen.running.live().site();
    let connector = "idp".parse().unwrap();
    site.login.entry(&connector).unwrap().health.report()
}

/// A response with this status and a message of its sender.
async fn send(menshen: &Menshen, idp: &Idp, status: &str, is_signed: bool) -> super::Page {
    let mut attempt = Attempt::begin(menshen, idp).await;
    let response = idp.response_to(&attempt.request);
    let status = status_xml(&[&format!("{PREFIX}Responder"), &format!("{PREFIX}{status}")]);
    let message = "<samlp:StatusMessage>call 555</samlp:StatusMessage></samlp:Status>";
    let status = bent(&status, "</samlp:Status>", message);
    let document = bent(&response.xml_with(""), &status_xml(&[SUCCESS]), &status);
    let document = match is_signed {
        true => honest().sign(&document, &response.id),
        false => document,
    };
    let state = attempt.request.relay_state.clone();
    post_response(&mut attempt.browser, &document, state.as_deref()).await
}

#[tokio::test]
async fn an_unsigned_status_has_its_page_and_is_no_answer_of_the_provider() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    for (status, cause) in STATUSES {
        let page = send(&menshen, &idp, status, false).await;
        assert_refused(&menshen, &page, cause, status, status);
        let report = report(&menshen);
        assert!(report.last_problem.is_none(), "{status}: {report:?}");
        assert!(report.answered_at.is_none(), "{status}: {report:?}");
    }
    let (_, page) = sign_in(&menshen, &idp).await;
    assert_signed_in(&page, "zhangsan", "Success");
    assert!(report(&menshen).answered_at.is_some());
}

#[tokio::test]
async fn a_signed_status_is_an_answer_of_the_provider() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let page = send(&menshen, &idp, "InvalidNameIDPolicy", true).await;
    let cause = Cause::ProviderMisconfigured;
    assert_refused(&menshen, &page, cause, "InvalidNameIDPolicy", "signed");
    let problem = report(&menshen).last_problem.expect("a problem");
    assert!(
        problem.error.to_string().contains("call 555"),
        "{}",
        problem.error
    );
    assert!(
        problem.remedy.to_string().contains("name_id_format"),
        "{}",
        problem.remedy
    );
    // A refused person shows that the provider answers.
    send(&menshen, &idp, "AuthnFailed", true).await;
    assert!(report(&menshen).answered_at.is_some());
}
