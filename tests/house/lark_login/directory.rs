//! Directory syncs with Lark, and what it says about people who are signed in.

use std::sync::Arc;
use std::time::Duration;

use menshen::people::directory_sync::{SyncOutcome, SyncReport, SyncScope};

use super::{account_is_closed, assert_signed_in, cookie_of, person_path, setup, sign_in, start};
use crate::directory_sync::{all_logins, logins_in_department, sync_all, sync_scope};
use crate::lark::{Lark, Permission, TENANT_KEY};
use crate::sessions::eventually;
use crate::setup::Menshen;
use crate::test_request::TestRequest;

/// The brake does not matter: the sample tenant has five people.
const SYNC: &str = "contacts = true\nsync_brake = 100";

const MEMBERS: &str = "/open-apis/contact/v3/users/find_by_department";

async fn sync(menshen: &Menshen) -> Arc<SyncReport> {
    sync_all(menshen, "fs").await
}

async fn status(menshen: &Menshen, cookie: &str) -> u16 {
    let ask = TestRequest::get("/echo").session(cookie);
    ask.send(menshen).await.status
}

#[tokio::test]
async fn everybody_whom_the_application_sees_is_in_the_directory_after_a_sync() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, SYNC).await;
    let report = sync(&menshen).await;
    // 赵敏 is frozen; the guest of another tenant is no person of this one.
    let people = report.people;
    assert_eq!(
        (people.listed, people.created, people.ignored),
        (5, 4, 1),
        "{report:?}"
    );
    let departments = report.departments;
    assert_eq!((departments.listed, departments.created), (7, 7));
    assert_eq!(report.problems, []);
    let everybody = ["chengong", "lisi", "wangfang", "zhangsan"];
    assert_eq!(all_logins(&menshen).await, everybody);
    assert_eq!(
        logins_in_department(&menshen, "研发中心").await,
        ["zhangsan"]
    );
    assert_eq!(logins_in_department(&menshen, "示例公司").await, everybody);
}

#[tokio::test]
async fn a_login_and_a_sync_bring_the_same_and_a_second_sync_changes_nothing() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, SYNC).await;
    let cookie = cookie_of(&menshen, &lark, "zhangsan").await;
    let report = sync(&menshen).await;
    assert_eq!(
        (report.people.created, report.people.updated),
        (3, 0),
        "{report:?}"
    );
    let report = sync(&menshen).await;
    let people = report.people;
    let changed = people.created + people.updated + people.closed + people.reopened;
    assert_eq!((people.listed, changed), (5, 0), "{report:?}");
    let departments = report.departments;
    let changed = departments.created + departments.updated + departments.removed;
    assert_eq!(changed, 0, "{report:?}");
    assert_eq!(status(&menshen, &cookie).await, 200);
    lark.person("lisi", |one| one.name = "李思".to_owned());
    lark.departments(|all| {
        all.retain(|one| one.id != "od-sales");
        all[2].parent = "od-rd".to_owned();
    });
    let report = sync(&menshen).await;
    // 王芳 has a new department path.
    assert_eq!(report.people.updated, 2, "{report:?}");
    let departments = report.departments;
    assert_eq!(
        (departments.updated, departments.removed),
        (1, 1),
        "{report:?}"
    );
    assert_eq!(
        logins_in_department(&menshen, "研发中心").await,
        ["wangfang", "zhangsan"]
    );
}

#[tokio::test]
async fn whoever_left_is_closed_by_the_next_sync() {
    for code in [41012, 41050] {
        let lark = Lark::start().await.unwrap();
        lark.set_unknown_person_code(code);
        let menshen = start(&lark, SYNC).await;
        let cookie = cookie_of(&menshen, &lark, "zhangsan").await;
        sync(&menshen).await;
        lark.delete_person("zhangsan");
        let report = sync(&menshen).await;
        assert_eq!(report.people.closed, 1, "{code} {report:?}");
        assert!(account_is_closed(&menshen, "zhangsan").await);
        assert_eq!(status(&menshen, &cookie).await, 401);
    }
}

#[tokio::test]
async fn one_person_and_one_department_are_synced() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, SYNC).await;
    let person = |user_id: &str| {
        let subject = format!("{TENANT_KEY}:on_{user_id}");
        SyncScope::Person(subject.parse().unwrap())
    };
    let report = sync_scope(&menshen, "fs", person("lisi")).await;
    assert_eq!(report.people.created, 1, "{report:?}");
    assert_eq!(lark.calls(MEMBERS), 0);
    let nobody = sync_scope(&menshen, "fs", person("nobody")).await;
    assert_eq!(nobody.outcome, SyncOutcome::NotFound);
    let scope = SyncScope::Department("od-rd".to_owned());
    let report = sync_scope(&menshen, "fs", scope).await;
    assert_eq!(report.people.created, 1, "{report:?}");
    assert_eq!(all_logins(&menshen).await, ["lisi", "zhangsan"]);
    // Once the tenant is known, the ID of a person is enough.
    let login = menshen.running.live().site().login.clone();
    let subject = login.subject_of(&"fs".parse().unwrap(), "on_lisi");
    assert_eq!(subject.unwrap().as_str(), format!("{TENANT_KEY}:on_lisi"));
    for id in ["", "on lisi", "other:on_lisi", "a:b:c"] {
        let refused = login.subject_of(&"fs".parse().unwrap(), id);
        assert!(refused.is_err(), "{id}");
    }
}

#[tokio::test]
async fn an_application_that_sees_a_part_of_the_tenant_reads_that_part() {
    let lark = Lark::start().await.unwrap();
    lark.set_contact_range(Some((&["od-rd"], &["lisi", "chengong"])));
    let menshen = start(&lark, SYNC).await;
    let report = sync(&menshen).await;
    assert_eq!(
        all_logins(&menshen).await,
        ["chengong", "lisi", "zhangsan"],
        "{report:?}"
    );
    assert_eq!(
        logins_in_department(&menshen, "研发中心").await,
        ["zhangsan"]
    );
    let (_, page) = sign_in(&menshen, &lark, "lisi").await;
    assert_signed_in(&page, "lisi");
    // Whoever is hidden later is not gone: the account stays open.
    let cookie = cookie_of(&menshen, &lark, "zhangsan").await;
    lark.set_contact_range(Some((&[], &["lisi"])));
    let report = sync(&menshen).await;
    assert!(!account_is_closed(&menshen, "zhangsan").await, "{report:?}");
    assert_eq!(status(&menshen, &cookie).await, 200);
}

#[tokio::test]
async fn lists_of_several_pages_are_read_to_their_end() {
    let lark = Lark::start().await.unwrap();
    for number in 0..120 {
        lark.person(&format!("user{number:03}"), |one| {
            one.departments = vec!["od-sales".to_owned()];
        });
    }
    let menshen = start(&lark, SYNC).await;
    let report = sync(&menshen).await;
    assert_eq!(report.people.created, 124, "{report:?}");
    // Seven departments, and two more pages of one.
    assert_eq!(lark.calls(MEMBERS), 9);
    let endless = serde_json::json!({ "code": 0, "data": { "has_more": true, "page_token": "1", "items": [] } });
    lark.answer_with(MEMBERS, 200, endless.to_string(), usize::MAX);
    let report = sync_scope(&menshen, "fs", SyncScope::Everything).await;
    assert_ne!(report.outcome, SyncOutcome::Done, "{report:?}");
}

#[tokio::test]
async fn a_person_without_a_status_stays_as_they_are_and_the_report_says_why() {
    let lark = Lark::start().await.unwrap();
    let menshen = start(&lark, SYNC).await;
    let cookie = cookie_of(&menshen, &lark, "zhangsan").await;
    lark.set_permission(Permission::Status, false);
    let report = sync(&menshen).await;
    let problem = report.problems[0].what.to_string();
    assert!(
        problem.contains("contact:user.employee:readonly"),
        "{problem}"
    );
    assert_eq!(status(&menshen, &cookie).await, 200);
    assert!(!account_is_closed(&menshen, "zhangsan").await);
}

#[tokio::test]
async fn whoever_left_or_is_frozen_is_signed_out_without_events_and_the_others_stay() {
    for is_frozen in [false, true] {
        let lark = Lark::start().await.unwrap();
        // Rounds begin often; menshen's clock says when somebody is due.
        let lines = "contacts = true\nrevalidate = \"2s\"";
        let menshen = setup(&lark, lines).start().await;
        let zhang = cookie_of(&menshen, &lark, "zhangsan").await;
        let li = cookie_of(&menshen, &lark, "lisi").await;
        match is_frozen {
            true => lark.person("zhangsan", |one| one.is_frozen = true),
            false => lark.delete_person("zhangsan"),
        }
        menshen.advance(Duration::from_secs(3));
        eventually("out", async || status(&menshen, &zhang).await == 401).await;
        assert_eq!(status(&menshen, &li).await, 200);
        // Lark is no longer asked, or does not answer: nobody is signed out.
        let path = person_path("lisi");
        lark.fail(&path, 40003, usize::MAX);
        let before = lark.calls(&path);
        menshen.advance(Duration::from_secs(3));
        eventually("asked", async || lark.calls(&path) > before).await;
        assert_eq!(status(&menshen, &li).await, 200);
    }
}
