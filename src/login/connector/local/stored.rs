//! `StoredLocal`: people whom the store keeps with their passwords.

use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use serde_json::Value;

use super::super::credentials::PasswordCredentials;
use super::super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, Finding, RefusalReason, SourceRefusal, brought,
};
use super::hashing::{self, HashSlots};
use super::{proven_by_password, refused};
use crate::clock::Clock;
use crate::login::pending::{PasswordChange, Pending};
use crate::people::local_people::{
    LocalPeople, LocalPeopleError, LocalPersonChange, profile_of, subject_of, verified_fields,
};
use crate::people::new_password::NewPassword;
use crate::people::password_hash::PasswordHash;
use crate::people::person_lookup::{CurrentProfile, LookupError, PersonLookup, PersonStatus};
use crate::people::profile::Profile;
use crate::secret::Secret;
use crate::store::{LocalPerson, StoreError, Subject};
use crate::text;
use crate::wording::{Text, error_of_text};

/// What refuses people, in the log.
const THE_STORE: &str = "the people in the store";

/// The field of a new password in a response that changes it.
pub const NEW_PASSWORD_FIELD: &str = "new_password";

/// The hash that is computed as long as there is nobody.
static NOBODY: LazyLock<Arc<PasswordHash>> = LazyLock::new(|| Arc::new(PasswordHash::of_nobody()));

/// The people of one connector in the store.
#[derive(Debug)]
pub(super) struct StoredLocal {
    people: LocalPeople,
    clock: Clock,
}

/// A stored hash cannot be verified.
#[derive(Debug)]
struct DamagedHash(Subject);

impl DamagedHash {
    fn text(&self) -> Text {
        let Self(it) = self;
        text!(
            "the stored hash of the password of {it} is damaged: give the person another password",
            "{it} 的密码哈希已损坏：请为此人另设密码"
        )
    }
}

error_of_text!(DamagedHash);

/// The hash of a new password, computed when it is this one's turn.
///
/// # Errors
/// Too many hashes are waiting, or the memory is not available.
pub async fn hash_of_new_password(password: NewPassword) -> Result<Secret<String>, ConnectorError> {
    hashing::create(password).await
}

impl StoredLocal {
    pub(super) fn build(deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        let no_store = || {
            ConnectorBuildError::Setting(text!(
                "there is no store for its people",
                "没有可保存其人员的数据库"
            ))
        };
        Ok(Self {
            people: deps.local_people.ok_or_else(no_store)?,
            clock: deps.clock,
        })
    }

    /// Gives the person the new password of the response; returns the person with it.
    async fn change_password(
        &self,
        person: &LocalPerson,
        change: &PasswordChange,
        response: &AuthnResponse,
    ) -> Result<LocalPerson, ConnectorError> {
        let new = response.fields.one(NEW_PASSWORD_FIELD).ok().flatten();
        let new = new.and_then(|new| NewPassword::parse(new).ok());
        let new = new.filter(|_| change.subject == person.subject);
        let new = new.ok_or_else(|| invalid("there is no new password for this person"))?;
        let new = LocalPersonChange {
            password_hash: Some(hashing::create(new).await?),
            ..LocalPersonChange::default()
        };
        let changed = self.people.change_own_password(person, &new).await;
        let changed = changed.map_err(|error| match error {
            LocalPeopleError::Store(error) => store_failed(error),
            other => invalid(&other.to_string()),
        })?;
        // Whoever knew a former password must not overwrite the one that an administrator just gave.
        changed.ok_or_else(|| {
            let message = format!("{} was changed meanwhile", person.subject);
            refused(THE_STORE, RefusalReason::WrongPassword, message)
        })
    }

    /// The person as they are after the hash was computed, which takes its time. With another password nobody
    /// has proven who they are.
    async fn current(&self, verified: &LocalPerson) -> Result<LocalPerson, ConnectorError> {
        let subject = &verified.subject;
        let found = self.people.find(subject).await.map_err(store_failed)?;
        let current = found.filter(|found| found.credential == verified.credential);
        current.ok_or_else(|| {
            let message = format!("{subject} was removed or got another password meanwhile");
            refused(THE_STORE, RefusalReason::WrongPassword, message)
        })
    }

    fn profile(&self, person: &LocalPerson) -> Profile {
        let profile = profile_of(person);
        Profile {
            subject: person.subject.clone(),
            verified_fields: verified_fields(&profile),
            raw: Value::Object(profile),
            provider_sid: Some(person.credential.clone()),
            auth_context: proven_by_password(&self.clock),
            tokens: None,
            response_id: None,
            local_revision: Some(person.revision),
        }
    }
}

fn store_failed(error: StoreError) -> ConnectorError {
    ConnectorError::Unavailable(Box::new(error))
}

fn invalid(message: &str) -> ConnectorError {
    ConnectorError::InvalidResponse(SourceRefusal {
        call: brought::FORM,
        code: 0,
        message: message.to_owned(),
    })
}

fn hash_of(person: &LocalPerson) -> Result<Arc<PasswordHash>, ConnectorError> {
    let hash = PasswordHash::parse(person.password_hash.expose());
    let damaged = |_| ConnectorError::Unavailable(Box::new(DamagedHash(person.subject.clone())));
    hash.map(Arc::new).map_err(damaged)
}

#[async_trait]
impl Connector for StoredLocal {
    async fn begin(
        &self,
        _pending: &Pending,
        _request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        Ok(Challenge::PasswordForm)
    }

    async fn redeem_response(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let credentials = PasswordCredentials::of(&response.fields)?;
        let nobody = || {
            let message = "nobody has this user name".to_owned();
            refused(THE_STORE, RefusalReason::WrongPassword, message)
        };
        let subject = subject_of(credentials.login).map_err(|_| nobody())?;
        let found = self.people.find_for_login(&subject).await;
        let (person, other) = found.map_err(store_failed)?;
        // A hash is computed in every case, so that the time does not tell which login names exist.
        let hash = match person.as_ref().or(other.as_ref()) {
            Some(person) => hash_of(person)?,
            None => Arc::clone(&NOBODY),
        };
        let slots = HashSlots::Connectors;
        let is_right = hashing::verify(&hash, credentials.password, slots).await?;
        let person = person.ok_or_else(nobody)?;
        if !is_right {
            let message = format!("the password for {subject} is wrong");
            return Err(refused(THE_STORE, RefusalReason::WrongPassword, message));
        }
        let person = self.current(&person).await?;
        if person.disabled {
            let message = format!("{subject} is disabled");
            return Err(refused(THE_STORE, RefusalReason::Inactive, message));
        }
        match &pending.password_change {
            Some(change) => {
                let person = self.change_password(&person, change, response).await?;
                Ok(self.profile(&person))
            }
            None if person.must_change => {
                let message = format!("{subject} must change the password first");
                Err(refused(THE_STORE, RefusalReason::PasswordExpired, message))
            }
            None => Ok(self.profile(&person)),
        }
    }

    fn person_lookup(self: Arc<Self>) -> Option<Arc<dyn PersonLookup>> {
        Some(self)
    }

    fn local_people(&self) -> Option<&LocalPeople> {
        Some(&self.people)
    }

    async fn examine(&self) -> Vec<Finding> {
        let text = text!(
            "the people are kept in the store: `menshen people list --local` shows them",
            "人员保存在数据库中：用 `menshen people list --local` 查看"
        );
        vec![Finding::good(text)]
    }
}

#[async_trait]
impl PersonLookup for StoredLocal {
    async fn look_up(&self, subject: &Subject) -> Result<PersonStatus, LookupError> {
        let found = self.people.find(subject).await;
        let found = found.map_err(|error| LookupError::Unavailable(Box::new(error)))?;
        Ok(match found {
            Some(person) if person.disabled => PersonStatus::Inactive("disabled".to_owned()),
            Some(person) => {
                let profile = profile_of(&person);
                PersonStatus::Active(CurrentProfile {
                    verified_fields: verified_fields(&profile),
                    raw: Value::Object(profile),
                    is_complete: true,
                    has_tags: true,
                })
            }
            // Not `Unknown`, which closes the account: the person may have other identities.
            None => PersonStatus::OutOfRange("removed".to_owned()),
        })
    }

    /// The people have their departments themselves.
    fn discard_departments(&self) {}
}
