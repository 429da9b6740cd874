//! Asks a source about a person and acts on the answer, once at a time for each person.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::pending::PENDING_AGE_MAX_S;
use super::{ConnectorEntry, Login};
use crate::clock::Timestamp;
use crate::people::confirm::{ConfirmError, StatusOutcome, StatusReport};
use crate::people::person_lookup::{LookupError, PersonStatus};
use crate::people::session::SourceQuestion;
use crate::single_flight::SingleFlight;
use crate::store::{ConnectorId, Subject, SubjectRename, SubjectRenameOutcome};
use crate::telemetry::{AuditEvent, AuditRecord, LogLimiter, error_chain};
use crate::text;
use crate::wording::Text;

/// How long logins of a person who is gone are refused if they began before: as long as a login may take.
pub(super) const REFUSE_LOGINS_FOR: Duration = Duration::from_secs(PENDING_AGE_MAX_S + 60);

/// How often a source is asked at most in one check, if the person's fields change meanwhile.
const ATTEMPTS_MAX: usize = 3;

/// The running checks of all connectors. Clones share them; a reload of the configuration keeps them.
#[derive(Clone)]
pub(super) struct PersonChecks(Arc<Shared>);

struct Shared {
    /// At most one for each person, so that an older answer never replaces a newer one.
    running: SingleFlight<(ConnectorId, Subject), CheckResult>,
    /// Counts checks and the requests for them, in order.
    counter: AtomicU64,
    /// The connectors whose last check failed.
    failing: Mutex<HashSet<ConnectorId>>,
    /// Wakes the revalidation when people must be asked about earlier than planned.
    due: Notify,
}

/// The result of one check, for all who wait for it.
#[derive(Clone, Copy, Debug)]
struct CheckResult {
    cause: CheckCause,
    /// The count at the start, before the source was asked.
    began: u64,
    result: Result<(), CheckFailed>,
}

/// Why a source is asked about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CheckCause {
    Revalidation,
    UpdateEvent,
    DeletionEvent,
    ListOfPeople,
}

/// The source or the store failed. The log has the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckFailed {
    /// It may succeed later.
    Temporary,
    /// The store refuses what the source says about this person. Others are not concerned.
    Record,
}

/// Why a check failed.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Lookup(LookupError),
    #[error(transparent)]
    Confirm(ConfirmError),
}

impl CheckCause {
    fn text(self) -> Text {
        let chinese = match self {
            Self::Revalidation => "定期核对",
            Self::UpdateEvent => "认证源的事件：更新",
            Self::DeletionEvent => "认证源的事件：删除",
            Self::ListOfPeople => "人员名单",
        };
        Text::fixed(self.as_str(), chinese)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Revalidation => "revalidation",
            Self::UpdateEvent => "event of the source: update",
            Self::DeletionEvent => "event of the source: deletion",
            Self::ListOfPeople => "change of the people file",
        }
    }
}

impl Default for PersonChecks {
    fn default() -> Self {
        Self(Arc::new(Shared {
            running: SingleFlight::default(),
            counter: AtomicU64::new(0),
            failing: Mutex::default(),
            due: Notify::new(),
        }))
    }
}

impl fmt::Debug for PersonChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersonChecks").finish_non_exhaustive()
    }
}

impl PersonChecks {
    /// Wakes the revalidation, because people must be asked about now.
    pub(super) fn announce_due(&self) {
        self.0.due.notify_one();
    }

    /// Waits for [`Self::announce_due`]. Cancel-safe.
    pub(super) async fn due(&self) {
        self.0.due.notified().await;
    }

    fn next_count(&self) -> u64 {
        self.0.counter.fetch_add(1, Ordering::Relaxed)
    }

    fn failing(&self) -> MutexGuard<'_, HashSet<ConnectorId>> {
        self.0
            .failing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Login {
    /// Asks the source about a person and acts on the answer. For an event a new question is asked after the
    /// running one, because the answer to that may be older than the event.
    pub(super) async fn check_person(
        &self,
        entry: &Arc<ConnectorEntry>,
        subject: &Subject,
        cause: CheckCause,
    ) -> Result<(), CheckFailed> {
        let requested = self.person_checks.next_count();
        loop {
            let mut is_own = false;
            let key = (entry.id.clone(), subject.clone());
            let check = self.person_checks.0.running.run(key, || {
                is_own = true;
                let (login, entry) = (self.clone(), Arc::clone(entry));
                let subject = subject.clone();
                async move {
                    let began = login.person_checks.next_count();
                    let result = login.run_check(&entry, &subject, cause).await;
                    CheckResult {
                        cause,
                        began,
                        result,
                    }
                }
            });
            let checked = check.await;
            let is_any_enough = is_own || cause == CheckCause::Revalidation;
            match checked {
                Ok(checked)
                    if is_any_enough || (checked.cause == cause && checked.began > requested) =>
                {
                    return checked.result;
                }
                Err(_) if is_any_enough => return Err(CheckFailed::Temporary),
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Gives a person the new subject if the source knows only that one now. Account and sessions stay.
    pub(super) async fn rename_person(
        &self,
        entry: &Arc<ConnectorEntry>,
        from: &Subject,
        to: &Subject,
    ) -> Result<(), CheckFailed> {
        let renamed = self.confirm_and_rename(entry, from, to).await;
        match renamed {
            Ok(Some(SubjectRenameOutcome::Renamed { account, .. })) => {
                let reason = text!(
                    "event of the source: {from} has the new subject {to}",
                    "认证源的事件：{from} 的新 ID 是 {to}"
                );
                self.telemetry.audit(&AuditRecord {
                    connector: Some(entry.id.as_str()),
                    subject: Some(to.as_str()),
                    login: Some(account.login.as_str()),
                    account: Some(&account.id),
                    reason: Some(&reason),
                    ..AuditRecord::new(AuditEvent::SubjectRenamed, self.clock.now())
                });
                Ok(())
            }
            Ok(Some(SubjectRenameOutcome::Taken { by })) => {
                tracing::warn!(
                    connector = %entry.id, subject = %to, account = %by,
                    "a renamed person keeps the old subject: the new one belongs to another account"
                );
                Ok(())
            }
            Ok(Some(SubjectRenameOutcome::Unknown) | None) => Ok(()),
            Err(error) => self.record_failure(entry, &error),
        }
    }

    /// `None` if the source does not confirm the new subject.
    async fn confirm_and_rename(
        &self,
        entry: &ConnectorEntry,
        from: &Subject,
        to: &Subject,
    ) -> Result<Option<SubjectRenameOutcome>, CheckError> {
        let Some(lookup) = Arc::clone(&entry.connector).person_lookup() else {
            return Ok(None);
        };
        let status = async |subject| {
            let status = lookup.look_up(subject).await;
            entry.health.record_lookup(&status, self.clock.now());
            status.map_err(CheckError::Lookup)
        };
        let is_gone = matches!(status(from).await?, PersonStatus::Unknown(_));
        if !is_gone || !matches!(status(to).await?, PersonStatus::Active(_)) {
            return Ok(None);
        }
        let rename = SubjectRename {
            connector: entry.id.clone(),
            from: from.clone(),
            to: to.clone(),
            by: "event of the source".to_owned(),
        };
        let renamed = self.people.rename_subject(&rename).await;
        let renamed = renamed.map_err(|error| CheckError::Confirm(ConfirmError::Store(error)))?;
        Ok(Some(renamed))
    }

    async fn run_check(
        &self,
        entry: &Arc<ConnectorEntry>,
        subject: &Subject,
        cause: CheckCause,
    ) -> Result<(), CheckFailed> {
        let checked = self.ask_and_apply(entry, subject, cause).await;
        match checked {
            Ok(outcome) => {
                self.record_check(entry, subject, cause, &outcome);
                if self.person_checks.failing().remove(&entry.id) {
                    tracing::info!(connector = %entry.id, "the source can be asked about people again");
                }
                Ok(())
            }
            Err(error) => self.record_failure(entry, &error),
        }
    }

    /// Logs once for an outage, not for every person.
    fn record_failure(
        &self,
        entry: &ConnectorEntry,
        error: &CheckError,
    ) -> Result<(), CheckFailed> {
        match error {
            // Asking again would not help.
            CheckError::Lookup(LookupError::OtherOrganisation) => return Ok(()),
            CheckError::Confirm(ConfirmError::Store(error)) if error.is_about_record() => {
                static LOG_LIMITER: LogLimiter = LogLimiter::new();
                if LOG_LIMITER.allow() {
                    tracing::error!(
                        connector = %entry.id,
                        error = %error_chain(error),
                        "the store refuses what the source says about a person"
                    );
                }
                return Err(CheckFailed::Record);
            }
            CheckError::Lookup(_) | CheckError::Confirm(_) => {}
        }
        if self.person_checks.failing().insert(entry.id.clone()) {
            tracing::warn!(
                connector = %entry.id,
                error = %error_chain(error),
                "people cannot be confirmed: they stay signed in until the source can be asked"
            );
        }
        Err(CheckFailed::Temporary)
    }

    async fn ask_and_apply(
        &self,
        entry: &ConnectorEntry,
        subject: &Subject,
        cause: CheckCause,
    ) -> Result<StatusOutcome, CheckError> {
        let Some(lookup) = Arc::clone(&entry.connector).person_lookup() else {
            return Ok(StatusOutcome::Unchanged);
        };
        let mut attempts = 0;
        let (question, asked_at, status) = loop {
            let question = self.sessions.begin_question(&entry.id, subject);
            let asked_at = self.clock.now();
            let status = lookup.look_up(subject).await;
            entry.health.record_lookup(&status, self.clock.now());
            let status = status.map_err(CheckError::Lookup)?;
            attempts += 1;
            let is_overtaken = question.as_ref().is_some_and(SourceQuestion::is_overtaken);
            if !is_overtaken || attempts >= ATTEMPTS_MAX {
                break (question, asked_at, status);
            }
        };
        let report = StatusReport {
            subject,
            status,
            is_deletion_reported: cause == CheckCause::DeletionEvent,
            refuse_logins_for: REFUSE_LOGINS_FOR,
        };
        let applied = self.people.apply_status(&entry.admission, report).await;
        let outcome = applied.map_err(CheckError::Confirm)?;
        if let Some(question) = question {
            question.settle(asked_at);
        }
        Ok(outcome)
    }

    fn record_check(
        &self,
        entry: &ConnectorEntry,
        subject: &Subject,
        cause: CheckCause,
        outcome: &StatusOutcome,
    ) {
        let cause = cause.text();
        let (event, person, reason) = match outcome {
            StatusOutcome::Unchanged => return,
            StatusOutcome::FieldsChanged { person, fields } => {
                let fields = fields.join(", ");
                let fields = Text::same(fields);
                (AuditEvent::EntitlementsChanged, Some(person), fields)
            }
            StatusOutcome::SessionsEnded { sessions: 0, .. } => return,
            StatusOutcome::SessionsEnded {
                person,
                sessions,
                why,
            } => {
                let reason = text!(
                    "{cause}: {why}: {sessions} sessions",
                    "{cause:#}：“{why}”：{sessions} 个会话"
                );
                (AuditEvent::Revoked, person.as_ref(), reason)
            }
            StatusOutcome::AccountClosed { person, why } => {
                let reason = text!("{cause}: {why}", "{cause:#}：“{why}”");
                (AuditEvent::AccountClosed, Some(person), reason)
            }
        };
        let at: Timestamp = self.clock.now();
        self.telemetry.audit(&AuditRecord {
            connector: Some(entry.id.as_str()),
            subject: Some(subject.as_str()),
            login: person.map(|person| person.login.as_str()),
            account: person.map(|person| &person.account as &dyn fmt::Display),
            reason: Some(&reason),
            ..AuditRecord::new(event, at)
        });
    }
}
