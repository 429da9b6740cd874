//! The session keys of a site.

use super::{BuildError, Config, Site};
use crate::keys::{self, KeyRing};
use crate::store::Store;

/// The session keys of a configuration, or those that the store keeps.
///
/// # Errors
/// They cannot be read, or are not session keys.
pub async fn build_key_ring(
    config: &Config,
    store: &dyn Store,
    previous: Option<&Site>,
) -> Result<KeyRing, BuildError> {
    let texts = if config.session.keys.is_empty() {
        store
            .load_or_create_keys(&keys::generate())
            .await
            .map_err(BuildError::Store)?
    } else {
        let read = config.session.keys.iter().enumerate().map(|(at, source)| {
            source.read().map_err(|source| BuildError::Secret {
                key: format!("[session] keys[{at}]"),
                source,
            })
        });
        read.collect::<Result<_, _>>()?
    };
    KeyRing::new(&texts, previous.map(|site| &*site.ring)).map_err(BuildError::Keys)
}
