//! Without events WeCom is asked again about everybody who is signed in.

use std::sync::Arc;
use std::time::Duration;

use menshen::face::page::Cause;

use super::{MEMBER, all_handled, report, setup};
use crate::browser::Browser;
use crate::people::log_in_with;
use crate::sessions::eventually;
use crate::sessions::tunnels::{CLOSE_1008, Socket};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wecom::ContactChange;

async fn status(menshen: &Menshen, cookie: &str) -> u16 {
    let ask = TestRequest::get("/echo").session(cookie);
    ask.send(menshen).await.status
}

/// Rounds begin often, because the interval is short; menshen's clock says when somebody is due.
async fn start() -> Menshen {
    let setup = Setup::default().wecom("revalidate = \"2s\"");
    setup.tables(NO_LOGIN_LIMITS).start().await
}

/// Waits until WeCom was asked more often.
async fn asked_again(menshen: &Menshen, before: usize) {
    eventually("asked", async || menshen.wecom.calls(MEMBER) > before).await;
}

#[tokio::test]
async fn whoever_left_or_is_disabled_is_signed_out_and_the_others_stay() {
    for status_code in [None, Some(2), Some(5)] {
        let menshen = start().await;
        let zhang = session_cookie_of(&menshen, "zhangsan").await;
        let li = session_cookie_of(&menshen, "lisi").await;
        let mut open = Socket::open(menshen.address(), "/ws", &zhang).await;
        assert!(open.is_open().await);
        assert_eq!(status(&menshen, &li).await, 200);
        match status_code {
            None => menshen.wecom.delete_member("zhangsan"),
            Some(code) => menshen.wecom.set_status("zhangsan", code),
        }
        menshen.advance(Duration::from_secs(3));
        assert_eq!(
            open.read_to_end("gone").await,
            CLOSE_1008,
            "{status_code:?}"
        );
        assert_eq!(status(&menshen, &zhang).await, 401);
        assert_eq!(status(&menshen, &li).await, 200);
        // Only WeCom decides whether somebody who is disabled comes back: the account stays open.
        let (expected, other) = match status_code {
            None => ("closed", "revoked"),
            Some(_) => ("revoked", "closed"),
        };
        // The sessions end before the account is closed.
        let is_recorded = |line: &serde_json::Value| line["event"] == expected;
        eventually("recorded", async || menshen.audit().iter().any(is_recorded)).await;
        let audit = menshen.audit();
        let found = |event: &str| audit.iter().find(|line| line["event"] == event);
        let record = found(expected).expect("an audit record");
        assert_eq!(
            (&record["login"], &record["connector"]),
            (&"zhangsan".into(), &"corp".into())
        );
        assert!(record["reason"].as_str().unwrap().contains("revalidation"));
        assert_eq!(found(other), None, "{status_code:?}");
    }
}

#[tokio::test]
async fn the_next_holder_of_a_userid_is_not_signed_in_to_the_account_of_its_former_one() {
    let menshen = start().await;
    let zhang = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, &zhang).await, 200);
    menshen.wecom.delete_member("zhangsan");
    menshen.advance(Duration::from_secs(3));
    eventually("out", async || status(&menshen, &zhang).await == 401).await;
    menshen
        .wecom
        .member("lisi", |one| one.userid = "zhangsan".to_owned());
    let page = Browser::new(&menshen)
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (403, Some(Cause::LoginTaken))
    );
}

#[tokio::test]
async fn somebody_whom_wecom_does_not_show_keeps_the_account() {
    let menshen = start().await;
    let zhang = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, &zhang).await, 200);
    menshen.wecom.fail(MEMBER, 60011, usize::MAX);
    menshen.advance(Duration::from_secs(3));
    eventually("out", async || status(&menshen, &zhang).await == 401).await;
    menshen.wecom.clear_faults(MEMBER);
    menshen.advance(Duration::from_secs(1));
    let again = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, &again).await, 200);
    let audit = menshen.audit();
    assert!(!audit.iter().any(|line| line["event"] == "closed"));
}

#[tokio::test]
async fn nobody_is_asked_about_before_the_interval_ends_or_without_a_session() {
    let menshen = start().await;
    let zhang = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, &zhang).await, 200);
    let before = menshen.wecom.calls(MEMBER);
    // Several rounds, and time stands still for menshen.
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(menshen.wecom.calls(MEMBER), before);
    menshen.advance(Duration::from_secs(3));
    asked_again(&menshen, before).await;
    let out = TestRequest::get("/.menshen/sign_out")
        .session(&zhang)
        .navigating();
    assert_eq!(out.send(&menshen).await.status, 200);
    let before = menshen.wecom.calls(MEMBER);
    menshen.advance(Duration::from_secs(3));
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(menshen.wecom.calls(MEMBER), before);
}

#[tokio::test]
async fn departments_follow() {
    let menshen = start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let finance = TestRequest::get("/finance").session(&cookie);
    assert_eq!(finance.send(&menshen).await.status, 403);
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    menshen.advance(Duration::from_secs(3));
    eventually("in 财务部", async || {
        finance.send(&menshen).await.status == 200
    })
    .await;
}

#[tokio::test]
async fn an_answer_from_before_an_event_does_not_overwrite_that_from_after_it() {
    let setup = setup().wecom("revalidate = \"2s\"");
    let menshen = setup.start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let finance = TestRequest::get("/finance").session(&cookie);
    assert_eq!(finance.send(&menshen).await.status, 403);
    // The revalidation gets its answer late.
    let release = menshen.wecom.delay_next(MEMBER);
    let before = menshen.wecom.calls(MEMBER);
    menshen.advance(Duration::from_secs(3));
    asked_again(&menshen, before).await;
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    report(&menshen, ContactChange::UserUpdated("zhangsan")).await;
    let wait_briefly = async || {
        for _ in 0..20 {
            if finance.send(&menshen).await.status == 200 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Whether the event is handled before or after the late answer arrives, it counts.
    wait_briefly().await;
    release.notify_one();
    all_handled(&menshen).await;
    for _ in 0..20 {
        assert_eq!(finance.send(&menshen).await.status, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_answer_from_before_a_login_does_not_overwrite_that_of_the_login() {
    let menshen = start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let finance = TestRequest::get("/finance").session(&cookie);
    assert_eq!(finance.send(&menshen).await.status, 403);
    let release = menshen.wecom.delay_next(MEMBER);
    let before = menshen.wecom.calls(MEMBER);
    menshen.advance(Duration::from_secs(3));
    asked_again(&menshen, before).await;
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(finance.send(&menshen).await.status, 200);
    release.notify_one();
    for _ in 0..20 {
        assert_eq!(finance.send(&menshen).await.status, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn people_stay_signed_in_while_wecom_fails_and_are_asked_about_when_it_is_back() {
    let menshen = start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, &cookie).await, 200);
    menshen.wecom.delete_member("zhangsan");
    menshen.wecom.fail(MEMBER, 45009, usize::MAX);
    let before = menshen.wecom.calls(MEMBER);
    menshen.advance(Duration::from_secs(3));
    asked_again(&menshen, before).await;
    assert_eq!(status(&menshen, &cookie).await, 200);
    menshen.wecom.clear_faults(MEMBER);
    menshen.advance(Duration::from_secs(60));
    eventually("out", async || status(&menshen, &cookie).await == 401).await;
}

#[tokio::test]
async fn a_connector_whose_source_is_slow_delays_no_other() {
    let tables = format!("{SECOND_CONNECTOR}revalidate = \"2s\"\n{NO_LOGIN_LIMITS}");
    let setup = Setup::default().wecom("revalidate = \"2s\"");
    let menshen = setup.tables(&tables).start().await;
    log_in_with(&menshen, "corp", "zhangsan").await;
    log_in_with(&menshen, "other", "lisi").await;
    let waiting = menshen.wecom.delay_next(MEMBER);
    let before = menshen.wecom.calls(MEMBER);
    menshen.advance(Duration::from_secs(3));
    asked_again(&menshen, before + 1).await;
    for _ in 0..2 {
        let before = menshen.wecom.calls(MEMBER);
        menshen.advance(Duration::from_secs(3));
        asked_again(&menshen, before).await;
        // The simulated WeCom holds it while the first question waits.
        assert!(
            Arc::strong_count(&waiting) > 1,
            "the first question has ended"
        );
    }
}

#[tokio::test]
async fn with_0s_nobody_is_asked_about() {
    let menshen = Setup::default().wecom("revalidate = \"0s\"").start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, &cookie).await, 200);
    let before = menshen.wecom.calls(MEMBER);
    let interval = Duration::from_secs(3600);
    menshen.advance(interval);
    let services = menshen.running.live().services();
    let connector = "corp".parse().unwrap();
    let due = services.sessions.people_to_confirm(&connector, None, 10);
    assert!(due.is_empty(), "{due:?}");
    let due = services
        .sessions
        .people_to_confirm(&connector, Some(interval), 10);
    assert_eq!(due.len(), 1);
    assert_eq!(menshen.wecom.calls(MEMBER), before);
}
