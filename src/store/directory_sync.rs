//! What a directory sync reads of people and departments, and how it writes them in batches.

use std::fmt;

use async_trait::async_trait;

use super::{
    AccountId, Admission, AdmissionOutcome, ConnectorId, Department, LinkField, LoginName,
    Reopening, StoreError, Subject,
};
use crate::clock::Timestamp;

/// Reads and writes many people of one connector.
#[async_trait]
pub trait DirectorySyncStore: fmt::Debug + Send + Sync {
    /// The identities of a connector whose subject is after `after`, in the order of subjects, at most
    /// `max`.
    async fn source_identities(
        &self,
        connector: &ConnectorId,
        after: Option<&Subject>,
        max: u32,
    ) -> Result<Vec<SourceIdentity>, StoreError>;

    /// One of these identities.
    async fn source_identity(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
    ) -> Result<Option<SourceIdentity>, StoreError>;

    /// Admits people whom their source lists, in one transaction; none of them signs in. A person who is
    /// refused changes nothing. Verified fields of known identities are replaced one by one. Entries of the log
    /// tell every process which people changed. The outcomes have the order of the admissions.
    async fn admit_listed(
        &self,
        admissions: &[Admission],
    ) -> Result<Vec<AdmissionOutcome>, StoreError>;

    /// Stores some departments of a connector and removes others, in one transaction. Returns how many
    /// changed.
    async fn change_departments(
        &self,
        connector: &ConnectorId,
        changed: &[Department],
        removed: &[String],
    ) -> Result<u64, StoreError>;

    /// Reopens an account that a sync of this connector closed; `None` for every other account.
    async fn reopen_after_sync(
        &self,
        account: &AccountId,
        connector: &ConnectorId,
        by: &str,
        at: Timestamp,
    ) -> Result<Option<Reopening>, StoreError>;
}

/// An identity of a connector, with its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceIdentity {
    pub subject: Subject,
    pub account: AccountId,
    pub login: LoginName,
    /// Whether the login name of the account follows this identity.
    pub sets_login: bool,
    /// The mapped fields (JSON).
    pub fields: String,
    /// The verified fields by which later identities are linked.
    pub vouched: Vec<(LinkField, String)>,
    pub closed: bool,
    /// Whether a sync of this connector closed the account, because the source says that the person is
    /// inactive.
    pub closed_by_sync: bool,
}
