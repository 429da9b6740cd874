//! `RefreshTask`: one refresh. It runs in its own task, so it continues when the request is dropped.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{ConnectorState, Refresher};
use crate::people::directory_fields::directory_fields;
use crate::people::normalized_fields;
use crate::people::profile::{ProfileMappingError, UserFields};
use crate::people::provider_tokens::{ProviderTokens, RefreshError, RefreshResponse};
use crate::people::session::Session;
use crate::people::session::tokens::{RefreshGuard, TokenState, seal};
use crate::store::{
    IdentityUpdate, RevocationScope, StoreError, StoredSession, TokenUpdate, TokenUpdateOutcome,
};
use crate::telemetry::{AuditEvent, AuditRecord, RefreshOutcome, error_chain};
use crate::wording::Text;

/// The interval between attempts to take a lease that another process holds.
const LEASE_RETRY_AFTER: Duration = Duration::from_millis(100);
/// How much longer a lease lasts than the timeout of the provider.
const LEASE_SLACK: Duration = Duration::from_secs(30);
/// The pause after a refresh that did not get a permit or the lease in time.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// The delays before retries of storing new tokens: the provider does not issue them twice.
const STORE_RETRIES_AFTER: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(900),
];

/// One refresh of one session's tokens.
pub(super) struct RefreshTask {
    pub(super) refresher: Arc<Refresher>,
    pub(super) session: Arc<Session>,
    pub(super) state: Arc<TokenState>,
}

/// The outcome of a refresh.
enum TaskOutcome {
    /// The provider issued new tokens.
    Renewed,
    /// Another process refreshed first; its tokens were loaded.
    Adopted,
    /// The session had ended before.
    Ended,
    /// The provider ended the session.
    SessionGone(Box<dyn Error + Send + Sync>),
    /// The provider's profile cannot be mapped: a login with it is refused, and groups that it no longer has
    /// must not last.
    NotMapped(ProfileMappingError),
    /// The provider is unreachable.
    Unavailable(Box<dyn Error + Send + Sync>),
    /// No permit or lease in time, or nothing to refresh with the current configuration.
    Busy,
    Store(StoreError),
}

/// The provider did not respond in time.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct ProviderTimedOut(Duration);

impl RefreshTask {
    /// Refreshes, and sets when the next refresh is due.
    pub(super) async fn run(self, guard: RefreshGuard) {
        let outcome = self.refresh().await;
        self.record_outcome(outcome).await;
        guard.finish();
    }

    async fn refresh(&self) -> TaskOutcome {
        let Refresher {
            sessions, timeouts, ..
        } = &*self.refresher;
        let Some(connector_state) = self.refresher.connectors.get(&self.session.via) else {
            return TaskOutcome::Busy;
        };
        let permit = timeout(timeouts.wait, sessions.refresh_permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            return TaskOutcome::Busy;
        };
        if let Some(outcome) = self.wait_for_lease().await {
            return outcome;
        }
        let outcome = self.refresh_under_lease(connector_state).await;
        if let Err(error) = self.take_lease(Duration::ZERO).await {
            tracing::debug!(error = %error_chain(&error), "the lease of a refresh was not released");
        }
        outcome
    }

    /// Waits for the lease; `None` once it is taken. Otherwise the outcome: newer tokens from the process
    /// that holds the lease, or a failure.
    async fn wait_for_lease(&self) -> Option<TaskOutcome> {
        let timeouts = self.refresher.timeouts;
        let until = Instant::now() + timeouts.wait;
        loop {
            match self.take_lease(timeouts.provider + LEASE_SLACK).await {
                Ok(true) => return None,
                Ok(false) => match self.adopt().await {
                    Some(outcome) => return Some(outcome),
                    None if Instant::now() >= until => return Some(TaskOutcome::Busy),
                    None => sleep(LEASE_RETRY_AFTER).await,
                },
                Err(error) => return Some(TaskOutcome::Store(error)),
            }
        }
    }

    /// Takes the lease, or releases it if the period is zero.
    async fn take_lease(&self, period: Duration) -> Result<bool, StoreError> {
        let Refresher {
            sessions, clock, ..
        } = &*self.refresher;
        let name = format!("refresh/{}", self.session.public_id);
        let now = clock.now();
        let store = sessions.store();
        store
            .lease(&name, &sessions.lease_holder, now, now.plus(period))
            .await
    }

    /// Refreshes while holding the lease.
    async fn refresh_under_lease(&self, connector_state: &ConnectorState) -> TaskOutcome {
        if let Some(outcome) = self.adopt().await {
            return outcome;
        }
        let Some((tokens, version)) = self.state.current() else {
            return TaskOutcome::Busy;
        };
        let timeout_after = self.refresher.timeouts.provider;
        let request = connector_state
            .connector
            .refresh
            .refresh(&self.session.subject, &tokens);
        match timeout(timeout_after, request).await {
            Ok(Ok(refreshed)) => {
                self.store_refreshed(connector_state, refreshed, version)
                    .await
            }
            Ok(Err(RefreshError::Unavailable(why))) => TaskOutcome::Unavailable(why),
            Ok(Err(RefreshError::Gone(why))) => self.confirm_gone(why).await,
            Err(_) => TaskOutcome::Unavailable(Box::new(ProviderTimedOut(timeout_after))),
        }
    }

    /// Checks the store before the session is ended: a refresh token that another process has used looks
    /// like a revoked one. The lease prevents this unless a clock jumped.
    async fn confirm_gone(&self, why: Box<dyn Error + Send + Sync>) -> TaskOutcome {
        match self.wait_for_lease().await {
            Some(outcome) => outcome,
            None => self.adopt().await.unwrap_or(TaskOutcome::SessionGone(why)),
        }
    }

    /// Adopts newer tokens from the store; `None` if there are none.
    async fn adopt(&self) -> Option<TaskOutcome> {
        let (sessions, ring) = (&self.refresher.sessions, &self.refresher.ring);
        let stored_session: StoredSession = match sessions.find_stored(&self.session.key).await {
            Ok(Some(stored_session)) => stored_session,
            Ok(None) => return Some(TaskOutcome::Ended),
            Err(error) => return Some(TaskOutcome::Store(error)),
        };
        let stored_version = stored_session
            .tokens
            .as_ref()
            .map_or(0, |stored| stored.version);
        let current_version = self.state.current().map_or(0, |(_, version)| version);
        (stored_version > current_version).then(|| {
            match sessions.adopt_stored(&stored_session, ring) {
                Ok(()) => TaskOutcome::Adopted,
                Err(error) => TaskOutcome::Store(error),
            }
        })
    }

    /// Stores the new tokens and fields, then updates them in memory.
    async fn store_refreshed(
        &self,
        connector_state: &ConnectorState,
        refreshed: RefreshResponse,
        version: u64,
    ) -> TaskOutcome {
        let Refresher { clock, ring, .. } = &*self.refresher;
        let now = clock.now();
        let fields = match self.map_fields(connector_state, &refreshed) {
            Ok(fields) => fields,
            Err(error) => return TaskOutcome::NotMapped(error),
        };
        let identity = fields.as_ref().map(|fields| IdentityUpdate {
            entitlements: serde_json::to_string(fields).expect("fields are plain data"),
            fields: directory_fields(fields),
            vouched: normalized_fields(&refreshed.verified_fields),
        });
        let tokens = refreshed.tokens;
        let Some(sealed) = seal(ring, &self.session.key, &tokens, now) else {
            tracing::error!(
                connector = %self.session.via,
                "refreshed tokens are too large to be stored: they are lost when this process ends"
            );
            return self.apply_refreshed(tokens, version, fields.as_ref(), None);
        };
        let update = TokenUpdate {
            session: self.session.key,
            version,
            sealed,
            identity,
            at: now,
        };
        match self.store_with_retries(&update).await {
            Ok(TokenUpdateOutcome::Stored {
                version,
                entitlements_epoch,
            }) => self.apply_refreshed(tokens, version, fields.as_ref(), Some(entitlements_epoch)),
            Ok(TokenUpdateOutcome::VersionConflict) => {
                self.adopt().await.unwrap_or(TaskOutcome::Adopted)
            }
            Ok(TokenUpdateOutcome::SessionGone) => TaskOutcome::Ended,
            Err(error) => {
                // Even so, groups that the provider removed no longer count in this process.
                self.apply_refreshed(tokens, version, fields.as_ref(), None);
                TaskOutcome::Store(error)
            }
        }
    }

    async fn store_with_retries(
        &self,
        update: &TokenUpdate,
    ) -> Result<TokenUpdateOutcome, StoreError> {
        let store = self.refresher.sessions.store();
        for pause in STORE_RETRIES_AFTER {
            match store.update_tokens(update).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => {
                    tracing::debug!(error = %error_chain(&error), "refreshed tokens were not stored: menshen tries again");
                    sleep(pause).await;
                }
            }
        }
        store.update_tokens(update).await
    }

    /// The mapped fields of the provider's response; `None` if it has no profile.
    fn map_fields(
        &self,
        connector_state: &ConnectorState,
        refreshed: &RefreshResponse,
    ) -> Result<Option<UserFields>, ProfileMappingError> {
        let admission = &connector_state.connector.admission;
        // Without `sync` the fields of the first login stay.
        let raw = refreshed.raw.as_ref().filter(|_| admission.sync);
        // Without the login name: only a login can change it.
        let fields = raw.map(|raw| admission.mapping.map_fields(raw));
        fields.transpose()
    }

    /// Updates tokens and fields in memory; `epoch` is the version of the fields in the store.
    fn apply_refreshed(
        &self,
        tokens: ProviderTokens,
        version: u64,
        fields: Option<&UserFields>,
        epoch: Option<u64>,
    ) -> TaskOutcome {
        let Refresher {
            sessions,
            clock,
            telemetry,
            ..
        } = &*self.refresher;
        let now = clock.now();
        if let Some(fields) = fields {
            let changed = sessions.update_after_refresh(&self.session, fields, epoch);
            if !changed.is_empty() {
                let reason = Text::same(changed.join(", "));
                telemetry.audit(&AuditRecord {
                    reason: Some(&reason),
                    ..self.audit(AuditEvent::EntitlementsChanged)
                });
            }
        }
        // Replaced after the entitlements: a request with the new tokens also has the new entitlements.
        self.state.replace(tokens, version, now);
        TaskOutcome::Renewed
    }

    /// Logs and counts the outcome, and schedules the next refresh.
    async fn record_outcome(&self, outcome: TaskOutcome) {
        let Refresher {
            sessions,
            clock,
            telemetry,
            ..
        } = &*self.refresher;
        let label = match outcome {
            TaskOutcome::Renewed => {
                self.log_recovery();
                RefreshOutcome::Done
            }
            TaskOutcome::Adopted => RefreshOutcome::Adopted,
            TaskOutcome::Ended => {
                sessions.end_locally(&self.session.key);
                self.state.wait_until(clock.now().plus(BUSY_PAUSE));
                return;
            }
            TaskOutcome::SessionGone(why) => {
                let scope = RevocationScope::Session(self.session.key);
                let ended = sessions.revoke(&scope).await;
                self.record_end(ended, &*why);
                RefreshOutcome::Gone
            }
            TaskOutcome::NotMapped(why) => {
                let Session { via, subject, .. } = &*self.session;
                let ended = sessions.end_identity(via, subject, clock.now()).await;
                self.record_end(ended.map(drop), &why);
                RefreshOutcome::Gone
            }
            TaskOutcome::Unavailable(why) => {
                self.log_failure(&*why);
                self.state.record_failure(clock.now());
                RefreshOutcome::Unavailable
            }
            TaskOutcome::Busy => {
                self.state.wait_until(clock.now().plus(BUSY_PAUSE));
                RefreshOutcome::Busy
            }
            TaskOutcome::Store(error) => {
                tracing::error!(error = %error_chain(&error), "a refresh of tokens failed at the store");
                self.state.record_failure(clock.now());
                RefreshOutcome::Store
            }
        };
        telemetry.count_refresh(self.session.via.as_str(), label);
    }

    /// Records that sessions ended. They have ended in this process even if the store failed.
    fn record_end(&self, ended: Result<(), StoreError>, why: &(dyn Error + Send + Sync + 'static)) {
        let Refresher {
            clock, telemetry, ..
        } = &*self.refresher;
        self.state.record_failure(clock.now());
        if let Err(error) = ended {
            tracing::error!(error = %error_chain(&error), "a session that its source ended was not deleted");
        }
        telemetry.audit(&AuditRecord {
            error: Some(why),
            ..self.audit(AuditEvent::RefreshRefused)
        });
    }

    fn audit(&self, event: AuditEvent) -> AuditRecord<'_> {
        let record = AuditRecord::new(event, self.refresher.clock.now());
        self.session.named_in(record)
    }

    /// Logs once for an outage, not for every session.
    fn log_failure(&self, why: &(dyn Error + Send + Sync + 'static)) {
        let connector = self.refresher.connectors.get(&self.session.via);
        if connector.is_some_and(|connector| !connector.failing.swap(true, Ordering::Relaxed)) {
            tracing::warn!(
                connector = %self.session.via,
                error = %error_chain(why),
                "tokens cannot be refreshed: sessions keep the old ones"
            );
        }
    }

    fn log_recovery(&self) {
        let connector = self.refresher.connectors.get(&self.session.via);
        if connector.is_some_and(|connector| connector.failing.swap(false, Ordering::Relaxed)) {
            tracing::info!(connector = %self.session.via, "tokens are refreshed again");
        }
    }
}
