//! What a sync does while WeCom is busy, refuses or sends nonsense.

use std::time::Duration;

use super::*;
use crate::sessions::eventually;

#[tokio::test]
async fn a_busy_source_is_asked_again() {
    let menshen = setup().start().await;
    menshen.wecom.fail(MEMBERS, 45009, 1);
    menshen.wecom.fail("/cgi-bin/department/list", 45033, 1);
    let report = sync(&menshen).await;
    assert_eq!(report.people.created, 3, "{report:?}");
    assert_eq!(menshen.wecom.calls(MEMBERS), 10);
}

#[tokio::test]
async fn nobody_is_closed_unless_everything_was_read() {
    let menshen = setup().start().await;
    sync(&menshen).await;
    menshen.wecom.delete_member("zhangsan");
    menshen.wecom.set_status("lisi", 2);
    for (path, errcode) in [
        (MEMBERS, 48002),
        ("/cgi-bin/user/get", 60020),
        ("/cgi-bin/department/list", 48009),
    ] {
        menshen.wecom.fail(path, errcode, usize::MAX);
        let report = sync_with(&menshen, request(SyncScope::Everything)).await;
        assert_eq!(report.outcome, SyncOutcome::Failed, "{path}");
        let problem = &report.problems[0];
        assert!(
            problem.what.to_string().contains(&errcode.to_string()),
            "{report:?}"
        );
        assert!(!problem.remedy.is_empty());
        for login in ["zhangsan", "lisi"] {
            assert!(!is_closed(&menshen, login).await, "{path}: {login}");
        }
        menshen.wecom.clear_faults(path);
    }
    assert_eq!(sync(&menshen).await.people.closed, 2);
}

#[tokio::test]
async fn nonsense_about_a_member_does_not_stop_the_others() {
    let menshen = setup().start().await;
    let body = r#"{"errcode":0,"userlist":[7,{"name":"nobody"},{"userid":"ww2/x","status":1},
        {"userid":"new.one","status":9,"department":[1]},
        {"userid":"good","status":"1","department":["1"]}]}"#;
    menshen.wecom.answer(MEMBERS, body, 1);
    let report = sync(&menshen).await;
    assert_eq!(report.people.refused, 3, "{report:?}");
    assert!(account(&menshen, "good").await.is_some());
    assert!(account(&menshen, "new.one").await.is_none());
    assert_eq!(report.problems.len(), 4, "{report:?}");
}

#[tokio::test]
async fn a_list_that_is_too_long_is_read_one_by_one() {
    let menshen = setup().start().await;
    menshen.wecom.fail(MEMBERS, 45029, usize::MAX);
    let report = sync(&menshen).await;
    assert_eq!(report.people.created, 3, "{report:?}");
    assert_eq!(report.people.listed, 4);
}

#[tokio::test]
async fn the_same_sync_is_joined_and_another_is_refused_while_one_runs() {
    let menshen = setup().start().await;
    menshen.wecom.hang(MEMBERS);
    let login = menshen.running.live().site().login.clone();
    let first = login.start_sync(&corp(), request(SyncScope::Everything));
    let first = first.unwrap();
    let same = SyncRequest {
        by: "another administrator".to_owned(),
        ..request(SyncScope::Everything)
    };
    assert_eq!(login.start_sync(&corp(), same).unwrap().run, first.run);
    let other = login.start_sync(&corp(), request(person("lisi")));
    let refused = other.unwrap_err();
    assert!(matches!(refused, SyncRefused::Running { .. }), "{refused}");
    eventually("asked", async || menshen.wecom.calls(MEMBERS) > 0).await;
    let status = login.sync_status(&corp()).unwrap();
    assert_eq!(status.running.unwrap().progress().departments, 9);
    assert!(status.last.is_none());
    menshen.wecom.clear_faults(MEMBERS);
    let report = tokio::time::timeout(Duration::from_secs(60), first.report()).await;
    let report = report.unwrap().unwrap();
    assert_eq!(report.outcome, SyncOutcome::Done, "{report:?}");
    let status = login.sync_status(&corp()).unwrap();
    assert!(status.running.is_none());
    assert_eq!(status.last.unwrap().run, report.run);
}

#[tokio::test]
async fn no_secret_is_in_a_report() {
    let menshen = setup().start().await;
    menshen.wecom.fail(MEMBERS, 60020, usize::MAX);
    let report = sync_with(&menshen, request(SyncScope::Everything)).await;
    let text = serde_json::to_string(&*report).unwrap();
    assert!(text.contains("60020"), "{text}");
    assert!(!text.contains(crate::wecom::SECRET) && !text.contains("access_token"));
}
