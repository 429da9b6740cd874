//! Tests of the queue of audit lines.

use std::error::Error;
use std::time::Duration;

use super::super::LogConfig;
use super::*;

fn telemetry() -> Telemetry {
    Telemetry::writing_to(&LogConfig::default(), Box::new(std::io::sink()))
}

fn record(login: &str) -> AuditRecord<'_> {
    AuditRecord {
        connector: Some("corp"),
        login: Some(login),
        account: Some(&"1WNLNa-mI-O2GFN39c0rGQ"),
        ..AuditRecord::new(AuditEvent::Login, Timestamp::from_unix_ms(7))
    }
}

fn logins(telemetry: &Telemetry, max: usize) -> Vec<String> {
    let lines = telemetry.queued_audit_lines(max).into_iter();
    lines.map(|line| line.login.unwrap()).collect()
}

#[test]
fn a_line_is_queued_only_while_lines_are_stored() {
    let telemetry = telemetry();
    telemetry.audit(&record("before"));
    assert_eq!(telemetry.audit_line(&record("before")), None);
    telemetry.queue_audit_lines([7; 8]);
    telemetry.audit(&record("张三"));
    telemetry.audit_anonymous(&record("lisi"));
    telemetry.log_stored_audit(&record("stored elsewhere"));
    assert_eq!(logins(&telemetry, 9), ["张三", "lisi"]);
    let line = telemetry.queued_audit_lines(1).remove(0);
    assert_eq!(line.event, AuditEvent::Login);
    assert_eq!(line.at, Timestamp::from_unix_ms(7));
    assert_eq!(line.connector.as_deref(), Some("corp"));
    assert_eq!(line.account.as_deref(), Some("1WNLNa-mI-O2GFN39c0rGQ"));
    let json: serde_json::Value = serde_json::from_str(&line.json).unwrap();
    assert_eq!(json["login"], "张三");
    assert_eq!(json["target"], "menshen::audit");
    telemetry.stop_queueing_audit_lines();
    telemetry.audit(&record("after"));
    assert_eq!(telemetry.audit_lines_waiting(), 0);
    assert_eq!(telemetry.remove_audit_lines(line.id), 0);
}

#[test]
fn a_line_leaves_the_queue_when_it_is_removed_and_its_id_is_never_given_twice() {
    let telemetry = telemetry();
    telemetry.queue_audit_lines([7; 8]);
    for login in ["a", "b", "c"] {
        telemetry.audit(&record(login));
    }
    let first_two = telemetry.queued_audit_lines(2);
    assert_eq!(
        telemetry.queued_audit_lines(2),
        first_two,
        "they stay until they are removed"
    );
    telemetry.remove_audit_lines(first_two[1].id);
    assert_eq!(logins(&telemetry, 9), ["c"]);
    telemetry.stop_queueing_audit_lines();
    telemetry.queue_audit_lines([7; 8]);
    telemetry.audit(&record("d"));
    let in_transaction = telemetry.audit_line(&record("e")).unwrap();
    let last = telemetry.queued_audit_lines(9).remove(0);
    // The removal of a line that is gone removes no other.
    telemetry.remove_audit_lines(first_two[0].id);
    assert_eq!(logins(&telemetry, 9), ["d"]);
    let ids = [first_two[0].id, first_two[1].id, last.id, in_transaction.id];
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id), "{ids:?}");
    }
}

#[test]
fn a_full_queue_counts_what_does_not_fit_and_takes_lines_again() {
    let telemetry = telemetry();
    telemetry.queue_audit_lines([7; 8]);
    for _ in 0..LINES_MAX + 3 {
        telemetry.audit(&record("zhangsan"));
    }
    assert_eq!(telemetry.audit_lines_waiting(), LINES_MAX);
    let counter = r#"menshen_audit_lines_unstored_total{reason="queue-full"} 3"#;
    assert!(telemetry.render().contains(counter));
    let problem = "the store does not take audit lines in time: 3 are only in the log";
    let problems = telemetry.log_problems();
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, [problem]);
    let last = telemetry.queued_audit_lines(100).pop().unwrap();
    assert_eq!(telemetry.remove_audit_lines(last.id), 3);
    assert_eq!(telemetry.log_problems(), []);
    telemetry.audit(&record("lisi"));
    assert_eq!(telemetry.audit_lines_waiting(), LINES_MAX - 99);
}

#[test]
fn a_line_that_is_too_long_is_stored_as_json_with_truncated_texts() {
    let telemetry = telemetry();
    telemetry.queue_audit_lines([7; 8]);
    let error: Box<dyn Error> = "门\u{1b}".repeat(20_000).into();
    telemetry.audit(&AuditRecord {
        error: Some(&*error),
        ..record("zhangsan")
    });
    let line = telemetry.queued_audit_lines(1).remove(0);
    assert!(line.json.len() < LINE_BYTES_MAX, "{}", line.json.len());
    let json: serde_json::Value = serde_json::from_str(&line.json).unwrap();
    assert_eq!(json["error"].as_str().unwrap().len(), TEXT_BYTES_MAX);
    assert_eq!(json["login"], "zhangsan");
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_line_is_woken_by_it() {
    let telemetry = telemetry();
    telemetry.queue_audit_lines([7; 8]);
    let waiting = tokio::time::timeout(Duration::from_secs(1), telemetry.audit_line_queued());
    assert!(waiting.await.is_err(), "there is no line yet");
    let waiting = tokio::spawn({
        let telemetry = telemetry.clone();
        async move { telemetry.audit_line_queued().await }
    });
    telemetry.audit(&record("zhangsan"));
    waiting.await.unwrap();
}

#[test]
fn anonymous_clients_leave_room_in_the_queue_for_others() {
    let telemetry = telemetry();
    telemetry.queue_audit_lines([7; 8]);
    let queue = &telemetry.0.audit_queue;
    let push = |is_anonymous| queue.push(&record("lisi"), is_anonymous, 0, b"{}\n");
    for _ in 0..LINES_WITH_ANONYMOUS_MAX {
        assert_eq!(push(true), Pushed::Done);
    }
    assert_eq!(push(true), Pushed::Dropped { first: true });
    for _ in LINES_WITH_ANONYMOUS_MAX..LINES_MAX {
        assert_eq!(push(false), Pushed::Done);
    }
    assert_eq!(push(false), Pushed::Dropped { first: false });
    let causes = [0, LINES_MAX - 1].map(|index| queue.lock().lines[index].cause);
    assert_eq!(causes, [AuditCause::Anonymous, AuditCause::Person]);
}
