//! Logout requests that end nothing: of somebody else, altered, for another service, too old, or repeated.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::idp::Idp;
use super::logout_at_idp::{
    BOTH_BINDINGS, assert_success, revoked, send, send_form, send_query, signed_in,
};
use super::logout_message::LogoutMessage;
use super::response::shifted;
use super::signer::{Signer, bent, honest, named_text, with_signature};
use super::{LOGOUT, deflate, is_signed_in, keys, last_refusal, new_browser, start_menshen};
use crate::setup::Menshen;

/// What is done to a request, and a part of the reason in the audit log.
type Change = (
    &'static str,
    fn(&mut LogoutMessage, &mut Signer),
    &'static str,
);

const CHANGES: [Change; 9] = [
    (
        "the key of somebody else",
        |_, signer| signer.key = keys::stranger(),
        "no key of the source verifies",
    ),
    (
        "our own key",
        |_, signer| signer.key = keys::own(),
        "no key of the source verifies",
    ),
    (
        "another destination",
        |message, _| message.destination = Some("https://other.example/slo".to_owned()),
        "the Destination is not the logout URL",
    ),
    (
        "our callback as destination",
        |message, _| message.destination = Some(super::ACS.to_owned()),
        "the Destination is not the logout URL",
    ),
    (
        "no destination",
        |message, _| message.destination = None,
        "the Destination is not the logout URL",
    ),
    (
        "expired",
        |message, _| message.not_on_or_after = Some(shifted(message.issued_at, -3600)),
        "it has expired",
    ),
    (
        "of yesterday",
        |message, _| message.issued_at = shifted(message.issued_at, -86_400),
        "it is too old or from the future",
    ),
    (
        "another issuer",
        |message, _| message.issuer = "https://evil.example".to_owned(),
        "the Issuer is not the identity provider",
    ),
    (
        "no name",
        |message, _| message.content = String::new(),
        "it names nobody",
    ),
];

#[tokio::test]
async fn a_request_that_is_wrong_ends_nothing() {
    for by in BOTH_BINDINGS {
        let idp = Idp::start().await;
        let menshen = start_menshen(&idp, "").await;
        let (mut browser, index) = signed_in(&menshen, &idp, "zhangsan").await;
        let now = idp.clock.now();
        for (what, change, reason) in CHANGES {
            let mut request = LogoutMessage::request("p-zhangsan", Some(&index), now);
            let mut signer = honest();
            change(&mut request, &mut signer);
            let answer = send(&menshen, by, &request, &signer).await;
            assert_eq!(answer.status, 400, "{by:?} {what}: {}", answer.text());
            assert!(is_signed_in(&mut browser).await, "{by:?} {what}");
            let error = last_refusal(&menshen);
            assert!(error.contains(reason), "{by:?} {what}: {error}");
        }
        assert_eq!(revoked(&menshen), Vec::<Value>::new());
        let request = LogoutMessage::request("p-zhangsan", Some(&index), now);
        let answer = send(&menshen, by, &request, &honest()).await;
        assert_success(&idp, &answer, &request);
        assert!(!is_signed_in(&mut browser).await);
    }
}

#[tokio::test]
async fn an_unsigned_or_altered_query_ends_nothing() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let (mut browser, index) = signed_in(&menshen, &idp, "zhangsan").await;
    let request = LogoutMessage::request("p-zhangsan", Some(&index), idp.clock.now());
    let signed = request.signed_query(&honest(), Some("state"));
    let other = LogoutMessage::request("p-zhangsan", None, idp.clock.now());
    let message = |query: &str| query.split('&').next().unwrap().to_owned();
    let algorithm = "rsa-sha256";
    let signed_inside = {
        let xml = request.signed_xml(&honest());
        let message = STANDARD.encode(deflate::deflated(&xml));
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("SAMLRequest", &message)
            .finish()
    };
    let unverified = "no key of the source verifies";
    for (query, reason) in [
        (String::new(), "the query does not have exactly one message"),
        (request.query(Some("state")), "the element is not signed"),
        (
            format!("{}&Signature=", request.query(None)),
            "the query does not have exactly one SigAlg",
        ),
        // The message of another request under this signature.
        (
            signed.replace(&message(&signed), &message(&other.query(None))),
            unverified,
        ),
        (
            bent(&signed, "RelayState=state", "RelayState=other"),
            unverified,
        ),
        (bent(&signed, "&RelayState=state", ""), unverified),
        (bent(&signed, algorithm, "rsa-sha512"), unverified),
        (
            bent(&signed, algorithm, "hmac-sha256"),
            "is none of those that are accepted",
        ),
        (
            format!("{signed}&{}", message(&other.query(None))),
            "the query does not have exactly one SAMLRequest",
        ),
        // For the other binding.
        (signed_inside, "the element is not signed"),
    ] {
        let answer = send_query(&menshen, &query).await;
        assert_eq!(answer.status, 400, "{query}");
        let error = last_refusal(&menshen);
        assert!(error.contains(reason), "{query}: {error}");
        assert!(is_signed_in(&mut browser).await, "{query}");
    }
    // As an answer to us it is not verified, and ends nothing either.
    let answer = send_query(&menshen, &bent(&signed, "SAMLRequest=", "SAMLResponse=")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(is_signed_in(&mut browser).await);
    // A further parameter is not signed and does not matter.
    let answer = send_query(&menshen, &format!("{signed}&lang=zh")).await;
    assert!(matches!(answer.status, 200 | 303), "{}", answer.text());
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn an_unsigned_or_malformed_form_ends_nothing() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let (mut browser, index) = signed_in(&menshen, &idp, "zhangsan").await;
    let request = LogoutMessage::request("p-zhangsan", Some(&index), idp.clock.now());
    let good = request.signed_xml(&honest());
    let form = |xml: &str| request.form(xml, None);
    let not_one = "it has not exactly one SAMLRequest or SAMLResponse";
    let unreadable = "the message cannot be read";
    let altered = "the element was altered after it was signed";
    for (body, reason) in [
        (String::new(), not_one),
        ("SAMLRequest=%%%".to_owned(), "it is not base64"),
        (form(""), unreadable),
        (form(&request.xml()), "the element is not signed"),
        (form(&format!("<!DOCTYPE x>{good}")), unreadable),
        (form(&bent(&good, "p-zhangsan", "p-lisi")), altered),
        (
            form(&good.replace("LogoutRequest", "AuthnRequest")),
            altered,
        ),
        (form(&good.replace("2.0:protocol", "1.0:protocol")), altered),
        (format!("{}&{}", form(&good), form(&good)), not_one),
        (
            format!("{}&pad={}", form(&good), "x".repeat(1024 * 1024)),
            not_one,
        ),
        // Signed in the query, for the other binding.
        (request.signed_query(&honest(), None), unreadable),
    ] {
        let answer = send_form(&menshen, &body).await;
        let start = &body[..body.len().min(60)];
        assert_eq!(answer.status, 400, "{start}");
        let error = last_refusal(&menshen);
        assert!(error.contains(reason), "{start}: {error}");
        assert!(is_signed_in(&mut browser).await, "{start}");
    }
    for method in ["PUT", "DELETE", "HEAD"] {
        let answer = new_browser(&menshen).send(method, LOGOUT, &[], b"").await;
        assert_eq!(answer.status, 405, "{method}");
        let allow = answer.header("allow").unwrap_or_default().to_owned();
        assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    }
    assert_success_of_form(&idp, &menshen, &request).await;
    assert!(!is_signed_in(&mut browser).await);
}

/// The request of the identity provider about lisi, in or beside a forged one about zhangsan.
#[tokio::test]
async fn a_request_that_is_wrapped_around_a_signed_one_ends_nothing() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let (mut browser, _) = signed_in(&menshen, &idp, "zhangsan").await;
    let request = LogoutMessage::request("p-lisi", None, idp.clock.now());
    let signed = request.signed_xml(&honest());
    let signature = named_text(&signed, "ds:Signature");
    let forged = LogoutMessage::request("p-zhangsan", None, idp.clock.now());
    let end = "</samlp:LogoutRequest>";
    let with = |forged: &str, inside: &str| bent(forged, end, &format!("{inside}{end}"));
    let same_id = forged.xml().replace(&forged.id, &request.id);
    for xml in [
        with(&forged.xml(), &signed),
        with(
            &forged.xml(),
            &format!("<samlp:Extensions>{signed}</samlp:Extensions>"),
        ),
        with_signature(&forged.xml(), signature),
        with_signature(&same_id, signature),
        with(&with_signature(&same_id, signature), &request.xml()),
        with(&with_signature(&forged.xml(), signature), &request.xml()),
    ] {
        let answer = send_form(&menshen, &forged.form(&xml, None)).await;
        assert_eq!(answer.status, 400, "{xml}");
        let error = last_refusal(&menshen);
        assert!(error.contains("the signature is refused"), "{xml}: {error}");
        assert!(is_signed_in(&mut browser).await, "{xml}");
    }
    assert_success_of_form(&idp, &menshen, &forged).await;
    assert!(!is_signed_in(&mut browser).await);
}

async fn assert_success_of_form(idp: &Idp, menshen: &Menshen, request: &LogoutMessage) {
    let form = request.form(&request.signed_xml(&honest()), Some("their state/+?"));
    assert_success(idp, &send_form(menshen, &form).await, request);
}

#[tokio::test]
async fn a_repeated_request_ends_no_later_session() {
    for by in BOTH_BINDINGS {
        let idp = Idp::start().await;
        let menshen = start_menshen(&idp, "").await;
        let (mut first, _) = signed_in(&menshen, &idp, "zhangsan").await;
        let request = LogoutMessage::request("p-zhangsan", None, idp.clock.now());
        let answer = send(&menshen, by, &request, &honest()).await;
        assert_success(&idp, &answer, &request);
        assert!(!is_signed_in(&mut first).await);
        menshen.advance(Duration::from_secs(1));
        let (mut second, _) = signed_in(&menshen, &idp, "zhangsan").await;
        let answer = send(&menshen, by, &request, &honest()).await;
        assert_eq!(answer.status, 400, "{by:?}");
        let text = answer.text();
        assert!(text.contains("was used before"), "{by:?}: {text}");
        assert!(is_signed_in(&mut second).await, "{by:?}");
    }
}

#[tokio::test]
async fn a_used_request_is_remembered_until_it_is_too_old() {
    for by in BOTH_BINDINGS {
        let idp = Idp::start().await;
        let menshen = start_menshen(&idp, "clock_skew = '300s'").await;
        let (mut first, _) = signed_in(&menshen, &idp, "zhangsan").await;
        let mut request = LogoutMessage::request("p-zhangsan", None, idp.clock.now());
        // The clock of the provider is ahead.
        request.issued_at = shifted(request.issued_at, 290);
        let answer = send(&menshen, by, &request, &honest()).await;
        assert_success(&idp, &answer, &request);
        assert!(!is_signed_in(&mut first).await);
        menshen.advance(Duration::from_secs(700));
        let sessions = &menshen.running.live().services().sessions;
        sessions.delete_expired().await.unwrap();
        let (mut second, _) = signed_in(&menshen, &idp, "zhangsan").await;
        for (more, reason) in [(0, "used before"), (500, "too old")] {
            menshen.advance(Duration::from_secs(more));
            sessions.delete_expired().await.unwrap();
            let answer = send(&menshen, by, &request, &honest()).await;
            assert_eq!(answer.status, 400, "{by:?} {reason}");
            assert!(is_signed_in(&mut second).await, "{by:?} {reason}");
        }
    }
}
