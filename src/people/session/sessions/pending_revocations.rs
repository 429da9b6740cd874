//! `PendingRevocations`: revocations that the store has not confirmed yet. They apply in this process at
//! once, and are retried until the store has written them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Sessions;
use crate::clock::Timestamp;
use crate::people::session::shared_state::{AccountState, Epoch, SessionState};
use crate::store::{
    AccountId, ConnectorId, Revocation, RevocationScope, SessionRecord, StoreError, Subject,
};
use crate::telemetry::{LogLimiter, error_chain};

mod cache_search;
mod request;
mod unreported;

use cache_search::CacheSearch;
pub(super) use request::RevocationRequest;
use request::matches_session;
use unreported::Unreported;

/// The maximum number of pending unauthenticated requests: front-channel logouts.
const UNAUTHENTICATED_MAX: usize = 10_000;
/// The failures in a row after which the remaining requests wait for the next round.
const FAILURES_MAX: usize = 3;

/// The requests that the store has not confirmed yet.
#[derive(Debug, Default)]
pub(super) struct PendingRevocations {
    entries: Mutex<Entries>,
    /// How many logouts at a provider the store confirmed after a response was lost. The sessions that they
    /// ended are unknown.
    unknown_ends: AtomicU64,
    /// The used messages of logouts of which their providers know only that the store failed.
    unreported: Unreported,
    log_limiter: LogLimiter,
}

type Entries = HashMap<RevocationRequest, PendingEntry>;

#[derive(Debug)]
struct PendingEntry {
    at: Timestamp,
    /// The number of running attempts to write it.
    attempts: usize,
    keep_alive: KeepAlive,
    search: CacheSearch,
    /// Whether an attempt got no response, or a failure: the store may have written the request.
    has_lost_response: bool,
}

/// Keeps the shared state alive that marks the sessions as ended: without a reference it would be dropped,
/// and the sessions would be valid again.
#[derive(Debug)]
enum KeepAlive {
    Session(#[expect(dead_code, reason = "kept alive only")] Arc<SessionState>),
    Account(Arc<AccountState>),
    Connector(Arc<Epoch>),
    Everyone,
    /// No state: each load of a session checks the pending requests.
    CheckedByLoads,
}

/// One attempt to write a request to the store. If it is dropped before the store responds, the next round
/// retries.
struct StoreAttempt<'a> {
    sessions: &'a Sessions,
    request: &'a RevocationRequest,
    /// Whether [`PendingEntry::attempts`] counts it. False if the limit refused the request.
    counted: bool,
    result: AttemptResult,
}

/// The result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AttemptResult {
    /// No response yet.
    Unanswered,
    /// The store failed.
    Failed,
    /// The store has written the request.
    Confirmed,
}

impl Drop for StoreAttempt<'_> {
    fn drop(&mut self) {
        let Self {
            sessions, request, ..
        } = self;
        let mut pending = sessions.pending.lock();
        let attempts = pending.get_mut(*request).map_or(0, |entry| {
            if self.counted {
                // It may have been removed and added again during the attempt.
                entry.attempts = entry.attempts.saturating_sub(1);
            }
            entry.has_lost_response |= self.result != AttemptResult::Confirmed;
            let was_searched = entry.search != CacheSearch::NotNeeded;
            if self.result == AttemptResult::Failed && request.is_unauthenticated() && !was_searched
            {
                entry.search = CacheSearch::Due;
            }
            entry.attempts
        });
        match self.result {
            AttemptResult::Confirmed if attempts == 0 => sessions.release(pending, request),
            AttemptResult::Confirmed => {}
            // An unauthenticated request causes no search of the cache by itself: the next round retries, and
            // after a failure searches once for all of them.
            AttemptResult::Unanswered | AttemptResult::Failed if request.is_unauthenticated() => {}
            AttemptResult::Unanswered | AttemptResult::Failed => {
                drop(pending);
                sessions.end_cached(request);
            }
        }
    }
}

impl PendingRevocations {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The requests that no running attempt writes.
    fn retryable(&self) -> Vec<RevocationRequest> {
        let pending = self.lock();
        let waiting = pending.iter().filter(|(_, entry)| entry.attempts == 0);
        waiting.map(|(request, _)| request.clone()).collect()
    }

    /// The pending closings of an account.
    pub(super) fn closings_of(&self, account: &AccountId) -> Vec<RevocationRequest> {
        let pending = self.lock();
        let closings = pending.keys().filter(
            |request| matches!(request, RevocationRequest::CloseAccount(id, _) if id == account),
        );
        closings.cloned().collect()
    }

    /// Grows when sessions ended of which this process does not know: a load that began before must be
    /// repeated.
    pub(super) fn unknown_ends(&self) -> u64 {
        self.unknown_ends.load(Ordering::Acquire)
    }

    /// Whether a pending logout at a provider ends this session.
    pub(super) fn includes(&self, session: &SessionRecord) -> bool {
        let pending = self.lock();
        pending.keys().any(|request| match request {
            RevocationRequest::ProviderLogout {
                connector, target, ..
            } => {
                let provider_sid = session.provider_sid.as_deref();
                *connector == session.connector
                    && matches_session(target, provider_sid, &session.subject)
            }
            RevocationRequest::Revoke(_)
            | RevocationRequest::CloseAccount(..)
            | RevocationRequest::AccessTokens(..) => false,
        })
    }

    /// Whether a pending request ends the access tokens of this identity.
    pub(super) fn ends_access_tokens_of(&self, via: &ConnectorId, subject: &Subject) -> bool {
        let pending = self.lock();
        pending.keys().any(|request| {
            matches!(request, RevocationRequest::AccessTokens(connector, of)
                if connector == via && of == subject)
        })
    }
}

impl Sessions {
    /// Ends sessions, first in this process, then in the store. Returns the entries of the log; `None` if the
    /// logout message was used before, or if the account does not exist. A message that is repeated because the
    /// store failed was not used before, even if the write was repeated meanwhile.
    ///
    /// # Errors
    /// The store failed. The sessions have still ended in this process, and the write is retried.
    pub(super) async fn end(
        &self,
        request: RevocationRequest,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        let (at, counted) = self.register(&request);
        let result = self.write_to_store(&request, at, counted).await;
        if let Err(error) = &result
            && !error.is_definitive()
            && (!request.is_unauthenticated() || self.pending.log_limiter.allow())
        {
            tracing::error!(
                error = %error_chain(error),
                "sessions were ended in this process, but not in the store: menshen tries again until they are"
            );
        }
        match result {
            Ok(None) if self.pending.unreported.take(&request) => Ok(Some(Vec::new())),
            result => result,
        }
    }

    /// Retries the pending requests; returns how many are left. `round` grows with each call, and chooses
    /// the request that is retried first.
    pub async fn retry_pending(&self, round: usize) -> usize {
        self.end_cached_unauthenticated();
        let mut waiting = self.pending.retryable();
        // A request that always fails must not block the others.
        let first = round % waiting.len().max(1);
        waiting.rotate_left(first);
        let (mut stored, mut failures) = (0_usize, 0);
        for request in waiting {
            let Some(at) = self.retry(&request) else {
                continue;
            };
            match self.write_to_store(&request, at, true).await {
                Err(error) if !error.is_definitive() => failures += 1,
                written => {
                    (stored, failures) = (stored + 1, 0);
                    if let Ok(Some(_)) = written {
                        self.pending.unreported.insert(&request);
                    }
                }
            }
            if failures >= FAILURES_MAX {
                break;
            }
        }
        if stored > 0 {
            tracing::info!(
                stored,
                "sessions that were ended while the store failed are now ended in it"
            );
        }
        self.pending.lock().len()
    }

    async fn write_to_store(
        &self,
        request: &RevocationRequest,
        at: Timestamp,
        counted: bool,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        let mut attempt = StoreAttempt {
            sessions: self,
            request,
            counted,
            result: AttemptResult::Unanswered,
        };
        let store = &self.store;
        let stored = match request {
            RevocationRequest::Revoke(scope) => {
                let revoked = store.revoke(scope, at).await;
                revoked.map(|entry| Some(vec![entry]))
            }
            RevocationRequest::CloseAccount(account, closing) => {
                let closed = store.close_account(account, closing, at).await;
                closed.map(|entry| entry.map(|entry| vec![entry]))
            }
            RevocationRequest::ProviderLogout {
                connector,
                target,
                message_id,
                until,
            } => {
                let (message_id, until) = (message_id.as_ref(), *until);
                store
                    .apply_provider_logout(connector, target, message_id, at, until)
                    .await
            }
            RevocationRequest::AccessTokens(connector, subject) => {
                let ended = store.end_access_tokens(connector, subject, at).await;
                ended.map(Some)
            }
        };
        match &stored {
            Ok(entries) => {
                for entry in entries.iter().flatten() {
                    self.apply(entry);
                }
                attempt.result = AttemptResult::Confirmed;
            }
            Err(error) if error.is_definitive() => attempt.result = AttemptResult::Confirmed,
            Err(_) => attempt.result = AttemptResult::Failed,
        }
        stored
    }

    /// Registers a request and ends its sessions in this process, before the store is called, because the
    /// caller may be dropped. Which sessions a logout at a provider ends, only the store knows: they end
    /// when it has responded or failed. Returns the time of the revocation, and whether the request was
    /// registered.
    fn register(&self, request: &RevocationRequest) -> (Timestamp, bool) {
        let at = self.clock.now();
        let mut pending = self.pending.lock();
        let is_new = request.is_unauthenticated() && !pending.contains_key(request);
        let unauthenticated = pending
            .keys()
            .filter(|request| request.is_unauthenticated());
        if is_new && unauthenticated.count() >= UNAUTHENTICATED_MAX {
            return (at, false);
        }
        let at = match pending.entry(request.clone()) {
            Entry::Occupied(mut occupied) => {
                let entry = occupied.get_mut();
                entry.attempts += 1;
                entry.at = entry.at.max(at);
                entry.at
            }
            Entry::Vacant(vacant) => {
                let entry = PendingEntry {
                    at,
                    attempts: 1,
                    keep_alive: self.keep_alive(request),
                    search: CacheSearch::NotNeeded,
                    has_lost_response: false,
                };
                vacant.insert(entry).at
            }
        };
        drop(pending);
        // An unauthenticated request wakes no connection before it is known to end a session.
        if !request.is_unauthenticated() {
            self.notify_changes();
        }
        (at, true)
    }

    /// Starts another attempt; `None` if one is running.
    fn retry(&self, request: &RevocationRequest) -> Option<Timestamp> {
        let mut pending = self.pending.lock();
        let entry = pending
            .get_mut(request)
            .filter(|entry| entry.attempts == 0)?;
        entry.attempts += 1;
        Some(entry.at)
    }

    fn keep_alive(&self, request: &RevocationRequest) -> KeepAlive {
        match request.scope() {
            None => KeepAlive::CheckedByLoads,
            Some(RevocationScope::Session(key)) => {
                let state = self
                    .session_states
                    .get_or_insert_with(key, SessionState::default);
                state.end();
                KeepAlive::Session(state)
            }
            Some(RevocationScope::Account(account)) => {
                let state = self
                    .accounts
                    .get_or_insert_with(account, AccountState::default);
                state.epoch.block();
                KeepAlive::Account(state)
            }
            Some(RevocationScope::Connector(connector)) => {
                let epoch = self.connector_epoch(&connector);
                epoch.block();
                KeepAlive::Connector(epoch)
            }
            Some(RevocationScope::Everyone) => {
                self.everyone.block();
                KeepAlive::Everyone
            }
        }
    }

    /// Removes a request that is no longer to be written.
    pub(super) fn remove(&self, request: &RevocationRequest) {
        self.release(self.pending.lock(), request);
    }

    /// Removes a request after its result was applied, and unblocks its epoch unless another pending
    /// request blocks it.
    fn release(&self, mut pending: MutexGuard<'_, Entries>, request: &RevocationRequest) {
        let Some(entry) = pending.remove(request) else {
            return;
        };
        if request.scope().is_none() && entry.has_lost_response {
            // Before loads no longer find the request: the lock is still held.
            self.pending.unknown_ends.fetch_add(1, Ordering::AcqRel);
        }
        let scope = request.scope();
        if scope.is_some() && pending.keys().any(|other| other.scope() == scope) {
            return;
        }
        match entry.keep_alive {
            KeepAlive::Account(state) => state.epoch.unblock(),
            KeepAlive::Connector(epoch) => epoch.unblock(),
            KeepAlive::Everyone => self.everyone.unblock(),
            KeepAlive::Session(_) | KeepAlive::CheckedByLoads => {}
        }
    }
}
