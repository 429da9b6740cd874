//! The directory: people with their fields, their departments, and people who have not signed in yet.

use std::fmt;

use async_trait::async_trait;

use super::{
    AccountId, ConnectorId, DepartmentPath, GroupName, LinkField, LocalEntitlements, LoginName,
    Revocation, SessionKey, StoreError, Subject,
};
use crate::clock::Timestamp;

/// The most people that one import may bring.
pub const IMPORTED_MAX: usize = 20_000;

/// Reads and changes the directory.
#[async_trait]
pub trait DirectoryStore: fmt::Debug + Send + Sync {
    /// The people that match, in the order of their login names.
    async fn people(&self, query: &PeopleQuery) -> Result<Vec<PersonRecord>, StoreError>;

    /// The person with this account; `None` if there is no such account.
    async fn person(&self, account: &AccountId) -> Result<Option<PersonRecord>, StoreError>;

    /// How a person can sign in: identities, the most recently used first, and expected ones.
    async fn identity_records(
        &self,
        account: &AccountId,
    ) -> Result<Vec<IdentityRecord>, StoreError>;

    /// Creates people and changes those whose login name exists, in batches of one transaction each. Changes
    /// nothing if one of them cannot be stored at the beginning. After a failure in between, the same import
    /// completes the rest.
    async fn import_people(
        &self,
        people: &[ImportedPerson],
        by: &str,
        at: Timestamp,
    ) -> Result<ImportOutcome, StoreError>;

    /// Changes the login name or the fields of a person.
    async fn edit_person(
        &self,
        account: &AccountId,
        edit: &PersonEdit,
        by: &str,
        at: Timestamp,
    ) -> Result<EditOutcome, StoreError>;

    /// Lets an identity that nobody has sign in to the account of a session, if the session stands and the
    /// account is open. It is linked at its first login.
    async fn expect_identity(
        &self,
        session: &SessionKey,
        identity: (&ConnectorId, &Subject),
        by: &str,
        at: Timestamp,
    ) -> Result<ExpectOutcome, StoreError>;

    /// Takes an identity off an account, whether the account has, had or expects it: ends the sessions and
    /// access tokens that came through it. The account may be left without identities. Returns the entries
    /// of the log; `None` if the account has no such identity.
    async fn remove_identity(
        &self,
        account: &AccountId,
        identity: (&ConnectorId, &Subject),
        by: &str,
        at: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError>;

    /// The departments of a connector whose ID is after `after`, in the order of IDs, at most `max`.
    async fn departments(
        &self,
        connector: &ConnectorId,
        after: Option<&str>,
        max: u32,
    ) -> Result<Vec<Department>, StoreError>;
}

/// The fields that a source tells of a person at a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirectoryFields {
    pub name: Option<String>,
    pub email: Option<String>,
    pub mobile: Option<String>,
    /// The departments that the person belongs to directly.
    pub memberships: Vec<Membership>,
    /// These departments and those above them, as far as the source names them.
    pub departments: Vec<Department>,
    pub tags: Vec<String>,
}

/// A department that a person belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Membership {
    /// The ID of the department.
    pub department: String,
    /// Whether the person leads it.
    pub leads: bool,
}

/// A department of a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Department {
    pub id: String,
    pub name: String,
    /// The department above; it need not be known.
    pub parent: Option<String>,
}

/// A person as the directory lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonRecord {
    pub id: AccountId,
    pub login: LoginName,
    pub name: Option<String>,
    pub email: Option<String>,
    pub mobile: Option<String>,
    pub created_at: Timestamp,
    /// The last login or use of a session; some minutes old. Absent if the person never signed in.
    pub seen_at: Option<Timestamp>,
    pub closed: bool,
    /// Absent for accounts that an older version closed, as are the two below.
    pub closed_at: Option<Timestamp>,
    pub closed_by: Option<String>,
    pub closed_reason: Option<String>,
    /// What menshen itself gives the person.
    pub local: LocalEntitlements,
}

/// One way in which a person can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityRecord {
    pub connector: ConnectorId,
    /// Absent if the person is expected and the login name decides.
    pub subject: Option<Subject>,
    pub state: IdentityState,
    /// The mapped fields: a JSON object, or an empty text for an expected identity.
    pub fields: String,
    pub used_at: Option<Timestamp>,
    pub memberships: Vec<Membership>,
    pub tags: Vec<String>,
}

/// Whether an identity can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityState {
    /// The person signed in with it.
    Known,
    /// The person has not signed in with it yet.
    Expected,
    /// Its source no longer has it; reopening the account restores it.
    Gone,
}

/// Which people are listed. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeopleQuery {
    /// Begins after this login name.
    pub after: Option<LoginName>,
    pub max: u32,
    /// How the login name begins.
    pub login: Option<String>,
    /// How the name begins.
    pub name: Option<String>,
    /// How the e-mail address begins.
    pub email: Option<String>,
    /// How the mobile number begins.
    pub mobile: Option<String>,
    /// A part of login name, name, e-mail address or mobile number.
    pub text: Option<String>,
    /// An identity of this connector, known or expected.
    pub connector: Option<ConnectorId>,
    /// The ID or the name of a department, or the path of one that menshen itself gives; includes the
    /// departments below it.
    pub department: Option<String>,
    /// Whether the account is closed.
    pub closed: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedPerson {
    pub login: LoginName,
    /// Absent: the known name stays. The same holds for the fields below.
    pub name: Option<String>,
    pub email: Option<String>,
    pub mobile: Option<String>,
    /// E-mail and mobile as they are compared when an identity is linked.
    pub vouched: Vec<(LinkField, String)>,
    /// The connector with which the person signs in, and the subject there if it is known.
    pub expected: Option<(ConnectorId, Option<Subject>)>,
}

/// The result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    Imported(ImportCounts),
    /// These cannot be stored; nothing was changed.
    Refused(Vec<ImportConflict>),
    /// During the import the subject of a person went to somebody else.
    Interrupted {
        /// The people who were imported before.
        counts: ImportCounts,
        conflict: ImportConflict,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportCounts {
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
}

/// A person of an import whose subject belongs to somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportConflict {
    /// The position in the import.
    pub index: usize,
    /// The login name of the other person.
    pub taken_by: LoginName,
}

/// The result of expecting an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectOutcome {
    /// The account expects the identity, or has it already.
    Expected,
    /// The session was ended, or its account is closed.
    SessionEnded,
    /// The identity belongs to another account, or another account expects it.
    Taken { by: LoginName },
}

/// A change of a person by an administrator. The inner `None` removes a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonEdit {
    pub login: Option<LoginName>,
    pub name: Option<Option<String>>,
    pub email: Option<Option<String>>,
    pub mobile: Option<Option<String>>,
    /// What menshen itself gives the person.
    pub local_department: Option<Option<DepartmentPath>>,
    pub local_groups: Option<Vec<GroupName>>,
    /// E-mail and mobile, as far as they change, as they are compared when an identity is linked.
    pub vouched: Vec<(LinkField, Option<String>)>,
}

/// The result of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditOutcome {
    /// Stored, or nothing had to change. If the login name or what menshen itself gives the person
    /// changed, an entry in the log says that the account changed.
    Stored {
        log_position: Option<Revocation>,
    },
    Unknown,
    /// The login name belongs to another account.
    LoginTaken {
        by: AccountId,
    },
}
