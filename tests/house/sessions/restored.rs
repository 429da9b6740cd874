//! The database is replaced by an older copy under a running node, or a node cannot read the log of
//! revocations for longer than it is kept: no revocation is skipped.

use std::time::Duration;

use menshen::store::RevocationScope;

use super::watched::{Fault, WatchedMenshen, When};
use crate::records::Records;
use crate::setup::{Menshen, Setup};
use crate::stores::{Meddler, TempDir};
use crate::test_request::{TestRequest, repeat_until, session_cookie_of};

/// The SQL that ends the sessions of a person as another node would, in the session table and in the log.
fn end_session(login: &str) -> String {
    let of = format!("account = (SELECT id FROM menshen_account WHERE login = '{login}')");
    format!(
        "INSERT INTO menshen_revocation (kind, what, epoch, at) \
         SELECT 'session', key, 0, 1 FROM menshen_session WHERE {of}; \
         DELETE FROM menshen_session WHERE {of};"
    )
}

/// The SQL after which the database is as a copy from before entries 2 and 3, which are then written anew.
const RESTORE: &str = "DELETE FROM menshen_revocation WHERE number > 1; \
                       UPDATE sqlite_sequence SET seq = 1 WHERE name = 'menshen_revocation'; \
                       UPDATE menshen_epoch SET number = 1 WHERE name = 'everyone'; \
                       UPDATE menshen_session SET everyone_epoch = 1;";

#[tokio::test]
async fn no_revocation_is_skipped_after_the_log_was_replaced() {
    let other = "INSERT INTO menshen_revocation (kind, what, epoch, at) \
                 VALUES ('session', zeroblob(32), 0, 1);";
    // As after a long outage of the node: what it read last is no longer kept.
    let trim = "DELETE FROM menshen_revocation;";
    let zhang = end_session("zhangsan");
    let log = Records::process_log();
    for (what, replacing) in [
        ("more entries", format!("{RESTORE} {zhang} {other} {other}")),
        ("as many entries", format!("{RESTORE} {zhang} {other}")),
        ("fewer entries", format!("{RESTORE} {zhang}")),
        ("trimmed", format!("{trim} {zhang} {trim} {other}")),
    ] {
        let dir = TempDir::new();
        let menshen = Setup::default().store(&dir.url()).start().await;
        let (node, sessions) = (
            menshen.address(),
            &menshen.running.live().services().sessions,
        );
        for _ in 0..2 {
            sessions.revoke(&RevocationScope::Everyone).await.unwrap();
        }
        menshen.advance(Duration::from_secs(1));
        let mut asks = Vec::new();
        for login in ["zhangsan", "lisi", "wangfang"] {
            let cookie = session_cookie_of(&menshen, login).await;
            asks.push(TestRequest::get("/echo").session(&cookie));
        }
        let [zhang, li, wang] = &asks[..] else {
            unreachable!()
        };
        for ask in &asks {
            assert_eq!(ask.send_to(node).await.status, 200, "{what}");
        }
        let mut meddler = Meddler::at(&dir.url()).await;
        meddler.run(&end_session("wangfang")).await;
        // Entry 3 has been read.
        repeat_until(wang, node, |answer| answer.status == 401).await;

        meddler
            .run(&format!("BEGIN IMMEDIATE; {replacing} COMMIT;"))
            .await;
        repeat_until(zhang, node, |answer| answer.status == 401).await;
        assert_eq!(li.send_to(node).await.status, 200, "{what}");
        let log = log.text();
        assert!(log.contains("the entry that was read last"), "{what}");
        // People can sign in, and later revocations are read.
        menshen.advance(Duration::from_secs(1));
        let anew = session_cookie_of(&menshen, "zhangsan").await;
        let anew = TestRequest::get("/echo").session(&anew);
        assert_eq!(anew.send_to(node).await.status, 200, "{what}");
        meddler.run(&end_session("lisi")).await;
        repeat_until(li, node, |answer| answer.status == 401).await;
        assert_eq!(anew.send_to(node).await.status, 200, "{what}");
    }
}

/// Two people are signed in at a node whose database is then replaced by an older copy, in which the session of the
/// first is revoked. The node notices it as soon as it may.
async fn replaced(
    dir: &TempDir,
    prepare: impl Fn(&WatchedMenshen),
) -> (WatchedMenshen, TestRequest, TestRequest) {
    let menshen = WatchedMenshen::start(Setup::default().store(&dir.url())).await;
    for _ in 0..2 {
        let everyone = &RevocationScope::Everyone;
        menshen.sessions.revoke(everyone).await.unwrap();
    }
    menshen.clock.advance(Duration::from_secs(1));
    let signed_in = async |login| {
        let cookie = menshen.session_cookie_of(login).await;
        let request = TestRequest::get("/echo").session(&cookie);
        assert_eq!(request.send_to(menshen.address).await.status, 200);
        request
    };
    let (zhang, li) = (signed_in("zhangsan").await, signed_in("lisi").await);
    let wang = signed_in("wangfang").await;
    let mut meddler = Meddler::at(&dir.url()).await;
    meddler.run(&end_session("wangfang")).await;
    // Entry 3 has been read.
    repeat_until(&wang, menshen.address, |answer| answer.status == 401).await;
    prepare(&menshen);
    let replacing = format!(
        "BEGIN IMMEDIATE; {RESTORE} {} COMMIT;",
        end_session("zhangsan")
    );
    meddler.run(&replacing).await;
    (menshen, zhang, li)
}

#[tokio::test]
async fn nobody_is_refused_while_a_node_learns_that_its_database_was_replaced() {
    let dir = TempDir::new();
    let hold = |menshen: &WatchedMenshen| menshen.store.block("epochs", When::Before);
    let (menshen, zhang, li) = replaced(&dir, hold).await;
    menshen.store.wait_until_blocked(1).await;
    assert_eq!(li.send_to(menshen.address).await.status, 200);
    menshen.store.release();
    repeat_until(&zhang, menshen.address, |answer| answer.status == 401).await;
    assert_eq!(li.send_to(menshen.address).await.status, 200);
}

#[tokio::test]
async fn revoked_sessions_end_although_the_epochs_of_a_replaced_database_cannot_be_read() {
    let dir = TempDir::new();
    let fail = |menshen: &WatchedMenshen| menshen.store.fail_at("epochs", Some(Fault::Failed));
    let (menshen, zhang, li) = replaced(&dir, fail).await;
    repeat_until(&zhang, menshen.address, |answer| answer.status == 401).await;
    menshen.store.fail_at("epochs", None);
    repeat_until(&li, menshen.address, |answer| answer.status == 200).await;
    assert_eq!(zhang.send_to(menshen.address).await.status, 401);
}

#[tokio::test]
async fn a_log_that_continues_is_not_taken_for_a_replaced_one() {
    let dir = TempDir::new();
    let menshen: Menshen = Setup::default().store(&dir.url()).start().await;
    let ask = TestRequest::get("/echo").session(&session_cookie_of(&menshen, "zhangsan").await);
    let shared = menshen.running.live().services();
    for _ in 0..3 {
        let wang = session_cookie_of(&menshen, "wangfang").await;
        let wang = TestRequest::get("/echo").session(&wang);
        assert_eq!(wang.send(&menshen).await.status, 200);
        let mut meddler = Meddler::at(&dir.url()).await;
        meddler.run(&end_session("wangfang")).await;
        repeat_until(&wang, menshen.address(), |answer| answer.status == 401).await;
        // The entry that was read last is old, but stays.
        shared.sessions.delete_expired().await.unwrap();
    }
    assert_eq!(ask.send(&menshen).await.status, 200);
}
