//! Log injection: no value of a client or a source can hide or split a log line, and no client can fill the
//! disk.

use serde_json::Value;

use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::test_request::TestRequest;

/// Characters that terminals and editors do not show but interpret: C1 controls, line and paragraph
/// separators, directional marks, and characters without width.
pub(crate) fn control_characters() -> Vec<char> {
    let ranges = [
        0x7f..=0x9f,
        0xad..=0xad,
        0x61c..=0x61c,
        0x180e..=0x180e,
        0x200b..=0x200f,
        0x2028..=0x202e,
        0x2060..=0x206f,
        0xfeff..=0xfeff,
        0xfff9..=0xfffb,
        0xe0001..=0xe0001,
        0xe0020..=0xe007f,
    ];
    let points = ranges.into_iter().flatten();
    points.map(|point| char::from_u32(point).unwrap()).collect()
}

/// The first control character of a text, except line ends.
pub(crate) fn first_control(text: &str) -> Option<char> {
    let controls = control_characters();
    text.chars()
        .find(|c| controls.contains(c) || (c.is_control() && *c != '\n'))
}

fn logged_lines(menshen: &Menshen, target: &str) -> Vec<Value> {
    menshen.running.live().services().telemetry.flush();
    let text = menshen.records.text();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == target).collect()
}

#[tokio::test]
async fn a_path_of_any_characters_is_logged_completely_in_one_line() {
    let menshen = Setup::default().access_log().start().await;
    for c in control_characters().into_iter().filter(|c| *c > '\u{7f}') {
        let path = format!("/a{c}b");
        TestRequest::with_target(path.as_bytes())
            .send(&menshen)
            .await;
    }
    menshen.running.live().services().telemetry.flush();
    let text = menshen.records.text();
    assert_eq!(first_control(&text), None);
    let access = logged_lines(&menshen, "menshen::access");
    for c in control_characters().into_iter().filter(|c| *c > '\u{7f}') {
        let path = format!("/a{c}b");
        // If menshen accepts the path, the JSON contains it unchanged.
        let is_unchanged = access.iter().any(|line| line["path"] == path.as_str());
        let refused = !access
            .iter()
            .any(|line| line["path"].as_str().unwrap().contains(c));
        assert!(is_unchanged || refused, "{path:?}");
    }
    assert!(access.iter().any(|line| line["path"] == "/a\u{202e}b"));
}

#[tokio::test]
async fn a_login_of_any_characters_is_one_audit_line() {
    let controls: String = [
        '\u{85}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2066}', '\u{200f}', '\u{61c}',
    ]
    .iter()
    .collect();
    let mapping = format!("[connector.corp.mapping]\nlogin = \"profile.userid + '{controls}x'\"\n");
    let menshen = Setup::default().tables(&mapping).access_log().start().await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    browser.visit(&format!("{OWN_PAGES}/sign_out")).await;
    menshen.running.live().services().telemetry.flush();
    assert_eq!(first_control(&menshen.records.text()), None);
    // The JSON contains the login unchanged.
    let audit = menshen.audit();
    assert!(!audit.is_empty());
    for line in &audit {
        if let Some(login) = line["login"].as_str() {
            assert_eq!(login, format!("lisi{controls}x"));
        }
    }
}

#[tokio::test]
async fn refused_requests_cannot_fill_the_audit_log() {
    const TRIES: usize = 1_000;
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let state = "a".repeat(32);
    for at in 0..TRIES / 5 {
        for target in [
            format!("/.menshen/callback/corp?code={at}&state=x"),
            format!("/.menshen/callback/made-up?code={at}&state={state}"),
            format!("/.menshen/callback?code={at}"),
            format!("/.menshen/ticket?t={at}"),
        ] {
            TestRequest::get(&target).navigating().send(&menshen).await;
        }
        let body = format!("{{\"code\": \"{at}\", \"state\": \"{state}\"}}");
        TestRequest::get("/.menshen/login/corp")
            .method("POST")
            .header("Content-Type", "application/json")
            .header("Content-Length", &body.len().to_string())
            .body(body.as_bytes())
            .send(&menshen)
            .await;
    }
    let audit = menshen.audit();
    assert!(
        !audit.is_empty() && audit.len() < TRIES / 2,
        "{}",
        audit.len()
    );
    // A successful login is always logged. The number of suppressed lines is logged, too.
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let audit = menshen.audit();
    let last = audit.last().unwrap();
    assert_eq!(
        (&last["event"], &last["login"]),
        (&"login".into(), &"lisi".into())
    );
    let suppressed: u64 = audit
        .iter()
        .filter_map(|line| line["left_out"].as_u64())
        .sum();
    let written = audit
        .iter()
        .filter(|line| line["event"] == "refused")
        .count();
    assert_eq!(suppressed as usize + written, TRIES);
}
