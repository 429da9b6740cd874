//! Asks sources again, in the background, about people who are signed in.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{self, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::person_check::{CheckCause, CheckFailed};
use super::{ConnectorEntry, Login};
use crate::keys;
use crate::store::{ConnectorId, Subject};
use crate::telemetry::LogLimiter;

/// The time between two questions of one round: at most 50 a second for each connector.
const PACE: Duration = Duration::from_millis(20);
/// The most questions at the same time for each connector.
const CONCURRENT_MAX: usize = 8;
/// The most questions of one round.
const ROUND_MAX: usize = 5_000;
/// The failures in a row after which the round ends, and the source is not asked for [`FAILURE_PAUSE`].
const FAILURES_MAX: usize = 3;
const FAILURE_PAUSE: Duration = Duration::from_secs(15);
/// How many rounds begin within the shortest interval of a connector.
const ROUNDS_PER_INTERVAL: u32 = 20;
/// The shortest and the longest time from one round to the next.
const ROUND_EVERY_MIN: Duration = Duration::from_millis(100);
const ROUND_EVERY_MAX: Duration = Duration::from_secs(30);

/// Asks about people in rounds until it is dropped. `current` returns the logins of the active
/// configuration.
pub async fn revalidate(current: impl Fn() -> Login) {
    let mut rounds = Rounds::default();
    let mut next = Instant::now() + current().round_pause();
    loop {
        let login = current();
        // Rounds begin after the pause, or earlier if people must be asked about now.
        let is_due = tokio::select! {
            () = login.person_checks.due() => true,
            () = sleep_until(next) => true,
            () = rounds.ended() => false,
        };
        let login = current();
        if is_due {
            next = Instant::now() + login.round_pause();
        }
        for entry in login.entries() {
            if is_due || rounds.requested.contains(&entry.id) {
                rounds.begin(&login, entry);
            }
        }
    }
}

/// The running rounds, one for each connector: a slow source delays no other.
#[derive(Debug, Default)]
struct Rounds {
    tasks: JoinSet<Result<(), CheckFailed>>,
    running: HashMap<task::Id, ConnectorId>,
    /// Connectors for which a round begins when the running one has ended.
    requested: HashSet<ConnectorId>,
    paused_until: HashMap<ConnectorId, Instant>,
}

impl Rounds {
    /// Begins a round unless the source is left alone. If one is running, another follows it.
    fn begin(&mut self, login: &Login, entry: &Arc<ConnectorEntry>) {
        if self.running.values().any(|id| *id == entry.id) {
            self.requested.insert(entry.id.clone());
            return;
        }
        self.requested.remove(&entry.id);
        self.paused_until.retain(|_, until| *until > Instant::now());
        if self.paused_until.contains_key(&entry.id) {
            return;
        }
        let (login, own_entry) = (login.clone(), Arc::clone(entry));
        let round = async move { login.round(&own_entry).await };
        let id = self.tasks.spawn(round).id();
        self.running.insert(id, entry.id.clone());
    }

    /// Waits until a round ends. Cancel-safe.
    async fn ended(&mut self) {
        let (id, has_failed) = match self.tasks.join_next_with_id().await {
            None => return std::future::pending().await,
            Some(Ok((id, round))) => (id, round.is_err()),
            Some(Err(panicked)) => (panicked.id(), true),
        };
        if let Some(connector) = self.running.remove(&id)
            && has_failed
        {
            let until = Instant::now() + FAILURE_PAUSE;
            self.paused_until.insert(connector, until);
        }
    }
}

impl Login {
    /// The time until the next round, shortened by a random part, so that several processes do not ask at
    /// the same time.
    fn round_pause(&self) -> Duration {
        let intervals = self.entries.iter();
        let shortest = intervals
            .filter_map(|entry| entry.features.revalidate_every)
            .min();
        let every = shortest.map_or(ROUND_EVERY_MAX, |shortest| shortest / ROUNDS_PER_INTERVAL);
        let every = every.clamp(ROUND_EVERY_MIN, ROUND_EVERY_MAX);
        let [random] = keys::random();
        every - every / 4 * u32::from(random) / 256
    }

    /// Asks about everybody who must be confirmed now. Fails if the source fails several times in a row.
    async fn round(&self, entry: &Arc<ConnectorEntry>) -> Result<(), CheckFailed> {
        if Arc::clone(&entry.connector).person_lookup().is_none() {
            return Ok(());
        }
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut running = JoinSet::new();
        let mut failures = 0;
        let mut fails_too_often = |ended: Option<Result<Result<(), CheckFailed>, _>>| {
            // A record that the store refuses says nothing about the source.
            let failed: bool = !matches!(ended, Some(Ok(Ok(()) | Err(CheckFailed::Record))));
            failures = if failed { failures + 1 } else { 0 };
            failures >= FAILURES_MAX
        };
        for subject in self.people_to_confirm(entry).await {
            pace.tick().await;
            if running.len() >= CONCURRENT_MAX && fails_too_often(running.join_next().await) {
                return Err(CheckFailed::Temporary);
            }
            let (login, entry) = (self.clone(), Arc::clone(entry));
            running.spawn(async move {
                let cause = CheckCause::Revalidation;
                login.check_person(&entry, &subject, cause).await
            });
        }
        while !running.is_empty() {
            if fails_too_often(running.join_next().await) {
                return Err(CheckFailed::Temporary);
            }
        }
        Ok(())
    }

    async fn people_to_confirm(&self, entry: &ConnectorEntry) -> Vec<Subject> {
        static LOG_LIMITER: LogLimiter = LogLimiter::new();
        let (sessions, id) = (Arc::clone(&self.sessions), entry.id.clone());
        let interval = entry.features.revalidate_every;
        let search = move || sessions.people_to_confirm(&id, interval, ROUND_MAX);
        let due = tokio::task::spawn_blocking(search)
            .await
            .unwrap_or_default();
        if due.len() == ROUND_MAX && LOG_LIMITER.allow() {
            tracing::warn!(
                connector = %entry.id,
                "more people are signed in than the source can be asked about in time: they are asked \
                 about later"
            );
        }
        due
    }
}
