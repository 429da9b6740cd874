//! The responses to successful requests, and the audit records of changes.

use axum::response::{IntoResponse, Response};
use http::header::ETAG;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::clock::Clock;
use crate::face::admin::json_response;
use crate::face::admin::tokens::AdminToken;
use crate::store::StoreError;
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::text;
use crate::wording::Text;

/// A successful response with a JSON body.
pub(super) struct ApiJson<T>(pub(super) T);

impl<T: Serialize> IntoResponse for ApiJson<T> {
    fn into_response(self) -> Response {
        json_response(StatusCode::OK, &json!(self.0)).map(axum::body::Body::new)
    }
}

/// The response to a change that was made.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {
    done: bool,
}

impl Done {
    pub(super) const fn answer() -> ApiJson<Self> {
        ApiJson(Self { done: true })
    }
}

/// The audit record of a change with this token.
pub(super) fn audit_record<'a>(
    token: &'a AdminToken,
    event: AuditEvent,
    reason: &'a Text,
) -> AuditRecord<'a> {
    AuditRecord {
        by: Some(&token.name),
        client: token.client,
        reason: Some(reason),
        ..AuditRecord::new(event, Clock::system().now())
    }
}

/// The reason in the audit record of a stored change, with the administrator's note.
pub(super) fn audit_reason_of_stored(note: &Text) -> Text {
    audit_reason(note, &Ok::<_, StoreError>(()))
}

/// The reason in an audit record: the administrator's note, and whether the change is stored.
pub(super) fn audit_reason<T>(note: &Text, stored: &Result<T, StoreError>) -> Text {
    let note = match note.is_empty() {
        true => Text::default(),
        false => text!(": {note}", "：{note:#}"),
    };
    let unstored = match stored {
        Ok(_) => Text::default(),
        Err(_) => Text::fixed("; not stored yet", "；尚未写入数据库"),
    };
    text!(
        "through the admin API{note}{unstored}",
        "通过管理 API{note:#}{unstored:#}"
    )
}

/// The tag of what was last changed in a version.
pub(in crate::face::admin) fn etag(version: u64) -> HeaderValue {
    let tag = HeaderValue::from_str(&format!("\"{version}\""));
    tag.unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// A response with the tag of what it shows.
pub(super) fn tagged(answer: impl Serialize, version: u64) -> Response {
    let mut response = ApiJson(answer).into_response();
    response.headers_mut().insert(ETAG, etag(version));
    response
}
