//! `/api/people`: lists, shows, imports and changes people, and closes and reopens their accounts, all by
//! login name.

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::Deserialize;
use serde_json::json;

mod access;
mod changes;
mod listing;

pub(super) use access::of_route;

use super::api::{self, ApiError};
use super::{Admin, json_response};
use crate::clock::Clock;
use crate::request::{Body, BodyError};
use crate::store::{Account, AccountId, Closing, LoginName, StoreError};
use crate::telemetry::{AuditEvent, AuditRecord};

/// The longest reason and name of an administrator, in characters.
const NOTE_CHARS_MAX: usize = 200;
/// Who makes a change, if the request does not say.
const ADMINISTRATOR: &str = "admin";

/// The optional body of a request that closes or reopens an account.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Note {
    reason: String,
    /// Who asks for it. The API has one token, so this is what the client says.
    by: String,
}

/// Answers a request below `/api/people`. `path` is the decoded rest of the path.
pub(super) async fn answer<B>(
    admin: &Admin,
    path: &[String],
    request: Request<B>,
) -> Result<Response<Body>, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BodyError>,
{
    let parts: Vec<_> = path.iter().map(String::as_str).collect();
    match (request.method().clone(), parts.as_slice()) {
        (Method::GET, []) => listing::list(admin, request.uri().query().unwrap_or("")).await,
        (Method::POST, []) => changes::import(admin, request).await,
        (_, []) => Err(ApiError::MethodNotAllowed("GET, POST")),
        (Method::GET, [login]) => listing::show(admin, &find(admin, login).await?).await,
        (Method::PATCH, [login]) => {
            let account = find(admin, login).await?;
            changes::edit(admin, &account, request).await
        }
        (_, [_]) => Err(ApiError::MethodNotAllowed("GET, PATCH")),
        (Method::GET, [login, "access"]) => {
            access::of_person(admin, &find(admin, login).await?).await
        }
        (_, [_, "access"]) => Err(ApiError::MethodNotAllowed("GET")),
        (Method::POST, [login, "close"]) => {
            let account = find(admin, login).await?;
            close(admin, &account.id, Some(&account.login), request).await
        }
        (Method::POST, [login, "open"]) => {
            let account = find(admin, login).await?;
            reopen(admin, &account.id, Some(&account.login), request).await
        }
        (_, [_, "close" | "open"]) => Err(ApiError::MethodNotAllowed("POST")),
        _ => Err(ApiError::NotFound),
    }
}

/// The account with this login name.
pub(super) async fn find(admin: &Admin, login: &str) -> Result<Account, ApiError> {
    let unknown = || ApiError::UnknownPerson(format!("nobody has the login {login}"));
    let name = LoginName::try_from(login.to_owned()).map_err(|_| unknown())?;
    let found = admin.people.directory().account_by_login(&name).await?;
    found.ok_or_else(unknown)
}

/// Closes an account. The body may give a reason.
pub(super) async fn close<B>(
    admin: &Admin,
    account: &AccountId,
    login: Option<&LoginName>,
    request: Request<B>,
) -> Result<Response<Body>, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BodyError>,
{
    let note = read_note(request).await?;
    let closing = Closing {
        by: note.by,
        reason: note.reason,
        gone: None,
    };
    let stored = admin.people.close_account(account, &closing).await;
    if matches!(stored, Ok(false)) {
        return Err(unknown_account(account));
    }
    let reason = audit_reason(&closing.by, &closing.reason, &stored);
    audit(
        admin,
        AuditEvent::AccountClosed,
        Some((account, login)),
        &reason,
    );
    stored.map_err(api::not_yet_stored)?;
    Ok(api::done())
}

/// Reopens an account.
pub(super) async fn reopen<B>(
    admin: &Admin,
    account: &AccountId,
    login: Option<&LoginName>,
    request: Request<B>,
) -> Result<Response<Body>, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BodyError>,
{
    let note = read_note(request).await?;
    let reopened = admin.people.reopen_account(account, &note.by).await?;
    let reopened = reopened.ok_or_else(|| unknown_account(account))?;
    let reason = audit_reason(&note.by, &note.reason, &Ok::<_, StoreError>(()));
    audit(
        admin,
        AuditEvent::AccountReopened,
        Some((account, login)),
        &reason,
    );
    let taken = reopened
        .taken
        .iter()
        .map(|(connector, subject)| json!({ "connector": connector, "subject": subject }));
    let taken: Vec<_> = taken.collect();
    Ok(json_response(
        http::StatusCode::OK,
        &json!({ "done": true, "identities_taken": taken }),
    ))
}

async fn read_note<B>(request: Request<B>) -> Result<Note, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BodyError>,
{
    let body = api::read_body(request, api::BODY_BYTES_MAX).await?;
    let mut note = match body.is_empty() {
        true => Note::default(),
        false => serde_json::from_slice(&body).map_err(|_| {
            ApiError::Malformed("expected {\"reason\": TEXT, \"by\": NAME}, or no body")
        })?,
    };
    check_note(&note.reason)?;
    note.by = actor(note.by)?;
    Ok(note)
}

/// The name of who makes a change; `admin` if the request does not say.
fn actor(by: String) -> Result<String, ApiError> {
    check_note(&by)?;
    Ok(match by.trim() {
        "" => ADMINISTRATOR.to_owned(),
        by => by.to_owned(),
    })
}

fn check_note(text: &str) -> Result<(), ApiError> {
    if text.chars().count() > NOTE_CHARS_MAX || text.chars().any(char::is_control) {
        return Err(ApiError::Malformed(
            "reason and by are at most 200 characters without control characters",
        ));
    }
    Ok(())
}

fn unknown_account(account: &AccountId) -> ApiError {
    ApiError::UnknownPerson(format!("there is no account {account}"))
}

fn audit(
    admin: &Admin,
    event: AuditEvent,
    person: Option<(&AccountId, Option<&LoginName>)>,
    reason: &str,
) {
    admin.telemetry.audit(&AuditRecord {
        account: person.as_ref().map(|(account, _)| account as _),
        login: person.and_then(|(_, login)| login).map(LoginName::as_str),
        reason: Some(reason),
        ..AuditRecord::new(event, Clock::system().now())
    });
}

/// Who made a change and why, for the audit trail.
fn audit_reason<T>(by: &str, reason: &str, stored: &Result<T, StoreError>) -> String {
    let colon = if reason.is_empty() { "" } else { ": " };
    let note = match stored {
        Ok(_) => "",
        Err(_) => "; not stored yet",
    };
    format!("by {by} through the admin API{colon}{reason}{note}")
}
