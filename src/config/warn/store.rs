//! Warnings about the connection to the store.

use super::Warnings;
use crate::setting::KeyPath;
use crate::store::StoreUrl;

pub(super) fn warn(warnings: &mut Warnings<'_>) {
    let store = &warnings.config.store;
    let StoreUrl::Postgres(url) = &store.url else {
        if store.password.is_some() {
            let text = "a SQLite store has no password: remove it";
            warnings.add(&KeyPath::of(["store", "password"]), text);
        }
        return;
    };
    let key_path = KeyPath::of(["store", "url"]);
    if url.has_password() {
        let text = "the password stands in the configuration itself, and so in its backups: write \
                    password = { file = \"...\" } or { env = \"...\" } in [store]";
        warnings.add(&key_path, text);
    }
    if url.is_exposed() {
        let text = "anyone on the network between menshen and PostgreSQL can read sessions or pose as the \
                    database: remove `sslmode`, or write sslmode=verify-full";
        warnings.add(&key_path, text);
    }
}
