//! The kinds of the connectors that files had: a managed connector gets the accounts of an ID only as the same
//! kind.

use super::LiveSite;
use crate::site::Config;
use crate::site::settings::ManagedDocument;
use crate::store::{Store, StoreError};
use crate::telemetry::error_chain;

/// Adds the kinds of the connectors that files had, but not those of this file: whoever writes it may give an
/// ID of it another kind.
pub(super) async fn add_kinds_of_files(
    store: &dyn Store,
    file: &Config,
    document: &mut ManagedDocument,
) -> Result<(), StoreError> {
    for (id, kind) in store.connector_kinds().await? {
        if !file.connectors.contains_key(&id) {
            document.kinds.entry(id).or_insert(kind);
        }
    }
    Ok(())
}

impl LiveSite {
    /// Remembers the kinds of the connectors of the file, for the time when it no longer has them.
    pub(super) async fn note_kinds_of_file(&self) {
        let settings = self.settings();
        let connectors = settings.file().connectors.iter();
        let kinds = connectors.filter_map(|(id, connector)| {
            let kind = connector.kind().ok()?;
            Some((id.clone(), kind.name().to_owned()))
        });
        let kinds: Vec<_> = kinds.collect();
        if kinds.is_empty() {
            return;
        }
        if let Err(error) = self.services.store.note_connector_kinds(&kinds).await {
            tracing::error!(error = %error_chain(&error), "the kinds of the connectors of the file are not stored: after they are removed from it, a managed one with the ID of one could be of another kind");
        }
    }
}
