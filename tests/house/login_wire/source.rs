//! `Source`: proves whoever it is told to prove, and speaks as a test wants it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use menshen::login::connector::{
    Answer, AnswerPath, Ask, BuildError, Callback, Challenge, Connector, ConnectorConfig,
    ConnectorError, Deps, Features, Finding, Kind, Problem, Refusal, RefusedWhy,
};
use menshen::login::pending::Pending;
use menshen::people::profile::{Profile, Proof};
use menshen::secret::SecretSource;
use menshen::setting::Place;
use url::Url;

/// A source of the test's own. Clones are one.
#[derive(Clone, Debug)]
pub(super) struct Source(Arc<State>);

#[derive(Debug)]
struct State {
    callback: Callback,
    asked: Mutex<Vec<String>>,
}

impl Source {
    /// One that sends people back in this way, with the name of the person in `assertion`.
    pub(super) fn returning(callback: Callback) -> Self {
        Self(Arc::new(State {
            callback,
            asked: Mutex::default(),
        }))
    }

    /// As a kind of connector.
    pub(super) fn provided(&self) -> Arc<dyn Kind> {
        Arc::new(self.clone())
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

fn refusal(message: &str) -> Refusal {
    Refusal {
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
        facts: Proof::default(),
        tokens: None,
    }
}

impl Kind for Source {
    fn name(&self) -> &'static str {
        "test"
    }

    fn secrets(&self) -> Vec<(Place<'_>, &SecretSource)> {
        Vec::new()
    }

    fn problems(&self, _connector: &ConnectorConfig, _external_url: &Url) -> Vec<Problem<'_>> {
        Vec::new()
    }

    fn warnings(&self) -> Vec<(Place<'_>, String)> {
        Vec::new()
    }

    fn features(&self) -> Features {
        Features {
            mapping: &[("login", "profile.login"), ("name", "profile.name")],
            answer_path: AnswerPath::Callback(self.0.callback.clone()),
            ..Features::default()
        }
    }

    fn build(&self, _deps: Deps) -> Result<Arc<dyn Connector>, BuildError> {
        Ok(Arc::new(self.clone()))
    }
}

#[async_trait]
impl Connector for Source {
    async fn begin(&self, pending: &Pending, _ask: &Ask) -> Result<Challenge, ConnectorError> {
        let mut url = Url::parse("http://idp.test/login").expect("an address");
        url.query_pairs_mut()
            .append_pair("flow", pending.flow.as_str());
        Ok(Challenge::Redirect(url))
    }

    async fn finish(&self, _pending: &Pending, answer: &Answer) -> Result<Profile, ConnectorError> {
        let refused = |message: &str| ConnectorError::Refused {
            why: RefusedWhy::BadAnswer,
            source: refusal(message),
        };
        let name = answer.fields.one("assertion").ok().flatten();
        let name = name.ok_or_else(|| refused("no assertion"))?;
        self.note(name);
        match name {
            "wrong" => Err(refused("it proves nothing")),
            name => Ok(profile(name)),
        }
    }

    async fn examine(&self) -> Vec<Finding> {
        Vec::new()
    }
}
