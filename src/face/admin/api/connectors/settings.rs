//! `/api/connectors/ID`: shows, makes, replaces, removes, enables and disables a connector.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::super::answer::{ApiJson, Done, tagged};
use super::super::change::{Preconditions, Sender, TableBody};
use super::super::error::{ApiError, Problem};
use super::super::input::PathParameters;
use super::super::{ApiState, Resource};
use super::connector_id;
use crate::site::settings::{Change, Changed, Settings};
use crate::store::ConnectorId;
use crate::text;

pub(super) fn routes() -> Resource {
    Resource::new()
        .routes(routes!(show, put, delete))
        .routes(routes!(enable))
        .routes(routes!(disable))
}

/// A change that is in force.
#[derive(Serialize, ToSchema)]
struct SettingsVersion {
    /// The version that the change made; the current one if nothing was to be changed.
    version: u64,
}

/// Shows the settings of a connector, from the file or managed: the table `[connector.ID]` as JSON.
/// `********` stands for each secret. The header `ETag` has the version in which a managed one was last
/// changed.
#[utoipa::path(
    get, path = "/api/connectors/{id}", operation_id = "showConnector", tag = "connectors",
    params(("id" = String, Path, description = "The ID of the connector")),
    responses(
        (status = 200, body = serde_json::Value, description = "The settings"),
        (status = 404, body = Problem, description = "There is no such connector"),
    )
)]
async fn show(
    State(state): State<Arc<ApiState>>,
    PathParameters(id): PathParameters<String>,
) -> Result<Response, ApiError> {
    shown(&state.live.settings(), &connector_id(&id)?)
}

/// Makes a managed connector, or replaces its settings whole. A secret that is absent or `********` stays as
/// it is, unless the place to which it is sent changes; an empty text removes it. When the response arrives,
/// people sign in with the new settings.
#[utoipa::path(
    put, path = "/api/connectors/{id}", operation_id = "putConnector", tag = "connectors",
    params(
        ("id" = String, Path, description = "The ID of the connector"),
        ("If-Match" = Option<String>, Header, description = "The version that is replaced, such as \"17\""),
        ("If-None-Match" = Option<String>, Header, description = "`*`: the connector must be new"),
    ),
    request_body = serde_json::Value,
    responses(
        (status = 200, body = serde_json::Value, description = "The settings, as GET shows them"),
        (status = 201, body = serde_json::Value, description = "The settings of a new connector"),
        (status = 400, body = Problem, description = "Some fields are wrong: `fields` names them"),
        (status = 409, body = Problem, description = "The file has it, changes are forbidden, or the ID belongs to another kind"),
        (status = 412, body = Problem, description = "It was changed meanwhile"),
        (status = 413, body = Problem, description = "The body is longer than 1 MiB"),
        (status = 415, body = Problem, description = "The body is not application/json"),
        (status = 422, body = Problem, description = "Every field is fine, but the connector cannot be built"),
    )
)]
async fn put(
    State(state): State<Arc<ApiState>>,
    Sender(author): Sender,
    Preconditions(precondition): Preconditions,
    PathParameters(id): PathParameters<String>,
    TableBody(settings): TableBody,
) -> Result<Response, ApiError> {
    let parsed = id.parse::<ConnectorId>();
    let id = parsed
        .map_err(|error| ApiError::Malformed(text!("the path: {error}", "路径：{error:#}")))?;
    let is_new = state.live.settings().connector(&id).is_none();
    let change = Change::Put {
        id: id.clone(),
        settings,
    };
    let changed = state.live.change(change, precondition, &author).await?;
    let mut response = shown(&changed.settings, &id)?;
    if is_new {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

/// Removes a managed connector and ends its sessions. The accounts stay, and the ID can come again only as
/// the same kind.
#[utoipa::path(
    delete, path = "/api/connectors/{id}", operation_id = "deleteConnector", tag = "connectors",
    params(
        ("id" = String, Path, description = "The ID of the connector"),
        ("If-Match" = Option<String>, Header, description = "The version that is removed"),
    ),
    responses(
        (status = 200, body = Done, description = "It is gone"),
        (status = 404, body = Problem, description = "There is no such connector"),
        (status = 409, body = Problem, description = "The file has it, or changes are forbidden"),
        (status = 412, body = Problem, description = "It was changed meanwhile"),
        (status = 422, body = Problem, description = "The site cannot be built without it"),
    )
)]
async fn delete(
    State(state): State<Arc<ApiState>>,
    Sender(author): Sender,
    Preconditions(precondition): Preconditions,
    PathParameters(id): PathParameters<String>,
) -> Result<ApiJson<Done>, ApiError> {
    let change = Change::Delete {
        id: connector_id(&id)?,
    };
    state.live.change(change, precondition, &author).await?;
    Ok(Done::answer())
}

/// Enables a connector, also one of the file that does not say `enabled`.
#[utoipa::path(
    post, path = "/api/connectors/{id}/enable", operation_id = "enableConnector", tag = "connectors",
    params(("id" = String, Path, description = "The ID of the connector")),
    responses(
        (status = 200, body = SettingsVersion, description = "People may sign in with it"),
        (status = 404, body = Problem, description = "There is no such connector"),
        (status = 409, body = Problem, description = "The file decides it, or changes are forbidden"),
        (status = 412, body = Problem, description = "It was changed meanwhile"),
        (status = 422, body = Problem, description = "The site cannot be built with it"),
    )
)]
async fn enable(
    State(state): State<Arc<ApiState>>,
    Sender(author): Sender,
    Preconditions(precondition): Preconditions,
    PathParameters(id): PathParameters<String>,
) -> Result<Response, ApiError> {
    let change = Change::SetEnabled {
        id: connector_id(&id)?,
        enabled: true,
    };
    switched(state.live.change(change, precondition, &author).await?, &id)
}

/// Disables a connector and ends its sessions. Its settings and accounts stay.
#[utoipa::path(
    post, path = "/api/connectors/{id}/disable", operation_id = "disableConnector", tag = "connectors",
    params(("id" = String, Path, description = "The ID of the connector")),
    responses(
        (status = 200, body = SettingsVersion, description = "Nobody can sign in with it"),
        (status = 404, body = Problem, description = "There is no such connector"),
        (status = 409, body = Problem, description = "The file decides it, or changes are forbidden"),
        (status = 412, body = Problem, description = "It was changed meanwhile"),
        (status = 422, body = Problem, description = "The site cannot be built without it"),
    )
)]
async fn disable(
    State(state): State<Arc<ApiState>>,
    Sender(author): Sender,
    Preconditions(precondition): Preconditions,
    PathParameters(id): PathParameters<String>,
) -> Result<Response, ApiError> {
    let change = Change::SetEnabled {
        id: connector_id(&id)?,
        enabled: false,
    };
    switched(state.live.change(change, precondition, &author).await?, &id)
}

fn switched(changed: Changed, id: &str) -> Result<Response, ApiError> {
    let info = changed.settings.connector(&connector_id(id)?);
    let info = info.ok_or_else(|| ApiError::no_connector(id))?;
    let answer = SettingsVersion {
        version: changed.version,
    };
    Ok(tagged(answer, info.etag))
}

/// The settings of a connector with its tag.
fn shown(settings: &Settings, id: &ConnectorId) -> Result<Response, ApiError> {
    let unknown = || ApiError::no_connector(id.as_str());
    let info = settings.connector(id).ok_or_else(unknown)?;
    let table = settings.table(id).ok_or_else(unknown)?;
    Ok(tagged(table.expose(), info.etag).into_response())
}
