//! Single logout: the CAS server posts to the callback URL when a person signs out there.

use std::time::Duration;

use serde_json::Value;

use super::server::CasServer;
use super::{CALLBACK, callback_url, is_signed_in, setup, sign_in, start_menshen};
use crate::browser::Browser;
use crate::setup::{Menshen, run};
use crate::stores::TempDir;
use crate::test_request::{TestRequest, repeat_until};
use crate::wire::Answer;

const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";

const NAME_ID: &str = "<saml:NameID xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">\
    zhangsan</saml:NameID>";

/// A logout message with this content.
fn message(content: &str) -> String {
    format!(
        "<samlp:LogoutRequest xmlns:samlp=\"{PROTOCOL}\" ID=\"LR-1\" Version=\"2.0\" \
         IssueInstant=\"2026-01-01T00:00:00Z\">{NAME_ID}{content}</samlp:LogoutRequest>"
    )
}

fn session_index(ticket: &str) -> String {
    format!("<samlp:SessionIndex>{ticket}</samlp:SessionIndex>")
}

fn form(message: &str) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("logoutRequest", message);
    form.finish().into_bytes()
}

/// The request with which a CAS server posts a form to a callback path, without any cookie.
pub(super) fn posted(path: &str, body: &[u8]) -> TestRequest {
    let request = TestRequest::get(path).method("POST").body(body);
    let length = body.len().to_string();
    let request = request.header("Content-Length", &length);
    request.header("Content-Type", "application/x-www-form-urlencoded")
}

async fn post(menshen: &Menshen, query: &str, body: &[u8]) -> Answer {
    let path = format!("/.menshen/callback/portal{query}");
    posted(&path, body).send(menshen).await
}

async fn log_out(menshen: &Menshen, ticket: &str) -> u16 {
    let body = form(&message(&session_index(ticket)));
    post(menshen, "", &body).await.status
}

fn last_ticket(server: &CasServer) -> String {
    server.state().issued.last().unwrap().clone()
}

fn revoked(menshen: &Menshen) -> Vec<Value> {
    let audit = menshen.audit().into_iter();
    audit.filter(|line| line["event"] == "revoked").collect()
}

#[tokio::test]
async fn a_logout_message_ends_exactly_the_session_of_its_ticket() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let (mut first, _) = sign_in(&menshen).await;
    let ticket = last_ticket(&server);
    let (mut second, _) = sign_in(&menshen).await;
    server.state().user = "lisi".to_owned();
    let (mut other, _) = sign_in(&menshen).await;
    assert_eq!(log_out(&menshen, &ticket).await, 200);
    assert!(!is_signed_in(&mut first).await);
    assert!(is_signed_in(&mut second).await && is_signed_in(&mut other).await);
    let records = revoked(&menshen);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["connector"], "portal");
    assert_eq!(records[0]["reason"], "single logout: 1 sessions");
    // The same message again, and a message with white space and a query, as some servers send them.
    assert_eq!(log_out(&menshen, &ticket).await, 200);
    let spaced = message(&session_index(&format!("\n  {}\n", last_ticket(&server))));
    let answer = post(&menshen, "?state=x&a=b", &form(&spaced)).await;
    assert_eq!((answer.status, answer.text()), (200, String::new()));
    assert!(is_signed_in(&mut second).await && !is_signed_in(&mut other).await);
}

#[tokio::test]
async fn a_logout_on_one_node_ends_the_session_on_the_other() {
    let dir = TempDir::new();
    let server = CasServer::start().await;
    let menshen = setup(&server, "").store(&dir.url()).start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = run(&text, &menshen.clock).await;
    let (browser, _) = sign_in(&menshen).await;
    let ask = TestRequest::get("/echo").session(&browser.cookie("menshen").unwrap().value);
    let there = other.addresses()[0];
    repeat_until(&ask, there, |answer| answer.status == 200).await;
    assert_eq!(log_out(&menshen, &last_ticket(&server)).await, 200);
    assert_eq!(ask.send(&menshen).await.status, 401);
    repeat_until(&ask, there, |answer| answer.status == 401).await;
}

#[tokio::test]
async fn a_login_that_is_pending_at_the_logout_creates_no_session_on_any_node() {
    let dir = TempDir::new();
    let server = CasServer::start().await;
    let menshen = setup(&server, "").store(&dir.url()).start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = run(&text, &menshen.clock).await;
    for at in [menshen.address(), other.addresses()[0]] {
        let mut browser = Browser::at(at);
        let url = callback_url(&mut browser).await;
        assert_eq!(log_out(&menshen, &last_ticket(&server)).await, 200);
        let page = browser.follow(&url).await;
        assert_ne!(page.answer.status, 200);
        assert!(!is_signed_in(&mut browser).await);
        menshen.advance(Duration::from_secs(1));
    }
    assert!(is_signed_in(&mut sign_in(&menshen).await.0).await);
}

#[tokio::test]
async fn a_message_that_names_no_known_session_ends_nothing() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let (mut browser, _) = sign_in(&menshen).await;
    let ticket = last_ticket(&server);
    let shorter = &ticket[..ticket.len() - 1];
    let foreign = format!("<SessionIndex>{ticket}</SessionIndex>");
    let nested = format!("<x>{}</x>", session_index(&ticket));
    for content in [
        String::new(),
        session_index("ST-1-unknown"),
        session_index(shorter),
        session_index(&ticket.to_uppercase()),
        foreign,
        nested,
    ] {
        let answer = post(&menshen, "", &form(&message(&content))).await;
        assert_eq!(answer.status, 200, "{content}");
        assert!(is_signed_in(&mut browser).await, "{content}");
    }
    assert_eq!(revoked(&menshen), Vec::<Value>::new());
    assert_eq!(log_out(&menshen, &ticket).await, 200);
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn a_malformed_message_is_refused_and_ends_nothing() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let (mut browser, _) = sign_in(&menshen).await;
    let ticket = last_ticket(&server);
    let index = session_index(&ticket);
    let good = message(&index);
    let twice = [form(&good), form(&good)].join(&b'&');
    let mut too_long = form(&good);
    too_long.extend(format!("&pad={}", "x".repeat(64 * 1024)).bytes());
    for body in [
        Vec::new(),
        b"ticket=x".to_vec(),
        twice,
        too_long,
        form(""),
        form(&ticket),
        form(&message(&format!("{index}{index}"))),
        form(&message(&session_index(&format!("{ticket}<x/>")))),
        form(&message(&session_index("ST 1"))),
        form(&message(&session_index(&"x".repeat(257)))),
        form(&format!("<!DOCTYPE x>{good}")),
        form(&format!("<?x y?>{good}")),
        form(&format!(
            "<!DOCTYPE x [<!ENTITY t '{ticket}'>]>{}",
            message(&session_index("&t;"))
        )),
        form(&good.replace(PROTOCOL, "urn:oasis:names:tc:SAML:1.0:protocol")),
        form(&good.replace("LogoutRequest", "LogoutResponse")),
        form(&good.replace("</samlp:LogoutRequest>", "")),
        good.into_bytes(),
    ] {
        let answer = post(&menshen, "", &body).await;
        assert_eq!(answer.status, 400, "{}", String::from_utf8_lossy(&body));
        assert!(
            is_signed_in(&mut browser).await,
            "{}",
            String::from_utf8_lossy(&body)
        );
    }
    assert_eq!(log_out(&menshen, &ticket).await, 200);
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn only_a_post_logs_out_and_only_if_the_settings_allow_it() {
    let server = CasServer::start().await;
    for (lines, post_status, allow) in [
        ("", 200, "GET, POST"),
        ("single_logout = false", 405, "GET"),
    ] {
        let menshen = start_menshen(&server, lines).await;
        let (mut browser, _) = sign_in(&menshen).await;
        let ticket = last_ticket(&server);
        let query = String::from_utf8(form(&message(&session_index(&ticket)))).unwrap();
        let target = format!("/.menshen/callback/portal?{query}");
        assert_eq!(TestRequest::get(&target).send(&menshen).await.status, 400);
        for method in ["PUT", "DELETE", "HEAD"] {
            let answer = TestRequest::get(&target)
                .method(method)
                .send(&menshen)
                .await;
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, Some(allow)),
                "{method}"
            );
        }
        assert!(is_signed_in(&mut browser).await);
        assert_eq!(log_out(&menshen, &ticket).await, post_status, "{lines}");
        assert_eq!(
            is_signed_in(&mut browser).await,
            post_status == 405,
            "{lines}"
        );
    }
}

#[tokio::test]
async fn a_failure_of_the_store_is_reported_so_that_the_server_can_repeat_the_message() {
    let dir = TempDir::new();
    let server = CasServer::start().await;
    let menshen = setup(&server, "").store(&dir.url()).start().await;
    let (mut browser, _) = sign_in(&menshen).await;
    let ticket = last_ticket(&server);
    let mut meddler = crate::stores::Meddler::at(&dir.url()).await;
    meddler
        .run("ALTER TABLE menshen_revocation RENAME TO hidden")
        .await;
    assert_eq!(log_out(&menshen, &ticket).await, 503);
    meddler
        .run("ALTER TABLE hidden RENAME TO menshen_revocation")
        .await;
    assert_eq!(log_out(&menshen, &ticket).await, 200);
    assert!(!is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn connectors_that_share_a_callback_end_only_their_own_sessions() {
    let (server, second) = (CasServer::start().await, CasServer::start().await);
    let callback = "callback = 'http://sso.test/.menshen/callback/shared'";
    let tables = server.connector_toml("").replace(
        "[connector.portal]\n",
        &format!("[connector.portal]\n{callback}\n"),
    );
    let other = second.connector_toml("").replace(
        "[connector.portal]\n",
        &format!("[connector.portal]\n{callback}\n"),
    );
    let other = other.replace("connector.portal", "connector.second");
    let menshen = setup(&server, "").tables(&format!("{tables}{other}"));
    let menshen = menshen.start().await;
    let mut first = Browser::new(&menshen);
    let page = first.follow(&super::start_url()).await;
    super::assert_signed_in(&page, "zhangsan", "the first server");
    second.state().user = "lisi".to_owned();
    let mut other = Browser::new(&menshen);
    let page = other
        .follow(&super::start_url().replace("portal", "second"))
        .await;
    super::assert_signed_in(&page, "lisi", "the second server");
    let body = form(&message(&session_index(&last_ticket(&second))));
    let request = posted("/.menshen/callback/shared", &body);
    assert_eq!(request.send(&menshen).await.status, 200);
    assert!(is_signed_in(&mut first).await && !is_signed_in(&mut other).await);
    assert!(!server.queries("/login")[0]["service"].starts_with(CALLBACK));
}
