//! Takes identities off accounts.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use utoipa_axum::routes;

use super::super::answer::{ApiJson, Done, audit_reason_of_stored, audit_record};
use super::super::error::{ApiError, Problem};
use super::super::input::PathParameters;
use super::super::{ApiState, Resource};
use crate::face::admin::tokens::AdminToken;
use crate::store::{ConnectorId, Subject};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::text;
use crate::wording::Text;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(remove))
}

/// Takes an identity off an account: its sessions and access tokens end, and nobody signs in to the account
/// with it. It may be one that the person has not signed in with yet.
#[utoipa::path(
    delete, path = "/api/people/{login}/identities/{connector}/{subject}",
    operation_id = "removeIdentity", tag = "people",
    params(
        ("login" = String, Path, description = "The login of the person"),
        ("connector" = String, Path, description = "The ID of the connector"),
        ("subject" = String, Path, description = "The identifier of the person at the source"),
    ),
    responses(
        (status = 200, body = Done, description = "The account does not have the identity any more"),
        (status = 404, body = Problem, description = "Nobody has this login, or the person has no such identity"),
    )
)]
async fn remove(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters((login, connector, subject)): PathParameters<(String, String, String)>,
) -> Result<ApiJson<Done>, ApiError> {
    let account = super::find(&state, &login).await?;
    let detail = text!(
        "{login} has no identity {subject} of {connector}",
        "{login} 没有 {connector} 的身份 {subject}"
    );
    let unknown = || ApiError::NotFound(detail.clone());
    let connector: ConnectorId = connector.parse().map_err(|_| unknown())?;
    let subject: Subject = subject.parse().map_err(|_| unknown())?;
    let removed = state
        .people
        .remove_identity(&account.id, &connector, &subject, &token.name);
    if !removed.await? {
        return Err(unknown());
    }
    let reason = audit_reason_of_stored(&Text::default());
    state.telemetry.audit(&AuditRecord {
        connector: Some(connector.as_str()),
        subject: Some(subject.as_str()),
        account: Some(&account.id),
        login: Some(account.login.as_str()),
        ..audit_record(&token, AuditEvent::IdentityRemoved, &reason)
    });
    Ok(Done::answer())
}
