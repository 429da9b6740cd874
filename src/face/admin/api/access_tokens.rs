//! `/api/people/LOGIN/tokens`: lists the access tokens of a person and ends one.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::answer::{ApiJson, Done, audit_reason, audit_record};
use super::error::{ApiError, Problem};
use super::input::PathParameters;
use super::{ApiState, Resource, people};
use crate::clock::Timestamp;
use crate::face::admin::tokens::AdminToken;
use crate::store::{AccessTokenRecord, ConnectorId, LoginName, SessionId};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::text;
use crate::wording::Text;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(list)).routes(routes!(end))
}

/// An access token of a person, without its value.
#[derive(Serialize, ToSchema)]
struct AccessToken {
    /// Names the token in logs and in this API.
    #[schema(value_type = String)]
    id: SessionId,
    /// The name that the person gave it.
    name: String,
    /// The routes that it opens; `null`: every route with `access_tokens`.
    routes: Option<Vec<String>>,
    /// The connector of the login with which the person made it.
    #[schema(value_type = String)]
    connector: ConnectorId,
    created_at: i64,
    expires_at: i64,
    /// When it was last used. It is written once an hour.
    used_at: Option<i64>,
}

/// The access tokens of a person, the newest first.
#[derive(Serialize, ToSchema)]
struct AccessTokenList {
    #[schema(value_type = String)]
    login: LoginName,
    /// Those that can be used; at most 50.
    tokens: Vec<AccessToken>,
}

impl From<AccessTokenRecord> for AccessToken {
    fn from(token: AccessTokenRecord) -> Self {
        Self {
            id: token.public_id,
            name: token.name,
            routes: token.routes,
            connector: token.connector,
            created_at: token.created_at.unix_s(),
            expires_at: token.expires_at.unix_s(),
            used_at: token.used_at.map(Timestamp::unix_s),
        }
    }
}

/// Lists the access tokens of a person.
#[utoipa::path(
    get, path = "/api/people/{login}/tokens", operation_id = "listAccessTokens", tag = "people",
    params(("login" = String, Path, description = "The login of the person")),
    responses(
        (status = 200, body = AccessTokenList, description = "The tokens that can be used, the newest first"),
        (status = 404, body = Problem, description = "Nobody has this login"),
    )
)]
async fn list(
    State(state): State<Arc<ApiState>>,
    PathParameters(login): PathParameters<String>,
) -> Result<ApiJson<AccessTokenList>, ApiError> {
    let account = people::find(&state, &login).await?;
    let tokens = state.people.access_tokens().list(&account.id).await?;
    Ok(ApiJson(AccessTokenList {
        login: account.login,
        tokens: tokens.into_iter().map(AccessToken::from).collect(),
    }))
}

/// Ends an access token of a person.
#[utoipa::path(
    delete, path = "/api/people/{login}/tokens/{id}", operation_id = "endAccessToken", tag = "people",
    params(
        ("login" = String, Path, description = "The login of the person"),
        ("id" = String, Path, description = "The ID of the token, as the list and the logs name it"),
    ),
    responses(
        (status = 200, body = Done, description = "The next request with the token is refused"),
        (status = 404, body = Problem, description = "Nobody has this login, or the person has no such token"),
    )
)]
async fn end(
    State(state): State<Arc<ApiState>>,
    Extension(admin): Extension<AdminToken>,
    PathParameters((login, id)): PathParameters<(String, String)>,
) -> Result<ApiJson<Done>, ApiError> {
    let account = people::find(&state, &login).await?;
    let unknown = || {
        ApiError::NotFound(text!(
            "{login} has no access token {id}",
            "{login} 没有访问令牌 {id}"
        ))
    };
    let public_id = SessionId::try_from(id.clone()).map_err(|_| unknown())?;
    let tokens = state.people.access_tokens();
    let token = tokens.find(&account.id, &public_id).await?;
    let token = token.ok_or_else(unknown)?;
    let stored = tokens.end(&token).await;
    let reason = audit_reason(&Text::default(), &stored);
    state.telemetry.audit(&AuditRecord {
        account: Some(&account.id),
        login: Some(account.login.as_str()),
        access_token: Some((&token.public_id, &token.name)),
        ..audit_record(&admin, AuditEvent::AccessTokenEnded, &reason)
    });
    stored.map_err(ApiError::not_yet_stored)?;
    Ok(Done::answer())
}
