//! Events of DingTalk: who may send them, what is answered, and what follows when DingTalk confirms them.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use menshen::run::Running;

use super::{MEMBER, session_cookie_of, start};
use crate::dingtalk_source::{
    APP_KEY, CORP_ID, DingTalk, DirectoryEvent, EVENT_AES_KEY, EVENT_TOKEN, is_success, seal,
    sealer,
};
use crate::sessions::eventually;
use crate::sessions::tunnels::{CLOSE_1008, Socket};
use crate::setup::Menshen;
use crate::test_request::TestRequest;
use crate::wecom::EventSealer;
use crate::wire::Answer;

/// The events of the connector `ding`.
pub(super) fn events() -> String {
    format!(
        "[connector.ding.dingtalk.events]\ntoken = \"{EVENT_TOKEN}\"\n\
         encoding_aes_key = \"{EVENT_AES_KEY}\"\n"
    )
}

async fn start_with_events() -> (Menshen, DingTalk) {
    start(&events()).await
}

/// The time of menshen's clock.
pub(super) fn now(menshen: &Menshen) -> SystemTime {
    let ms = u64::try_from(menshen.clock.now().unix_ms()).unwrap();
    UNIX_EPOCH + Duration::from_millis(ms)
}

async fn post(menshen: &Menshen, query: &str, body: &str) -> Answer {
    post_to(menshen.address(), query, body).await
}

/// Delivers an event to a node.
pub(super) async fn post_to(node: SocketAddr, query: &str, body: &str) -> Answer {
    TestRequest::get(&format!("/.menshen/events/ding?{query}"))
        .method("POST")
        .header("Content-Type", "application/json")
        .header("Content-Length", &body.len().to_string())
        .body(body.as_bytes())
        .send_to(node)
        .await
}

async fn deliver(menshen: &Menshen, sealer: &EventSealer, message: &str) -> Answer {
    let (query, body) = seal(sealer, message, now(menshen));
    post(menshen, &query, &body).await
}

/// Delivers an event, which menshen accepts as DingTalk expects.
async fn report(menshen: &Menshen, event: DirectoryEvent<'_>) {
    let answer = deliver(menshen, &sealer(), &event.message(now(menshen))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(is_success(&sealer(), &answer.body), "{}", answer.text());
}

/// Waits until every accepted event is handled.
pub(super) async fn all_handled(running: &Running) {
    let site = running.live().site();
    let left = site.login.events().drain(Duration::from_secs(60)).await;
    assert_eq!(left, 0, "events that are not handled");
}

async fn status(menshen: &Menshen, path: &str, cookie: &str) -> u16 {
    let ask = TestRequest::get(path).session(cookie);
    ask.send(menshen).await.status
}

pub(super) async fn is_closed(menshen: &Menshen, login: &str) -> bool {
    let people = &menshen.running.live().services().people;
    let login = login.parse().unwrap();
    let account = people.directory().account_by_login(&login).await;
    account.unwrap().unwrap().closed
}

#[tokio::test]
async fn the_url_is_verified_by_an_encrypted_success() {
    let (menshen, _dingtalk) = start_with_events().await;
    report(&menshen, DirectoryEvent::CheckUrl).await;
    // Older subscriptions name the organisation, and get it back.
    let older = EventSealer {
        receive_id: CORP_ID.to_owned(),
        ..sealer()
    };
    let message = DirectoryEvent::CheckUrl.message(now(&menshen));
    let answer = deliver(&menshen, &older, &message).await;
    assert!(is_success(&older, &answer.body), "{}", answer.text());
    assert!(!is_success(&sealer(), &answer.body));
    let json = answer.json();
    let mut names: Vec<_> = json.as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(names, ["encrypt", "msg_signature", "nonce", "timeStamp"]);
}

/// The sample of DingTalk's own library.
#[tokio::test]
async fn the_sample_message_of_dingtalk_is_accepted() {
    let dingtalk = DingTalk::start().await.unwrap();
    let tables = format!(
        "[connector.ding.dingtalk]\n{}\n[connector.ding.dingtalk.events]\ntoken = \"mryue\"\n\
         encoding_aes_key = \"Yue0EfdN5900c1ce5cf6A152c63DDe1808a60c5ecd7\"\n\
         time_tolerance = \"10000d\"\n",
        dingtalk.settings().replace(APP_KEY, "ding6ccabc44d2c8d38b")
    );
    let menshen = crate::setup::Setup::default().tables(&tables).start().await;
    let query = "timestamp=1608001896814&nonce=WL4PK6yA&signature=";
    let signature = "03044561471240d4a14bb09372dfcfd4fd0e40cb";
    let body = r#"{"encrypt":"0vJiX6vliEpwG3U45CtXqi+m8PXbQRARJ8p8BbDuD1EMTDf0jKpQ79QS93qEk7XHpP6u+oTTrd15NRPvNvmBKyDCYxxOK+HZeKju4yhELOFchzNukR+t8SB/qk4ROMu3"}"#;
    let answer = post(&menshen, &format!("{query}{signature}"), body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let wrong = signature.replace("0304", "0305");
    let answer = post(&menshen, &format!("{query}{wrong}"), body).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn a_person_who_left_is_out_within_a_second_and_their_account_is_closed() {
    let (menshen, dingtalk) = start_with_events().await;
    let (zhang, li) = (
        session_cookie_of(&menshen, "zhangsan").await,
        session_cookie_of(&menshen, "lisi").await,
    );
    let wang = session_cookie_of(&menshen, "wangfang").await;
    let open = Socket::open(menshen.address(), "/ws", &zhang).await;
    for userid in ["zhangsan", "wangfang"] {
        dingtalk.delete_member(userid);
    }
    // One event names several people.
    report(&menshen, DirectoryEvent::Left(&["zhangsan", "wangfang"])).await;
    assert_eq!(open.read_to_end("left").await, CLOSE_1008);
    all_handled(&menshen.running).await;
    assert_eq!(status(&menshen, "/echo", &zhang).await, 401);
    assert_eq!(status(&menshen, "/echo", &wang).await, 401);
    assert_eq!(status(&menshen, "/echo", &li).await, 200);
    assert!(is_closed(&menshen, "zhangsan").await && is_closed(&menshen, "wangfang").await);
    assert!(!is_closed(&menshen, "lisi").await);
}

#[tokio::test]
async fn what_dingtalk_says_when_asked_counts() {
    let (menshen, dingtalk) = start_with_events().await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    let before = dingtalk.calls(MEMBER);
    report(&menshen, DirectoryEvent::Left(&["lisi"])).await;
    all_handled(&menshen.running).await;
    assert_eq!(dingtalk.calls(MEMBER), before + 1);
    assert_eq!(status(&menshen, "/echo", &cookie).await, 200);
    // Somebody who is only hidden from the application is signed out, and their account stays.
    dingtalk.member("lisi", |one| one.visible = false);
    menshen.advance(Duration::from_secs(1));
    report(&menshen, DirectoryEvent::Left(&["lisi"])).await;
    all_handled(&menshen.running).await;
    assert_eq!(status(&menshen, "/echo", &cookie).await, 401);
    assert!(!is_closed(&menshen, "lisi").await);
}

#[tokio::test]
async fn changed_people_and_departments_count_on_the_next_request() {
    let (menshen, dingtalk) = start_with_events().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, "/finance", &cookie).await, 403);
    dingtalk.member("zhangsan", |one| one.departments = vec![101]);
    report(&menshen, DirectoryEvent::Modified(&["zhangsan"])).await;
    all_handled(&menshen.running).await;
    assert_eq!(status(&menshen, "/finance", &cookie).await, 200);
    dingtalk.departments(|all| {
        let finance = all.iter_mut().find(|one| one.id == 101).unwrap();
        finance.name = "财务中心".to_owned();
    });
    report(&menshen, DirectoryEvent::DepartmentModified(&[101])).await;
    eventually("refused by the new name", async || {
        status(&menshen, "/finance", &cookie).await == 403
    })
    .await;
    dingtalk.member("zhangsan", |one| one.active = false);
    menshen.advance(Duration::from_secs(1));
    report(&menshen, DirectoryEvent::Modified(&["zhangsan"])).await;
    all_handled(&menshen.running).await;
    assert_eq!(status(&menshen, "/echo", &cookie).await, 401);
}

#[tokio::test]
async fn a_replay_changes_nothing() {
    let (menshen, dingtalk) = start_with_events().await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    let before = dingtalk.calls(MEMBER);
    let message = DirectoryEvent::Modified(&["lisi"]).message(now(&menshen));
    for _ in 0..3 {
        // The same message under another nonce, as DingTalk repeats it.
        let answer = deliver(&menshen, &sealer(), &message).await;
        assert!(is_success(&sealer(), &answer.body));
        all_handled(&menshen.running).await;
    }
    assert_eq!(dingtalk.calls(MEMBER), before + 1);
    let (query, body) = seal(&sealer(), &message, now(&menshen));
    menshen.advance(Duration::from_secs(301));
    assert_eq!(post(&menshen, &query, &body).await.status, 403);
    assert_eq!(status(&menshen, "/echo", &cookie).await, 200);
}

#[tokio::test]
async fn deliveries_with_a_wrong_signature_key_receiver_or_time_are_refused() {
    let (menshen, dingtalk) = start_with_events().await;
    let before = dingtalk.calls(MEMBER);
    let message = DirectoryEvent::Left(&["lisi"]).message(now(&menshen));
    let other = |change: fn(&mut EventSealer)| {
        let mut other = sealer();
        change(&mut other);
        other
    };
    for (what, sealer) in [
        ("token", other(|it| it.token = "another".to_owned())),
        (
            "key",
            other(|it| it.aes_key = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR".to_owned()),
        ),
        (
            "receiver",
            other(|it| it.receive_id = "dingother".to_owned()),
        ),
        ("no receiver", other(|it| it.receive_id = String::new())),
    ] {
        let answer = deliver(&menshen, &sealer, &message).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (403, "the request is not valid\n"),
            "{what}"
        );
    }
    for (at, expected) in [
        (now(&menshen) - Duration::from_secs(299), 200),
        (now(&menshen) - Duration::from_secs(301), 403),
        (now(&menshen) + Duration::from_secs(301), 403),
    ] {
        let other = DirectoryEvent::Other("org_admin_add").message(at);
        let (query, body) = seal(&sealer(), &other, at);
        assert_eq!(post(&menshen, &query, &body).await.status, expected);
    }
    // A time in seconds is fifty years ago.
    let sealed = sealer().seal(&message, now(&menshen));
    let body = serde_json::json!({ "encrypt": sealed.encrypted }).to_string();
    assert_eq!(post(&menshen, &sealed.query, &body).await.status, 403);
    assert_eq!(dingtalk.calls(MEMBER), before);
}

#[tokio::test]
async fn malformed_requests_are_refused() {
    let (menshen, dingtalk) = start_with_events().await;
    let message = DirectoryEvent::Left(&["lisi"]).message(now(&menshen));
    let (query, good) = seal(&sealer(), &message, now(&menshen));
    for body in ["", "{}", "[]", "<xml/>", r#"{"encrypt":1}"#] {
        assert_eq!(post(&menshen, &query, body).await.status, 400, "{body}");
    }
    for query in ["", "timestamp=1&nonce=2", &format!("{query}&nonce=x")] {
        assert_eq!(post(&menshen, query, &good).await.status, 400, "{query}");
    }
    for message in [
        "no json",
        "{}",
        r#"{"EventType":"user_leave_org"}"#,
        r#"{"EventType":"user_leave_org","UserId":["lisi"],"CorpId":"dingother"}"#,
    ] {
        let answer = deliver(&menshen, &sealer(), message).await;
        assert_eq!(answer.status, 400, "{message}");
    }
    let get = TestRequest::get(&format!("/.menshen/events/ding?{query}"));
    assert_eq!(get.send(&menshen).await.status, 400);
    let before = dingtalk.calls(MEMBER);
    report(&menshen, DirectoryEvent::Other("bpms_task_change")).await;
    all_handled(&menshen.running).await;
    assert_eq!(dingtalk.calls(MEMBER), before);
}

#[tokio::test]
async fn the_simulated_console_dismisses_a_person_who_is_signed_in() {
    let (menshen, dingtalk) = start_with_events().await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    // The event is sealed with the time of this machine, so only the answer of the console is checked here.
    let form = "userid=lisi";
    let console = dingtalk.console_url();
    let mut browser = crate::browser::Browser::new(&menshen);
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let url = format!("{console}/dismiss");
    let answer = browser.send("POST", &url, &headers, form.as_bytes()).await;
    assert_eq!(answer.status, 302);
    menshen.advance(Duration::from_secs(1));
    report(&menshen, DirectoryEvent::Left(&["lisi"])).await;
    all_handled(&menshen.running).await;
    assert_eq!(status(&menshen, "/echo", &cookie).await, 401);
}

#[tokio::test]
async fn a_connector_without_events_has_no_such_page_and_a_wrong_key_stops_the_start() {
    let (menshen, dingtalk) = start("").await;
    let message = DirectoryEvent::CheckUrl.message(now(&menshen));
    assert_eq!(deliver(&menshen, &sealer(), &message).await.status, 404);
    let bad = "[connector.ding.dingtalk.events]\ntoken = \"t\"\nencoding_aes_key = \"too short\"\n";
    let error = menshen.reload(&super::setup(&dingtalk, bad)).await;
    let error = error.unwrap_err();
    assert!(error.contains("encoding_aes_key"), "{error}");
    assert!(!error.contains("too short"), "{error}");
}
