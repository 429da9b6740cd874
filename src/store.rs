//! `Store`: the database interface, with one trait and its records for each area, such as sessions.
//!
//! A store decides only what needs a transaction: that a login name is free, that the account is open
//! when its session is inserted, that a ticket is spent once.
//!
//! `sql` has the steps of every operation, written once for all databases. The folder of a database holds
//! what differs: how it is opened and migrated, its transactions, its errors. A new database needs a folder,
//! a variant of [`StoreUrl`], and an arm in the function that opens it.

use crate::wording::Text;
use std::sync::Arc;

mod access_tokens;
mod account_changes;
mod accounts;
mod administrators;
mod audit_log;
mod config;
mod coordination;
mod directory;
mod directory_sync;
mod error;
mod ids;
mod local_entitlements;
mod local_people;
mod maintenance;
mod managed_settings;
mod migrate;
mod monitored;
mod nodes;
mod options;
mod postgres;
mod query_error;
mod revocations;
mod row;
mod sessions;
mod sql;
mod sqlite;
mod tokens;
mod url;

pub use access_tokens::{
    AccessTokenOutcome, AccessTokenOwner, AccessTokenRecord, AccessTokenStore, NewAccessToken,
    StoredAccessToken,
};
pub use account_changes::{AccountChange, AccountChangeKind};
pub use accounts::{
    Account, AccountStore, Admission, AdmissionOutcome, AdmittedIdentity, Closing, LinkField,
    Reopening, SubjectRename, SubjectRenameOutcome,
};
pub use administrators::{Administrator, AdministratorStore, ConsoleHolder, ConsoleSession};
pub use audit_log::{
    AuditLogStore, AuditOrder, AuditPosition, AuditQuery, InvalidAuditPosition, StoredAuditLine,
};
pub use config::Config;
pub use coordination::CoordinationStore;
pub use directory::{
    Department, DirectoryFields, DirectoryStore, EditOutcome, ExpectOutcome, IMPORTED_MAX,
    IdentityRecord, IdentityState, ImportConflict, ImportCounts, ImportOutcome, ImportedPerson,
    Membership, PeopleQuery, PersonEdit, PersonRecord,
};
pub use directory_sync::{DirectorySyncStore, SourceIdentity};
pub use error::{FileCreateError, StoreError};
pub use ids::{
    AccountId, AdministratorName, ConnectorId, IdError, LoginName, SessionId, SessionKey, Subject,
};
pub use local_entitlements::{
    DepartmentPath, DepartmentPathError, GroupName, GroupNameError, LOCAL_GROUPS_MAX,
    LocalEntitlements,
};
pub use local_people::{
    EndedLogins, LocalPeopleOutcome, LocalPeopleStore, LocalPerson, LocalPersonWrite,
};
pub use maintenance::MaintenanceStore;
pub use managed_settings::{
    ManagedSettingsStore, ManagedVersion, ManagedVersionRecord, NewManagedVersion,
};
pub use migrate::{MigrateError, migrate};
pub use monitored::MonitoredStore;
pub use nodes::{NodeRecord, NodeStore};
pub use options::StoreOptions;
pub use postgres::{Postgres, PostgresUrl, PostgresUrlError, ServerError, ServerProblem};
pub use revocations::{
    CurrentEpochs, LogPosition, LogoutTarget, Revocation, RevocationPage, RevocationScope,
    RevocationStore, session_group,
};
pub use sessions::{
    ListedSession, MintOutcome, NewSession, SessionOrigin, SessionRecord, SessionStore,
    SessionsQuery, StoredSession,
};
pub use sqlite::{Sqlite, SqliteUrl};
pub use tokens::{IdentityUpdate, StoredTokens, TokenStore, TokenUpdate, TokenUpdateOutcome};
pub use url::{StoreUrl, StoreUrlError};

/// All storage traits of a database. Every method is cancel-safe: it takes effect completely or not
/// at all.
pub trait Store:
    AccountStore
    + DirectoryStore
    + DirectorySyncStore
    + SessionStore
    + RevocationStore
    + TokenStore
    + AccessTokenStore
    + LocalPeopleStore
    + AdministratorStore
    + AuditLogStore
    + ManagedSettingsStore
    + NodeStore
    + CoordinationStore
    + MaintenanceStore
{
}

impl<S> Store for S where
    S: AccountStore
        + DirectoryStore
        + DirectorySyncStore
        + SessionStore
        + RevocationStore
        + TokenStore
        + AccessTokenStore
        + LocalPeopleStore
        + AdministratorStore
        + AuditLogStore
        + ManagedSettingsStore
        + NodeStore
        + CoordinationStore
        + MaintenanceStore
{
}

/// Opens the store; creates it if it is missing and migrates its tables to this version.
pub async fn open(url: &StoreUrl, options: &StoreOptions) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(Sqlite::open(url).await?),
        StoreUrl::Postgres(url) => Arc::new(Postgres::open(url, options).await?),
    })
}

/// Opens the store read-only while another process serves from it: nothing is created or migrated, and
/// every write fails.
pub async fn open_read_only(
    url: &StoreUrl,
    options: &StoreOptions,
) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match url {
        StoreUrl::Sqlite(url) => Arc::new(Sqlite::open_read_only(url).await?),
        StoreUrl::Postgres(url) => Arc::new(Postgres::open_read_only(url, options).await?),
    })
}

/// Connects to the database server of a store without writing, and returns a sentence about the server
/// and its tables. `None` if the store is a file, which has no server.
pub async fn examine_server(
    url: &StoreUrl,
    options: &StoreOptions,
) -> Option<Result<Text, StoreError>> {
    match url {
        StoreUrl::Sqlite(_) => None,
        StoreUrl::Postgres(url) => Some(Postgres::examine(url, options).await),
    }
}
