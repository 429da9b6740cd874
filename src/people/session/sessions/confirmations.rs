//! Finds the people about whom their source must be asked again, and records its answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::Sessions;
use crate::clock::Timestamp;
use crate::people::profile::UserFields;
use crate::people::session::Entitlements;
use crate::people::session::shared_state::IdentityState;
use crate::store::{AdmittedIdentity, ConnectorId, Subject};

/// After so long a question that failed is repeated.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// A question to a source about a person with cached sessions.
#[derive(Debug)]
pub struct SourceQuestion {
    state: Arc<IdentityState>,
    /// How often the confirmation of the person had been withdrawn when the question began.
    withdrawals: u64,
    /// The version of the person's fields when the question began.
    epoch: u64,
}

impl SourceQuestion {
    /// Whether the person's fields changed after the question began, for example by a login: the answer may
    /// be older than they are.
    pub fn is_overtaken(&self) -> bool {
        self.state.entitlements.load().epoch != self.epoch
    }

    /// Records that the source confirmed the person.
    pub fn settle(self, at: Timestamp) {
        self.state.settle(self.withdrawals, at);
    }
}

impl Sessions {
    /// The people with cached sessions about whom the source must be asked now, at most `max`, beginning
    /// with the least recent question. Searches the whole cache, so it is too slow for requests.
    pub fn people_to_confirm(
        &self,
        connector: &ConnectorId,
        interval: Option<Duration>,
        max: usize,
    ) -> Vec<Subject> {
        let now = self.clock.now();
        let retry_after = interval.map_or(RETRY_AFTER, |interval| RETRY_AFTER.min(interval / 2));
        let mut due = HashMap::new();
        for (_, entry) in &self.cache {
            if entry.session.via != *connector || entry.state.has_ended() {
                continue;
            }
            if let Some(asked_at) = entry.identity.due(now, interval, retry_after) {
                due.insert(entry.session.subject.clone(), asked_at);
            }
        }
        let mut due: Vec<_> = due.into_iter().collect();
        due.sort_unstable_by_key(|(_, asked_at)| *asked_at);
        due.truncate(max);
        due.into_iter().map(|(subject, _)| subject).collect()
    }

    /// Records that the source is asked about a person now; `None` if the person has no cached sessions.
    pub fn begin_question(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
    ) -> Option<SourceQuestion> {
        let state = self.identities.get(&(connector.clone(), subject.clone()))?;
        let withdrawals = state.begin_question(self.clock.now());
        let epoch = state.entitlements.load().epoch;
        Some(SourceQuestion {
            state,
            withdrawals,
            epoch,
        })
    }

    /// Makes a question about every person of a connector due, because their departments may have changed.
    /// Searches the whole cache, so it is too slow for requests.
    pub fn withdraw_confirmations(&self, connector: &ConnectorId) {
        for (_, entry) in &self.cache {
            if entry.session.via == *connector {
                entry.identity.withdraw_confirmation();
            }
        }
    }

    /// The entitlements of an identity that has cached sessions.
    pub(in crate::people) fn cached_entitlements(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
    ) -> Option<Arc<Entitlements>> {
        let state = self.identities.get(&(connector.clone(), subject.clone()))?;
        Some(state.entitlements.load_full())
    }

    /// Updates the entitlements of an identity after its source was asked. Open streams are authorized
    /// again.
    pub(in crate::people) fn update_after_lookup(
        &self,
        via: &ConnectorId,
        subject: &Subject,
        admitted: &AdmittedIdentity,
        fields: &UserFields,
    ) {
        self.update_after_login(via, subject, admitted, fields);
        self.notify_changes();
    }
}
