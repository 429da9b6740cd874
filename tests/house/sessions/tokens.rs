//! Tokens of the provider: stored on the server, refreshed before they expire, and forwarded only on routes
//! with `pass_access_token` or `pass_id_token`.

mod ended;
mod kept;
mod outside;
mod refreshed;
mod sent;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use menshen::clock::{Clock, Timestamp};
use menshen::keys::KeyRing;
use menshen::people::cookie;
use menshen::people::profile::{AuthContext, Mapping, MappingConfig, Profile};
use menshen::people::provider_tokens::{
    ProviderTokens, RefreshError, RefreshResponse, TokenRefresh,
};
use menshen::people::session::{
    NewLogin, RefreshTimeouts, RefreshableConnector, Refresher, SessionTimeouts,
};
use menshen::people::{AdmissionPolicy, People};
use menshen::secret::Secret;
use menshen::store::{ConnectorId, Subject};
use serde_json::json;
use tokio::sync::watch;

use super::watched::WatchedMenshen;
use super::{HOUR, eventually};
use crate::setup::Setup;
use crate::test_request::TestRequest;
use crate::wire::Answer;

/// The ID of the session at the provider.
const PROVIDER_SID: &str = "session at the provider";

/// Access tokens are valid for an hour and are refreshed five minutes before they expire.
const LIFETIME: Duration = HOUR;
const REFRESH_DUE_AFTER: Duration = Duration::from_secs(3600 - 300);
const SECOND: Duration = Duration::from_secs(1);

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
pass_access_token = true
pass_id_token = true

[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
strip_path = true
upstream = ["{app}"]
allow = "'财务部' in user.groups"

[[route]]
name = "public"
host = "sso.test"
path = "/public"
strip_path = true
access = "public"
upstream = ["{app}"]
pass_access_token = true
"#;

const TERMS: SessionTimeouts = SessionTimeouts {
    lifetime: Duration::from_secs(12 * 3600),
    idle_timeout: Duration::from_secs(2 * 3600),
};

/// How the provider answers a refresh.
#[derive(Clone, Debug)]
enum ProviderMode {
    Good,
    Gone,
    Unavailable,
    Panics,
    /// The response contains tokens and no profile.
    Silent,
}

/// A provider whose refresh tokens are valid for one refresh each.
#[derive(Debug)]
struct Provider {
    clock: Clock,
    state: Mutex<State>,
    /// The number of refreshes that block, counted from the first one.
    held: watch::Sender<usize>,
    waiting: watch::Sender<usize>,
}

#[derive(Debug)]
struct State {
    mood: ProviderMode,
    lifetime: Duration,
    groups: Vec<&'static str>,
    login: &'static str,
    issued: usize,
    good: HashSet<String>,
    refreshes: usize,
    reused: usize,
}

impl Provider {
    fn new() -> Arc<Self> {
        let state = State {
            mood: ProviderMode::Good,
            lifetime: LIFETIME,
            groups: vec!["财务部"],
            login: "zhangsan",
            issued: 0,
            good: HashSet::new(),
            refreshes: 0,
            reused: 0,
        };
        Arc::new(Self {
            clock: Clock::manual(Timestamp::from_unix_s(1_800_000_000)),
            state: Mutex::new(state),
            held: watch::Sender::new(0),
            waiting: watch::Sender::new(0),
        })
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// The number of refreshes.
    fn refreshes(&self) -> usize {
        self.state.lock().unwrap().refreshes
    }

    /// The number of refreshes with a refresh token that was used before.
    fn reused_refresh_tokens(&self) -> usize {
        self.state.lock().unwrap().reused
    }

    fn issue(&self) -> ProviderTokens {
        let mut state = self.state.lock().unwrap();
        state.issued += 1;
        let (n, ends_at) = (state.issued, self.clock.now().plus(state.lifetime));
        let refresh = format!("refresh-{n}");
        state.good.insert(refresh.clone());
        let id = json!({ "sub": "zhang", "n": n, "exp": ends_at.unix_s() }).to_string();
        ProviderTokens {
            access: Some(Secret::new(format!("access-{n}"))),
            access_expires_at: Some(ends_at),
            refresh: Some(Secret::new(refresh)),
            id: Some(Secret::new(format!(
                "e30.{}.c2ln",
                URL_SAFE_NO_PAD.encode(id)
            ))),
        }
    }

    fn raw(&self) -> serde_json::Value {
        let state = self.state.lock().unwrap();
        json!({ "login": state.login, "groups": state.groups })
    }

    fn block(&self) {
        self.held.send_replace(usize::MAX);
    }

    fn release(&self) {
        self.held.send_replace(0);
    }

    /// Blocks only the first `number` refreshes.
    fn block_first(&self, number: usize) {
        self.held.send_replace(number);
    }

    /// Waits until `number` refreshes have started.
    async fn wait_until_blocked(&self, number: usize) {
        let mut waiting = self.waiting.subscribe();
        let reached = waiting.wait_for(|now| *now >= number);
        let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
        reached.expect("the refreshes start").unwrap();
    }
}

#[async_trait]
impl TokenRefresh for Provider {
    async fn refresh(
        &self,
        subject: &Subject,
        tokens: &ProviderTokens,
    ) -> Result<RefreshResponse, RefreshError> {
        assert_eq!(subject.as_str(), "zhang");
        let (mood, number) = {
            let mut state = self.state.lock().unwrap();
            state.refreshes += 1;
            (state.mood.clone(), state.refreshes)
        };
        self.waiting.send_modify(|number| *number += 1);
        let mut held = self.held.subscribe();
        held.wait_for(|held| *held < number).await.unwrap();
        match mood {
            ProviderMode::Good | ProviderMode::Silent => {}
            ProviderMode::Gone => return Err(RefreshError::Gone("invalid_grant".into())),
            ProviderMode::Unavailable => return Err(RefreshError::Unavailable("no answer".into())),
            ProviderMode::Panics => panic!("a simulated panic of the provider"),
        }
        let refresh = tokens.refresh.as_ref().unwrap().expose();
        if !self.state.lock().unwrap().good.remove(refresh) {
            self.set(|state| state.reused += 1);
            return Err(RefreshError::Gone("the token was used before".into()));
        }
        Ok(RefreshResponse {
            tokens: self.issue(),
            raw: (!matches!(mood, ProviderMode::Silent)).then(|| self.raw()),
            verified_fields: Vec::new(),
        })
    }
}

/// An instance of menshen whose connector `corp` uses the simulated provider.
struct TokenEnv {
    menshen: WatchedMenshen,
    provider: Arc<Provider>,
    ring: Arc<KeyRing>,
    terms: AdmissionPolicy,
}

impl TokenEnv {
    async fn new() -> Self {
        Self::with(&Provider::new(), setup(), RefreshTimeouts::default()).await
    }

    async fn with(provider: &Arc<Provider>, setup: Setup, pace: RefreshTimeouts) -> Self {
        let defaults = [("login", "profile.login"), ("groups", "profile.groups")];
        let terms = AdmissionPolicy {
            connector: corp(),
            mapping: Mapping::build(&defaults, &MappingConfig::default(), "").unwrap(),
            create: true,
            join: None,
            sync: true,
            link_by: Vec::new(),
        };
        let source = Arc::<Provider>::clone(provider);
        let known = RefreshableConnector {
            refresh: source,
            admission: terms.clone(),
        };
        let (menshen, ring) = WatchedMenshen::start_with(setup, |site, shared| {
            let (sessions, ring) = (Arc::clone(&shared.sessions), Arc::clone(&site.ring));
            let telemetry = shared.telemetry.clone();
            site.gate.refresher =
                Refresher::new(sessions, Arc::clone(&ring), telemetry, [known], pace);
            ring
        })
        .await;
        Self {
            menshen,
            provider: Arc::clone(provider),
            ring,
            terms,
        }
    }

    /// Advances the clocks of menshen and of the provider.
    fn advance(&self, by: Duration) {
        self.menshen.clock.advance(by);
        self.provider.clock.advance(by);
    }

    fn people(&self) -> &People {
        &self.menshen.people
    }

    fn profile(&self) -> Profile {
        Profile {
            subject: "zhang".parse().unwrap(),
            raw: self.provider.raw(),
            verified_fields: Vec::new(),
            provider_sid: None,
            auth_context: AuthContext::default(),
            tokens: None,
            response_id: None,
            local_revision: None,
        }
    }

    /// Admits 张三 by a bearer token.
    async fn admit_token_holder(&self) {
        let (people, profile) = (self.people(), self.profile());
        people
            .admit_token_holder(&self.terms, &profile)
            .await
            .unwrap();
    }

    /// The session cookie of a new login of 张三.
    async fn new_session_cookie(&self) -> String {
        self.session_cookie_with_tokens(Some(self.provider.issue()))
            .await
    }

    async fn session_cookie_with_tokens(&self, tokens: Option<ProviderTokens>) -> String {
        let (sessions, now) = (&self.menshen.sessions, self.menshen.clock.now());
        let profile = self.profile();
        let (account, _) = self.people().admit(&self.terms, &profile).await.unwrap();
        let subject = profile.subject;
        let (connector_epoch, everyone_epoch) = sessions.epochs_of(&corp());
        let login = NewLogin {
            account,
            via: corp(),
            subject,
            provider_sid: Some(PROVIDER_SID.to_owned()),
            auth_context: AuthContext::default(),
            tokens,
            expires_at: None,
            origin: Default::default(),
            began_at: now,
            connector_epoch,
            everyone_epoch,
            needs_current_password: false,
        };
        let minting = sessions.mint(&self.ring, login, &TERMS).await.unwrap();
        cookie::sign(&self.ring, &minting.claims)
    }

    async fn ask(&self, path: &str, cookie: &str) -> Answer {
        let ask = TestRequest::get(path).session(cookie);
        ask.send_to(self.menshen.address).await
    }

    /// The access token that the application receives.
    async fn forwarded_access_token(&self, cookie: &str) -> Option<String> {
        access_token_in(&self.ask("/echo", cookie).await)
    }

    /// Starts `number` requests at once.
    fn concurrent_requests(
        &self,
        number: usize,
        path: &str,
        cookie: &str,
    ) -> Vec<tokio::task::JoinHandle<Answer>> {
        let (ask, address) = (TestRequest::get(path).session(cookie), self.menshen.address);
        let one = |_| {
            let ask = ask.clone();
            tokio::spawn(async move { ask.send_to(address).await })
        };
        (0..number).map(one).collect()
    }

    /// The number of refreshes with this outcome.
    fn refresh_count(&self, outcome: &str) -> u64 {
        let line = format!("menshen_refreshes_total{{connector=\"corp\",outcome=\"{outcome}\"}} ");
        let page = self.menshen.telemetry.render();
        let count = page.lines().find_map(|it| it.strip_prefix(&line));
        count.map_or(0, |count| count.parse().unwrap())
    }

    fn audit(&self, event: &str) -> Vec<serde_json::Value> {
        self.menshen.telemetry.flush();
        let lines = self.menshen.records.audit();
        lines
            .into_iter()
            .filter(|line| line["event"] == event)
            .collect()
    }

    /// Waits until `number` refreshes had this outcome.
    async fn wait_for_outcome(&self, outcome: &str, number: u64) {
        eventually(outcome, async || self.refresh_count(outcome) >= number).await;
    }
}

fn setup() -> Setup {
    Setup::default().routes(ROUTES)
}

fn corp() -> ConnectorId {
    "corp".parse().unwrap()
}

fn access_token_in(answer: &Answer) -> Option<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut values = answer.echoed("x-forwarded-access-token");
    assert!(values.len() < 2, "{values:?}");
    values.pop()
}

/// The access token that the provider issues in its `n`th response, from 1.
fn access_token(n: usize) -> Option<String> {
    Some(format!("access-{n}"))
}
