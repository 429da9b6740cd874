//! The person of a stored session, for the console, which has no cookie of that session.

use std::sync::Arc;

use super::Sessions;
use super::load::session_of;
use super::updates::entitlements_of;
use crate::keys::KeyRing;
use crate::people::session::{AfterRefresh, Person, RefreshDue, Refresher, SessionTimeouts};
use crate::store::{SessionKey, StoreError};

impl Sessions {
    /// The person of a session as the store has it now, and records the use of the session. `None` if the
    /// session has ended.
    async fn stored_person(
        &self,
        key: &SessionKey,
        ring: &KeyRing,
        timeouts: &SessionTimeouts,
    ) -> Result<Option<Person>, StoreError> {
        let Some(stored) = self.store.session(key).await? else {
            return Ok(None);
        };
        let now = self.clock.now();
        let unused_for = now.since(stored.session.used_at);
        let has_ended = stored.account.closed
            || stored.session.expires_at <= now
            || unused_for >= timeouts.idle_timeout
            || self.pending.includes(&stored.session);
        if has_ended {
            return Ok(None);
        }
        if unused_for >= timeouts.idle_timeout / 10 {
            // If the queue is full, the next use tries again.
            let _ = self.touches.try_send((*key, now));
        }
        let entitlements = Arc::new(entitlements_of(&stored)?);
        let tokens = self.token_state(&stored, ring);
        if let Some(state) = &tokens {
            self.console_tokens.insert(*key, Arc::clone(state));
        }
        let due = tokens.as_ref().map(|state| state.due(now));
        Ok(Some(Person {
            session: Arc::new(session_of(stored.session, stored.account)?),
            entitlements,
            confirmed_at: now,
            needs_new_cookie: false,
            refresh_due: due.unwrap_or(RefreshDue::NotDue),
            bearer_token: None,
            access_token: None,
            token_state: tokens,
        }))
    }
}

impl Refresher {
    /// The person of a session as the store has it, after a refresh of the tokens if one is due, as for a
    /// request to an application. `None` if the session has ended.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn find_person(
        self: &Arc<Self>,
        key: &SessionKey,
        timeouts: &SessionTimeouts,
    ) -> Result<Option<Person>, StoreError> {
        let find = || self.sessions.stored_person(key, &self.ring, timeouts);
        let Some(person) = find().await? else {
            return Ok(None);
        };
        match self.refresh_if_due(&person).await {
            AfterRefresh::Proceed => Ok(Some(person)),
            AfterRefresh::FindAgain => find().await,
        }
    }
}
