//! `[store]`: which database keeps accounts, sessions and revocations.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{SqliteUrl, StoreOptions, StoreUrl};
use crate::secret::{SecretError, SecretSource};

/// `[store]`: where accounts, sessions and revocations are kept.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `sqlite:///path/to/menshen.db`, on a local disk; or `postgres://user@host:5432/database` (13 or
    /// newer) when several nodes share a site. Parameters: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`,
    /// and `host` for the folder of a unix socket. Without `sslmode` a server on another machine must
    /// have a certificate for its name that the system trusts (`verify-full`).
    pub url: StoreUrl,
    /// PostgreSQL: the password of the user in `url`. Absent: the one in `url`, or none.
    pub password: Option<SecretSource>,
    /// PostgreSQL: the maximum number of connections of a node, at least 2; with `notify`, one more
    /// listens.
    pub connections_max: u32,
    /// PostgreSQL: whether nodes learn of a revocation at once, by NOTIFY. `false`: they look twice a second,
    /// and keep no state in a connection between transactions. That is for PgBouncer in transaction mode,
    /// and for databases that speak the protocol without NOTIFY.
    pub notify: bool,
}

impl Default for Config {
    fn default() -> Self {
        let StoreOptions {
            connections_max,
            notify,
            ..
        } = StoreOptions::default();
        Self {
            url: StoreUrl::Sqlite(SqliteUrl::File("/var/lib/menshen/menshen.db".into())),
            password: None,
            connections_max,
            notify,
        }
    }
}

impl Config {
    /// Reads the password; returns how the store is opened.
    ///
    /// # Errors
    /// The password cannot be read.
    pub fn options(&self) -> Result<StoreOptions, SecretError> {
        Ok(StoreOptions {
            password: self.password.as_ref().map(SecretSource::read).transpose()?,
            connections_max: self.connections_max,
            notify: self.notify,
        })
    }
}
