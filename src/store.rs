//! `Store`: the questions menshen asks a database, a trait for each subject with its records.
//!
//! A store decides only what a transaction must decide: that a login is still free, that an account
//! is still open when its session is inserted, that a ticket is spent once.
//!
//! Each database has a folder with a file for each subject. Another one needs its folder, a variant
//! of [`StoreUrl`], and an arm in the function that opens it.

use std::sync::Arc;

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

pub use accounts::{Account, AccountStore, Admission, AdmissionOutcome, LinkField};
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

/// A database that answers about every subject. Every method is cancel-safe: it happens whole or not
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

/// What may be done with a store that is opened.
#[derive(Clone, Copy)]
enum Access {
    All,
    ReadOnly,
}

/// Opens the store, makes it when it is missing and brings its tables up to date.
pub async fn open(url: &StoreUrl) -> Result<Arc<dyn Store>, StoreError> {
    open_with(url, Access::All).await
}

/// Opens the store beside the process that serves with it, to be read only: nothing is made, brought
/// up to date or written, and every question that would write is refused.
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
