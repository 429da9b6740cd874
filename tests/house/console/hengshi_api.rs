//! HENGSHI's API takes a session of the console in place of a token.

use serde_json::{Value, json};

use super::{CONSOLE_URL, Visit};
use crate::browser::Browser;
use crate::setup::{Menshen, Setup};

const API: &str = "http://console.test/api/authentication-configs";

/// A console without any admin token.
async fn start() -> Menshen {
    let setup = Setup::default().tables(
        "[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"console.test\"]\n[console]\n\
         external_url = \"http://console.test\"\nallow = \"user.login == 'zhangsan'\"\n\
         view = \"user.login == 'lisi'\"\n",
    );
    setup.start().await
}

fn settings() -> Value {
    json!({ "appId": "cli_1", "appSecret": "hunter2" })
}

/// Sends a request with the cookies of a browser and these headers; returns the code of the answer.
async fn code_of(browser: &mut Browser, method: &str, headers: &[(&str, &str)]) -> u64 {
    let body = settings().to_string();
    let body = if method == "GET" { "" } else { &body };
    let json = [("Content-Type", "application/json")];
    let headers: Vec<_> = json.into_iter().chain(headers.iter().copied()).collect();
    let url = format!("{API}/lark");
    let answer = browser.send(method, &url, &headers, body.as_bytes()).await;
    let envelope = answer.json();
    assert!(!envelope.to_string().contains("hunter2"));
    envelope["code"].as_u64().unwrap()
}

#[tokio::test]
async fn a_session_of_the_console_reads_and_with_its_csrf_token_changes() {
    let menshen = start().await;
    let mut visit = Visit::of_administrator(&menshen, "lina").await;
    let token = visit.csrf_token.clone();
    let browser = &mut visit.browser;
    assert_eq!(code_of(browser, "GET", &[]).await, 0);
    let wrong = token.replace(|c: char| c.is_ascii_lowercase(), "A");
    for headers in [
        &[][..],
        &[("X-CSRF-Token", "")],
        &[("X-CSRF-Token", wrong.as_str())],
        &[
            ("X-CSRF-Token", token.as_str()),
            ("X-CSRF-Token", token.as_str()),
        ],
        &[
            ("X-CSRF-Token", token.as_str()),
            ("Origin", "http://evil.test"),
        ],
        &[
            ("X-CSRF-Token", token.as_str()),
            ("Sec-Fetch-Site", "cross-site"),
        ],
    ] {
        assert_eq!(code_of(browser, "PUT", headers).await, 40300, "{headers:?}");
    }
    assert_eq!(menshen.running.live().settings().version(), 0);
    let headers = [("X-CSRF-Token", token.as_str()), ("Origin", CONSOLE_URL)];
    assert_eq!(code_of(browser, "PUT", &headers).await, 0);
    let audit = menshen.audit();
    let config = audit.iter().find(|line| line["event"] == "config");
    let config = config.unwrap();
    assert_eq!(config["by"], "local:lina");
    let reason = config["reason"].as_str().unwrap();
    assert!(reason.ends_with("through the console"), "{reason}");
    let versions = menshen.running.live().versions(None, 10).await.unwrap();
    let who = (versions[0].author.as_str(), versions[0].means.as_str());
    assert_eq!(who, ("local:lina", "console"));
    let mut stranger = Visit::new(&menshen);
    assert_eq!(code_of(&mut stranger.browser, "GET", &[]).await, 40100);
}

#[tokio::test]
async fn a_person_who_may_only_look_changes_nothing_and_others_see_nothing() {
    let menshen = start().await;
    let mut looker = Visit::of_person(&menshen, "lisi").await;
    let token = looker.csrf_token.clone();
    assert_eq!(code_of(&mut looker.browser, "GET", &[]).await, 0);
    let headers = [("X-CSRF-Token", token.as_str())];
    assert_eq!(code_of(&mut looker.browser, "PUT", &headers).await, 40300);
    let mut outsider = Visit::of_person(&menshen, "wangfang").await;
    assert_eq!(code_of(&mut outsider.browser, "GET", &[]).await, 40300);
    assert_eq!(menshen.running.live().settings().version(), 0);
}

#[tokio::test]
async fn a_token_with_the_name_of_an_administrator_is_somebody_else_in_audit_and_versions() {
    let tables = "[admin]\nlisten = \"127.0.0.1:0\"\nhosts = [\"console.test\"]\n\
                  token = \"correct-horse-battery-staple\"\n[console]\n";
    let menshen = Setup::default().tables(tables).start().await;
    let mut visit = Visit::of_administrator(&menshen, "admin").await;
    let token = visit.csrf_token.clone();
    let by_session = [("X-CSRF-Token", token.as_str())];
    assert_eq!(code_of(&mut visit.browser, "PUT", &by_session).await, 0);
    let by_token = [("Authorization", "Bearer correct-horse-battery-staple")];
    let mut program = Visit::new(&menshen);
    assert_eq!(code_of(&mut program.browser, "PUT", &by_token).await, 0);
    let versions = menshen.running.live().versions(None, 10).await.unwrap();
    let who: Vec<_> = versions
        .iter()
        .map(|version| (version.author.as_str(), version.means.as_str()))
        .collect();
    assert_eq!(who, [("token:admin", "api"), ("local:admin", "console")]);
}
