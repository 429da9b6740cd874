//! Finds the session of a cookie: in the cache, otherwise in the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::cached_session::CachedSession;
use super::{CookieHash, LOAD_ATTEMPTS_MAX, Sessions};
use crate::clock::Timestamp;
use crate::keys::{self, KeyRing};
use crate::people::cookie::{self, COOKIE_BYTES_MAX, HostFingerprint};
use crate::people::session::tokens::RefreshDue;
use crate::people::session::{Person, SessionTimeouts};
use crate::store::StoreError;

/// The result of [`Sessions::find`].
#[derive(Clone, Debug)]
pub enum SessionLookup {
    /// The session is valid.
    Person(Person),
    /// There is no session.
    Missing(NoSession),
}

/// Why a cookie has no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSession {
    /// The cookie is forged, or valid only on another host.
    Unknown,
    /// The session has expired, was idle too long, or was ended.
    Ended,
}

/// The result of a successful load.
#[derive(Clone)]
pub(super) enum Loaded {
    Session(Arc<CachedSession>),
    Missing(NoSession),
}

/// The result of a cache lookup.
pub(super) enum CachedSessionLookup {
    Person(Person),
    Missing(NoSession),
    /// The session must be loaded from the store.
    Miss,
}

impl Sessions {
    /// Finds the session of a cookie on a host: in the cache by the hash of the whole cookie value, which
    /// needs no signature check, otherwise in the store. Cancel-safe: a load continues for other waiting
    /// requests.
    ///
    /// # Errors
    /// The store failed, or its log of revocations was not read for too long. The request must be refused.
    pub async fn find(
        self: &Arc<Self>,
        ring: &Arc<KeyRing>,
        timeouts: &SessionTimeouts,
        value: &str,
        host: &str,
    ) -> Result<SessionLookup, Arc<StoreError>> {
        if value.len() > COOKIE_BYTES_MAX {
            return Ok(SessionLookup::Missing(NoSession::Unknown));
        }
        let hash = keys::fingerprint(&[value.as_bytes()]);
        match self.find_cached(&hash, ring, timeouts, host) {
            CachedSessionLookup::Person(person) => {
                self.ensure_revocations_are_fresh()?;
                return Ok(SessionLookup::Person(person));
            }
            CachedSessionLookup::Missing(missing) => return Ok(SessionLookup::Missing(missing)),
            CachedSessionLookup::Miss => {}
        }
        // A forged cookie causes no load from the store.
        let Some(verified) = cookie::verify(ring, value) else {
            return Ok(SessionLookup::Missing(NoSession::Unknown));
        };
        if verified.claims.expires_at <= self.clock.now() {
            return Ok(SessionLookup::Missing(NoSession::Ended));
        }
        for _ in 0..LOAD_ATTEMPTS_MAX {
            let load = self.load(hash, &verified, ring, timeouts).await;
            let load_panicked = |_| Arc::new(StoreError::Damaged { record: "session" });
            match load.map_err(load_panicked)?? {
                Loaded::Missing(missing) => return Ok(SessionLookup::Missing(missing)),
                // Checked like a cache hit, because it may have been revoked during the load. The cache
                // is not read again: it may have evicted the session.
                Loaded::Session(entry) => match self.use_entry(&entry, ring, timeouts, host) {
                    CachedSessionLookup::Person(person) => {
                        return Ok(SessionLookup::Person(person));
                    }
                    CachedSessionLookup::Missing(missing) => {
                        return Ok(SessionLookup::Missing(missing));
                    }
                    // The session changed during the load, for example by another login of the person.
                    CachedSessionLookup::Miss => {}
                },
            }
        }
        Ok(SessionLookup::Missing(NoSession::Ended))
    }

    fn find_cached(
        &self,
        hash: &CookieHash,
        ring: &KeyRing,
        timeouts: &SessionTimeouts,
        host: &str,
    ) -> CachedSessionLookup {
        let Some(entry) = self.cache.get(hash) else {
            return self
                .without_session
                .get(hash)
                .map_or(CachedSessionLookup::Miss, CachedSessionLookup::Missing);
        };
        let found = self.use_entry(&entry, ring, timeouts, host);
        if matches!(
            found,
            CachedSessionLookup::Missing(NoSession::Ended) | CachedSessionLookup::Miss
        ) {
            self.cache.invalidate(hash);
        }
        found
    }

    /// Uses a cached session: compares its epochs, times and host, and records the use. The signature of
    /// the cookie was verified when the entry was loaded under the same key ring.
    fn use_entry(
        &self,
        entry: &CachedSession,
        ring: &KeyRing,
        timeouts: &SessionTimeouts,
        host: &str,
    ) -> CachedSessionLookup {
        let now = self.clock.now();
        if let Some(unusable) = self.why_unusable(entry, ring, now) {
            return unusable;
        }
        if now.since(entry.state.used_at()) >= timeouts.idle_timeout {
            // Another process may have used the session: load it again.
            return CachedSessionLookup::Miss;
        }
        if entry
            .host
            .is_some_and(|fingerprint| fingerprint != HostFingerprint::of(host))
        {
            return CachedSessionLookup::Missing(NoSession::Unknown);
        }
        // In the store the last use may be late by a tenth of the idle timeout.
        let write_every_ms =
            i64::try_from(timeouts.idle_timeout.as_millis() / 10).unwrap_or(i64::MAX);
        if entry.state.touch(now, write_every_ms) {
            // If the queue is full, the next use tries again.
            let _ = self.touches.try_send((entry.session.key, now));
        }
        let due = entry.tokens.as_ref().map(|state| state.due(now));
        CachedSessionLookup::Person(Person {
            session: Arc::clone(&entry.session),
            entitlements: entry.identity.entitlements.load_full(),
            confirmed_at: entry.confirmed_at,
            needs_new_cookie: !entry.signed_by_first_key,
            refresh_due: due.unwrap_or(RefreshDue::NotDue),
            bearer_token: None,
            access_token: None,
            token_state: entry.tokens.clone(),
        })
    }

    /// Compares the epochs and the end of a cached entry; `None` if they allow its use.
    #[inline]
    pub(super) fn why_unusable(
        &self,
        entry: &CachedSession,
        ring: &KeyRing,
        now: Timestamp,
    ) -> Option<CachedSessionLookup> {
        let at_load = &entry.at_load;
        if at_load.ring != ring.epoch()
            || at_load.generation != self.generation.load(Ordering::Acquire)
        {
            return Some(CachedSessionLookup::Miss);
        }
        let is_valid = !entry.state.has_ended()
            && entry.account.epoch.value() == at_load.account
            && entry.connector_epoch.value() == at_load.connector
            && self.everyone.value() == at_load.everyone
            && entry.session.expires_at > now;
        if !is_valid {
            return Some(CachedSessionLookup::Missing(NoSession::Ended));
        }
        // The login name may belong to another account now, and the groups may have changed.
        (entry.account.changes() != at_load.account_changes).then_some(CachedSessionLookup::Miss)
    }

    /// Fails if the log of revocations was not read for too long: another process may have revoked a cached
    /// session.
    pub(super) fn ensure_revocations_are_fresh(&self) -> Result<(), Arc<StoreError>> {
        if self.revocations_are_stale.load(Ordering::Relaxed) {
            return Err(Arc::new(StoreError::Outage {
                for_s: self.outage_grace.as_secs(),
            }));
        }
        Ok(())
    }
}
