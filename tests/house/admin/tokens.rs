//! Named tokens of the admin API: who they are in the audit log, and what they may do.

use menshen::config::Config;
use menshen::telemetry::error_chain;
use serde_json::json;

use super::{API_REQUESTS, TOKEN, list_sessions, send_request, sign_in_as};
use crate::setup::{Menshen, Setup};
use crate::wire::Answer;

pub(super) const OPERATOR: &str = "token-of-the-operator";
pub(super) const VIEWER: &str = "token-of-the-viewer";

/// A site with the unnamed token, one of an operator, and one that may only read.
pub(super) fn setup_with_tokens() -> Setup {
    Setup::default().tables(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         [[admin.tokens]]\nname = \"operator\"\ntoken = \"{OPERATOR}\"\n\
         [[admin.tokens]]\nname = \"viewer\"\ntoken = \"{VIEWER}\"\nview = true\n"
    ))
}

pub(super) async fn with_token(
    menshen: &Menshen,
    token: &str,
    (method, path, body): (&str, &str, &str),
) -> Answer {
    let headers = format!("Authorization: Bearer {token}\r\n");
    send_request(menshen, method, path, &headers, body).await
}

#[tokio::test]
async fn the_audit_log_and_the_history_name_the_token_of_every_change() {
    let menshen = setup_with_tokens().start().await;
    for (token, name) in [(TOKEN, "token:admin"), (OPERATOR, "token:operator")] {
        let _browser = sign_in_as(&menshen, "zhangsan").await;
        let session = list_sessions(&menshen, "zhangsan").await.remove(0);
        let session = format!("/api/sessions/{}", session["id"].as_str().unwrap());
        for (request, event) in [
            (("DELETE", &*session, ""), "revoked"),
            (
                ("POST", "/api/revoke", r#"{"login":"zhangsan"}"#),
                "revoked",
            ),
            (
                ("POST", "/api/revoke", r#"{"connector":"corp"}"#),
                "revoked",
            ),
            (("POST", "/api/revoke", r#"{"everyone":true}"#), "revoked"),
            (
                ("PATCH", "/api/people/zhangsan", r#"{"mobile":"1"}"#),
                "changed",
            ),
            (("POST", "/api/people/zhangsan/close", ""), "closed"),
            (("POST", "/api/people/zhangsan/open", ""), "opened"),
            (("POST", "/api/people", "login\nsomebody\n"), "imported"),
        ] {
            let answer = with_token(&menshen, token, request).await;
            assert_eq!(answer.status, 200, "{request:?}: {}", answer.text());
            let record = menshen.audit().pop().unwrap();
            assert_eq!(record["event"], event, "{record}");
            assert_eq!(record["by"], name, "{record}");
        }
        let shown = with_token(&menshen, VIEWER, ("GET", "/api/people/zhangsan", "")).await;
        assert_eq!(shown.json()["history"][0]["by"], name);
        // A login that begins at the time of the revocation is refused, so the clock advances.
        menshen.advance(std::time::Duration::from_secs(1));
    }
}

#[tokio::test]
async fn a_token_for_viewing_changes_nothing() {
    let menshen = setup_with_tokens().start().await;
    let _browser = sign_in_as(&menshen, "zhangsan").await;
    for request @ (method, path, _) in API_REQUESTS {
        let status = with_token(&menshen, VIEWER, request).await.status;
        match (method, path) {
            (_, "/api/no-such-thing") => assert_eq!(status, 404),
            ("GET", "/api/connectors/corp/token") => assert_eq!(status, 403),
            ("GET", _) => assert!([200, 404].contains(&status), "{path}: {status}"),
            _ => assert_eq!(status, 403, "{method} {path}"),
        }
    }
    assert_eq!(list_sessions(&menshen, "zhangsan").await.len(), 1);
    for record in menshen.audit() {
        let event = record["event"].as_str().unwrap();
        assert!(["login", "refused"].contains(&event), "{record}");
    }
    let revoke = ("POST", "/api/revoke", r#"{"everyone":true}"#);
    assert_eq!(with_token(&menshen, OPERATOR, revoke).await.status, 200);
    assert_eq!(
        list_sessions(&menshen, "zhangsan").await,
        Vec::<serde_json::Value>::new()
    );
}

/// Why menshen refuses a configuration with these lines in `[admin]`.
async fn refusal(lines: &str) -> String {
    let text = format!(
        "[server]\nexternal_url = \"https://sso.test\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         token = \"{TOKEN}\"\n{lines}"
    );
    match Config::parse(&text, "test.toml") {
        Err(error) => error.to_string(),
        Ok(config) => {
            let refused = menshen::run::dry_run(&config).await;
            error_chain(&refused.expect_err("the tokens are refused")).to_string()
        }
    }
}

#[tokio::test]
async fn names_and_tokens_are_unique() {
    for (name, expected) in [
        ("admin", "another token is named admin"),
        ("two words", "a name has letters, digits"),
        ("", "a name has letters, digits"),
    ] {
        let table = format!("[[admin.tokens]]\nname = \"{name}\"\ntoken = \"{OPERATOR}\"\n");
        let error = refusal(&table).await;
        assert!(error.contains(expected), "{name}: {error}");
    }
    let same = format!("[[admin.tokens]]\nname = \"operator\"\ntoken = \"{TOKEN}\"\n");
    let error = refusal(&same).await;
    assert!(
        error.contains("the tokens named admin and operator are the same"),
        "{error}"
    );
    assert!(!error.contains(TOKEN), "{error}");
}

#[tokio::test]
async fn named_tokens_alone_open_the_api() {
    let table = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n\
         [[admin.tokens]]\nname = \"viewer\"\ntoken = \"{VIEWER}\"\nview = true\n"
    );
    let menshen = Setup::default().tables(&table).start().await;
    let list = ("GET", "/api/sessions", "");
    let listed = with_token(&menshen, VIEWER, list).await;
    assert_eq!(listed.json(), json!({ "sessions": [] }));
    assert_eq!(with_token(&menshen, TOKEN, list).await.status, 401);
}
