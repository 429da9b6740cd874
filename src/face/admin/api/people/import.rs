//! Imports people from a CSV file or from JSON.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::super::answer::{ApiJson, audit_reason_of_stored, audit_record};
use super::super::error::{ApiError, Problem};
use super::super::input::read_body;
use super::super::{ApiState, Resource};
use crate::face::admin::tokens::AdminToken;
use crate::people::import::{Import, LineProblem};
use crate::store::{ImportConflict, ImportOutcome};
use crate::telemetry::AuditEvent;
use crate::text;

/// The longest import, in bytes.
const IMPORT_BYTES_MAX: usize = 8 << 20;

/// The types of an import. The first character of the body distinguishes JSON from CSV, because
/// `curl --data-binary` sends the last type for both.
const IMPORT_TYPES: [&str; 3] = [
    "text/csv",
    "application/json",
    "application/x-www-form-urlencoded",
];

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(import))
}

/// How many people an import changed.
#[derive(Serialize, ToSchema)]
struct Imported {
    created: u64,
    updated: u64,
    unchanged: u64,
}

/// Imports people: all, or none and a list of the bad lines. Changes those whose login exists.
#[utoipa::path(
    post, path = "/api/people", operation_id = "importPeople", tag = "people",
    request_body(
        content((String = "text/csv"), (serde_json::Value = "application/json")),
        description = "A CSV file with a header, or an array of objects: login, name, email, mobile, \
                       connector, subject. At most 8 MiB and 20,000 people"
    ),
    responses(
        (status = 200, body = Imported, description = "All people are imported"),
        (status = 400, body = Problem, description = "Nobody is imported; `problems` lists the bad lines"),
        (status = 409, body = Problem, description = "A subject went to somebody else during the import; \
         `error` says how many people were imported before"),
        (status = 413, body = Problem, description = "The body is too long"),
        (status = 415, body = Problem, description = "The body is neither CSV nor JSON"),
    )
)]
async fn import(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    request: Request,
) -> Result<ApiJson<Imported>, ApiError> {
    if let Some(query) = request.uri().query().filter(|query| !query.is_empty()) {
        let detail = text!(
            "the query: an import has no parameters, but there is {query}",
            "查询：导入没有参数，但写了 {query}"
        );
        return Err(ApiError::Malformed(detail));
    }
    let body = read_body(request, &IMPORT_TYPES, IMPORT_BYTES_MAX).await?;
    let site = state.live.site();
    let entries = site.login.entries();
    let is_known = |connector: &_| entries.iter().any(|entry| entry.id == *connector);
    let import = Import::parse(&body, is_known).map_err(ApiError::BadLines)?;
    let counts = match state.people.import(&import.people, &token.name).await? {
        ImportOutcome::Imported(counts) => counts,
        ImportOutcome::Refused(conflicts) => {
            let problem = |conflict: &ImportConflict| LineProblem {
                line: import.lines.get(conflict.index).copied().unwrap_or(0),
                why: {
                    let by = &conflict.taken_by;
                    text!("the subject belongs to {by}", "该 subject 属于 {by}")
                },
            };
            return Err(ApiError::BadLines(conflicts.iter().map(problem).collect()));
        }
        ImportOutcome::Interrupted { counts, conflict } => {
            let imported = counts.created + counts.updated + counts.unchanged;
            let line = import.lines.get(conflict.index).copied().unwrap_or(0);
            let by = &conflict.taken_by;
            return Err(ApiError::Conflict(text!(
                "only the first {imported} people were imported: meanwhile the subject of line {line} \
                 went to {by}; correct the line, and import everything again",
                "只导入了前 {imported} 人：其间第 {line} 行的 subject 归了 {by}；请改正该行，再全部重新导入"
            )));
        }
    };
    let (created, updated) = (counts.created, counts.updated);
    let note = text!(
        "{created} created, {updated} changed",
        "新建 {created} 人，修改 {updated} 人"
    );
    let reason = audit_reason_of_stored(&note);
    let record = audit_record(&token, AuditEvent::PeopleImported, &reason);
    state.telemetry.audit(&record);
    Ok(ApiJson(Imported {
        created: counts.created,
        updated: counts.updated,
        unchanged: counts.unchanged,
    }))
}
