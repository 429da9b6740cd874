//! Ends the sessions and access tokens of people whom a connector no longer lists, or lists with another
//! password, and updates the fields of those whom it lists with others.
//!
//! A list is compared with what is in the store when menshen starts, and with the list before it after
//! each reload: a login that is just verified against the older list must not lead to a session.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::connector::{ListedPeople, ListedPerson};
use super::person_check::{CheckCause, CheckFailed, REFUSE_LOGINS_FOR};
use super::{ConnectorEntry, Login};
use crate::keys;
use crate::store::{
    AccessTokenOwner, ConnectorId, LogoutTarget, RevocationScope, StoreError, Subject,
};
use crate::telemetry::{AuditEvent, AuditRecord, LogLimiter, error_chain};
use crate::text;

/// The pause after which a comparison that failed is repeated. Each further failure doubles it.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// After so long the people who changed are checked again. A login that was verified against the older list
/// may have stored their older fields meanwhile.
const CHECK_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// A password that led or could lead to sessions: the subject, and the name of the password.
type Credential = (Subject, Option<String>);

/// What ended because a person has another password.
#[derive(Default)]
struct Ended {
    sessions: usize,
    tokens: usize,
}

/// The lists that were compared.
#[derive(Default)]
struct Compared {
    lists: HashMap<ConnectorId, Arc<ListedPeople>>,
    check_again: BTreeSet<(ConnectorId, Subject)>,
    /// The connectors whose people the store keeps, after the sessions of everybody else have ended.
    kept: HashMap<ConnectorId, Arc<ConnectorEntry>>,
    kept_again: BTreeSet<ConnectorId>,
}

/// Compares the lists of people until it is dropped: now, and after each reload. `current` returns the logins
/// of the active configuration.
pub async fn follow_listed_people(mut reloads: watch::Receiver<u64>, current: impl Fn() -> Login) {
    let mut compared = Compared::default();
    let mut retry_pause = RETRY_PAUSE;
    loop {
        reloads.borrow_and_update();
        let has_failed = current().compare_lists(&mut compared).await.is_err();
        let is_done = compared.check_again.is_empty() && compared.kept_again.is_empty();
        let pause = match (has_failed, is_done) {
            (true, _) => Some(retry_pause),
            (false, false) => Some(CHECK_AGAIN_AFTER),
            (false, true) => None,
        };
        retry_pause = match has_failed {
            true => (retry_pause * 2).min(RETRY_PAUSE_MAX),
            false => RETRY_PAUSE,
        };
        let is_closed = match pause {
            None => reloads.changed().await.is_err(),
            Some(pause) => match timeout(pause, reloads.changed()).await {
                Ok(changed) => changed.is_err(),
                Err(_) if has_failed => false,
                Err(_) => {
                    current().check_again(&mut compared).await;
                    false
                }
            },
        };
        if is_closed {
            return;
        }
    }
}

impl Login {
    /// Compares each list that is new. Fails if one must be compared again.
    async fn compare_lists(&self, compared: &mut Compared) -> Result<(), CheckFailed> {
        let mut result = Ok(());
        for entry in self.entries() {
            if self.end_outdated_logins(entry, compared).await.is_err() {
                result = Err(CheckFailed::Temporary);
            }
            let Some(list) = entry.connector.listed_people() else {
                compared.lists.remove(&entry.id);
                continue;
            };
            let before = compared.lists.get(&entry.id).cloned();
            if before.as_ref() == Some(&list) {
                continue;
            }
            let (subjects, is_complete) = self.compare(entry, before.as_deref(), &list).await;
            let changed = subjects.into_iter().map(|it| (entry.id.clone(), it));
            compared.check_again.extend(changed);
            match is_complete {
                Ok(()) => {
                    compared.lists.insert(entry.id.clone(), list);
                }
                Err(failed) => result = Err(failed),
            }
        }
        result
    }

    /// Checks once more the people who changed in the last comparison.
    async fn check_again(&self, compared: &mut Compared) {
        for (connector, subject) in std::mem::take(&mut compared.check_again) {
            if let Some(entry) = self.entry(&connector) {
                // A failure is logged. The person is checked at the next change.
                let _ = self.check_listed(entry, &subject).await;
            }
        }
        for connector in std::mem::take(&mut compared.kept_again) {
            if let Some(entry) = self.entry(&connector)
                && let Some(people) = entry.connector.local_people()
                && let Err(error) = people.end_outdated_logins().await
            {
                let _ = log_failure(entry, &error);
            }
        }
    }

    /// Ends what a connector led to before its people were kept in the store, such as the sessions of a file
    /// of people. Later each change of a person ends their sessions by itself.
    async fn end_outdated_logins(
        &self,
        entry: &Arc<ConnectorEntry>,
        compared: &mut Compared,
    ) -> Result<(), CheckFailed> {
        let Some(people) = entry.connector.local_people() else {
            compared.kept.remove(&entry.id);
            return Ok(());
        };
        let is_known = compared.kept.get(&entry.id);
        if is_known.is_some_and(|known| Arc::ptr_eq(known, entry)) {
            return Ok(());
        }
        let ended = people.end_outdated_logins().await;
        let ended = ended.map_err(|error| {
            let _ = log_failure(entry, &error);
            CheckFailed::Temporary
        })?;
        if !ended.entries.is_empty() {
            let (sessions, tokens) = (ended.sessions, ended.access_tokens);
            let reason = text!(
                "not of people in the store: {sessions} sessions, {tokens} access tokens",
                "不属于数据库中的人员：{sessions} 个会话，{tokens} 个访问令牌"
            );
            self.telemetry.audit(&AuditRecord {
                connector: Some(entry.id.as_str()),
                reason: Some(&reason),
                ..AuditRecord::new(AuditEvent::Revoked, self.clock.now())
            });
        }
        compared.kept.insert(entry.id.clone(), Arc::clone(entry));
        compared.kept_again.insert(entry.id.clone());
        Ok(())
    }

    /// Acts on the differences between a list and what was before: the older list, and the sessions and
    /// access tokens in the store. Returns the people who changed, and whether all differences could be acted
    /// on.
    async fn compare(
        &self,
        entry: &Arc<ConnectorEntry>,
        before: Option<&ListedPeople>,
        list: &ListedPeople,
    ) -> (BTreeSet<Subject>, Result<(), CheckFailed>) {
        let mut result = Ok(());
        let mut ended = BTreeMap::new();
        let mut credentials: BTreeSet<Credential> = before.map(credentials_of).unwrap_or_default();
        match self.sessions.subjects_with_sessions(&entry.id).await {
            Ok(with_sessions) => credentials.extend(with_sessions),
            Err(error) => result = log_failure(entry, &error),
        }
        let mut subjects = BTreeSet::new();
        for (subject, credential) in credentials {
            let listed = list.0.get(&subject);
            let is_former = |listed: &ListedPerson| credential.as_ref() != Some(&listed.credential);
            if listed.is_some_and(is_former) {
                let sessions = self.end_sessions_of(entry, &subject, credential).await;
                ended_of(&mut ended, &subject).sessions += sessions;
            }
            subjects.insert(subject);
        }
        // Read after those sessions have ended, because a session makes tokens as long as it lasts.
        match self.sessions.access_token_owners(&entry.id).await {
            Ok(owners) => {
                for owner in owners {
                    if is_made_with_former_password(&owner, list) {
                        let tokens = self.end_access_token(entry, &owner).await;
                        ended_of(&mut ended, &owner.subject).tokens += tokens;
                    }
                    subjects.insert(owner.subject);
                }
            }
            Err(error) => result = log_failure(entry, &error),
        }
        self.record_ended(entry, &ended);
        subjects.retain(|subject| {
            let now = profile_of(list, subject);
            now.is_none() || before.is_none_or(|before| profile_of(before, subject) != now)
        });
        for subject in &subjects {
            // What the store refuses it would refuse again.
            if self.check_listed(entry, subject).await == Err(CheckFailed::Temporary) {
                result = Err(CheckFailed::Temporary);
            }
        }
        (subjects, result)
    }

    /// Ends the sessions and access tokens of somebody who is not listed; updates the fields of somebody
    /// who is.
    async fn check_listed(
        &self,
        entry: &Arc<ConnectorEntry>,
        subject: &Subject,
    ) -> Result<(), CheckFailed> {
        let cause = CheckCause::ListOfPeople;
        self.check_person(entry, subject, cause).await
    }

    /// Ends the sessions to which a former password led, and lets it lead to no others. Returns how many the
    /// store had.
    async fn end_sessions_of(
        &self,
        entry: &ConnectorEntry,
        subject: &Subject,
        credential: Option<String>,
    ) -> usize {
        let target = match credential {
            Some(credential) => LogoutTarget::Session(credential),
            None => LogoutTarget::Subject(subject.clone()),
        };
        let until = self.clock.now().plus(REFUSE_LOGINS_FOR);
        // With an ID of its own the logout counts as authenticated: it also refuses logins that are not
        // finished.
        let message_id = keys::random::<32>();
        let ended =
            self.sessions
                .apply_provider_logout(&entry.id, &target, Some(&message_id), until);
        match ended.await {
            Ok(sessions) => sessions.unwrap_or(0),
            Err(error) => {
                // The sessions have ended in this process, and the write is retried there.
                let _ = log_failure(entry, &error);
                0
            }
        }
    }

    /// Ends an access token. Returns how many ended.
    async fn end_access_token(&self, entry: &ConnectorEntry, owner: &AccessTokenOwner) -> usize {
        let scope = RevocationScope::Session(owner.key);
        match self.sessions.revoke(&scope).await {
            Ok(()) => 1,
            Err(error) => {
                // The token has ended in this process, and the write is retried there.
                let _ = log_failure(entry, &error);
                0
            }
        }
    }

    fn record_ended(&self, entry: &ConnectorEntry, ended: &BTreeMap<Subject, Ended>) {
        for (subject, Ended { sessions, tokens }) in ended {
            if *sessions + *tokens == 0 {
                continue;
            }
            let reason = text!(
                "the password has changed: {sessions} sessions, {tokens} access tokens",
                "密码已改变：{sessions} 个会话，{tokens} 个访问令牌"
            );
            self.telemetry.audit(&AuditRecord {
                connector: Some(entry.id.as_str()),
                subject: Some(subject.as_str()),
                reason: Some(&reason),
                ..AuditRecord::new(AuditEvent::Revoked, self.clock.now())
            });
        }
    }
}

fn ended_of<'a>(ended: &'a mut BTreeMap<Subject, Ended>, subject: &Subject) -> &'a mut Ended {
    ended.entry(subject.clone()).or_default()
}

/// Whether a listed person made the token in a session to which another password led than the current one.
fn is_made_with_former_password(owner: &AccessTokenOwner, list: &ListedPeople) -> bool {
    let listed = list.0.get(&owner.subject);
    listed.is_some_and(|listed| owner.provider_sid.as_ref() != Some(&listed.credential))
}

fn profile_of<'a>(list: &'a ListedPeople, subject: &Subject) -> Option<&'a Value> {
    list.0.get(subject).map(|listed| &listed.profile)
}

fn credentials_of(list: &ListedPeople) -> BTreeSet<Credential> {
    let people = list.0.iter();
    let credentials =
        people.map(|(subject, listed)| (subject.clone(), Some(listed.credential.clone())));
    credentials.collect()
}

/// Logs why a comparison is not complete.
fn log_failure(entry: &ConnectorEntry, error: &StoreError) -> Result<(), CheckFailed> {
    static LOG_LIMITER: LogLimiter = LogLimiter::new();
    if LOG_LIMITER.allow() {
        tracing::warn!(
            connector = %entry.id,
            error = %error_chain(error),
            "the sessions of people who are no longer listed cannot be ended yet: menshen tries again"
        );
    }
    Err(CheckFailed::Temporary)
}
