//! `Load`: people who open pages at every node while something fails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::cluster::{Front, Session};

/// The pause between two requests at a node.
const PAUSE: Duration = Duration::from_millis(25);
/// How long after a confirmed revocation a request may still have been allowed: the poll interval, with
/// time for a busy machine.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

/// What is known of a session.
#[derive(Clone, Copy, Debug)]
enum Standing {
    Valid,
    /// A revocation is under way, or holds in one node only.
    Uncertain,
    /// The store has the revocation since this time.
    Revoked(Instant),
}

/// A running load. Every response is judged as it arrives.
#[derive(Debug)]
pub(super) struct Load {
    standings: Arc<Mutex<HashMap<String, Standing>>>,
    tasks: JoinSet<()>,
    seen: Arc<Mutex<Seen>>,
}

/// The responses so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) allowed: usize,
    pub(super) refused: usize,
    pub(super) unavailable: usize,
    pub(super) slowest: Duration,
    /// Responses that break a promise.
    broken: Vec<String>,
}

impl Load {
    /// Opens pages with each of these valid sessions at each node.
    pub(super) fn start(front: &Front, nodes: usize, sessions: &[Session]) -> Self {
        let valid = |session: &Session| (session.id.clone(), Standing::Valid);
        let standings = Arc::new(Mutex::new(sessions.iter().map(valid).collect()));
        let seen = Arc::default();
        let mut tasks = JoinSet::new();
        for node in 0..nodes {
            let (front, sessions) = (front.clone(), sessions.to_vec());
            let (standings, seen) = (Arc::clone(&standings), Arc::clone(&seen));
            tasks.spawn(async move {
                for session in sessions.iter().cycle() {
                    request(&front, node, session, &standings, &seen).await;
                    tokio::time::sleep(PAUSE).await;
                }
            });
        }
        Self {
            standings,
            tasks,
            seen,
        }
    }

    /// Call before a session is revoked.
    pub(super) fn set_uncertain(&self, session: &Session) {
        self.set(session, Standing::Uncertain);
    }

    /// Call when the store has the revocation.
    pub(super) fn set_revoked(&self, session: &Session) {
        self.set(session, Standing::Revoked(Instant::now()));
    }

    fn set(&self, session: &Session, standing: Standing) {
        let mut standings = self.standings.lock().unwrap();
        standings.insert(session.id.clone(), standing);
    }

    /// The responses so far. Fails if one of them breaks a promise.
    pub(super) fn check(&self) -> Seen {
        let seen = self.seen.lock().unwrap().clone();
        assert!(seen.broken.is_empty(), "{:#?}", seen.broken);
        seen
    }

    pub(super) async fn stop(mut self) -> Seen {
        self.tasks.shutdown().await;
        self.check()
    }
}

async fn request(
    front: &Front,
    node: usize,
    session: &Session,
    standings: &Mutex<HashMap<String, Standing>>,
    seen: &Mutex<Seen>,
) {
    let standing = |standings: &Mutex<HashMap<String, Standing>>| {
        let standings = standings.lock().unwrap();
        standings.get(&session.id).copied().unwrap()
    };
    let (before, began) = (standing(standings), Instant::now());
    let reply = front.get(node, session, "/echo").await;
    let after = standing(standings);
    let mut seen = seen.lock().unwrap();
    seen.slowest = seen.slowest.max(reply.took);
    let is_broken = match (reply.status, before, after) {
        (200, Standing::Revoked(at), _) => began > at + REVOKED_WITHIN,
        (200, _, _) => false,
        (503, _, _) => !reply.has_retry_after,
        // A browser without a session is sent to the login.
        (302 | 303 | 401, Standing::Valid, Standing::Valid) => true,
        (302 | 303 | 401, _, _) => false,
        _ => true,
    };
    match reply.status {
        200 => seen.allowed += 1,
        503 => seen.unavailable += 1,
        _ => seen.refused += 1,
    }
    if is_broken {
        let broken = format!("node {node}, {before:?} to {after:?}: {reply:?}");
        seen.broken.push(broken);
    }
}
