//! Acts on what a source says about a person who may be signed in: updates fields, ends sessions, closes
//! accounts.

use std::time::Duration;

use super::directory_fields::directory_fields;
use super::person_lookup::{CurrentProfile, PersonStatus};
use super::profile::UserFields;
use super::session::differences;
use super::{AdmissionPolicy, People, normalized_fields};
use crate::store::{AccountId, Admission, AdmissionOutcome, LoginName, StoreError, Subject};
use crate::telemetry::error_chain;
use crate::wording::{Text, error_of_text};

/// Who closed an account, in its history: the source reported before that the person is gone, or menshen
/// asked by itself.
const CLOSED_BY_EVENT: &str = "event of the source";
const CLOSED_BY_CHECK: &str = "check of the source";

/// What a source says about a person, and why it was asked.
#[derive(Clone, Debug)]
pub struct StatusReport<'a> {
    pub subject: &'a Subject,
    pub status: PersonStatus,
    /// Whether the source reported before that it removed the person.
    pub is_deletion_reported: bool,
    /// For how long logins that began before are refused if the person is gone.
    pub refuse_logins_for: Duration,
}

/// What menshen did after it asked a source about a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusOutcome {
    /// Nothing: the person is unknown here, or unchanged.
    Unchanged,
    /// The fields with these names changed.
    FieldsChanged {
        person: KnownPerson,
        fields: Vec<String>,
    },
    /// The person's sessions ended.
    SessionsEnded {
        /// Absent if no session was in memory.
        person: Option<KnownPerson>,
        sessions: usize,
        why: String,
    },
    /// The account was closed, and all its sessions ended.
    AccountClosed { person: KnownPerson, why: String },
}

/// The account of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownPerson {
    pub account: AccountId,
    pub login: LoginName,
}

/// Why menshen could not act on the answer of a source.
#[derive(Debug)]
pub enum ConfirmError {
    Store(StoreError),
}

impl ConfirmError {
    fn text(&self) -> Text {
        match self {
            Self::Store(_) => Text::fixed(
                "store what the source says about a person",
                "无法保存认证源关于此人的资料",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(source) => Some(source),
        }
    }
}

error_of_text!(ConfirmError, caused);

impl People {
    /// Acts on what the source says about a person now.
    pub async fn apply_status(
        &self,
        policy: &AdmissionPolicy,
        report: StatusReport<'_>,
    ) -> Result<StatusOutcome, ConfirmError> {
        match &report.status {
            PersonStatus::Active(profile) => self.update_fields(policy, &report, profile).await,
            PersonStatus::Inactive(why) if report.is_deletion_reported => {
                self.close_departed(policy, &report, why).await
            }
            // The source may give the subject to another person, who must not get this account.
            PersonStatus::Unknown(why) => self.close_departed(policy, &report, why).await,
            PersonStatus::Inactive(why) | PersonStatus::OutOfRange(why) => {
                self.end_sessions(policy, &report, why).await
            }
        }
    }

    /// Ends the sessions and access tokens of an identity. Logins that began before get no session.
    async fn end_sessions(
        &self,
        policy: &AdmissionPolicy,
        report: &StatusReport<'_>,
        why: &str,
    ) -> Result<StatusOutcome, ConfirmError> {
        let via = &policy.connector;
        let cached = self.sessions.cached_entitlements(via, report.subject);
        let until = self.clock.now().plus(report.refuse_logins_for);
        let ended = self.sessions.end_identity(via, report.subject, until).await;
        Ok(StatusOutcome::SessionsEnded {
            person: cached.map(|cached| KnownPerson {
                account: cached.account,
                login: cached.login.clone(),
            }),
            sessions: ended.map_err(ConfirmError::Store)?,
            why: why.to_owned(),
        })
    }

    /// Ends the sessions of a person whom the source removed, closes the account and detaches the identity.
    async fn close_departed(
        &self,
        policy: &AdmissionPolicy,
        report: &StatusReport<'_>,
        why: &str,
    ) -> Result<StatusOutcome, ConfirmError> {
        let ended = self.end_sessions(policy, report, why).await?;
        let by = match report.is_deletion_reported {
            true => CLOSED_BY_EVENT,
            false => CLOSED_BY_CHECK,
        };
        let closed = self
            .close_account_of(&policy.connector, report.subject, by, why)
            .await;
        Ok(match closed.map_err(ConfirmError::Store)? {
            Some(account) => StatusOutcome::AccountClosed {
                person: KnownPerson {
                    account: account.id,
                    login: account.login,
                },
                why: why.to_owned(),
            },
            None => ended,
        })
    }

    /// Updates the stored fields of an identity and those of its sessions. Ends them if the profile cannot be
    /// mapped: a login with it is refused, and groups that it no longer has must not last.
    async fn update_fields(
        &self,
        policy: &AdmissionPolicy,
        report: &StatusReport<'_>,
        profile: &CurrentProfile,
    ) -> Result<StatusOutcome, ConfirmError> {
        let (via, subject) = (&policy.connector, report.subject);
        // A number that the source took away must not link the next person who has it. Other fields of an
        // incomplete profile are missing because the person did not consent.
        if profile.is_complete {
            let vouched = normalized_fields(&profile.verified_fields);
            let replaced = self.store.replace_vouched_fields(via, subject, &vouched);
            replaced.await.map_err(ConfirmError::Store)?;
        }
        // Without `sync` the fields of the first login stay.
        if !policy.sync {
            return Ok(StatusOutcome::Unchanged);
        }
        let mapped = match policy.mapping.map(&profile.raw) {
            Ok(mapped) => mapped,
            Err(error) => {
                let why = format!("the profile cannot be mapped: {}", error_chain(&error));
                return self.end_sessions(policy, report, &why).await;
            }
        };
        let account = self.store.account_by_identity(via, subject).await;
        let account = account.map_err(ConfirmError::Store)?;
        let Some(account) = account.filter(|account| !account.closed) else {
            return Ok(StatusOutcome::Unchanged);
        };
        // Not those in memory: another process may have stored others since they were loaded.
        let before = self.stored_fields(via, subject, &account.id).await;
        let before = before.map_err(ConfirmError::Store)?;
        let mut fields = mapped.fields;
        if !profile.is_complete {
            fields.keep_missing_from(&before);
        }
        if !profile.has_tags {
            fields.keep_tags_from(&before);
        }
        let changed = differences(&before, &fields);
        let cached = self.sessions.cached_entitlements(via, subject);
        let is_cached =
            |fields: &UserFields| cached.is_none_or(|cached| cached.source_fields() == fields);
        if changed.is_empty() && is_cached(&fields) {
            return Ok(StatusOutcome::Unchanged);
        }
        let admission = Admission {
            sync: true,
            entitlements: serde_json::to_string(&fields).expect("fields are plain data"),
            fields: directory_fields(&fields),
            // Only a login changes the login name.
            ..self.admission_of_known(via, subject, account.login)
        };
        let updated = self.store.admit(&admission).await;
        match updated.map_err(ConfirmError::Store)? {
            AdmissionOutcome::Account(admitted) => {
                self.sessions
                    .update_after_lookup(via, subject, &admitted, &fields);
                if changed.is_empty() {
                    return Ok(StatusOutcome::Unchanged);
                }
                Ok(StatusOutcome::FieldsChanged {
                    person: KnownPerson {
                        account: admitted.account.id,
                        login: admitted.account.login,
                    },
                    fields: changed,
                })
            }
            AdmissionOutcome::Unknown
            | AdmissionOutcome::AmbiguousLink { .. }
            | AdmissionOutcome::LoginTaken { .. }
            | AdmissionOutcome::Closed(_)
            | AdmissionOutcome::LocalPersonChanged => Ok(StatusOutcome::Unchanged),
        }
    }
}
