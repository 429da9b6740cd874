//! `StoreOptions`: how a store is opened, besides its URL.

use crate::secret::Secret;

/// How a database server is used. A file has no options.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The password of the database user, if it is not part of the URL.
    pub password: Option<Secret<String>>,
    /// The maximum number of connections of this process; one more listens.
    pub connections_max: u32,
    /// Whether revocations are announced by NOTIFY. `false` is for a pooler that gives each transaction
    /// another connection, and for databases without NOTIFY: the log is polled, and no
    /// prepared statement outlives its transaction.
    pub notify: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            password: None,
            connections_max: 16,
            notify: true,
        }
    }
}
