//! `local`: people whose names and passwords a file lists or the store keeps.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::credentials::PasswordCredentials;
use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorError,
    Finding, ListedPeople, ListedPerson, RefusalReason, SourceRefusal,
};
use crate::clock::Clock;
use crate::login::pending::Pending;
use crate::people::local_people::verified_fields;
use crate::people::person_lookup::{CurrentProfile, LookupError, PersonLookup, PersonStatus};
use crate::people::profile::{AuthContext, Profile};
use crate::store::Subject;
use crate::text;

mod hashing;
mod kind;
mod people_file;
mod stored;

pub use crate::people::password_hash::{InvalidHash, NotComputed, PasswordHash};
pub(in crate::login) use hashing::{HashSlots, verify as verify_password};
pub use kind::Config;
pub(super) use kind::NAME as KIND_NAME;
pub use people_file::{FileProblem, PeopleFileError};
pub use stored::{NEW_PASSWORD_FIELD, hash_of_new_password};

use people_file::{PeopleFile, Person};

/// What refuses people, in the log.
const THE_FILE: &str = "the people file";

/// The people of one file.
#[derive(Debug)]
struct Local {
    people: PeopleFile,
    listed: Arc<ListedPeople>,
    clock: Clock,
}

impl Local {
    fn build(path: &Path, clock: Clock) -> Result<Self, ConnectorBuildError> {
        let people = PeopleFile::read(path).map_err(ConnectorBuildError::PeopleFile)?;
        Ok(Self {
            listed: Arc::new(listed_people(&people)),
            people,
            clock,
        })
    }
}

/// Everybody who is not disabled.
fn listed_people(file: &PeopleFile) -> ListedPeople {
    let active = file.people().iter().filter(|person| !person.is_disabled);
    let listed = active.map(|person| {
        let listed = ListedPerson {
            credential: person.credential.clone(),
            profile: Value::Object(person.profile.clone()),
        };
        (person.subject.clone(), listed)
    });
    ListedPeople(listed.collect::<BTreeMap<_, _>>())
}

fn refused(call: &'static str, why: RefusalReason, message: String) -> ConnectorError {
    ConnectorError::Refused {
        why,
        source: SourceRefusal {
            call,
            code: 0,
            message,
        },
    }
}

/// When and how somebody proved a password.
fn proven_by_password(clock: &Clock) -> AuthContext {
    AuthContext {
        acr: None,
        amr: vec!["pwd".to_owned()],
        auth_time: Some(clock.now()),
        vouched_until: None,
    }
}

#[async_trait]
impl Connector for Local {
    async fn begin(
        &self,
        _pending: &Pending,
        _request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        Ok(Challenge::PasswordForm)
    }

    async fn redeem_response(
        &self,
        _pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let credentials = PasswordCredentials::of(&response.fields)?;
        let person = self.people.find(credentials.login);
        // A hash is computed in every case, so that the time does not tell which login names exist.
        let hash = match person {
            Some(person) => &person.password,
            None => self.people.hash_for_unknown(credentials.login),
        };
        let slots = HashSlots::Connectors;
        let is_right = hashing::verify(hash, credentials.password, slots).await?;
        let Some(person) = person else {
            let message = "it has no such user name".to_owned();
            return Err(refused(THE_FILE, RefusalReason::WrongPassword, message));
        };
        let subject = &person.subject;
        if !is_right {
            let message = format!("the password for {subject} is wrong");
            return Err(refused(THE_FILE, RefusalReason::WrongPassword, message));
        }
        if person.is_disabled {
            let message = format!("{subject} is disabled");
            return Err(refused(THE_FILE, RefusalReason::Inactive, message));
        }
        Ok(self.profile(person))
    }

    fn person_lookup(self: Arc<Self>) -> Option<Arc<dyn PersonLookup>> {
        Some(self)
    }

    fn listed_people(&self) -> Option<Arc<ListedPeople>> {
        Some(Arc::clone(&self.listed))
    }

    async fn examine(&self) -> Vec<Finding> {
        let (all, active) = (self.people.people().len(), self.listed.0.len());
        vec![match active {
            0 => Finding::bad(text!(
                "nobody can sign in: the people file lists nobody who is not disabled",
                "没有人能登录：人员文件是空的，或其中的人都已停用"
            )),
            _ => Finding::good(text!(
                "people who can sign in: {active}; disabled: {}",
                "可以登录：{active} 人；已停用：{} 人",
                all - active
            )),
        }]
    }
}

impl Local {
    fn profile(&self, person: &Person) -> Profile {
        Profile {
            subject: person.subject.clone(),
            raw: Value::Object(person.profile.clone()),
            verified_fields: verified_fields(&person.profile),
            provider_sid: Some(person.credential.clone()),
            auth_context: proven_by_password(&self.clock),
            tokens: None,
            response_id: None,
            local_revision: None,
        }
    }
}

#[async_trait]
impl PersonLookup for Local {
    async fn look_up(&self, subject: &Subject) -> Result<PersonStatus, LookupError> {
        Ok(match self.people.find(subject.as_str()) {
            Some(person) if person.is_disabled => {
                PersonStatus::Inactive("disabled in the people file".to_owned())
            }
            Some(person) => PersonStatus::Active(CurrentProfile {
                raw: Value::Object(person.profile.clone()),
                verified_fields: verified_fields(&person.profile),
                is_complete: true,
                has_tags: true,
            }),
            // Not `Unknown`, which closes the account: the person may have other identities, and may be listed
            // again, for example after a mistake in the file.
            None => PersonStatus::OutOfRange("not in the people file".to_owned()),
        })
    }

    /// The file names departments itself.
    fn discard_departments(&self) {}
}
