//! `/api/audit`: searches the audit trail of the store.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::answer::ApiJson;
use super::error::{ApiError, Problem};
use super::input::QueryParameters;
use super::{ApiState, Resource};
use crate::clock::Timestamp;
use crate::store::{
    AccountId, AuditOrder, AuditPosition, AuditQuery, ConnectorId, StoreError, StoredAuditLine,
};
use crate::telemetry::AuditEvent;
use crate::text;

mod download;

/// The most lines of a response.
const LISTED_MAX: u32 = 1_000;
/// The most lines of a response if the request has no `max`.
const LISTED_DEFAULT: u32 = 100;
/// The longest login that is searched, in bytes.
const LOGIN_BYTES_MAX: usize = 512;

pub(super) fn routes() -> Resource {
    Resource::new()
        .routes(routes!(list))
        .routes(routes!(download::download))
}

/// Which lines are listed. All conditions must hold.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditParameters {
    /// The event, such as `login` or `refused`.
    #[param(value_type = Option<String>)]
    event: Option<AuditEvent>,
    /// The login of the person, whole; upper and lower case are the same.
    login: Option<String>,
    /// The ID of the account of the person.
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// The ID of the connector.
    #[param(value_type = Option<String>)]
    connector: Option<ConnectorId>,
    /// Only lines of this time or later, in seconds since 1970.
    since: Option<i64>,
    /// Only lines before this time, in seconds since 1970.
    until: Option<i64>,
    /// `newest` first, which is the default, or `oldest` first.
    #[param(value_type = Option<String>)]
    order: Option<AuditOrder>,
    /// The line after which the list begins: `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<AuditPosition>,
    /// The most lines in the response. In a list, 100 if absent, and never more than 1000; in a download, all
    /// if absent.
    max: Option<u32>,
}

/// Lines of the audit trail.
#[derive(Serialize, ToSchema)]
struct AuditList {
    lines: Vec<AuditEntry>,
    /// The value of `after` for the next page; `null` on the last page.
    next: Option<String>,
}

/// A line of the audit trail. A field that does not apply is absent.
#[derive(Serialize, Deserialize, ToSchema)]
struct AuditEntry {
    /// When it happened, in seconds since 1970.
    #[serde(default)]
    at: i64,
    /// The same as RFC 3339, to the millisecond.
    timestamp: String,
    event: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connector: Option<String>,
    /// The configured name of the issuer of a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    /// The identifier of the person at the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<String>,
    /// The ID of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    /// Names the session in logs and in this API.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    /// Names the access token in logs and in this API.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_name: Option<String>,
    /// The IP address of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    /// The User-Agent header, at most 256 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The reason in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_zh: Option<String>,
    /// The name of the administrator who did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The error in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_zh: Option<String>,
    /// How many lines about anonymous clients were left out before this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_out: Option<u64>,
}

impl AuditParameters {
    /// The query of the store, for as many lines as a page of a list has.
    fn query(&self) -> Result<AuditQuery, ApiError> {
        let login = self.login.as_ref();
        if login.is_some_and(|login| login.len() > LOGIN_BYTES_MAX) {
            let detail = text!(
                "the query: login is longer than {LOGIN_BYTES_MAX} bytes",
                "查询：login 超过 {LOGIN_BYTES_MAX} 字节"
            );
            return Err(ApiError::Malformed(detail));
        }
        Ok(AuditQuery {
            event: self.event,
            login: self.login.clone(),
            account: self.account,
            connector: self.connector.clone(),
            since: self.since.map(Timestamp::from_unix_s),
            until: self.until.map(Timestamp::from_unix_s),
            order: self.order.unwrap_or_default(),
            after: self.after,
            max: self.max.unwrap_or(LISTED_DEFAULT).clamp(1, LISTED_MAX),
        })
    }
}

/// Lists lines of the audit trail: those that the store has had for at most `[audit] keep`. A line is there
/// some moments after it is in the log.
#[utoipa::path(
    get, path = "/api/audit", operation_id = "listAuditLines", tag = "audit",
    params(AuditParameters),
    responses(
        (status = 200, body = AuditList, description = "Lines of the audit trail in the order of their times"),
        (status = 400, body = Problem, description = "A parameter is wrong"),
    )
)]
async fn list(
    State(state): State<Arc<ApiState>>,
    QueryParameters(parameters): QueryParameters<AuditParameters>,
) -> Result<ApiJson<AuditList>, ApiError> {
    let mut query = parameters.query()?;
    let max = usize::try_from(query.max).unwrap_or(usize::MAX);
    // One more shows whether there is a next page.
    query.max += 1;
    let mut found = state.live.services().audit.search(&query).await?;
    let has_next = found.len() > max;
    found.truncate(max);
    let next = found.last().filter(|_| has_next);
    let next = next.map(|last| last.position.to_string());
    let lines = found.iter().map(entry).collect::<Result<_, _>>()?;
    Ok(ApiJson(AuditList { lines, next }))
}

fn entry(line: &StoredAuditLine) -> Result<AuditEntry, StoreError> {
    let parsed = serde_json::from_str::<AuditEntry>(&line.json);
    let record = "audit line";
    let parsed = parsed.map_err(|_| StoreError::Damaged { record })?;
    Ok(AuditEntry {
        at: line.position.at.unix_s(),
        ..parsed
    })
}
