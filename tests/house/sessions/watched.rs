//! `WatchedStore`: a store that counts its operations, and can make them fail or block.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::Request;
use menshen::clock::{Clock, Timestamp};
use menshen::config::Config;
use menshen::door::{Address, ListenConfig, Listeners, RequestBody, ServeOptions, ServerLimits};
use menshen::face::admin::Health;
use menshen::face::ext_authz::{CheckListener, ExtAuthz};
use menshen::people::People;
use menshen::people::audit_log::AuditLog;
use menshen::people::session::Sessions;
use menshen::request::head::Connection;
use menshen::secret::Secret;
use menshen::site::live::LiveSite;
use menshen::site::{Services, Site};
use menshen::store::{
    self, AccessTokenOutcome, AccessTokenOwner, AccessTokenRecord, AccessTokenStore, Account,
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
use menshen::telemetry::{AuditCause, AuditLine, Telemetry};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::browser::Browser;
use crate::legacy_app::LegacyApp;
use crate::records::Records;
use crate::setup::{SSO_URL, Setup};
use crate::wecom::{AGENT_ID, Options, WeCom};

/// How a store fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Failed,
    TimedOut,
    Closed,
    Damaged,
    Silent,
    /// The operation panics.
    Panics,
}

impl Fault {
    pub(crate) const ALL: [Self; 5] = [
        Self::Failed,
        Self::TimedOut,
        Self::Closed,
        Self::Damaged,
        Self::Silent,
    ];

    fn error(self) -> StoreError {
        let failed = |source| StoreError::Failed {
            operation: "ask",
            source,
        };
        match self {
            Self::Failed => failed(sqlx::Error::RowNotFound),
            Self::TimedOut => failed(sqlx::Error::PoolTimedOut),
            Self::Closed => failed(sqlx::Error::PoolClosed),
            Self::Damaged => StoreError::Damaged { record: "session" },
            Self::Silent => StoreError::Outage { for_s: 1 },
            Self::Panics => panic!("a simulated panic of the store"),
        }
    }
}

/// Where an operation blocks: before or after the real store executes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
}

/// A real store whose operations the test observes.
#[derive(Debug)]
pub(crate) struct WatchedStore {
    inner: Arc<dyn Store>,
    calls: Mutex<BTreeMap<&'static str, usize>>,
    fault: Mutex<Option<Fault>>,
    fault_at: Mutex<BTreeMap<&'static str, Fault>>,
    held: watch::Sender<Option<(&'static str, When)>>,
    waiting: watch::Sender<usize>,
}

impl WatchedStore {
    async fn open(config: &Config) -> Self {
        let options = store::StoreOptions::default();
        let inner = store::open(&config.store.url, &options).await;
        Self {
            inner: inner.unwrap(),
            calls: Mutex::default(),
            fault: Mutex::default(),
            fault_at: Mutex::default(),
            held: watch::Sender::new(None),
            waiting: watch::Sender::new(0),
        }
    }

    /// The number of calls of an operation.
    pub(crate) fn calls(&self, operation: &str) -> usize {
        self.calls
            .lock()
            .unwrap()
            .get(operation)
            .copied()
            .unwrap_or(0)
    }

    /// Makes every operation fail; `None` ends the failure.
    pub(crate) fn fail(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
    }

    /// Makes one operation fail; `None` ends the failure.
    pub(crate) fn fail_at(&self, operation: &'static str, fault: Option<Fault>) {
        let mut faults = self.fault_at.lock().unwrap();
        match fault {
            Some(fault) => drop(faults.insert(operation, fault)),
            None => drop(faults.remove(operation)),
        }
    }

    /// The real store, as another process uses it.
    pub(crate) fn unwatched(&self) -> &Arc<dyn Store> {
        &self.inner
    }

    /// Blocks an operation before or after the real store executes it, until [`Self::release`].
    pub(crate) fn block(&self, operation: &'static str, when: When) {
        self.held.send_replace(Some((operation, when)));
    }

    /// Waits until `number` calls are blocked.
    pub(crate) async fn wait_until_blocked(&self, number: usize) {
        let mut waiting = self.waiting.subscribe();
        let reached = waiting.wait_for(|now| *now >= number);
        let patience = std::time::Duration::from_secs(60);
        let reached = tokio::time::timeout(patience, reached).await;
        reached.expect("the operation is called").unwrap();
    }

    /// Ends the block.
    pub(crate) fn release(&self) {
        self.held.send_replace(None);
        self.waiting.send_replace(0);
    }

    async fn before(&self, operation: &'static str) -> Result<(), StoreError> {
        *self.calls.lock().unwrap().entry(operation).or_default() += 1;
        self.pass(operation, When::Before).await;
        let one = self.fault_at.lock().unwrap().get(operation).copied();
        let fault = self.fault.lock().unwrap().or(one);
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    async fn pass(&self, operation: &'static str, when: When) {
        let mut held = self.held.subscribe();
        if *held.borrow_and_update() == Some((operation, when)) {
            self.waiting.send_modify(|number| *number += 1);
            held.wait_for(Option::is_none).await.unwrap();
        }
    }
}

macro_rules! store_operations {
    ($($subject:ident { $($name:ident($($part:ident: $kind:ty),*) -> $answer:ty;)* })*) => {$(
        #[async_trait]
        impl $subject for WatchedStore {
            $(async fn $name(&self, $($part: $kind),*) -> Result<$answer, StoreError> {
                self.before(stringify!($name)).await?;
                let answer = self.inner.$name($($part),*).await;
                self.pass(stringify!($name), When::After).await;
                answer
            })*
        }
    )*};
}

store_operations! {
    AccountStore {
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
        account_by_login(login: &LoginName) -> Option<Account>;
        identities(account: &AccountId) -> Vec<(ConnectorId, Subject, String)>;
        account_by_identity(connector: &ConnectorId, subject: &Subject) -> Option<Account>;
        close_account(account: &AccountId, closing: &Closing, at: Timestamp) -> Option<Revocation>;
        reopen_account(account: &AccountId, by: &str, at: Timestamp) -> Option<Reopening>;
        rename_subject(rename: &SubjectRename, at: Timestamp) -> SubjectRenameOutcome;
        account_changes(account: &AccountId, before: Option<i64>, max: u32) -> Vec<AccountChange>;
    }
    DirectoryStore {
        people(query: &PeopleQuery) -> Vec<PersonRecord>;
        person(account: &AccountId) -> Option<PersonRecord>;
        identity_records(account: &AccountId) -> Vec<IdentityRecord>;
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
        departments(connector: &ConnectorId, after: Option<&str>, max: u32) -> Vec<Department>;
    }
    DirectorySyncStore {
        source_identities(
            connector: &ConnectorId,
            after: Option<&Subject>,
            max: u32
        ) -> Vec<SourceIdentity>;
        source_identity(connector: &ConnectorId, subject: &Subject) -> Option<SourceIdentity>;
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
    SessionStore {
        mint(new: &NewSession) -> MintOutcome;
        session(key: &SessionKey) -> Option<StoredSession>;
        session_key(public_id: &SessionId) -> Option<SessionKey>;
        has_provider_session(connector: &ConnectorId, provider_sid: &str) -> bool;
        subjects_with_sessions(connector: &ConnectorId) -> Vec<(Subject, Option<String>)>;
        sessions(query: &SessionsQuery) -> Vec<ListedSession>;
        touch(used: &[(SessionKey, Timestamp)]) -> ();
    }
    RevocationStore {
        revoke(scope: &RevocationScope, at: Timestamp) -> Revocation;
        log_department_change(connector: &ConnectorId, at: Timestamp) -> Revocation;
        apply_provider_logout(
            connector: &ConnectorId,
            mark: &LogoutTarget,
            message_id: Option<&[u8; 32]>,
            at: Timestamp,
            until: Timestamp
        ) -> Option<Vec<Revocation>>;
        epochs() -> CurrentEpochs;
        revocations_after(number: i64, max: u32) -> RevocationPage;
    }
    TokenStore {
        update_tokens(update: &TokenUpdate) -> TokenUpdateOutcome;
    }
    AccessTokenStore {
        access_token(key: &SessionKey) -> Option<StoredAccessToken>;
        access_token_owners(connector: &ConnectorId) -> Vec<AccessTokenOwner>;
        access_tokens(account: &AccountId, at: Timestamp, max: u32) -> Vec<AccessTokenRecord>;
        create_access_token(new: &NewAccessToken, max: u32) -> AccessTokenOutcome;
        end_access_tokens(
            connector: &ConnectorId,
            subject: &Subject,
            at: Timestamp
        ) -> Vec<Revocation>;
        touch_access_tokens(used: &[(SessionKey, Timestamp)]) -> ();
    }
    LocalPeopleStore {
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
        write_local_people(
            connector: &ConnectorId,
            writes: &[LocalPersonWrite],
            at: Timestamp
        ) -> LocalPeopleOutcome;
        end_outdated_local_logins(connector: &ConnectorId, at: Timestamp) -> EndedLogins;
    }
    AdministratorStore {
        administrator(name: &AdministratorName) -> Option<Administrator>;
        administrators(max: u32) -> Vec<Administrator>;
        add_administrator(administrator: &Administrator) -> bool;
        change_administrator_password(
            name: &AdministratorName,
            password_hash: &Secret<String>,
            credential: &str,
            at: Timestamp
        ) -> bool;
        remove_administrator(name: &AdministratorName) -> bool;
        begin_console_session(session: &ConsoleSession) -> ();
        console_session(key: &SessionKey) -> Option<ConsoleSession>;
        touch_console_session(key: &SessionKey, at: Timestamp) -> ();
        end_console_session(key: &SessionKey) -> bool;
    }
    AuditLogStore {
        add_audit_lines(lines: &[AuditLine]) -> u64;
        audit_lines(query: &AuditQuery) -> Vec<StoredAuditLine>;
        delete_audit_lines(before: Timestamp, max: u32) -> u64;
        excess_audit_lines(kept: u32) -> Vec<(AuditCause, u64)>;
        delete_oldest_audit_lines(cause: AuditCause, max: u32) -> u64;
    }
    ManagedSettingsStore {
        newest_managed_version() -> u64;
        managed_version(number: Option<u64>) -> Option<ManagedVersion>;
        managed_versions(before: Option<u64>, max: u32) -> Vec<ManagedVersionRecord>;
        connector_kinds() -> Vec<(ConnectorId, String)>;
        note_connector_kinds(kinds: &[(ConnectorId, String)]) -> ();
        add_managed_version(new: &NewManagedVersion<'_>) -> Option<Vec<Revocation>>;
        reseal_managed_version(number: u64, before: &str, after: &str) -> bool;
    }
    NodeStore {
        report_node(node: &NodeRecord) -> ();
        remove_node(id: &str) -> ();
        nodes(max: u32) -> Vec<NodeRecord>;
    }
    CoordinationStore {
        load_or_create_keys(candidate: &Secret<String>) -> Vec<Secret<String>>;
        spend(value_hash: &[u8; 32], until: Timestamp) -> bool;
        is_spent(value_hash: &[u8; 32]) -> bool;
        lease(name: &str, holder: &str, at: Timestamp, until: Timestamp) -> bool;
        lease_end(name: &str) -> Option<Timestamp>;
    }
    MaintenanceStore {
        ping() -> ();
        probe_write() -> ();
        delete_expired(at: Timestamp, idle_before: Timestamp, max: u32) -> u64;
    }
}

/// An instance of menshen with a watched store, assembled as [`menshen::run::start`] does.
pub(crate) struct WatchedMenshen {
    pub(crate) store: Arc<WatchedStore>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) people: People,
    pub(crate) audit: Arc<AuditLog>,
    pub(crate) clock: Clock,
    pub(crate) address: SocketAddr,
    pub(crate) records: Records,
    pub(crate) telemetry: Telemetry,
    closing: CancellationToken,
    pub(crate) app: LegacyApp,
    _source: WeCom,
}

impl WatchedMenshen {
    pub(crate) async fn start(setup: Setup) -> Self {
        Self::start_with(setup, |_, _| ()).await.0
    }

    /// Like [`Self::start`]; `build` changes the site before menshen listens.
    pub(crate) async fn start_with<T>(
        setup: Setup,
        build: impl FnOnce(&mut Site, &Services) -> T,
    ) -> (Self, T) {
        menshen::keys::install_crypto();
        let free: SocketAddr = ([127, 0, 0, 1], 0).into();
        let source = WeCom::start(Options::default()).await.unwrap();
        let app = LegacyApp::start(free, "应用").await.unwrap();
        source.set_agent_domains(AGENT_ID, &["sso.test"]);
        let config = setup.config(&source, &app).unwrap();
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let store = Arc::new(WatchedStore::open(&config).await);
        let grace = config.session.store_outage_grace.duration();
        let watched: Arc<dyn Store> = Arc::<WatchedStore>::clone(&store);
        let opened = Sessions::open(Arc::clone(&watched), clock.clone(), 1_000, grace);
        let sessions = opened.await.unwrap();
        let records = Records::default();
        let telemetry = Telemetry::writing_to(&config.log, Box::new(records.clone()));
        let opened = Arc::clone(&sessions);
        let people = People::new(Arc::clone(&watched), opened, clock.clone());
        let audit = AuditLog::new(Arc::clone(&watched), telemetry.clone(), clock.clone());
        let audit = Arc::new(audit);
        let shared = Services {
            store: watched,
            sessions: Arc::clone(&sessions),
            people: people.clone(),
            audit: Arc::clone(&audit),
            clock: clock.clone(),
            telemetry: telemetry.clone(),
        };
        let mut site = Site::build(&config.site(), &shared, None).await.unwrap();
        let built = build(&mut site, &shared);
        let closing = CancellationToken::new();
        let serving = ServeOptions {
            trust: Arc::new(ArcSwap::new(Arc::clone(&site.trust))),
            limits: ServerLimits::default(),
            telemetry: telemetry.clone(),
            shutdown: closing.clone(),
        };
        let live = Arc::new(LiveSite::new(site, shared, closing.clone()));
        let health = Arc::new(Health::default());
        let envoys = Arc::new(ExtAuthz::new(Arc::clone(&live), health, closing.clone()));
        let handler = move |request: Request<RequestBody>, connection: Arc<Connection>| {
            let (live, envoys) = (Arc::clone(&live), Arc::clone(&envoys));
            async move {
                match ExtAuthz::is_check(&request) {
                    true => {
                        let at = CheckListener::Main;
                        envoys.handle(request, connection, at).await
                    }
                    false => live.handle(request, connection).await,
                }
            }
        };
        let door =
            Listeners::bind(&[ListenConfig::without_options(Address::Ip(free))], None).unwrap();
        let address = door.first_ip().unwrap();
        tokio::spawn(door.with_plain_http2().serve(handler, serving));
        let menshen = Self {
            store,
            sessions,
            people,
            audit,
            clock,
            address,
            records,
            telemetry,
            closing,
            app,
            _source: source,
        };
        (menshen, built)
    }

    /// The session cookie of a person who signs in.
    pub(crate) async fn session_cookie_of(&self, userid: &str) -> String {
        let mut browser = Browser::at(self.address);
        let page = browser.sign_in(&format!("{SSO_URL}/echo"), userid).await;
        let cookie = browser.cookie("menshen");
        let cookie = cookie.unwrap_or_else(|| panic!("{}", page.answer.text()));
        cookie.value.clone()
    }
}

impl Drop for WatchedMenshen {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}
