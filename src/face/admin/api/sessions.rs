//! `/api/sessions`: lists sessions and ends one.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::answer::{ApiJson, Done, audit_reason, audit_record};
use super::error::{ApiError, Problem};
use super::input::{PathParameters, QueryParameters};
use super::{ApiState, Resource};
use crate::face::admin::device::device;
use crate::face::admin::tokens::AdminToken;
use crate::store::{
    AccountId, ConnectorId, ListedSession, LoginName, RevocationScope, SessionId, SessionsQuery,
    Subject,
};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::text;
use crate::wording::Text;

/// The most listed sessions.
const LISTED_MAX: u32 = 10_000;
/// The most listed sessions if the request has no `max`.
const LISTED_DEFAULT: u32 = 100;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(list)).routes(routes!(end))
}

/// Which sessions are listed.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SessionParameters {
    /// Only those of the person with this login; not together with `account`.
    #[param(value_type = Option<String>)]
    login: Option<LoginName>,
    /// Only those of the account with this ID.
    #[param(value_type = Option<String>)]
    account: Option<AccountId>,
    /// Only those that began with this connector.
    #[param(value_type = Option<String>)]
    connector: Option<ConnectorId>,
    /// The most sessions in the response: 100 if absent, and never more than 10000.
    max: Option<u32>,
}

/// A signed-in browser.
#[derive(Serialize, ToSchema)]
struct Session {
    /// Names the session in logs and in this API.
    #[schema(value_type = String)]
    id: SessionId,
    #[schema(value_type = String)]
    login: LoginName,
    /// The name of the person.
    name: Option<String>,
    /// The ID of the account.
    #[schema(value_type = String)]
    account: AccountId,
    /// The connector of the login.
    #[schema(value_type = String)]
    connector: ConnectorId,
    /// The identifier of the person at the source.
    #[schema(value_type = String)]
    subject: Subject,
    /// The IP address from which the login was sent; absent for older sessions.
    #[schema(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// The browser and the system, such as `Chrome on Windows`, as the User-Agent names them.
    device: Option<String>,
    /// The User-Agent of the login, at most 256 characters.
    user_agent: Option<String>,
    /// When the session began.
    minted_at: i64,
    /// When the session ends, even if it is in use.
    expires_at: i64,
    /// When the session was last used. It is written with a delay of some seconds.
    used_at: i64,
}

/// Sessions, the newest first.
#[derive(Serialize, ToSchema)]
struct SessionList {
    sessions: Vec<Session>,
}

impl From<ListedSession> for Session {
    fn from(listed: ListedSession) -> Self {
        let ListedSession {
            session,
            login,
            name,
            origin,
        } = listed;
        Self {
            login,
            name,
            address: origin.address,
            device: origin.user_agent.as_deref().map(device),
            user_agent: origin.user_agent,
            id: session.public_id,
            account: session.account,
            connector: session.connector,
            subject: session.subject,
            minted_at: session.minted_at.unix_s(),
            expires_at: session.expires_at.unix_s(),
            used_at: session.used_at.unix_s(),
        }
    }
}

/// Lists sessions.
#[utoipa::path(
    get, path = "/api/sessions", operation_id = "listSessions", tag = "sessions",
    params(SessionParameters),
    responses(
        (status = 200, body = SessionList, description = "Sessions, the newest first"),
        (status = 400, body = Problem, description = "A parameter is wrong"),
        (status = 404, body = Problem, description = "Nobody has this login"),
    )
)]
async fn list(
    State(state): State<Arc<ApiState>>,
    QueryParameters(parameters): QueryParameters<SessionParameters>,
) -> Result<ApiJson<SessionList>, ApiError> {
    let account = match (parameters.login, parameters.account) {
        (Some(_), Some(_)) => {
            return Err(ApiError::Malformed(Text::fixed(
                "give login or account, not both",
                "login 和 account 只能写一个",
            )));
        }
        (Some(login), None) => {
            let account = state.people.directory().account_by_login(&login).await?;
            Some(
                account
                    .ok_or_else(|| ApiError::no_login(login.as_str()))?
                    .id,
            )
        }
        (None, account) => account,
    };
    let query = SessionsQuery {
        account,
        connector: parameters.connector,
        max: parameters.max.unwrap_or(LISTED_DEFAULT).min(LISTED_MAX),
    };
    let sessions = state.sessions.list(&query).await?;
    let sessions = sessions.into_iter().map(Session::from).collect();
    Ok(ApiJson(SessionList { sessions }))
}

/// Ends a session.
#[utoipa::path(
    delete, path = "/api/sessions/{id}", operation_id = "endSession", tag = "sessions",
    params(("id" = String, Path, description = "The ID of the session, as the list and the logs name it")),
    responses(
        (status = 200, body = Done, description = "The next request of the session is refused"),
        (status = 404, body = Problem, description = "There is no session with this ID"),
    )
)]
async fn end(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(id): PathParameters<String>,
) -> Result<ApiJson<Done>, ApiError> {
    let unknown = || ApiError::NotFound(text!("there is no session {id}", "没有会话 {id}"));
    let public_id = SessionId::try_from(id.clone()).map_err(|_| unknown())?;
    let key = state.sessions.session_key(&public_id).await?;
    let scope = RevocationScope::Session(key.ok_or_else(unknown)?);
    let stored = state.sessions.revoke(&scope).await;
    let reason = audit_reason(&Text::default(), &stored);
    state.telemetry.audit(&AuditRecord {
        session: Some(&public_id),
        ..audit_record(&token, AuditEvent::Revoked, &reason)
    });
    stored.map_err(ApiError::not_yet_stored)?;
    Ok(Done::answer())
}
