//! Deliveries are accepted at once, handled once, and again while WeCom fails.

use std::time::Duration;

use super::{MEMBER, all_handled, deliver, event, report, setup};
use crate::sessions::eventually;
use crate::setup::Setup;
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wecom::{ContactChange, EVENT_AES_KEY, EVENT_TOKEN};

#[tokio::test]
async fn a_repeated_delivery_is_accepted_and_handled_once() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let before = menshen.wecom.calls(MEMBER);
    for _ in 0..3 {
        // The same message under another nonce, as WeCom repeats it.
        report(&menshen, ContactChange::UserUpdated("zhangsan")).await;
        all_handled(&menshen).await;
    }
    let replayed = event(&menshen, ContactChange::UserUpdated("zhangsan"));
    for _ in 0..2 {
        assert_eq!(deliver(&menshen, &replayed).await.status, 200);
        all_handled(&menshen).await;
    }
    assert_eq!(menshen.wecom.calls(MEMBER), before + 1);
    // The same change a second later is another event.
    menshen.advance(Duration::from_secs(1));
    report(&menshen, ContactChange::UserUpdated("zhangsan")).await;
    all_handled(&menshen).await;
    assert_eq!(menshen.wecom.calls(MEMBER), before + 2);
    let ask = TestRequest::get("/echo").session(&cookie);
    assert_eq!(ask.send(&menshen).await.status, 200);
}

#[tokio::test]
async fn two_nodes_handle_a_delivery_once() {
    let dir = crate::stores::TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = crate::setup::run(&text, &menshen.clock).await;
    session_cookie_of(&menshen, "zhangsan").await;
    let before = menshen.wecom.calls(MEMBER);
    let sealed = event(&menshen, ContactChange::UserUpdated("zhangsan"));
    assert_eq!(deliver(&menshen, &sealed).await.status, 200);
    all_handled(&menshen).await;
    let again = super::post(&sealed.query, &sealed.body);
    assert_eq!(again.send_to(other.addresses()[0]).await.status, 200);
    let site = other.live().site();
    let left = site.login.events().drain(Duration::from_secs(60)).await;
    assert_eq!(left, 0);
    assert_eq!(menshen.wecom.calls(MEMBER), before + 1);
}

#[tokio::test]
async fn a_deletion_is_handled_when_wecom_is_back() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let ask = TestRequest::get("/echo").session(&cookie);
    menshen.wecom.delete_member("zhangsan");
    let before = menshen.wecom.calls(MEMBER);
    for errcode in [-1, 45009] {
        menshen.wecom.fail(MEMBER, errcode, usize::MAX);
        if errcode == -1 {
            report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
        }
        let failed = menshen.wecom.calls(MEMBER);
        eventually("asked again", async || {
            menshen.wecom.calls(MEMBER) > failed.max(before)
        })
        .await;
        assert_eq!(ask.send(&menshen).await.status, 200, "{errcode}");
    }
    menshen.wecom.clear_faults(MEMBER);
    eventually("out", async || ask.send(&menshen).await.status == 401).await;
    all_handled(&menshen).await;
}

#[tokio::test]
async fn events_over_the_limit_are_refused_so_that_wecom_sends_them_again() {
    let more = format!(
        "[connector.corp.wecom.events]\ntoken = \"{EVENT_TOKEN}\"\n\
         encoding_aes_key = \"{EVENT_AES_KEY}\"\n[login]\nwaiting_events_max = 2\n"
    );
    let menshen = Setup::default().tables(&more).start().await;
    session_cookie_of(&menshen, "zhangsan").await;
    menshen.wecom.fail(MEMBER, -1, usize::MAX);
    let mut refused = None;
    for number in 0..20 {
        let userid = format!("member-{number}");
        let sealed = event(&menshen, ContactChange::UserUpdated(&userid));
        let answer = deliver(&menshen, &sealed).await;
        if answer.status != 200 {
            assert_eq!(answer.status, 503);
            assert!(answer.header("retry-after").is_some());
            refused = Some(sealed);
            break;
        }
    }
    let refused = refused.expect("the queue fills up");
    menshen.wecom.clear_faults(MEMBER);
    all_handled(&menshen).await;
    assert_eq!(deliver(&menshen, &refused).await.status, 200);
    all_handled(&menshen).await;
}

#[tokio::test]
async fn the_response_does_not_wait_for_wecom() {
    let menshen = setup().start().await;
    session_cookie_of(&menshen, "zhangsan").await;
    menshen.wecom.hang(MEMBER);
    let before = menshen.wecom.calls(MEMBER);
    report(&menshen, ContactChange::UserUpdated("zhangsan")).await;
    eventually("asked", async || menshen.wecom.calls(MEMBER) > before).await;
}

#[tokio::test]
async fn accepted_events_are_handled_before_menshen_stops() {
    let dir = crate::stores::TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    session_cookie_of(&menshen, "zhangsan").await;
    menshen.wecom.delete_member("zhangsan");
    report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let clock = menshen.clock.clone();
    let (source, app) = (menshen.wecom, menshen.app);
    menshen.running.stop().await;
    let again = crate::setup::run(&text, &clock).await;
    let people = &again.live().services().people;
    let login = "zhangsan".parse().unwrap();
    let account = people.directory().account_by_login(&login).await;
    assert!(account.unwrap().unwrap().closed);
    drop((source, app));
}

#[tokio::test]
async fn a_reload_keeps_waiting_events() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let ask = TestRequest::get("/echo").session(&cookie);
    menshen.wecom.delete_member("zhangsan");
    menshen.wecom.fail(MEMBER, -1, usize::MAX);
    report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
    menshen
        .reload(&setup().server("prefix = \"/.menshen\""))
        .await
        .unwrap();
    menshen.wecom.clear_faults(MEMBER);
    eventually("out", async || ask.send(&menshen).await.status == 401).await;
}
