//! `LocalPeople`: the people of one connector of the kind `local` whose passwords the store keeps.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::directory_fields::directory_fields;
use super::profile::ProfileMappingError;
use super::session::Sessions;
use super::{AdmissionPolicy, normalized_fields};
use crate::clock::{Clock, Timestamp};
use crate::keys::{self, KeyRing};
use crate::store::{
    Admission, ConnectorId, EndedLogins, IdError, LinkField, LocalPeopleOutcome, LocalPerson,
    LocalPersonWrite, LoginName, Store, StoreError, Subject,
};
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::{Text, error_of_text};

mod change;
pub mod fields;
pub mod import;
mod import_all;

use change::Changed;
pub use change::LocalPersonChange;
pub use import_all::{ImportedChange, ImportedPeople, ImportedPerson, LocalImportError};

/// How often a change is tried if others change the same people at the same time.
const ATTEMPTS_MAX: usize = 5;

/// The people of one connector in the store. Clones share them.
#[derive(Clone, Debug)]
pub struct LocalPeople {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
    clock: Clock,
    /// Chooses whose hash is computed for an unknown login name.
    ring: Arc<KeyRing>,
    /// How the fields of a person become those of their account.
    policy: AdmissionPolicy,
}

/// Why local people could not be read or changed.
#[derive(Debug)]
pub enum LocalPeopleError {
    Unknown {
        connector: ConnectorId,
        login: String,
    },
    Taken {
        connector: ConnectorId,
        login: LoginName,
    },
    /// The login of a new person is too long when it is written in lower case.
    Login(IdError),
    /// A new person has no password.
    NoPassword,
    /// The new login is not the same in lower case.
    OtherLogin,
    /// Says which field is wrong, and how.
    Field(Text),
    Contended,
    Store(StoreError),
}

impl LocalPeopleError {
    fn text(&self) -> Text {
        match self {
            Self::Unknown { connector, login } => text!(
                "nobody has the login {login} at the connector {connector}",
                "认证源 {connector} 没有登录名 {login}"
            ),
            Self::Taken { connector, login } => text!(
                "somebody has the login {login} at the connector {connector} already",
                "认证源 {connector} 已有登录名 {login}"
            ),
            Self::Login(_) => Text::fixed("this login cannot be used", "这个登录名不能使用"),
            Self::NoPassword => Text::fixed("a new person needs a password", "新人员必须有密码"),
            Self::OtherLogin => Text::fixed(
                "a login can only change its case: remove the person, and add another one",
                "登录名只能改大小写：请移除此人，再重新添加",
            ),
            Self::Field(why) => why.clone(),
            Self::Contended => Text::fixed(
                "others changed the same people again and again: try again",
                "其他人一直在修改同样的人员，请重试",
            ),
            Self::Store(_) => Text::fixed(
                "read or write the people in the store",
                "无法读写数据库中的人员",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Login(source) => Some(source),
            Self::Store(source) => Some(source),
            Self::Unknown { .. }
            | Self::Taken { .. }
            | Self::NoPassword
            | Self::OtherLogin
            | Self::Field(_)
            | Self::Contended => None,
        }
    }
}

error_of_text!(LocalPeopleError, caused);

/// What a change of one person did.
#[derive(Clone, Debug)]
pub struct ChangedPerson {
    /// The person as stored now.
    pub person: LocalPerson,
    /// Whether something was written.
    pub is_changed: bool,
    pub ended: EndedLogins,
}

/// The subject of a login name.
///
/// # Errors
/// No login name has this form.
pub fn subject_of(login: &str) -> Result<Subject, IdError> {
    login.trim().to_lowercase().try_into()
}

impl LocalPeople {
    pub(super) fn new(
        store: Arc<dyn Store>,
        sessions: Arc<Sessions>,
        clock: Clock,
        ring: Arc<KeyRing>,
        policy: AdmissionPolicy,
    ) -> Self {
        Self {
            store,
            sessions,
            clock,
            ring,
            policy,
        }
    }

    fn connector(&self) -> &ConnectorId {
        &self.policy.connector
    }

    /// The person with this subject.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn find(&self, subject: &Subject) -> Result<Option<LocalPerson>, StoreError> {
        self.store.local_person(self.connector(), subject).await
    }

    /// The person with this login name, and another one whose hash can be computed instead if there is no
    /// such person: always the same one for the same name. Takes as long in both cases.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn find_for_login(
        &self,
        subject: &Subject,
    ) -> Result<(Option<LocalPerson>, Option<LocalPerson>), StoreError> {
        let chosen = self.ring.keyed_hash(&[
            self.connector().as_str().as_bytes(),
            subject.as_str().as_bytes(),
        ]);
        let [a, b, c, d, e, f, g, h, ..] = chosen;
        let place = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let connector = self.connector();
        self.store
            .local_person_and_one_at(connector, subject, place)
            .await
    }

    /// The people in the order of their subjects, after `after`, at most `max`.
    ///
    /// # Errors
    /// The store did not respond.
    pub async fn list(
        &self,
        after: Option<&Subject>,
        max: u32,
    ) -> Result<Vec<LocalPerson>, StoreError> {
        self.store.local_people(self.connector(), after, max).await
    }

    /// Creates a person.
    ///
    /// # Errors
    /// Nobody is created.
    pub async fn create(
        &self,
        login: LoginName,
        change: &LocalPersonChange,
    ) -> Result<ChangedPerson, LocalPeopleError> {
        let person = change.new_person(&login, self.clock.now())?;
        let write = created(person.clone());
        match self.write(&[write]).await? {
            Some(ended) => Ok(ChangedPerson {
                person,
                is_changed: true,
                ended,
            }),
            None => Err(LocalPeopleError::Taken {
                connector: self.connector().clone(),
                login,
            }),
        }
    }

    /// Changes a person. Another password, and disabling, end the person's sessions and access tokens.
    ///
    /// # Errors
    /// Nothing is changed.
    pub async fn change(
        &self,
        login: &str,
        change: &LocalPersonChange,
    ) -> Result<ChangedPerson, LocalPeopleError> {
        for _ in 0..ATTEMPTS_MAX {
            let person = self.named(login).await?;
            let changed = change.apply_to(&person, self.clock.now())?;
            let Some(changed) = changed else {
                return Ok(ChangedPerson {
                    person,
                    is_changed: false,
                    ended: EndedLogins::default(),
                });
            };
            let new = changed.person.clone();
            if let Some(ended) = self.write(&[self.changed(&person, changed)]).await? {
                return Ok(ChangedPerson {
                    person: new,
                    is_changed: true,
                    ended,
                });
            }
        }
        Err(LocalPeopleError::Contended)
    }

    /// Gives a person, as they were when they proved their password, another password. `None` if the person
    /// was changed or removed since then.
    ///
    /// # Errors
    /// Nothing is changed.
    pub async fn change_own_password(
        &self,
        proven: &LocalPerson,
        change: &LocalPersonChange,
    ) -> Result<Option<LocalPerson>, LocalPeopleError> {
        let Some(changed) = change.apply_to(proven, self.clock.now())? else {
            return Ok(Some(proven.clone()));
        };
        let new = changed.person.clone();
        let write = LocalPersonWrite {
            ends_logins: true,
            ..self.changed(proven, changed)
        };
        let written = self.write(&[write]).await?;
        Ok(written.map(|_ended| new))
    }

    /// Removes a person, and ends their sessions and access tokens. The account stays.
    ///
    /// # Errors
    /// Nobody is removed.
    pub async fn remove(
        &self,
        login: &str,
    ) -> Result<(LocalPerson, EndedLogins), LocalPeopleError> {
        for _ in 0..ATTEMPTS_MAX {
            let person = self.named(login).await?;
            let write = LocalPersonWrite {
                subject: person.subject.clone(),
                expected: Some(person.revision),
                person: None,
                ends_logins: true,
                identity: None,
            };
            if let Some(ended) = self.write(&[write]).await? {
                return Ok((person, ended));
            }
        }
        Err(LocalPeopleError::Contended)
    }

    /// Ends the sessions and access tokens that no current password of these people led to: those of a file
    /// that was in use before.
    ///
    /// # Errors
    /// The store did not respond: nothing has ended.
    pub async fn end_outdated_logins(&self) -> Result<EndedLogins, StoreError> {
        let (connector, now) = (self.connector(), self.clock.now());
        let ended = self.store.end_outdated_local_logins(connector, now).await?;
        self.apply(&ended);
        Ok(ended)
    }

    async fn named(&self, login: &str) -> Result<LocalPerson, LocalPeopleError> {
        let unknown = || LocalPeopleError::Unknown {
            connector: self.connector().clone(),
            login: login.to_owned(),
        };
        let subject = subject_of(login).map_err(|_| unknown())?;
        let found = self.find(&subject).await;
        found.map_err(LocalPeopleError::Store)?.ok_or_else(unknown)
    }

    /// Replaces a person by their new state, and the fields of their account.
    fn changed(&self, old: &LocalPerson, changed: Changed) -> LocalPersonWrite {
        let Changed {
            person: new,
            mut ends_logins,
        } = changed;
        let is_same = new.fields == old.fields && new.login == old.login;
        let identity = match is_same {
            true => None,
            false => match self.fields_of_account(&new, self.clock.now()) {
                Ok(identity) => Some(identity),
                // A login with these fields is refused, and groups that are gone must not last.
                Err(error) => {
                    tracing::warn!(
                        connector = %self.connector(), subject = %new.subject,
                        error = %error_chain(&error),
                        "the fields of a person cannot be mapped: their sessions end"
                    );
                    ends_logins = true;
                    None
                }
            },
        };
        LocalPersonWrite {
            subject: old.subject.clone(),
            expected: Some(old.revision),
            person: Some(new),
            ends_logins,
            identity,
        }
    }

    /// What the account of a person has from the connector, for somebody who has signed in before.
    fn fields_of_account(
        &self,
        person: &LocalPerson,
        at: Timestamp,
    ) -> Result<Admission, ProfileMappingError> {
        let profile = profile_of(person);
        let vouched = normalized_fields(&verified_fields(&profile));
        let mapped = self.policy.mapping.map(&Value::Object(profile))?;
        Ok(Admission {
            connector: self.connector().clone(),
            subject: person.subject.clone(),
            login: mapped.login,
            links: Vec::new(),
            vouched,
            create: false,
            join: None,
            sync: self.policy.sync,
            is_login: false,
            entitlements: serde_json::to_string(&mapped.fields).expect("fields are plain data"),
            fields: directory_fields(&mapped.fields),
            local_revision: None,
            at,
        })
    }

    /// `None` if somebody was changed meanwhile.
    async fn write(
        &self,
        writes: &[LocalPersonWrite],
    ) -> Result<Option<EndedLogins>, LocalPeopleError> {
        if writes.is_empty() {
            return Ok(Some(EndedLogins::default()));
        }
        let (connector, now) = (self.connector(), self.clock.now());
        let written = self.store.write_local_people(connector, writes, now).await;
        match written.map_err(LocalPeopleError::Store)? {
            LocalPeopleOutcome::Written(ended) => {
                self.apply(&ended);
                Ok(Some(ended))
            }
            LocalPeopleOutcome::Conflict { .. } => Ok(None),
        }
    }

    /// Ends and updates the sessions and access tokens in this process, too.
    fn apply(&self, ended: &EndedLogins) {
        for entry in &ended.entries {
            self.sessions.apply_change(entry);
        }
    }
}

/// The profile of a person, as a login has it: the login name and the further fields.
pub fn profile_of(person: &LocalPerson) -> Map<String, Value> {
    let mut profile = fields::of(person);
    let login = Value::from(person.login.as_str());
    profile.insert("login".to_owned(), login);
    profile
}

/// The fields by which the identity of a person may be linked. The administrator wrote them, so their addresses
/// and numbers are those of their people.
pub fn verified_fields(profile: &Map<String, Value>) -> Vec<(LinkField, String)> {
    let fields = [(LinkField::Email, "email"), (LinkField::Mobile, "mobile")];
    let verified = fields.into_iter().filter_map(|(field, name)| {
        let value = profile.get(name)?.as_str()?;
        Some((field, value.to_owned()))
    });
    verified.collect()
}

/// Adds a person. Whoever had the login before may have left sessions.
fn created(person: LocalPerson) -> LocalPersonWrite {
    LocalPersonWrite {
        subject: person.subject.clone(),
        expected: None,
        person: Some(person),
        ends_logins: true,
        identity: None,
    }
}

fn random_number() -> i64 {
    i64::from_be_bytes(keys::random())
}
