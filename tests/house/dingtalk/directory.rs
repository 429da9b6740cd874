//! Directory syncs with DingTalk: what is taken over, who is closed, and what is asked.

use std::sync::Arc;

use menshen::people::directory_sync::{SyncOutcome, SyncReport, SyncScope};
use menshen::store::Account;

use super::{ID, session_cookie_of, start};
use crate::dingtalk_source::{CORP_ID, Department, DingTalk, Member};
use crate::directory_sync::{logins_in_department, sync_all, sync_scope};
use crate::setup::Menshen;
use crate::test_request::TestRequest;

const MEMBERS: &str = "/topapi/v2/user/list";
const BELOW: &str = "/topapi/v2/department/listsub";
const SCOPES: &str = "/auth/scopes";

/// The sample organisation has few members, so the brake does not matter.
const NO_BRAKE: &str = "sync_brake = 100";

async fn sync(menshen: &Menshen) -> Arc<SyncReport> {
    sync_all(menshen, ID).await
}

fn person(userid: &str) -> SyncScope {
    SyncScope::Person(format!("{CORP_ID}:{userid}").parse().unwrap())
}

async fn account(menshen: &Menshen, login: &str) -> Option<Account> {
    let people = &menshen.running.live().services().people;
    let login = login.parse().unwrap();
    people.directory().account_by_login(&login).await.unwrap()
}

#[tokio::test]
async fn everybody_whom_the_application_may_see_is_in_the_directory() {
    let (menshen, dingtalk) = start(NO_BRAKE).await;
    let report = sync(&menshen).await;
    // 赵敏 is not active, and 陈工 is outside of the visible range.
    let people = report.people;
    assert_eq!((people.created, people.ignored), (3, 1), "{report:?}");
    let departments = report.departments;
    assert_eq!((departments.listed, departments.created), (5, 5));
    assert_eq!(report.problems, []);
    assert_eq!(
        logins_in_department(&menshen, "研发中心").await,
        ["wangfang", "zhangsan"]
    );
    assert_eq!(dingtalk.calls(SCOPES), 0);
    // A login and a second sync change nothing.
    session_cookie_of(&menshen, "zhangsan").await;
    let report = sync(&menshen).await;
    let people = report.people;
    let changed = people.created + people.updated + people.closed + people.reopened;
    assert_eq!(changed, 0, "{report:?}");
    assert_eq!(report.departments.updated, 0, "{report:?}");
}

#[tokio::test]
async fn changes_are_taken_over_and_leavers_are_closed() {
    let (menshen, dingtalk) = start(NO_BRAKE).await;
    sync(&menshen).await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    dingtalk.member("zhangsan", |one| one.name = "张叁".to_owned());
    dingtalk.member("newcomer", |one| one.departments = vec![103]);
    dingtalk.delete_member("lisi");
    dingtalk.member("wangfang", |one| one.active = false);
    dingtalk.departments(|all| {
        all.retain(|one| one.id != 104);
        all.push(Department {
            id: 105,
            parent: 102,
            name: "安全/合规部".to_owned(),
            visible: true,
        });
    });
    let report = sync(&menshen).await;
    let people = report.people;
    assert_eq!(
        (people.created, people.updated, people.closed),
        (1, 1, 2),
        "{report:?}"
    );
    let departments = report.departments;
    assert_eq!(
        (departments.created, departments.removed),
        (1, 1),
        "{report:?}"
    );
    let ask = TestRequest::get("/echo").session(&cookie);
    assert_eq!(ask.send(&menshen).await.status, 401);
    assert!(account(&menshen, "lisi").await.unwrap().closed);
    assert!(account(&menshen, "wangfang").await.unwrap().closed);
}

#[tokio::test]
async fn a_member_who_is_only_hidden_is_not_closed() {
    let (menshen, dingtalk) = start(NO_BRAKE).await;
    sync(&menshen).await;
    dingtalk.member("lisi", |one| one.visible = false);
    let report = sync(&menshen).await;
    assert_eq!(report.people.closed, 0, "{report:?}");
    assert!(!account(&menshen, "lisi").await.unwrap().closed);
}

#[tokio::test]
async fn large_departments_are_read_page_by_page() {
    let (menshen, dingtalk) = start(NO_BRAKE).await;
    dingtalk.members(|all| {
        all.extend((0..250).map(|number| {
            let userid = format!("user{number:04}");
            Member::new(&userid, &userid, &[103])
        }));
    });
    let report = sync(&menshen).await;
    assert_eq!(report.people.created, 253, "{report:?}");
    // Three pages, and one for each other department.
    assert_eq!(dingtalk.calls(MEMBERS), 3 + 4);
    assert_eq!(dingtalk.calls(BELOW), 5);
    let stuck = r#"{"errcode":0,"result":{"has_more":true,"next_cursor":0,"list":[]}}"#;
    dingtalk.answer(MEMBERS, 200, stuck);
    let report = sync_scope(&menshen, ID, SyncScope::Everything).await;
    assert_eq!(report.outcome, SyncOutcome::Failed, "{report:?}");
    assert!(
        report.problems[0].what.to_string().contains("cursor"),
        "{report:?}"
    );
}

#[tokio::test]
async fn an_application_that_sees_a_part_reads_that_part() {
    let (menshen, dingtalk) = start(NO_BRAKE).await;
    let hide = |dingtalk: &DingTalk| {
        dingtalk.departments(|all| {
            for one in all.iter_mut().filter(|one| [1, 101, 104].contains(&one.id)) {
                one.visible = false;
            }
        });
    };
    hide(&dingtalk);
    let report = sync(&menshen).await;
    assert_eq!(dingtalk.calls(SCOPES), 1);
    assert_eq!(report.departments.listed, 2, "{report:?}");
    assert_eq!(report.people.created, 2, "{report:?}");
    // The names below a hidden department are no path that a rule may trust.
    session_cookie_of(&menshen, "zhangsan").await;
    let report = sync(&menshen).await;
    assert_eq!(report.people.updated, 0, "{report:?}");
}

#[tokio::test]
async fn one_person_and_one_department_are_synced() {
    let (menshen, dingtalk) = start(NO_BRAKE).await;
    let report = sync_scope(&menshen, ID, person("lisi")).await;
    assert_eq!(
        (report.outcome, report.people.created),
        (SyncOutcome::Done, 1)
    );
    assert_eq!(dingtalk.calls(MEMBERS), 0);
    dingtalk.delete_member("lisi");
    let report = sync_scope(&menshen, ID, person("lisi")).await;
    assert_eq!(report.people.closed, 1, "{report:?}");
    let nobody = sync_scope(&menshen, ID, person("nobody")).await;
    assert_eq!(nobody.outcome, SyncOutcome::NotFound);
    let report = sync_scope(&menshen, ID, SyncScope::Department("102".to_owned())).await;
    assert_eq!(report.people.created, 2, "{report:?}");
    let none = sync_scope(&menshen, ID, SyncScope::Department("4711".to_owned())).await;
    assert_eq!(none.outcome, SyncOutcome::NotFound);
}

#[tokio::test]
async fn a_sync_that_would_close_too_many_is_refused() {
    let (menshen, dingtalk) = start("sync_brake = 10").await;
    sync(&menshen).await;
    dingtalk.members(Vec::clear);
    let report = sync_scope(&menshen, ID, SyncScope::Everything).await;
    assert_eq!(report.outcome, SyncOutcome::Refused, "{report:?}");
    assert!(!account(&menshen, "lisi").await.unwrap().closed);
}

#[tokio::test]
async fn a_missing_permission_fails_the_sync_and_names_it() {
    let (menshen, dingtalk) = start(NO_BRAKE).await;
    for (permission, words) in [
        ("qyapi_get_department_list", "通讯录部门信息读权限"),
        ("qyapi_get_department_member", "通讯录部门成员读权限"),
    ] {
        dingtalk.deny_permission(permission);
        let report = sync_scope(&menshen, ID, SyncScope::Everything).await;
        dingtalk.grant_permission(permission);
        assert_eq!(report.outcome, SyncOutcome::Failed, "{report:?}");
        let problem = format!("{:?}", report.problems);
        assert!(problem.contains(words), "{problem}");
    }
    assert!(account(&menshen, "lisi").await.is_none());
}
