//! The managed settings of the store, for commands beside a running server.

use super::{StartError, open_read_only_store};
use crate::config::Config;
use crate::keys;
use crate::site::Services;
use crate::store::NewManagedVersion;

/// Copies the newest managed settings and the stored session key into the store of `services`, which is in
/// memory. A store that is not there, or that is older than the managed settings, has none.
pub(super) async fn copy_settings(config: &Config, services: &Services) -> Result<(), StartError> {
    let Ok(store) = open_read_only_store(config).await else {
        return Ok(());
    };
    let newest = store.managed_version(None).await;
    let Some(newest) = newest.map_err(StartError::Store)? else {
        return Ok(());
    };
    let keys = store.load_or_create_keys(&keys::generate()).await;
    // A store without a key has no secrets that it sealed.
    for key in keys.unwrap_or_default().iter().take(1) {
        let copied = services.store.load_or_create_keys(key).await;
        copied.map_err(StartError::Store)?;
    }
    let copy = NewManagedVersion {
        after: 0,
        made_at: newest.record.made_at,
        author: &newest.record.author,
        means: "command",
        fields: &newest.record.fields,
        document: &newest.document,
        ended: &[],
        versions_kept: 1,
        audit: None,
    };
    let added = services.store.add_managed_version(&copy).await;
    added.map(drop).map_err(StartError::Store)
}
