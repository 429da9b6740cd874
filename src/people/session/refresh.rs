//! `Refresher`: refreshes tokens before they expire, once for all requests of a session.
//!
//! A refresh token is never sent twice: one task serves all requests of the session in this process, a
//! lease in the store excludes other processes, and the store accepts new tokens only for the version
//! from which the refresh started.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::tokens::{RefreshDue, RefreshStart};
use super::{Person, Sessions};
use crate::clock::Clock;
use crate::keys::KeyRing;
use crate::people::AdmissionPolicy;
use crate::people::provider_tokens::TokenRefresh;
use crate::store::ConnectorId;
use crate::telemetry::Telemetry;

mod task;

use task::RefreshTask;

/// The maximum number of concurrent refreshes.
pub(super) const REFRESHES_MAX: usize = 64;

/// Refreshes the tokens of sessions. One per configuration; a running refresh survives a reload.
pub struct Refresher {
    pub(super) sessions: Arc<Sessions>,
    pub(super) ring: Arc<KeyRing>,
    clock: Clock,
    telemetry: Telemetry,
    connectors: HashMap<ConnectorId, ConnectorState>,
    timeouts: RefreshTimeouts,
}

/// A connector whose tokens are refreshed.
#[derive(Clone, Debug)]
pub struct RefreshableConnector {
    pub refresh: Arc<dyn TokenRefresh>,
    pub admission: AdmissionPolicy,
}

/// A connector, and whether its last refresh failed.
#[derive(Debug)]
struct ConnectorState {
    connector: RefreshableConnector,
    failing: AtomicBool,
}

/// The timeouts of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshTimeouts {
    /// How long a request waits for the refresh of expired tokens, and how long a refresh waits for its
    /// permit and for its lease.
    pub wait: Duration,
    /// How long a provider may take to respond.
    pub provider: Duration,
}

impl Default for RefreshTimeouts {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(10),
            provider: Duration::from_secs(60),
        }
    }
}

/// What a request does after [`Refresher::refresh_if_due`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRefresh {
    /// Continue; a refresh may run in the background.
    Proceed,
    /// Find the session again, because it may have changed.
    FindAgain,
}

impl fmt::Debug for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresher")
            .field("connectors", &self.connectors.keys())
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// Waits until no refresh is running, at most `wait_max`: the response to a refresh token that was
    /// sent must not be lost.
    pub async fn drain_refreshes(&self, wait_max: Duration) {
        let permits = u32::try_from(REFRESHES_MAX).unwrap_or(u32::MAX);
        let ended = self.refresh_permits.acquire_many(permits);
        if tokio::time::timeout(wait_max, ended).await.is_err() {
            tracing::warn!("a token refresh did not end in time: its new tokens may be lost");
        }
    }
}

impl Refresher {
    /// Seals new tokens with `ring`.
    pub fn new(
        sessions: Arc<Sessions>,
        ring: Arc<KeyRing>,
        telemetry: Telemetry,
        connectors: impl IntoIterator<Item = RefreshableConnector>,
        timeouts: RefreshTimeouts,
    ) -> Arc<Self> {
        let with_state = |connector: RefreshableConnector| {
            let id = connector.admission.connector.clone();
            let failing = AtomicBool::new(false);
            (id, ConnectorState { connector, failing })
        };
        Arc::new(Self {
            clock: sessions.clock().clone(),
            sessions,
            ring,
            telemetry,
            connectors: connectors.into_iter().map(with_state).collect(),
            timeouts,
        })
    }

    /// Starts or joins the refresh of a person's tokens if one is due. If the access token has
    /// expired, waits for the end of the refresh, at most until [`RefreshTimeouts::wait`] after its
    /// start. Cancel-safe: the refresh continues for other requests.
    pub async fn refresh_if_due(self: &Arc<Self>, person: &Person) -> AfterRefresh {
        let Some(state) = person
            .token_state
            .as_ref()
            .filter(|_| person.refresh_due != RefreshDue::NotDue)
        else {
            return AfterRefresh::Proceed;
        };
        let refreshing = match state.start(self.clock.now()) {
            RefreshStart::NotDue => return AfterRefresh::FindAgain,
            RefreshStart::Joined(refreshing) => refreshing,
            RefreshStart::Begun(refreshing, guard) => {
                let task = RefreshTask {
                    refresher: Arc::clone(self),
                    session: Arc::clone(&person.session),
                    state: Arc::clone(state),
                };
                tokio::spawn(task.run(guard));
                refreshing
            }
        };
        if person.refresh_due == RefreshDue::Soon {
            return AfterRefresh::Proceed;
        }
        let until = refreshing.began_at + self.timeouts.wait;
        // After the timeout the request continues as after a failed refresh.
        let _ = tokio::time::timeout_at(until, refreshing.ended()).await;
        AfterRefresh::FindAgain
    }
}
