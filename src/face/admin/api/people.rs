//! `/api/people`: lists, shows, imports and changes people, and closes and reopens their accounts, all by
//! login.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use utoipa_axum::routes;

use super::accounts::{self, NamedAccount, Note, Reopened};
use super::answer::{ApiJson, Done};
use super::error::{ApiError, Problem};
use super::input::{OptionalJsonBody, PathParameters};
use super::{ApiState, Resource};
use crate::face::admin::tokens::AdminToken;
use crate::store::{Account, LoginName};

mod edit;
mod identities;
mod import;
mod listing;

pub(super) use listing::PeopleParameters;

pub(super) fn routes() -> Resource {
    Resource::new()
        .merge(listing::routes())
        .merge(import::routes())
        .merge(edit::routes())
        .merge(identities::routes())
        .routes(routes!(close))
        .routes(routes!(open))
}

/// The account with this login.
pub(super) async fn find(state: &ApiState, login: &str) -> Result<Account, ApiError> {
    let unknown = || ApiError::no_login(login);
    let name = LoginName::try_from(login.to_owned()).map_err(|_| unknown())?;
    let found = state.people.directory().account_by_login(&name).await?;
    found.ok_or_else(unknown)
}

/// Closes a person's account: the sessions end, and no login succeeds until it is reopened.
#[utoipa::path(
    post, path = "/api/people/{login}/close", operation_id = "closePerson", tag = "people",
    params(("login" = String, Path, description = "The login of the person")),
    request_body(content = Option<Note>, description = "May be absent"),
    responses(
        (status = 200, body = Done, description = "The account is closed"),
        (status = 400, body = Problem, description = "The reason is too long"),
        (status = 404, body = Problem, description = "Nobody has this login"),
    )
)]
async fn close(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(login): PathParameters<String>,
    OptionalJsonBody(note): OptionalJsonBody<Note>,
) -> Result<ApiJson<Done>, ApiError> {
    let account = find(&state, &login).await?;
    let account = NamedAccount {
        id: &account.id,
        login: Some(&account.login),
    };
    accounts::close_account(&state, &token, account, note).await
}

/// Reopens a person's account: the person can sign in again.
#[utoipa::path(
    post, path = "/api/people/{login}/open", operation_id = "openPerson", tag = "people",
    params(("login" = String, Path, description = "The login of the person")),
    request_body(content = Option<Note>, description = "May be absent"),
    responses(
        (status = 200, body = Reopened, description = "The account is open"),
        (status = 400, body = Problem, description = "The reason is too long"),
        (status = 404, body = Problem, description = "Nobody has this login"),
    )
)]
async fn open(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(login): PathParameters<String>,
    OptionalJsonBody(note): OptionalJsonBody<Note>,
) -> Result<ApiJson<Reopened>, ApiError> {
    let account = find(&state, &login).await?;
    let account = NamedAccount {
        id: &account.id,
        login: Some(&account.login),
    };
    accounts::reopen_account(&state, &token, account, note).await
}
