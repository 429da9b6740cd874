//! `Fixture`: what all schedules begin with: keys, people and their sessions.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use menshen::clock::{Clock, Timestamp};
use menshen::keys::{self, KeyRing};
use menshen::people::profile::{AuthContext, Mapping, MappingConfig, Profile};
use menshen::people::provider_tokens::ProviderTokens;
use menshen::people::session::{NewLogin, SessionTimeouts};
use menshen::people::{AdmissionPolicy, cookie};
use menshen::secret::Secret;
use menshen::store::{
    Account, AccountId, Admission, ConnectorId, DirectoryFields, SessionKey, SessionOrigin, Subject,
};
use menshen::telemetry::{LogConfig, Telemetry};
use serde_json::json;

use super::database::{Database, IdentityKey};
use super::gated_store::Calls;
use super::node::{Node, RunningNode};

pub(super) const TIMEOUTS: SessionTimeouts = SessionTimeouts {
    lifetime: Duration::from_secs(12 * 3600),
    idle_timeout: Duration::from_secs(2 * 3600),
};
/// When the sessions are minted.
const MINTED_AT: Timestamp = Timestamp::from_unix_s(1_800_000_000);
/// How long access tokens are valid, and how long before the schedule the sessions were minted.
const TOKEN_LIFETIME: Duration = Duration::from_secs(5);
const AGE: Duration = Duration::from_secs(10);

/// The person to whom things happen, and one to whom nothing happens unless everyone is concerned.
pub(super) fn zhang_account() -> AccountId {
    AccountId::new([1; 16])
}

/// The login name of 张三 at the beginning, and at the provider unless an act has another one.
pub(super) const ZHANG_LOGIN: &str = "zhangsan";

fn li_account() -> AccountId {
    AccountId::new([2; 16])
}

/// The sessions at the beginning: two of 张三 by `corp`, the first with tokens that must be refreshed, one of
/// 张三 by `github`, and one of 李四 by `corp`.
pub(super) const FIRST: usize = 0;
pub(super) const SECOND: usize = 1;
pub(super) const OF_OTHER_IDENTITY: usize = 2;

/// The key rings of configurations: the first one, one that signs with another key, and one without the
/// first key.
pub(super) const RINGS: usize = 3;

/// A session, and the cookie of its browser.
#[derive(Clone)]
pub(super) struct KnownSession {
    pub(super) cookie: String,
    pub(super) key: SessionKey,
    pub(super) account: AccountId,
    pub(super) identity: IdentityKey,
}

pub(super) struct Fixture {
    pub(super) rings: [Arc<KeyRing>; RINGS],
    pub(super) telemetry: Telemetry,
    pub(super) database: Database,
    pub(super) sessions: Vec<KnownSession>,
    /// How `corp` admits people.
    pub(super) policy: AdmissionPolicy,
}

pub(super) fn corp() -> ConnectorId {
    "corp".parse().unwrap()
}

pub(super) fn github() -> ConnectorId {
    "github".parse().unwrap()
}

pub(super) fn zhang() -> Subject {
    "zhang".parse().unwrap()
}

/// When a schedule begins.
pub(super) fn start() -> Clock {
    Clock::manual(MINTED_AT.plus(AGE))
}

fn policy(connector: ConnectorId) -> AdmissionPolicy {
    let defaults = [("login", "profile.login"), ("groups", "profile.groups")];
    AdmissionPolicy {
        connector,
        mapping: Mapping::build(&defaults, &MappingConfig::default(), "").unwrap(),
        create: false,
        join: None,
        sync: true,
        link_by: Vec::new(),
    }
}

/// What the provider says of 张三 with a login name and in one group.
pub(super) fn raw_profile(login: &str, group: &str) -> serde_json::Value {
    json!({ "login": login, "groups": [group] })
}

pub(super) fn profile(subject: Subject, login: &str, group: &str) -> Profile {
    Profile {
        subject,
        raw: raw_profile(login, group),
        verified_fields: Vec::new(),
        provider_sid: None,
        auth_context: AuthContext::default(),
        tokens: None,
        response_id: None,
        local_revision: None,
    }
}

/// Tokens that must be refreshed soon after `now`.
pub(super) fn tokens(now: Timestamp) -> ProviderTokens {
    ProviderTokens {
        access: Some(Secret::new("access".to_owned())),
        access_expires_at: Some(now.plus(TOKEN_LIFETIME)),
        refresh: Some(Secret::new("refresh".to_owned())),
        id: None,
    }
}

impl Fixture {
    /// The end of everything that has a limit.
    pub(super) fn end() -> Timestamp {
        MINTED_AT.plus(TIMEOUTS.lifetime)
    }

    /// Prepared once per process.
    pub(super) fn get() -> &'static Self {
        static FIXTURE: OnceLock<Fixture> = OnceLock::new();
        FIXTURE.get_or_init(|| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = runtime.enable_time().build().unwrap();
            runtime.block_on(Self::prepare())
        })
    }

    async fn prepare() -> Self {
        keys::install_crypto();
        let (old, new) = (keys::generate(), keys::generate());
        let first = KeyRing::new(std::slice::from_ref(&old), None).unwrap();
        let both = KeyRing::new(&[new.clone(), old], Some(&first)).unwrap();
        let without = KeyRing::new(&[new], Some(&both)).unwrap();
        let telemetry = Telemetry::writing_to(&LogConfig::default(), Box::new(std::io::sink()));
        let mut fixture = Self {
            rings: [first, both, without].map(Arc::new),
            telemetry,
            database: Database::default(),
            sessions: Vec::new(),
            policy: policy(corp()),
        };
        let mut calls = Calls::default();
        calls.automatic = true;
        for (id, login, connector, subject) in [
            (zhang_account(), ZHANG_LOGIN, corp(), "zhang"),
            (zhang_account(), ZHANG_LOGIN, github(), "zhang3"),
            (li_account(), "lisi", corp(), "li"),
        ] {
            let account = account(id, login);
            let admission = admission(&account, connector, subject);
            calls.database.insert_person(account, &admission);
        }
        let calls = Arc::new(Mutex::new(calls));
        let node = Node::new(0, &calls);
        let clock = Clock::manual(MINTED_AT);
        node.start(&fixture, &clock).await.unwrap();
        for (id, login, connector, subject, sid) in [
            (zhang_account(), ZHANG_LOGIN, corp(), "zhang", Some("first")),
            (
                zhang_account(),
                ZHANG_LOGIN,
                corp(),
                "zhang",
                Some("second"),
            ),
            (zhang_account(), ZHANG_LOGIN, github(), "zhang3", None),
            (li_account(), "lisi", corp(), "li", None),
        ] {
            let login = NewLogin {
                account: account(id, login),
                via: connector,
                subject: subject.parse().unwrap(),
                provider_sid: sid.map(str::to_owned),
                auth_context: AuthContext::default(),
                tokens: (sid == Some("first")).then(|| tokens(MINTED_AT)),
                expires_at: None,
                began_at: MINTED_AT,
                connector_epoch: 0,
                everyone_epoch: 0,
                needs_current_password: false,
                origin: SessionOrigin::default(),
            };
            let session = mint(&node.running().unwrap(), login).await.unwrap();
            fixture.sessions.push(session);
        }
        fixture.database = calls.lock().unwrap().database.clone();
        fixture
    }
}

/// Mints a session; `None` if it is refused.
pub(super) async fn mint(node: &RunningNode, login: NewLogin) -> Option<KnownSession> {
    let (account, identity) = (login.account.id, (login.via.clone(), login.subject.clone()));
    let minted = node
        .sessions
        .mint(&node.ring, login, &TIMEOUTS)
        .await
        .ok()?;
    Some(KnownSession {
        cookie: cookie::sign(&node.ring, &minted.claims),
        key: minted.claims.sid.key(),
        account,
        identity,
    })
}

fn account(id: AccountId, login: &str) -> Account {
    Account {
        id,
        login: login.parse().unwrap(),
        epoch: 0,
        closed: false,
        local: None,
    }
}

fn admission(account: &Account, connector: ConnectorId, subject: &str) -> Admission {
    let policy = policy(connector.clone());
    let raw = raw_profile(ZHANG_LOGIN, "initial");
    let fields = policy.mapping.map(&raw).unwrap().fields;
    Admission {
        connector,
        subject: subject.parse().unwrap(),
        login: account.login.clone(),
        links: Vec::new(),
        vouched: Vec::new(),
        create: false,
        join: None,
        sync: true,
        is_login: true,
        entitlements: serde_json::to_string(&fields).unwrap(),
        fields: DirectoryFields::default(),
        local_revision: None,
        at: MINTED_AT,
    }
}
