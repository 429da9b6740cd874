//! Imports people of a connector with their passwords from CSV, JSON or a file of `htpasswd`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::super::answer::{ApiJson, audit_reason_of_stored, audit_record};
use super::super::error::{ApiError, Problem};
use super::super::input::read_body;
use super::super::{ApiState, Resource};
use super::{Ended, ended_text, entry_of, mapped_login};
use crate::face::admin::tokens::AdminToken;
use crate::login::ConnectorEntry;
use crate::people::import::LineProblem;
use crate::people::local_people::import::LocalImport;
use crate::people::local_people::{ImportedChange, ImportedPerson, LocalImportError};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::text;
use crate::wording::Text;

/// The longest import, in bytes.
const IMPORT_BYTES_MAX: usize = 8 << 20;

/// The types of an import. The content distinguishes the formats, because `curl --data-binary` sends the last
/// type for all.
const IMPORT_TYPES: [&str; 4] = [
    "text/csv",
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
];

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(import))
}

/// How many people an import changed.
#[derive(Serialize, ToSchema)]
struct LocalImported {
    created: usize,
    updated: usize,
    unchanged: usize,
    /// What ended because people got other passwords or were disabled.
    ended: Ended,
}

/// Imports people with their passwords: all, or none and a list of the bad lines. Changes those whose login
/// exists; what a line leaves out stays as it is.
#[utoipa::path(
    post, path = "/api/connectors/{id}/people", operation_id = "importLocalPeople", tag = "local people",
    params(("id" = String, Path, description = "The ID of the connector")),
    request_body(
        content(
            (String = "text/csv"), (serde_json::Value = "application/json"), (String = "text/plain")
        ),
        description = "A CSV file with a header, an array of objects, or a file of htpasswd with hashes of \
                       bcrypt. The columns are login, password (a hash), disabled, must_change, name, email, \
                       mobile, groups, roles, departments, orgs, tags, tenant_code, tenant_name and \
                       platform; the elements of a list are separated by semicolons. Objects have the same \
                       keys, and attributes. At most 8 MiB and 5,000 people"
    ),
    responses(
        (status = 200, body = LocalImported, description = "All people are imported"),
        (status = 400, body = Problem, description = "Nobody is imported; `problems` lists the bad lines"),
        (status = 404, body = Problem, description = "The store does not keep the people of such a connector"),
        (status = 409, body = Problem, description = "Others changed the same people; nobody is imported"),
        (status = 413, body = Problem, description = "The body is too long"),
        (status = 415, body = Problem, description = "The body has another type"),
    )
)]
async fn import(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    Path(id): Path<String>,
    request: Request,
) -> Result<ApiJson<LocalImported>, ApiError> {
    let (entry, people) = entry_of(&state, &id)?;
    let body = read_body(request, &IMPORT_TYPES, IMPORT_BYTES_MAX).await?;
    let import = LocalImport::parse(&body).map_err(ApiError::BadLines)?;
    drop(body);
    let imported = people.import(&import.people).await;
    let imported = imported.map_err(|error| match error {
        LocalImportError::Other(error) => error.into(),
        LocalImportError::People(problems) => {
            let problem = |(index, error): (usize, _)| LineProblem {
                line: import.lines.get(index).copied().unwrap_or(0),
                why: Text::of(&crate::telemetry::error_chain(&error)),
            };
            ApiError::BadLines(problems.into_iter().map(problem).collect())
        }
    })?;
    let (created, updated) = (imported.created, imported.updated);
    let ended = ended_text(&imported.ended);
    let note = text!(
        "{created} created, {updated} changed, {ended}",
        "新建 {created} 人，修改 {updated} 人，{ended:#}"
    );
    let reason = audit_reason_of_stored(&note);
    state.telemetry.audit(&AuditRecord {
        connector: Some(entry.id.as_str()),
        ..audit_record(&token, AuditEvent::PeopleImported, &reason)
    });
    for person in &imported.people {
        audit_person(&state, &token, &entry, person);
    }
    let answer = LocalImported {
        created,
        updated,
        unchanged: imported.unchanged,
        ended: Ended::from(&imported.ended),
    };
    Ok(ApiJson(answer))
}

/// Records what happened to one person, as a change of that person alone is recorded.
fn audit_person(
    state: &ApiState,
    token: &AdminToken,
    entry: &ConnectorEntry,
    person: &ImportedPerson,
) {
    let events: &[AuditEvent] = match person.change {
        ImportedChange::Added => &[AuditEvent::PersonAdded],
        ImportedChange::Fields => &[AuditEvent::PersonChanged],
        ImportedChange::Password { and_more: false } => &[AuditEvent::PasswordChanged],
        ImportedChange::Password { and_more: true } => {
            &[AuditEvent::PasswordChanged, AuditEvent::PersonChanged]
        }
    };
    let reason = audit_reason_of_stored(&Text::fixed("by an import", "通过导入"));
    let login = mapped_login(entry, &person.login);
    for event in events {
        state.telemetry.audit(&AuditRecord {
            connector: Some(entry.id.as_str()),
            subject: Some(person.subject.as_str()),
            login: Some(&login),
            ..audit_record(token, *event, &reason)
        });
    }
}
