//! Login with a portal whose protocol is not public, or that no other kind speaks. The configuration
//! describes the protocol: the page at which a login begins, and the requests that turn the code or ticket
//! of a browser into a person.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::time::timeout;
use url::Url;

use super::reachability::Reachability;
use super::{
    AuthnRequest, AuthnResponse, Challenge, Connector, ConnectorBuildError, ConnectorDeps,
    ConnectorError, Finding, RefusalReason, UnsolicitedProfile, brought,
};
use crate::clock::Clock;
use crate::expression::{self, Document, EvalError, Expression, Scope};
use crate::login::fields::Fields;
use crate::login::pending::Pending;
use crate::outbound::OutboundError;
use crate::people::profile::{Profile, ResponseId};
use crate::store::Subject;
use crate::telemetry::error_chain;
use crate::text;

mod config;
mod error;
mod examine;
mod kind;
mod plan;
mod problems;
mod run;
mod step;
mod variables;

pub(super) use config::NAME as KIND_NAME;
pub use config::{Config, StepConfig, StepMethod};

use config::OWN_STATE_PARAMETER;
use error::{Fault, fault, invalid_response, invalid_result};
use run::StepRunner;
use step::{InvalidExpression, Step, compile, parameter_text};
use variables::{LoginInput, StepAnswer};

/// The time limit of all requests of one login together.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(25);

/// The longest code, in bytes.
const CODE_BYTES_MAX: usize = 8 * 1024;

/// The login protocol of one portal.
#[derive(Debug)]
pub struct Custom {
    config: Config,
    authorize: Option<LoginPage>,
    runner: StepRunner,
    subject: Expression,
    profile: Expression,
    callback: Url,
    /// The URL to which the portal sends people who did not begin a login.
    entry_url: String,
    clock: Clock,
    /// The reachability of the first step. Only browsers request the login page.
    reachability: Reachability,
}

/// The page at which a login begins.
#[derive(Debug)]
struct LoginPage {
    url: Url,
    params: Vec<(String, Expression)>,
}

impl LoginPage {
    fn build(url: &Url, config: &Config) -> Result<Self, InvalidExpression> {
        let params = config.authorize.iter().map(|(name, source)| {
            let key = format!("authorize.{name}");
            Ok((name.clone(), compile(&key, source, Scope::LoginPage)?))
        });
        Ok(Self {
            url: url.clone(),
            params: params.collect::<Result<_, _>>()?,
        })
    }
}

impl From<InvalidExpression> for ConnectorBuildError {
    fn from(error: InvalidExpression) -> Self {
        Self::Setting(text!("custom: {}", "custom：{:#}", error_chain(&error)))
    }
}

impl Custom {
    /// Builds the connector. Reads the secrets; sends no request.
    pub fn build(config: &Config, deps: ConnectorDeps) -> Result<Self, ConnectorBuildError> {
        if let Some(problem) = problems::of(config).into_iter().next() {
            let (key_path, message) = (&problem.key_path, &problem.message);
            let text = text!("{key_path}: {message}", "{key_path}：{message:#}");
            return Err(ConnectorBuildError::Setting(text));
        }
        let mut secrets = Map::new();
        for (name, source) in &config.secrets {
            let secret = source.read().map_err(ConnectorBuildError::Secret)?;
            secrets.insert(name.clone(), secret.expose().as_str().into());
        }
        let reads = plan::reads_of_steps(config).into_iter();
        let steps = config.step.iter().zip(reads).enumerate();
        let steps = steps.map(|(index, (step, reads))| Step::build(step, index, reads));
        let steps = steps.collect::<Result<Vec<_>, _>>()?;
        let Some(first) = config.step.first() else {
            return Err(ConnectorBuildError::Setting(text!(
                "custom.step is empty",
                "custom.step 是空的"
            )));
        };
        let authorize = config.authorize_url.as_ref();
        let authorize = authorize.map(|url| LoginPage::build(url, config));
        let (outbound, clock) = (deps.outbound, deps.clock);
        Ok(Self {
            authorize: authorize.transpose()?,
            subject: compile("subject", &config.subject, Scope::SourceCall)?,
            profile: compile("profile", &config.profile, Scope::SourceCall)?,
            callback: deps.callback,
            entry_url: format!("{}/enter/{}", deps.own_pages_url, deps.id),
            reachability: Reachability::at(&first.url, outbound.clone(), clock.clone()),
            runner: StepRunner::new(
                steps,
                Document::from(&Value::Object(secrets)),
                outbound,
                clock.clone(),
            ),
            clock,
            config: config.clone(),
        })
    }

    /// The address to which the portal returns the browser. It carries the state if the portal returns none.
    fn callback_of(&self, state: &str) -> String {
        let mut callback = self.callback.clone();
        if self.config.state.is_empty() {
            let mut query = callback.query_pairs_mut();
            query.append_pair(OWN_STATE_PARAMETER, state);
        }
        callback.into()
    }

    fn login_page(&self, page: &LoginPage, state: &str) -> Result<Url, ConnectorError> {
        let callback = self.callback_of(state);
        let now = self.clock.now();
        let input = LoginInput::new(("", &Fields::default()), callback, state, now);
        let variables = self.runner.variables(&input, &[]);
        let mut url = page.url.clone();
        for (name, expression) in &page.params {
            let key = || format!("authorize.{name}");
            let misconfigured = |fault_found: Fault| ConnectorError::Misconfigured {
                remedy: text!("correct the expression `{}`", "请改正表达式 `{}`", key()),
                source: fault("the login page", &error_chain(&fault_found).to_string()),
            };
            let value = expression
                .evaluate(&variables)
                .map_err(|source| misconfigured(Fault::NoValue { key: key(), source }))?;
            let text =
                parameter_text(value).map_err(|_| misconfigured(Fault::NotAText { key: key() }))?;
            if let Some(text) = text {
                url.query_pairs_mut().append_pair(name, &text);
            }
        }
        Ok(url)
    }

    /// Runs the steps and reads the person from their answers.
    async fn find_person(&self, input: LoginInput) -> Result<Profile, ConnectorError> {
        let answers = match timeout(LOGIN_TIMEOUT, self.runner.run(&input)).await {
            Ok(Ok(answers)) => answers,
            Ok(Err(error)) => {
                let error = error.into_error();
                if error.is_no_response() {
                    self.reachability.record_failure();
                }
                return Err(error);
            }
            Err(_) => {
                let call = "the whole login";
                return Err(ConnectorError::NoUsableResponse(OutboundError::Timeout {
                    call,
                }));
            }
        };
        self.reachability.record_success();
        self.read_person(&input, &answers)
    }

    fn read_person(
        &self,
        input: &LoginInput,
        answers: &[StepAnswer],
    ) -> Result<Profile, ConnectorError> {
        let variables = self.runner.variables(input, answers);
        let no_value = |key: &str, source: EvalError| {
            let key = key.to_owned();
            invalid_result(&Fault::NoValue { key, source })
        };
        let subject = self.subject.evaluate(&variables);
        let subject = match subject.map_err(|source| no_value("subject", source))? {
            expression::Value::Text(text) if !text.trim().is_empty() => Some(text),
            expression::Value::Int(number) => Some(number.to_string()),
            _ => None,
        };
        let subject = subject.and_then(|text| Subject::try_from(text).ok());
        let subject = subject.ok_or_else(|| {
            let why = "the value of `subject` is not a text or a whole number, or it is empty or too long";
            ConnectorError::InvalidResponse(fault("the result of the steps", why))
        })?;
        let profile = self.profile.evaluate(&variables);
        let profile = profile.map_err(|source| no_value("profile", source))?;
        if !matches!(profile, expression::Value::Map(_)) {
            let why = "the value of `profile` is not an object";
            return Err(ConnectorError::InvalidResponse(fault(
                "the result of the steps",
                why,
            )));
        }
        Ok(Profile::of(subject, profile.into()))
    }

    /// By which a ticket counts once, whether it comes to the entry point or to the callback URL.
    fn once(&self, ticket: &str) -> ResponseId {
        let remembered = self.config.entry_replay.duration();
        ResponseId::of_secret(ticket, self.clock.now().plus(remembered))
    }

    /// The code of a callback. It is missing if the person cancelled.
    fn code<'a>(&self, fields: &'a Fields) -> Result<&'a str, ConnectorError> {
        require_no_repetition(fields)?;
        let code = fields.one(&self.config.code);
        let code = code.map_err(|error| invalid_response(brought::CALLBACK, &error))?;
        let code = code.ok_or_else(|| ConnectorError::Refused {
            why: RefusalReason::Declined,
            source: fault(brought::CALLBACK, "the response has no code"),
        })?;
        if code.is_empty() || code.len() > CODE_BYTES_MAX || code.chars().any(char::is_control) {
            let why = "the code is empty, too long or malformed";
            return Err(ConnectorError::InvalidResponse(fault(
                brought::CALLBACK,
                why,
            )));
        }
        Ok(code)
    }
}

/// Expressions read parameters by name, so that each name must be there once.
fn require_no_repetition(fields: &Fields) -> Result<(), ConnectorError> {
    for (name, _) in fields.iter() {
        fields
            .one(name)
            .map_err(|error| invalid_response(brought::CALLBACK, &error))?;
    }
    Ok(())
}

#[async_trait]
impl Connector for Custom {
    async fn begin(
        &self,
        pending: &Pending,
        _request: &AuthnRequest,
    ) -> Result<Challenge, ConnectorError> {
        let Some(page) = &self.authorize else {
            let why = "only the portal starts logins";
            return Err(ConnectorError::InvalidResponse(fault(
                "the login page",
                why,
            )));
        };
        let reachable = self.reachability.check().await;
        reachable.map_err(ConnectorError::NoUsableResponse)?;
        let url = self.login_page(page, pending.flow.as_str())?;
        Ok(Challenge::Redirect(url))
    }

    async fn redeem_response(
        &self,
        pending: &Pending,
        response: &AuthnResponse,
    ) -> Result<Profile, ConnectorError> {
        let code = self.code(&response.fields)?;
        let state = pending.flow.as_str();
        let now = self.clock.now();
        let callback = self.callback_of(state);
        let input = LoginInput::new((code, &response.fields), callback, state, now);
        Ok(Profile {
            // Without `entry` it is the portal that accepts a code once, as in OAuth 2.
            response_id: self.config.entry.as_ref().map(|_| self.once(code)),
            ..self.find_person(input).await?
        })
    }

    async fn redeem_entry_token(
        &self,
        token: &str,
        response: &AuthnResponse,
    ) -> Result<UnsolicitedProfile, ConnectorError> {
        let fields = &response.fields;
        require_no_repetition(fields)?;
        if token.is_empty() || token.chars().any(char::is_control) {
            let why = "the entry token is missing or malformed";
            return Err(ConnectorError::InvalidResponse(fault(brought::ENTRY, why)));
        }
        let now = self.clock.now();
        let input = LoginInput::new((token, fields), self.callback.to_string(), "", now);
        let once = self.once(token);
        Ok(UnsolicitedProfile {
            profile: self.find_person(input).await?,
            token_id: Some(once.id),
            token_expires_at: once.accepted_until,
        })
    }

    async fn examine(&self) -> Vec<Finding> {
        examine::examine(self).await
    }
}
