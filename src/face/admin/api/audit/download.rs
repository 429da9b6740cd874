//! Downloads the audit trail as JSON lines.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

use super::super::ApiState;
use super::super::error::{ApiError, Problem};
use super::super::input::QueryParameters;
use super::AuditParameters;
use crate::face::admin::audit_download::{AS_FILE, AuditDownload, JSON_LINES};

/// Downloads lines of the audit trail as JSON lines: each is one JSON object as the log has it. If the store
/// fails in the middle, the response ends before its end.
#[utoipa::path(
    get, path = "/api/audit/download", operation_id = "downloadAuditLines", tag = "audit",
    params(AuditParameters),
    responses(
        (status = 200, body = String, content_type = "application/x-ndjson", description = "A line for each record, in the order of their times"),
        (status = 400, body = Problem, description = "A parameter is wrong"),
    )
)]
pub(super) async fn download(
    State(state): State<Arc<ApiState>>,
    QueryParameters(parameters): QueryParameters<AuditParameters>,
) -> Result<Response, ApiError> {
    let query = parameters.query()?;
    let services = state.live.services();
    let now = services.clock.now();
    let download = AuditDownload::begin(&services.audit, query, parameters.max, now).await?;
    let headers = [
        (CONTENT_TYPE, JSON_LINES),
        (CONTENT_DISPOSITION, AS_FILE),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    Ok((headers, Body::from_stream(download.chunks())).into_response())
}
