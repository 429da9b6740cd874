//! Single logout that the identity provider starts.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use menshen::login::connector::kit::xml::Element;
use menshen::login::connector::kit::xml_signature::{SignaturePolicy, verify, verify_query};
use serde_json::Value;

use super::idp::{Idp, Person};
use super::logout_message::{LogoutMessage, name_id, session_index};
use super::metadata_document::{POST, REDIRECT};
use super::response::{ASSERTION, EMAIL, PERSISTENT, PROTOCOL, SUCCESS, shifted};
use super::signer::{Signer, bent, honest};
use super::{
    Attempt, ENTITY_ID, HTTPS, LOGOUT, XML_LIMITS, deflate, is_signed_in, keys, new_browser, setup,
    sign_in, start_menshen,
};
use crate::browser::Browser;
use crate::logging_in::query_parameter;
use crate::setup::Menshen;
use crate::stores::TempDir;
use crate::wire::Answer;

const POLICY: SignaturePolicy = SignaturePolicy {
    allow_sha1: false,
    canonical_bytes_max: 1 << 20,
};

const HTML: [(&str, &str); 2] = [
    ("Accept", "text/html"),
    ("Content-Type", "application/x-www-form-urlencoded"),
];

/// How a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Redirect,
    Post,
}

const BOTH_BINDINGS: [By; 2] = [By::Redirect, By::Post];

/// Sends a message without any cookie, as an identity provider itself does.
async fn send(menshen: &Menshen, by: By, message: &LogoutMessage, signer: &Signer) -> Answer {
    let state = Some("their state/+?");
    match by {
        By::Redirect => {
            let query = message.signed_query(signer, state);
            send_query(menshen, &query).await
        }
        By::Post => {
            let form = message.form(&message.signed_xml(signer), state);
            send_form(menshen, &form).await
        }
    }
}

async fn send_query(menshen: &Menshen, query: &str) -> Answer {
    new_browser(menshen)
        .visit(&format!("{LOGOUT}?{query}"))
        .await
}

async fn send_form(menshen: &Menshen, form: &str) -> Answer {
    let mut browser = new_browser(menshen);
    browser.send("POST", LOGOUT, &HTML, form.as_bytes()).await
}

/// The session index of the last login.
fn last_index(idp: &Idp) -> String {
    idp.state().sessions.last().unwrap().0.clone()
}

async fn signed_in(menshen: &Menshen, idp: &Idp, person: &str) -> (Browser, String) {
    idp.state().person = Person::named(person);
    let (browser, page) = sign_in(menshen, idp).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    (browser, last_index(idp))
}

/// Our answer: the response, the address it goes to, and the relay state. Its signature is verified.
fn logout_response(answer: &Answer) -> (Element, String, Option<String>) {
    let keys = [keys::own().verifying_key()];
    if let Some(to) = answer.header("location") {
        assert_eq!(answer.status, 303, "{to}");
        let (address, query) = to.split_once('?').unwrap();
        let signed = verify_query(query, &keys, POLICY).unwrap();
        assert_eq!(signed.parameter, "SAMLResponse");
        let xml = deflate::inflated(&STANDARD.decode(&signed.message).unwrap());
        let root = Element::read(xml.as_bytes(), XML_LIMITS).unwrap();
        return (root, address.to_owned(), query_parameter(to, "RelayState"));
    }
    let html = answer.text();
    assert_eq!(answer.status, 200, "{html}");
    let value = |name: &str| {
        let input = html.split("<input").find(|input| input.contains(name))?;
        let value = input.split_once("value=\"")?.1.split('"').next()?;
        let value = value.replace("&#43;", "+").replace("&#x2B;", "+");
        Some(value.replace("&amp;", "&").replace("&#38;", "&"))
    };
    let message = value("name=\"SAMLResponse\"").unwrap_or_else(|| panic!("{html}"));
    let xml = STANDARD.decode(message).unwrap();
    let root = Element::read(&xml, XML_LIMITS).unwrap();
    let signed = verify(&root, &root, &keys, POLICY).unwrap();
    let action = html.split_once("action=\"").unwrap().1;
    let action = action.split('"').next().unwrap().to_owned();
    (signed.root().clone(), action, value("name=\"RelayState\""))
}

fn assert_success(idp: &Idp, answer: &Answer, request: &LogoutMessage) {
    let (root, address, relay_state) = logout_response(answer);
    assert!(root.is(PROTOCOL, "LogoutResponse"), "{root:?}");
    assert_eq!(address, idp.url("/slo"));
    assert_eq!(
        root.attribute("Destination"),
        Some(idp.url("/slo").as_str())
    );
    assert_eq!(root.attribute("InResponseTo"), Some(request.id.as_str()));
    let issuer = root.only_child(ASSERTION, "Issuer").unwrap().unwrap();
    assert_eq!(issuer.text(), ENTITY_ID);
    let status = root.only_child(PROTOCOL, "Status").unwrap().unwrap();
    let code = status.only_child(PROTOCOL, "StatusCode").unwrap().unwrap();
    assert_eq!(code.attribute("Value"), Some(SUCCESS));
    assert_eq!(relay_state.as_deref(), Some("their state/+?"));
}

fn revoked(menshen: &Menshen) -> Vec<Value> {
    let audit = menshen.audit().into_iter();
    audit.filter(|line| line["event"] == "revoked").collect()
}

#[tokio::test]
async fn a_logout_request_ends_exactly_the_session_that_it_names() {
    for by in BOTH_BINDINGS {
        let idp = Idp::start().await;
        let menshen = start_menshen(&idp, "").await;
        let (mut first, index) = signed_in(&menshen, &idp, "zhangsan").await;
        let (mut second, _) = signed_in(&menshen, &idp, "zhangsan").await;
        let (mut other, other_index) = signed_in(&menshen, &idp, "lisi").await;
        let now = idp.clock.now();
        let request = LogoutMessage::request("p-zhangsan", Some(&index), now);
        let answer = send(&menshen, by, &request, &honest()).await;
        assert_success(&idp, &answer, &request);
        assert!(!is_signed_in(&mut first).await, "{by:?}");
        assert!(is_signed_in(&mut second).await && is_signed_in(&mut other).await);
        let records = revoked(&menshen);
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!(records[0]["connector"], "idp");
        // The session index of somebody else is not enough.
        let crossed = LogoutMessage::request("p-zhangsan", Some(&other_index), now);
        assert_success(
            &idp,
            &send(&menshen, by, &crossed, &honest()).await,
            &crossed,
        );
        assert!(is_signed_in(&mut second).await && is_signed_in(&mut other).await);
    }
}

#[tokio::test]
async fn without_a_session_index_every_session_of_the_person_ends() {
    for by in BOTH_BINDINGS {
        let idp = Idp::start().await;
        let menshen = start_menshen(&idp, "").await;
        let (mut first, _) = signed_in(&menshen, &idp, "zhangsan").await;
        let (mut second, _) = signed_in(&menshen, &idp, "zhangsan").await;
        let (mut other, _) = signed_in(&menshen, &idp, "lisi").await;
        let request = LogoutMessage::request("p-zhangsan", None, idp.clock.now());
        let answer = send(&menshen, by, &request, &honest()).await;
        assert_success(&idp, &answer, &request);
        assert!(!is_signed_in(&mut first).await && !is_signed_in(&mut second).await);
        assert!(is_signed_in(&mut other).await, "{by:?}");
    }
}

#[tokio::test]
async fn a_request_may_name_several_sessions_or_one_that_nobody_knows() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let (mut first, one) = signed_in(&menshen, &idp, "zhangsan").await;
    let (mut second, two) = signed_in(&menshen, &idp, "zhangsan").await;
    let (mut third, _) = signed_in(&menshen, &idp, "zhangsan").await;
    let now = idp.clock.now();
    for unknown in [
        LogoutMessage::request("p-zhangsan", Some("_unknown"), now),
        LogoutMessage::request("p-nobody", None, now),
    ] {
        let answer = send(&menshen, By::Redirect, &unknown, &honest()).await;
        assert_success(&idp, &answer, &unknown);
    }
    let mut request = LogoutMessage::request("p-zhangsan", Some(&one), now);
    request.content.push_str(&session_index(&two));
    let answer = send(&menshen, By::Redirect, &request, &honest()).await;
    assert_success(&idp, &answer, &request);
    assert!(!is_signed_in(&mut first).await && !is_signed_in(&mut second).await);
    assert!(is_signed_in(&mut third).await);
}

#[tokio::test]
async fn a_request_names_a_person_by_the_value_of_the_name_alone() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    // Some identity providers leave the format out of their logout requests.
    let without = name_id(PERSISTENT, "p-zhangsan");
    let without = bent(&without, &format!(" Format=\"{PERSISTENT}\""), "");
    for content in [without, name_id(EMAIL, "p-zhangsan")] {
        menshen.advance(Duration::from_secs(1));
        let (mut browser, _) = signed_in(&menshen, &idp, "zhangsan").await;
        let now = idp.clock.now();
        for (value, is_ended) in [
            ("P-ZHANGSAN", false),
            ("p-zhangsan ", false),
            ("p-zhangsan", true),
        ] {
            let mut request = LogoutMessage::request("p-zhangsan", None, now);
            request.content = content.replace("p-zhangsan", value);
            send(&menshen, By::Redirect, &request, &honest()).await;
            assert_eq!(
                is_signed_in(&mut browser).await,
                !is_ended,
                "{content} {value}"
            );
        }
    }
}

type Change = (&'static str, fn(&mut LogoutMessage, &mut Signer));

const CHANGES: [Change; 9] = [
    ("a stranger's key", |_, signer| {
        signer.key = keys::stranger()
    }),
    ("our own key", |_, signer| signer.key = keys::own()),
    ("another destination", |message, _| {
        message.destination = Some("https://other.example/slo".to_owned());
    }),
    ("our callback as destination", |message, _| {
        message.destination = Some(super::ACS.to_owned());
    }),
    ("no destination", |message, _| message.destination = None),
    ("expired", |message, _| {
        message.not_on_or_after = Some(shifted(message.issued_at, -3600));
    }),
    ("of yesterday", |message, _| {
        message.issued_at = shifted(message.issued_at, -86_400);
    }),
    ("another issuer", |message, _| {
        message.issuer = "https://evil.example".to_owned();
    }),
    ("no name", |message, _| message.content = String::new()),
];

#[tokio::test]
async fn a_request_that_is_wrong_ends_nothing() {
    for by in BOTH_BINDINGS {
        let idp = Idp::start().await;
        let menshen = start_menshen(&idp, "").await;
        let (mut browser, index) = signed_in(&menshen, &idp, "zhangsan").await;
        let now = idp.clock.now();
        for (what, change) in CHANGES {
            let mut request = LogoutMessage::request("p-zhangsan", Some(&index), now);
            let mut signer = honest();
            change(&mut request, &mut signer);
            let answer = send(&menshen, by, &request, &signer).await;
            assert_eq!(answer.status, 400, "{by:?} {what}: {}", answer.text());
            assert!(is_signed_in(&mut browser).await, "{by:?} {what}");
            let last = menshen.audit().pop().unwrap();
            assert_eq!(last["event"], "refused", "{what}: {last}");
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
    for query in [
        String::new(),
        request.query(Some("state")),
        format!("{}&Signature=", request.query(None)),
        // The message of another request under this signature.
        signed.replace(&message(&signed), &message(&other.query(None))),
        bent(&signed, "RelayState=state", "RelayState=other"),
        bent(&signed, "&RelayState=state", ""),
        bent(&signed, algorithm, "rsa-sha512"),
        bent(&signed, algorithm, "hmac-sha256"),
        format!("{signed}&{}", message(&other.query(None))),
        // Signed inside, for the other binding.
        {
            let xml = request.signed_xml(&honest());
            let message = STANDARD.encode(deflate::deflated(&xml));
            url::form_urlencoded::Serializer::new(String::new())
                .append_pair("SAMLRequest", &message)
                .finish()
        },
    ] {
        let answer = send_query(&menshen, &query).await;
        assert_eq!(answer.status, 400, "{query}");
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
    for body in [
        String::new(),
        "SAMLRequest=%%%".to_owned(),
        form(""),
        form(&request.xml()),
        form(&format!("<!DOCTYPE x>{good}")),
        form(&bent(&good, "p-zhangsan", "p-lisi")),
        form(&good.replace("LogoutRequest", "AuthnRequest")),
        form(&good.replace("2.0:protocol", "1.0:protocol")),
        format!("{}&{}", form(&good), form(&good)),
        format!("{}&pad={}", form(&good), "x".repeat(1024 * 1024)),
        // Signed in the query, for the other binding.
        request.signed_query(&honest(), None),
    ] {
        let answer = send_form(&menshen, &body).await;
        let start = &body[..body.len().min(60)];
        assert_eq!(answer.status, 400, "{start}");
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
        assert!(is_signed_in(&mut second).await, "{by:?}");
    }
}

#[tokio::test]
async fn a_logout_on_one_node_ends_the_session_on_the_other() {
    for by in BOTH_BINDINGS {
        let idp = Idp::start().await;
        let dir = TempDir::new();
        let one = setup(&idp, "").store(&dir.url()).start().await;
        let other = setup(&idp, "").store(&dir.url()).start().await;
        let (browser, index) = signed_in(&one, &idp, "zhangsan").await;
        let mut there = browser.clone().moved_to(other.address());
        let (mut stays, _) = signed_in(&other, &idp, "zhangsan").await;
        assert!(is_signed_in(&mut there).await);
        let request = LogoutMessage::request("p-zhangsan", Some(&index), idp.clock.now());
        let answer = send(&one, by, &request, &honest()).await;
        assert_success(&idp, &answer, &request);
        assert!(!is_signed_in(&mut browser.clone()).await);
        let start = std::time::Instant::now();
        while is_signed_in(&mut there).await {
            assert!(start.elapsed() < Duration::from_secs(60), "{by:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(is_signed_in(&mut stays).await);
    }
}

#[tokio::test]
async fn a_login_that_is_pending_at_the_logout_creates_no_session() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp, "").await;
    let mut attempt = Attempt::begin(&menshen, &idp).await;
    let request = LogoutMessage::request("p-zhangsan", None, idp.clock.now());
    let answer = send(&menshen, By::Post, &request, &honest()).await;
    assert_success(&idp, &answer, &request);
    let page = attempt.finish().await;
    assert_ne!(page.answer.status, 200);
    assert!(!is_signed_in(&mut attempt.browser).await);
    menshen.advance(Duration::from_secs(1));
    let (mut browser, _) = signed_in(&menshen, &idp, "zhangsan").await;
    assert!(is_signed_in(&mut browser).await, "a later login");
}

#[tokio::test]
async fn the_answer_goes_by_the_binding_that_the_identity_provider_offers() {
    for (bindings, is_redirect) in [
        (vec![REDIRECT, POST], true),
        (vec![REDIRECT], true),
        (vec![POST], false),
    ] {
        let idp = Idp::start().await;
        idp.state().metadata.logout_bindings = bindings.clone();
        let menshen = start_menshen(&idp, "").await;
        signed_in(&menshen, &idp, "zhangsan").await;
        let request = LogoutMessage::request("p-zhangsan", None, idp.clock.now());
        let answer = send(&menshen, By::Redirect, &request, &honest()).await;
        assert_success(&idp, &answer, &request);
        assert_eq!(
            answer.header("location").is_some(),
            is_redirect,
            "{bindings:?}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[tokio::test]
async fn a_failure_of_the_store_is_reported_so_that_the_message_can_be_repeated() {
    let idp = Idp::start().await;
    let dir = TempDir::new();
    let menshen = setup(&idp, "").store(&dir.url()).start().await;
    let (mut browser, index) = signed_in(&menshen, &idp, "zhangsan").await;
    let request = LogoutMessage::request("p-zhangsan", Some(&index), idp.clock.now());
    let mut meddler = crate::stores::Meddler::at(&dir.url()).await;
    meddler
        .run("ALTER TABLE menshen_revocation RENAME TO hidden")
        .await;
    let answer = send(&menshen, By::Post, &request, &honest()).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    meddler
        .run("ALTER TABLE hidden RENAME TO menshen_revocation")
        .await;
    let answer = send(&menshen, By::Post, &request, &honest()).await;
    assert_success(&idp, &answer, &request);
    assert!(!is_signed_in(&mut browser).await);
    assert!(!answer.text().contains(HTTPS) || answer.status == 200);
}
