//! The token broker: an admin token with `broker` gets the application's token of a connector, and nothing
//! else; no other token gets it.

use std::time::Duration;

use menshen::config::Config;

use super::exposure::metric;
use super::tokens::with_token;
use super::{API_REQUESTS, TOKEN, is_signed_in, sign_in_as};
use crate::records::Records;
use crate::setup::{Menshen, Setup};
use crate::troubles::TOKEN as GET_TOKEN;

const BROKER: &str = "token-of-the-payroll-program";
const VIEWER: &str = "token-of-the-viewer";
const ISSUE: (&str, &str, &str) = ("GET", "/api/connectors/corp/token", "");
const REJECTED: &str = "/api/connectors/corp/token/rejected";

fn setup_with_broker() -> Setup {
    Setup::default().tables(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n\
         [[admin.tokens]]\nname = \"payroll\"\ntoken = \"{BROKER}\"\nbroker = [\"corp\"]\n\
         [[admin.tokens]]\nname = \"viewer\"\ntoken = \"{VIEWER}\"\nview = true\n"
    ))
}

/// Fetches the application's token.
async fn app_token(menshen: &Menshen) -> String {
    let answer = with_token(menshen, BROKER, ISSUE).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

async fn report(menshen: &Menshen, app_token: &str) -> u16 {
    let body = format!(r#"{{"access_token":"{app_token}"}}"#);
    let answer = with_token(menshen, BROKER, ("POST", REJECTED, &body)).await;
    if answer.status == 429 {
        let retry_after = answer.header("retry-after").unwrap();
        assert!((1..=60).contains(&retry_after.parse::<u32>().unwrap()));
    }
    answer.status
}

#[tokio::test]
async fn programs_and_menshen_use_one_token() {
    let menshen = setup_with_broker().start().await;
    let answer = with_token(&menshen, BROKER, ISSUE).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let expires_in = answer.json()["expires_in"].as_u64().unwrap();
    assert!((1..=7200).contains(&expires_in), "{expires_in}");
    let first = app_token(&menshen).await;
    assert_eq!(answer.json()["access_token"], first);
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    assert!(is_signed_in(&mut browser).await);
    assert_eq!(menshen.wecom.calls(GET_TOKEN), 1);
    // After `expires_in` there is the next one.
    menshen.advance(Duration::from_secs(expires_in));
    app_token(&menshen).await;
    assert_eq!(menshen.wecom.calls(GET_TOKEN), 2);
}

#[tokio::test]
async fn a_rejected_token_is_replaced_but_not_too_often() {
    let menshen = setup_with_broker().start().await;
    let first = app_token(&menshen).await;
    assert_eq!(report(&menshen, "some-other-token").await, 200);
    assert_eq!(app_token(&menshen).await, first);
    assert_eq!(menshen.wecom.calls(GET_TOKEN), 1);
    menshen.wecom.revoke_tokens();
    assert_eq!(report(&menshen, &first).await, 200);
    let second = app_token(&menshen).await;
    assert_ne!(second, first);
    // A second report of the first token costs nothing.
    assert_eq!(report(&menshen, &first).await, 200);
    assert_eq!(app_token(&menshen).await, second);
    menshen.wecom.revoke_tokens();
    assert_eq!(report(&menshen, &second).await, 429);
    assert_eq!(app_token(&menshen).await, second);
    menshen.advance(Duration::from_secs(60));
    assert_eq!(report(&menshen, &second).await, 200);
    assert_ne!(app_token(&menshen).await, second);
    assert_eq!(menshen.wecom.calls(GET_TOKEN), 3);
    let line = |outcome: &str| {
        format!("menshen_app_tokens_total{{connector=\"corp\",outcome=\"{outcome}\"}}")
    };
    for (outcome, expected) in [("rejected", 4.0), ("limited", 1.0), ("issued", 6.0)] {
        assert_eq!(
            metric(&menshen, &line(outcome)).await,
            expected,
            "{outcome}"
        );
    }
}

#[tokio::test]
async fn no_other_admin_token_gets_the_token() {
    let menshen = setup_with_broker().start().await;
    let body = r#"{"access_token":"x"}"#;
    for token in [TOKEN, VIEWER] {
        for request in [ISSUE, ("POST", REJECTED, body)] {
            let answer = with_token(&menshen, token, request).await;
            assert_eq!(answer.status, 403, "{request:?}: {}", answer.text());
            assert!(answer.text().contains("broker"), "{}", answer.text());
        }
    }
    let refused = menshen.audit().pop().unwrap();
    assert_eq!(refused["event"], "refused");
    assert_eq!(
        (&refused["by"], &refused["connector"]),
        (&"token:viewer".into(), &"corp".into())
    );
    assert_eq!(with_token(&menshen, "wrong", ISSUE).await.status, 401);
    assert_eq!(menshen.wecom.calls(GET_TOKEN), 0);
}

#[tokio::test]
async fn a_broker_token_may_do_nothing_else() {
    let menshen = setup_with_broker().start().await;
    let mut browser = sign_in_as(&menshen, "zhangsan").await;
    for request @ (method, path, _) in API_REQUESTS {
        let status = with_token(&menshen, BROKER, request).await.status;
        let expected = match path {
            "/api/no-such-thing" => 404,
            ISSUE_PATH => 200,
            REJECTED => 200,
            _ => 403,
        };
        assert_eq!(status, expected, "{method} {path}");
    }
    for path in [
        "/api/connectors/other/token",
        "/api/connectors/%2e%2e/token",
        "/api/explain",
    ] {
        let status = with_token(&menshen, BROKER, ("GET", path, "")).await.status;
        assert!([400, 403].contains(&status), "{path}: {status}");
    }
    assert!(is_signed_in(&mut browser).await);
}

const ISSUE_PATH: &str = ISSUE.1;

#[tokio::test]
async fn a_refusal_of_the_source_is_answered_with_its_remedy() {
    let menshen = setup_with_broker().start().await;
    menshen.wecom.fail(GET_TOKEN, 40001, 1);
    for _ in 0..3 {
        let answer = with_token(&menshen, BROKER, ISSUE).await;
        assert_eq!(answer.status, 502, "{}", answer.text());
        assert!(
            answer.text().contains("copy the Secret"),
            "{}",
            answer.text()
        );
        assert!(!answer.text().contains(crate::wecom::SECRET));
    }
    assert_eq!(menshen.wecom.calls(GET_TOKEN), 1);
    assert_eq!(menshen.audit().pop().unwrap()["event"], "app-token");
}

#[tokio::test]
async fn the_audit_log_names_who_got_a_token_and_no_log_has_it() {
    let log = Records::process_log();
    let menshen = setup_with_broker().start().await;
    let token = app_token(&menshen).await;
    let record = menshen.audit().pop().unwrap();
    assert_eq!(
        (&record["event"], &record["by"], &record["connector"]),
        (&"app-token".into(), &"token:payroll".into(), &"corp".into())
    );
    assert_eq!(report(&menshen, &token).await, 200);
    let record = menshen.audit().pop().unwrap();
    assert_eq!(record["event"], "app-token-rejected");
    sign_in_as(&menshen, "zhangsan").await;
    for secret in [token.as_str(), BROKER] {
        assert!(!log.text().contains(secret), "the log has {secret}");
        assert!(!menshen.records.text().contains(secret));
    }
}

#[test]
fn a_broker_token_names_connectors_that_have_such_a_token() {
    let site = "[server]\nexternal_url = \"https://sso.test\"\n\
         [connector.corp.wecom]\ncorp_id = \"ww1\"\nagent_id = 7\nsecret = \"s\"\n\
         [connector.idp.oidc]\nissuer = \"https://id.test\"\nclient_id = \"x\"\nclient_secret = \"s\"\n\
         [admin]\nlisten = \"127.0.0.1:0\"\n\
         [[admin.tokens]]\nname = \"payroll\"\ntoken = { env = \"X\" }\n";
    let parse = |line: &str| Config::parse(&format!("{site}{line}\n"), "test.toml");
    for (line, expected) in [
        ("broker = []", "broker names no connector"),
        ("broker = [\"other\"]", "there is no connector other"),
        ("broker = [\"idp\"]", "has no token of the application"),
        ("broker = [\"corp\"]\nview = true", "has no other right"),
    ] {
        let error = parse(line).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}: {error}");
    }
    let config = parse("broker = [\"corp\"]").unwrap();
    let warned = config.warnings().into_iter().any(|warning| {
        warning.key == "admin.tokens[0].broker" && warning.text.to_string().contains("corp")
    });
    assert!(warned);
}
