//! The person of a stored session, for the console, which has no cookie of that session.

use std::sync::Arc;

use super::Sessions;
use super::load::session_of;
use super::updates::entitlements_of;
use crate::people::session::{Person, RefreshDue, SessionTimeouts};
use crate::store::{SessionKey, StoreError};

impl Sessions {
    /// The person of a session as the store has it now, and records the use of the session. `None` if the
    /// session has ended.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn find_person(
        &self,
        key: &SessionKey,
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
        Ok(Some(Person {
            session: Arc::new(session_of(stored.session, stored.account)?),
            entitlements,
            confirmed_at: now,
            needs_new_cookie: false,
            refresh_due: RefreshDue::NotDue,
            bearer_token: None,
            access_token: None,
            token_state: None,
        }))
    }
}
