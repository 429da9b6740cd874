//! What all changes of the managed settings read of a request: who makes them, its preconditions and its body.

use std::net::IpAddr;

use axum::extract::{FromRequest, FromRequestParts, Request};
use http::HeaderName;
use http::header::{HeaderMap, IF_MATCH, IF_NONE_MATCH, USER_AGENT};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::ApiError;
use super::input::read_body;
use crate::face::admin::json;
use crate::face::admin::tokens::AdminToken;
use crate::site::settings::{Author, ConnectorTable, Means, Precondition};
use crate::text;
use crate::wording::Text;

/// The User-Agent of the commands of menshen.
pub const COMMAND_USER_AGENT: &str = "menshen-command";

/// The longest settings of a connector, in bytes.
const TABLE_BYTES_MAX: usize = 1 << 20;

/// The address of the client; absent on a unix socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientAddress(pub(super) Option<IpAddr>);

/// Who sends a request.
pub(super) struct Sender(pub(super) Author);

impl<S: Send + Sync> FromRequestParts<S> for Sender {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let token = parts.extensions.get::<AdminToken>();
        let token = token.ok_or_else(ApiError::no_token)?;
        let client = parts.extensions.get::<ClientAddress>();
        let user_agent = parts.headers.get(USER_AGENT);
        let is_command = user_agent.is_some_and(|agent| agent == COMMAND_USER_AGENT);
        Ok(Self(Author {
            name: token.name.to_string(),
            means: match is_command {
                true => Means::Command,
                false => token.means,
            },
            client: client.and_then(|client| client.0),
        }))
    }
}

/// `If-Match` and `If-None-Match` of a request.
pub(super) struct Preconditions(pub(super) Precondition);

impl<S: Send + Sync> FromRequestParts<S> for Preconditions {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        precondition(&parts.headers).map(Self)
    }
}

/// The precondition of a request (RFC 9110 §13.1).
pub(in crate::face::admin) fn precondition(headers: &HeaderMap) -> Result<Precondition, ApiError> {
    let one = |name: HeaderName| {
        let mut values = headers.get_all(&name).iter();
        match (values.next(), values.next()) {
            (first, None) => Ok(first.map(|value| value.as_bytes().trim_ascii())),
            (_, Some(_)) => Err(ApiError::Malformed(text!(
                "{name} is there twice",
                "{name} 出现了两次"
            ))),
        }
    };
    match (one(IF_MATCH)?, one(IF_NONE_MATCH)?) {
        (None, None) => Ok(Precondition::None),
        (Some(b"*"), None) => Ok(Precondition::Exists),
        // Another tag than that of a version matches nothing: 0 is the version of what never changed.
        (Some(tag), None) => Ok(Precondition::Matches(version_of(tag).unwrap_or(u64::MAX))),
        (None, Some(b"*")) => Ok(Precondition::IsNew),
        (None, Some(_)) => Err(ApiError::Malformed(Text::fixed(
            "If-None-Match can only be *",
            "If-None-Match 只能是 *",
        ))),
        (Some(_), Some(_)) => Err(ApiError::Malformed(Text::fixed(
            "If-Match and If-None-Match exclude each other",
            "If-Match 和 If-None-Match 不能同时使用",
        ))),
    }
}

fn version_of(tag: &[u8]) -> Option<u64> {
    let tag = tag.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(tag).ok()?.parse().ok()
}

/// The settings of a connector in the body of a request.
pub(super) struct TableBody(pub(super) ConnectorTable);

impl<S: Send + Sync> FromRequest<S> for TableBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        match optional_table(request).await? {
            Some(table) => Ok(Self(table)),
            None => Err(ApiError::empty_body()),
        }
    }
}

/// The same; an empty body is none.
pub(super) struct OptionalTableBody(pub(super) Option<ConnectorTable>);

impl<S: Send + Sync> FromRequest<S> for OptionalTableBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        optional_table(request).await.map(Self)
    }
}

/// A JSON body with the settings of connectors, which is longer than other bodies.
pub(super) struct SettingsBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for SettingsBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let body = read_body(request, &["application/json"], TABLE_BYTES_MAX).await?;
        let body = Value::Object(json::parse_object(&body)?);
        // The error of the parser would repeat a part of the body, which may be a secret.
        let parsed = serde_path_to_error::deserialize(body);
        parsed.map(Self).map_err(|error| {
            let path = error.path();
            ApiError::Malformed(text!(
                "the body: {path}: this does not fit here",
                "请求体：{path}：这里不能这样写"
            ))
        })
    }
}

async fn optional_table(request: Request) -> Result<Option<ConnectorTable>, ApiError> {
    let body = read_body(request, &["application/json"], TABLE_BYTES_MAX).await?;
    match body.is_empty() {
        true => Ok(None),
        false => Ok(Some(json::parse_object(&body)?.into())),
    }
}
