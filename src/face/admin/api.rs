//! The admin API: lists and ends sessions, manages people, explains requests.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::{Admin, explain, json_response, not_allowed, not_found, people, problem};
use crate::clock::Clock;
use crate::request::explain::ExplainQueryError;
use crate::request::{Body, BodyError};
use crate::store::{
    AccountId, ConnectorId, LoginName, RevocationScope, SessionId, SessionRecord, StoreError,
};
use crate::telemetry::{AuditEvent, AuditRecord, error_chain};

/// The largest request body, in bytes.
pub(super) const BODY_BYTES_MAX: usize = 16 * 1024;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest value of the parameter `max`.
const SESSIONS_LISTED_MAX: u32 = 10_000;
/// The default of `max`.
const SESSIONS_LISTED_DEFAULT: u32 = 100;

/// Why an API request failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("{0}")]
    Malformed(&'static str),
    #[error(transparent)]
    ExplainQuery(#[from] ExplainQueryError),
    #[error("not found")]
    NotFound,
    #[error("{0}")]
    UnknownPerson(String),
    #[error("use {0}")]
    MethodNotAllowed(&'static str),
    #[error(transparent)]
    Store(StoreError),
    /// The change holds in this process, but is not stored yet.
    #[error(transparent)]
    NotYetStored(StoreError),
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoAccount { .. } => Self::NotFound,
            error => Self::Store(error),
        }
    }
}

/// Answers a request whose token was verified. `path` is the part after `/api/`.
pub(super) async fn answer<B>(admin: &Admin, path: &str, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BodyError>,
{
    let parts: Vec<_> = path.split('/').collect();
    let method = request.method().clone();
    let result = match (method, parts.as_slice()) {
        (Method::GET, ["routes", name, "people"]) => match decode(&[name]).as_deref() {
            Some([name]) => {
                people::of_route(admin, name, request.uri().query().unwrap_or("")).await
            }
            Some(_) | None => Err(ApiError::NotFound),
        },
        (_, ["routes", _, "people"]) => Err(ApiError::MethodNotAllowed("GET")),
        (_, ["people", rest @ ..]) => match decode(rest) {
            Some(rest) => people::answer(admin, &rest, request).await,
            None => Err(ApiError::Malformed("the path is not percent-encoded UTF-8")),
        },
        (Method::GET, ["sessions"]) => list(admin, request.uri().query().unwrap_or("")).await,
        (Method::GET, ["explain"]) => {
            explain::answer(admin, request.uri().query().unwrap_or("")).await
        }
        (_, ["sessions" | "explain"]) => Err(ApiError::MethodNotAllowed("GET")),
        (Method::DELETE, ["sessions", id]) => end_session(admin, id).await,
        (_, ["sessions", _]) => Err(ApiError::MethodNotAllowed("DELETE")),
        (Method::POST, ["revoke"]) => revoke(admin, request).await,
        (Method::POST, ["accounts", id, "close"]) => match AccountId::try_from((*id).to_owned()) {
            Ok(id) => people::close(admin, &id, None, request).await,
            Err(_) => Err(ApiError::NotFound),
        },
        (Method::POST, ["accounts", id, "open"]) => match AccountId::try_from((*id).to_owned()) {
            Ok(id) => people::reopen(admin, &id, None, request).await,
            Err(_) => Err(ApiError::NotFound),
        },
        (_, ["revoke"] | ["accounts", _, "close" | "open"]) => {
            Err(ApiError::MethodNotAllowed("POST"))
        }
        _ => Err(ApiError::NotFound),
    };
    result.unwrap_or_else(|error| match error {
        ApiError::Malformed(detail) => problem(StatusCode::BAD_REQUEST, detail),
        ApiError::ExplainQuery(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
        ApiError::NotFound => not_found(),
        ApiError::UnknownPerson(detail) => problem(StatusCode::NOT_FOUND, &detail),
        ApiError::MethodNotAllowed(allowed) => not_allowed(allowed),
        ApiError::Store(error) => {
            tracing::error!(error = %error_chain(&error), "the admin API could not read the store");
            let detail = format!("the store does not answer: {}", error.cause());
            problem(StatusCode::SERVICE_UNAVAILABLE, &detail)
        }
        ApiError::NotYetStored(error) => {
            tracing::error!(error = %error_chain(&error), "a change by the admin API could not be stored yet");
            let detail = format!(
                "the change holds in this process, but is not stored yet: {}; \
                 menshen retries until it is",
                error.cause()
            );
            problem(StatusCode::SERVICE_UNAVAILABLE, &detail)
        }
    })
}

async fn list(admin: &Admin, query: &str) -> Result<Response<Body>, ApiError> {
    let (mut login, mut account, mut max) = (None, None, SESSIONS_LISTED_DEFAULT);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "login" => login = Some(parse_login(value.into_owned())?),
            "account" => account = Some(parse_account(value.into_owned())?),
            "max" => {
                let number = value
                    .parse()
                    .map_err(|_| ApiError::Malformed("max must be a number"))?;
                max = SESSIONS_LISTED_MAX.min(number);
            }
            _ => {
                return Err(ApiError::Malformed(
                    "unknown parameter; known are login, account and max",
                ));
            }
        }
    }
    let directory = admin.people.directory();
    let account = match login {
        Some(_) if account.is_some() => {
            return Err(ApiError::Malformed("give login or account, not both"));
        }
        Some(login) => Some(
            directory
                .account_by_login(&login)
                .await?
                .ok_or(ApiError::NotFound)?
                .id,
        ),
        None => account,
    };
    let found = admin.sessions.list(account.as_ref(), max).await?;
    let sessions: Vec<_> = found.iter().map(session_json).collect();
    Ok(json_response(
        StatusCode::OK,
        &json!({ "sessions": sessions }),
    ))
}

/// A session as JSON, without its secrets.
fn session_json(session: &SessionRecord) -> serde_json::Value {
    json!({
        "id": session.public_id,
        "account": session.account,
        "connector": session.connector,
        "subject": session.subject,
        "minted_at": session.minted_at.unix_s(),
        "expires_at": session.expires_at.unix_s(),
        "used_at": session.used_at.unix_s(),
    })
}

async fn end_session(admin: &Admin, id: &str) -> Result<Response<Body>, ApiError> {
    let id = SessionId::try_from(id.to_owned()).map_err(|_| ApiError::NotFound)?;
    let key = admin.sessions.session_key(&id).await?;
    let key = key.ok_or(ApiError::NotFound)?;
    let stored = admin.sessions.revoke(&RevocationScope::Session(key)).await;
    admin.telemetry.audit(&AuditRecord {
        session: Some(&id),
        ..admin_audit(AuditEvent::Revoked, &stored)
    });
    stored.map_err(not_yet_stored)?;
    Ok(done())
}

/// Reads a body of at most `bytes_max`.
pub(super) async fn read_body<B>(request: Request<B>, bytes_max: usize) -> Result<Bytes, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BodyError>,
{
    let bad_body = || ApiError::Malformed("the body is too long or did not arrive");
    let body = Limited::new(request.into_body(), bytes_max).collect();
    let body = timeout(BODY_TIMEOUT, body)
        .await
        .map_err(|_| bad_body())?
        .map_err(|_| bad_body())?;
    Ok(body.to_bytes())
}

/// The percent-decoded segments of a path.
fn decode(segments: &[&str]) -> Option<Vec<String>> {
    let decoded = segments.iter().map(|segment| {
        let text = percent_decode_str(segment).decode_utf8().ok()?;
        Some(text.into_owned())
    });
    decoded.collect()
}

/// The body of a revocation: exactly one of these.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum RevokeTarget {
    Account(String),
    Login(String),
    Connector(String),
    Everyone(bool),
}

async fn revoke<B>(admin: &Admin, request: Request<B>) -> Result<Response<Body>, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send,
    B::Error: Into<BodyError>,
{
    let body = read_body(request, BODY_BYTES_MAX).await?;
    let target = serde_json::from_slice(&body).map_err(|_| {
        ApiError::Malformed(
            "expected {\"account\": ID}, {\"login\": NAME}, {\"connector\": ID} \
             or {\"everyone\": true}",
        )
    })?;
    let scope = match target {
        RevokeTarget::Account(id) => RevocationScope::Account(parse_account(id)?),
        RevokeTarget::Login(login) => {
            let login = parse_login(login)?;
            let account = admin.people.directory().account_by_login(&login).await?;
            RevocationScope::Account(account.ok_or(ApiError::NotFound)?.id)
        }
        RevokeTarget::Connector(id) => RevocationScope::Connector(
            ConnectorId::try_from(id)
                .map_err(|_| ApiError::Malformed("not the id of a connector"))?,
        ),
        RevokeTarget::Everyone(true) => RevocationScope::Everyone,
        RevokeTarget::Everyone(false) => {
            return Err(ApiError::Malformed("everyone must be true or absent"));
        }
    };
    let stored = admin.sessions.revoke(&scope).await;
    if let Err(StoreError::NoAccount { .. }) = stored {
        return Err(ApiError::NotFound);
    }
    let audit = admin_audit(AuditEvent::Revoked, &stored);
    match &scope {
        RevocationScope::Account(id) => admin.telemetry.audit(&AuditRecord {
            account: Some(id),
            ..audit
        }),
        RevocationScope::Connector(id) => {
            admin.telemetry.audit(&AuditRecord {
                connector: Some(id.as_str()),
                ..audit
            });
        }
        RevocationScope::Everyone | RevocationScope::Session(_) => {
            admin.telemetry.audit(&AuditRecord {
                reason: Some(match stored {
                    Ok(()) => "everyone, by the admin API",
                    Err(_) => "everyone, by the admin API; not stored yet",
                }),
                ..audit
            });
        }
    }
    stored.map_err(not_yet_stored)?;
    Ok(done())
}

/// A store failure after a change that already holds in this process.
pub(super) fn not_yet_stored(error: StoreError) -> ApiError {
    match error {
        StoreError::NoAccount { .. } => ApiError::NotFound,
        error => ApiError::NotYetStored(error),
    }
}

fn admin_audit<'a, T>(event: AuditEvent, stored: &Result<T, StoreError>) -> AuditRecord<'a> {
    AuditRecord {
        reason: Some(match stored {
            Ok(_) => "by the admin API",
            Err(_) => "by the admin API; not stored yet",
        }),
        ..AuditRecord::new(event, Clock::system().now())
    }
}

fn parse_account(text: String) -> Result<AccountId, ApiError> {
    AccountId::try_from(text).map_err(|_| ApiError::Malformed("not the id of an account"))
}

fn parse_login(text: String) -> Result<LoginName, ApiError> {
    LoginName::try_from(text).map_err(|_| ApiError::Malformed("not a login name"))
}

pub(super) fn done() -> Response<Body> {
    json_response(StatusCode::OK, &json!({ "done": true }))
}
