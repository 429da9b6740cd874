//! Two processes that share a store.

use super::*;
use crate::sessions::eventually;
use crate::setup::run;
use crate::stores::TempDir;
use crate::test_request::repeat_until;

#[tokio::test]
async fn only_one_node_syncs_a_connector_at_a_time() {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = run(&text, &menshen.clock).await;
    menshen.wecom.hang(MEMBERS);
    let login = menshen.running.live().site().login.clone();
    let first = login.start_sync(&corp(), request(SyncScope::Everything));
    eventually("asked", async || menshen.wecom.calls(MEMBERS) > 0).await;
    let there = other.live().site().login.clone();
    let second = there.start_sync(&corp(), request(SyncScope::Everything));
    let report = second.unwrap().report().await.unwrap();
    assert_eq!(report.outcome, SyncOutcome::Busy, "{report:?}");
    menshen.wecom.clear_faults(MEMBERS);
    let report = first.unwrap().report().await.unwrap();
    assert_eq!(report.outcome, SyncOutcome::Done, "{report:?}");
    // The lease ends with the sync.
    let third = there.start_sync(&corp(), request(SyncScope::Everything));
    let report = third.unwrap().report().await.unwrap();
    assert_eq!(report.outcome, SyncOutcome::Done, "{report:?}");
    assert_eq!((report.people.listed, report.people.created), (4, 0));
}

#[tokio::test]
async fn a_node_that_died_in_a_sync_blocks_the_others_for_a_minute_at_most() {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    let people = menshen.running.live().services().people.clone();
    let until = menshen.clock.now().plus(std::time::Duration::from_secs(60));
    let lease = people.lease("directory sync/corp", "a dead node", until);
    assert!(lease.await.unwrap());
    let report = sync_with(&menshen, request(SyncScope::Everything)).await;
    assert_eq!(report.outcome, SyncOutcome::Busy);
    menshen.advance(std::time::Duration::from_secs(60));
    assert_eq!(sync(&menshen).await.people.created, 3);
}

#[tokio::test]
async fn sessions_on_another_node_get_the_new_departments() {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = run(&text, &menshen.clock).await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let finance = TestRequest::get("/finance").session(&cookie);
    let there = other.addresses()[0];
    assert_eq!(finance.send_to(there).await.status, 403);
    menshen
        .wecom
        .member("zhangsan", |one| one.department = vec![2]);
    sync(&menshen).await;
    repeat_until(&finance, there, |answer| answer.status == 200).await;
}
