//! `Profile`: what a source says of a person. `Mapping`: how that becomes an account.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::expression::{
    CompileError, Document, EvalError, Expression, Scope, Value, Variable, Variables,
};
use crate::store::{IdError, LinkField, LoginName, Subject};

use super::source::Tokens;

/// What a source says of a person at one login.
#[derive(Clone)]
pub struct Profile {
    /// The source's name for the person; with the connector's id it identifies them.
    pub subject: Subject,
    /// The source's own answer, whole.
    pub raw: serde_json::Value,
    /// Fields the source vouches for; none that the person can edit.
    pub vouched: Vec<(LinkField, String)>,
    /// The session's name at the provider.
    pub provider_sid: Option<String>,
    /// What the login proved besides.
    pub auth_context: AuthContext,
    /// The tokens of the source, if it has any.
    pub tokens: Option<Tokens>,
}

/// What a login proved besides who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthContext {
    /// Authentication context class, as the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// Authentication methods.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// When the person last authenticated at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Timestamp>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// The fields whose names are fixed; any other name becomes `user.attributes.<name>`.
const FIXED_FIELDS: [&str; 14] = [
    "login",
    "name",
    "email",
    "mobile",
    "groups",
    "roles",
    "departments",
    "department_paths",
    "department_ids",
    "orgs",
    "tenant_code",
    "tenant_name",
    "platform",
    "session_expires",
];

/// `[connector.ID.mapping]`: field = CEL over `profile`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MappingConfig(pub BTreeMap<String, String>);

/// One field's expression does not compile.
#[derive(Debug, thiserror::Error)]
#[error("the mapping of `{field}` does not compile")]
pub struct MappingCompileError {
    /// Which field.
    pub field: String,
    /// Why.
    #[source]
    pub source: CompileError,
}

/// Why a profile gives no account.
#[derive(Debug, thiserror::Error)]
pub enum ProfileMappingError {
    /// A field's expression failed.
    #[error("map the field `{field}`")]
    Field {
        /// Which field.
        field: String,
        /// Why.
        #[source]
        source: EvalError,
    },
    /// The source sent no value for the login.
    #[error("the profile has no login: map `login` to a field the source sends")]
    NoLogin,
    /// The mapped value cannot be a login.
    #[error("the mapped login cannot be used")]
    BadLogin(#[source] IdError),
}

/// A connector's mapping: the defaults of its kind with the configuration's own on top.
#[derive(Clone, Debug)]
pub struct Mapping {
    fields: Vec<(String, Expression)>,
    login_prefix: String,
}

/// A person's fields as a mapping made them.
#[derive(Clone, Debug, PartialEq)]
pub struct MappedProfile {
    /// The login, prefix and all.
    pub login: LoginName,
    /// Everything else.
    pub fields: UserFields,
    /// When the source says the session must end.
    pub session_expires: Option<Timestamp>,
}

/// The mapped fields of a person, which may change during a session; kept in the store as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserFields {
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// May be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// May be missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mobile: Option<String>,
    /// Groups, by the source's names.
    pub groups: Vec<String>,
    /// Roles, by the source's names.
    pub roles: Vec<String>,
    /// Names of the departments they are directly in.
    pub departments: Vec<String>,
    /// The same from the root down, joined by `/`.
    pub department_paths: Vec<String>,
    /// The source's ids of the same.
    pub department_ids: Vec<String>,
    /// Organisations.
    pub orgs: Vec<String>,
    /// The tenant's code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_code: Option<String>,
    /// The tenant's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    /// The platform they came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Every other mapped name.
    pub attributes: BTreeMap<String, serde_json::Value>,
}

impl Mapping {
    /// Compiles the kind's defaults and the configuration's own.
    pub fn build(
        defaults: &[(&str, &str)],
        own: &MappingConfig,
        login_prefix: &str,
    ) -> Result<Self, MappingCompileError> {
        let mut sources: BTreeMap<&str, &str> = defaults.iter().copied().collect();
        sources.extend(
            own.0
                .iter()
                .map(|(field, source)| (field.as_str(), source.as_str())),
        );
        let fields = sources
            .into_iter()
            .map(
                |(field, source)| match Expression::compile(source, Scope::Mapping) {
                    Ok(expression) => Ok((field.to_owned(), expression)),
                    Err(source) => Err(MappingCompileError {
                        field: field.to_owned(),
                        source,
                    }),
                },
            )
            .collect::<Result<_, _>>()?;
        Ok(Self {
            fields,
            login_prefix: login_prefix.to_owned(),
        })
    }

    /// Maps a raw profile. A missing field is absent; a missing login is an error.
    pub fn map(&self, raw: &serde_json::Value) -> Result<MappedProfile, ProfileMappingError> {
        let document = Document::from(raw);
        let mut login = None;
        let mut session_expires = None;
        let mut fields = UserFields::default();
        for (field, expression) in &self.fields {
            let value = match expression.evaluate(&ProfileFacts(&document)) {
                Ok(Value::Null) | Err(EvalError::Missing { .. }) => continue,
                Ok(value) => value,
                Err(source) => {
                    return Err(ProfileMappingError::Field {
                        field: field.clone(),
                        source,
                    });
                }
            };
            match field.as_str() {
                "login" => login = text(value),
                "session_expires" => session_expires = timestamp(&value),
                _ => fields.set(field, value),
            }
        }
        let login = login.ok_or(ProfileMappingError::NoLogin)?;
        let login = format!("{}{login}", self.login_prefix);
        let login = LoginName::try_from(login).map_err(ProfileMappingError::BadLogin)?;
        Ok(MappedProfile {
            login,
            fields,
            session_expires,
        })
    }
}

/// Whether a mapping may name this field; attributes take any plain name.
pub fn is_fixed_field(field: &str) -> bool {
    FIXED_FIELDS.contains(&field)
}

impl UserFields {
    fn set(&mut self, field: &str, value: Value) {
        match field {
            "name" => self.name = text(value),
            "email" => self.email = text(value),
            "mobile" => self.mobile = text(value),
            "tenant_code" => self.tenant_code = text(value),
            "tenant_name" => self.tenant_name = text(value),
            "platform" => self.platform = text(value),
            "groups" => self.groups = texts(value),
            "roles" => self.roles = texts(value),
            "departments" => self.departments = texts(value),
            "department_paths" => self.department_paths = texts(value),
            "department_ids" => self.department_ids = texts(value),
            "orgs" => self.orgs = texts(value),
            other => {
                self.attributes.insert(other.to_owned(), to_json(value));
            }
        }
    }
}

/// Evaluates an expression of [`Scope::Mapping`] over a raw profile.
pub fn evaluate_over_profile(
    expression: &Expression,
    raw: &serde_json::Value,
) -> Result<Value, EvalError> {
    expression.evaluate(&ProfileFacts(&Document::from(raw)))
}

struct ProfileFacts<'a>(&'a Document);

impl Variables for ProfileFacts<'_> {
    fn variable(&self, name: &str) -> Option<Variable<'_>> {
        (name == "profile").then_some(Variable::Document(self.0))
    }
}

/// Empty text counts as absent: sources send "" for what a person never filled in.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::List(items) => items.into_iter().find_map(text),
        Value::Text(_) | Value::Null | Value::Float(_) | Value::Map(_) => None,
    }
}

fn texts(value: Value) -> Vec<String> {
    match value {
        Value::List(items) => items.into_iter().filter_map(text).collect(),
        single => text(single).into_iter().collect(),
    }
}

fn timestamp(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Int(seconds) => Some(Timestamp::from_unix_s(*seconds)),
        Value::Float(seconds) if seconds.is_finite() => {
            let ms = Duration::try_from_secs_f64(seconds.max(0.0))
                .ok()?
                .as_millis();
            Some(Timestamp::from_unix_ms(
                i64::try_from(ms).unwrap_or(i64::MAX),
            ))
        }
        Value::Text(text) => text.trim().parse().ok().map(Timestamp::from_unix_s),
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
    }
}

fn to_json(value: Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(truth) => truth.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::Text(text) => text.into(),
        Value::List(items) => items.into_iter().map(to_json).collect(),
        Value::Map(entries) => entries
            .into_iter()
            .map(|(key, value)| (key, to_json(value)))
            .collect(),
    }
}
