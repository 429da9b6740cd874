//! `GatedStore`: the store of one node. Each call waits until the explorer executes it in the database, and
//! then until the explorer lets its answer return.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use menshen::clock::Timestamp;
use menshen::secret::Secret;
use menshen::store::{
    AccessTokenOutcome, AccessTokenOwner, AccessTokenRecord, AccessTokenStore, Account,
    AccountChange, AccountId, AccountStore, Administrator, AdministratorName, AdministratorStore,
    Admission, AdmissionOutcome, AuditLogStore, AuditQuery, Closing, ConnectorId, ConsoleSession,
    CoordinationStore, CurrentEpochs, Department, DirectoryStore, DirectorySyncStore, EditOutcome,
    EndedLogins, ExpectOutcome, IdentityRecord, ImportOutcome, ImportedPerson, LinkField,
    ListedSession, LocalPeopleOutcome, LocalPeopleStore, LocalPerson, LocalPersonWrite, LoginName,
    LogoutTarget, MaintenanceStore, ManagedSettingsStore, ManagedVersion, ManagedVersionRecord,
    MintOutcome, NewAccessToken, NewManagedVersion, NewSession, NodeRecord, NodeStore, PeopleQuery,
    PersonEdit, PersonRecord, Reopening, Revocation, RevocationPage, RevocationScope,
    RevocationStore, SessionId, SessionKey, SessionStore, SessionsQuery, SourceIdentity,
    StoreError, StoredAccessToken, StoredAuditLine, StoredSession, Subject, SubjectRename,
    SubjectRenameOutcome, TokenStore, TokenUpdate, TokenUpdateOutcome,
};
use menshen::telemetry::{AuditCause, AuditLine};
use tokio::sync::{Notify, oneshot};

use super::database::Database;
use super::record::Caller;

tokio::task_local! {
    /// The act whose task calls the store.
    pub(super) static ACT: usize;
}

/// Names a call: the node, and the number of the call there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallId {
    pub(super) node: usize,
    pub(super) number: usize,
}

/// What the execution of a call does with the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Read,
    Write,
    /// It is no call to the database, but to the provider: it has only an answer.
    Outside,
}

/// A call that has not returned.
pub(super) struct PendingCall {
    pub(super) id: CallId,
    pub(super) name: &'static str,
    pub(super) effect: Effect,
    pub(super) executed: bool,
    act: Option<usize>,
    /// Its process is gone: it may still be executed, and nobody gets the answer.
    orphaned: bool,
    operation: Box<dyn Operation>,
}

/// The database, and the calls of all nodes.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) database: Database,
    pub(super) pending: Vec<PendingCall>,
    /// Calls return at once.
    pub(super) automatic: bool,
    /// Calls of these names return at once.
    pub(super) immediate: &'static [&'static str],
    numbers: [usize; NODES_MAX],
    /// How often the process of each node was killed.
    crashes: [usize; NODES_MAX],
}

/// The maximum number of nodes.
pub(super) const NODES_MAX: usize = 3;

/// A call without its types.
trait Operation: Send {
    fn execute(&mut self, database: &mut Database);
    fn answer(&mut self);
    /// Answers with a failure, whether it was executed or not.
    fn fail(&mut self, name: &'static str);
}

type Run<T> = Box<dyn FnOnce(&mut Database) -> Result<T, StoreError> + Send>;

struct TypedOperation<T> {
    run: Option<Run<T>>,
    result: Option<Result<T, StoreError>>,
    caller: Option<oneshot::Sender<Result<T, StoreError>>>,
}

impl<T: Send> Operation for TypedOperation<T> {
    fn execute(&mut self, database: &mut Database) {
        let run = self.run.take().expect("a call is executed once");
        self.result = Some(run(database));
    }

    fn answer(&mut self) {
        let result = self.result.take().expect("a call is executed first");
        // The caller may have given up.
        let _ = self
            .caller
            .take()
            .expect("a call is answered once")
            .send(result);
    }

    fn fail(&mut self, name: &'static str) {
        self.result = Some(Err(StoreError::TimedOut { operation: name }));
        self.answer();
    }
}

impl Calls {
    /// Registers a call of a process. It returns at once if calls are automatic, and never if the process was
    /// killed.
    fn begin<T: Send + 'static>(
        &mut self,
        (node, crashes): (usize, usize),
        (name, effect): (&'static str, Effect),
        run: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, StoreError>> {
        let (caller, answer) = oneshot::channel();
        if self.crashes[node] != crashes {
            return answer;
        }
        let number = self.numbers[node];
        self.numbers[node] += 1;
        let id = CallId { node, number };
        self.pending.push(PendingCall {
            id,
            name,
            effect,
            executed: false,
            act: ACT.try_with(|act| *act).ok(),
            orphaned: false,
            operation: Box::new(TypedOperation {
                run: Some(Box::new(run)),
                result: None,
                caller: Some(caller),
            }),
        });
        if self.automatic || self.immediate.contains(&name) {
            self.answer(id);
        }
        answer
    }

    pub(super) fn crashes(&self, node: usize) -> usize {
        self.crashes[node]
    }

    /// The process of a node is killed. A write that has left it is still executed.
    pub(super) fn kill(&mut self, node: usize) {
        self.crashes[node] += 1;
        self.pending.retain_mut(|call| {
            call.orphaned |= call.id.node == node;
            !call.orphaned || (call.effect == Effect::Write && !call.executed)
        });
    }

    fn position(&self, id: CallId) -> usize {
        let position = self.pending.iter().position(|call| call.id == id);
        position.expect("the call has not returned")
    }

    pub(super) fn is_named(&self, id: CallId, name: &str) -> bool {
        self.pending[self.position(id)].name == name
    }

    /// Executes a call in the database; its caller does not know yet.
    pub(super) fn execute(&mut self, id: CallId) {
        let position = self.position(id);
        let call = &mut self.pending[position];
        self.database.record.caller = Caller {
            node: id.node,
            act: call.act,
        };
        call.operation.execute(&mut self.database);
        call.executed = true;
        if call.orphaned {
            self.pending.remove(position);
        }
    }

    /// Lets the answer of a call return; executes it first if it was not.
    pub(super) fn answer(&mut self, id: CallId) {
        if !self.pending[self.position(id)].executed {
            self.execute(id);
        }
        if let Some(position) = self.pending.iter().position(|call| call.id == id) {
            self.pending.remove(position).operation.answer();
        }
    }

    /// Lets a call fail, whether it was executed or not.
    pub(super) fn fail(&mut self, id: CallId) {
        let position = self.position(id);
        let mut call = self.pending.remove(position);
        call.operation.fail(call.name);
    }
}

/// The store of one node.
pub(super) struct GatedStore {
    pub(super) node: usize,
    /// How often the node was killed before this process.
    pub(super) crashes: usize,
    pub(super) calls: Arc<Mutex<Calls>>,
    /// Wakes the task that reads the log of revocations.
    pub(super) announced: Arc<Notify>,
}

impl fmt::Debug for GatedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GatedStore({})", self.node)
    }
}

impl GatedStore {
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: (&'static str, Effect),
        run: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let process = (self.node, self.crashes);
        let answer = self.calls.lock().unwrap().begin(process, call, run);
        match answer.await {
            Ok(answer) => answer,
            // The process was killed: nothing in it continues.
            Err(_) => std::future::pending().await,
        }
    }
}

macro_rules! store_operations {
    ($($store_trait:ident {
        modelled { $($name:ident($($part:ident: $kind:ty),*) -> $answer:ty: $effect:ident;)* }
        unused { $($other:ident($($other_part:ident: $other_kind:ty),*) -> $other_answer:ty;)* }
        $(other { $($method:tt)* })?
    })*) => {$(
        #[async_trait]
        impl $store_trait for GatedStore {
            $(async fn $name(&self, $($part: $kind),*) -> Result<$answer, StoreError> {
                $(let $part = $part.to_owned();)*
                let call = (stringify!($name), Effect::$effect);
                self.call(call, move |database| database.$name($($part),*)).await
            })*

            $(async fn $other(&self, $(_: $other_kind),*) -> Result<$other_answer, StoreError> {
                panic!("no act of these tests calls {}", stringify!($other))
            })*

            $($($method)*)?
        }
    )*};
}

store_operations! {
    AccountStore {
        modelled {
            admit(admission: &Admission) -> AdmissionOutcome: Write;
            identities(account: &AccountId) -> Vec<(ConnectorId, Subject, String)>: Read;
            account_by_identity(connector: &ConnectorId, subject: &Subject) -> Option<Account>: Read;
            close_account(account: &AccountId, closing: &Closing, at: Timestamp) -> Option<Revocation>: Write;
            reopen_account(account: &AccountId, by: &str, at: Timestamp) -> Option<Reopening>: Write;
        }
        unused {
            admit_once(admission: &Admission, value_hash: &[u8; 32], until: Timestamp) -> Option<AdmissionOutcome>;
            account_by_login(login: &LoginName) -> Option<Account>;
            rename_subject(rename: &SubjectRename, at: Timestamp) -> SubjectRenameOutcome;
            account_changes(account: &AccountId, before: Option<i64>, max: u32) -> Vec<AccountChange>;
        }
        other {
            /// Nobody has verified fields.
            async fn replace_vouched_fields(
                &self,
                _: &ConnectorId,
                _: &Subject,
                _: &[(LinkField, String)],
            ) -> Result<bool, StoreError> {
                Ok(false)
            }
        }
    }
    DirectoryStore {
        modelled {
            edit_person(account: &AccountId, edit: &PersonEdit, by: &str, at: Timestamp) -> EditOutcome: Write;
        }
        unused {
            people(query: &PeopleQuery) -> Vec<PersonRecord>;
            person(account: &AccountId) -> Option<PersonRecord>;
            identity_records(account: &AccountId) -> Vec<IdentityRecord>;
            import_people(people: &[ImportedPerson], by: &str, at: Timestamp) -> ImportOutcome;
            expect_identity(session: &SessionKey, identity: (&ConnectorId, &Subject), by: &str, at: Timestamp) -> ExpectOutcome;
            remove_identity(account: &AccountId, identity: (&ConnectorId, &Subject), by: &str, at: Timestamp) -> Option<Vec<Revocation>>;
            departments(connector: &ConnectorId, after: Option<&str>, max: u32) -> Vec<Department>;
        }
    }
    DirectorySyncStore {
        modelled {}
        unused {
            source_identities(connector: &ConnectorId, after: Option<&Subject>, max: u32) -> Vec<SourceIdentity>;
            source_identity(connector: &ConnectorId, subject: &Subject) -> Option<SourceIdentity>;
            admit_listed(admissions: &[Admission]) -> Vec<AdmissionOutcome>;
            change_departments(connector: &ConnectorId, changed: &[Department], removed: &[String]) -> u64;
            reopen_after_sync(account: &AccountId, connector: &ConnectorId, by: &str, at: Timestamp) -> Option<Reopening>;
        }
    }
    SessionStore {
        modelled {
            mint(new: &NewSession) -> MintOutcome: Write;
            session(key: &SessionKey) -> Option<StoredSession>: Read;
        }
        unused {
            session_key(public_id: &SessionId) -> Option<SessionKey>;
            has_provider_session(connector: &ConnectorId, provider_sid: &str) -> bool;
            subjects_with_sessions(connector: &ConnectorId) -> Vec<(Subject, Option<String>)>;
            sessions(query: &SessionsQuery) -> Vec<ListedSession>;
            touch(used: &[(SessionKey, Timestamp)]) -> ();
        }
    }
    RevocationStore {
        modelled {
            revoke(scope: &RevocationScope, at: Timestamp) -> Revocation: Write;
            epochs() -> CurrentEpochs: Read;
            revocations_after(number: i64, max: u32) -> RevocationPage: Read;
        }
        unused { log_department_change(connector: &ConnectorId, at: Timestamp) -> Revocation; }
        other {
            async fn apply_provider_logout(
                &self,
                connector: &ConnectorId,
                target: &LogoutTarget,
                message_id: Option<&[u8; 32]>,
                at: Timestamp,
                until: Timestamp,
            ) -> Result<Option<Vec<Revocation>>, StoreError> {
                let (connector, target) = (connector.clone(), target.clone());
                let message_id = message_id.copied();
                let call = ("apply_provider_logout", Effect::Write);
                self.call(call, move |database| {
                    database.apply_provider_logout(connector, target, message_id, (at, until))
                })
                .await
            }
        }
    }
    TokenStore {
        modelled { update_tokens(update: &TokenUpdate) -> TokenUpdateOutcome: Write; }
        unused {}
    }
    AccessTokenStore {
        modelled {}
        unused {
            create_access_token(new: &NewAccessToken, max: u32) -> AccessTokenOutcome;
            access_token(key: &SessionKey) -> Option<StoredAccessToken>;
            access_token_owners(connector: &ConnectorId) -> Vec<AccessTokenOwner>;
            access_tokens(account: &AccountId, at: Timestamp, max: u32) -> Vec<AccessTokenRecord>;
            touch_access_tokens(used: &[(SessionKey, Timestamp)]) -> ();
        }
        other {
            /// Nobody has access tokens.
            async fn end_access_tokens(
                &self,
                _: &ConnectorId,
                _: &Subject,
                _: Timestamp,
            ) -> Result<Vec<Revocation>, StoreError> {
                Ok(Vec::new())
            }
        }
    }
    LocalPeopleStore {
        modelled {}
        unused {
            local_person(connector: &ConnectorId, subject: &Subject) -> Option<LocalPerson>;
            local_person_and_one_at(connector: &ConnectorId, subject: &Subject, place: i64) -> (Option<LocalPerson>, Option<LocalPerson>);
            local_people(connector: &ConnectorId, after: Option<&Subject>, max: u32) -> Vec<LocalPerson>;
            write_local_people(connector: &ConnectorId, writes: &[LocalPersonWrite], at: Timestamp) -> LocalPeopleOutcome;
            end_outdated_local_logins(connector: &ConnectorId, at: Timestamp) -> EndedLogins;
        }
    }
    AdministratorStore {
        modelled {}
        unused {
            administrator(name: &AdministratorName) -> Option<Administrator>;
            administrators(max: u32) -> Vec<Administrator>;
            add_administrator(administrator: &Administrator) -> bool;
            change_administrator_password(name: &AdministratorName, password_hash: &Secret<String>, credential: &str, at: Timestamp) -> bool;
            remove_administrator(name: &AdministratorName) -> bool;
            begin_console_session(session: &ConsoleSession) -> ();
            console_session(key: &SessionKey) -> Option<ConsoleSession>;
            touch_console_session(key: &SessionKey, at: Timestamp) -> ();
            end_console_session(key: &SessionKey) -> bool;
        }
    }
    AuditLogStore {
        modelled {}
        unused {
            add_audit_lines(lines: &[AuditLine]) -> u64;
            audit_lines(query: &AuditQuery) -> Vec<StoredAuditLine>;
            delete_audit_lines(before: Timestamp, max: u32) -> u64;
            excess_audit_lines(kept: u32) -> Vec<(AuditCause, u64)>;
            delete_oldest_audit_lines(cause: AuditCause, max: u32) -> u64;
        }
    }
    ManagedSettingsStore {
        modelled {}
        unused {
            newest_managed_version() -> u64;
            managed_version(number: Option<u64>) -> Option<ManagedVersion>;
            managed_versions(before: Option<u64>, max: u32) -> Vec<ManagedVersionRecord>;
            connector_kinds() -> Vec<(ConnectorId, String)>;
            note_connector_kinds(kinds: &[(ConnectorId, String)]) -> ();
            add_managed_version(new: &NewManagedVersion<'_>) -> Option<Vec<Revocation>>;
            reseal_managed_version(number: u64, before: &str, after: &str) -> bool;
        }
    }
    NodeStore {
        modelled {}
        unused {
            report_node(node: &NodeRecord) -> ();
            remove_node(id: &str) -> ();
            nodes(max: u32) -> Vec<NodeRecord>;
        }
    }
    CoordinationStore {
        modelled {
            lease(name: &str, holder: &str, at: Timestamp, until: Timestamp) -> bool: Write;
        }
        unused {
            load_or_create_keys(candidate: &Secret<String>) -> Vec<Secret<String>>;
            spend(value_hash: &[u8; 32], until: Timestamp) -> bool;
            is_spent(value_hash: &[u8; 32]) -> bool;
            lease_end(name: &str) -> Option<Timestamp>;
        }
    }
    MaintenanceStore {
        modelled {}
        unused {
            ping() -> ();
            probe_write() -> ();
            delete_expired(at: Timestamp, idle_before: Timestamp, max: u32) -> u64;
        }
        other {
            async fn log_announced(&self) {
                self.announced.notified().await;
            }
        }
    }
}
