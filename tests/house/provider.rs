//! `Provider`: a simulated OpenID provider on loopback, which a test can inspect and make misbehave.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use jsonwebtoken::Algorithm;
use menshen::clock::{Clock, Timestamp};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::browser::{Browser, Page};
use crate::setup::{NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::tls;
use crate::upstream::{self, TempFolder};
use crate::wire::{self, Answer};

mod authorize;
mod endpoints;
mod keys;
mod misbehavior;
mod people;
mod server;
mod sessions;
mod state;
mod token;

pub(crate) use keys::{Key, compact, merge};
pub(crate) use misbehavior::{EndpointFault, Misbehavior};
pub(crate) use people::PersonHandle;
pub(crate) use state::{ClientAuth, ReceivedRequest, Settings};

use state::{Shared, State};

/// The client ID of menshen at every provider.
pub(crate) const CLIENT_ID: &str = "menshen";
/// The client secret. Contains characters that a form and a header encode differently.
pub(crate) const CLIENT_SECRET: &str = "simulated:secret+of%2Fmenshen&co=é";
/// The path of the issuer URL. Most providers with several realms or tenants have one.
const REALM: &str = "/realms/corp";
/// The event of a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4).
pub(crate) const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// What a key rotation does with the previous key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OldKey {
    Published,
    Removed,
}

/// A running provider. Dropping it closes its socket and every connection.
pub(crate) struct Provider {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Provider {
    /// A provider with its own clock that signs with ES256.
    pub(crate) async fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        Self::start(&clock, Algorithm::ES256).await
    }

    /// A provider with this clock that signs with RS256, ES256 or `EdDSA`.
    pub(crate) async fn start(clock: &Clock, algorithm: Algorithm) -> Self {
        Self::open(clock, algorithm, None).await
    }

    /// A provider over HTTPS, whose certificate is `op.pem` in this folder.
    pub(crate) async fn over_tls(folder: &TempFolder) -> (Self, CertificateDer<'static>) {
        let certificate = tls::write_certificate(folder, "op", &["127.0.0.1"]);
        let key = PrivateKeyDer::from_pem_file(folder.path("op.key")).unwrap();
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let clock = Clock::manual(Timestamp::from_unix_s(1_800_000_000));
        let provider = Self::open(&clock, Algorithm::ES256, Some(acceptor)).await;
        (provider, certificate)
    }

    async fn open(clock: &Clock, algorithm: Algorithm, tls: Option<TlsAcceptor>) -> Self {
        menshen::keys::install_crypto();
        let listener = upstream::bind_listener().await;
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            issuer: format!("{scheme}://{address}{REALM}"),
            clock: clock.clone(),
            state: Mutex::new(State::new(algorithm)),
            down: false.into(),
            streamed: 0.into(),
        });
        let accepting = tokio::spawn(server::accept(listener, tls, Arc::clone(&shared)));
        Self {
            address,
            shared,
            accepting,
        }
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The URL of a path below the issuer: `/token`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The clock of the provider; [`Provider::setup`] gives it to menshen.
    pub(crate) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// `[connector.ID.oidc]` for this provider. Lines that follow it belong to that table.
    pub(crate) fn toml(&self, id: &str) -> String {
        let secret = Value::from(CLIENT_SECRET);
        let issuer = self.issuer();
        format!(
            "[connector.{id}]\nauto_login = \"never\"\n[connector.{id}.oidc]\n\
             issuer = \"{issuer}\"\nclient_id = \"{CLIENT_ID}\"\nclient_secret = {secret}\n"
        )
    }

    /// Like [`Self::toml`], without a client secret.
    pub(crate) fn toml_without_secret(&self, id: &str) -> String {
        let all = self.toml(id);
        let lines = all
            .lines()
            .filter(|line| !line.starts_with("client_secret"));
        lines.fold(String::new(), |text, line| text + line + "\n")
    }

    /// A setup with this provider's clock and this provider as the connector `keycloak`; `lines` are
    /// added to its `oidc` table.
    pub(crate) fn setup(&self, lines: &str) -> Setup {
        let more = format!("{}{lines}\n{NO_LOGIN_LIMITS}", self.toml("keycloak"));
        Setup::default().clock(self.clock()).tables(&more)
    }

    /// Like [`Self::setup`], without the client secret: `lines` say how the client authenticates.
    pub(crate) fn setup_with_client_lines(&self, lines: &str) -> Setup {
        let more = format!(
            "{}{lines}\n{NO_LOGIN_LIMITS}",
            self.toml_without_secret("keycloak")
        );
        Setup::default().clock(self.clock()).tables(&more)
    }

    /// Edits its settings.
    pub(crate) fn set(&self, edit: impl FnOnce(&mut Settings)) {
        edit(&mut self.shared.state().settings);
    }

    /// Switches on a misbehavior until [`Provider::behave`].
    pub(crate) fn misbehave(&self, misbehavior: Misbehavior) {
        self.shared.state().misbehavior.push(misbehavior);
    }

    /// Removes all misbehavior.
    pub(crate) fn behave(&self) {
        self.shared.state().misbehavior.clear();
    }

    /// Simulates an outage: new and existing connections are closed.
    pub(crate) fn start_outage(&self) {
        self.shared.down.store(true, Ordering::SeqCst);
    }

    /// Ends the outage.
    pub(crate) fn end_outage(&self) {
        self.shared.down.store(false, Ordering::SeqCst);
    }

    /// The number of requests to an endpoint: `discovery`, `keys`, `authorize`, `token`, `userinfo`,
    /// `introspect`, `end_session`, or `elsewhere`, the target of redirects that menshen must not follow.
    pub(crate) fn calls(&self, endpoint: &str) -> usize {
        self.shared
            .state()
            .calls
            .get(endpoint)
            .copied()
            .unwrap_or(0)
    }

    /// The number of token requests that redeemed an authorization code, or tried to.
    pub(crate) fn code_grants(&self) -> usize {
        self.calls("code")
    }

    /// The number of token requests that used a refresh token, or tried to.
    pub(crate) fn refresh_grants(&self) -> usize {
        self.calls("refresh")
    }

    /// The number of refresh tokens that were used a second time.
    pub(crate) fn reused_refresh_tokens(&self) -> usize {
        self.calls("refresh used twice")
    }

    /// The last request to an endpoint.
    pub(crate) fn last_request(&self, endpoint: &str) -> ReceivedRequest {
        let state = self.shared.state();
        let request = state.last.get(endpoint);
        request
            .unwrap_or_else(|| panic!("no request to {endpoint}"))
            .clone()
    }

    /// The number of bytes that were read of endless responses.
    pub(crate) fn streamed(&self) -> usize {
        self.shared.streamed.load(Ordering::SeqCst)
    }

    /// All secrets it sent or received, which must appear in no log and on no page.
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.shared.state().secrets.clone()
    }

    /// A handle to edit a person, who is created if there is none with this login name.
    pub(crate) fn person(&self, login: &str) -> PersonHandle<'_> {
        PersonHandle::of(&self.shared, login)
    }

    pub(crate) fn sub(&self, login: &str) -> String {
        people::sub(login)
    }

    /// Sets the person who signs in at a browser without a session.
    pub(crate) fn set_default_user(&self, login: &str) {
        login.clone_into(&mut self.shared.state().default_user);
    }

    /// Starts a session of a person at the provider in this browser, in place of any other.
    pub(crate) fn start_session(&self, browser: &mut Browser, login: &str) {
        let now = self.clock().now();
        let session = self.shared.state().start_session(login, now, "pwd");
        browser.set_cookie("127.0.0.1", &self.cookie_name(), &session);
    }

    /// Ends the provider's session of this browser without a logout message.
    pub(crate) fn end_session_silently(&self, browser: &mut Browser) {
        browser.delete_cookies(&self.cookie_name());
    }

    fn cookie_name(&self) -> String {
        format!("op-{}", self.address.port())
    }

    /// The `sid` of each session of a person at the provider, oldest first.
    pub(crate) fn sids(&self, login: &str) -> Vec<String> {
        self.shared.state().sids(login)
    }

    /// Logs a person in through a connector; returns the last page.
    pub(crate) async fn sign_in(&self, browser: &mut Browser, id: &str, login: &str) -> Page {
        self.start_session(browser, login);
        self.follow_login(browser, &start_url(id)).await
    }

    /// Follows a login from a URL of menshen through the provider to the last page.
    pub(crate) async fn follow_login(&self, browser: &mut Browser, url: &str) -> Page {
        let page = browser.follow(url).await;
        if page.url.starts_with(self.issuer()) && page.answer.text().contains("<form") {
            return browser.submit(&page).await;
        }
        page
    }

    /// Follows a login up to the provider's response; returns the callback URL without visiting it.
    pub(crate) async fn callback_url(
        &self,
        browser: &mut Browser,
        id: &str,
        login: &str,
    ) -> String {
        self.start_session(browser, login);
        let callback = format!("/callback/{id}");
        let page = browser
            .follow_until(&start_url(id), |next| next.contains(&callback))
            .await;
        assert!(
            page.url.contains(&callback),
            "{}: {}",
            page.url,
            page.answer.text()
        );
        page.url
    }

    /// Replaces the signing key with a new one of the same algorithm.
    pub(crate) fn rotate(&self, old_key: OldKey) {
        self.rotate_to(old_key, None);
    }

    /// Like [`Self::rotate`], with a key of another algorithm.
    pub(crate) fn rotate_to(&self, old_key: OldKey, algorithm: Option<Algorithm>) {
        let mut state = self.shared.state();
        let algorithm = algorithm.unwrap_or(state.keys[0].algorithm);
        state.keys.insert(0, Key::generate(algorithm));
        if old_key == OldKey::Removed {
            state.keys.truncate(1);
        }
    }

    /// Removes the PKCE challenges of all codes, as a provider without PKCE.
    pub(crate) fn forget_challenges(&self) {
        let codes = &mut self.shared.state().codes;
        codes.values_mut().for_each(|code| code.challenge = None);
    }

    /// The current signing key.
    pub(crate) fn signing_key(&self) -> Key {
        self.shared.state().keys[0].clone()
    }

    /// Signs claims with the current key. `head` overrides header fields; null removes one.
    pub(crate) fn sign(&self, claims: &Value, head: &Value) -> String {
        self.signing_key().sign(claims, head)
    }

    /// The claims of a JWT access token of this provider, valid for an hour.
    pub(crate) fn access_token_claims(&self, login: &str, audience: &str) -> Value {
        let now = self.clock().now().unix_s();
        json!({
            "iss": self.issuer(), "sub": people::sub(login), "aud": audience,
            "iat": now, "exp": now + 3600, "jti": state::random(),
        })
    }

    /// A valid logout token. `with` overrides claims; null removes one.
    pub(crate) fn logout_token(&self, with: &Value) -> String {
        let now = self.clock().now().unix_s();
        let mut claims = json!({
            "iss": self.issuer(), "aud": CLIENT_ID, "iat": now, "exp": now + 120,
            "jti": state::random(), "events": { LOGOUT_EVENT: {} },
        });
        keys::merge(&mut claims, with);
        self.sign(&claims, &json!({ "typ": "logout+jwt" }))
    }

    /// Posts a logout token to an instance of menshen (back-channel logout).
    pub(crate) async fn post_logout_token(
        &self,
        menshen: SocketAddr,
        id: &str,
        token: &str,
    ) -> Answer {
        let body = server::form(&[("logout_token", token)]);
        let request = format!(
            "POST /.menshen/backchannel-logout/{id} HTTP/1.1\r\nHost: sso.test\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        wire::send(menshen, request.as_bytes()).await
    }

    /// Revokes all tokens of a person, as the end of a session at the provider does.
    pub(crate) fn revoke(&self, login: &str) {
        self.shared.state().revoke(login);
    }
}

/// The URL that starts a login through a connector and returns to `/echo`.
pub(crate) fn start_url(id: &str) -> String {
    format!("{SSO_URL}/.menshen/start?connector={id}&rd=%2Fecho")
}
