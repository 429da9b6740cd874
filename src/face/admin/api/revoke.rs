//! `/api/revoke`: ends the sessions of a person, of a connector or of everyone.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::answer::{ApiJson, Done, audit_reason, audit_record};
use super::error::{ApiError, Problem};
use super::input::JsonBody;
use super::{ApiState, Resource};
use crate::face::admin::tokens::AdminToken;
use crate::store::{AccountId, ConnectorId, LoginName, PeopleQuery, RevocationScope, StoreError};
use crate::telemetry::AuditEvent;
use crate::wording::Text;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(revoke))
}

/// Whose sessions end: exactly one of the fields.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Revocation {
    /// The login of a person.
    #[schema(value_type = Option<String>)]
    login: Option<LoginName>,
    /// The ID of an account.
    #[schema(value_type = Option<String>)]
    account: Option<AccountId>,
    /// The ID of a connector: everyone who signed in with it.
    #[schema(value_type = Option<String>)]
    connector: Option<ConnectorId>,
    /// Whether all sessions end.
    #[serde(default)]
    everyone: bool,
}

/// Ends all sessions of a person, of a connector or of everyone.
#[utoipa::path(
    post, path = "/api/revoke", operation_id = "revokeSessions", tag = "sessions",
    request_body = Revocation,
    responses(
        (status = 200, body = Done, description = "The next request of each session is refused"),
        (status = 400, body = Problem, description = "The body names nobody, or several"),
        (status = 404, body = Problem, description = "There is no such person or connector"),
    )
)]
async fn revoke(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    JsonBody(body): JsonBody<Revocation>,
) -> Result<ApiJson<Done>, ApiError> {
    let mut login = None;
    let scope = match body {
        Revocation {
            login: Some(name),
            account: None,
            connector: None,
            everyone: false,
        } => {
            let account = state.people.directory().account_by_login(&name).await?;
            let account = account.ok_or_else(|| ApiError::no_login(name.as_str()))?;
            login = Some(account.login);
            RevocationScope::Account(account.id)
        }
        Revocation {
            login: None,
            account: Some(account),
            connector: None,
            everyone: false,
        } => RevocationScope::Account(account),
        Revocation {
            login: None,
            account: None,
            connector: Some(connector),
            everyone: false,
        } => {
            require_connector(&state, &connector).await?;
            RevocationScope::Connector(connector)
        }
        Revocation {
            login: None,
            account: None,
            connector: None,
            everyone: true,
        } => RevocationScope::Everyone,
        _ => {
            return Err(ApiError::Malformed(Text::fixed(
                "the body: give exactly one of login, account, connector, and everyone = true",
                "请求体：login、account、connector、everyone = true 必须且只能写一个",
            )));
        }
    };
    let stored = state.sessions.revoke(&scope).await;
    if let Err(error @ StoreError::NoAccount { .. }) = stored {
        return Err(error.into());
    }
    let note = match scope {
        RevocationScope::Everyone => Text::fixed("everyone", "所有人"),
        RevocationScope::Account(_)
        | RevocationScope::Connector(_)
        | RevocationScope::Session(_) => Text::default(),
    };
    let reason = audit_reason(&note, &stored);
    let mut record = audit_record(&token, AuditEvent::Revoked, &reason);
    record.login = login.as_ref().map(LoginName::as_str);
    match &scope {
        RevocationScope::Account(account) => record.account = Some(account),
        RevocationScope::Connector(connector) => record.connector = Some(connector.as_str()),
        RevocationScope::Everyone | RevocationScope::Session(_) => {}
    }
    state.telemetry.audit(&record);
    stored.map_err(ApiError::not_yet_stored)?;
    Ok(Done::answer())
}

/// Refuses a connector that is not configured and of which no person has an identity.
async fn require_connector(state: &ApiState, id: &ConnectorId) -> Result<(), ApiError> {
    if state.live.site().login.entry(id).is_some() {
        return Ok(());
    }
    let query = PeopleQuery {
        connector: Some(id.clone()),
        max: 1,
        ..PeopleQuery::default()
    };
    match state.people.list(&query).await?.is_empty() {
        true => Err(ApiError::no_connector(id.as_str())),
        false => Ok(()),
    }
}
