//! A store that hangs, fails or refuses lines: nobody waits for it, nothing is lost silently, and no line is
//! stored twice.

use std::sync::Arc;
use std::time::Duration;

use menshen::people::audit_log::{AuditConfig, store_audit_lines};
use menshen::store::{AuditOrder, AuditQuery};
use tokio::task::JoinHandle;

use super::*;
use crate::browser::Browser;
use crate::sessions::watched::{Fault, WatchedMenshen, When};
use crate::setup::{SSO_URL, Setup};
use crate::wire;

const ADD: &str = "add_audit_lines";

async fn start() -> (WatchedMenshen, JoinHandle<()>) {
    let menshen = WatchedMenshen::start(Setup::default()).await;
    menshen.audit.apply(&AuditConfig::default());
    let task = tokio::spawn(store_audit_lines(Arc::clone(&menshen.audit)));
    (menshen, task)
}

fn record(menshen: &WatchedMenshen, login: &str) {
    menshen.telemetry.audit(&AuditRecord {
        login: Some(login),
        ..AuditRecord::new(AuditEvent::Login, menshen.clock.now())
    });
}

fn logged(menshen: &WatchedMenshen) -> Vec<Value> {
    menshen.telemetry.flush();
    menshen.records.audit()
}

/// Without the Chinese words that the log does not have.
async fn stored(menshen: &WatchedMenshen) -> Vec<Value> {
    let query = AuditQuery {
        order: AuditOrder::Oldest,
        max: 1_000,
        ..AuditQuery::default()
    };
    let lines = menshen.store.unwatched().audit_lines(&query).await.unwrap();
    let lines = lines.iter().map(|line| serde_json::from_str(&line.json));
    let mut lines: Vec<Value> = lines.collect::<Result<_, _>>().unwrap();
    lines.iter_mut().for_each(remove_chinese);
    lines
}

async fn until_nothing_waits(menshen: &WatchedMenshen) {
    let waiting = async || menshen.telemetry.audit_lines_waiting() == 0;
    eventually("all lines are stored", waiting).await;
}

/// A login that nobody began here: it leaves an audit line and needs no store.
async fn send_refused_callback(menshen: &WatchedMenshen) -> u16 {
    let request = b"GET /.menshen/callback/corp?code=x&state=y HTTP/1.1\r\nHost: sso.test\r\n\
                    Connection: close\r\n\r\n";
    wire::send(menshen.address, request).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn no_login_and_no_refused_request_waits_for_audit_lines_to_be_stored() {
    let (menshen, _task) = start().await;
    menshen.store.block(ADD, When::Before);
    record(&menshen, "somebody");
    menshen.store.wait_until_blocked(1).await;
    for person in ["zhangsan", "lisi"] {
        menshen.session_cookie_of(person).await;
        let status = send_refused_callback(&menshen).await;
        assert!((400..500).contains(&status), "{status}");
    }
    let logged = logged(&menshen);
    let events = ["login", "login", "refused", "login", "refused"];
    assert_eq!(values(&logged, "event"), events);
    assert_eq!(menshen.store.calls(ADD), 1, "the first one still hangs");
    assert_eq!(stored(&menshen).await, [] as [Value; 0]);
    menshen.store.release();
    until_nothing_waits(&menshen).await;
    assert_eq!(stored(&menshen).await, logged);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_signed_in_person_writes_no_audit_line() {
    let (menshen, _task) = start().await;
    let mut browser = Browser::at(menshen.address);
    let page = browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(page.answer.status, 200);
    until_nothing_waits(&menshen).await;
    let (calls, lines) = (menshen.store.calls(ADD), logged(&menshen).len());
    for _ in 0..50 {
        let answer = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(answer.status, 200);
        assert_eq!(menshen.telemetry.audit_lines_waiting(), 0);
    }
    assert_eq!(
        (menshen.store.calls(ADD), logged(&menshen).len()),
        (calls, lines)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_an_outage_are_stored_once_after_it() {
    for fault in [Fault::Failed, Fault::TimedOut, Fault::Closed, Fault::Silent] {
        let (menshen, _task) = start().await;
        menshen.store.fail_at(ADD, Some(fault));
        for login in ["a", "b", "c"] {
            record(&menshen, login);
        }
        let tried_again = async || menshen.store.calls(ADD) > 1;
        eventually("it is tried again", tried_again).await;
        assert_eq!(menshen.telemetry.audit_lines_waiting(), 3, "{fault:?}");
        record(&menshen, "d");
        menshen.store.fail_at(ADD, None);
        until_nothing_waits(&menshen).await;
        record(&menshen, "e");
        until_nothing_waits(&menshen).await;
        let stored = stored(&menshen).await;
        assert_eq!(
            values(&stored, "login"),
            ["a", "b", "c", "d", "e"],
            "{fault:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_whose_answer_was_lost_are_not_stored_twice() {
    let (menshen, task) = start().await;
    menshen.store.block(ADD, When::After);
    record(&menshen, "a");
    menshen.store.wait_until_blocked(1).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    menshen.store.release();
    assert_eq!(stored(&menshen).await.len(), 1);
    record(&menshen, "b");
    assert_eq!(menshen.audit.drain(Duration::from_secs(60)).await, 0);
    let stored = stored(&menshen).await;
    assert_eq!(values(&stored, "login"), ["a", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_the_database_refuses_is_counted_and_blocks_no_other() {
    let (menshen, _task) = start().await;
    menshen.store.fail_at(ADD, Some(Fault::Damaged));
    record(&menshen, "refused");
    until_nothing_waits(&menshen).await;
    menshen.store.fail_at(ADD, None);
    record(&menshen, "taken");
    until_nothing_waits(&menshen).await;
    assert_eq!(values(&stored(&menshen).await, "login"), ["taken"]);
    assert_eq!(values(&logged(&menshen), "login"), ["refused", "taken"]);
    let counter = r#"menshen_audit_lines_unstored_total{reason="refused"} 1"#;
    let page = menshen.telemetry.render();
    assert!(page.contains(counter), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_process_waits_for_the_store_for_a_limited_time() {
    let (menshen, _task) = start().await;
    menshen.store.fail_at(ADD, Some(Fault::Failed));
    record(&menshen, "a");
    record(&menshen, "b");
    assert_eq!(menshen.audit.drain(Duration::from_millis(300)).await, 2);
    let counter = r#"menshen_audit_lines_unstored_total{reason="shutdown"} 2"#;
    let page = menshen.telemetry.render();
    assert!(page.contains(counter), "{page}");
    // A store that hangs, too.
    menshen.store.fail_at(ADD, None);
    menshen.store.block(ADD, When::Before);
    assert_eq!(menshen.audit.drain(Duration::from_millis(300)).await, 2);
    menshen.store.release();
    assert_eq!(menshen.audit.drain(Duration::from_secs(60)).await, 0);
    assert_eq!(values(&logged(&menshen), "login"), ["a", "b"]);
}
