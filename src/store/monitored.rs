//! `MonitoredStore`: wraps a store with timeouts, a failure counter and a write probe.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{
    AccessTokenOutcome, AccessTokenOwner, AccessTokenRecord, AccessTokenStore, Account,
    AccountChange, AccountId, AccountStore, Administrator, AdministratorName, AdministratorStore,
    Admission, AdmissionOutcome, AuditLogStore, AuditQuery, Closing, ConnectorId, ConsoleSession,
    CoordinationStore, CurrentEpochs, Department, DirectoryStore, DirectorySyncStore, EditOutcome,
    EndedLogins, ExpectOutcome, IdentityRecord, ImportOutcome, ImportedPerson, LinkField,
    ListedSession, LocalPeopleOutcome, LocalPeopleStore, LocalPerson, LocalPersonWrite, LoginName,
    LogoutTarget, MaintenanceStore, ManagedSettingsStore, ManagedVersion, ManagedVersionRecord,
    MintOutcome, NewAccessToken, NewManagedVersion, NewSession, NodeRecord, NodeStore, PeopleQuery,
    PersonEdit, PersonRecord, Reopening, Revocation, RevocationPage, RevocationScope,
    RevocationStore, SessionId, SessionKey, SessionStore, SessionsQuery, SourceIdentity, Store,
    StoreError, StoredAccessToken, StoredAuditLine, StoredSession, Subject, SubjectRename,
    SubjectRenameOutcome, TokenStore, TokenUpdate, TokenUpdateOutcome,
};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::telemetry::{AuditCause, AuditLine, Telemetry};

/// The timeout of an operation: longer than the waits for a connection and for a lock, and short enough for
/// a response within 15 s.
const QUERY_TIMEOUT: Duration = Duration::from_secs(12);
/// The timeout of an import, which may bring 20,000 people in one transaction.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(120);
/// The timeout of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// For how long the result of the last write is valid; a failure is rechecked sooner.
const SUCCESS_VALID_FOR: Duration = Duration::from_secs(5);
const FAILURE_VALID_FOR: Duration = Duration::from_secs(1);

/// A store that counts its failures and remembers whether writes work.
#[derive(Debug)]
pub struct MonitoredStore {
    inner: Arc<dyn Store>,
    telemetry: Telemetry,
    last_write: Mutex<Option<LastWrite>>,
    /// Held by the one caller that probes.
    probe_lock: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct LastWrite {
    at: Instant,
    failed: Option<&'static str>,
}

impl MonitoredStore {
    /// Counts the failures of `inner` in `telemetry`.
    pub fn new(inner: Arc<dyn Store>, telemetry: Telemetry) -> Arc<Self> {
        Arc::new(Self {
            inner,
            telemetry,
            last_write: Mutex::default(),
            probe_lock: tokio::sync::Mutex::default(),
        })
    }

    async fn read<T>(
        &self,
        operation: &'static str,
        query: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.run(operation, QUERY_TIMEOUT, query).await
    }

    async fn write<T: WriteEvidence>(
        &self,
        operation: &'static str,
        query: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limit = match operation {
            "import_people" => IMPORT_TIMEOUT,
            _ => QUERY_TIMEOUT,
        };
        let answer = self.run(operation, limit, query).await;
        if answer.as_ref().map_or(true, T::shows_a_write) {
            self.record_write(&answer);
        }
        answer
    }

    async fn run<T>(
        &self,
        operation: &'static str,
        limit: Duration,
        query: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = tokio::time::timeout(limit, query).await;
        let answer = answer.unwrap_or(Err(StoreError::TimedOut { operation }));
        if answer.as_ref().is_err_and(|error| !error.is_definitive()) {
            self.telemetry.count_store_error();
        }
        answer
    }

    fn record_write<T>(&self, answer: &Result<T, StoreError>) {
        let last = LastWrite {
            at: Instant::now(),
            failed: answer
                .as_ref()
                .err()
                .filter(|error| !error.is_definitive())
                .map(StoreError::cause),
        };
        *self
            .last_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// The result of the last write, if it is recent.
    fn recent_write_result(&self) -> Option<Result<(), StoreError>> {
        let last = *self
            .last_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last = last?;
        let counts_for = match last.failed {
            None => SUCCESS_VALID_FOR,
            Some(_) => FAILURE_VALID_FOR,
        };
        let fresh = last.at.elapsed() < counts_for;
        fresh.then(|| match last.failed {
            None => Ok(()),
            Some(cause) => Err(StoreError::WritesFail { cause }),
        })
    }
}

/// Whether the result of an operation shows that rows were written. A transaction that changes nothing
/// succeeds on a full disk, too, so it says nothing about the next write.
trait WriteEvidence {
    fn shows_a_write(&self) -> bool;
}

macro_rules! write_evidence {
    ($($result:ty: |$it:ident| $shown:expr;)*) => {$(
        impl WriteEvidence for $result {
            fn shows_a_write(&self) -> bool {
                let $it = self;
                $shown
            }
        }
    )*};
}

write_evidence! {
    AdmissionOutcome: |it| matches!(it, Self::Account(_));
    Option<AdmissionOutcome>: |it| it.as_ref().is_some_and(WriteEvidence::shows_a_write);
    Vec<AdmissionOutcome>: |it| it.iter().any(WriteEvidence::shows_a_write);
    MintOutcome: |it| *it == Self::Session;
    AccessTokenOutcome: |it| *it == Self::Created;
    TokenUpdateOutcome: |it| matches!(it, Self::Stored { .. });
    Revocation: |_it| true;
    Option<Revocation>: |it| it.is_some();
    Option<Reopening>: |it| it.is_some();
    SubjectRenameOutcome: |it| matches!(it, Self::Renamed { .. });
    ImportOutcome: |it| matches!(it, Self::Imported(counts) if counts.created + counts.updated > 0);
    LocalPeopleOutcome: |it| matches!(it, Self::Written(_));
    EndedLogins: |it| !it.entries.is_empty();
    EditOutcome: |it| matches!(it, Self::Stored { log_position: Some(_) });
    // The account may have the identity already.
    ExpectOutcome: |_it| false;
    // Without entries, a logout may have ended nothing and left no mark.
    Option<Vec<Revocation>>: |it| it.as_ref().is_some_and(|entries| !entries.is_empty());
    Vec<Revocation>: |it| !it.is_empty();
    bool: |it| *it;
    u64: |it| *it > 0;
    // An update of sessions that are gone changes no row.
    (): |_it| false;
    // The key ring is written only once.
    Vec<Secret<String>>: |_it| false;
}

/// Delegates each operation to the wrapped store.
macro_rules! delegate {
    ($($store_trait:ident {
        reads { $($read:ident($($read_part:ident: $read_kind:ty),*) -> $read_answer:ty;)* }
        writes { $($write:ident($($part:ident: $kind:ty),*) -> $answer:ty;)* }
    })*) => {$(
        #[async_trait]
        impl $store_trait for MonitoredStore {
            $(async fn $read(&self, $($read_part: $read_kind),*) -> Result<$read_answer, StoreError> {
                self.read(stringify!($read), self.inner.$read($($read_part),*)).await
            })*

            $(async fn $write(&self, $($part: $kind),*) -> Result<$answer, StoreError> {
                self.write(stringify!($write), self.inner.$write($($part),*)).await
            })*
        }
    )*};
}

delegate! {
    AccountStore {
        reads {
            account_by_login(login: &LoginName) -> Option<Account>;
            identities(account: &AccountId) -> Vec<(ConnectorId, Subject, String)>;
            account_by_identity(connector: &ConnectorId, subject: &Subject) -> Option<Account>;
            account_changes(account: &AccountId, before_number: Option<i64>, max: u32) -> Vec<AccountChange>;
        }
        writes {
            admit(admission: &Admission) -> AdmissionOutcome;
            admit_once(
                admission: &Admission,
                value_hash: &[u8; 32],
                until: Timestamp
            ) -> Option<AdmissionOutcome>;
            replace_vouched_fields(
                connector: &ConnectorId,
                subject: &Subject,
                vouched: &[(LinkField, String)]
            ) -> bool;
            close_account(account: &AccountId, closing: &Closing, at: Timestamp) -> Option<Revocation>;
            reopen_account(account: &AccountId, by: &str, at: Timestamp) -> Option<Reopening>;
            rename_subject(rename: &SubjectRename, at: Timestamp) -> SubjectRenameOutcome;
        }
    }
    DirectoryStore {
        reads {
            people(query: &PeopleQuery) -> Vec<PersonRecord>;
            person(account: &AccountId) -> Option<PersonRecord>;
            identity_records(account: &AccountId) -> Vec<IdentityRecord>;
            departments(connector: &ConnectorId, after: Option<&str>, max: u32) -> Vec<Department>;
        }
        writes {
            import_people(people: &[ImportedPerson], by: &str, at: Timestamp) -> ImportOutcome;
            edit_person(
                account: &AccountId,
                edit: &PersonEdit,
                by: &str,
                at: Timestamp
            ) -> EditOutcome;
            expect_identity(
                session: &SessionKey,
                identity: (&ConnectorId, &Subject),
                by: &str,
                at: Timestamp
            ) -> ExpectOutcome;
            remove_identity(
                account: &AccountId,
                identity: (&ConnectorId, &Subject),
                by: &str,
                at: Timestamp
            ) -> Option<Vec<Revocation>>;
        }
    }
    DirectorySyncStore {
        reads {
            source_identities(
                connector: &ConnectorId,
                after: Option<&Subject>,
                max: u32
            ) -> Vec<SourceIdentity>;
            source_identity(connector: &ConnectorId, subject: &Subject) -> Option<SourceIdentity>;
        }
        writes {
            admit_listed(admissions: &[Admission]) -> Vec<AdmissionOutcome>;
            change_departments(
                connector: &ConnectorId,
                changed: &[Department],
                removed: &[String]
            ) -> u64;
            reopen_after_sync(
                account: &AccountId,
                connector: &ConnectorId,
                by: &str,
                at: Timestamp
            ) -> Option<Reopening>;
        }
    }
    SessionStore {
        reads {
            session(key: &SessionKey) -> Option<StoredSession>;
            session_key(public_id: &SessionId) -> Option<SessionKey>;
            has_provider_session(connector: &ConnectorId, provider_sid: &str) -> bool;
            subjects_with_sessions(connector: &ConnectorId) -> Vec<(Subject, Option<String>)>;
            sessions(query: &SessionsQuery) -> Vec<ListedSession>;
        }
        writes {
            mint(new: &NewSession) -> MintOutcome;
            touch(used: &[(SessionKey, Timestamp)]) -> ();
        }
    }
    RevocationStore {
        reads {
            epochs() -> CurrentEpochs;
            revocations_after(number: i64, max: u32) -> RevocationPage;
        }
        writes {
            revoke(scope: &RevocationScope, at: Timestamp) -> Revocation;
            log_department_change(connector: &ConnectorId, at: Timestamp) -> Revocation;
            apply_provider_logout(
                connector: &ConnectorId,
                target: &LogoutTarget,
                message_id: Option<&[u8; 32]>,
                at: Timestamp,
                until: Timestamp
            ) -> Option<Vec<Revocation>>;
        }
    }
    TokenStore {
        reads {}
        writes {
            update_tokens(update: &TokenUpdate) -> TokenUpdateOutcome;
        }
    }
    AccessTokenStore {
        reads {
            access_token(key: &SessionKey) -> Option<StoredAccessToken>;
            access_token_owners(connector: &ConnectorId) -> Vec<AccessTokenOwner>;
            access_tokens(account: &AccountId, at: Timestamp, max: u32) -> Vec<AccessTokenRecord>;
        }
        writes {
            create_access_token(new: &NewAccessToken, max: u32) -> AccessTokenOutcome;
            end_access_tokens(
                connector: &ConnectorId,
                subject: &Subject,
                at: Timestamp
            ) -> Vec<Revocation>;
            touch_access_tokens(used: &[(SessionKey, Timestamp)]) -> ();
        }
    }
    LocalPeopleStore {
        reads {
            local_person(connector: &ConnectorId, subject: &Subject) -> Option<LocalPerson>;
            local_person_and_one_at(
                connector: &ConnectorId,
                subject: &Subject,
                place: i64
            ) -> (Option<LocalPerson>, Option<LocalPerson>);
            local_people(
                connector: &ConnectorId,
                after: Option<&Subject>,
                max: u32
            ) -> Vec<LocalPerson>;
        }
        writes {
            write_local_people(
                connector: &ConnectorId,
                writes: &[LocalPersonWrite],
                at: Timestamp
            ) -> LocalPeopleOutcome;
            end_outdated_local_logins(connector: &ConnectorId, at: Timestamp) -> EndedLogins;
        }
    }
    AdministratorStore {
        reads {
            administrator(name: &AdministratorName) -> Option<Administrator>;
            administrators(max: u32) -> Vec<Administrator>;
            console_session(key: &SessionKey) -> Option<ConsoleSession>;
        }
        writes {
            add_administrator(administrator: &Administrator) -> bool;
            change_administrator_password(
                name: &AdministratorName,
                password_hash: &Secret<String>,
                credential: &str,
                at: Timestamp
            ) -> bool;
            remove_administrator(name: &AdministratorName) -> bool;
            begin_console_session(session: &ConsoleSession) -> ();
            touch_console_session(key: &SessionKey, at: Timestamp) -> ();
            end_console_session(key: &SessionKey) -> bool;
        }
    }
    AuditLogStore {
        reads {
            audit_lines(query: &AuditQuery) -> Vec<StoredAuditLine>;
            excess_audit_lines(kept: u32) -> Vec<(AuditCause, u64)>;
        }
        writes {
            add_audit_lines(lines: &[AuditLine]) -> u64;
            delete_audit_lines(before: Timestamp, max: u32) -> u64;
            delete_oldest_audit_lines(cause: AuditCause, max: u32) -> u64;
        }
    }
    ManagedSettingsStore {
        reads {
            newest_managed_version() -> u64;
            managed_version(number: Option<u64>) -> Option<ManagedVersion>;
            managed_versions(before: Option<u64>, max: u32) -> Vec<ManagedVersionRecord>;
            connector_kinds() -> Vec<(ConnectorId, String)>;
        }
        writes {
            note_connector_kinds(kinds: &[(ConnectorId, String)]) -> ();
            add_managed_version(new: &NewManagedVersion<'_>) -> Option<Vec<Revocation>>;
            reseal_managed_version(number: u64, before: &str, after: &str) -> bool;
        }
    }
    NodeStore {
        reads {
            nodes(max: u32) -> Vec<NodeRecord>;
        }
        writes {
            report_node(node: &NodeRecord) -> ();
            remove_node(id: &str) -> ();
        }
    }
    CoordinationStore {
        reads {
            load_or_create_keys(candidate: &Secret<String>) -> Vec<Secret<String>>;
            is_spent(value_hash: &[u8; 32]) -> bool;
            lease_end(name: &str) -> Option<Timestamp>;
        }
        writes {
            spend(value_hash: &[u8; 32], until: Timestamp) -> bool;
            lease(name: &str, holder: &str, at: Timestamp, until: Timestamp) -> bool;
        }
    }
}

#[async_trait]
impl MaintenanceStore for MonitoredStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.run("ping", PROBE_TIMEOUT, self.inner.ping()).await
    }

    /// Returns the result of the last write if it is recent. Otherwise one caller tries a write, and the
    /// others wait for its result. `Cached` does not fit: here every write sets the result, not only the
    /// caller that tries.
    async fn probe_write(&self) -> Result<(), StoreError> {
        let _guard = self.probe_lock.lock().await;
        if let Some(known) = self.recent_write_result() {
            return known;
        }
        let tried = self.inner.probe_write();
        let tried = self.run("probe_write", PROBE_TIMEOUT, tried).await;
        self.record_write(&tried);
        tried
    }

    async fn database_time(&self) -> Result<Option<Timestamp>, StoreError> {
        let read = self.inner.database_time();
        self.run("database_time", PROBE_TIMEOUT, read).await
    }

    async fn log_announced(&self) {
        self.inner.log_announced().await;
    }

    fn report_damaged(&self, record: &'static str) -> StoreError {
        self.telemetry.count_store_error();
        self.inner.report_damaged(record)
    }

    async fn delete_expired(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError> {
        let deleted = self.inner.delete_expired(at, idle_before, max);
        self.write("delete_expired", deleted).await
    }
}
