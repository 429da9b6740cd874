//! The operations of a store: which of them read and which write.

use async_trait::async_trait;

use super::MonitoredStore;
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::store::{
    AccessTokenOutcome, AccessTokenOwner, AccessTokenRecord, AccessTokenStore, Account,
    AccountChange, AccountId, AccountStore, Administrator, AdministratorName, AdministratorStore,
    Admission, AdmissionOutcome, AuditLogStore, AuditQuery, Closing, ConnectorId, ConsoleSession,
    CoordinationStore, CurrentEpochs, Department, DirectoryStore, DirectorySyncStore, EditOutcome,
    EndedLogins, ExpectOutcome, IdentityRecord, ImportOutcome, ImportedPerson, LinkField,
    ListedSession, LocalPeopleOutcome, LocalPeopleStore, LocalPerson, LocalPersonWrite, LoginName,
    LogoutTarget, ManagedSettingsStore, ManagedVersion, ManagedVersionRecord, MintOutcome,
    NewAccessToken, NewManagedVersion, NewSession, NodeRecord, NodeStore, PeopleQuery, PersonEdit,
    PersonRecord, Reopening, Revocation, RevocationPage, RevocationScope, RevocationStore,
    SessionId, SessionKey, SessionStore, SessionsQuery, SourceIdentity, StoreError,
    StoredAccessToken, StoredAuditLine, StoredSession, Subject, SubjectRename,
    SubjectRenameOutcome, TokenStore, TokenUpdate, TokenUpdateOutcome,
};
use crate::telemetry::{AuditCause, AuditLine};

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
