//! Two nodes that share a store.

use std::time::Duration;

use menshen::run::Running;

use super::*;
use crate::setup::run;
use crate::stores::TempDir;

async fn start_two_nodes(dir: &TempDir) -> (Menshen, Running) {
    let menshen = setup().store(&dir.url()).start().await;
    let text = menshen.setup.text(&menshen.wecom, &menshen.app);
    let other = run(&text, &menshen.clock).await;
    (menshen, other)
}

fn record_at(node: &Running, login: &str) {
    let services = node.live().services();
    services.telemetry.audit(&AuditRecord {
        login: Some(login),
        ..AuditRecord::new(AuditEvent::Login, services.clock.now())
    });
}

#[tokio::test]
async fn the_lines_of_both_nodes_are_found_at_each_once() {
    let dir = TempDir::new();
    let (menshen, other) = start_two_nodes(&dir).await;
    for number in 0..50 {
        record_at(&menshen.running, &format!("one-{number}"));
        record_at(&other, &format!("other-{number}"));
    }
    let lines = list_once(&menshen, "", 100).await;
    let mut logins = values(&lines, "login");
    logins.sort_unstable();
    logins.dedup();
    assert_eq!(logins.len(), 100);
}

#[tokio::test]
async fn one_node_deletes_old_lines_until_it_has_not_done_so_for_some_time() {
    let dir = TempDir::new();
    let (menshen, other) = start_two_nodes(&dir).await;
    let (this, that) = (
        &menshen.running.live().services().audit,
        &other.live().services().audit,
    );
    record_at(&menshen.running, "old");
    list_once(&menshen, "", 1).await;
    menshen.advance(Duration::from_secs(181 * 86_400));
    assert_eq!(this.delete_old().await.unwrap(), 1);
    // A line that the clock of another machine made old.
    let services = menshen.running.live().services();
    let long_ago = menshen::clock::Timestamp::from_unix_s(1_700_000_000);
    services
        .telemetry
        .audit(&AuditRecord::new(AuditEvent::SignOut, long_ago));
    list_once(&menshen, "event=sign-out", 1).await;
    assert_eq!(that.delete_old().await.unwrap(), 0, "it is not its turn");
    assert_eq!(list(&menshen, "event=sign-out").await.len(), 1);
    menshen.advance(Duration::from_secs(301));
    assert_eq!(that.delete_old().await.unwrap(), 1);
    assert_eq!(this.delete_old().await.unwrap(), 0);
    assert_eq!(list(&menshen, "event=sign-out").await.len(), 0);
}
