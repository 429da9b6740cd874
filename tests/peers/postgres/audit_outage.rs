//! A table of audit lines that another connection locks: logins go on, and the lines are stored once after it.

use menshen::clock::Clock;
use menshen::people::audit_log::{AuditConfig, AuditLog, store_audit_lines};
use menshen::store::AuditQuery;
use menshen::telemetry::{AuditEvent, AuditRecord, LogConfig, Telemetry};
use sqlx::{Connection as _, Executor as _};

use super::*;

fn record(telemetry: &Telemetry, login: &str) {
    telemetry.audit(&AuditRecord {
        login: Some(login),
        ..AuditRecord::new(AuditEvent::Login, at(1))
    });
}

/// How many lines of these logins are stored.
async fn stored(log: &AuditLog, login: &str) -> usize {
    let query = AuditQuery {
        login: Some(login.to_owned()),
        max: 10,
        ..AuditQuery::default()
    };
    log.search(&query).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_go_on_while_the_table_of_audit_lines_is_locked() {
    let database = server::shared().new_database().await;
    let store = open(&database.url(), true).await;
    let sink = Box::new(std::io::sink());
    let telemetry = Telemetry::writing_to(&LogConfig::default(), sink);
    let log = AuditLog::new(Arc::clone(&store), telemetry.clone(), Clock::system());
    let log = Arc::new(log);
    log.apply(&AuditConfig::default());
    let mut other = database.connect().await;
    let mut lock = other.begin().await.unwrap();
    lock.execute("LOCK TABLE menshen_audit_line IN SHARE MODE")
        .await
        .unwrap();
    tokio::spawn(store_audit_lines(Arc::clone(&log)));
    for number in 0..20 {
        let login = format!("p{number}");
        record(&telemetry, &login);
        let (_, new) = somebody(&*store, &login).await;
        assert!(has_session(&*store, &new).await);
    }
    assert_eq!(telemetry.audit_lines_waiting(), 20);
    assert_eq!(stored(&log, "p0").await, 0);
    lock.rollback().await.unwrap();
    for number in 0..20 {
        let login = format!("p{number}");
        let mut found = 0;
        for _ in 0..600 {
            found = stored(&log, &login).await;
            if found > 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(found, 1, "{login}");
    }
    assert_eq!(log.drain(Duration::from_secs(10)).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_store_their_lines_and_one_deletes_old_ones() {
    let database = server::shared().new_database().await;
    let now = Clock::system().now();
    let mut nodes = Vec::new();
    for _ in 0..2 {
        let store = open(&database.url(), true).await;
        let sink = Box::new(std::io::sink());
        let telemetry = Telemetry::writing_to(&LogConfig::default(), sink);
        let log = AuditLog::new(store, telemetry.clone(), Clock::system());
        log.apply(&AuditConfig::default());
        nodes.push((telemetry, log));
    }
    let half_a_year_ago = menshen::clock::Timestamp::from_unix_ms(now.unix_ms() - 181 * 86_400_000);
    for (telemetry, log) in &nodes {
        for at in [now, half_a_year_ago] {
            telemetry.audit(&AuditRecord {
                login: Some("zhangsan"),
                ..AuditRecord::new(AuditEvent::Login, at)
            });
        }
        assert_eq!(log.drain(Duration::from_secs(60)).await, 0);
    }
    assert_eq!(stored(&nodes[0].1, "zhangsan").await, 4);
    let deleted = [
        nodes[0].1.delete_old().await.unwrap(),
        nodes[1].1.delete_old().await.unwrap(),
    ];
    assert_eq!(deleted, [2, 0]);
    assert_eq!(stored(&nodes[1].1, "ZhangSan").await, 2);
}
