//! Ends the sessions of connectors that are no longer in force, so that none is valid again when its
//! connector comes back.

use std::collections::BTreeSet;

use super::LiveSite;
use crate::site::settings::Settings;
use crate::store::{ConnectorId, RevocationScope, SessionsQuery};
use crate::telemetry::error_chain;

/// The connectors that are in force before a change and not after it. Left out are those that cannot be built
/// on this node, and those that its file no longer has: they may be in force on others, and sessions of the
/// latter are valid again when the file has them back.
pub(super) fn newly_out_of_force(before: &Settings, after: &Settings) -> Vec<ConnectorId> {
    let is_in_file =
        |settings: &Settings, id: &ConnectorId| settings.file().connectors.contains_key(id);
    let is_gone = |id: &&ConnectorId| {
        let left_the_file = is_in_file(before, id) && !is_in_file(after, id);
        !after.config().connectors.contains_key(*id) && !after.is_broken(id) && !left_the_file
    };
    let in_force = before.config().connectors.keys();
    in_force.filter(is_gone).cloned().collect()
}

/// The connectors that are in force after a change and not before it, although there has been one with their
/// ID. A login that another node finished while it did not know yet that the connector had been disabled may
/// have left a session.
pub(super) fn back_in_force(before: &Settings, after: &Settings) -> Vec<ConnectorId> {
    let is_back = |id: &&ConnectorId| {
        let was_in_force = before.config().connectors.contains_key(*id) || before.is_broken(id);
        !was_in_force && before.document().kinds.contains_key(*id)
    };
    let after = after.config().connectors.keys();
    after.filter(is_back).cloned().collect()
}

impl LiveSite {
    /// Ends what a change of the settings in force ends, also if another node made it.
    pub(super) async fn end_newly_out_of_force(&self, before: &Settings) {
        for id in newly_out_of_force(before, &self.settings()) {
            self.end_sessions_of(&id).await;
        }
    }

    /// Ends the sessions of connectors that the file disables, and those that are left of others that are not
    /// in force: while menshen did not run, the file or another node may have taken them out of force.
    pub(super) async fn end_out_of_force(&self) {
        let settings = self.settings();
        let mut checked = BTreeSet::new();
        for (id, connector) in &settings.file().connectors {
            if connector.enabled == Some(false) && checked.insert(id) {
                self.end_sessions_of(id).await;
            }
        }
        let document = settings.document();
        for id in document.connectors.keys() {
            let may_be_used =
                settings.config().connectors.contains_key(id) || settings.is_broken(id);
            if !may_be_used && checked.insert(id) && self.has_sessions_of(id).await {
                self.end_sessions_of(id).await;
            }
        }
    }

    /// Whether people may have sessions of a connector: unknown if the store fails.
    async fn has_sessions_of(&self, id: &ConnectorId) -> bool {
        let query = SessionsQuery {
            account: None,
            connector: Some(id.clone()),
            max: 1,
        };
        let found = self.services.sessions.list(&query).await;
        found.map_or(true, |sessions| !sessions.is_empty())
    }

    async fn end_sessions_of(&self, id: &ConnectorId) {
        let scope = RevocationScope::Connector(id.clone());
        if let Err(error) = self.services.sessions.revoke(&scope).await {
            tracing::error!(connector = %id, error = %error_chain(&error), "the end of the sessions of a disabled connector is not stored yet: menshen tries again");
        }
    }
}
