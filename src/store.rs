//! `Store`: the database interface, with one trait and its records for each area, such as sessions.
//!
//! A store decides only what needs a transaction: that a login name is free, that the account is open
//! when its session is inserted, that a ticket is spent once.
//!
//! Each database has a folder with one file for each trait. A new database needs a folder, a
//! variant of [`StoreUrl`], and an arm in the function that opens it.

use std::sync::Arc;

mod account_changes;
mod accounts;
mod coordination;
mod error;
mod ids;
mod maintenance;
mod monitored;
mod query_error;
mod revocations;
mod row;
mod sessions;
mod sqlite;
mod tokens;
mod url;

pub use account_changes::{AccountChange, AccountChangeKind};
pub use accounts::{
    Account, AccountStore, Admission, AdmissionOutcome, Closing, LinkField, Reopening,
    SubjectRename, SubjectRenameOutcome,
};
pub use coordination::CoordinationStore;
pub use error::StoreError;
pub use ids::{AccountId, ConnectorId, IdError, LoginName, SessionId, SessionKey, Subject};
pub use maintenance::MaintenanceStore;
pub use monitored::MonitoredStore;
pub use revocations::{
    CurrentEpochs, LogoutTarget, Revocation, RevocationPage, RevocationScope, RevocationStore,
};
pub use sessions::{MintOutcome, NewSession, SessionRecord, SessionStore, StoredSession};
pub use sqlite::{Sqlite, SqliteUrl};
pub use tokens::{IdentityUpdate, StoredTokens, TokenStore, TokenUpdate, TokenUpdateOutcome};
pub use url::{StoreUrl, StoreUrlError};

/// All storage traits of a database. Every method is cancel-safe: it takes effect completely or not
/// at all.
pub trait Store:
    AccountStore + SessionStore + RevocationStore + TokenStore + CoordinationStore + MaintenanceStore
{
}

impl<S> Store for S where
    S: AccountStore
        + SessionStore
        + RevocationStore
        + TokenStore
        + CoordinationStore
        + MaintenanceStore
{
}

#[derive(Clone, Copy)]
enum Access {
    All,
    ReadOnly,
}

/// Opens the store; creates it if it is missing and migrates its tables to this version.
pub async fn open(url: &StoreUrl) -> Result<Arc<dyn Store>, StoreError> {
    open_with(url, Access::All).await
}

/// Opens the store read-only while another process serves from it: nothing is created or migrated, and
/// every write fails.
pub async fn open_read_only(url: &StoreUrl) -> Result<Arc<dyn Store>, StoreError> {
    open_with(url, Access::ReadOnly).await
}

async fn open_with(url: &StoreUrl, access: Access) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(match access {
            Access::All => Sqlite::open(url).await?,
            Access::ReadOnly => Sqlite::open_read_only(url).await?,
        }),
    })
}
