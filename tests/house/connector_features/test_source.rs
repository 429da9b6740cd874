//! `TestSource`: proves whoever it is told to prove, and speaks as a test wants it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use menshen::clock::Timestamp;
use menshen::login::connector::{
    AuthnRequest, AuthnResponse, Callback, Challenge, Connector, ConnectorBuildError,
    ConnectorConfig, ConnectorDeps, ConnectorError, EntryPoint, Features, Finding, Kind,
    LoginMethod, RefusalReason, SettingProblem, SourceRefusal, UnsolicitedProfile,
};
use menshen::login::credentials::PasswordCredentials;
use menshen::login::fields::Fields;
use menshen::login::pending::Pending;
use menshen::people::profile::{AuthContext, Profile};
use menshen::secret::SecretSource;
use menshen::setting::Place;
use url::Url;

/// A source of the test's own. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct TestSource(Arc<State>);

#[derive(Debug)]
struct State {
    way: Way,
    asked: Mutex<Vec<String>>,
    password: Mutex<String>,
}

/// How a login goes.
#[derive(Debug)]
enum Way {
    /// Through the source's page and back.
    Redirect(Callback),
    /// The same, but the source wants its request by a form.
    Post(Callback),
    /// Through our form.
    Form,
    /// Only with a ticket in the parameter `ticket`, from pages of these origins.
    Entry(Vec<Url>),
}

/// Everybody's password.
pub(super) const PASSWORD: &str = "right 密码 <horse>";

impl TestSource {
    /// One that sends people back in this way, with the name of the person in `assertion`.
    pub(super) fn returning(callback: Callback) -> Self {
        Self::going(Way::Redirect(callback))
    }

    /// The same for one that wants its request by a form.
    pub(super) fn posted_to(callback: Callback) -> Self {
        Self::going(Way::Post(callback))
    }

    /// One that knows everybody by [`PASSWORD`].
    pub(super) fn with_passwords() -> Self {
        Self::going(Way::Form)
    }

    /// One that sends people here with a ticket: `lisi.1` is one for lisi.
    pub(crate) fn with_tickets(origins: &[&str]) -> Self {
        let origins = origins
            .iter()
            .map(|text| Url::parse(text).expect("an origin"));
        Self::going(Way::Entry(origins.collect()))
    }

    fn going(way: Way) -> Self {
        Self(Arc::new(State {
            way,
            asked: Mutex::default(),
            password: Mutex::new(PASSWORD.to_owned()),
        }))
    }

    /// As a kind of connector.
    pub(crate) fn provided(&self) -> Arc<dyn Kind> {
        Arc::new(self.clone())
    }

    /// Changes everybody's password.
    pub(super) fn change_password(&self, password: &str) {
        let mut current = self
            .0
            .password
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        password.clone_into(&mut current);
    }

    fn accepts(&self, password: &str) -> bool {
        let current = self.0.password.lock();
        *current.unwrap_or_else(PoisonError::into_inner) == password
    }

    /// Everything it was asked about, oldest first.
    pub(super) fn asked(&self) -> Vec<String> {
        let asked = self.0.asked.lock();
        asked.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, what: &str) {
        let asked = self.0.asked.lock();
        let mut asked = asked.unwrap_or_else(PoisonError::into_inner);
        asked.push(what.to_owned());
    }
}

fn refusal(message: &str) -> SourceRefusal {
    SourceRefusal {
        call: "test",
        code: 0,
        message: message.to_owned(),
    }
}

fn profile(name: &str) -> Profile {
    Profile {
        subject: name.parse().expect("a subject"),
        raw: serde_json::json!({ "login": name, "name": name.to_uppercase() }),
        vouched: Vec::new(),
        provider_sid: None,
        auth_context: AuthContext::default(),
        tokens: None,
    }
}

/// The profile of a person of whom the source says more than a cookie can hold.
fn oversized(name: &str) -> Option<Profile> {
    let long = "L".repeat(6_000);
    let mut profile = profile(name);
    match name {
        "longname" => profile.raw = serde_json::json!({ "login": name, "name": long }),
        "longsid" => profile.provider_sid = Some(long),
        _ => return None,
    }
    Some(profile)
}

impl Kind for TestSource {
    fn name(&self) -> &'static str {
        "test"
    }

    fn secrets(&self) -> Vec<(Place<'_>, &SecretSource)> {
        Vec::new()
    }

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        Vec::new()
    }

    fn warnings(&self) -> Vec<(Place<'_>, String)> {
        Vec::new()
    }

    fn features(&self) -> Features {
        Features {
            mapping: &[("login", "profile.login"), ("name", "profile.name")],
            login_method: match &self.0.way {
                Way::Redirect(callback) | Way::Post(callback) => {
                    LoginMethod::Callback(callback.clone())
                }
                Way::Form => LoginMethod::PasswordForm,
                Way::Entry(_) => LoginMethod::EntryOnly,
            },
            entry_point: match &self.0.way {
                Way::Entry(origins) => Some(EntryPoint {
                    parameter: "ticket".into(),
                    origins: origins.clone(),
                }),
                _ => None,
            },
            ..Features::default()
        }
    }

    fn build(&self, _deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Connector for TestSource {
    async fn begin(
        &self,
        pending: &Pending,
        _ask: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        let mut url = Url::parse("http://idp.test/login").expect("an address");
        url.query_pairs_mut()
            .append_pair("flow", pending.flow.as_str());
        Ok(match &self.0.way {
            Way::Redirect(_) => Challenge::Redirect(url),
            Way::Post(_) => Challenge::Post {
                to: Url::parse("https://idp.test/sso?a=b&c=d").expect("an address"),
                fields: Fields::new(vec![
                    ("SAMLRequest".to_owned(), "PHg+\"<b>'</b>".to_owned()),
                    ("RelayState".to_owned(), pending.flow.to_string()),
                    ("submit".to_owned(), "yes".to_owned()),
                ]),
            },
            Way::Form | Way::Entry(_) => Challenge::PasswordForm,
        })
    }

    async fn finish(
        &self,
        _pending: &Pending,
        answer: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let refused = |message: &str| ConnectorError::Refused {
            why: RefusalReason::BadAnswer,
            source: refusal(message),
        };
        if let Way::Form = self.0.way {
            let typed = PasswordCredentials::of(&answer.fields)?;
            self.note(typed.login);
            return match (typed.login, typed.password) {
                ("away", _) => Err(ConnectorError::Busy(refusal("busy"))),
                (name, password) if self.accepts(password) => Ok(profile(name)),
                _ => Err(ConnectorError::Refused {
                    why: RefusalReason::WrongPassword,
                    source: refusal("wrong"),
                }),
            };
        }
        let name = answer.fields.one("assertion").ok().flatten();
        let name = name.ok_or_else(|| refused("no assertion"))?;
        self.note(name);
        match name {
            "wrong" => Err(refused("it proves nothing")),
            name => Ok(profile(name)),
        }
    }

    async fn redeem_entry_token(
        &self,
        answer: &AuthnResponse,
    ) -> Result<UnsolicitedProfile, ConnectorError> {
        let ticket = answer.fields.one("ticket").ok().flatten();
        let ticket = ticket.expect("one ticket");
        self.note(ticket);
        let (name, id) = ticket.split_once('.').unwrap_or((ticket, ""));
        match name {
            "wrong" => Err(ConnectorError::Refused {
                why: RefusalReason::BadAnswer,
                source: refusal("it is signed by nobody"),
            }),
            "away" => Err(ConnectorError::Busy(refusal("busy"))),
            name => Ok(UnsolicitedProfile {
                profile: oversized(name).unwrap_or_else(|| profile(name)),
                token_id: id.strip_prefix("id-").map(|id| id[..1].to_owned()),
                token_expires_at: Timestamp::from_unix_s(1_800_000_000 + 3_600),
            }),
        }
    }

    async fn examine(&self) -> Vec<Finding> {
        Vec::new()
    }
}
