//! `/api/connectors/ID/token`: gives programs the application's access token of a connector. Only admin
//! tokens with `broker` have this right, and they have no other.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::answer::{ApiJson, Done, audit_reason_of_stored, audit_record};
use super::error::{ApiError, Problem};
use super::input::{JsonBody, PathParameters};
use super::{ApiState, Resource};
use crate::face::admin::tokens::{AdminRights, AdminToken};
use crate::login::ConnectorEntry;
use crate::store::ConnectorId;
use crate::telemetry::{AppTokenOutcome, AuditEvent, AuditRecord};
use crate::text;
use crate::wording::Text;

pub(super) fn routes() -> Resource {
    Resource::new()
        .routes(routes!(issue))
        .routes(routes!(reject))
}

/// The access token of an application at its source.
#[derive(Serialize, ToSchema)]
struct AppToken {
    access_token: String,
    /// For how many seconds the token may be used. Then ask again.
    expires_in: u64,
}

/// A token that the source rejects.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RejectedToken {
    access_token: String,
}

/// Gives out the access token of the connector's application, the one that menshen uses itself.
#[utoipa::path(
    get, path = "/api/connectors/{id}/token", operation_id = "getAppToken", tag = "connectors",
    params(("id" = String, Path, description = "The ID of the connector")),
    responses(
        (status = 200, body = AppToken, description = "The token"),
        (status = 404, body = Problem, description = "There is no such connector, or its kind has no such token"),
        (status = 502, body = Problem, description = "The source issues no token"),
    )
)]
async fn issue(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(id): PathParameters<String>,
) -> Result<ApiJson<AppToken>, ApiError> {
    let entry = allowed_connector(&state, &token, &id)?;
    let shared = entry.connector.shared_app_token();
    let shared = shared.ok_or_else(|| no_app_token(&id))?;
    let issued = shared.app_token().await;
    entry
        .health
        .record(&issued, state.live.services().clock.now());
    let (outcome, reason) = match &issued {
        Ok(_) => (AppTokenOutcome::Issued, Text::default()),
        Err(_) => (
            AppTokenOutcome::Failed,
            Text::fixed("the source issues no token", "认证源没有签发令牌"),
        ),
    };
    let reason = audit_reason_of_stored(&reason);
    record(&state, &token, &entry, outcome, &reason);
    let issued = issued.map_err(ApiError::Source)?;
    Ok(ApiJson(AppToken {
        access_token: issued.token.expose().clone(),
        expires_in: issued.usable_for.max(Duration::from_secs(1)).as_secs(),
    }))
}

/// Reports that the source rejects the token. If it is the current one, the next request gets a new one.
#[utoipa::path(
    post, path = "/api/connectors/{id}/token/rejected", operation_id = "rejectAppToken", tag = "connectors",
    params(("id" = String, Path, description = "The ID of the connector")),
    request_body = RejectedToken,
    responses(
        (status = 200, body = Done, description = "The next request gets another token"),
        (status = 404, body = Problem, description = "There is no such connector, or its kind has no such token"),
        (status = 429, body = Problem, description = "A token was discarded a short time ago"),
    )
)]
async fn reject(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(id): PathParameters<String>,
    JsonBody(body): JsonBody<RejectedToken>,
) -> Result<ApiJson<Done>, ApiError> {
    let entry = allowed_connector(&state, &token, &id)?;
    let shared = entry.connector.shared_app_token();
    let shared = shared.ok_or_else(|| no_app_token(&id))?;
    let discarded = shared.discard_app_token(&body.access_token);
    let (outcome, reason) = match &discarded {
        Ok(()) => (
            AppTokenOutcome::Rejected,
            Text::fixed("the source rejects the token", "认证源拒绝了令牌"),
        ),
        Err(_) => (
            AppTokenOutcome::Limited,
            Text::fixed("rejected too often", "报告失效过于频繁"),
        ),
    };
    let reason = audit_reason_of_stored(&reason);
    record(&state, &token, &entry, outcome, &reason);
    discarded.map_err(ApiError::DiscardedRecently)?;
    Ok(Done::answer())
}

/// The connector, if the token has the right to its application's token. A token without the right learns
/// nothing about which connectors there are.
fn allowed_connector(
    state: &ApiState,
    token: &AdminToken,
    id: &str,
) -> Result<Arc<ConnectorEntry>, ApiError> {
    let unknown = || ApiError::no_connector(id);
    let allowed = match &token.rights {
        AdminRights::Broker(connectors) => connectors.iter().find(|allowed| allowed.as_str() == id),
        AdminRights::Full | AdminRights::View => None,
    };
    let site = state.live.site();
    let entry = |id: &ConnectorId| site.login.entry(id).cloned();
    if let Some(allowed) = allowed {
        return entry(allowed).ok_or_else(unknown);
    }
    if let Some(entry) = ConnectorId::try_from(id.to_owned())
        .ok()
        .as_ref()
        .and_then(entry)
    {
        let reason = Text::fixed(
            "the admin token has no right to the token of the application",
            "管理令牌无权领取应用令牌",
        );
        record(state, token, &entry, AppTokenOutcome::Refused, &reason);
    }
    Err(ApiError::Forbidden(Text::fixed(
        "this token may not fetch the application's token of this connector: use one of [[admin.tokens]] \
         with the connector in broker",
        "这个令牌不能领取此认证源的应用令牌：请使用 [[admin.tokens]] 中 broker 包含该认证源的令牌",
    )))
}

fn no_app_token(id: &str) -> ApiError {
    ApiError::NotFound(text!(
        "the kind of connector {id} has no token of the application",
        "认证源 {id} 的类型没有应用令牌"
    ))
}

fn record(
    state: &ApiState,
    token: &AdminToken,
    entry: &ConnectorEntry,
    outcome: AppTokenOutcome,
    reason: &Text,
) {
    let event = match outcome {
        AppTokenOutcome::Issued | AppTokenOutcome::Failed => AuditEvent::AppToken,
        AppTokenOutcome::Rejected | AppTokenOutcome::Limited => AuditEvent::AppTokenRejected,
        AppTokenOutcome::Refused => AuditEvent::Refused,
    };
    state.telemetry.audit(&AuditRecord {
        connector: Some(entry.id.as_str()),
        ..audit_record(token, event, reason)
    });
    state.telemetry.count_app_token(entry.id.as_str(), outcome);
}
