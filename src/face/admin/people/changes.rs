//! `POST /api/people` imports people, and `PATCH /api/people/LOGIN` changes one.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::super::api::{self, ApiError};
use super::super::{Admin, json_response};
use super::{actor, audit, audit_reason};
use crate::people::import::{Import, LineProblem};
use crate::request::{Body, BodyError};
use crate::store::{Account, EditOutcome, ImportOutcome, LoginName, PersonEdit, StoreError};
use crate::telemetry::AuditEvent;

/// The longest import, in bytes.
const IMPORT_BYTES_MAX: usize = 8 << 20;
/// The longest field of a person, in characters.
const FIELD_CHARS_MAX: usize = 256;

/// Imports people from CSV or JSON: all, or none and a list of the bad lines.
pub(super) async fn import<B>(
    admin: &Admin,
    request: Request<B>,
) -> Result<Response<Body>, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BodyError>,
{
    let by = by_of(request.uri().query().unwrap_or(""))?;
    let body = api::read_body(request, IMPORT_BYTES_MAX).await?;
    let site = admin.live.site();
    let entries = site.login.entries();
    let is_known = |connector: &_| entries.iter().any(|entry| entry.id == *connector);
    let import = match Import::parse(&body, is_known) {
        Ok(import) => import,
        Err(problems) => return Ok(refused(&problems)),
    };
    let counts = match admin.people.import(&import.people, &by).await? {
        ImportOutcome::Imported(counts) => counts,
        ImportOutcome::Refused(conflicts) => {
            let problem = |conflict: &crate::store::ImportConflict| LineProblem {
                line: import.lines.get(conflict.index).copied().unwrap_or(0),
                why: format!("the subject belongs to {}", conflict.taken_by),
            };
            let problems: Vec<_> = conflicts.iter().map(problem).collect();
            return Ok(refused(&problems));
        }
    };
    let (created, updated) = (counts.created, counts.updated);
    let reason = format!("by {by} through the admin API: {created} created, {updated} changed");
    audit(admin, AuditEvent::PeopleImported, None, &reason);
    Ok(json_response(
        StatusCode::OK,
        &json!({
            "created": created,
            "updated": updated,
            "unchanged": counts.unchanged,
        }),
    ))
}

fn refused(problems: &[LineProblem]) -> Response<Body> {
    let lines: Vec<_> = problems
        .iter()
        .map(|problem| json!({ "line": problem.line, "why": problem.why }))
        .collect();
    let error = "nothing was imported: some lines cannot be";
    json_response(
        StatusCode::BAD_REQUEST,
        &json!({ "error": error, "problems": lines }),
    )
}

/// Who imports, from the query.
fn by_of(query: &str) -> Result<String, ApiError> {
    let mut by = String::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "by" => by = value.into_owned(),
            _ => return Err(ApiError::Malformed("unknown parameter; known is by")),
        }
    }
    actor(by)
}

/// The body of a change. An absent field stays, null removes it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Change {
    login: Option<String>,
    #[serde(deserialize_with = "present")]
    name: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    email: Option<Option<String>>,
    #[serde(deserialize_with = "present")]
    mobile: Option<Option<String>>,
    by: String,
}

/// Tells null from an absent field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::<String>::deserialize(deserializer).map(Some)
}

/// Changes the login name or the fields of a person.
pub(super) async fn edit<B>(
    admin: &Admin,
    account: &Account,
    request: Request<B>,
) -> Result<Response<Body>, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BodyError>,
{
    let body = api::read_body(request, api::BODY_BYTES_MAX).await?;
    let change: Change = serde_json::from_slice(&body).map_err(|_| {
        ApiError::Malformed("expected an object with login, name, email, mobile or by")
    })?;
    let by = actor(change.by)?;
    let login = change.login.map(LoginName::try_from).transpose();
    let edit = PersonEdit {
        login: login.map_err(|_| ApiError::Malformed("not a login name"))?,
        name: field(change.name)?,
        email: field(change.email)?,
        mobile: field(change.mobile)?,
        vouched: Vec::new(),
    };
    let login = edit.login.clone().unwrap_or_else(|| account.login.clone());
    match admin.people.edit(&account.id, edit, &by).await? {
        EditOutcome::Stored { .. } => {}
        EditOutcome::Unknown => return Err(super::unknown_account(&account.id)),
        EditOutcome::LoginTaken { by } => {
            return Ok(json_response(
                StatusCode::CONFLICT,
                &json!({ "error": format!("the login {login} belongs to account {by}") }),
            ));
        }
    }
    let reason = audit_reason(&by, "", &Ok::<_, StoreError>(()));
    audit(
        admin,
        AuditEvent::PersonChanged,
        Some((&account.id, Some(&login))),
        &reason,
    );
    Ok(api::done())
}

fn field(value: Option<Option<String>>) -> Result<Option<Option<String>>, ApiError> {
    let Some(Some(text)) = &value else {
        return Ok(value);
    };
    let text = text.trim();
    if text.chars().count() > FIELD_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(ApiError::Malformed(
            "a field is longer than 256 characters or has control characters",
        ));
    }
    Ok(Some((!text.is_empty()).then(|| text.to_owned())))
}
