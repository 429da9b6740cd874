//! Accounts and their identities: who a person is to the directory.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{AccountId, ConnectorId, LoginName, Revocation, StoreError, Subject};
use crate::clock::Timestamp;

/// What a database answers about accounts.
#[async_trait]
pub trait AccountStore: fmt::Debug + Send + Sync {
    /// Finds, links or makes the account of an identity, in one transaction.
    async fn admit(&self, admission: &Admission) -> Result<AdmissionOutcome, StoreError>;

    /// The account that has this login, compared without case.
    async fn account_by_login(&self, login: &LoginName) -> Result<Option<Account>, StoreError>;

    /// The mapped fields of an account's identities (JSON), most recently used first.
    async fn identities(
        &self,
        account: &AccountId,
    ) -> Result<Vec<(ConnectorId, Subject, String)>, StoreError>;

    /// Closes or opens an account. Closing raises its epoch and writes it into the log. Opening
    /// changes neither: it answers the current epoch. Nothing when there is no such account.
    async fn close_account(
        &self,
        account: &AccountId,
        closed: bool,
        at: Timestamp,
    ) -> Result<Option<Revocation>, StoreError>;
}

/// A person as the directory keeps them.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// Random; never changes.
    pub id: AccountId,
    /// The name applications know them by.
    pub login: LoginName,
    /// Grows when all their sessions are ended.
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

/// A login, or a token, whose person is to be found or made in the directory.
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
    /// Whether a new person gets an account.
    pub create: bool,
    /// Whether login and fields replace those of a known identity.
    pub sync: bool,
    /// Whether this is a login. A token may be older than the last login: its vouched fields are kept
    /// only for an identity that is not known yet.
    pub is_login: bool,
    /// The person's mapped fields as of this login (JSON), kept with the identity.
    pub entitlements: String,
    /// When the login took place.
    pub at: Timestamp,
}

/// The answer to an admission.
#[derive(Clone, Debug, PartialEq)]
pub enum AdmissionOutcome {
    /// The account the identity belongs to, found, linked or made.
    Account(Account),
    /// The identity is not known, and new people get no account.
    Unknown,
    /// The login belongs to another account.
    LoginTaken {
        /// Whose it is.
        by: AccountId,
    },
    /// The account is closed.
    Closed(AccountId),
}
