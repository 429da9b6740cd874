//! Reads the body of a request.

use std::time::Duration;

use axum::extract::Request;
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::problem::Words;
use super::refusal::{BODY_BYTES_MAX, Refusal};
use crate::face::admin::json;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads one JSON object.
pub(super) async fn read(request: Request) -> Result<Map<String, Value>, Refusal> {
    check_type(request.headers())?;
    let body = read_bytes(request).await?;
    Ok(json::parse_object(&body)?)
}

/// Reads one JSON object, which may be absent. The type of an absent one does not count.
pub(super) async fn read_optional(request: Request) -> Result<Map<String, Value>, Refusal> {
    let has_json = check_type(request.headers());
    let body = read_bytes(request).await?;
    if body.is_empty() {
        return Ok(Map::new());
    }
    has_json?;
    Ok(json::parse_object(&body)?)
}

/// Requires `application/json`, with the charset utf-8 or none.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(sent), None) = (types.next(), types.next()) else {
        return Err(Refusal::ContentType);
    };
    let sent = sent.to_str().map_err(|_| Refusal::ContentType)?;
    let mut parts = sent.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.filter(|part| !part.is_empty()).all(|part| {
        let Some((name, value)) = part.split_once('=') else {
            return false;
        };
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    match is_json && is_utf8 {
        true => Ok(()),
        false => Err(Refusal::ContentType),
    }
}

async fn read_bytes(request: Request) -> Result<Bytes, Refusal> {
    let length = request.headers().get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok());
    let length: Option<usize> = length.and_then(|length| length.parse().ok());
    if length.is_some_and(|length| length > BODY_BYTES_MAX) {
        return Err(Refusal::TooLarge);
    }
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let body = timeout(BODY_TIMEOUT, body).await;
    let body = body.map_err(|_| Refusal::TooSlow)?;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => Refusal::TooLarge,
        false => Refusal::Body(Words::new(
            "请求体没有完整到达",
            "the body did not arrive as a whole",
        )),
    })?;
    Ok(body.to_bytes())
}
