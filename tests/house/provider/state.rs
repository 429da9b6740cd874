//! The state of a provider, and its settings.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};

use super::CLIENT_SECRET;
use super::keys::Key;
use super::misbehavior::Misbehavior;
use super::people::{self, Person};
use super::sessions::{AccessToken, Code, Grant, OpSession, RefreshToken};

/// The data that all connections share.
pub(super) struct Shared {
    pub(super) issuer: String,
    pub(super) clock: Clock,
    pub(super) state: Mutex<State>,
    pub(super) down: AtomicBool,
    pub(super) streamed: AtomicUsize,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The settings that a test may change.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How the client must authenticate.
    pub(crate) client_auth: ClientAuth,
    /// Whether a login without PKCE is refused.
    pub(crate) pkce: bool,
    /// Whether authorization responses contain `iss`, and the metadata says so (RFC 9207).
    pub(crate) sends_iss: bool,
    /// Whether ID tokens contain all claims of a person, or only `sub`.
    pub(crate) claims_in_id_token: bool,
    /// Whether userinfo contains all claims of a person, or only `sub`.
    pub(crate) claims_in_userinfo: bool,
    /// Whether access tokens are JWTs.
    pub(crate) access_token_is_jwt: bool,
    /// Whether a refresh token is valid once, and its reuse revokes the grant.
    pub(crate) rotates: bool,
    /// Whether the response to a code contains a refresh token.
    pub(crate) gives_refresh_token: bool,
    /// Whether the response to a refresh contains an ID token.
    pub(crate) refresh_gives_id_token: bool,
    // The lifetimes of codes and tokens, in seconds.
    pub(crate) code_lifetime_s: i64,
    pub(crate) access_token_lifetime_s: i64,
    pub(crate) id_token_lifetime_s: i64,
    pub(crate) refresh_token_lifetime_s: i64,
    /// The supported authentication contexts; the first is the default.
    pub(crate) acrs: Vec<String>,
}

/// How the client must authenticate at the token endpoint.
#[derive(Clone, Debug)]
pub(crate) enum ClientAuth {
    /// With its secret, in the header or in the form.
    SecretInHeaderOrForm,
    /// With its secret in the header.
    SecretInHeader,
    /// With its secret in the form.
    SecretInForm,
    /// With an assertion signed by the private key of this public key (PEM).
    PrivateKey(String),
    /// Without authentication.
    Public,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client_auth: ClientAuth::SecretInHeaderOrForm,
            pkce: true,
            sends_iss: true,
            claims_in_id_token: true,
            claims_in_userinfo: true,
            access_token_is_jwt: false,
            rotates: true,
            gives_refresh_token: true,
            refresh_gives_id_token: true,
            code_lifetime_s: 60,
            access_token_lifetime_s: 300,
            id_token_lifetime_s: 300,
            refresh_token_lifetime_s: 86_400,
            acrs: vec!["pwd".to_owned(), "mfa".to_owned()],
        }
    }
}

/// A request that the provider received.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReceivedRequest {
    pub(crate) query: Vec<(String, String)>,
    pub(crate) form: Vec<(String, String)>,
    pub(crate) authorization: Option<String>,
}

impl ReceivedRequest {
    /// The value of a parameter of the query or the form. Panics if it is repeated.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut all = self
            .query
            .iter()
            .chain(&self.form)
            .filter(|(key, _)| key == name);
        let first = all.next().map(|(_, value)| value.as_str());
        assert!(all.next().is_none(), "{name} is repeated");
        first
    }
}

/// The mutable state of a provider.
pub(super) struct State {
    pub(super) settings: Settings,
    /// The published keys; the first one signs.
    pub(super) keys: Vec<Key>,
    pub(super) people: Vec<Person>,
    pub(super) default_user: String,
    pub(super) sessions: HashMap<String, OpSession>,
    pub(super) codes: HashMap<String, Code>,
    pub(super) grants: Vec<Grant>,
    pub(super) access_tokens: HashMap<String, AccessToken>,
    pub(super) refresh_tokens: HashMap<String, RefreshToken>,
    /// The `sid` of each ID token.
    pub(super) id_tokens: HashMap<String, String>,
    /// The `jti` of client assertions that were used.
    pub(super) used_assertion_ids: Vec<String>,
    pub(super) misbehavior: Vec<Misbehavior>,
    pub(super) calls: BTreeMap<String, usize>,
    pub(super) last: BTreeMap<String, ReceivedRequest>,
    pub(super) secrets: Vec<String>,
}

impl State {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        Self {
            settings: Settings::default(),
            keys: vec![Key::generate(algorithm)],
            people: people::people(),
            default_user: "zhangsan".to_owned(),
            sessions: HashMap::new(),
            codes: HashMap::new(),
            grants: Vec::new(),
            access_tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
            id_tokens: HashMap::new(),
            used_assertion_ids: Vec::new(),
            misbehavior: Vec::new(),
            calls: BTreeMap::new(),
            last: BTreeMap::new(),
            secrets: vec![CLIENT_SECRET.to_owned()],
        }
    }

    pub(super) fn count_call(&mut self, call: &str) {
        *self.calls.entry(call.to_owned()).or_default() += 1;
    }

    /// The index of a person; creates an unknown one.
    pub(super) fn person_index(&mut self, login: &str) -> usize {
        let known = self.people.iter().position(|one| one.login == login);
        known.unwrap_or_else(|| {
            self.people.push(Person::new(login));
            self.people.len() - 1
        })
    }

    pub(super) fn person(&mut self, login: &str) -> &Person {
        let at = self.person_index(login);
        &self.people[at]
    }

    /// Creates a secret, and records it in `secrets`.
    pub(super) fn new_secret(&mut self) -> String {
        let secret = random();
        self.secrets.push(secret.clone());
        secret
    }

    /// Starts a session of a person; returns the value of its cookie.
    pub(super) fn start_session(&mut self, login: &str, now: Timestamp, acr: &str) -> String {
        self.person_index(login);
        let cookie = random();
        let session = OpSession {
            login: login.to_owned(),
            sid: random(),
            authenticated_at: now,
            acr: acr.to_owned(),
        };
        self.sessions.insert(cookie.clone(), session);
        cookie
    }
}

/// 32 random bytes as text.
pub(super) fn random() -> String {
    URL_SAFE_NO_PAD.encode(menshen::keys::random::<32>())
}
