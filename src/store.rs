//! `Store`: the questions we ask a database, and the records it keeps.
//!
//! A store decides nothing but what only a transaction can decide: that a login is still free, that
//! an account is still open when its session is inserted, that a ticket is spent once.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::secret::Secret;

mod error;
mod ids;
mod monitored;
mod sqlite;
mod tokens;
mod url;

pub use error::StoreError;
pub use ids::{AccountId, ConnectorId, IdError, LoginName, SessionId, SessionKey, Subject};
pub use monitored::Monitored;
pub use sqlite::{Sqlite, SqliteUrl};
pub use tokens::{Renewal, Renewed, Said, StoredTokens};
pub use url::{StoreUrl, StoreUrlError};

/// A person as the directory keeps them.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Ours; never changes, never says anything.
    pub id: AccountId,
    /// The name applications know them by.
    pub login: LoginName,
    /// Raised to end all their sessions.
    pub epoch: u64,
    /// Whether they may still sign in.
    pub closed: bool,
}

/// A field by which a source may vouch that a person is an account we already have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkField {
    /// The mobile number.
    Mobile,
    /// The e-mail address.
    Email,
}

/// What a login asks of the directory.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Which connector proved them.
    pub connector: ConnectorId,
    /// What that source calls them.
    pub subject: Subject,
    /// The login the mapping gives them.
    pub login: LoginName,
    /// Vouched fields that may join an existing account, in order of trial.
    pub links: Vec<(LinkField, String)>,
    /// Every vouched field, kept so that later logins may be joined by it.
    pub vouched: Vec<(LinkField, String)>,
    /// Whether a stranger gets an account.
    pub create: bool,
    /// Whether login and fields replace those of somebody who is known.
    pub sync: bool,
    /// Whether they log in now. A token may be older than their last login: what it vouches for is
    /// kept only for somebody who is not known yet.
    pub by_login: bool,
    /// The person's mapped fields as of this login (JSON), kept with the identity.
    pub entitlements: String,
    /// When.
    pub at: Timestamp,
}

/// What the directory answers to a login.
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    /// The account the identity belongs to, found, linked or made.
    Account(Account),
    /// Nobody the directory knows, and strangers get no account.
    Unknown,
    /// The login belongs to another account.
    LoginTaken {
        /// Whose it is.
        by: AccountId,
    },
    /// The account is closed.
    Closed(AccountId),
}

/// A session as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRecord {
    /// SHA-256 of the sid in the cookie.
    pub key: SessionKey,
    /// For logs, audit and the administrator.
    pub public_id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// Which connector proved them.
    pub connector: ConnectorId,
    /// What that source calls them.
    pub subject: Subject,
    /// The session's name at its provider, when there is one.
    pub provider_sid: Option<String>,
    /// What the login proved besides: acr, amr, auth_time (JSON).
    pub facts: String,
    /// When they came in.
    pub minted_at: Timestamp,
    /// When they must prove themselves again, whatever they do.
    pub expires_at: Timestamp,
    /// When they were last seen, to the precision of the batches.
    pub used_at: Timestamp,
}

/// A session together with what it stands on.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionFound {
    /// The session's row.
    pub session: SessionRecord,
    /// Its account as it is now.
    pub account: Account,
    /// The mapped fields of its identity as of the last login or refresh (JSON).
    pub entitlements: String,
    /// The number of those fields.
    pub entitlements_epoch: u64,
    /// The connector's number now.
    pub connector_epoch: u64,
    /// Everyone's number now.
    pub everyone_epoch: u64,
    /// Its tokens, when it has any.
    pub tokens: Option<StoredTokens>,
}

/// What a new session is minted from.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The row to insert.
    pub record: SessionRecord,
    /// The account's number when it was admitted.
    pub account_epoch: u64,
    /// The connector's number when the login began.
    pub connector_epoch: u64,
    /// Everyone's number when the login began.
    pub everyone_epoch: u64,
    /// When the login began: a person revoked since then is not let in.
    pub began_at: Timestamp,
    /// Its sealed tokens, kept with it.
    pub tokens: Option<String>,
    /// What is spent in the same transaction, and until when that is remembered.
    pub spends: Option<([u8; 32], Timestamp)>,
}

/// What became of a mint.
#[derive(Clone, Debug, PartialEq)]
pub enum Minted {
    /// It is inserted.
    Session,
    /// What it would spend was spent before.
    Spent,
    /// The account was closed meanwhile.
    AccountClosed,
    /// The person, the connector or everyone was revoked since the login began.
    Revoked,
    /// The provider ended this session or this person's sessions since the login began.
    LoggedOut,
}

/// Whose sessions are revoked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// One session.
    Session(SessionKey),
    /// All of one account's.
    Account(AccountId),
    /// All that came through one connector.
    Connector(ConnectorId),
    /// All.
    Everyone,
}

/// One entry of the log of revocations, in commit order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Its place in the log.
    pub number: i64,
    /// Whose sessions.
    pub scope: Scope,
    /// The scope's new number; zero for a session, which is simply gone.
    pub epoch: u64,
}

/// A part of the log of revocations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPart {
    /// Its entries, oldest first.
    pub entries: Vec<Revocation>,
    /// The numbers of rows that nobody can read.
    pub damaged: Vec<i64>,
}

/// Everyone's and the connectors' numbers, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EpochsNow {
    /// Everyone's.
    pub everyone: u64,
    /// The connectors' that were ever revoked; all others are at zero.
    pub connectors: Vec<(ConnectorId, u64)>,
    /// The last entry of the log those numbers include.
    pub log_number: i64,
}

/// What a database must answer. Every method is cancel-safe: it happens whole or not at all.
#[async_trait]
pub trait Store: fmt::Debug + Send + Sync {
    /// Whether it answers at all.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Writes a little, to learn whether anything can be written.
    async fn try_write(&self) -> Result<(), StoreError>;

    /// What a record is answered with that was read, but cannot be what this program wrote.
    fn damaged(&self, record: &'static str) -> StoreError {
        StoreError::Damaged { record }
    }

    /// The key ring kept here, signer first; `candidate` is kept when there is none yet.
    async fn keys(&self, candidate: &Secret<String>) -> Result<Vec<Secret<String>>, StoreError>;

    /// Finds, links or makes the account of an identity, in one transaction.
    async fn admit(&self, admission: &Admission) -> Result<Admitted, StoreError>;

    /// Inserts a session if everything it stands on still stands, in one transaction.
    async fn mint(&self, new: &NewSession) -> Result<Minted, StoreError>;

    /// The session and what it stands on; nothing when there is none, or when its person, connector
    /// or everyone was revoked since it was minted. Expired ones are returned.
    async fn session(&self, key: &SessionKey) -> Result<Option<SessionFound>, StoreError>;

    /// Keeps what a refresh brought, in one transaction, if the session still stands and its tokens
    /// are of the version the refresh began with.
    async fn renew(&self, renewal: &Renewal) -> Result<Renewed, StoreError>;

    /// Sets when sessions were last used, never to an earlier time; those that are gone are passed
    /// over.
    async fn touch(&self, used: &[(SessionKey, Timestamp)]) -> Result<(), StoreError>;

    /// Deletes a session, or raises a number, and writes it into the log; answers the entry. The
    /// tokens of all it ends are deleted. An account that is not there is [`StoreError::NoAccount`].
    async fn revoke(&self, scope: &Scope, at: Timestamp) -> Result<Revocation, StoreError>;

    /// Which session an administrator means.
    async fn session_key(&self, public_id: &SessionId) -> Result<Option<SessionKey>, StoreError>;

    /// The sessions of one account, or all, newest first, at most `max`.
    async fn sessions(
        &self,
        account: Option<&AccountId>,
        max: u32,
    ) -> Result<Vec<SessionRecord>, StoreError>;

    /// Closes or opens an account; closing raises its number. Opening raises and logs nothing: it
    /// answers the number as it stands. Nothing when there is no such account.
    async fn close_account(
        &self,
        account: &AccountId,
        closed: bool,
        at: Timestamp,
    ) -> Result<Option<Revocation>, StoreError>;

    /// The account that has this login, compared without case.
    async fn account_by_login(&self, login: &LoginName) -> Result<Option<Account>, StoreError>;

    /// The mapped fields of an account's identities (JSON), most recently used first.
    async fn identities(
        &self,
        account: &AccountId,
    ) -> Result<Vec<(ConnectorId, Subject, String)>, StoreError>;

    /// A provider ended a session of its own or all of a subject: deletes ours that stand on it,
    /// writes each into the log, and notes it until `until`, so that a login that is under way mints
    /// none; in one transaction. Answers the entries; nothing at all happens and nothing is
    /// answered when `notice`, which it spends, was spent before. Without a notice anybody may have
    /// said so: of the sessions that no session here stands on only the latest are noted, and none
    /// when `until` is not after `at`.
    async fn end_at_provider(
        &self,
        connector: &ConnectorId,
        mark: &LogoutMark,
        notice: Option<&[u8; 32]>,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError>;

    /// Everyone's and the connectors' numbers.
    async fn epochs(&self) -> Result<EpochsNow, StoreError>;

    /// The log after entry `number`, at most `max` rows.
    async fn revocations_after(&self, number: i64, max: u32) -> Result<LogPart, StoreError>;

    /// Spends something once: true for the first who asks, until `until` and after.
    async fn spend(&self, what: &[u8; 32], until: Timestamp) -> Result<bool, StoreError>;

    /// Takes or renews a lease for one holder; false when another holds it past `at`.
    async fn lease(
        &self,
        name: &str,
        holder: &str,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Deletes what is over: sessions past their end or idle since `idle_before`, spent things,
    /// marks, leases, log entries older than a day but the newest, and the oldest marks when there are
    /// too many. At most `max` rows of each;
    /// answers how many it deleted.
    async fn sweep(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError>;
}

/// What a provider ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LogoutMark {
    /// One session of its own.
    ProviderSession(String),
    /// One session of its own, and whose it is: what this person has here that stands on no session
    /// by its name may stand on this one.
    SessionOf {
        /// Its name.
        sid: String,
        /// Whose it is.
        subject: Subject,
    },
    /// All sessions of a person.
    Subject(Subject),
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
