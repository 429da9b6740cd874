//! `Node`: one menshen process of the site: its sessions, and what a reload replaces.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use menshen::clock::Clock;
use menshen::keys::KeyRing;
use menshen::people::People;
use menshen::people::provider_tokens::{
    ProviderTokens, RefreshError, RefreshResponse, TokenRefresh,
};
use menshen::people::session::{RefreshTimeouts, RefreshableConnector, Refresher, Sessions};
use menshen::store::{Store, StoreError, Subject};
use tokio::sync::Notify;

use super::fixture::{Fixture, ZHANG_LOGIN, raw_profile, tokens};
use super::gated_store::{Calls, Effect, GatedStore};

/// Longer than every schedule: the outage of the store is tested elsewhere.
const GRACE: Duration = Duration::from_secs(3600);

/// What the provider answers to a token refresh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ProviderAnswer {
    /// The provider has ended the session.
    #[default]
    Gone,
    /// New tokens; the person is in this group now.
    Group(&'static str),
}

/// A process, which runs unless it is being restarted.
pub(super) struct Node {
    number: usize,
    calls: Arc<Mutex<Calls>>,
    running: Mutex<Option<RunningNode>>,
    /// Which key ring the configuration names.
    ring: AtomicUsize,
}

/// The parts of a running node.
#[derive(Clone)]
pub(super) struct RunningNode {
    pub(super) sessions: Arc<Sessions>,
    pub(super) people: People,
    pub(super) ring: Arc<KeyRing>,
    pub(super) refresher: Arc<Refresher>,
    pub(super) log_announced: Arc<Notify>,
}

#[derive(Debug)]
struct Provider {
    store: GatedStore,
    clock: Clock,
}

#[async_trait]
impl TokenRefresh for Provider {
    async fn refresh(
        &self,
        _: &Subject,
        _: &ProviderTokens,
    ) -> Result<RefreshResponse, RefreshError> {
        let answer = self.store.provider_answer().await;
        match answer {
            ProviderAnswer::Group(group) => Ok(RefreshResponse {
                tokens: tokens(self.clock.now()),
                raw: Some(raw_profile(ZHANG_LOGIN, group)),
                verified_fields: Vec::new(),
            }),
            ProviderAnswer::Gone => Err(RefreshError::Gone("invalid_grant".into())),
        }
    }
}

impl GatedStore {
    /// The provider's answer, which the explorer delays like that of the database.
    async fn provider_answer(&self) -> ProviderAnswer {
        let call = ("provider", Effect::Outside);
        let answer = self.call(call, |database| Ok(database.provider_answer));
        answer.await.expect("the provider never fails")
    }
}

impl Node {
    pub(super) fn new(number: usize, calls: &Arc<Mutex<Calls>>) -> Self {
        Self {
            number,
            calls: Arc::clone(calls),
            running: Mutex::default(),
            ring: AtomicUsize::new(0),
        }
    }

    /// The running process; `None` while it is restarted.
    pub(super) fn running(&self) -> Option<RunningNode> {
        self.running.lock().unwrap().clone()
    }

    /// Ends the process as a crash does: nothing of its memory is left.
    pub(super) fn kill(&self) {
        self.running.lock().unwrap().take();
        self.calls.lock().unwrap().kill(self.number);
    }

    /// Starts the process.
    pub(super) async fn start(&self, fixture: &Fixture, clock: &Clock) -> Result<(), StoreError> {
        let log_announced = Arc::new(Notify::new());
        let store: Arc<dyn Store> = Arc::new(self.store(&log_announced));
        let opened = Sessions::open(Arc::clone(&store), clock.clone(), 1_000, GRACE);
        let sessions = opened.await?;
        let people = People::new(store, Arc::clone(&sessions), clock.clone());
        let ring = Arc::clone(&fixture.rings[self.ring.load(Ordering::Relaxed)]);
        let refresher = self.refresher(&sessions, &ring, fixture, clock);
        *self.running.lock().unwrap() = Some(RunningNode {
            sessions,
            people,
            ring,
            refresher,
            log_announced,
        });
        Ok(())
    }

    /// Replaces what a reload of the configuration replaces. The sessions stay. A later key ring is never
    /// replaced by an earlier one.
    pub(super) fn reload(&self, ring: usize, fixture: &Fixture, clock: &Clock) {
        let ring = ring.max(self.ring.fetch_max(ring, Ordering::Relaxed));
        let mut running = self.running.lock().unwrap();
        let running = running.as_mut().expect("a node that runs is reloaded");
        running.ring = Arc::clone(&fixture.rings[ring]);
        running.refresher = self.refresher(&running.sessions, &running.ring, fixture, clock);
    }

    fn store(&self, announced: &Arc<Notify>) -> GatedStore {
        GatedStore {
            node: self.number,
            crashes: self.calls.lock().unwrap().crashes(self.number),
            calls: Arc::clone(&self.calls),
            announced: Arc::clone(announced),
        }
    }

    fn refresher(
        &self,
        sessions: &Arc<Sessions>,
        ring: &Arc<KeyRing>,
        fixture: &Fixture,
        clock: &Clock,
    ) -> Arc<Refresher> {
        let provider = Provider {
            store: self.store(&Arc::default()),
            clock: clock.clone(),
        };
        let connector = RefreshableConnector {
            refresh: Arc::new(provider),
            admission: fixture.policy.clone(),
        };
        let telemetry = fixture.telemetry.clone();
        let (sessions, ring) = (Arc::clone(sessions), Arc::clone(ring));
        Refresher::new(
            sessions,
            ring,
            telemetry,
            [connector],
            RefreshTimeouts::default(),
        )
    }
}
