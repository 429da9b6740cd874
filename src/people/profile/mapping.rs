//! `Mapping`: maps a profile to a login name and fields.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::user_fields::{UserFields, to_text};
use crate::clock::Timestamp;
use crate::expression::{
    CompileError, Document, EvalError, Expression, Scope, Value, Variable, Variables,
};
use crate::store::{IdError, LoginName};
use crate::text;
use crate::wording::{Text, error_of_text};

/// The predefined field names. A field of any other name becomes `user.attributes.<name>`.
pub const FIXED_FIELDS: [&str; 18] = [
    "login",
    "name",
    "email",
    "mobile",
    "groups",
    "roles",
    "departments",
    "department_paths",
    "department_ids",
    "department_id_paths",
    "led_department_ids",
    "departments_without_path",
    "tags",
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

/// The expression of a field does not compile.
#[derive(Debug)]
pub struct MappingCompileError {
    pub field: String,
    pub source: CompileError,
}

impl MappingCompileError {
    fn text(&self) -> Text {
        let Self { field, .. } = self;
        text!(
            "the mapping of `{field}` does not compile",
            "`{field}` 的映射无法编译"
        )
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

error_of_text!(MappingCompileError, caused);

/// Why a profile could not be mapped.
#[derive(Debug)]
pub enum ProfileMappingError {
    /// The expression of a field failed.
    Field { field: String, source: EvalError },
    /// The profile has no value for the login name.
    NoLogin,
    /// The mapped value is not a valid login name.
    BadLogin(IdError),
}

impl ProfileMappingError {
    fn text(&self) -> Text {
        match self {
            Self::Field { field, .. } => text!("map the field `{field}`", "无法映射字段 `{field}`"),
            Self::NoLogin => Text::fixed(
                "the profile has no login: map `login` to a field the source sends",
                "资料中没有登录名：请把 `login` 映射到认证源提供的字段",
            ),
            Self::BadLogin(_) => Text::fixed(
                "the mapped login cannot be used",
                "映射得到的登录名无法使用",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Field { source, .. } => Some(source),
            Self::BadLogin(source) => Some(source),
            Self::NoLogin => None,
        }
    }
}

error_of_text!(ProfileMappingError, caused);

/// The mapping of a connector: the defaults of its kind, overridden by the configuration.
#[derive(Clone, Debug)]
pub struct Mapping {
    fields: Vec<(String, Expression)>,
    login_prefix: String,
    further_members_are_attributes: bool,
}

/// The result of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct MappedProfile {
    /// The login name, with its prefix.
    pub login: LoginName,
    pub fields: UserFields,
    /// The end of the session, if the provider limits it.
    pub session_expires: Option<Timestamp>,
}

impl Mapping {
    /// Compiles the defaults of the kind and the expressions of the configuration.
    pub fn build(
        defaults: &[(&str, &str)],
        configured: &MappingConfig,
        login_prefix: &str,
    ) -> Result<Self, MappingCompileError> {
        let mut expressions: BTreeMap<&str, &str> = defaults.iter().copied().collect();
        expressions.extend(
            configured
                .0
                .iter()
                .map(|(field, text)| (field.as_str(), text.as_str())),
        );
        let fields = expressions
            .into_iter()
            .map(
                |(field, text)| match Expression::compile(text, Scope::Mapping) {
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
            further_members_are_attributes: false,
        })
    }

    /// Whether members of the profile that no expression maps become attributes under their own names.
    pub fn with_further_members(self, are_attributes: bool) -> Self {
        Self {
            further_members_are_attributes: are_attributes,
            ..self
        }
    }

    /// Maps a raw profile. A missing field is left out; a missing login name is an error.
    pub fn map(&self, raw: &serde_json::Value) -> Result<MappedProfile, ProfileMappingError> {
        let (login, fields, session_expires) = self.evaluate(raw)?;
        let login = login.ok_or(ProfileMappingError::NoLogin)?;
        let login = format!("{}{login}", self.login_prefix);
        let login = LoginName::try_from(login).map_err(ProfileMappingError::BadLogin)?;
        Ok(MappedProfile {
            login,
            fields,
            session_expires,
        })
    }

    /// Maps the fields of a person whose login name is known.
    pub fn map_fields(&self, raw: &serde_json::Value) -> Result<UserFields, ProfileMappingError> {
        self.evaluate(raw).map(|(_, fields, _)| fields)
    }

    /// The login name without its prefix, the fields, and when the session must end.
    fn evaluate(
        &self,
        raw: &serde_json::Value,
    ) -> Result<(Option<String>, UserFields, Option<Timestamp>), ProfileMappingError> {
        let document = Document::from(raw);
        let mut login = None;
        let mut session_expires = None;
        let mut fields = UserFields::default();
        for (field, expression) in &self.fields {
            let value = match expression.evaluate(&ProfileVariables(&document)) {
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
                "login" => login = to_text(value),
                "session_expires" => session_expires = to_timestamp(&value),
                _ => fields.set(field, value),
            }
        }
        if self.further_members_are_attributes {
            fields.attributes.extend(self.further_members(raw));
        }
        Ok((login, fields, session_expires))
    }

    /// Every field with its value, which is null if the profile has none, or with the error of its
    /// expression. Longer than [`Self::map`], which stops at the first error.
    pub fn preview(
        &self,
        raw: &serde_json::Value,
    ) -> Vec<(String, Result<serde_json::Value, String>)> {
        let document = Document::from(raw);
        let fields = self.fields.iter().map(|(field, expression)| {
            let value = match expression.evaluate(&ProfileVariables(&document)) {
                Err(EvalError::Missing { .. }) => Ok(serde_json::Value::Null),
                Ok(value) => Ok(serde_json::Value::from(value)),
                Err(error) => Err(error.to_string()),
            };
            (field.clone(), value)
        });
        fields.collect()
    }

    /// The members of a profile whose names are neither predefined nor those of mapped fields.
    fn further_members(
        &self,
        raw: &serde_json::Value,
    ) -> impl Iterator<Item = (String, serde_json::Value)> {
        let is_mapped = |name: &str| self.fields.iter().any(|(field, _)| field == name);
        let members = raw.as_object().into_iter().flatten();
        members
            .filter(move |(name, _)| !is_fixed_field(name) && !is_mapped(name))
            .map(|(name, value)| (name.clone(), value.clone()))
    }
}

/// Whether this is a predefined field name.
pub fn is_fixed_field(field: &str) -> bool {
    FIXED_FIELDS.contains(&field)
}

/// Evaluates an expression of [`Scope::Mapping`] over a raw profile.
pub fn evaluate_over_profile(
    expression: &Expression,
    raw: &serde_json::Value,
) -> Result<Value, EvalError> {
    expression.evaluate(&ProfileVariables(&Document::from(raw)))
}

struct ProfileVariables<'a>(&'a Document);

impl Variables for ProfileVariables<'_> {
    fn variable(&self, name: &str) -> Option<Variable<'_>> {
        (name == "profile").then_some(Variable::Document(self.0))
    }
}

fn to_timestamp(value: &Value) -> Option<Timestamp> {
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
