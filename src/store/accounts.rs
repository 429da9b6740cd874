//! Accounts and the identities that are linked to them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    AccountChange, AccountId, ConnectorId, DirectoryFields, LocalEntitlements, LoginName,
    Revocation, StoreError, Subject,
};
use crate::clock::Timestamp;

/// Reads and writes accounts and identities.
#[async_trait]
pub trait AccountStore: fmt::Debug + Send + Sync {
    /// Finds, links or creates the account of an identity, in one transaction.
    async fn admit(&self, admission: &Admission) -> Result<AdmissionOutcome, StoreError>;

    /// As [`Self::admit`], and spends a one-time value if the person gets an account; `None` if it was spent
    /// before, which changes nothing. It is remembered at least until `until`.
    async fn admit_once(
        &self,
        admission: &Admission,
        value_hash: &[u8; 32],
        until: Timestamp,
    ) -> Result<Option<AdmissionOutcome>, StoreError>;

    /// Replaces the verified fields of an identity, by which later identities can be linked, if it is known
    /// and has others; whether it had.
    async fn replace_vouched_fields(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
        vouched: &[(LinkField, String)],
    ) -> Result<bool, StoreError>;

    /// The account with this login name, compared without case.
    async fn account_by_login(&self, login: &LoginName) -> Result<Option<Account>, StoreError>;

    /// An account's identities with their mapped fields (a JSON object), most recently used first.
    async fn identities(
        &self,
        account: &AccountId,
    ) -> Result<Vec<(ConnectorId, Subject, String)>, StoreError>;

    /// The account of an identity.
    async fn account_by_identity(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
    ) -> Result<Option<Account>, StoreError>;

    /// Closes an account: raises its epoch, adds an entry to the log of revocations and detaches the
    /// identity in [`Closing::gone`]. If the account is closed already, time, reason and actor of the
    /// first closing stay. `None` if the account does not exist.
    async fn close_account(
        &self,
        account: &AccountId,
        closing: &Closing,
        at: Timestamp,
    ) -> Result<Option<Revocation>, StoreError>;

    /// Reopens an account and restores its detached identities. Neither raises its epoch nor adds an
    /// entry to the log of revocations. `None` if the account does not exist.
    async fn reopen_account(
        &self,
        account: &AccountId,
        by: &str,
        at: Timestamp,
    ) -> Result<Option<Reopening>, StoreError>;

    /// Moves an identity to the new subject that its source gives the same person. Account and sessions
    /// stay; an entry in the log says that the account changed.
    async fn rename_subject(
        &self,
        rename: &SubjectRename,
        at: Timestamp,
    ) -> Result<SubjectRenameOutcome, StoreError>;

    /// The history of an account, newest first: at most `max` entries, and only those with a lower
    /// [`AccountChange::number`] than `before_number`, if it is given.
    async fn account_changes(
        &self,
        account: &AccountId,
        before_number: Option<i64>,
        max: u32,
    ) -> Result<Vec<AccountChange>, StoreError>;
}

/// What menshen keeps of a person beside their identities: the name that applications know, and whether
/// the person may sign in.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Random; never changes.
    pub id: AccountId,
    /// The name that applications receive.
    pub login: LoginName,
    /// Grows when all sessions of the account are revoked.
    pub epoch: u64,
    /// Whether the person can no longer sign in.
    pub closed: bool,
    /// What menshen itself gives the person; `None` if that is nothing.
    pub local: Option<Arc<LocalEntitlements>>,
}

/// Why an account is closed, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Closing {
    /// An administrator, or the part of menshen that closes it.
    pub by: String,
    pub reason: String,
    /// The identity that its source no longer has. It is detached, because the source may give its
    /// subject to another person.
    pub gone: Option<(ConnectorId, Subject)>,
    /// The connector whose directory sync closes the account because the person is inactive; a later sync
    /// of it may reopen the account. A closing by anybody else ends this.
    pub by_sync_of: Option<ConnectorId>,
}

/// The result of reopening an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reopening {
    /// The last position in the log of revocations, with the epoch that the account has there.
    pub log_position: Revocation,
    /// Detached identities that another account has or expects now; they stay there.
    pub taken: Vec<(ConnectorId, Subject)>,
}

/// A person's new subject at their source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectRename {
    pub connector: ConnectorId,
    pub from: Subject,
    pub to: Subject,
    /// An administrator, or the part of menshen that renames it.
    pub by: String,
}

/// The result of renaming a subject.
#[derive(Clone, Debug, PartialEq)]
pub enum SubjectRenameOutcome {
    /// The identity has the new subject.
    Renamed {
        account: Account,
        /// Where the log of revocations says that the account changed.
        log_position: Revocation,
    },
    /// No identity has the old subject.
    Unknown,
    /// The new subject belongs to another account: nothing is changed.
    Taken { by: AccountId },
}

/// A verified field by which an identity is linked to an existing account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LinkField {
    Mobile,
    Email,
}

impl LinkField {
    /// The value in the store and in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::Email => "email",
        }
    }
}

/// An authenticated identity whose account is to be found or created.
#[derive(Clone, Debug)]
pub struct Admission {
    /// The connector that authenticated the person.
    pub connector: ConnectorId,
    /// The subject identifier that the provider gives the person.
    pub subject: Subject,
    /// The login name from the mapping.
    pub login: LoginName,
    /// Verified fields that may link to an existing account, in the order in which they are tried. If
    /// several accounts have the value of one, the person is refused.
    pub links: Vec<(LinkField, String)>,
    /// Every verified field, stored so that later identities can be linked by it.
    pub vouched: Vec<(LinkField, String)>,
    /// Whether an unknown person gets an account.
    pub create: bool,
    /// What menshen itself gives the person if the account is created now.
    pub join: Option<Arc<LocalEntitlements>>,
    /// Whether the fields replace those of a known identity, and, at a login, the login name that of its
    /// account. An entry in the log says that the account changed.
    pub sync: bool,
    /// Whether this is a login. A bearer token may be older than the last login, so its verified fields
    /// are stored only for an identity that is not known yet.
    pub is_login: bool,
    /// The person's mapped fields, stored with the identity: a JSON object.
    pub entitlements: String,
    /// Those of them that the directory lists and searches.
    pub fields: DirectoryFields,
    /// The revision of the local person from whom the fields are. Nobody is admitted if it is no longer theirs.
    pub local_revision: Option<i64>,
    /// The time of the admission: the identity was used then, and a new account begins then.
    pub at: Timestamp,
}

/// The result of an admission.
#[derive(Clone, Debug, PartialEq)]
pub enum AdmissionOutcome {
    /// The account of the identity: found, linked or created.
    Account(AdmittedIdentity),
    /// The identity is unknown, and unknown people get no account.
    Unknown,
    /// Several accounts have the value of this verified field, so none is linked.
    AmbiguousLink {
        field: LinkField,
    },
    /// The login name belongs to another account.
    LoginTaken {
        by: AccountId,
    },
    Closed(AccountId),
    /// The local person has another revision now.
    LocalPersonChanged,
}

/// An identity that was admitted.
#[derive(Clone, Debug, PartialEq)]
pub struct AdmittedIdentity {
    pub account: Account,
    /// The version of the identity's fields after the admission.
    pub entitlements_epoch: u64,
}
