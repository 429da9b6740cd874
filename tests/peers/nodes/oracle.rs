//! `Oracle`: when the end of each session was acknowledged, and which responses break a promise.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::cluster::{Front, Session};

/// Within so long every node refuses an ended session.
const PROMISED: Duration = Duration::from_secs(1);
/// The limit with time for a busy machine, and how many of a hundred ended sessions may need it.
const LIMIT: Duration = Duration::from_secs(5);
const LATE_PERCENT_MAX: usize = 3;
/// The newest sessions, with which readers open pages.
const SESSIONS_IN_USE: usize = 12;
/// The pause of a reader between two requests.
const PAUSE: Duration = Duration::from_millis(10);
const READERS_PER_NODE: usize = 2;
/// A response that takes longer is an error.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);

/// What is known of a session.
#[derive(Clone, Copy, Debug)]
enum Standing {
    Valid,
    /// It is being ended, or its login began beside an end.
    Uncertain,
    /// A node acknowledged its end at this time.
    Ended {
        at: Instant,
        node: usize,
    },
}

#[derive(Debug)]
struct Known {
    session: Session,
    person: String,
    standing: Standing,
    /// Which nodes have allowed it.
    allowed_at: Vec<bool>,
    /// The last allow after its end, on a node that did not end it.
    allowed_for: Duration,
}

/// The sessions, and the responses so far.
#[derive(Debug)]
pub(super) struct Oracle {
    nodes: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Vec<Known>,
    allowed: usize,
    refused: usize,
    unavailable: usize,
    broken: Vec<String>,
}

/// What readers saw.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) allowed: usize,
    pub(super) refused: usize,
    unavailable: usize,
    ended: usize,
    worst: Duration,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            allowed,
            refused,
            unavailable,
            ended,
            worst,
        } = self;
        write!(
            f,
            "{allowed} requests allowed, {refused} refused, {unavailable} without an answer; {ended} \
             sessions ended, the last allow on another node {worst:?} after the end"
        )
    }
}

impl Oracle {
    pub(super) fn new(nodes: usize) -> Self {
        Self {
            nodes,
            state: Mutex::default(),
        }
    }

    /// Adds a session; returns its number.
    pub(super) fn add(&self, session: Session, person: &str, is_valid: bool) -> usize {
        let mut state = self.state.lock().unwrap();
        state.known.push(Known {
            session,
            person: person.to_owned(),
            standing: if is_valid {
                Standing::Valid
            } else {
                Standing::Uncertain
            },
            allowed_at: vec![false; self.nodes],
            allowed_for: Duration::ZERO,
        });
        state.known.len() - 1
    }

    pub(super) fn sessions(&self) -> usize {
        self.state.lock().unwrap().known.len()
    }

    pub(super) fn session(&self, number: usize) -> Session {
        self.state.lock().unwrap().known[number].session.clone()
    }

    /// Whether every node has allowed a session, so that it is in the memory of all.
    pub(super) fn is_known_everywhere(&self, number: usize) -> bool {
        let state = self.state.lock().unwrap();
        state.known[number]
            .allowed_at
            .iter()
            .all(|allowed| *allowed)
    }

    /// Whether a session must be allowed; `None` if that is not known.
    pub(super) fn expects_allow(&self, number: usize) -> Option<bool> {
        match self.state.lock().unwrap().known[number].standing {
            Standing::Valid => Some(true),
            Standing::Uncertain => None,
            Standing::Ended { .. } => Some(false),
        }
    }

    /// Call before sessions are ended. Returns those that must be refused afterwards.
    pub(super) fn begin_end(&self, ends: impl Fn(usize, &str) -> bool) -> Vec<usize> {
        let mut ended = Vec::new();
        let mut state = self.state.lock().unwrap();
        for (number, known) in state.known.iter_mut().enumerate() {
            if ends(number, &known.person) && !matches!(known.standing, Standing::Ended { .. }) {
                known.standing = Standing::Uncertain;
                ended.push(number);
            }
        }
        ended
    }

    /// Call when a node has acknowledged the end.
    pub(super) fn acknowledge(&self, ended: &[usize], node: usize) {
        let at = Instant::now();
        let mut state = self.state.lock().unwrap();
        for number in ended {
            state.known[*number].standing = Standing::Ended { at, node };
        }
    }

    /// What was seen so far. Fails if a promise was broken.
    pub(super) fn check(&self) -> Summary {
        let state = self.state.lock().unwrap();
        assert!(state.broken.is_empty(), "{:#?}", state.broken);
        let is_ended = |known: &&Known| matches!(known.standing, Standing::Ended { .. });
        let delays = state.known.iter().filter(is_ended);
        let delays: Vec<_> = delays.map(|known| known.allowed_for).collect();
        let late = delays.iter().filter(|delay| **delay > PROMISED).count();
        let late_max = (delays.len() * LATE_PERCENT_MAX).div_ceil(100);
        assert!(
            late <= late_max,
            "{late} of {} are late: {delays:?}",
            delays.len()
        );
        Summary {
            allowed: state.allowed,
            refused: state.refused,
            unavailable: state.unavailable,
            ended: delays.len(),
            worst: delays.into_iter().max().unwrap_or_default(),
        }
    }

    /// Judges a response. `before` is what was known when the request began; `status` is absent if there
    /// was no response, as from a node that was killed.
    fn judge(
        &self,
        (node, number): (usize, usize),
        (before, began): (Standing, Instant),
        status: Option<u16>,
    ) {
        let mut state = self.state.lock().unwrap();
        let known = &mut state.known[number];
        let after = known.standing;
        let broken = match (status, before) {
            (Some(200), Standing::Ended { node: ending, .. }) if ending == node => {
                Some("the node that ended it allows it")
            }
            (Some(200), Standing::Ended { at, .. }) => {
                known.allowed_for = known.allowed_for.max(began - at);
                (began - at > LIMIT).then_some("it is still allowed")
            }
            (Some(302 | 303 | 401), Standing::Valid) if matches!(after, Standing::Valid) => {
                Some("it is refused")
            }
            (Some(200 | 302 | 303 | 401 | 503) | None, _) => None,
            (Some(_), _) => Some("a status that says nothing"),
        };
        let report = broken.map(|broken| {
            format!("node {node}, session {number}: {broken}: {status:?}, {before:?} to {after:?}")
        });
        match status {
            Some(200) => {
                known.allowed_at[node] = true;
                state.allowed += 1;
            }
            Some(302 | 303 | 401) => state.refused += 1,
            Some(_) | None => state.unavailable += 1,
        }
        state.broken.extend(report);
    }

    /// The session with which a reader opens its next page, and what is known of it.
    fn next(&self, turn: usize) -> Option<(usize, Session, Standing)> {
        let state = self.state.lock().unwrap();
        let turn = turn.checked_rem(state.known.len().min(SESSIONS_IN_USE))?;
        let number = state.known.len() - 1 - turn;
        let known = &state.known[number];
        Some((number, known.session.clone(), known.standing))
    }
}

/// Browsers that open pages at every node.
#[derive(Debug)]
pub(super) struct Readers(JoinSet<()>);

impl Readers {
    pub(super) fn start(front: &Front, nodes: usize, oracle: &Arc<Oracle>) -> Self {
        let mut readers = JoinSet::new();
        for reader in 0..nodes * READERS_PER_NODE {
            let (front, oracle) = (front.clone(), Arc::clone(oracle));
            readers.spawn(async move { read(&front, reader % nodes, reader, &oracle).await });
        }
        Self(readers)
    }

    pub(super) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

async fn read(front: &Front, node: usize, reader: usize, oracle: &Oracle) {
    for turn in reader.. {
        if let Some((number, session, before)) = oracle.next(turn) {
            let began = Instant::now();
            let request = front.request(node, &session, "/echo").send();
            let answer = tokio::time::timeout(RESPONSE_TIMEOUT, request).await;
            let answer = answer.expect("a node answers in time or closes the connection");
            let status = answer.ok().map(|answer| answer.status().as_u16());
            oracle.judge((node, number), (before, began), status);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
