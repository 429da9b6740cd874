//! `Profile`: a person's data from a provider. `Mapping`: maps it to login name and fields.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::expression::{
    CompileError, Document, EvalError, Expression, Scope, Value, Variable, Variables,
};
use crate::store::{IdError, LinkField, LocalEntitlements, LoginName, Subject};

use super::provider_tokens::ProviderTokens;

mod response_id;

pub use response_id::ResponseId;

/// A person's data from a provider at one login.
#[derive(Clone)]
pub struct Profile {
    /// The subject identifier at the provider; together with the connector's id it is unique.
    pub subject: Subject,
    /// The unchanged response of the provider.
    pub raw: serde_json::Value,
    /// Fields that the provider has verified, and that the person cannot edit.
    pub verified_fields: Vec<(LinkField, String)>,
    /// The session id at the provider.
    pub provider_sid: Option<String>,
    /// How the person authenticated.
    pub auth_context: AuthContext,
    /// The provider's tokens, if there are any.
    pub tokens: Option<ProviderTokens>,
    /// The ID by which the response is accepted once; absent: the provider itself accepts its code once.
    pub response_id: Option<ResponseId>,
    /// The state of a local person whom the store keeps, from which the profile was read. The person is
    /// admitted only as long as it is the current one.
    pub local_revision: Option<i64>,
}

impl Profile {
    /// A profile of which the provider verified no field, and whose provider said nothing about the
    /// authentication and accepts its code once.
    pub fn of(subject: Subject, raw: serde_json::Value) -> Self {
        Self {
            subject,
            raw,
            verified_fields: Vec::new(),
            provider_sid: None,
            auth_context: AuthContext::default(),
            tokens: None,
            response_id: None,
            local_revision: None,
        }
    }
}

/// How a person authenticated at the provider (OpenID Connect Core §2: `acr`, `amr`, `auth_time`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthContext {
    /// Authentication context class, as the provider names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// Authentication methods references.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// When the person last authenticated at the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<Timestamp>,
    /// Until when the source vouches for the person. The earlier of what its response says and of
    /// `session_expires` of the mapping counts, and is the latest end of the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vouched_until: Option<Timestamp>,
}

impl AuthContext {
    /// The latest end of the session: what the response of the source says, or `session_expires` of the
    /// mapping if that is earlier.
    pub fn earlier_end(&self, session_expires: Option<Timestamp>) -> Option<Timestamp> {
        let ends = [self.vouched_until, session_expires];
        ends.into_iter().flatten().min()
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

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
#[derive(Debug, thiserror::Error)]
#[error("the mapping of `{field}` does not compile")]
pub struct MappingCompileError {
    pub field: String,
    #[source]
    pub source: CompileError,
}

/// Why a profile could not be mapped.
#[derive(Debug, thiserror::Error)]
pub enum ProfileMappingError {
    /// The expression of a field failed.
    #[error("map the field `{field}`")]
    Field {
        field: String,
        #[source]
        source: EvalError,
    },
    /// The profile has no value for the login name.
    #[error("the profile has no login: map `login` to a field the source sends")]
    NoLogin,
    /// The mapped value is not a valid login name.
    #[error("the mapped login cannot be used")]
    BadLogin(#[source] IdError),
}

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

/// The mapped fields of a person; stored as JSON. They may change during a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserFields {
    /// The display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mobile: Option<String>,
    /// Groups, by the source's names.
    pub groups: Vec<String>,
    /// Roles, by the source's names.
    pub roles: Vec<String>,
    /// Names of the departments to which the person belongs directly.
    pub departments: Vec<String>,
    /// Paths of these departments from the root, joined by `/`.
    pub department_paths: Vec<String>,
    /// Ids of these departments at the provider.
    pub department_ids: Vec<String>,
    /// Ids from the root to each of these departments, joined by `/`. One that is longer than the path of
    /// names begins with departments whose names the source hides.
    pub department_id_paths: Vec<String>,
    /// Ids of the departments that the person leads.
    pub led_department_ids: Vec<String>,
    /// Ids of those departments whose path is not known: their names could not be read, or several
    /// departments have this path. Rules that ask for a path or a name then deny.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub departments_without_path: Vec<String>,
    /// Tags, by the source's names.
    pub tags: Vec<String>,
    pub orgs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// All other mapped fields.
    pub attributes: BTreeMap<String, serde_json::Value>,
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
}

impl Mapping {
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

impl UserFields {
    /// Keeps the fields of `before` that these lack. Lists, such as departments, are not kept.
    pub(super) fn keep_missing_from(&mut self, before: &Self) {
        let keep = |field: &mut Option<String>, before: &Option<String>| {
            if field.is_none() {
                field.clone_from(before);
            }
        };
        keep(&mut self.name, &before.name);
        keep(&mut self.email, &before.email);
        keep(&mut self.mobile, &before.mobile);
        keep(&mut self.tenant_code, &before.tenant_code);
        keep(&mut self.tenant_name, &before.tenant_name);
        keep(&mut self.platform, &before.platform);
        for (name, value) in &before.attributes {
            let attribute = self.attributes.entry(name.clone());
            attribute.or_insert_with(|| value.clone());
        }
    }

    /// Keeps the tags of `before`, and the groups if they were the tags.
    pub(super) fn keep_tags_from(&mut self, before: &Self) {
        self.tags.clone_from(&before.tags);
        if self.groups.is_empty() && before.groups == before.tags {
            self.groups.clone_from(&before.groups);
        }
    }

    /// Adds what menshen itself gives the person.
    pub(super) fn add_local(&mut self, local: &LocalEntitlements) {
        for group in &local.groups {
            if self.groups.iter().all(|known| known != group.as_str()) {
                self.groups.push(group.as_str().to_owned());
            }
        }
        let Some(department) = &local.department else {
            return;
        };
        let (path, name) = (department.as_str(), department.name());
        if self.department_paths.iter().all(|known| known != path) {
            // The paths are in the order of the ids. This one has no id, so it comes after all of them.
            let with_ids = self.department_ids.len().max(self.department_paths.len());
            self.department_paths.resize(with_ids, String::new());
            self.department_paths.push(path.to_owned());
        }
        if self.departments.iter().all(|known| known != name) {
            self.departments.push(name.to_owned());
        }
    }

    fn set(&mut self, field: &str, value: Value) {
        match field {
            "name" => self.name = to_text(value),
            "email" => self.email = to_text(value),
            "mobile" => self.mobile = to_text(value),
            "tenant_code" => self.tenant_code = to_text(value),
            "tenant_name" => self.tenant_name = to_text(value),
            "platform" => self.platform = to_text(value),
            "groups" => self.groups = to_texts(value),
            "roles" => self.roles = to_texts(value),
            "departments" => self.departments = to_texts(value),
            "department_paths" => self.department_paths = to_texts(value),
            "department_ids" => self.department_ids = to_texts(value),
            "department_id_paths" => self.department_id_paths = to_texts(value),
            "led_department_ids" => self.led_department_ids = to_texts(value),
            "departments_without_path" => self.departments_without_path = to_texts(value),
            "tags" => self.tags = to_texts(value),
            "orgs" => self.orgs = to_texts(value),
            other => {
                self.attributes.insert(other.to_owned(), value.into());
            }
        }
    }
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

/// Empty text counts as absent: providers send "" for fields that a person never filled in.
fn to_text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Int(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::List(items) => items.into_iter().find_map(to_text),
        Value::Text(_) | Value::Null | Value::Float(_) | Value::Map(_) => None,
    }
}

fn to_texts(value: Value) -> Vec<String> {
    match value {
        Value::List(items) => items.into_iter().filter_map(to_text).collect(),
        single => to_text(single).into_iter().collect(),
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
