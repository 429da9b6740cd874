//! Validates `[store]`.

use super::Problems;
use crate::setting::KeyPath;
use crate::store::StoreUrl;

/// One connection for a revocation that waits, and one for the reads that must not wait for it.
const CONNECTIONS_MIN: u32 = 2;

pub(super) fn validate(problems: &mut Problems<'_>) {
    let store = &problems.config.store;
    if store.connections_max < CONNECTIONS_MIN {
        let message = format!("connections_max must be at least {CONNECTIONS_MIN}");
        let key_path = KeyPath::of(["store", "connections_max"]);
        problems.add_at_value(&key_path, message, "remove it for the default");
    }
    if let StoreUrl::Postgres(url) = &store.url
        && url.has_password()
        && store.password.is_some()
    {
        let key_path = KeyPath::of(["store", "password"]);
        let help = "remove the one in url";
        problems.add_at_key(&key_path, "the store has two passwords", help);
    }
}
