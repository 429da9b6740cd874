//! How long the store keeps lines, and that they are written before the process ends.

use std::time::Duration;

use menshen::store::{self, AuditQuery};
use menshen::wording::Text;

use super::*;
use crate::setup::Setup;
use crate::stores::TempDir;

const DAY: Duration = Duration::from_secs(86_400);

fn setup_with(audit: &str) -> Setup {
    Setup::default().tables(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{TOKEN}\"\n[audit]\n{audit}\n"
    ))
}

async fn delete_old(menshen: &Menshen) -> u64 {
    let audit = &menshen.running.live().services().audit;
    audit.delete_old().await.unwrap()
}

#[tokio::test]
async fn lines_are_deleted_when_they_are_older_than_keep() {
    for (setup, days) in [(setup(), 180), (setup_with("keep = \"3d\""), 3)] {
        let menshen = setup.start().await;
        record_logins(&menshen, &["old"]);
        list_once(&menshen, "", 1).await;
        menshen.advance(DAY);
        record_logins(&menshen, &["young"]);
        list_once(&menshen, "", 2).await;
        menshen.advance(DAY * (days - 1));
        assert_eq!(delete_old(&menshen).await, 0, "{days}");
        menshen.advance(Duration::from_millis(1));
        assert_eq!(delete_old(&menshen).await, 1, "{days}");
        assert_eq!(values(&list(&menshen, "").await, "login"), ["young"]);
    }
}

#[tokio::test]
async fn the_oldest_lines_beyond_lines_max_are_deleted() {
    let menshen = setup_with("lines_max = 2").start().await;
    record_logins(&menshen, &["a", "b", "c", "d"]);
    list_once(&menshen, "", 4).await;
    assert_eq!(delete_old(&menshen).await, 2);
    assert_eq!(values(&list(&menshen, "").await, "login"), ["d", "c"]);
}

#[tokio::test]
async fn many_old_lines_are_deleted_in_one_run() {
    let menshen = setup().start().await;
    let logins = vec!["zhangsan"; 2_300];
    record_logins(&menshen, &logins);
    record_logins(&menshen, &["last"]);
    list_once(&menshen, "login=last", 1).await;
    menshen.advance(DAY * 181);
    assert_eq!(delete_old(&menshen).await, 2_301);
    assert_eq!(list(&menshen, "").await, [] as [Value; 0]);
}

#[tokio::test]
async fn a_reload_changes_for_how_long_lines_are_kept() {
    let menshen = setup().start().await;
    record_logins(&menshen, &["before"]);
    list_once(&menshen, "", 1).await;
    let none = setup_with("keep = \"0s\"");
    menshen.reload(&none).await.unwrap();
    record_logins(&menshen, &["only in the log"]);
    assert_eq!(telemetry(&menshen).audit_lines_waiting(), 0);
    assert_eq!(values(&list(&menshen, "").await, "login"), ["before"]);
    assert_eq!(delete_old(&menshen).await, 1);
    assert_eq!(list(&menshen, "").await, [] as [Value; 0]);
    menshen.reload(&setup()).await.unwrap();
    record_logins(&menshen, &["after"]);
    let lines = list_once(&menshen, "", 1).await;
    assert_eq!(values(&lines, "login"), ["after"]);
    let logged = menshen.audit();
    assert_eq!(
        values(&logged, "login"),
        ["before", "only in the log", "after"]
    );
}

#[tokio::test]
async fn what_was_recorded_last_is_stored_before_the_process_ends() {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    sign_in_as(&menshen, "zhangsan").await;
    let logins = vec!["lisi"; 1_500];
    record_logins(&menshen, &logins);
    menshen.running.stop().await;
    let options = store::StoreOptions::default();
    let store = store::open(&dir.store_url(), &options).await.unwrap();
    let query = AuditQuery {
        max: 2_000,
        ..AuditQuery::default()
    };
    let lines = store.audit_lines(&query).await.unwrap();
    assert_eq!(lines.len(), 1_501);
    assert!(lines[1_500].json.contains("zhangsan"), "{:?}", lines[1_500]);
}

#[tokio::test]
async fn refused_logins_of_strangers_push_out_no_line_of_an_administrator_or_a_login() {
    let menshen = setup_with("lines_max = 4").start().await;
    let record = |event| AuditRecord::new(event, menshen.clock.now());
    telemetry(&menshen).audit(&AuditRecord {
        reason: Some(&Text::same("put connector corp through the api")),
        by: Some("token:admin"),
        ..record(AuditEvent::Config)
    });
    telemetry(&menshen).audit(&AuditRecord {
        reason: Some(&Text::same("signed in with a password")),
        by: Some("local:root"),
        ..record(AuditEvent::Console)
    });
    record_logins(&menshen, &["a"]);
    for _ in 0..10 {
        telemetry(&menshen).audit_anonymous(&AuditRecord {
            login: Some("stranger"),
            ..record(AuditEvent::Refused)
        });
        telemetry(&menshen).audit_anonymous(&AuditRecord {
            reason: Some(&Text::same("the name or the password is wrong")),
            by: Some("local:root"),
            ..record(AuditEvent::Console)
        });
    }
    list_once(&menshen, "", 23).await;
    assert_eq!(delete_old(&menshen).await, 19);
    let left = list(&menshen, "").await;
    let left: Vec<_> = left.iter().rev().map(|line| &line["event"]).collect();
    assert_eq!(left, ["config", "console", "login", "console"]);
    // Many logins do not push out changes either.
    record_logins(&menshen, &["b", "c", "d", "e", "f"]);
    list_once(&menshen, "", 9).await;
    assert_eq!(delete_old(&menshen).await, 5);
    let left = list(&menshen, "").await;
    let left: Vec<_> = left.iter().rev().map(|line| &line["event"]).collect();
    assert_eq!(left, ["config", "console", "login", "login"]);
}
