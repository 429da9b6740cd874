//! Whom a sync closes and reopens, and when it refuses to.

use super::*;
use crate::people::closing;

#[tokio::test]
async fn whoever_left_is_closed_with_every_session_and_comes_back_as_nobody() {
    let menshen = setup().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let other = session_cookie_of(&menshen, "lisi").await;
    sync(&menshen).await;
    menshen.wecom.delete_member("zhangsan");
    let report = sync(&menshen).await;
    assert_eq!(report.people.closed, 1, "{report:?}");
    assert_eq!(status(&menshen, "/echo", &cookie).await, 401);
    assert_eq!(status(&menshen, "/echo", &other).await, 200);
    let audit = menshen.audit();
    let closed = audit.iter().find(|line| line["event"] == "closed").unwrap();
    assert_eq!(closed["login"], "zhangsan");
    let reason = closed["reason"].as_str().unwrap();
    assert!(
        reason.contains("directory sync") && reason.contains("60111"),
        "{reason}"
    );
    assert_eq!(closed["by"], "boss");
    // WeCom gives the userid to somebody: until an administrator says otherwise, that is another person.
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    let report = sync(&menshen).await;
    let people = report.people;
    assert_eq!((people.created, people.reopened, people.refused), (0, 0, 1));
    assert!(
        report.problems[0].what.to_string().contains("zhangsan"),
        "{report:?}"
    );
    assert!(is_closed(&menshen, "zhangsan").await);
}

#[tokio::test]
async fn an_inactive_member_is_closed_and_open_again_when_active() {
    for status_code in [2, 4, 5] {
        let menshen = setup().start().await;
        let cookie = session_cookie_of(&menshen, "zhangsan").await;
        sync(&menshen).await;
        let before = account(&menshen, "zhangsan").await.unwrap();
        menshen.wecom.set_status("zhangsan", status_code);
        let report = sync(&menshen).await;
        assert_eq!(report.people.closed, 1, "{status_code}: {report:?}");
        assert_eq!(status(&menshen, "/echo", &cookie).await, 401);
        assert!(is_closed(&menshen, "zhangsan").await);
        // Closed once.
        assert_eq!(sync(&menshen).await.people.closed, 0);
        menshen.wecom.member("zhangsan", |one| {
            one.status = 1;
            one.department = vec![2];
        });
        let report = sync(&menshen).await;
        assert_eq!(report.people.reopened, 1, "{status_code}: {report:?}");
        let after = account(&menshen, "zhangsan").await.unwrap();
        assert_eq!((after.id, after.closed), (before.id, false));
        // The old session stays ended, and the new one has the new department.
        assert_eq!(status(&menshen, "/echo", &cookie).await, 401);
        menshen.advance(std::time::Duration::from_secs(1));
        let cookie = session_cookie_of(&menshen, "zhangsan").await;
        assert_eq!(status(&menshen, "/finance", &cookie).await, 200);
    }
}

#[tokio::test]
async fn whom_an_administrator_closed_is_never_opened_by_a_sync() {
    let menshen = setup().start().await;
    sync(&menshen).await;
    let people = &menshen.running.live().services().people;
    // Before the sync, and after it.
    let li = account(&menshen, "lisi").await.unwrap();
    people
        .close_account(&li.id, &closing("left"))
        .await
        .unwrap();
    menshen.wecom.set_status("lisi", 2);
    menshen.wecom.set_status("zhangsan", 2);
    assert_eq!(sync(&menshen).await.people.closed, 1);
    let zhang = account(&menshen, "zhangsan").await.unwrap();
    let closed = people.close_account(&zhang.id, &closing("stole")).await;
    assert!(closed.unwrap());
    menshen.wecom.set_status("lisi", 1);
    menshen.wecom.set_status("zhangsan", 1);
    let report = sync(&menshen).await;
    assert_eq!(report.people.reopened, 0, "{report:?}");
    for login in ["lisi", "zhangsan"] {
        assert!(is_closed(&menshen, login).await, "{login}");
    }
    let record = people.person(&zhang.id).await.unwrap().unwrap();
    assert_eq!(record.closed_by.as_deref(), Some("boss"));
    assert_eq!(record.closed_reason.as_deref(), Some("stole"));
    // An administrator opens them again.
    people.reopen_account(&zhang.id, "boss").await.unwrap();
    assert!(!is_closed(&menshen, "zhangsan").await);
}

#[tokio::test]
async fn another_connector_does_not_open_what_this_one_closed() {
    let tables = crate::setup::SECOND_CONNECTOR.to_owned() + NO_LOGIN_LIMITS;
    let setup = Setup::default().wecom("sync_brake = 100").tables(&tables);
    let setup = setup.connector("login_prefix = \"c-\"");
    let menshen = setup.start().await;
    sync(&menshen).await;
    menshen.wecom.set_status("lisi", 2);
    sync(&menshen).await;
    menshen.wecom.set_status("lisi", 1);
    let login = menshen.running.live().site().login.clone();
    let other = "other".parse().unwrap();
    let running = login.start_sync(&other, request(SyncScope::Everything));
    let report = running.unwrap().report().await.unwrap();
    assert_eq!((report.people.created, report.people.reopened), (3, 0));
    assert!(is_closed(&menshen, "c-lisi").await);
    assert!(!is_closed(&menshen, "lisi").await);
}

#[tokio::test]
async fn the_brake_refuses_to_close_too_many_and_can_be_forced() {
    let setup = Setup::default().tables(NO_LOGIN_LIMITS);
    let menshen = setup.start().await;
    menshen.wecom.generate_company(40, 5);
    assert_eq!(sync(&menshen).await.people.created, 40);
    // Ten per cent are allowed.
    let delete = |numbers: std::ops::Range<u32>| {
        for number in numbers {
            menshen.wecom.delete_member(&format!("user{number:06}"));
        }
    };
    delete(0..4);
    menshen.wecom.set_status("user000039", 2);
    let report = sync_with(&menshen, request(SyncScope::Everything)).await;
    assert_eq!(report.outcome, SyncOutcome::Refused, "{report:?}");
    let problem = &report.problems[0];
    assert!(
        problem.what.to_string().contains("5 of 40"),
        "{}",
        problem.what
    );
    for login in ["user000000", "user000039"] {
        assert!(!is_closed(&menshen, login).await, "{login}");
    }
    let dry_run = SyncRequest {
        dry_run: true,
        ..request(SyncScope::Everything)
    };
    let report = sync_with(&menshen, dry_run).await;
    assert_eq!(report.outcome, SyncOutcome::Refused, "{report:?}");
    menshen.wecom.set_status("user000039", 1);
    assert_eq!(sync(&menshen).await.people.closed, 4);
    // Nobody at all is an error of the source rather than a company without people.
    delete(4..40);
    let report = sync_with(&menshen, request(SyncScope::Everything)).await;
    assert_eq!(report.outcome, SyncOutcome::Refused, "{report:?}");
    let forced = SyncRequest {
        force: true,
        ..request(SyncScope::Everything)
    };
    let report = sync_with(&menshen, forced).await;
    assert_eq!(report.outcome, SyncOutcome::Done);
    assert_eq!(report.people.closed, 36);
}

#[tokio::test]
async fn whom_the_application_no_longer_sees_is_not_gone() {
    let menshen = setup().start().await;
    sync(&menshen).await;
    // 人事部 leaves the visible range; WeCom answers as if its members did not exist.
    menshen.wecom.departments(|all| {
        all.iter_mut().find(|one| one.id == 4).unwrap().visible = false;
    });
    menshen.wecom.member("wangfang", |one| one.visible = false);
    let report = sync(&menshen).await;
    let people = report.people;
    assert_eq!((people.closed, people.not_visible), (0, 1), "{report:?}");
    assert_eq!(report.departments.removed, 0, "{report:?}");
    assert!(!is_closed(&menshen, "wangfang").await);
    let report = sync_with(&menshen, request(person("wangfang"))).await;
    assert_eq!(report.people.not_visible, 1, "{report:?}");
    // A department that WeCom no longer has is removed, and its members are not gone for that reason.
    menshen
        .wecom
        .departments(|all| all.retain(|one| one.id != 4));
    let report = sync(&menshen).await;
    assert_eq!(report.departments.removed, 1, "{report:?}");
    assert!(!is_closed(&menshen, "wangfang").await);
}

#[tokio::test]
async fn members_of_a_department_that_cannot_be_read_are_not_gone() {
    let menshen = setup().start().await;
    sync(&menshen).await;
    menshen.wecom.delete_member("lisi");
    menshen.wecom.fail(MEMBERS, 60011, 9);
    let report = sync(&menshen).await;
    assert_eq!(report.people.closed, 0, "{report:?}");
    assert_eq!(report.problems.len(), 9, "{report:?}");
    assert_eq!(sync(&menshen).await.people.closed, 1);
}

#[tokio::test]
async fn with_the_contact_secret_a_sync_knows_who_left() {
    let setup = Setup::default().tables(NO_LOGIN_LIMITS).wecom(&format!(
        "sync_brake = 100\ncontact_secret = \"{CONTACT_SECRET}\""
    ));
    let menshen = setup.start().await;
    sync(&menshen).await;
    // Both look the same to the application, in a department that it sees.
    menshen.wecom.member("lisi", |one| one.visible = false);
    menshen.wecom.delete_member("zhangsan");
    let report = sync(&menshen).await;
    let people = report.people;
    assert_eq!((people.closed, people.not_visible), (1, 1), "{report:?}");
    assert!(is_closed(&menshen, "zhangsan").await);
    assert!(!is_closed(&menshen, "lisi").await);
}
