//! The model of the database answers as SQLite does, so what the explorer finds holds for a real store.

use std::sync::Arc;
use std::time::Duration;

use menshen::clock::Timestamp;
use menshen::store::{
    self, Account, Admission, AdmissionOutcome, Closing, ConnectorId, DirectoryFields,
    IdentityUpdate, LoginName, LogoutTarget, NewSession, PersonEdit, RevocationScope, SessionId,
    SessionKey, SessionOrigin, SessionRecord, Store, StoreError, StoreUrl, TokenUpdate,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};

use super::database::Database;
use super::fixture::{corp, github};

const CASES: u32 = 16;
const PEOPLE: [&str; 2] = ["zhangsan", "lisi"];
/// The number of sessions that may be minted.
const SESSIONS: u8 = 4;

/// An operation of the store. Numbers choose people, connectors and sessions.
#[derive(Clone, Debug)]
enum Operation {
    Admit {
        person: usize,
        login: u8,
        group: u8,
    },
    Mint {
        session: u8,
        person: usize,
        age_s: u64,
        has_sid: bool,
    },
    Session(u8),
    Identities(usize),
    Revoke {
        scope: u8,
        person: usize,
        session: u8,
    },
    Logout {
        target: u8,
        session: u8,
        message: Option<u8>,
    },
    Close {
        person: usize,
        is_gone: bool,
    },
    Reopen(usize),
    Rename {
        person: usize,
        number: u8,
    },
    UpdateTokens {
        session: u8,
        version: u64,
        group: u8,
    },
    Lease {
        holder: u8,
        period_s: u64,
    },
    ReadLog(i64),
    Epochs,
}

fn operation() -> impl Strategy<Value = Operation> {
    let (person, session) = (0..PEOPLE.len(), 0..SESSIONS);
    prop_oneof![
        2 => (person.clone(), 0..3_u8, 0..3_u8)
            .prop_map(|(person, login, group)| Operation::Admit { person, login, group }),
        4 => (session.clone(), person.clone(), 0..3_u64, any::<bool>()).prop_map(
            |(session, person, age_s, has_sid)| Operation::Mint { session, person, age_s, has_sid }
        ),
        3 => session.clone().prop_map(Operation::Session),
        1 => person.clone().prop_map(Operation::Identities),
        2 => (0..5_u8, person.clone(), session.clone())
            .prop_map(|(scope, person, session)| Operation::Revoke { scope, person, session }),
        2 => (0..3_u8, session.clone(), prop::option::of(0..3_u8))
            .prop_map(|(target, session, message)| Operation::Logout { target, session, message }),
        1 => (person.clone(), any::<bool>())
            .prop_map(|(person, is_gone)| Operation::Close { person, is_gone }),
        2 => person.clone().prop_map(Operation::Reopen),
        1 => (person, 0..2_u8).prop_map(|(person, number)| Operation::Rename { person, number }),
        3 => (session, 1..3_u64, 0..3_u8).prop_map(
            |(session, version, group)| Operation::UpdateTokens { session, version, group }
        ),
        1 => (0..2_u8, 0..3_u64).prop_map(|(holder, period_s)| Operation::Lease { holder, period_s }),
        1 => (0..8_i64).prop_map(Operation::ReadLog),
        1 => Just(Operation::Epochs),
    ]
}

/// A real store and the model, which get the same operations.
struct Pair {
    sqlite: Arc<dyn Store>,
    model: Database,
    accounts: Vec<Account>,
    minted: Vec<u8>,
    now: Timestamp,
}

/// Fails unless both answers are the same. Errors are compared by their text.
fn compare<T: PartialEq + std::fmt::Debug>(
    operation: &Operation,
    sqlite: Result<T, StoreError>,
    model: Result<T, StoreError>,
) {
    let text = |error: StoreError| error.to_string();
    assert_eq!(model.map_err(text), sqlite.map_err(text), "{operation:?}");
}

fn key(session: u8) -> SessionKey {
    SessionKey::new([session; 32])
}

/// The login name of a person at the source: the first one, that of the other person, or a new one.
fn login_of(person: usize, number: u8) -> LoginName {
    let login = match number {
        0 => PEOPLE[person].to_owned(),
        1 => PEOPLE[1 - person].to_uppercase(),
        _ => format!("{}-{number}", PEOPLE[person]),
    };
    login.parse().unwrap()
}

fn admission(person: usize, (login, group): (u8, u8), at: Timestamp) -> Admission {
    Admission {
        connector: corp(),
        subject: PEOPLE[person].parse().unwrap(),
        login: login_of(person, login),
        links: Vec::new(),
        vouched: Vec::new(),
        create: true,
        join: None,
        sync: true,
        is_login: true,
        entitlements: format!(r#"{{"groups":["{group}"]}}"#),
        fields: DirectoryFields::default(),
        local_revision: None,
        at,
    }
}

impl Pair {
    async fn new() -> Self {
        let options = store::StoreOptions::default();
        let sqlite = store::open(&StoreUrl::MEMORY, &options).await.unwrap();
        let (mut model, mut accounts) = (Database::default(), Vec::new());
        let now = Timestamp::from_unix_s(1_800_000_000);
        for person in 0..PEOPLE.len() {
            let admission = admission(person, (0, 0), now);
            let admitted = sqlite.admit(&admission).await.unwrap();
            let AdmissionOutcome::Account(admitted) = admitted else {
                panic!("{admitted:?}");
            };
            let account = admitted.account;
            model.insert_person(account.clone(), &admission);
            accounts.push(account);
        }
        Self {
            sqlite,
            model,
            accounts,
            minted: Vec::new(),
            now,
        }
    }

    /// A login that began `age_s` ago, at the current epochs.
    async fn new_session(
        &self,
        session: u8,
        person: usize,
        (age_s, has_sid): (u64, bool),
    ) -> NewSession {
        let epochs = self.sqlite.epochs().await.unwrap();
        let connector = epochs.connectors.iter().find(|(id, _)| *id == corp());
        let login = self.accounts[person].id;
        let account = self.sqlite.person(&login).await.unwrap().unwrap().login;
        let account = self
            .sqlite
            .account_by_login(&account)
            .await
            .unwrap()
            .unwrap();
        let began_ms = self.now.unix_ms() - i64::try_from(age_s * 1_000).unwrap();
        NewSession {
            record: SessionRecord {
                key: key(session),
                public_id: SessionId::new([session; 16]),
                account: account.id,
                connector: corp(),
                subject: PEOPLE[person].parse().unwrap(),
                provider_sid: has_sid.then(|| format!("sid {}", session % 2)),
                auth_context: "{}".to_owned(),
                minted_at: self.now,
                expires_at: self.now.plus(Duration::from_secs(3600)),
                used_at: self.now,
            },
            account_epoch: account.epoch,
            connector_epoch: connector.map_or(0, |(_, number)| *number),
            everyone_epoch: epochs.everyone,
            began_at: Timestamp::from_unix_ms(began_ms),
            needs_current_password: false,
            tokens: session.is_multiple_of(2).then(|| "sealed".to_owned()),
            spend_once: None,
            origin: SessionOrigin::default(),
        }
    }

    async fn run(&mut self, operation: &Operation) {
        self.now = self.now.plus(Duration::from_millis(500));
        match operation {
            Operation::Admit { .. }
            | Operation::Close { .. }
            | Operation::Reopen(_)
            | Operation::Identities(_)
            | Operation::Rename { .. } => self.change_account(operation).await,
            Operation::Mint { .. } | Operation::Session(_) | Operation::UpdateTokens { .. } => {
                self.use_session(operation).await;
            }
            Operation::Revoke { .. } | Operation::Logout { .. } => self.end(operation).await,
            Operation::Lease { .. } | Operation::ReadLog(_) | Operation::Epochs => {
                self.read(operation).await;
            }
        }
    }

    async fn change_account(&mut self, operation: &Operation) {
        let (now, sqlite) = (self.now, Arc::clone(&self.sqlite));
        let by = "somebody".to_owned();
        match operation.clone() {
            Operation::Admit {
                person,
                login,
                group,
            } => {
                let admission = admission(person, (login, group), now);
                // The model knows no new people: those whom the source no longer has stay away.
                let known = sqlite
                    .account_by_identity(&corp(), &admission.subject)
                    .await;
                if known.unwrap().is_some() {
                    compare(
                        operation,
                        sqlite.admit(&admission).await,
                        self.model.admit(admission),
                    );
                }
            }
            Operation::Close { person, is_gone } => {
                let closing = Closing {
                    by: "somebody".to_owned(),
                    reason: "left".to_owned(),
                    gone: is_gone.then(|| (corp(), PEOPLE[person].parse().unwrap())),
                    by_sync_of: None,
                };
                let id = self.accounts[person].id;
                let answer = sqlite.close_account(&id, &closing, now).await;
                compare(
                    operation,
                    answer,
                    self.model.close_account(id, closing, now),
                );
            }
            Operation::Reopen(person) => {
                let id = self.accounts[person].id;
                let answer = sqlite.reopen_account(&id, &by, now).await;
                compare(operation, answer, self.model.reopen_account(id, by, now));
            }
            Operation::Identities(person) => {
                let id = self.accounts[person].id;
                let answer = sqlite.identities(&id).await;
                compare(operation, answer, self.model.identities(id));
            }
            Operation::Rename { person, number } => {
                let edit = PersonEdit {
                    login: Some(format!("{}{number}", PEOPLE[person]).parse().unwrap()),
                    ..PersonEdit::default()
                };
                let id = self.accounts[person].id;
                let answer = sqlite.edit_person(&id, &edit, &by, now).await;
                compare(operation, answer, self.model.edit_person(id, edit, by, now));
            }
            _ => panic!("it changes no account"),
        }
    }

    async fn use_session(&mut self, operation: &Operation) {
        let (now, sqlite) = (self.now, Arc::clone(&self.sqlite));
        match operation.clone() {
            Operation::Mint {
                session,
                person,
                age_s,
                has_sid,
            } => {
                if !self.minted.contains(&session) {
                    let new = self.new_session(session, person, (age_s, has_sid)).await;
                    let answer = sqlite.mint(&new).await;
                    if matches!(answer, Ok(store::MintOutcome::Session)) {
                        self.minted.push(session);
                    }
                    compare(operation, answer, self.model.mint(new));
                }
            }
            Operation::Session(session) => {
                let answer = sqlite.session(&key(session)).await;
                compare(operation, answer, self.model.session(key(session)));
            }
            Operation::UpdateTokens {
                session,
                version,
                group,
            } => {
                let update = TokenUpdate {
                    session: key(session),
                    version,
                    sealed: format!("sealed {group}"),
                    identity: (group > 0).then(|| IdentityUpdate {
                        entitlements: format!(r#"{{"groups":["{group}"]}}"#),
                        fields: DirectoryFields::default(),
                        vouched: Vec::new(),
                    }),
                    at: now,
                };
                let answer = sqlite.update_tokens(&update).await;
                compare(operation, answer, self.model.update_tokens(update));
            }
            _ => panic!("it uses no session"),
        }
    }

    async fn end(&mut self, operation: &Operation) {
        let (now, sqlite) = (self.now, Arc::clone(&self.sqlite));
        match operation.clone() {
            Operation::Revoke {
                scope,
                person,
                session,
            } => {
                let scope = match scope {
                    0 => RevocationScope::Session(key(session)),
                    1 => RevocationScope::Account(self.accounts[person].id),
                    2 => RevocationScope::Connector(corp()),
                    3 => RevocationScope::Connector(github()),
                    _ => RevocationScope::Everyone,
                };
                compare(
                    operation,
                    sqlite.revoke(&scope, now).await,
                    self.model.revoke(scope, now),
                );
            }
            Operation::Logout {
                target,
                session,
                message,
            } => {
                self.log_out(operation, (target, session), message).await;
            }
            _ => panic!("it ends no session"),
        }
    }

    async fn read(&mut self, operation: &Operation) {
        let (now, sqlite) = (self.now, Arc::clone(&self.sqlite));
        match operation.clone() {
            Operation::Lease { holder, period_s } => {
                let (name, holder) = ("lease".to_owned(), holder.to_string());
                let until = now.plus(Duration::from_secs(period_s));
                let answer = sqlite.lease(&name, &holder, now, until).await;
                compare(
                    operation,
                    answer,
                    self.model.lease(name, holder, now, until),
                );
            }
            Operation::ReadLog(number) => {
                let without_fingerprints = |mut page: store::RevocationPage| {
                    for position in page.start.iter_mut().chain(&mut page.end) {
                        position.fingerprint = [0; 32];
                    }
                    page
                };
                let answer = sqlite.revocations_after(number, 100).await;
                let model = self.model.revocations_after(number, 100);
                let (answer, model) = (
                    answer.map(without_fingerprints),
                    model.map(without_fingerprints),
                );
                compare(operation, answer, model);
            }
            Operation::Epochs => {
                let sort = |epochs: Result<store::CurrentEpochs, StoreError>| {
                    let mut epochs = epochs.unwrap();
                    let id = |(id, _): &(ConnectorId, u64)| id.clone();
                    epochs.connectors.sort_by_key(id);
                    epochs.log_position.fingerprint = [0; 32];
                    Ok(epochs)
                };
                compare(
                    operation,
                    sort(sqlite.epochs().await),
                    sort(self.model.epochs()),
                );
            }
            _ => panic!("it reads nothing"),
        }
    }

    async fn log_out(
        &mut self,
        operation: &Operation,
        (target, session): (u8, u8),
        message: Option<u8>,
    ) {
        let sid = format!("sid {}", session % 2);
        let subject = PEOPLE[usize::from(session) % PEOPLE.len()].parse().unwrap();
        let target = match target {
            0 => LogoutTarget::Session(sid),
            1 => LogoutTarget::SessionAndSubject { sid, subject },
            _ => LogoutTarget::Subject(subject),
        };
        let (now, until) = (self.now, self.now.plus(Duration::from_secs(60)));
        let message = message.map(|message| [message; 32]);
        let connector = corp();
        let logout =
            self.sqlite
                .apply_provider_logout(&connector, &target, message.as_ref(), now, until);
        let answer = logout.await;
        let model = &mut self.model;
        compare(
            operation,
            answer,
            model.apply_provider_logout(connector, target, message, (now, until)),
        );
    }
}

#[test]
fn the_model_answers_as_sqlite_does() {
    let config = Config {
        cases: CASES,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..Config::default()
    };
    let operations = prop::collection::vec(operation(), 10..40);
    proptest!(config, |(operations in operations)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new().await;
            for operation in &operations {
                pair.run(operation).await;
            }
        });
    });
}
