//! Asks again about everybody who is signed in after a source reported that its departments changed. One
//! process handles the event; all processes follow it through the log of revocations.

use std::collections::HashMap;
use std::sync::Arc;

use super::person_check::CheckFailed;
use super::{ConnectorEntry, Login};
use crate::store::ConnectorId;
use crate::telemetry::error_chain;

/// Follows the changes of departments until it is dropped. `current` returns the logins of the active
/// configuration.
pub async fn follow_department_changes(current: impl Fn() -> Login) {
    let mut changes = current().sessions.department_changes();
    let mut seen: HashMap<ConnectorId, i64> = changes.borrow_and_update().clone();
    while changes.changed().await.is_ok() {
        let latest = changes.borrow_and_update().clone();
        let login = current();
        for (connector, number) in &latest {
            if seen.get(connector) != Some(number) {
                login.apply_department_change(connector).await;
            }
        }
        seen = latest;
    }
}

impl Login {
    /// Tells all processes that departments of a connector changed. Fails if the store does: then only this
    /// process follows the change, and the event must be handled again.
    pub(super) async fn announce_department_change(
        &self,
        entry: &ConnectorEntry,
    ) -> Result<(), CheckFailed> {
        let announced = self.sessions.announce_department_change(&entry.id).await;
        if let Err(error) = announced {
            tracing::warn!(
                connector = %entry.id,
                error = %error_chain(&error),
                "other processes do not know yet that departments changed: menshen tries again"
            );
            self.apply_department_change(&entry.id).await;
            return Err(CheckFailed::Temporary);
        }
        Ok(())
    }

    /// Discards the cached departments, and lets the revalidation ask about every person of the connector who
    /// is signed in.
    async fn apply_department_change(&self, connector: &ConnectorId) {
        let Some(entry) = self.entry(connector) else {
            return;
        };
        if let Some(lookup) = Arc::clone(&entry.connector).person_lookup() {
            lookup.discard_departments();
        }
        let (sessions, connector) = (Arc::clone(&self.sessions), connector.clone());
        let withdraw = move || sessions.withdraw_confirmations(&connector);
        if tokio::task::spawn_blocking(withdraw).await.is_ok() {
            self.person_checks.announce_due();
        }
    }
}
