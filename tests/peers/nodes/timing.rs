//! Measures how long a revocation takes to reach other nodes.

use std::time::{Duration, Instant};

use super::cluster::{Cluster, Session};

/// How long each measurement may take at most.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// Revokes each session on node 0 and measures until each other node refuses it. The sessions are in the
/// memory of all nodes before.
pub(super) async fn measure(cluster: &Cluster, sessions: &[Session]) -> Vec<Duration> {
    let mut delays = Vec::new();
    for session in sessions {
        for node in 0..cluster.nodes.len() {
            let reply = cluster.front.get(node, session, "/echo").await;
            assert_eq!(reply.status, 200, "node {node}");
        }
        assert_eq!(cluster.revoke(0, session).await, 200);
        let revoked = Instant::now();
        // On this node with the very next request.
        let reply = cluster.front.get(0, session, "/echo").await;
        assert_ne!(reply.status, 200, "the node that revoked");
        let others = 1..cluster.nodes.len();
        let others = others.map(|node| refused_after(cluster, node, session, revoked));
        delays.extend(futures_util::future::join_all(others).await);
    }
    delays.sort();
    delays
}

/// How long after `began` a node refuses the session.
pub(super) async fn refused_after(
    cluster: &Cluster,
    node: usize,
    session: &Session,
    began: Instant,
) -> Duration {
    while cluster.front.get(node, session, "/echo").await.status == 200 {
        assert!(began.elapsed() < PATIENCE, "node {node} allows it still");
        tokio::time::sleep(POLL).await;
    }
    began.elapsed()
}

/// Prints the delays and asserts that most are within `limit`. The slowest ones show a busy machine.
pub(super) fn report(what: &str, delays: &[Duration], limit: Duration) {
    let at = |part: usize| delays[(delays.len() - 1) * part / 100];
    let (median, worst) = (at(50), at(100));
    println!(
        "{what}: {} measured, median {median:?}, worst {worst:?}",
        delays.len()
    );
    assert!(median <= limit, "{what}: {delays:?}");
}
