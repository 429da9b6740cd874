//! The administrator's listener: who may use it, and what its API reads and changes.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::forwarding::upgrades::open_websocket;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::wire::{self, Answer};

mod access_tokens;
mod broker;
mod closing;
mod connectors;
mod degraded;
mod description;
mod dns_rebinding;
mod errors;
mod exposure;
mod guessing;
mod local_entitlements;
mod monitoring;
mod other_site;
mod people;
mod sessions;
mod store_failures;
mod sync;
mod tokens;

pub(crate) const TOKEN: &str = "correct-horse-battery-staple";

/// Every path of the API with its method and, if it changes something, a body that is accepted; and a path
/// that does not exist.
const API_REQUESTS: [(&str, &str, &str); 48] = [
    ("GET", "/api/sessions", ""),
    ("DELETE", "/api/sessions/AAAAAAAAAAAAAAAAAAAAAA", ""),
    ("POST", "/api/revoke", "{\"everyone\": true}"),
    ("POST", "/api/accounts/AAAAAAAAAAAAAAAAAAAAAA/close", ""),
    ("POST", "/api/accounts/AAAAAAAAAAAAAAAAAAAAAA/open", ""),
    ("GET", "/api/people", ""),
    ("POST", "/api/people", "login\nsomebody\n"),
    ("GET", "/api/people/nobody", ""),
    ("PATCH", "/api/people/nobody", "{\"mobile\": null}"),
    ("POST", "/api/people/nobody/close", ""),
    ("POST", "/api/people/nobody/open", ""),
    ("GET", "/api/people/nobody/access", ""),
    ("GET", "/api/people/nobody/tokens", ""),
    (
        "DELETE",
        "/api/people/nobody/tokens/AAAAAAAAAAAAAAAAAAAAAA",
        "",
    ),
    ("DELETE", "/api/people/nobody/identities/corp/somebody", ""),
    ("GET", "/api/routes/app/people", ""),
    ("GET", "/api/connectors", ""),
    ("GET", "/api/connectors/corp/token", ""),
    (
        "POST",
        "/api/connectors/corp/token/rejected",
        "{\"access_token\": \"x\"}",
    ),
    ("GET", "/api/connectors/corp/people", ""),
    (
        "POST",
        "/api/connectors/corp/people",
        "login,name\nsomebody,x\n",
    ),
    ("GET", "/api/connectors/corp/people/nobody", ""),
    (
        "POST",
        "/api/connectors/corp/people/nobody",
        "{\"password\": \"eight characters\"}",
    ),
    (
        "PATCH",
        "/api/connectors/corp/people/nobody",
        "{\"name\": null}",
    ),
    (
        "POST",
        "/api/connectors/corp/people/nobody/password",
        "{\"password\": \"eight characters\"}",
    ),
    ("DELETE", "/api/connectors/corp/people/nobody", ""),
    ("GET", "/api/connectors/corp", ""),
    ("PUT", "/api/connectors/corp", "{}"),
    ("DELETE", "/api/connectors/corp", ""),
    ("POST", "/api/connectors/corp/test", ""),
    ("POST", "/api/connectors/none/enable", ""),
    ("POST", "/api/connectors/none/disable", ""),
    ("GET", "/api/login", ""),
    ("PUT", "/api/login", "{}"),
    (
        "POST",
        "/api/mapping/preview",
        "{\"connector\": \"corp\", \"profile\": {}}",
    ),
    ("GET", "/api/config/versions", ""),
    ("GET", "/api/config/versions/1", ""),
    ("POST", "/api/config/rollback", "{\"version\": 1}"),
    ("GET", "/api/config/export", ""),
    ("POST", "/api/config/import", "{}"),
    ("POST", "/api/connectors/corp/enable", ""),
    ("GET", "/api/sync/corp", ""),
    ("POST", "/api/sync/corp", ""),
    ("POST", "/api/sync/corp/department/1", ""),
    ("POST", "/api/sync/corp/person/nobody", ""),
    ("GET", "/api/audit", ""),
    ("GET", "/api/audit/download", ""),
    ("GET", "/api/no-such-thing", ""),
];

pub(crate) fn setup() -> Setup {
    Setup::default().tables(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         wrong_tokens_per_client_per_minute = 1000000\n"
    ))
}

fn admin_address(menshen: &Menshen) -> SocketAddr {
    menshen
        .running
        .admin_address()
        .expect("there is an admin listener")
}

pub(crate) async fn send_request(
    menshen: &Menshen,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    send_request_to(admin_address(menshen), method, path, headers, body).await
}

pub(crate) async fn send_request_to(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    );
    wire::send(address, request.as_bytes()).await
}

/// Sends an API request with the token.
pub(crate) async fn call_api(menshen: &Menshen, method: &str, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    send_request(
        menshen,
        method,
        path,
        &format!("Authorization: Bearer {TOKEN}\r\n"),
        &body,
    )
    .await
}

async fn list_sessions(menshen: &Menshen, login: &str) -> Vec<Value> {
    let answer = call_api(
        menshen,
        "GET",
        &format!("/api/sessions?login={login}"),
        &Value::Null,
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["sessions"].as_array().unwrap().clone()
}

pub(crate) async fn sign_in_as(menshen: &Menshen, userid: &str) -> Browser {
    let mut browser = Browser::new(menshen);
    let page = browser.sign_in(&format!("{SSO_URL}/echo"), userid).await;
    assert_eq!(page.answer.status, 200);
    browser
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit(&format!("{SSO_URL}/echo")).await.status == 200
}

#[tokio::test]
async fn only_the_token_opens_the_api() {
    let menshen = setup().start().await;
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    let invalid_headers = [
        String::new(),
        "Authorization: Bearer wrong\r\n".to_owned(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Basic {TOKEN}\r\n"),
        format!("Authorization: {TOKEN}\r\n"),
        format!("Authorization: Bearer {TOKEN}x\r\n"),
        format!("Authorization: Bearer {}\r\n", &TOKEN[1..]),
        format!("Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\n"),
        format!("X-Token: {TOKEN}\r\nCookie: token={TOKEN}\r\n"),
    ];
    for (method, path, body) in API_REQUESTS {
        for headers in &invalid_headers {
            let answer = send_request(&menshen, method, path, headers, body).await;
            assert_eq!(answer.status, 401, "{method} {path} {headers:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(!answer.text().contains("zhangsan"));
        }
        let query = format!("{path}?token={TOKEN}&access_token={TOKEN}");
        assert_eq!(
            send_request(&menshen, method, &query, "", body)
                .await
                .status,
            401
        );
        assert_ne!(
            call_api(&menshen, method, path, &Value::Null).await.status,
            401,
            "{path}"
        );
    }
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn without_a_configured_token_there_is_no_api() {
    let menshen = Setup::default()
        .tables("[admin]\nlisten = \"127.0.0.1:0\"\n")
        .start()
        .await;
    for (method, path, body) in API_REQUESTS {
        for headers in [
            "",
            "Authorization: Bearer \r\n",
            "Authorization: Bearer x\r\n",
        ] {
            assert_eq!(
                send_request(&menshen, method, path, headers, body)
                    .await
                    .status,
                404,
                "{path}"
            );
        }
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(
            send_request(&menshen, "GET", path, "", "").await.status,
            200,
            "{path}"
        );
    }
}

#[tokio::test]
async fn get_changes_nothing_and_post_shows_nothing() {
    let menshen = setup().start().await;
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    let session = list_sessions(&menshen, "zhangsan").await.remove(0);
    let (id, account) = (
        session["id"].as_str().unwrap(),
        session["account"].as_str().unwrap(),
    );
    for path in [
        format!("/api/sessions/{id}"),
        "/api/revoke".to_owned(),
        format!("/api/accounts/{account}/close"),
        format!("/api/accounts/{account}/open"),
        "/api/people/zhangsan/close".to_owned(),
        "/api/people/zhangsan/open".to_owned(),
    ] {
        for method in ["GET", "HEAD", "OPTIONS", "PUT"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\
                 Connection: close\r\n\r\n"
            );
            let answer = wire::send(admin_address(&menshen), request.as_bytes()).await;
            assert_eq!(answer.status, 405, "{method} {path}");
        }
    }
    for path in ["/metrics", "/healthz", "/readyz", "/api/sessions"] {
        let answer = call_api(&menshen, "POST", path, &Value::Null).await;
        assert_eq!(answer.status, 405, "{path}");
        assert!(
            answer
                .header("allow")
                .is_some_and(|allow| allow.contains("GET"))
        );
    }
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn an_ended_session_is_refused_on_its_next_request() {
    let menshen = setup().start().await;
    let (mut desk, mut phone) = (
        sign_in_as(&menshen, "zhangsan").await,
        sign_in_as(&menshen, "zhangsan").await,
    );
    let mut other = sign_in_as(&menshen, "lisi").await;
    let value = &desk.cookie("menshen").unwrap().value;
    let mut socket = open_websocket(
        &menshen,
        "sso.test",
        &format!("Cookie: menshen={value}\r\n"),
    )
    .await;
    let sessions = list_sessions(&menshen, "zhangsan").await;
    assert_eq!(sessions.len(), 2);
    assert!(
        sessions
            .iter()
            .all(|session| session["connector"] == "corp")
    );
    // Both sessions look alike in the list; end them one by one.
    let end = |at: usize| format!("/api/sessions/{}", sessions[at]["id"].as_str().unwrap());
    assert!(is_signed_in(&mut desk).await && is_signed_in(&mut phone).await);
    assert_eq!(
        call_api(&menshen, "DELETE", &end(0), &Value::Null)
            .await
            .status,
        200
    );
    let still_signed_in = (
        is_signed_in(&mut desk).await,
        is_signed_in(&mut phone).await,
    );
    assert!(
        still_signed_in.0 != still_signed_in.1,
        "{still_signed_in:?}"
    );
    assert_eq!(list_sessions(&menshen, "zhangsan").await.len(), 1);
    assert_eq!(
        call_api(&menshen, "DELETE", &end(1), &Value::Null)
            .await
            .status,
        200
    );
    assert!(!is_signed_in(&mut desk).await && !is_signed_in(&mut phone).await);
    // The WebSocket of an ended session gets a close frame with code 1008.
    assert_eq!(socket.read_to_end().await, [0x88, 2, 0x03, 0xf0]);
    assert!(is_signed_in(&mut other).await);
    // A session cannot be ended twice, nor an unknown one.
    assert_eq!(
        call_api(&menshen, "DELETE", &end(0), &Value::Null)
            .await
            .status,
        404
    );
    for id in ["x", "AAAAAAAAAAAAAAAAAAAAAA", "%2e%2e", ""] {
        let answer = call_api(
            &menshen,
            "DELETE",
            &format!("/api/sessions/{id}"),
            &Value::Null,
        )
        .await;
        assert_eq!(answer.status, 404, "{id}");
    }
}

#[tokio::test]
async fn sessions_of_an_account_a_connector_and_everyone_end_at_once() {
    let menshen = setup().start().await;
    let account = {
        sign_in_as(&menshen, "zhangsan").await;
        let sessions = list_sessions(&menshen, "zhangsan").await;
        sessions[0]["account"].clone()
    };
    for (body, others_continue) in [
        (json!({ "login": "zhangsan" }), true),
        (json!({ "login": "ZhangSan" }), true),
        (json!({ "account": account }), true),
        (json!({ "connector": "corp" }), false),
        (json!({ "everyone": true }), false),
    ] {
        let (mut desk, mut phone) = (
            sign_in_as(&menshen, "zhangsan").await,
            sign_in_as(&menshen, "zhangsan").await,
        );
        let mut other = sign_in_as(&menshen, "lisi").await;
        let answer = call_api(&menshen, "POST", "/api/revoke", &body).await;
        assert_eq!(answer.status, 200, "{body}: {}", answer.text());
        assert!(
            !is_signed_in(&mut desk).await && !is_signed_in(&mut phone).await,
            "{body}"
        );
        assert_eq!(is_signed_in(&mut other).await, others_continue, "{body}");
        // A login that begins at the time of the revocation is refused, so the clock advances.
        menshen.advance(Duration::from_secs(1));
        // Everyone can sign in again.
        assert!(is_signed_in(&mut sign_in_as(&menshen, "zhangsan").await).await);
    }
}

#[tokio::test]
async fn a_malformed_revocation_ends_no_session() {
    let menshen = setup().start().await;
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    let long = "x".repeat(20_000);
    for (body, status) in [
        ("", 400),
        ("{}", 400),
        ("null", 400),
        ("{\"everyone\": false}", 400),
        ("{\"everyone\": 1}", 400),
        ("{\"login\": \"zhangsan\", \"everyone\": true}", 400),
        ("{\"login\": [\"zhangsan\"]}", 400),
        ("{\"account\": \"*\"}", 400),
        ("{\"login\": \"nobody\"}", 404),
        ("{\"connector\": \"no such\"}", 400),
        (&long, 413),
    ] {
        let headers = format!("Authorization: Bearer {TOKEN}\r\n");
        let answer = send_request(&menshen, "POST", "/api/revoke", &headers, body).await;
        assert_eq!(answer.status, status, "{body:.80}: {}", answer.text());
    }
    for query in [
        "login=nobody",
        "login=a&account=b",
        "max=x",
        "what=ever",
        "account=x",
    ] {
        let answer = call_api(
            &menshen,
            "GET",
            &format!("/api/sessions?{query}"),
            &Value::Null,
        )
        .await;
        assert!(
            [400, 404].contains(&answer.status),
            "{query}: {}",
            answer.status
        );
    }
    assert!(is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn a_closed_account_cannot_sign_in_until_it_is_opened() {
    let menshen = setup().start().await;
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    let account = list_sessions(&menshen, "zhangsan").await[0]["account"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = |what: &str| format!("/api/accounts/{account}/{what}");
    assert_eq!(
        call_api(&menshen, "POST", &path("close"), &Value::Null)
            .await
            .status,
        200
    );
    assert!(!is_signed_in(&mut browser).await);
    let page = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(page.answer.status, 403, "{}", page.answer.text());
    assert_eq!(
        call_api(&menshen, "POST", &path("open"), &Value::Null)
            .await
            .status,
        200
    );
    menshen.advance(Duration::from_secs(1));
    // Ended sessions stay ended; a new login works.
    assert!(!is_signed_in(&mut browser).await);
    assert!(is_signed_in(&mut sign_in_as(&menshen, "zhangsan").await).await);
    let unknown_account = "/api/accounts/AAAAAAAAAAAAAAAAAAAAAA/close";
    assert_eq!(
        call_api(&menshen, "POST", unknown_account, &Value::Null)
            .await
            .status,
        404
    );
}
