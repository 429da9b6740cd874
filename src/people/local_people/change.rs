//! `LocalPersonChange`: what changes of a local person.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{LocalPeopleError, fields, random_number, subject_of};
use crate::clock::Timestamp;
use crate::keys;
use crate::secret::Secret;
use crate::store::{LocalPerson, LoginName};

/// What changes of a person, or what a new person has. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct LocalPersonChange {
    /// The login name in another case.
    pub login: Option<LoginName>,
    /// The hash of another password.
    pub password_hash: Option<Secret<String>>,
    /// The new fields; null removes one.
    pub fields: Map<String, Value>,
    pub disabled: Option<bool>,
    /// Absent: false after another password.
    pub must_change: Option<bool>,
}

/// The new state of a person who changes.
pub(super) struct Changed {
    pub(super) person: LocalPerson,
    /// Whether the sessions and access tokens end.
    pub(super) ends_logins: bool,
}

impl LocalPersonChange {
    /// The person with this login name.
    pub(super) fn new_person(
        &self,
        login: &LoginName,
        now: Timestamp,
    ) -> Result<LocalPerson, LocalPeopleError> {
        let hash = self.password_hash.clone();
        Ok(LocalPerson {
            subject: subject_of(login.as_str()).map_err(LocalPeopleError::Login)?,
            login: login.clone(),
            password_hash: hash.ok_or(LocalPeopleError::NoPassword)?,
            credential: random_credential(),
            fields: self.merged(Map::new())?,
            disabled: self.disabled.unwrap_or(false),
            must_change: self.must_change.unwrap_or(false),
            created_at: now,
            changed_at: now,
            password_changed_at: now,
            place: random_number(),
            revision: random_number(),
        })
    }

    /// The new state of a person; `None` if it is the old one.
    pub(super) fn apply_to(
        &self,
        old: &LocalPerson,
        now: Timestamp,
    ) -> Result<Option<Changed>, LocalPeopleError> {
        let login = self.login.as_ref().unwrap_or(&old.login);
        if subject_of(login.as_str()).as_ref() != Ok(&old.subject) {
            return Err(LocalPeopleError::OtherLogin);
        }
        let hash = self.password_hash.as_ref();
        let hash = hash.filter(|hash| hash.expose() != old.password_hash.expose());
        let must_change = match (self.must_change, hash) {
            (Some(must_change), _) => must_change,
            (None, Some(_)) => false,
            (None, None) => old.must_change,
        };
        let disabled = self.disabled.unwrap_or(old.disabled);
        let mut new = LocalPerson {
            login: login.clone(),
            fields: self.merged(fields::of(old))?,
            disabled,
            must_change,
            ..old.clone()
        };
        let is_same = new.login == old.login
            && new.fields == old.fields
            && new.disabled == old.disabled
            && new.must_change == old.must_change;
        if is_same && hash.is_none() {
            return Ok(None);
        }
        if let Some(hash) = hash {
            new.password_hash = hash.clone();
            new.credential = random_credential();
            new.password_changed_at = now;
        }
        new.changed_at = now;
        new.revision = random_number();
        Ok(Some(Changed {
            person: new,
            ends_logins: hash.is_some() || (disabled && !old.disabled),
        }))
    }

    /// The fields with the changes, as JSON.
    fn merged(&self, mut all: Map<String, Value>) -> Result<String, LocalPeopleError> {
        for (name, value) in &self.fields {
            match fields::checked(name, value).map_err(LocalPeopleError::Field)? {
                Some(value) => {
                    all.insert(name.clone(), value);
                }
                None => {
                    all.remove(name);
                }
            }
        }
        fields::text_of(all).map_err(LocalPeopleError::Field)
    }
}

fn random_credential() -> String {
    URL_SAFE_NO_PAD.encode(keys::random::<16>())
}
