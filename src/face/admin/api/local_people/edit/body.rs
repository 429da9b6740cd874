//! The bodies of requests that change people.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::super::error::ApiError;
use crate::login::connector::local::{PasswordHash, hash_of_new_password};
use crate::people::local_people::LocalPersonChange;
use crate::people::local_people::import::add_attributes;
use crate::people::new_password::NewPassword;
use crate::secret::Secret;
use crate::store::LoginName;
use crate::text;
use crate::wording::Text;

/// The fields of a person. An absent one stays as it is; null, an empty text and an empty list remove it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LocalPersonFields {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 256)]
    name: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 256)]
    email: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 256)]
    mobile: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>, max_items = 200)]
    groups: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>, max_items = 200)]
    roles: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>, max_items = 200)]
    departments: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>, max_items = 200)]
    orgs: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>, max_items = 200)]
    tags: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 256)]
    tenant_code: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 256)]
    tenant_name: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 256)]
    platform: Option<Value>,
    /// `user.attributes` in rules. An absent one stays; null removes it.
    #[serde(default)]
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    attributes: Map<String, Value>,
    /// The login in another case.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub(super) login: Option<LoginName>,
    /// Whether the person cannot sign in. Disabling ends the sessions and access tokens.
    #[serde(default)]
    pub(super) disabled: Option<bool>,
    /// Whether the person must choose another password before the next login.
    #[serde(default)]
    pub(super) must_change: Option<bool>,
    /// At least 8 characters; only for a new person. Give this or `password_hash`.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, min_length = 8)]
    pub(super) password: Option<Secret<String>>,
    /// A hash of argon2id from `menshen passwd`, or of bcrypt; only for a new person.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>)]
    pub(super) password_hash: Option<Secret<String>>,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordBody {
    /// At least 8 characters. Give this or `password_hash`.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>, min_length = 8)]
    pub(super) password: Option<Secret<String>>,
    /// A hash of argon2id from `menshen passwd`, or of bcrypt.
    #[serde(default, deserialize_with = "secret")]
    #[schema(value_type = Option<String>)]
    pub(super) password_hash: Option<Secret<String>>,
    /// Whether the person must choose another one before the next login.
    #[serde(default)]
    pub(super) must_change: bool,
}

/// Distinguishes null from an absent field.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A text whose value is in no error.
fn secret<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret<String>>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(Secret::new(text))),
        _ => Err(serde::de::Error::custom("a password must be a text")),
    }
}

impl LocalPersonFields {
    /// The change without a password, and the names of what the request has.
    pub(super) fn change(self) -> Result<(LocalPersonChange, String), ApiError> {
        let fields = [
            ("name", self.name),
            ("email", self.email),
            ("mobile", self.mobile),
            ("groups", self.groups),
            ("roles", self.roles),
            ("departments", self.departments),
            ("orgs", self.orgs),
            ("tags", self.tags),
            ("tenant_code", self.tenant_code),
            ("tenant_name", self.tenant_name),
            ("platform", self.platform),
        ];
        let sent = fields.into_iter();
        let sent = sent.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let mut all: Map<String, Value> = sent.collect();
        add_attributes(&mut all, self.attributes)
            .map_err(|why| ApiError::Malformed(text!("the body: {why}", "请求体：{why:#}")))?;
        let mut names: Vec<_> = all.keys().map(String::as_str).collect();
        let others = [
            ("login", self.login.is_some()),
            ("disabled", self.disabled.is_some()),
            ("must_change", self.must_change.is_some()),
        ];
        names.extend(
            others
                .iter()
                .filter(|(_, sent)| *sent)
                .map(|(name, _)| name),
        );
        let names = names.join(", ");
        let change = LocalPersonChange {
            login: self.login,
            password_hash: None,
            fields: all,
            disabled: self.disabled,
            must_change: self.must_change,
        };
        Ok((change, names))
    }
}

/// The hash of the password of a request, which has a password or a hash.
pub(super) async fn hash_of(
    password: Option<Secret<String>>,
    hash: Option<Secret<String>>,
) -> Result<Secret<String>, ApiError> {
    match (password, hash) {
        (Some(password), None) => {
            let password = NewPassword::parse(password.expose());
            let password = password.map_err(|why| {
                ApiError::Malformed(text!("password: {why}", "password：{why:#}"))
            })?;
            hash_of_new_password(password).await.map_err(ApiError::Busy)
        }
        (None, Some(hash)) => match PasswordHash::parse_to_store(hash.expose()) {
            Ok(_) => Ok(hash),
            Err(why) => Err(ApiError::Malformed(text!(
                "password_hash: {why}",
                "password_hash：{why:#}"
            ))),
        },
        (Some(_), Some(_)) | (None, None) => Err(ApiError::Malformed(Text::fixed(
            "the body: give either password or password_hash",
            "请求体：password 和 password_hash 必须且只能写一个",
        ))),
    }
}
