//! Directory syncs with Yunzhijia.

use std::sync::Arc;

use menshen::people::directory_sync::{SyncOutcome, SyncReport, SyncScope};
use serde_json::json;

use super::{ID, LI, ZHANG, scan, setup, start_source};
use crate::directory_sync::{all_logins, logins_in_department, sync_all, sync_scope};
use crate::setup::Menshen;
use crate::test_request::TestRequest;
use crate::yunzhijia_source::{Department, EID, OTHER_EID, Person, Yunzhijia};

/// The brake does not matter: the sample team has two people.
const SYNC: &str = "contacts = true\nsync_brake = 100";

const DEPARTMENTS: &str = "/gateway/opendata-control/data/getallorgs";
const MEMBERS: &str = "/gateway/opendata-control/data/getorgpersons";

async fn sync(menshen: &Menshen) -> Arc<SyncReport> {
    sync_all(menshen, ID).await
}

async fn session_of(menshen: &Menshen, openid: &str) -> String {
    let (browser, page) = scan(menshen, openid).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    browser.cookie("menshen").unwrap().value.clone()
}

async fn status(menshen: &Menshen, cookie: &str) -> u16 {
    let ask = TestRequest::get("/echo").session(cookie);
    ask.send(menshen).await.status
}

fn add(source: &Yunzhijia, openid: &str, edit: impl FnOnce(&mut Person)) {
    source.person(openid, |person| {
        person.job_no = openid.to_owned();
        edit(person);
    });
}

#[tokio::test]
async fn the_whole_team_is_in_the_directory_after_a_sync() {
    let source = start_source().await;
    add(&source, "boss", |one| one.org = "org-team".to_owned());
    add(&source, "unassigned", |one| one.org = String::new());
    add(&source, "stranger", |one| {
        one.eid = OTHER_EID.to_owned();
        one.org = "org-rd".to_owned();
    });
    let menshen = setup(&source, SYNC).start().await;
    let report = sync(&menshen).await;
    assert_eq!(
        (report.people.listed, report.people.created),
        (3, 3),
        "{report:?}"
    );
    // The list does not have the team itself, which is asked for.
    let departments = report.departments;
    assert_eq!((departments.listed, departments.created), (4, 4));
    assert_eq!(report.problems, []);
    assert_eq!(all_logins(&menshen).await, ["boss", "lisi", "zhangsan"]);
    assert_eq!(
        logins_in_department(&menshen, "研发中心").await,
        ["zhangsan"]
    );
    assert_eq!(logins_in_department(&menshen, "示例公司").await.len(), 3);
}

#[tokio::test]
async fn a_login_and_a_sync_bring_the_same_and_a_second_sync_changes_nothing() {
    let source = start_source().await;
    let menshen = setup(&source, SYNC).start().await;
    let cookie = session_of(&menshen, ZHANG).await;
    for expected in [(1, 0), (0, 0)] {
        let report = sync(&menshen).await;
        let people = report.people;
        let changed = people.updated + people.closed + people.reopened;
        assert_eq!((people.created, changed), expected, "{report:?}");
    }
    assert_eq!(status(&menshen, &cookie).await, 200);
    source.person(LI, |one| one.name = "李思".to_owned());
    source.departments(|all| {
        all.retain(|one| one.id != "org-rd");
        all[1].parent = "org-team".to_owned();
    });
    let report = sync(&menshen).await;
    // 张三 has a new department path.
    assert_eq!(report.people.updated, 2, "{report:?}");
    let departments = report.departments;
    assert_eq!((departments.updated, departments.removed), (1, 1));
}

#[tokio::test]
async fn whoever_left_or_is_gone_is_closed_by_the_next_sync() {
    for is_deleted in [false, true] {
        let source = start_source().await;
        let menshen = setup(&source, SYNC).start().await;
        let cookie = session_of(&menshen, ZHANG).await;
        sync(&menshen).await;
        match is_deleted {
            true => source.delete_person(ZHANG),
            false => source.person(ZHANG, |one| one.has_left = true),
        }
        let report = sync(&menshen).await;
        assert_eq!(report.people.closed, 1, "{report:?}");
        assert_eq!(status(&menshen, &cookie).await, 401);
        assert_eq!(sync(&menshen).await.people.closed, 0);
    }
}

#[tokio::test]
async fn somebody_without_a_department_stays_open() {
    let source = start_source().await;
    let menshen = setup(&source, SYNC).start().await;
    let cookie = session_of(&menshen, ZHANG).await;
    source.person(ZHANG, |one| one.org = String::new());
    let report = sync(&menshen).await;
    assert_eq!(
        (report.people.closed, report.people.updated),
        (0, 1),
        "{report:?}"
    );
    assert_eq!(status(&menshen, &cookie).await, 200);
}

#[tokio::test]
async fn lists_of_several_pages_are_read_to_their_end() {
    let source = start_source().await;
    for number in 0..1_003 {
        add(&source, &format!("user{number:04}"), |one| {
            one.org = "org-rd".to_owned();
        });
    }
    source.departments(|all| {
        let more = (0..1_000).map(|number| {
            Department::new(&format!("org-{number}"), "org-rd", &format!("组{number}"))
        });
        all.extend(more);
    });
    let menshen = setup(&source, SYNC).start().await;
    let report = sync(&menshen).await;
    assert_eq!(report.people.created, 1_005, "{report:?}");
    assert_eq!(report.departments.created, 1_004);
    // The departments have two pages, one department has two of people.
    assert_eq!(source.calls(DEPARTMENTS), 2);
    assert_eq!(source.calls(MEMBERS), 1_005);
}

#[tokio::test]
async fn a_list_that_does_not_end_is_given_up_and_nobody_is_closed() {
    let one = |index: usize| json!({ "openId": format!("u{index}"), "status": "1", "name": "x" });
    let full: Vec<_> = (0..1_000).map(one).collect();
    let members = json!({ "success": true, "errorCode": 100, "data": { "members": full } });
    let org = |_| json!({ "orgId": "o", "name": "x", "parentId": "" });
    let full: Vec<_> = (0..1_000).map(org).collect();
    let departments = json!({ "success": true, "errorCode": 100, "data": full });
    for (path, answer) in [(MEMBERS, members), (DEPARTMENTS, departments)] {
        let source = start_source().await;
        let menshen = setup(&source, SYNC).start().await;
        let cookie = session_of(&menshen, ZHANG).await;
        source.answer_with(path, 200, &answer.to_string(), usize::MAX);
        let report = sync_scope(&menshen, ID, SyncScope::Everything).await;
        assert_eq!(report.outcome, SyncOutcome::Failed, "{path} {report:?}");
        assert_eq!(status(&menshen, &cookie).await, 200);
    }
}

#[tokio::test]
async fn one_person_and_one_department_are_synced() {
    let source = start_source().await;
    let menshen = setup(&source, SYNC).start().await;
    let person = |openid: &str| {
        let subject = format!("{EID}:{openid}");
        SyncScope::Person(subject.parse().unwrap())
    };
    let report = sync_scope(&menshen, ID, person(LI)).await;
    assert_eq!(report.people.created, 1, "{report:?}");
    assert_eq!(source.calls(MEMBERS), 0);
    let nobody = sync_scope(&menshen, ID, person("nobody")).await;
    assert_eq!(nobody.outcome, SyncOutcome::NotFound);
    let scope = SyncScope::Department("org-rd".to_owned());
    let report = sync_scope(&menshen, ID, scope).await;
    assert_eq!(report.people.created, 1, "{report:?}");
    let login = menshen.running.live().site().login.clone();
    for id in [LI.to_owned(), format!("{EID}:{LI}")] {
        let subject = login.subject_of(&ID.parse().unwrap(), &id);
        assert_eq!(subject.unwrap().as_str(), format!("{EID}:{LI}"));
    }
    for id in ["", "a b", &format!("{OTHER_EID}:{LI}"), "a:b:c"] {
        let refused = login.subject_of(&ID.parse().unwrap(), id);
        assert!(refused.is_err(), "{id}");
    }
}

#[tokio::test]
async fn a_person_without_a_clear_status_stays_as_they_are_and_the_report_says_why() {
    let source = start_source().await;
    let menshen = setup(&source, SYNC).start().await;
    let cookie = session_of(&menshen, ZHANG).await;
    let members = json!({ "success": true, "errorCode": 100, "data": { "members": [
        { "openId": ZHANG, "name": "张三", "jobNo": "zhangsan", "orgId": "org-platform" }, 7,
    ] } });
    source.answer_with(MEMBERS, 200, &members.to_string(), usize::MAX);
    let report = sync(&menshen).await;
    let problems = format!("{:?}", report.problems);
    assert!(problems.contains("no status"), "{problems}");
    assert!(problems.contains("not an object"), "{problems}");
    assert_eq!(status(&menshen, &cookie).await, 200);
}
