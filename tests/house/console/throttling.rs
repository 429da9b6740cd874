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

/// Or such clients would share the count of the proxy, or have none.
#[tokio::test]
async fn a_client_that_the_proxy_does_not_name_clearly_cannot_sign_in() {
    let menshen = behind_a_proxy().await;
    for address in ["a", "192.0.2.1, x", "192.0.2.256", "::ffff:", "192.0.2.1;"] {
        let mut visit = visit_from(&menshen, address);
        let answer = visit.sign_in("root", PASSWORD).await;
        assert_eq!(answer.status, 400, "{address}: {}", answer.text());
        assert_eq!(answer.header("set-cookie"), None, "{address}");
    }
    let mut visit = visit_from(&menshen, "192.0.2.1");
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

/// Five wrong passwords for this name, each from another address.
async fn lock(menshen: &Menshen, name: &str) {
    for number in 1..=5 {
        let mut visit = visit_from(menshen, &format!("203.0.113.{number}"));
        assert_eq!(visit.sign_in(name, "wrong").await.status, 401);
    }
}

#[tokio::test]
async fn strangers_do_not_keep_an_administrator_out_of_a_known_browser() {
    let menshen = behind_a_proxy().await;
    let mut known = visit_from(&menshen, "192.0.2.1");
    assert_eq!(known.sign_in("root", PASSWORD).await.status, 303);
    let mut stranger = visit_from(&menshen, "192.0.2.2");
    lock(&menshen, "root").await;
    assert_eq!(stranger.sign_in("root", PASSWORD).await.status, 429);
    // Even from an address from which somebody has guessed too often.
    known.browser.extra_headers.clear();
    let header = ("X-Forwarded-For".to_owned(), "203.0.113.1".to_owned());
    known.browser.extra_headers.push(header);
    assert_eq!(known.sign_in("Root", PASSWORD).await.status, 303);
    // The browser has a count of its own, and only its own.
    for _ in 0..5 {
        assert_eq!(known.sign_in("root", "wrong").await.status, 401);
    }
    let answer = known.sign_in("root", PASSWORD).await;
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").is_some());
    menshen.clock.advance(Duration::from_secs(60));
    assert_eq!(known.sign_in("root", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn wrong_passwords_in_a_known_browser_keep_nobody_else_out() {
    let menshen = behind_a_proxy().await;
    let mut known = visit_from(&menshen, "192.0.2.1");
    assert_eq!(known.sign_in("root", PASSWORD).await.status, 303);
    for _ in 0..5 {
        assert_eq!(known.sign_in("root", "wrong").await.status, 401);
    }
    let mut elsewhere = visit_from(&menshen, "192.0.2.1");
    assert_eq!(elsewhere.sign_in("root", PASSWORD).await.status, 303);
}

#[tokio::test]
async fn a_browser_is_known_for_one_name_one_password_and_for_so_long() {
    let menshen = behind_a_proxy().await;
    let mut visit = visit_from(&menshen, "192.0.2.1");
    assert_eq!(visit.sign_in("root", PASSWORD).await.status, 303);
    let cookie = visit.browser.cookie("menshen-console-browser").unwrap();
    let cookie = cookie.value.clone();
    let with_cookie = |value: &str| {
        let mut visit = visit_from(&menshen, "192.0.2.7");
        let browser = &mut visit.browser;
        browser.set_cookie("console.test", "menshen-console-browser", value);
        visit
    };
    lock(&menshen, "root").await;
    lock_others(&menshen).await;
    assert_eq!(
        with_cookie(&cookie).sign_in("root", PASSWORD).await.status,
        303
    );
    for name in ["other", "no-such-name"] {
        assert_eq!(
            with_cookie(&cookie).sign_in(name, PASSWORD).await.status,
            429,
            "{name}"
        );
    }
    let changed = format!("{}A", &cookie[..cookie.len() - 1]);
    let other = format!("{}B", &cookie[..cookie.len() - 1]);
    let forged = if changed == cookie { other } else { changed };
    for bad in [forged.as_str(), "", "%%%", &"A".repeat(4_000)] {
        assert_eq!(
            with_cookie(bad).sign_in("root", PASSWORD).await.status,
            429,
            "{bad}"
        );
    }
    // Another password makes the browser an unknown one.
    let store = &menshen.running.live().services().store;
    let (hash, now) = (Secret::new(PASSWORD_HASH.to_owned()), menshen.clock.now());
    let name = "root".parse().unwrap();
    let change = store.change_administrator_password(&name, &hash, "another", now);
    assert!(change.await.unwrap());
    assert_eq!(
        with_cookie(&cookie).sign_in("root", PASSWORD).await.status,
        429
    );
    menshen.clock.advance(Duration::from_secs(60));
    let mut again = with_cookie(&cookie);
    assert_eq!(again.sign_in("root", PASSWORD).await.status, 303);
    menshen.clock.advance(Duration::from_secs(180 * 86_400));
    lock(&menshen, "root").await;
    assert_eq!(again.sign_in("root", PASSWORD).await.status, 429);
}

async fn lock_others(menshen: &Menshen) {
    for (index, name) in ["other", "no-such-name"].into_iter().enumerate() {
        for number in 1..=5 {
            let address = format!("198.51.{index}.{number}");
            let mut visit = visit_from(menshen, &address);
            assert_eq!(visit.sign_in(name, "wrong").await.status, 401);
        }
    }
}

#[tokio::test]
async fn the_cookie_of_a_known_browser_says_nothing_and_no_script_reads_it() {
    let menshen = behind_a_proxy().await;
    let mut visit = visit_from(&menshen, "192.0.2.1");
    let answer = visit.sign_in("root", PASSWORD).await;
    let mut cookies = answer.header_values("set-cookie");
    let cookie = cookies.find(|cookie| cookie.starts_with("menshen-console-browser="));
    let cookie = cookie.unwrap();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=15552000"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(
        !cookie.contains("root") && !cookie.contains("credential"),
        "{cookie}"
    );
    // It is no way in.
    let mut other = visit_from(&menshen, "192.0.2.1");
    let value = visit.browser.cookie("menshen-console-browser").unwrap();
    let value = value.value.clone();
    for name in ["menshen-console-browser", "menshen-console"] {
        other.browser.set_cookie("console.test", name, &value);
    }
    assert_eq!(other.get("/console/").await.status, 303);
    // Nobody gets one for a wrong password.
    let wrong = visit_from(&menshen, "192.0.2.2")
        .sign_in("root", "wrong")
        .await;
    assert!(wrong.header("set-cookie").is_none());
}

#[tokio::test]
async fn strangers_do_not_keep_an_operator_out_who_sits_on_the_machine() {
    let menshen = behind_a_proxy().await;
    lock(&menshen, "root").await;
    let mut stranger = visit_from(&menshen, "192.0.2.2");
    assert_eq!(stranger.sign_in("root", PASSWORD).await.status, 429);
    // Through ssh: no proxy names a client.
    let mut operator = Visit::new(&menshen);
    assert_eq!(operator.sign_in("root", PASSWORD).await.status, 303);
    // The machine has its own limit, too.
    for _ in 0..5 {
        let mut guessing = Visit::new(&menshen);
        assert_eq!(guessing.sign_in("other", "wrong").await.status, 401);
    }
    let mut guessing = Visit::new(&menshen);
    assert_eq!(guessing.sign_in("other", PASSWORD).await.status, 429);
    assert_eq!(stranger.sign_in("other", PASSWORD).await.status, 303);
}
