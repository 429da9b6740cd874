//! The end of a schedule: everything comes to rest, and each node must then allow exactly the sessions that
//! the database has.

use std::time::Duration;

use menshen::people::cookie;

use super::event::{Action, Event};
use super::fixture::{Fixture, KnownSession};
use super::gated_store::{CallId, Effect};
use super::world::World;

/// The most attempts to write what the database did not take.
const RETRIES_MAX: usize = 10;
/// Longer than the pauses of a task.
const PAUSE: Duration = Duration::from_millis(150);

impl World {
    /// Lets everything end, and asks each node about each session.
    pub(super) async fn finish(&mut self) {
        self.shared.calls.lock().unwrap().automatic = true;
        self.return_all_calls().await;
        while self.is_busy() {
            tokio::time::sleep(PAUSE).await;
        }
        for node in 0..self.shared.nodes.len() {
            let sessions = self.shared.nodes[node].running().unwrap().sessions;
            for _ in 0..RETRIES_MAX {
                if sessions.retry_pending(0).await == 0 {
                    break;
                }
            }
        }
        let minted = self.shared.minted.lock().unwrap().clone();
        let sessions: Vec<_> = Fixture::get().sessions.iter().chain(&minted).collect();
        // Before the log is read: what a node has acknowledged does not depend on it.
        for node in 0..self.shared.nodes.len() {
            for session in &sessions {
                self.shared.find(node, session).await;
            }
        }
        let number = self.shared.database(|database| database.log_number());
        for node in 0..self.shared.nodes.len() {
            self.announce_log(node).await;
            self.acknowledge_log(node, number);
        }
        for node in 0..self.shared.nodes.len() {
            for session in &sessions {
                self.ask(node, session).await;
            }
        }
    }

    async fn return_all_calls(&mut self) {
        loop {
            let Some(id) = self.first_call() else {
                return;
            };
            self.trace.push(format!("at the end: {}", self.name_of(id)));
            self.answer(id).await;
        }
    }

    fn first_call(&self) -> Option<CallId> {
        let calls = self.shared.calls.lock().unwrap();
        calls.pending.first().map(|call| call.id)
    }

    /// A request at the end: allowed if the database has the session and the node can verify its cookie.
    async fn ask(&self, node: usize, session: &KnownSession) {
        let ring = self.shared.nodes[node].running().unwrap().ring;
        let is_verified = cookie::verify(&ring, &session.cookie).is_some();
        let valid = self.shared.database(|database| {
            let valid = database.valid_session(session.key);
            valid.filter(|valid| !valid.account.closed && is_verified)
        });
        let found = self.shared.find(node, session).await;
        let what = match (found, valid) {
            (Some(_), None) => "a session is allowed at the end that the database does not have",
            (None, Some(_)) => "a session is refused at the end that the database has",
            (Some(found), Some(valid)) if found.session.login != valid.account.login => {
                "a login name is shown at the end that the database does not have"
            }
            (Some(_), Some(_)) | (None, None) => return,
        };
        let mut promises = self.shared.promises.lock().unwrap();
        promises.report(node, session, what);
    }

    fn name_of(&self, id: CallId) -> String {
        let calls = self.shared.calls.lock().unwrap();
        let call = calls.pending.iter().find(|call| call.id == id);
        call.map_or_else(String::new, |call| {
            let of = if call.effect == Effect::Outside {
                ""
            } else {
                " of the database"
            };
            format!(
                "{}{of} for node {} (call {})",
                call.name, id.node, id.number
            )
        })
    }

    /// What happens, in words.
    pub(super) fn describe(&self, event: &Event) -> String {
        match event.action {
            Action::Start(number) => {
                let act = self.act(number);
                format!("node {}: {:?} begins", act.node, act.kind)
            }
            Action::Execute(id) => format!("executed: {}", self.name_of(id)),
            Action::Answer(id) => format!("answered: {}", self.name_of(id)),
            Action::Fail(id) => format!("failed: {}", self.name_of(id)),
            Action::ReadLog(node) => format!("node {node} reads the log of revocations"),
        }
    }
}
