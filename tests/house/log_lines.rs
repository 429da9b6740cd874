//! What strangers and sources write into the log: nothing that hides, moves or splits a line on an
//! operator's screen, and never more lines than a disk takes.

use serde_json::Value;

use crate::browser::Browser;
use crate::logging_in::OWN;
use crate::setup::{HOME, Menshen, Setup, UNLIMITED};
use crate::test_request::TestRequest;

/// Every character that terminals and viewers obey instead of showing it: C1 controls, line and
/// paragraph separators, marks of direction, and what has no width.
pub(crate) fn unseen() -> Vec<char> {
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

/// Whether any of them stands in a text as it is.
pub(crate) fn shows(text: &str) -> Option<char> {
    let unseen = unseen();
    text.chars()
        .find(|c| unseen.contains(c) || (c.is_control() && *c != '\n'))
}

fn lines(menshen: &Menshen, target: &str) -> Vec<Value> {
    menshen.running.live().services().telemetry.flush();
    let text = menshen.records.text();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["target"] == target).collect()
}

#[tokio::test]
async fn a_path_of_any_characters_is_one_line_that_shows_all_of_it() {
    let menshen = Setup::default().access_log().start().await;
    for c in unseen().into_iter().filter(|c| *c > '\u{7f}') {
        let path = format!("/a{c}b");
        TestRequest::raw(path.as_bytes()).send(&menshen).await;
    }
    menshen.running.live().services().telemetry.flush();
    let text = menshen.records.text();
    assert_eq!(shows(&text), None);
    let access = lines(&menshen, "menshen::access");
    for c in unseen().into_iter().filter(|c| *c > '\u{7f}') {
        let path = format!("/a{c}b");
        // Where the server takes such a path at all, a reader of the JSON gets it back whole.
        let whole = access.iter().any(|line| line["path"] == path.as_str());
        let refused = !access
            .iter()
            .any(|line| line["path"].as_str().unwrap().contains(c));
        assert!(whole || refused, "{path:?}");
    }
    assert!(access.iter().any(|line| line["path"] == "/a\u{202e}b"));
}

#[tokio::test]
async fn a_name_of_any_characters_is_one_line_of_the_audit_trail() {
    let marks: String = [
        '\u{85}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2066}', '\u{200f}', '\u{61c}',
    ]
    .iter()
    .collect();
    let mapping = format!("[connector.corp.mapping]\nlogin = \"profile.userid + '{marks}x'\"\n");
    let menshen = Setup::default().more(&mapping).access_log().start().await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{HOME}/echo"), "lisi").await;
    browser.visit(&format!("{OWN}/sign_out")).await;
    menshen.running.live().services().telemetry.flush();
    assert_eq!(shows(&menshen.records.text()), None);
    // Whoever reads the record as JSON reads what there was, or why there was nobody.
    let audit = menshen.audit();
    assert!(!audit.is_empty());
    for line in &audit {
        if let Some(login) = line["login"].as_str() {
            assert_eq!(login, format!("lisi{marks}x"));
        }
    }
}

#[tokio::test]
async fn strangers_who_are_turned_away_cannot_fill_the_audit_trail() {
    const TRIES: usize = 1_000;
    let menshen = Setup::default().more(UNLIMITED).start().await;
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
    // Somebody who is known is written down all the same, and how many lines were left out.
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{HOME}/echo"), "lisi").await;
    let audit = menshen.audit();
    let last = audit.last().unwrap();
    assert_eq!(
        (&last["event"], &last["login"]),
        (&"login".into(), &"lisi".into())
    );
    let left_out: u64 = audit
        .iter()
        .filter_map(|line| line["left_out"].as_u64())
        .sum();
    let written = audit
        .iter()
        .filter(|line| line["event"] == "refused")
        .count();
    assert_eq!(left_out as usize + written, TRIES);
}
