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
use super::response::{ASSERTION, EMAIL, PERSISTENT, PROTOCOL, SUCCESS};
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
pub(super) enum By {
    Redirect,
    Post,
}

pub(super) const BOTH_BINDINGS: [By; 2] = [By::Redirect, By::Post];

/// Sends a message without any cookie, as an identity provider itself does.
pub(super) async fn send(
    menshen: &Menshen,
    by: By,
    message: &LogoutMessage,
    signer: &Signer,
) -> Answer {
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

pub(super) async fn send_query(menshen: &Menshen, query: &str) -> Answer {
    new_browser(menshen)
        .visit(&format!("{LOGOUT}?{query}"))
        .await
}

pub(super) async fn send_form(menshen: &Menshen, form: &str) -> Answer {
    let mut browser = new_browser(menshen);
    browser.send("POST", LOGOUT, &HTML, form.as_bytes()).await
}

/// The session index of the last login.
fn last_index(idp: &Idp) -> String {
    idp.state().sessions.last().unwrap().0.clone()
}

pub(super) async fn signed_in(menshen: &Menshen, idp: &Idp, person: &str) -> (Browser, String) {
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

pub(super) fn assert_success(idp: &Idp, answer: &Answer, request: &LogoutMessage) {
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

pub(super) fn revoked(menshen: &Menshen) -> Vec<Value> {
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

#[tokio::test]
async fn after_a_failure_of_the_store_every_named_session_has_ended_and_a_repetition_succeeds() {
    let idp = Idp::start().await;
    let dir = TempDir::new();
    let menshen = setup(&idp, "").store(&dir.url()).start().await;
    let (mut first, one) = signed_in(&menshen, &idp, "zhangsan").await;
    let (mut second, two) = signed_in(&menshen, &idp, "zhangsan").await;
    let (mut third, _) = signed_in(&menshen, &idp, "zhangsan").await;
    let mut request = LogoutMessage::request("p-zhangsan", Some(&one), idp.clock.now());
    request.content.push_str(&session_index(&two));
    let mut meddler = crate::stores::Meddler::at(&dir.url()).await;
    meddler
        .run("ALTER TABLE menshen_revocation RENAME TO hidden")
        .await;
    let answer = send(&menshen, By::Post, &request, &honest()).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(!is_signed_in(&mut first).await && !is_signed_in(&mut second).await);
    meddler
        .run("ALTER TABLE hidden RENAME TO menshen_revocation")
        .await;
    let sessions = &menshen.running.live().services().sessions;
    crate::sessions::eventually("written", async || sessions.retry_pending(0).await == 0).await;
    // Not in this process alone.
    let other = setup(&idp, "").store(&dir.url()).start().await;
    for ended in [&first, &second] {
        let mut there = ended.clone().moved_to(other.address());
        assert!(!is_signed_in(&mut there).await);
    }
    assert!(is_signed_in(&mut third).await, "it is not named");
    let answer = send(&menshen, By::Post, &request, &honest()).await;
    assert_success(&idp, &answer, &request);
    let answer = send(&menshen, By::Post, &request, &honest()).await;
    assert_eq!(answer.status, 400, "the provider knows: {}", answer.text());
    assert!(is_signed_in(&mut third).await);
}
