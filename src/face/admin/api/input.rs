//! What the handlers take from a request: the parameters of the path and of the query, and the body.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::ApiError;
use crate::face::admin::json::{self, JsonError};
use crate::text;
use crate::wording::Text;

/// The longest JSON body, in bytes.
const JSON_BYTES_MAX: usize = 16 * 1024;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The types of a JSON body. `curl -d` sends the second one for everything.
const JSON_TYPES: [&str; 2] = ["application/json", "application/x-www-form-urlencoded"];

const QUERY: Text = Text::fixed("the query", "查询");
const BODY: Text = Text::fixed("the body", "请求体");

/// The percent-decoded parameters of the path.
pub(super) struct PathParameters<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for PathParameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(parameters)) => Ok(Self(parameters)),
            Err(error) => {
                let detail = error.body_text();
                Err(ApiError::Malformed(text!(
                    "the path: {detail}",
                    "路径：`{detail}`"
                )))
            }
        }
    }
}

/// The parameters of the query. An unknown one is an error if the type denies unknown fields.
pub(super) struct QueryParameters<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for QueryParameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(error) => Err(malformed(&QUERY, &error.body_text())),
        }
    }
}

/// The JSON body.
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let body = read_body(request, &JSON_TYPES, JSON_BYTES_MAX).await?;
        match body.is_empty() {
            true => Err(ApiError::empty_body()),
            false => parse(&body).map(Self),
        }
    }
}

/// A JSON body that may be absent.
pub(super) struct OptionalJsonBody<T>(pub(super) T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let body = read_body(request, &JSON_TYPES, JSON_BYTES_MAX).await?;
        match body.is_empty() {
            true => Ok(Self(T::default())),
            false => parse(&body).map(Self),
        }
    }
}

/// Reads a body of one of these types and of at most `bytes_max`. A request without a type is accepted.
pub(super) async fn read_body(
    request: Request,
    types: &[&str],
    bytes_max: usize,
) -> Result<Bytes, ApiError> {
    if let Some(sent) = request.headers().get(CONTENT_TYPE) {
        let sent = String::from_utf8_lossy(sent.as_bytes());
        let media_type = sent.split(';').next().unwrap_or_default().trim();
        if !types
            .iter()
            .any(|known| media_type.eq_ignore_ascii_case(known))
        {
            return Err(ApiError::ContentType {
                sent: media_type.to_owned(),
                expected: types.join(" or "),
            });
        }
    }
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok());
    let length: Option<usize> = length.and_then(|length| length.parse().ok());
    if length.is_some_and(|length| length > bytes_max) {
        return Err(ApiError::TooLarge { bytes_max });
    }
    let body = Limited::new(request.into_body(), bytes_max).collect();
    let within_s = BODY_TIMEOUT.as_secs();
    let body = timeout(BODY_TIMEOUT, body).await;
    let body = body.map_err(|_| ApiError::TooSlow { within_s })?;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => ApiError::TooLarge { bytes_max },
        false => ApiError::Malformed(Text::fixed(
            "the body did not arrive as a whole",
            "请求体没有完整到达",
        )),
    })?;
    Ok(body.to_bytes())
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // A type keeps the last of two members, or names the second one without its place.
    if let Err(error @ JsonError::Duplicate { .. }) = json::parse_object(body) {
        return Err(error.into());
    }
    match Json::from_bytes(body) {
        Ok(Json(parsed)) => Ok(parsed),
        Err(error) => Err(malformed(&BODY, &error.body_text())),
    }
}

/// axum says `Failed to deserialize query string: max: invalid digit`. The part up to the first colon is
/// dropped.
fn malformed(part: &Text, text: &str) -> ApiError {
    let detail = text.split_once(": ").map_or(text, |(_, detail)| detail);
    // The words of the parser, in English.
    ApiError::Malformed(text!("{part}: {detail}", "{part:#}：`{detail}`"))
}
