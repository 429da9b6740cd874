//! Adds, changes and removes a person of a connector, and sets the password.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::super::answer::{ApiJson, audit_reason_of_stored, audit_record};
use super::super::error::{ApiError, Problem};
use super::super::input::{JsonBody, PathParameters};
use super::super::{ApiState, Resource};
use super::{Ended, ended_text, entry_of, mapped_login};
use crate::face::admin::tokens::AdminToken;
use crate::login::ConnectorEntry;
use crate::people::local_people::LocalPersonChange;
use crate::store::{EndedLogins, LocalPerson, LoginName};
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::text;
use crate::wording::Text;

mod body;

use body::{LocalPersonFields, PasswordBody, hash_of};

pub(super) fn routes() -> Resource {
    Resource::new()
        .routes(routes!(add))
        .routes(routes!(change))
        .routes(routes!(set_password))
        .routes(routes!(remove))
}

/// The person whom a path names.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct PersonPath {
    /// The ID of the connector
    id: String,
    /// The login of the person
    login: String,
}

/// The response to a change of a person.
#[derive(Serialize, ToSchema)]
struct LocalPersonDone {
    done: bool,
    /// What ended with the change.
    ended: Ended,
    /// Whether another account has the login, so that the person cannot sign in until one of them is renamed
    /// or they are linked. Only in the response to adding somebody.
    #[serde(skip_serializing_if = "Option::is_none")]
    login_taken: Option<bool>,
}

/// Adds a person to a connector.
#[utoipa::path(
    post, path = "/api/connectors/{id}/people/{login}", operation_id = "addLocalPerson",
    tag = "local people",
    params(PersonPath),
    request_body = LocalPersonFields,
    responses(
        (status = 200, body = LocalPersonDone, description = "The person can sign in"),
        (status = 400, body = Problem, description = "A field is wrong, or there is no password"),
        (status = 404, body = Problem, description = "The store does not keep the people of such a connector"),
        (status = 409, body = Problem, description = "Somebody has this login already"),
    )
)]
async fn add(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(PersonPath { id, login }): PathParameters<PersonPath>,
    JsonBody(mut body): JsonBody<LocalPersonFields>,
) -> Result<ApiJson<LocalPersonDone>, ApiError> {
    let (entry, people) = entry_of(&state, &id)?;
    let login = LoginName::try_from(login);
    let login = login
        .map_err(|error| ApiError::Malformed(text!("the path: {error}", "路径：{error:#}")))?;
    let hash = hash_of(body.password.take(), body.password_hash.take()).await?;
    let (mut change, _) = body.change()?;
    change.password_hash = Some(hash);
    let added = people.create(login, &change).await?;
    audit(
        &state,
        &token,
        (&entry, &added.person),
        AuditEvent::PersonAdded,
        &Text::default(),
    );
    let login_taken = is_login_taken(&state, &entry, &added.person).await?;
    Ok(done(&added.ended, Some(login_taken)))
}

/// Whether an account has the login of this person and is not theirs.
async fn is_login_taken(
    state: &ApiState,
    entry: &ConnectorEntry,
    person: &LocalPerson,
) -> Result<bool, ApiError> {
    let Ok(login) = mapped_login(entry, &person.login).parse() else {
        return Ok(false);
    };
    let account = state.people.directory().account_by_login(&login).await?;
    let Some(account) = account else {
        return Ok(false);
    };
    let (identities, _) = state.people.details(&account.id, 0).await?;
    let is_theirs = identities.iter().any(|identity| {
        identity.connector == entry.id && identity.subject.as_ref() == Some(&person.subject)
    });
    Ok(!is_theirs)
}

/// Changes the fields of a person, or disables or enables them.
#[utoipa::path(
    patch, path = "/api/connectors/{id}/people/{login}", operation_id = "changeLocalPerson",
    tag = "local people",
    params(PersonPath),
    request_body = LocalPersonFields,
    responses(
        (status = 200, body = LocalPersonDone, description = "The person is changed"),
        (status = 400, body = Problem, description = "A field is wrong"),
        (status = 404, body = Problem, description = "There is no such connector or person"),
        (status = 409, body = Problem, description = "Others changed the person at the same time"),
    )
)]
async fn change(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(PersonPath { id, login }): PathParameters<PersonPath>,
    JsonBody(body): JsonBody<LocalPersonFields>,
) -> Result<ApiJson<LocalPersonDone>, ApiError> {
    let (entry, people) = entry_of(&state, &id)?;
    if body.password.is_some() || body.password_hash.is_some() {
        return Err(ApiError::Malformed(Text::fixed(
            "the body: the password is set by POST at its own path",
            "请求体：修改密码请向它自己的路径发送 POST",
        )));
    }
    let (change, names) = body.change()?;
    let changed = people.change(&login, &change).await?;
    let event = AuditEvent::PersonChanged;
    let ended = ended_text(&changed.ended);
    let note = text!("{names}: {ended}", "{names}：{ended:#}");
    audit(&state, &token, (&entry, &changed.person), event, &note);
    Ok(done(&changed.ended, None))
}

fn done(ended: &EndedLogins, login_taken: Option<bool>) -> ApiJson<LocalPersonDone> {
    ApiJson(LocalPersonDone {
        done: true,
        ended: Ended::from(ended),
        login_taken,
    })
}

/// Gives a person another password. The sessions and access tokens end.
#[utoipa::path(
    post, path = "/api/connectors/{id}/people/{login}/password", operation_id = "setLocalPassword",
    tag = "local people",
    params(PersonPath),
    request_body = PasswordBody,
    responses(
        (status = 200, body = LocalPersonDone, description = "The password counts from the next login on"),
        (status = 400, body = Problem, description = "The password cannot be used"),
        (status = 404, body = Problem, description = "There is no such connector or person"),
        (status = 409, body = Problem, description = "Others changed the person at the same time"),
    )
)]
async fn set_password(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(PersonPath { id, login }): PathParameters<PersonPath>,
    JsonBody(body): JsonBody<PasswordBody>,
) -> Result<ApiJson<LocalPersonDone>, ApiError> {
    let (entry, people) = entry_of(&state, &id)?;
    let change = LocalPersonChange {
        password_hash: Some(hash_of(body.password, body.password_hash).await?),
        must_change: Some(body.must_change),
        ..LocalPersonChange::default()
    };
    let changed = people.change(&login, &change).await?;
    let event = AuditEvent::PasswordChanged;
    let note = ended_text(&changed.ended);
    audit(&state, &token, (&entry, &changed.person), event, &note);
    Ok(done(&changed.ended, None))
}

/// Removes a person. The sessions and access tokens end; the account stays.
#[utoipa::path(
    delete, path = "/api/connectors/{id}/people/{login}", operation_id = "removeLocalPerson",
    tag = "local people",
    params(PersonPath),
    responses(
        (status = 200, body = LocalPersonDone, description = "The person can no longer sign in"),
        (status = 404, body = Problem, description = "There is no such connector or person"),
        (status = 409, body = Problem, description = "Others changed the person at the same time"),
    )
)]
async fn remove(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(PersonPath { id, login }): PathParameters<PersonPath>,
) -> Result<ApiJson<LocalPersonDone>, ApiError> {
    let (entry, people) = entry_of(&state, &id)?;
    let (person, ended) = people.remove(&login).await?;
    let note = ended_text(&ended);
    audit(
        &state,
        &token,
        (&entry, &person),
        AuditEvent::PersonRemoved,
        &note,
    );
    Ok(done(&ended, None))
}

/// Records a change. The note has the names of fields, because their values are personal data.
fn audit(
    state: &ApiState,
    token: &AdminToken,
    (entry, person): (&ConnectorEntry, &LocalPerson),
    event: AuditEvent,
    note: &Text,
) {
    let reason = audit_reason_of_stored(note);
    let login = mapped_login(entry, &person.login);
    state.telemetry.audit(&AuditRecord {
        connector: Some(entry.id.as_str()),
        subject: Some(person.subject.as_str()),
        login: Some(&login),
        ..audit_record(token, event, &reason)
    });
}
