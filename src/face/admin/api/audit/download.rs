//! Downloads the audit trail as JSON lines.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};

use super::super::ApiState;
use super::super::error::{ApiError, Problem};
use super::super::input::QueryParameters;
use super::{AuditParameters, LISTED_MAX};
use crate::people::audit_log::AuditLog;
use crate::store::{AuditQuery, StoreError, StoredAuditLine};
use crate::telemetry::{error_chain, escape};

/// What is left of a download. One page at a time is in memory.
struct Download {
    audit: Arc<AuditLog>,
    query: AuditQuery,
    /// How many more lines are sent at most.
    left: u32,
    /// The page that was read before the answer began.
    first: Option<Vec<StoredAuditLine>>,
}

/// Downloads lines of the audit trail as JSON lines: each is one JSON object as the log has it. If the store
/// fails in the middle, the answer ends before its end.
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
    let mut query = parameters.query()?;
    let services = state.live.services();
    // Lines that are added meanwhile would never let it end.
    let just_after_now = services.clock.now().plus(Duration::from_millis(1));
    query.until = query.until.or(Some(just_after_now));
    let mut download = Download {
        audit: Arc::clone(&services.audit),
        query,
        left: parameters.max.unwrap_or(u32::MAX),
        first: None,
    };
    // A store that does not answer is a 503.
    download.first = Some(download.next_page().await?);
    let chunks = stream::try_unfold(download, Download::next_chunk);
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (
            CONTENT_DISPOSITION,
            "attachment; filename=\"menshen-audit.jsonl\"",
        ),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

impl Download {
    async fn next_page(&mut self) -> Result<Vec<StoredAuditLine>, StoreError> {
        self.query.max = self.left.min(LISTED_MAX);
        if self.query.max == 0 {
            return Ok(Vec::new());
        }
        let page = self.audit.search(&self.query).await?;
        let lines = u32::try_from(page.len()).unwrap_or(u32::MAX);
        self.left -= lines.min(self.left);
        self.query.after = page.last().map(|last| last.position);
        Ok(page)
    }

    /// The text of the next page, and the rest; `None` at the end.
    async fn next_chunk(mut self) -> Result<Option<(Bytes, Self)>, StoreError> {
        let page = match self.first.take() {
            Some(page) => page,
            None => self.next_page().await.inspect_err(|error| {
                let error = error_chain(error);
                tracing::error!(%error, "a download of the audit trail ends early");
            })?,
        };
        if page.is_empty() {
            return Ok(None);
        }
        let lines = page
            .iter()
            .flat_map(|line| [escape::json_for_terminal(&line.json), "\n".into()]);
        Ok(Some((lines.collect::<String>().into(), self)))
    }
}
