//! `Act`: what a browser, an administrator, the provider or a task does, by the real code of a node.

use std::sync::Arc;

use menshen::people::confirm::{ConfirmError, StatusOutcome, StatusReport};
use menshen::people::person_lookup::{CurrentProfile, PersonStatus};
use menshen::people::profile::AuthContext;
use menshen::people::session::{AfterRefresh, NewLogin, Person, RefreshDue, SessionLookup};
use menshen::store::{
    Closing, EditOutcome, LogoutTarget, PersonEdit, RevocationScope, SessionOrigin, SessionRecord,
    StoreError,
};

use super::database::logout_ends;
use super::fixture::{
    Fixture, KnownSession, TIMEOUTS, ZHANG_LOGIN, corp, mint, profile, raw_profile, zhang,
    zhang_account,
};
use super::node::RunningNode;
use super::shared::Shared;

/// Something that happens on a node.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Act {
    pub(super) node: usize,
    pub(super) kind: ActKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ActKind {
    /// A request with one of the sessions.
    Find(usize),
    /// A request whose read of the database, if it makes one, meets nothing else.
    Check(usize),
    Revoke(RevocationScope),
    /// A logout at the provider; with a signed message or not.
    Logout {
        target: LogoutTarget,
        is_signed: bool,
    },
    /// An administrator closes the account of 张三.
    Close,
    Reopen,
    /// The provider reports that 张三 has left.
    Depart,
    /// 张三 signs in again, and is in this group.
    SignIn(&'static str),
    /// 张三 signs in again, and has this login name at the source.
    SignInAs(&'static str),
    /// The provider, asked about 张三, names this group.
    LookUp(&'static str),
    /// An administrator changes the login name of 张三.
    Rename(&'static str),
    /// A request with a session whose tokens have expired.
    Refresh(usize),
    /// A new configuration, with another key ring.
    Reload(usize),
    /// The process crashes and starts again.
    Restart,
    /// The node writes what the database did not take.
    RetryPending,
}

impl ActKind {
    /// Whether the time matters at which it begins.
    pub(super) fn is_timed(&self) -> bool {
        match self {
            Self::Revoke(_)
            | Self::Logout { .. }
            | Self::Close
            | Self::Depart
            | Self::SignIn(_)
            | Self::SignInAs(_) => true,
            Self::Find(_)
            | Self::Check(_)
            | Self::Reopen
            | Self::LookUp(_)
            | Self::Rename(_)
            | Self::Refresh(_)
            | Self::Reload(_)
            | Self::Restart
            | Self::RetryPending => false,
        }
    }

    /// Whether a node that cannot write this must refuse the sessions all the same.
    fn ends(&self, session: &SessionRecord) -> bool {
        match self {
            Self::Revoke(scope) => match scope {
                RevocationScope::Session(key) => session.key == *key,
                RevocationScope::Account(account) => session.account == *account,
                RevocationScope::Connector(connector) => session.connector == *connector,
                RevocationScope::Everyone => true,
            },
            Self::Logout { target, is_signed } => {
                *is_signed && session.connector == corp() && logout_ends(target, session)
            }
            Self::Close => session.account == zhang_account(),
            _ => false,
        }
    }
}

impl Act {
    /// Does it, and tells the promises what the node has acknowledged.
    pub(super) async fn run(self, number: usize, shared: Arc<Shared>) {
        let Some(node) = shared.nodes[self.node].running() else {
            return;
        };
        match &self.kind {
            ActKind::Find(session) | ActKind::Check(session) => {
                let session = &Fixture::get().sessions[*session];
                shared.find(self.node, session).await;
            }
            ActKind::Refresh(session) => {
                let session = &Fixture::get().sessions[*session];
                self.find_refreshed(&shared, &node, session).await;
            }
            ActKind::SignIn(_) | ActKind::SignInAs(_) => {
                self.sign_in(number, &shared, &node).await;
            }
            ActKind::LookUp(group) => {
                let status = PersonStatus::Active(CurrentProfile {
                    raw: raw_profile(ZHANG_LOGIN, group),
                    verified_fields: Vec::new(),
                    is_complete: true,
                    has_tags: true,
                });
                let outcome = node
                    .people
                    .apply_status(&Fixture::get().policy, report(status))
                    .await;
                if matches!(outcome, Ok(StatusOutcome::FieldsChanged { .. })) {
                    shared.acknowledge_fields(self.node, number);
                }
            }
            ActKind::Rename(login) => {
                let edit = PersonEdit {
                    login: Some(login.parse().unwrap()),
                    ..PersonEdit::default()
                };
                let edited = node
                    .people
                    .edit(&zhang_account(), edit, "an administrator")
                    .await;
                if matches!(
                    edited,
                    Ok(EditOutcome::Stored {
                        log_position: Some(_)
                    })
                ) {
                    shared.acknowledge_login(self.node, number);
                }
            }
            ActKind::Reopen => {
                // What a failure leaves is judged by the next requests.
                let _ = node
                    .people
                    .reopen_account(&zhang_account(), "an administrator")
                    .await;
            }
            ActKind::RetryPending => {
                node.sessions.retry_pending(0).await;
            }
            ActKind::Revoke(_) | ActKind::Logout { .. } | ActKind::Close | ActKind::Depart => {
                let matching = shared.sessions(|session| self.kind.ends(session));
                let result = self.end_sessions(number, &node).await;
                shared.acknowledge_end(self.node, number, (&self.kind, matching), &result);
            }
            ActKind::Reload(_) | ActKind::Restart => panic!("it is no task"),
        }
    }

    async fn end_sessions(&self, number: usize, node: &RunningNode) -> Result<(), StoreError> {
        match &self.kind {
            ActKind::Revoke(scope) => node.sessions.revoke(scope).await,
            ActKind::Logout { target, is_signed } => {
                let mut message_id = [0; 32];
                message_id[0] = u8::try_from(number).unwrap();
                let message_id = is_signed.then_some(&message_id);
                let (connector, until) = (corp(), Fixture::end());
                let logout = node
                    .sessions
                    .apply_provider_logout(&connector, target, message_id, until);
                logout.await.map(drop)
            }
            ActKind::Close => {
                let closing = Closing {
                    by: "an administrator".to_owned(),
                    reason: format!("for the {number}th time"),
                    gone: None,
                    by_sync_of: None,
                };
                node.people
                    .close_account(&zhang_account(), &closing)
                    .await
                    .map(drop)
            }
            _ => {
                let status = PersonStatus::Unknown("no such person".to_owned());
                let outcome = node
                    .people
                    .apply_status(&Fixture::get().policy, report(status))
                    .await;
                let failed = |ConfirmError::Store(error)| error;
                outcome.map(drop).map_err(failed)
            }
        }
    }

    /// A login: the provider has authenticated the person already.
    async fn sign_in(&self, number: usize, shared: &Shared, node: &RunningNode) {
        let (login, group) = match self.kind {
            ActKind::SignIn(group) => (ZHANG_LOGIN, group),
            ActKind::SignInAs(login) => (login, "initial"),
            _ => panic!("it is no sign-in"),
        };
        let began_at = shared.clock.now();
        let (connector_epoch, everyone_epoch) = node.sessions.epochs_of(&corp());
        let profile = profile(zhang(), login, group);
        let Ok((account, _)) = node.people.admit(&Fixture::get().policy, &profile).await else {
            return;
        };
        shared.acknowledge_fields(self.node, number);
        shared.acknowledge_login(self.node, number);
        let login = NewLogin {
            account,
            via: corp(),
            subject: zhang(),
            provider_sid: None,
            auth_context: AuthContext::default(),
            tokens: None,
            expires_at: None,
            began_at,
            connector_epoch,
            everyone_epoch,
            needs_current_password: false,
            origin: SessionOrigin::default(),
        };
        if let Some(session) = mint(node, login).await {
            shared.add_session(&session);
            shared.find(self.node, &session).await;
        }
    }

    /// Refreshes the tokens of a session as the gate does.
    async fn find_refreshed(&self, shared: &Shared, node: &RunningNode, session: &KnownSession) {
        let Some(person) = shared.find(self.node, session).await else {
            return;
        };
        if person.refresh_due != RefreshDue::NotDue
            && node.refresher.refresh_if_due(&person).await == AfterRefresh::FindAgain
        {
            shared.acknowledge_refresh(self.node);
            shared.find(self.node, session).await;
        }
    }
}

fn report(status: PersonStatus) -> StatusReport<'static> {
    static SUBJECT: std::sync::OnceLock<menshen::store::Subject> = std::sync::OnceLock::new();
    StatusReport {
        subject: SUBJECT.get_or_init(zhang),
        status,
        is_deletion_reported: true,
        refuse_logins_for: std::time::Duration::from_secs(60),
    }
}

impl Shared {
    /// A request with a session on a node; returns the person if it is allowed.
    pub(super) async fn find(&self, node: usize, session: &KnownSession) -> Option<Person> {
        let running = self.nodes[node].running()?;
        let expected = self.promises.lock().unwrap().begin(node, session);
        let (ring, cookie) = (&running.ring, &session.cookie);
        let found = running.sessions.find(ring, &TIMEOUTS, cookie, "sso.test");
        let person = match found.await {
            Ok(SessionLookup::Person(person)) => Some(person),
            Ok(SessionLookup::Missing(_)) | Err(_) => None,
        };
        let calls = self.calls.lock().unwrap();
        let record = &calls.database.record;
        let mut promises = self.promises.lock().unwrap();
        promises.judge(node, session, &expected, person.as_ref(), record);
        person
    }
}
