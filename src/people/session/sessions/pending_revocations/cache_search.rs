//! Ends the cached sessions of logouts at a provider that the store has not confirmed.

use std::collections::HashMap;

use super::{PendingRevocations, RevocationRequest, Sessions, matches_session};
use crate::store::ConnectorId;

/// Whether the cache is searched for the session of an unauthenticated request. The store has an index
/// for it and the cache has none, so the cache is searched only after a failure of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CacheSearch {
    /// The store has not failed so far.
    NotNeeded,
    /// The next round searches.
    Due,
    /// Done; later loads are compared with the pending requests.
    Done,
}

impl PendingRevocations {
    /// The provider sessions to search for, each with its connectors; marks their searches as done.
    fn take_due_searches(&self) -> HashMap<String, Vec<ConnectorId>> {
        let mut due = HashMap::<_, Vec<_>>::new();
        for (request, entry) in self.lock().iter_mut() {
            if entry.search == CacheSearch::Due
                && let Some((connector, sid)) = request.unauthenticated_logout()
            {
                entry.search = CacheSearch::Done;
                let connectors = due.entry(sid.to_owned()).or_default();
                if !connectors.contains(connector) {
                    connectors.push(connector.clone());
                }
            }
        }
        due
    }
}

impl Sessions {
    /// Ends the cached sessions that match a logout at a provider. Searches the whole cache, so it runs only
    /// after a failure of the store.
    pub(super) fn end_cached(&self, request: &RevocationRequest) {
        let (connector, target) = match request {
            RevocationRequest::ProviderLogout {
                connector, target, ..
            } => (connector, target),
            RevocationRequest::AccessTokens(via, subject) => {
                return self.end_cached_access_tokens(via, subject);
            }
            // The shared state has ended these sessions; open connections are checked again.
            RevocationRequest::Revoke(_) | RevocationRequest::CloseAccount(..) => {
                return self.notify_changes();
            }
        };
        for (_, entry) in &self.cache {
            // A sign-out at the provider does not end access tokens.
            if entry.access_token.is_some() {
                continue;
            }
            let session = &entry.session;
            let provider_sid = session.provider_sid.as_deref();
            if session.via == *connector && matches_session(target, provider_sid, &session.subject)
            {
                entry.state.end();
            }
        }
        self.notify_changes();
    }

    /// Ends the cached sessions of all unauthenticated logouts since the last round, in one search.
    pub(super) fn end_cached_unauthenticated(&self) {
        let due = self.pending.take_due_searches();
        if due.is_empty() {
            return;
        }
        let mut has_ended_any = false;
        for (_, entry) in &self.cache {
            let session = &entry.session;
            let sid = session.provider_sid.as_ref();
            let connectors = sid.and_then(|sid| due.get(sid));
            if connectors.is_some_and(|connectors| connectors.contains(&session.via)) {
                entry.state.end();
                has_ended_any = true;
            }
        }
        // Open connections are checked again only if a session ended.
        if has_ended_any {
            self.notify_changes();
        }
    }
}
