//! `Step`: one request of a login, with compiled expressions.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use url::Url;

use super::config::{StepConfig, StepMethod};
use super::error::{Fault, StepError};
use super::plan::StepReads;
use crate::expression::{self, CompileError, EvalError, Expression, Scope, Variables};
use crate::outbound::{JsonRequest, OutboundCall, RequestBody};
use crate::text;
use crate::wording::{Text, error_of_text};

/// The most steps of a login.
pub(super) const STEPS_MAX: usize = 8;

/// The names of the steps in errors of the HTTP client, by their number.
const CALLS: [&str; STEPS_MAX] = [
    "step 1", "step 2", "step 3", "step 4", "step 5", "step 6", "step 7", "step 8",
];

/// One request.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: String,
    /// "step 1" …
    pub(super) call: &'static str,
    /// What it reads of the person and of other steps.
    pub(super) reads: StepReads,
    url: Url,
    query: Vec<(String, Expression)>,
    headers: Vec<(HeaderName, Expression)>,
    body: StepBody,
    success: Option<Expression>,
    pub(super) cache: Option<Expression>,
}

#[derive(Debug)]
enum StepBody {
    Get,
    Post,
    Json(Expression),
    Form(Vec<(String, Expression)>),
}

/// An expression that does not compile.
#[derive(Debug)]
pub(super) struct InvalidExpression {
    pub(super) key: String,
    source: CompileError,
}

impl InvalidExpression {
    fn text(&self) -> Text {
        let Self { key, .. } = self;
        text!("{key} does not compile", "{key} 无法编译")
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

error_of_text!(InvalidExpression, caused);

/// The name of a step in errors, by its index.
pub(super) fn call_name(index: usize) -> &'static str {
    CALLS.get(index).copied().unwrap_or("a step")
}

pub(super) fn compile(
    key: &str,
    source: &str,
    scope: Scope,
) -> Result<Expression, InvalidExpression> {
    Expression::compile(source, scope).map_err(|source| InvalidExpression {
        key: key.to_owned(),
        source,
    })
}

impl Step {
    /// Compiles the step with this index. The kind has checked the settings, so a header with an invalid name
    /// does not occur; it would be left out.
    pub(super) fn build(
        config: &StepConfig,
        index: usize,
        reads: StepReads,
    ) -> Result<Self, InvalidExpression> {
        let name = &config.name;
        let one = |key: &str, source: &String, scope| {
            compile(&format!("step {name}: {key}"), source, scope)
        };
        let all = |key: &str, sources: &std::collections::BTreeMap<String, String>| {
            let compiled = sources.iter().map(|(field, source)| {
                let key = format!("{key}.{field}");
                Ok((field.clone(), one(&key, source, Scope::SourceCall)?))
            });
            compiled.collect::<Result<Vec<_>, _>>()
        };
        let body = match (config.method, &config.json, &config.form) {
            (StepMethod::Get, ..) => StepBody::Get,
            (StepMethod::Post, Some(json), _) => {
                StepBody::Json(one("json", json, Scope::SourceCall)?)
            }
            (StepMethod::Post, None, Some(form)) => StepBody::Form(all("form", form)?),
            (StepMethod::Post, None, None) => StepBody::Post,
        };
        let headers = all("headers", &config.headers)?.into_iter();
        let answer = |key, source: &Option<String>| {
            let source = source.as_ref();
            let compiled = source.map(|source| one(key, source, Scope::SourceAnswer));
            compiled.transpose()
        };
        Ok(Self {
            name: name.clone(),
            call: call_name(index),
            reads,
            url: config.url.clone(),
            query: all("query", &config.query)?,
            headers: headers
                .filter_map(|(name, value)| Some((name.parse().ok()?, value)))
                .collect(),
            body,
            success: answer("success", &config.success)?,
            cache: answer("cache", &config.cache)?,
        })
    }

    /// Whether all logins share its answers.
    pub(super) fn is_cached(&self) -> bool {
        self.cache.is_some()
    }

    /// What is redeemed may be redeemed once, so only a shared answer is asked for again.
    pub(super) fn outbound_call(&self) -> OutboundCall {
        match self.reads.is_personal {
            true => OutboundCall::once(self.call),
            false => OutboundCall::repeatable(self.call),
        }
    }

    /// The request with the values of all expressions.
    pub(super) fn request(&self, variables: &dyn Variables) -> Result<JsonRequest<'_>, StepError> {
        let pairs = |key: &str, pairs: &[(String, Expression)]| {
            let mut found = Vec::with_capacity(pairs.len());
            for (name, expression) in pairs {
                let key = || format!("{key}.{name}");
                if let Some(text) = self.text(key, expression, variables)? {
                    found.push((name.clone(), text));
                }
            }
            Ok::<_, StepError>(found)
        };
        let mut headers = HeaderMap::new();
        for (name, expression) in &self.headers {
            let key = || format!("headers.{name}");
            if let Some(text) = self.text(key, expression, variables)? {
                let value = HeaderValue::try_from(text)
                    .map_err(|_| self.error(Fault::NotAHeader { key: key() }))?;
                headers.insert(name, value);
            }
        }
        let body = match &self.body {
            StepBody::Get => RequestBody::Get,
            StepBody::Post => RequestBody::Form(Vec::new()),
            StepBody::Form(form) => RequestBody::Form(pairs("form", form)?),
            StepBody::Json(expression) => {
                let value = expression.evaluate(variables);
                let value = value.map_err(|source| self.no_value("json", source))?;
                RequestBody::Json(Value::from(value))
            }
        };
        Ok(JsonRequest {
            query: pairs("query", &self.query)?,
            headers,
            body,
            ..JsonRequest::get(&self.url)
        })
    }

    /// Checks `success` over an answer.
    pub(super) fn check_success(&self, variables: &dyn Variables) -> Result<(), StepError> {
        let Some(success) = &self.success else {
            return Ok(());
        };
        match success.evaluate_bool(variables) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.error(Fault::NotSuccessful)),
            Err(source) => Err(self.no_value("success", source)),
        }
    }

    pub(super) fn error(&self, fault: Fault) -> StepError {
        StepError {
            step: self.name.clone(),
            call: self.call,
            reads: self.reads.clone(),
            fault: Box::new(fault),
            kept_until: None,
        }
    }

    pub(super) fn no_value(&self, key: &str, source: EvalError) -> StepError {
        let key = key.to_owned();
        self.error(Fault::NoValue { key, source })
    }

    fn text(
        &self,
        key: impl Fn() -> String,
        expression: &Expression,
        variables: &dyn Variables,
    ) -> Result<Option<String>, StepError> {
        let value = expression.evaluate(variables);
        let value = value.map_err(|source| self.no_value(&key(), source))?;
        parameter_text(value).map_err(|NotAText| self.error(Fault::NotAText { key: key() }))
    }
}

/// The value of a parameter is a list or an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotAText;

/// The text of a parameter; `None` for a null.
pub(super) fn parameter_text(value: expression::Value) -> Result<Option<String>, NotAText> {
    match value {
        expression::Value::Null => Ok(None),
        expression::Value::Text(text) => Ok(Some(text)),
        expression::Value::Int(number) => Ok(Some(number.to_string())),
        expression::Value::Bool(boolean) => Ok(Some(boolean.to_string())),
        expression::Value::Float(_) | expression::Value::List(_) | expression::Value::Map(_) => {
            Err(NotAText)
        }
    }
}
