//! `/api/accounts`: closes and reopens accounts by their IDs; `/api/people` does it by login.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::answer::{ApiJson, Done, audit_reason, audit_reason_of_stored, audit_record};
use super::error::{ApiError, Problem};
use super::input::{OptionalJsonBody, PathParameters};
use super::{ApiState, Resource};
use crate::face::admin::tokens::AdminToken;
use crate::store::{AccountId, Closing, ConnectorId, LoginName, Subject};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::text;
use crate::wording::Text;

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 200;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(close)).routes(routes!(open))
}

/// Why an account is closed or reopened.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Note {
    /// For the history of the person and the audit log; at most 200 characters.
    #[schema(max_length = 200)]
    reason: String,
}

/// The response to reopening an account.
#[derive(Serialize, ToSchema)]
pub(super) struct Reopened {
    done: bool,
    /// Identities of the account that another account has or expects now; they stay there.
    identities_taken: Vec<TakenIdentity>,
}

/// An identity that belongs to another account.
#[derive(Serialize, ToSchema)]
struct TakenIdentity {
    #[schema(value_type = String)]
    connector: ConnectorId,
    /// The identifier of the person at the source.
    #[schema(value_type = String)]
    subject: Subject,
}

/// The account of a request, and its login if the request names it.
#[derive(Clone, Copy)]
pub(super) struct NamedAccount<'a> {
    pub(super) id: &'a AccountId,
    pub(super) login: Option<&'a LoginName>,
}

/// Closes an account: its sessions end, and the person cannot sign in.
#[utoipa::path(
    post, path = "/api/accounts/{id}/close", operation_id = "closeAccount", tag = "people",
    params(("id" = String, Path, description = "The ID of the account")),
    request_body(content = Option<Note>, description = "May be absent"),
    responses(
        (status = 200, body = Done, description = "The account is closed"),
        (status = 400, body = Problem, description = "The reason is too long"),
        (status = 404, body = Problem, description = "There is no such account"),
    )
)]
async fn close(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(id): PathParameters<String>,
    OptionalJsonBody(note): OptionalJsonBody<Note>,
) -> Result<ApiJson<Done>, ApiError> {
    let id = account_id(id)?;
    let account = NamedAccount {
        id: &id,
        login: None,
    };
    close_account(&state, &token, account, note).await
}

/// Reopens a closed account: the person can sign in again.
#[utoipa::path(
    post, path = "/api/accounts/{id}/open", operation_id = "openAccount", tag = "people",
    params(("id" = String, Path, description = "The ID of the account")),
    request_body(content = Option<Note>, description = "May be absent"),
    responses(
        (status = 200, body = Reopened, description = "The account is open"),
        (status = 400, body = Problem, description = "The reason is too long"),
        (status = 404, body = Problem, description = "There is no such account"),
    )
)]
async fn open(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(id): PathParameters<String>,
    OptionalJsonBody(note): OptionalJsonBody<Note>,
) -> Result<ApiJson<Reopened>, ApiError> {
    let id = account_id(id)?;
    let account = NamedAccount {
        id: &id,
        login: None,
    };
    reopen_account(&state, &token, account, note).await
}

fn account_id(text: String) -> Result<AccountId, ApiError> {
    let unknown = ApiError::NotFound(text!("there is no account {text}", "没有账号 {text}"));
    AccountId::try_from(text).map_err(|_| unknown)
}

/// Closes an account and writes the audit record.
pub(super) async fn close_account(
    state: &ApiState,
    token: &AdminToken,
    account: NamedAccount<'_>,
    note: Note,
) -> Result<ApiJson<Done>, ApiError> {
    let closing = Closing {
        by: token.name.to_string(),
        reason: note.checked()?,
        gone: None,
        by_sync_of: None,
    };
    let stored = state.people.close_account(account.id, &closing).await;
    if matches!(stored, Ok(false)) {
        return Err(ApiError::no_account(account.id));
    }
    let reason = audit_reason(&Text::same(closing.reason.clone()), &stored);
    audit(state, token, AuditEvent::AccountClosed, account, &reason);
    stored.map_err(ApiError::not_yet_stored)?;
    Ok(Done::answer())
}

/// Reopens an account and writes the audit record.
pub(super) async fn reopen_account(
    state: &ApiState,
    token: &AdminToken,
    account: NamedAccount<'_>,
    note: Note,
) -> Result<ApiJson<Reopened>, ApiError> {
    let note = note.checked()?;
    let reopening = state.people.reopen_account(account.id, &token.name).await?;
    let reopening = reopening.ok_or_else(|| ApiError::no_account(account.id))?;
    let reason = audit_reason_of_stored(&Text::same(note));
    audit(state, token, AuditEvent::AccountReopened, account, &reason);
    let taken = reopening.taken.into_iter();
    let taken = taken.map(|(connector, subject)| TakenIdentity { connector, subject });
    Ok(ApiJson(Reopened {
        done: true,
        identities_taken: taken.collect(),
    }))
}

impl Note {
    /// The reason, if it is short enough and has no control characters.
    fn checked(self) -> Result<String, ApiError> {
        let reason = self.reason;
        let is_long = reason.chars().count() > REASON_CHARS_MAX;
        if is_long || reason.chars().any(char::is_control) {
            return Err(ApiError::Malformed(Text::fixed(
                "reason: at most 200 characters, without control characters",
                "reason：最多 200 个字符，且不能有控制字符",
            )));
        }
        Ok(reason)
    }
}

fn audit(
    state: &ApiState,
    token: &AdminToken,
    event: AuditEvent,
    account: NamedAccount<'_>,
    reason: &Text,
) {
    state.telemetry.audit(&AuditRecord {
        account: Some(account.id),
        login: account.login.map(LoginName::as_str),
        ..audit_record(token, event, reason)
    });
}
