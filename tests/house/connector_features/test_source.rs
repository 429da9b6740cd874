//! `TestSource`: a connector for any login method. It accepts every person whom a response, a password or
//! a ticket names, and records what it receives.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use menshen::clock::Timestamp;
use menshen::login::connector::credentials::PasswordCredentials;
use menshen::login::connector::{
    AuthnRequest, AuthnResponse, Callback, Challenge, Connector, ConnectorBuildError,
    ConnectorConfig, ConnectorDeps, ConnectorError, EntryPlace, EntryPoint, Features, Finding,
    Kind, LoginMethod, RefusalReason, SettingProblem, SourceRefusal, UnsolicitedProfile,
};
use menshen::login::fields::Fields;
use menshen::login::pending::Pending;
use menshen::people::profile::{AuthContext, Profile};
use menshen::secret::SecretSource;
use menshen::setting::KeyPath;
use url::Url;

/// Clones share one state.
#[derive(Clone, Debug)]
pub(crate) struct TestSource(Arc<State>, Vec<PathBuf>);

#[derive(Debug)]
struct State {
    sign_in_by: SignInBy,
    received: Mutex<Vec<String>>,
    password: Mutex<String>,
    builds: AtomicUsize,
}

/// How people sign in.
#[derive(Debug)]
enum SignInBy {
    /// By a redirect to the provider and a callback.
    Redirect(Callback),
    /// By a form post to the provider and a callback.
    Post(Callback),
    /// With menshen's password form.
    Form,
    /// With a ticket in the parameter `ticket`, from these origins.
    Entry(Vec<Url>),
}

/// The password of every person.
pub(super) const PASSWORD: &str = "right 密码 <horse>";

impl TestSource {
    /// A provider with this callback; `assertion` names the person.
    pub(super) fn with_callback(callback: Callback) -> Self {
        Self::new(SignInBy::Redirect(callback))
    }

    /// By a form post to the provider and a callback.
    pub(super) fn with_form_post(callback: Callback) -> Self {
        Self::new(SignInBy::Post(callback))
    }

    /// A source where every person has the password [`PASSWORD`].
    pub(super) fn with_passwords() -> Self {
        Self::new(SignInBy::Form)
    }

    /// A portal that issues tickets: `lisi.1` is a ticket for lisi.
    pub(crate) fn with_tickets(origins: &[&str]) -> Self {
        let origins = origins
            .iter()
            .map(|text| Url::parse(text).expect("an origin"));
        Self::new(SignInBy::Entry(origins.collect()))
    }

    fn new(sign_in_by: SignInBy) -> Self {
        let state = State {
            sign_in_by,
            received: Mutex::default(),
            password: Mutex::new(PASSWORD.to_owned()),
            builds: AtomicUsize::new(0),
        };
        Self(Arc::new(state), Vec::new())
    }

    /// The same source with files that it reads.
    pub(super) fn with_files(self, files: Vec<PathBuf>) -> Self {
        Self(self.0, files)
    }

    /// How often a connector was built.
    pub(super) fn builds(&self) -> usize {
        self.0.builds.load(Ordering::Relaxed)
    }

    pub(crate) fn kind(&self) -> Arc<dyn Kind> {
        Arc::new(self.clone())
    }

    /// Changes the password of every person.
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

    /// Every person, login name or ticket that it received, oldest first.
    pub(super) fn received(&self) -> Vec<String> {
        let received = self.0.received.lock();
        received.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record(&self, what: &str) {
        let received = self.0.received.lock();
        let mut received = received.unwrap_or_else(PoisonError::into_inner);
        received.push(what.to_owned());
    }
}

fn refusal(message: &str) -> SourceRefusal {
    SourceRefusal {
        call: "test",
        code: 0,
        message: message.to_owned(),
    }
}

fn profile(person: &str) -> Profile {
    Profile {
        subject: person.parse().expect("a subject"),
        raw: serde_json::json!({ "login": person, "name": person.to_uppercase() }),
        verified_fields: Vec::new(),
        provider_sid: None,
        auth_context: AuthContext::default(),
        tokens: None,
        response_id: None,
        local_revision: None,
    }
}

/// The profile of a person whose name or session ID exceeds the size of a cookie.
fn oversized(person: &str) -> Option<Profile> {
    let long = "L".repeat(6_000);
    let mut profile = profile(person);
    match person {
        "longname" => profile.raw = serde_json::json!({ "login": person, "name": long }),
        "longsid" => profile.provider_sid = Some(long),
        _ => return None,
    }
    Some(profile)
}

impl Kind for TestSource {
    fn name(&self) -> &'static str {
        "test"
    }

    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        Vec::new()
    }

    fn files(&self) -> Vec<(KeyPath<'_>, &Path)> {
        let files = self.1.iter();
        files
            .map(|path| (KeyPath::of(["test", "file"]), path.as_path()))
            .collect()
    }

    fn problems(
        &self,
        _connector: &ConnectorConfig,
        _external_url: &Url,
    ) -> Vec<SettingProblem<'_>> {
        Vec::new()
    }

    fn warnings(&self) -> Vec<(KeyPath<'_>, menshen::wording::Text)> {
        Vec::new()
    }

    fn features(&self) -> Features {
        Features {
            mapping: &[("login", "profile.login"), ("name", "profile.name")],
            login_method: match &self.0.sign_in_by {
                SignInBy::Redirect(callback) | SignInBy::Post(callback) => {
                    LoginMethod::Callback(callback.clone())
                }
                SignInBy::Form => LoginMethod::PasswordForm,
                SignInBy::Entry(_) => LoginMethod::EntryOnly,
            },
            entry_point: match &self.0.sign_in_by {
                SignInBy::Entry(origins) => Some(EntryPoint {
                    parameter: "ticket".into(),
                    origins: origins.clone(),
                    on_routes: false,
                    place: EntryPlace::Enter,
                }),
                _ => None,
            },
            ..Features::default()
        }
    }

    fn build(&self, _deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError> {
        self.0.builds.fetch_add(1, Ordering::Relaxed);
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
        Ok(match &self.0.sign_in_by {
            SignInBy::Redirect(_) => Challenge::Redirect(url),
            SignInBy::Post(_) => Challenge::Post {
                to: Url::parse("https://idp.test/sso?a=b&c=d").expect("an address"),
                fields: Fields::new(vec![
                    ("SAMLRequest".to_owned(), "PHg+\"<b>'</b>".to_owned()),
                    ("RelayState".to_owned(), pending.flow.to_string()),
                    ("submit".to_owned(), "yes".to_owned()),
                ]),
            },
            SignInBy::Form | SignInBy::Entry(_) => Challenge::PasswordForm,
        })
    }

    async fn redeem_response(
        &self,
        _pending: &Pending,
        answer: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let invalid = |message: &str| ConnectorError::InvalidResponse(refusal(message));
        if let SignInBy::Form = self.0.sign_in_by {
            let typed = PasswordCredentials::of(&answer.fields)?;
            self.record(typed.login);
            return match (typed.login, typed.password) {
                ("away", _) => Err(ConnectorError::Busy(refusal("busy"))),
                (person, password) if self.accepts(password) => Ok(profile(person)),
                _ => Err(ConnectorError::Refused {
                    why: RefusalReason::WrongPassword,
                    source: refusal("wrong"),
                }),
            };
        }
        let person = answer.fields.one("assertion").ok().flatten();
        let person = person.ok_or_else(|| invalid("no assertion"))?;
        self.record(person);
        match person {
            "wrong" => Err(invalid("it proves nothing")),
            person => Ok(profile(person)),
        }
    }

    async fn redeem_entry_token(
        &self,
        ticket: &str,
        answer: &AuthnResponse,
    ) -> Result<UnsolicitedProfile, ConnectorError> {
        assert_eq!(answer.fields.one("ticket").unwrap(), Some(ticket));
        self.record(ticket);
        let (person, id) = ticket.split_once('.').unwrap_or((ticket, ""));
        match person {
            "wrong" => Err(ConnectorError::InvalidResponse(refusal(
                "it is signed by nobody",
            ))),
            "away" => Err(ConnectorError::Busy(refusal("busy"))),
            person => Ok(UnsolicitedProfile {
                profile: oversized(person).unwrap_or_else(|| profile(person)),
                token_id: id.strip_prefix("id-").map(|id| id[..1].to_owned()),
                token_expires_at: Timestamp::from_unix_s(1_800_000_000 + 3_600),
            }),
        }
    }

    async fn examine(&self) -> Vec<Finding> {
        Vec::new()
    }
}
