//! A member who leaves is out everywhere; an event that WeCom does not confirm changes nothing.

use std::time::{Duration, Instant};

use super::{MEMBER, all_handled, event, post, report, setup};
use crate::checking::TRUST_LOOPBACK;
use crate::checking::faces::{Face, OriginalRequest, Verdict};
use crate::ext_authz::GRPC_ON_MAIN;
use crate::mirror::Mirror;
use crate::people::{account_id, log_in_with};
use crate::sessions::eventually;
use crate::sessions::tunnels::{CLOSE_1008, Socket};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, run};
use crate::stores::TempDir;
use crate::test_request::{TestRequest, repeat_until, session_cookie_of};
use crate::wecom::{AGENT_ID, ContactChange, EVENT_AES_KEY, EVENT_TOKEN};

async fn status(menshen: &Menshen, cookie: &str) -> u16 {
    let ask = TestRequest::get("/echo").session(cookie);
    ask.send(menshen).await.status
}

async fn account_is_closed(menshen: &Menshen, login: &str) -> bool {
    let people = &menshen.running.live().services().people;
    let login = login.parse().unwrap();
    let account = people.directory().account_by_login(&login).await;
    account.unwrap().unwrap().closed
}

#[tokio::test]
async fn a_confirmed_deletion_closes_open_websockets_and_the_account_within_a_second() {
    let menshen = setup().start().await;
    let zhang = session_cookie_of(&menshen, "zhangsan").await;
    let li = session_cookie_of(&menshen, "lisi").await;
    let mut open = Socket::open(menshen.address(), "/ws", &zhang).await;
    let mut stays = Socket::open(menshen.address(), "/ws", &li).await;
    assert!(open.is_open().await && stays.is_open().await);
    menshen.wecom.delete_member("zhangsan");
    let reported_at = Instant::now();
    report(&menshen, ContactChange::UserDeleted("ZhangSan")).await;
    assert_eq!(open.read_to_end("deleted").await, CLOSE_1008);
    // The promise is a second on a machine that is not busy with other tests.
    println!(
        "the WebSocket was closed {:?} after the event",
        reported_at.elapsed()
    );
    assert_eq!(status(&menshen, &zhang).await, 401);
    assert_eq!(status(&menshen, &li).await, 200);
    assert!(stays.is_open().await);
    all_handled(&menshen).await;
    assert!(account_is_closed(&menshen, "zhangsan").await);
    assert!(!account_is_closed(&menshen, "lisi").await);
    let audit = menshen.audit();
    let closed = audit.iter().find(|line| line["event"] == "closed").unwrap();
    assert_eq!(closed["login"], "zhangsan");
    assert_eq!(closed["connector"], "corp");
    let reason = closed["reason"].as_str().unwrap();
    assert!(
        reason.contains("60111") && reason.contains("deletion"),
        "{reason}"
    );
}

#[tokio::test]
async fn all_faces_refuse_the_next_request_of_a_deleted_member() {
    let mirror = Mirror::start().await;
    let route = format!(
        "[[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{}']\n",
        mirror.base_url()
    );
    let menshen = setup_behind_proxies().routes(&route).start().await;
    let zhang = session_cookie_of(&menshen, "zhangsan").await;
    let li = session_cookie_of(&menshen, "lisi").await;
    let ask =
        |cookie: &str| OriginalRequest::get("/echo").header("Cookie", &format!("menshen={cookie}"));
    let passes = async |face: Face, cookie: &str| {
        let result = ask(cookie).send_to(face, menshen.address()).await;
        result.verdict == Verdict::Allow
    };
    for face in Face::ALL {
        assert!(passes(face, &zhang).await, "{face:?}");
    }
    menshen.wecom.delete_member("zhangsan");
    report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
    all_handled(&menshen).await;
    for face in Face::ALL {
        assert!(!passes(face, &zhang).await, "{face:?}");
        assert!(passes(face, &li).await, "{face:?}");
    }
}

fn setup_behind_proxies() -> crate::setup::Setup {
    setup().server(TRUST_LOOPBACK).tables(&format!(
        "{GRPC_ON_MAIN}\n[connector.corp.wecom.events]\ntoken = \"{EVENT_TOKEN}\"\n\
         encoding_aes_key = \"{EVENT_AES_KEY}\"\n{NO_LOGIN_LIMITS}"
    ))
}

#[tokio::test]
async fn a_deletion_that_wecom_does_not_confirm_changes_nothing() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let before = menshen.wecom.calls(MEMBER);
    report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
    all_handled(&menshen).await;
    assert_eq!(menshen.wecom.calls(MEMBER), before + 1);
    assert_eq!(status(&menshen, &cookie).await, 200);
    assert!(!account_is_closed(&menshen, "zhangsan").await);
    // Out of the visible range is no proof either: it ends the sessions, and the account stays open.
    menshen.wecom.fail(MEMBER, 60011, usize::MAX);
    menshen.advance(Duration::from_secs(1));
    report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
    all_handled(&menshen).await;
    assert_eq!(status(&menshen, &cookie).await, 401);
    assert!(!account_is_closed(&menshen, "zhangsan").await);
}

#[tokio::test]
async fn every_status_but_active_ends_the_sessions_and_a_reported_deletion_the_account() {
    for status_code in [2, 4, 5] {
        for is_deletion in [false, true] {
            let menshen = setup().start().await;
            let cookie = session_cookie_of(&menshen, "zhangsan").await;
            menshen.wecom.set_status("zhangsan", status_code);
            let change = match is_deletion {
                true => ContactChange::UserDeleted("zhangsan"),
                false => ContactChange::UserUpdated("zhangsan"),
            };
            report(&menshen, change).await;
            all_handled(&menshen).await;
            assert_eq!(status(&menshen, &cookie).await, 401, "{status_code}");
            assert_eq!(
                account_is_closed(&menshen, "zhangsan").await,
                is_deletion,
                "{status_code}"
            );
            if !is_deletion {
                // Active again, the person signs in as before.
                menshen.wecom.set_status("zhangsan", 1);
                menshen.advance(Duration::from_secs(1));
                session_cookie_of(&menshen, "zhangsan").await;
            }
        }
    }
}

#[tokio::test]
async fn an_account_without_a_session_is_closed_too_and_strangers_change_nothing() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let out = TestRequest::get("/.menshen/sign_out")
        .session(&cookie)
        .navigating();
    assert_eq!(out.send(&menshen).await.status, 200);
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    assert!(text.contains("events"));
    menshen.wecom.delete_member("zhangsan");
    report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
    report(&menshen, ContactChange::UserDeleted("nobody-of-this-name")).await;
    all_handled(&menshen).await;
    assert!(account_is_closed(&menshen, "zhangsan").await);
    let audit = menshen.audit();
    let closed = audit.iter().filter(|line| line["event"] == "closed");
    assert_eq!(closed.count(), 1);
}

#[tokio::test]
async fn a_deletion_reaches_the_other_node_of_the_store() {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = run(&text, &menshen.clock).await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let ask = TestRequest::get("/echo").session(&cookie);
    repeat_until(&ask, other.addresses()[0], |answer| answer.status == 200).await;
    menshen.wecom.delete_member("zhangsan");
    report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
    repeat_until(&ask, other.addresses()[0], |answer| answer.status == 401).await;
}

#[tokio::test]
async fn changed_departments_count_on_the_next_request() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let finance = TestRequest::get("/finance").session(&cookie);
    assert_eq!(finance.send(&menshen).await.status, 403);
    // 财务部.
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    report(&menshen, ContactChange::UserUpdated("zhangsan")).await;
    all_handled(&menshen).await;
    assert_eq!(finance.send(&menshen).await.status, 200);
    let audit = menshen.audit();
    let changed = audit.iter().find(|line| line["event"] == "entitlements");
    let reason = changed.unwrap()["reason"].as_str().unwrap();
    assert!(reason.contains("departments"), "{reason}");
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![5]);
    menshen.advance(Duration::from_secs(1));
    report(&menshen, ContactChange::UserUpdated("zhangsan")).await;
    all_handled(&menshen).await;
    assert_eq!(finance.send(&menshen).await.status, 403);
}

#[tokio::test]
async fn a_renamed_department_reaches_living_sessions() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    let finance = TestRequest::get("/finance").session(&cookie);
    assert_eq!(finance.send(&menshen).await.status, 200);
    menshen.wecom.departments(|all| {
        let finance = all.iter_mut().find(|one| one.id == 2).unwrap();
        finance.name = "财务中心".to_owned();
    });
    report(&menshen, ContactChange::DepartmentUpdated(2)).await;
    eventually("refused by the new name", async || {
        finance.send(&menshen).await.status == 403
    })
    .await;
}

#[tokio::test]
async fn a_renamed_department_reaches_the_sessions_of_the_other_node() {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = run(&text, &menshen.clock).await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    let finance = TestRequest::get("/finance").session(&cookie);
    assert_eq!(finance.send(&menshen).await.status, 200);
    menshen.wecom.departments(|all| {
        let finance = all.iter_mut().find(|one| one.id == 2).unwrap();
        finance.name = "财务中心".to_owned();
    });
    // The node that gets the event knows no session.
    let sealed = event(&menshen, ContactChange::DepartmentUpdated(2));
    let answer = post(&sealed.query, &sealed.body)
        .send_to(other.addresses()[0])
        .await;
    assert_eq!(answer.status, 200);
    eventually("refused by the new name", async || {
        finance.send(&menshen).await.status == 403
    })
    .await;
    let echo = TestRequest::get("/echo").session(&cookie);
    assert_eq!(echo.send(&menshen).await.status, 200);
}

#[tokio::test]
async fn without_sync_the_fields_of_the_first_login_stay_and_deletions_count() {
    let menshen = setup().connector("sync = false").start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    report(&menshen, ContactChange::UserUpdated("zhangsan")).await;
    all_handled(&menshen).await;
    let finance = TestRequest::get("/finance").session(&cookie);
    assert_eq!(finance.send(&menshen).await.status, 403);
    menshen.wecom.delete_member("zhangsan");
    report(&menshen, ContactChange::UserDeleted("zhangsan")).await;
    all_handled(&menshen).await;
    assert_eq!(status(&menshen, &cookie).await, 401);
}

#[tokio::test]
async fn a_member_with_a_new_userid_keeps_account_and_session() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let rename = ContactChange::UserRenamed {
        from: "zhangsan",
        to: "zhangsan001",
    };
    // WeCom still knows the old userid: the event is not confirmed.
    report(&menshen, rename).await;
    all_handled(&menshen).await;
    assert_eq!(status(&menshen, &cookie).await, 200);
    menshen
        .wecom
        .member("zhangsan", |one| one.userid = "zhangsan001".to_owned());
    menshen.advance(Duration::from_secs(1));
    report(&menshen, rename).await;
    all_handled(&menshen).await;
    assert_eq!(status(&menshen, &cookie).await, 200);
    let audit = menshen.audit();
    let renamed = audit.iter().filter(|line| line["event"] == "renamed");
    let renamed: Vec<_> = renamed.collect();
    assert_eq!(renamed.len(), 1, "{audit:?}");
    assert_eq!(renamed[0]["login"], "zhangsan");
    // The next event names the new userid.
    menshen.wecom.delete_member("zhangsan001");
    menshen.advance(Duration::from_secs(1));
    report(&menshen, ContactChange::UserDeleted("zhangsan001")).await;
    all_handled(&menshen).await;
    assert_eq!(status(&menshen, &cookie).await, 401);
    assert!(account_is_closed(&menshen, "zhangsan").await);
}

#[tokio::test]
async fn whoever_has_a_number_now_does_not_get_the_account_of_its_former_owner() {
    let linked = "[connector.other]\nlink_by = ['mobile']\n";
    let second = SECOND_CONNECTOR.replace("[connector.other]\n", linked);
    let menshen = super::setup_with(&second).start().await;
    menshen.wecom.set_shows_personal_fields(AGENT_ID, true);
    let (mut zhang, _) = log_in_with(&menshen, "corp", "zhangsan").await;
    let mut number = String::new();
    menshen.wecom.member("zhangsan", |one| {
        number = std::mem::replace(&mut one.mobile, "13700000000".to_owned());
    });
    report(&menshen, ContactChange::UserUpdated("zhangsan")).await;
    all_handled(&menshen).await;
    menshen
        .wecom
        .member("lisi", |one| one.mobile.clone_from(&number));
    let (mut li, page) = log_in_with(&menshen, "other", "lisi").await;
    assert_eq!(page.answer.status, 200);
    let owner = account_id(&mut zhang).await;
    assert_ne!(account_id(&mut li).await, owner);
    // The new number links.
    let (mut same, _) = log_in_with(&menshen, "other", "zhangsan").await;
    assert_eq!(account_id(&mut same).await, owner);
}

#[tokio::test]
async fn fields_that_need_the_consent_of_a_login_stay_when_wecom_is_asked() {
    let setup = setup().wecom("scope = \"snsapi_privateinfo\"");
    let menshen = setup.start().await;
    let (mut phone, page) = crate::troubles::log_in(&menshen).await;
    assert_eq!(
        page.answer.echoed("x-forwarded-email"),
        ["zhangsan@corp.example"]
    );
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    report(&menshen, ContactChange::UserUpdated("zhangsan")).await;
    all_handled(&menshen).await;
    let echo = phone.visit(&format!("{SSO_URL}/finance/echo")).await;
    assert_eq!(echo.status, 200, "the new department counts");
    let echo = phone.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-email"), ["zhangsan@corp.example"]);
}

#[tokio::test]
async fn the_button_of_the_simulated_wecom_dismisses_an_employee() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let socket = Socket::open(menshen.address(), "/ws", &cookie).await;
    // The simulated WeCom has the time of the machine.
    let setup = super::setup_with("time_tolerance = \"100000d\"");
    menshen.reload(&setup).await.unwrap();
    let events = format!("http://{}/.menshen/events/corp", menshen.address());
    menshen.wecom.send_events_to(events.parse().unwrap());
    let console = menshen.wecom.console_url();
    let wecom = console.trim_start_matches("http://");
    let wecom = wecom.trim_end_matches("/console").parse().unwrap();
    let page = TestRequest::get("/console").send_to(wecom).await;
    assert!(page.text().contains("data-dismiss=\"zhangsan\""));
    let form = "userid=zhangsan";
    let button = TestRequest::get("/console/dismiss")
        .method("POST")
        .header("Content-Length", &form.len().to_string())
        .body(form.as_bytes());
    assert_eq!(button.send_to(wecom).await.status, 302);
    assert_eq!(socket.read_to_end("dismissed").await, CLOSE_1008);
    assert_eq!(status(&menshen, &cookie).await, 401);
    let page = TestRequest::get("/console").send_to(wecom).await;
    assert!(!page.text().contains("zhangsan"));
}
