//! `World`: the nodes, the database and the acts of one schedule, and the events that may come next.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use menshen::people::cookie;
use tokio::task::JoinHandle;

use super::act::{Act, ActKind};
use super::event::{Action, Event, Touches};
use super::fixture::{self, Fixture};
use super::gated_store::{ACT, CallId, Calls, Effect, NODES_MAX, PendingCall};
use super::node::{Node, ProviderAnswer};
use super::promises::Promises;
use super::shared::Shared;

/// After so long every task waits for the explorer: the clock of the runtime stands still while one runs.
const SETTLED_AFTER: Duration = Duration::from_millis(1);
/// Longer than the pauses between attempts of a token refresh.
const PAUSE: Duration = Duration::from_millis(150);
/// The most pauses in a schedule.
const PAUSES_MAX: usize = 40;
/// The call that reads the log of revocations.
const READ_LOG: &str = "revocations_after";

/// Nodes, and what happens on them in any order.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) nodes: usize,
    pub(super) acts: Vec<Act>,
    pub(super) provider: ProviderAnswer,
    /// How many calls of these names fail, whether the database has executed them or not.
    pub(super) failures: usize,
    pub(super) failing: &'static [&'static str],
    /// Calls of these names return at once.
    pub(super) immediate: &'static [&'static str],
    /// How often each node may read the log of revocations during the acts.
    pub(super) log_reads: [usize; NODES_MAX],
}

struct ActState {
    act: Act,
    started: bool,
    task: Option<JoinHandle<()>>,
}

pub(super) struct World {
    pub(super) shared: Arc<Shared>,
    acts: Vec<ActState>,
    failures_left: usize,
    failing: &'static [&'static str],
    log_reads_left: [usize; NODES_MAX],
    /// The position in the log that a node has applied, and that it is applying.
    log_applied: Vec<i64>,
    log_read: Vec<i64>,
    pauses: usize,
    /// What happened, for the report of a broken promise.
    pub(super) trace: Vec<String>,
}

impl World {
    pub(super) async fn start(scenario: &Scenario) -> Self {
        let fixture = Fixture::get();
        let mut calls = Calls::default();
        calls.automatic = true;
        calls.database = fixture.database.clone();
        calls.database.provider_answer = scenario.provider;
        calls.immediate = scenario.immediate;
        let calls = Arc::new(Mutex::new(calls));
        let nodes = (0..scenario.nodes).map(|number| Node::new(number, &calls));
        let shared = Arc::new(Shared {
            nodes: nodes.collect(),
            promises: Mutex::new(Promises::new(scenario.nodes)),
            clock: fixture::start(),
            minted: Mutex::default(),
            may_fail: scenario.failures > 0,
            calls,
        });
        for node in &shared.nodes {
            node.start(fixture, &shared.clock).await.unwrap();
        }
        let acts = scenario.acts.iter().map(|act| ActState {
            act: act.clone(),
            started: false,
            task: None,
        });
        let world = Self {
            acts: acts.collect(),
            failures_left: scenario.failures,
            failing: scenario.failing,
            log_reads_left: scenario.log_reads,
            log_applied: vec![0; scenario.nodes],
            log_read: vec![0; scenario.nodes],
            pauses: 0,
            trace: Vec::new(),
            shared,
        };
        world.settle().await;
        world.shared.calls.lock().unwrap().automatic = false;
        world
    }

    /// Waits until every task waits for the explorer.
    pub(super) async fn settle(&self) {
        tokio::time::sleep(SETTLED_AFTER).await;
    }

    pub(super) fn act(&self, number: usize) -> &Act {
        &self.acts[number].act
    }

    /// Whether a started act has not returned.
    pub(super) fn is_busy(&self) -> bool {
        let mut tasks = self.acts.iter().filter_map(|act| act.task.as_ref());
        tasks.any(|task| !task.is_finished())
    }

    fn is_over(&self) -> bool {
        self.acts.iter().all(|act| act.started) && !self.is_busy()
    }

    /// The events that may come next; none if the schedule is over. If every task waits for the time, it
    /// passes.
    pub(super) async fn events(&mut self) -> Vec<Event> {
        loop {
            let events = self.possible_events();
            if !events.is_empty() || !self.is_busy() {
                return events;
            }
            self.pauses += 1;
            assert!(
                self.pauses < PAUSES_MAX,
                "an act never ends: {:#?}",
                self.trace
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn possible_events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for (number, state) in self.acts.iter().enumerate() {
            if !state.started && self.shared.nodes[state.act.node].running().is_some() {
                events.push(self.start_event(number, &state.act));
            }
        }
        let calls = self.shared.calls.lock().unwrap();
        for call in &calls.pending {
            let touches = match (call.effect, call.executed) {
                (Effect::Outside, _) | (_, true) => Touches {
                    node: Some(call.id.node),
                    ..Touches::default()
                },
                (effect, false) => Touches {
                    reads_database: true,
                    writes_database: effect == Effect::Write,
                    ..Touches::default()
                },
            };
            let action = match touches.node {
                Some(_) => Action::Answer(call.id),
                None => Action::Execute(call.id),
            };
            events.push(Event { action, touches });
            if self.failures_left > 0 && self.failing.contains(&call.name) {
                let touches = Touches {
                    node: Some(call.id.node),
                    failures: true,
                    ..Touches::default()
                };
                let action = Action::Fail(call.id);
                events.push(Event { action, touches });
            }
        }
        if self.is_over() {
            return events;
        }
        for node in 0..self.shared.nodes.len() {
            let is_reading = |call: &PendingCall| call.name == READ_LOG && call.id.node == node;
            if self.log_reads_left[node] > 0
                && self.log_applied[node] < calls.database.log_number()
                && self.shared.nodes[node].running().is_some()
                && !calls.pending.iter().any(is_reading)
            {
                let touches = Touches {
                    node: Some(node),
                    reads_database: true,
                    ..Touches::default()
                };
                let action = Action::ReadLog(node);
                events.push(Event { action, touches });
            }
        }
        events
    }

    fn start_event(&self, number: usize, act: &Act) -> Event {
        let touches = Touches {
            node: Some(act.node),
            // An act that ends sessions notes which ones there are.
            reads_database: matches!(act.kind, ActKind::Check(_)) || self.shared.may_fail,
            clock: act.kind.is_timed(),
            ..Touches::default()
        };
        let action = Action::Start(number);
        Event { action, touches }
    }

    /// Lets an event happen, and everything that follows from it without another event.
    pub(super) async fn perform(&mut self, event: &Event) {
        self.trace.push(self.describe(event));
        match event.action {
            Action::Start(number) => self.start_act(number).await,
            Action::Execute(id) => self.execute(id),
            Action::Answer(id) => self.answer(id).await,
            Action::Fail(id) => {
                self.failures_left -= 1;
                self.shared.calls.lock().unwrap().fail(id);
                self.settle().await;
            }
            Action::ReadLog(node) => {
                self.log_reads_left[node] -= 1;
                self.announce_log(node).await;
                for id in self.unexecuted(|call| call.name == READ_LOG && call.id.node == node) {
                    self.execute(id);
                }
            }
        }
    }

    pub(super) async fn announce_log(&self, node: usize) {
        if let Some(node) = self.shared.nodes[node].running() {
            node.log_announced.notify_one();
        }
        self.settle().await;
    }

    fn unexecuted(&self, is_meant: impl Fn(&PendingCall) -> bool) -> Vec<CallId> {
        let calls = self.shared.calls.lock().unwrap();
        let meant = calls
            .pending
            .iter()
            .filter(|call| !call.executed && is_meant(call));
        meant.map(|call| call.id).collect()
    }

    fn execute(&mut self, id: CallId) {
        let mut calls = self.shared.calls.lock().unwrap();
        let is_log = calls.is_named(id, READ_LOG);
        calls.execute(id);
        if is_log {
            self.log_read[id.node] = calls.database.log_number();
        }
    }

    pub(super) async fn answer(&mut self, id: CallId) {
        let is_log = {
            let mut calls = self.shared.calls.lock().unwrap();
            let is_log = calls.is_named(id, READ_LOG);
            calls.answer(id);
            is_log
        };
        self.settle().await;
        if is_log {
            self.acknowledge_log(id.node, self.log_read[id.node]);
        }
    }

    /// A node has applied the log up to a position.
    pub(super) fn acknowledge_log(&mut self, node: usize, number: i64) {
        self.log_applied[node] = number;
        let ended = self
            .shared
            .database(|database| database.record.ended_by_log(number));
        let why = format!("the log was applied there up to entry {number}");
        let mut promises = self.shared.promises.lock().unwrap();
        promises.end(node, ended, (&why, true));
    }

    async fn start_act(&mut self, number: usize) {
        let act = self.acts[number].act.clone();
        let shared = Arc::clone(&self.shared);
        let before = self.unexecuted(|_| true);
        if act.kind.is_timed() {
            shared.clock.advance(Duration::from_millis(1));
        }
        let task = match &act.kind {
            ActKind::Reload(ring) => {
                self.reload(act.node, *ring);
                None
            }
            ActKind::Restart => Some(self.restart(number, act.node).await),
            _ => Some(tokio::spawn(
                ACT.scope(number, act.clone().run(number, shared)),
            )),
        };
        let state = &mut self.acts[number];
        (state.started, state.task) = (true, task);
        self.settle().await;
        if matches!(act.kind, ActKind::Check(_)) {
            // Nothing happens between its reads and their answers.
            while let Some(id) = self.unexecuted(|call| !before.contains(&call.id)).first() {
                self.execute(*id);
                self.answer(*id).await;
            }
        }
    }

    fn reload(&self, node: usize, ring: usize) {
        let (shared, fixture) = (&self.shared, Fixture::get());
        shared.nodes[node].reload(ring, fixture, &shared.clock);
        let ring = shared.nodes[node].running().unwrap().ring;
        let minted = shared.minted.lock().unwrap();
        let all = fixture.sessions.iter().chain(minted.iter());
        let gone = all.filter(|session| cookie::verify(&ring, &session.cookie).is_none());
        let gone = gone.map(|session| session.key).collect();
        shared.promises.lock().unwrap().set_unverifiable(node, gone);
    }

    /// Ends the process of a node with everything that runs in it, and starts it again.
    async fn restart(&mut self, number: usize, node: usize) -> JoinHandle<()> {
        self.shared.nodes[node].kill();
        for state in self.acts.iter().filter(|state| state.act.node == node) {
            if let Some(task) = &state.task {
                task.abort();
            }
        }
        self.settle().await;
        self.shared.promises.lock().unwrap().forget_unstored(node);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(ACT.scope(number, async move {
            let (at, clock) = (&shared.nodes[node], &shared.clock);
            if at.start(Fixture::get(), clock).await.is_ok() {
                let (ended, read) = shared.database(|database| {
                    let read = database.record.epochs_read(node);
                    (database.record.ended_by_log(read), read)
                });
                let why = format!("the node started after entry {read}");
                shared
                    .promises
                    .lock()
                    .unwrap()
                    .end(node, ended, (&why, true));
            }
        }))
    }
}
