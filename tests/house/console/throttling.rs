//! Wrong passwords: five in a minute for a name or an address, and nothing tells which names exist.

use std::time::Duration;

use super::*;

/// A console behind a proxy that names the client.
async fn behind_a_proxy() -> Menshen {
    let menshen = setup()
        .server("trusted_proxies = [\"127.0.0.1\"]")
        .start()
        .await;
    add_administrator(&menshen, "root").await;
    add_administrator(&menshen, "other").await;
    menshen
}

fn visit_from(menshen: &Menshen, address: &str) -> Visit {
    let mut visit = Visit::new(menshen);
    let header = ("X-Forwarded-For".to_owned(), address.to_owned());
    visit.browser.extra_headers.push(header);
    visit
}

#[tokio::test]
async fn five_wrong_passwords_in_a_minute_make_a_name_wait() {
    let menshen = behind_a_proxy().await;
    for (name, expected_later) in [("root", 303), ("no-such-name", 401)] {
        for number in 1..=5 {
            let mut visit = visit_from(&menshen, &format!("192.0.2.{number}"));
            assert_eq!(visit.sign_in(name, "wrong").await.status, 401, "{name}");
        }
        let mut visit = visit_from(&menshen, "192.0.2.77");
        // The case of a name makes no difference.
        let answer = visit.sign_in(&name.to_uppercase(), PASSWORD).await;
        assert_eq!(answer.status, 429, "{name}");
        let retry_after: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&retry_after), "{retry_after}");
        assert_eq!(visit.sign_in("other", PASSWORD).await.status, 303);
        menshen.clock.advance(Duration::from_secs(60));
        assert_eq!(visit.sign_in(name, PASSWORD).await.status, expected_later);
        menshen.clock.advance(Duration::from_secs(60));
    }
}

#[tokio::test]
async fn five_wrong_passwords_in_a_minute_make_an_address_wait() {
    let menshen = behind_a_proxy().await;
    let mut visit = visit_from(&menshen, "192.0.2.1");
    for number in 1..=5 {
        let name = format!("name-{number}");
        assert_eq!(visit.sign_in(&name, "wrong").await.status, 401);
    }
    assert_eq!(visit.sign_in("root", PASSWORD).await.status, 429);
    let mut elsewhere = visit_from(&menshen, "192.0.2.2");
    assert_eq!(elsewhere.sign_in("root", PASSWORD).await.status, 303);
    menshen.clock.advance(Duration::from_secs(60));
    assert_eq!(visit.sign_in("root", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn the_answer_does_not_tell_which_names_exist() {
    let menshen = behind_a_proxy().await;
    let answers = async |name: &str, address: &str| {
        let mut visit = visit_from(&menshen, address);
        let mut answers = Vec::new();
        for _ in 0..6 {
            let answer = visit.sign_in(name, "wrong").await;
            answers.push((answer.status, answer.text().replace(name, "NAME")));
        }
        answers
    };
    let known = answers("root", "192.0.2.1").await;
    assert_eq!(known, answers("rood", "192.0.2.2").await);
    assert!(known[0].1.contains("role=\"alert\""), "{}", known[0].1);
}

#[tokio::test]
async fn a_wrong_password_is_in_the_audit_log_without_what_was_typed() {
    let menshen = behind_a_proxy().await;
    let mut visit = visit_from(&menshen, "192.0.2.9");
    visit.sign_in("root", "tr0ub4dor-and-3").await;
    visit.sign_in("tr0ub4dor-and-3", "root").await;
    let lines: Vec<_> = menshen
        .audit()
        .into_iter()
        .filter(|line| line["event"] == "console")
        .collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0]["by"], "local:root");
    assert_eq!(lines[0]["client"], "192.0.2.9");
    assert!(lines[1].get("by").is_none(), "{}", lines[1]);
    assert!(!format!("{lines:?}").contains("tr0ub4dor"));
}
