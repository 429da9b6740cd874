//! Local people: those of a connector of the kind `local` whose passwords menshen itself keeps.

use std::fmt;

use async_trait::async_trait;

use super::{Admission, ConnectorId, LoginName, Revocation, StoreError, Subject};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// Reads and writes local people.
#[async_trait]
pub trait LocalPeopleStore: fmt::Debug + Send + Sync {
    /// The person with this subject.
    async fn local_person(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
    ) -> Result<Option<LocalPerson>, StoreError>;

    /// The person with this subject, and the person at a place: with the lowest [`LocalPerson::place`] that is
    /// not below `place`, or else with the lowest of all. Always reads both, so that the time does not tell
    /// whether the first exists.
    async fn local_person_and_one_at(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
        place: i64,
    ) -> Result<(Option<LocalPerson>, Option<LocalPerson>), StoreError>;

    /// The people of a connector in the order of their subjects, after `after`, at most `max`.
    async fn local_people(
        &self,
        connector: &ConnectorId,
        after: Option<&Subject>,
        max: u32,
    ) -> Result<Vec<LocalPerson>, StoreError>;

    /// Creates, changes and removes people in one transaction: all of them or, if one is not as expected,
    /// none. Sessions and access tokens that do not end have the new fields, on every node.
    async fn write_local_people(
        &self,
        connector: &ConnectorId,
        writes: &[LocalPersonWrite],
        at: Timestamp,
    ) -> Result<LocalPeopleOutcome, StoreError>;

    /// Ends the sessions and access tokens of a connector to which no current password of a local person
    /// led, or of one who is disabled.
    async fn end_outdated_local_logins(
        &self,
        connector: &ConnectorId,
        at: Timestamp,
    ) -> Result<EndedLogins, StoreError>;
}

/// A person whose password menshen keeps.
#[derive(Clone, Debug)]
pub struct LocalPerson {
    /// The login name in lower case.
    pub subject: Subject,
    /// The login name that applications receive.
    pub login: LoginName,
    /// The hash of the password.
    pub password_hash: Secret<String>,
    /// Names the password: the `provider_sid` of the sessions to which it led. Random; another one after
    /// each change of the password.
    pub credential: String,
    /// The further fields: a JSON object.
    pub fields: String,
    /// Whether the person cannot sign in.
    pub disabled: bool,
    /// Whether the person must choose another password before the next login.
    pub must_change: bool,
    pub created_at: Timestamp,
    pub changed_at: Timestamp,
    pub password_changed_at: Timestamp,
    /// Random; never changes.
    pub place: i64,
    /// Random; another one after each change.
    pub revision: i64,
}

/// A person to create, change or remove.
#[derive(Clone, Debug)]
pub struct LocalPersonWrite {
    pub subject: Subject,
    /// The revision that the person must have; `None`: there must be no such person.
    pub expected: Option<i64>,
    /// The new state; `None` removes the person.
    pub person: Option<LocalPerson>,
    /// Whether the sessions and access tokens of the person end.
    pub ends_logins: bool,
    /// The new fields of the person's account, stored if the person has signed in before.
    pub identity: Option<Admission>,
}

/// The result of writing local people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalPeopleOutcome {
    Written(EndedLogins),
    /// This person exists, is gone, or was changed: nothing was written.
    Conflict {
        /// The position among the writes.
        index: usize,
    },
}

/// What a change of local people ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndedLogins {
    pub sessions: usize,
    pub access_tokens: usize,
    /// The entries of the log, also of sessions and access tokens that go on with other fields.
    pub entries: Vec<Revocation>,
}
