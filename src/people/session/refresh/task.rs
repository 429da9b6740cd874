//! `RefreshTask`: one refresh, in a task of its own: it goes on when the request is dropped.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::{Known, Refresher};
use crate::people::folded;
use crate::people::profile::Fields;
use crate::people::session::Session;
use crate::people::session::tokens::{RefreshGuard, TokenCell, seal};
use crate::people::source::{Refreshed, SourceError, Tokens};
use crate::store::{
    IdentityUpdate, RevocationScope, StoreError, StoredSession, TokenUpdate, TokenUpdateOutcome,
};
use crate::telemetry::{AuditEvent, AuditRecord, RefreshOutcome, error_chain};

/// How often a lease that another process holds is asked for again.
const LEASE_AGAIN: Duration = Duration::from_millis(100);
/// How much longer a refresh holds its lease than its source may take to answer.
const LEASE_SLACK: Duration = Duration::from_secs(30);
/// How long no refresh is tried after one that did not get a permit or the lease in time.
const BUSY_PAUSE: Duration = Duration::from_secs(1);
/// After how long the store is asked again to keep new tokens: the source does not give them twice.
const STORE_AGAIN: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(300),
    Duration::from_millis(900),
];

/// One refresh of one session's tokens.
pub(super) struct RefreshTask {
    pub(super) refresher: Arc<Refresher>,
    pub(super) session: Arc<Session>,
    pub(super) cell: Arc<TokenCell>,
}

/// The outcome of a refresh.
enum Outcome {
    /// The source brought new tokens.
    Renewed,
    /// Another process refreshed first; its tokens are here now.
    Adopted,
    /// The session had ended.
    Over,
    /// The source no longer vouches for it.
    Gone(Box<dyn Error + Send + Sync>),
    /// The source could not be asked.
    Unavailable(Box<dyn Error + Send + Sync>),
    /// It did not get a permit or the lease in time.
    Busy,
    /// The store failed.
    Store(StoreError),
}

/// A source took too long.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {0:?}")]
struct Late(Duration);

impl RefreshTask {
    /// Refreshes, and sets when the next refresh is due.
    pub(super) async fn run(self, guard: RefreshGuard) {
        let outcome = self.refresh().await;
        self.close(outcome).await;
        guard.finish();
    }

    async fn refresh(&self) -> Outcome {
        let Refresher { sessions, pace, .. } = &*self.refresher;
        let Some(known) = self.refresher.sources.get(&self.session.via) else {
            return Outcome::Busy;
        };
        let turn = timeout(pace.wait, sessions.refresh_permits.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Outcome::Busy;
        };
        if let Some(outcome) = self.wait_for_lease().await {
            return outcome;
        }
        let outcome = self.leased(known).await;
        if let Err(error) = self.lease(Duration::ZERO).await {
            tracing::debug!(error = %error_chain(&error), "the lease of a refresh was not released");
        }
        outcome
    }

    /// Waits for the lease, which another process may hold; nothing when it has it. Otherwise the
    /// outcome: the tokens that the other process brought, or a failure.
    async fn wait_for_lease(&self) -> Option<Outcome> {
        let pace = self.refresher.pace;
        let until = Instant::now() + pace.wait;
        loop {
            match self.lease(pace.source + LEASE_SLACK).await {
                Ok(true) => return None,
                Ok(false) => match self.adopt().await {
                    Some(outcome) => return Some(outcome),
                    None if Instant::now() >= until => return Some(Outcome::Busy),
                    None => sleep(LEASE_AGAIN).await,
                },
                Err(error) => return Some(Outcome::Store(error)),
            }
        }
    }

    /// Takes the lease; with a period of zero, gives it back.
    async fn lease(&self, period: Duration) -> Result<bool, StoreError> {
        let Refresher {
            sessions, clock, ..
        } = &*self.refresher;
        let name = format!("refresh/{}", self.session.public_id);
        let now = clock.now();
        let store = sessions.store();
        store
            .lease(&name, &sessions.holder, now, now.plus(period))
            .await
    }

    /// The refresh itself, under the lease.
    async fn leased(&self, known: &Known) -> Outcome {
        if let Some(outcome) = self.adopt().await {
            return outcome;
        }
        let Some((tokens, version)) = self.cell.current() else {
            return Outcome::Busy;
        };
        let patience = self.refresher.pace.source;
        let asked = known.terms.source.refresh(&self.session.subject, &tokens);
        match timeout(patience, asked).await {
            Ok(Ok(refreshed)) => self.keep(known, refreshed, version).await,
            Ok(Err(SourceError::Unavailable(why))) => Outcome::Unavailable(why),
            Ok(Err(SourceError::Gone(why))) => self.gone(why).await,
            Err(_) => Outcome::Unavailable(Box::new(Late(patience))),
        }
    }

    /// A refresh token that another process spent looks like one that the provider revoked. The lease
    /// prevents that unless a clock jumped, so the store is asked first.
    async fn gone(&self, why: Box<dyn Error + Send + Sync>) -> Outcome {
        match self.wait_for_lease().await {
            Some(outcome) => outcome,
            None => self.adopt().await.unwrap_or(Outcome::Gone(why)),
        }
    }

    /// Adopts newer tokens from the store; nothing when there are none.
    async fn adopt(&self) -> Option<Outcome> {
        let (sessions, ring) = (&self.refresher.sessions, &self.refresher.ring);
        let found: StoredSession = match sessions.stored(&self.session.key).await {
            Ok(Some(found)) => found,
            Ok(None) => return Some(Outcome::Over),
            Err(error) => return Some(Outcome::Store(error)),
        };
        let stored = found.tokens.as_ref().map_or(0, |stored| stored.version);
        let known = self.cell.current().map_or(0, |(_, version)| version);
        (stored > known).then(|| match sessions.overtaken_by(&found, ring) {
            Ok(()) => Outcome::Adopted,
            Err(error) => Outcome::Store(error),
        })
    }

    /// Keeps the new tokens and fields: in the store first, then in memory.
    async fn keep(&self, known: &Known, refreshed: Refreshed, version: u64) -> Outcome {
        let Refresher { clock, ring, .. } = &*self.refresher;
        let now = clock.now();
        let fields = self.mapped(known, &refreshed);
        let identity = fields.as_ref().map(|fields| IdentityUpdate {
            entitlements: serde_json::to_string(fields).expect("fields are plain data"),
            vouched: folded(&refreshed.vouched),
        });
        let tokens = refreshed.tokens;
        let Some(sealed) = seal(ring, &self.session.key, &tokens, now) else {
            tracing::error!(
                connector = %self.session.via,
                "refreshed tokens are too large to be kept: they are lost when this process ends"
            );
            return self.renewed(tokens, version, fields.as_ref(), None);
        };
        let renewal = TokenUpdate {
            session: self.session.key,
            version,
            sealed,
            identity,
            at: now,
        };
        match self.store(&renewal).await {
            Ok(TokenUpdateOutcome::Stored {
                version,
                entitlements_epoch,
            }) => self.renewed(tokens, version, fields.as_ref(), Some(entitlements_epoch)),
            Ok(TokenUpdateOutcome::VersionConflict) => {
                self.adopt().await.unwrap_or(Outcome::Adopted)
            }
            Ok(TokenUpdateOutcome::SessionGone) => Outcome::Over,
            Err(error) => {
                // Groups that the source took away count here no longer, all the same.
                self.renewed(tokens, version, fields.as_ref(), None);
                Outcome::Store(error)
            }
        }
    }

    async fn store(&self, renewal: &TokenUpdate) -> Result<TokenUpdateOutcome, StoreError> {
        let store = self.refresher.sessions.store();
        for pause in STORE_AGAIN {
            match store.update_tokens(renewal).await {
                Ok(renewed) => return Ok(renewed),
                Err(error) => {
                    tracing::debug!(error = %error_chain(&error), "refreshed tokens were not stored: menshen tries again");
                    sleep(pause).await;
                }
            }
        }
        store.update_tokens(renewal).await
    }

    /// The mapped fields of the source's answer; nothing when it has none that can be used.
    fn mapped(&self, known: &Known, refreshed: &Refreshed) -> Option<Fields> {
        // Fields that do not follow the source stay as the first login brought them.
        let raw = refreshed
            .raw
            .as_ref()
            .filter(|_| known.terms.admittance.sync)?;
        // The mapped login is ignored: only a login can change it.
        match known.terms.admittance.mapping.map(raw) {
            Ok(mapped) => Some(mapped.fields),
            Err(error) => {
                tracing::warn!(
                    connector = %self.session.via,
                    error = %error_chain(&error),
                    "a refreshed profile cannot be mapped: the old fields stay"
                );
                None
            }
        }
    }

    /// Updates the memory; `epoch` is the version that the store gave the fields.
    fn renewed(
        &self,
        tokens: Tokens,
        version: u64,
        fields: Option<&Fields>,
        epoch: Option<u64>,
    ) -> Outcome {
        let Refresher {
            sessions,
            clock,
            telemetry,
            ..
        } = &*self.refresher;
        let now = clock.now();
        if let Some(fields) = fields {
            let changed = sessions.refreshed(&self.session, fields, epoch);
            if !changed.is_empty() {
                let reason = changed.join(", ");
                telemetry.audit(&AuditRecord {
                    reason: Some(&reason),
                    ..self.audit(AuditEvent::EntitlementsChanged)
                });
            }
        }
        // After the entitlements: a request that sees the new tokens sees those, too.
        self.cell.renew(tokens, version, now);
        Outcome::Renewed
    }

    /// Logs and counts the outcome, and sets when the next refresh is due.
    async fn close(&self, outcome: Outcome) {
        let Refresher {
            sessions,
            clock,
            telemetry,
            ..
        } = &*self.refresher;
        let counted = match outcome {
            Outcome::Renewed => {
                self.works_again();
                RefreshOutcome::Done
            }
            Outcome::Adopted => RefreshOutcome::Adopted,
            Outcome::Over => {
                sessions.is_over(&self.session.key);
                self.cell.wait_until(clock.now().plus(BUSY_PAUSE));
                return;
            }
            Outcome::Gone(why) => {
                self.end(&*why).await;
                RefreshOutcome::Gone
            }
            Outcome::Unavailable(why) => {
                self.fails(&*why);
                self.cell.failed(clock.now());
                RefreshOutcome::Unavailable
            }
            Outcome::Busy => {
                self.cell.wait_until(clock.now().plus(BUSY_PAUSE));
                RefreshOutcome::Busy
            }
            Outcome::Store(error) => {
                tracing::error!(error = %error_chain(&error), "a refresh of tokens failed at the store");
                self.cell.failed(clock.now());
                RefreshOutcome::Store
            }
        };
        telemetry.count_refresh(self.session.via.as_str(), counted);
    }

    /// The source no longer vouches for the session.
    async fn end(&self, why: &(dyn Error + Send + Sync + 'static)) {
        let Refresher {
            sessions,
            clock,
            telemetry,
            ..
        } = &*self.refresher;
        self.cell.failed(clock.now());
        // It is over here even if the store fails now.
        if let Err(error) = sessions
            .revoke(&RevocationScope::Session(self.session.key))
            .await
        {
            tracing::error!(error = %error_chain(&error), "a session that its source ended was not deleted");
        }
        telemetry.audit(&AuditRecord {
            error: Some(why),
            ..self.audit(AuditEvent::RefreshRefused)
        });
    }

    fn audit(&self, event: AuditEvent) -> AuditRecord<'_> {
        let session = &self.session;
        AuditRecord {
            connector: Some(session.via.as_str()),
            subject: Some(session.subject.as_str()),
            login: Some(session.login.as_str()),
            account: Some(&session.account),
            session: Some(&session.public_id),
            ..AuditRecord::new(event, self.refresher.clock.now())
        }
    }

    /// Logs once for an outage, not for every session.
    fn fails(&self, why: &(dyn Error + Send + Sync + 'static)) {
        let known = self.refresher.sources.get(&self.session.via);
        if known.is_some_and(|known| !known.failing.swap(true, Ordering::Relaxed)) {
            tracing::warn!(
                connector = %self.session.via,
                error = %error_chain(why),
                "tokens cannot be refreshed: sessions keep the old ones"
            );
        }
    }

    fn works_again(&self) {
        let known = self.refresher.sources.get(&self.session.via);
        if known.is_some_and(|known| known.failing.swap(false, Ordering::Relaxed)) {
            tracing::info!(connector = %self.session.via, "tokens are refreshed again");
        }
    }
}
