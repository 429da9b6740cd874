//! Programs that present the proxy ticket of a person at the callback URL.

use serde_json::Value;

use super::server::{CasServer, PROXY};
use super::{CALLBACK, last_refusal, setup, start_menshen};
use crate::setup::{Menshen, run};
use crate::stores::TempDir;
use crate::test_request::TestRequest;
use crate::wire::Answer;

fn with_proxy() -> String {
    format!("proxies = ['{PROXY}']")
}

/// The request of a program with this ticket.
fn request(ticket: &str) -> TestRequest {
    TestRequest::get(&format!("/.menshen/callback/portal?ticket={ticket}"))
        .header("Accept", "application/json")
}

async fn present(menshen: &Menshen, ticket: &str) -> Answer {
    request(ticket).send(menshen).await
}

/// The value of the session cookie that an answer sets.
fn session_cookie(answer: &Answer) -> Option<String> {
    let mut lines = answer.header_values("set-cookie");
    let line = lines.find_map(|line| line.strip_prefix("menshen="))?;
    let value = line.split(';').next()?;
    (!value.is_empty()).then(|| value.to_owned())
}

async fn assert_works(menshen: &Menshen, answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let cookie = session_cookie(answer).expect("a session cookie");
    let page = TestRequest::get("/echo")
        .session(&cookie)
        .send(menshen)
        .await;
    assert_eq!(page.echoed("x-forwarded-user"), ["zhangsan"]);
}

/// Asserts that a request was refused with a JSON problem and without a session.
fn assert_no_session(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert_eq!(session_cookie(answer), None, "{what}");
}

#[tokio::test]
async fn a_program_gets_a_session_for_the_proxy_ticket_of_a_person() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, &with_proxy()).await;
    let answer = present(&menshen, &server.proxy_ticket(CALLBACK, PROXY)).await;
    assert_works(&menshen, &answer).await;
    let body = answer.json();
    assert_eq!(body["expires_in"], 12 * 3600);
    assert_eq!(body.as_object().map(|members| members.len()), Some(1));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let (path, query) = server.validations().pop().unwrap();
    assert_eq!(
        (path.as_str(), query["service"].as_str()),
        ("/p3/proxyValidate", CALLBACK)
    );
    let record = menshen.audit().pop().unwrap();
    assert_eq!(
        (&record["event"], &record["subject"]),
        (&Value::from("login"), &Value::from("zhangsan"))
    );
}

#[tokio::test]
async fn a_proxy_ticket_of_an_unlisted_proxy_or_another_service_is_refused() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, &with_proxy()).await;
    for (service, proxy, reason) in [
        (CALLBACK, "https://other.corp.example/", "does not list"),
        ("https://other.corp.example/", PROXY, "INVALID_SERVICE"),
        (&format!("{CALLBACK}?state=x"), PROXY, "INVALID_SERVICE"),
    ] {
        let answer = present(&menshen, &server.proxy_ticket(service, proxy)).await;
        assert_no_session(&answer, 400, reason);
        assert_eq!(answer.json()["status"], 400, "{reason}");
        assert!(last_refusal(&menshen).contains(reason), "{reason}");
    }
    // An answer that names no proxy does not say that a listed one asked.
    server.answer_next(&super::server::success("<cas:user>zhangsan</cas:user>"));
    let answer = present(&menshen, &server.proxy_ticket(CALLBACK, PROXY)).await;
    assert_no_session(&answer, 400, "no proxies");
    assert!(last_refusal(&menshen).contains("does not name the proxies"));
    let answer = present(&menshen, "PT-1-unknown").await;
    assert_no_session(&answer, 400, "unknown");
    assert!(last_refusal(&menshen).contains("INVALID_TICKET"));
    assert_works(
        &menshen,
        &present(&menshen, &server.proxy_ticket(CALLBACK, PROXY)).await,
    )
    .await;
}

#[tokio::test]
async fn without_proxies_no_ticket_of_a_program_counts_and_the_server_is_not_asked() {
    let server = CasServer::start().await;
    for version in ["1.0", "2.0", "3.0"] {
        let menshen = start_menshen(&server, &format!("version = '{version}'")).await;
        let answer = present(&menshen, &server.proxy_ticket(CALLBACK, PROXY)).await;
        assert_no_session(&answer, 400, version);
        assert!(last_refusal(&menshen).contains("lists no proxy"));
    }
    // A ticket for browsers is none for programs.
    let menshen = start_menshen(&server, &with_proxy()).await;
    for ticket in [
        &server.service_ticket(CALLBACK),
        "",
        "PT-1%20",
        "PT-1%26a=b",
    ] {
        assert_no_session(&present(&menshen, ticket).await, 400, ticket);
    }
    let twice = format!("{0}&ticket={0}", server.proxy_ticket(CALLBACK, PROXY));
    assert_no_session(&present(&menshen, &twice).await, 400, "twice");
    assert_eq!(server.validations().len(), 0);
}

#[tokio::test]
async fn a_proxy_ticket_counts_once_on_all_nodes() {
    let dir = TempDir::new();
    let server = CasServer::start().await;
    let menshen = setup(&server, &with_proxy())
        .store(&dir.url())
        .start()
        .await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = run(&text, &menshen.clock).await;
    let ticket = server.proxy_ticket(CALLBACK, PROXY);
    server.answer_next("OK");
    let copy = super::server::success(&format!(
        "<cas:user>zhangsan</cas:user><cas:proxies><cas:proxy>{PROXY}</cas:proxy></cas:proxies>"
    ));
    server.answer_next(&copy);
    assert_works(&menshen, &present(&menshen, &ticket).await).await;
    // This process does not ask the server again.
    assert_no_session(&present(&menshen, &ticket).await, 403, "again");
    assert_eq!(server.validations().len(), 1);
    // Another process asks a server that accepts the ticket twice, and refuses it nevertheless.
    let answer = request(&ticket).send_to(other.addresses()[0]).await;
    assert_no_session(&answer, 403, "on the other node");
    assert_eq!(server.validations().len(), 2);
}

#[tokio::test]
async fn two_requests_at_once_with_one_proxy_ticket_get_one_session() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, &with_proxy()).await;
    let ticket = server.proxy_ticket(CALLBACK, PROXY);
    let (one, two) = tokio::join!(present(&menshen, &ticket), present(&menshen, &ticket));
    let sessions = [&one, &two].map(session_cookie).into_iter().flatten();
    assert_eq!(sessions.count(), 1, "{} {}", one.status, two.status);
    assert_eq!(server.validations().len(), 1);
}

#[tokio::test]
async fn a_page_cannot_present_a_proxy_ticket() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, &with_proxy()).await;
    let ticket = server.proxy_ticket(CALLBACK, PROXY);
    let navigation = [
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ];
    let frame = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")];
    let script = |site| [("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Site", site)];
    let origin = |origin| [("Origin", origin), ("Sec-Fetch-Mode", "cors")];
    for (headers, status) in [
        (&navigation[..], 400),
        (&frame[..], 400),
        (&[("Accept", "text/html")][..], 400),
        (&script("cross-site")[..], 403),
        (&script("same-site")[..], 403),
        (&origin("https://evil.example")[..], 403),
        (&origin("http://sso.test")[..], 403),
        (&origin("null")[..], 403),
    ] {
        let target = format!("/.menshen/callback/portal?ticket={ticket}");
        let answer = TestRequest::get(&target)
            .headers(headers)
            .send(&menshen)
            .await;
        assert_no_session(&answer, status, &format!("{headers:?}"));
    }
    for (method, status) in [("HEAD", 405), ("PUT", 405), ("POST", 400)] {
        let answer = request(&ticket).method(method).send(&menshen).await;
        assert_no_session(&answer, status, method);
    }
    let unknown_state = format!("{ticket}&state={}", "a".repeat(32));
    assert_no_session(&present(&menshen, &unknown_state).await, 400, "a state");
    let elsewhere = request(&ticket).host("oa.test").send(&menshen).await;
    assert_ne!(elsewhere.status, 200);
    assert_eq!(server.validations().len(), 0);
    for site in ["none", "same-origin"] {
        let ticket = server.proxy_ticket(CALLBACK, PROXY);
        let answer = request(&ticket).headers(&script(site)).send(&menshen).await;
        assert_works(&menshen, &answer).await;
    }
    assert_works(&menshen, &present(&menshen, &ticket).await).await;
}

#[tokio::test]
async fn a_program_of_an_unknown_connector_or_of_a_server_that_is_down_gets_no_session() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, &with_proxy()).await;
    let unknown = TestRequest::get("/.menshen/callback/nobody?ticket=PT-1");
    assert_no_session(&unknown.send(&menshen).await, 400, "an unknown connector");
    let ticket = server.proxy_ticket(CALLBACK, PROXY);
    server.state().down = true;
    assert_no_session(&present(&menshen, &ticket).await, 502, "down");
    server.state().down = false;
    assert_works(&menshen, &present(&menshen, &ticket).await).await;
}
