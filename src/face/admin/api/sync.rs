//! `/api/sync`: starts directory syncs, and shows their progress and their reports.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::answer::ApiJson;
use super::error::{ApiError, Problem};
use super::input::{PathParameters, QueryParameters};
use super::{ApiState, Resource};
use crate::face::admin::tokens::AdminToken;
use crate::login::Login;
use crate::login::directory_sync::{RunningSync, SyncProgress, SyncRefused, SyncRequest};
use crate::people::directory_sync::{SyncReport, SyncScope};
use crate::store::ConnectorId;
use crate::wording::Text;

/// How long a request with `wait` may wait for the end of its sync.
const WAIT_MAX: Duration = Duration::from_secs(120);

pub(super) fn routes() -> Resource {
    Resource::new()
        .routes(routes!(status, sync_everything))
        .routes(routes!(sync_department))
        .routes(routes!(sync_person))
}

/// How a sync runs.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
struct SyncParameters {
    /// Only determine the differences.
    dry_run: bool,
    /// Close accounts even if there are more than `sync_brake` allows.
    force: bool,
    /// Answer when the sync has ended, at most after two minutes.
    wait: bool,
}

/// How a sync of one person runs.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
struct PersonSyncParameters {
    /// Only determine the difference.
    dry_run: bool,
    /// Write the fields even if nothing differs, or if the connector does not update them.
    force: bool,
}

/// The syncs of a connector on this node.
#[derive(Serialize, ToSchema)]
struct SyncStatus {
    connector: String,
    /// The sync that runs now.
    running: Option<Running>,
    /// The report of the last sync of everything or of a department.
    #[schema(value_type = Option<serde_json::Value>)]
    last: Option<Arc<SyncReport>>,
}

/// A sync that runs.
#[derive(Serialize, ToSchema)]
struct Running {
    /// The number of the sync on this node; its report has the same number.
    run: u64,
    #[schema(value_type = serde_json::Value)]
    scope: SyncScope,
    dry_run: bool,
    force: bool,
    /// Who started it.
    by: String,
    /// In seconds since 1970.
    started_at: i64,
    #[schema(value_type = serde_json::Value)]
    progress: SyncProgress,
}

impl From<SyncRefused> for ApiError {
    fn from(refused: SyncRefused) -> Self {
        let why = Text::of(&refused);
        match refused {
            SyncRefused::UnknownConnector(_) | SyncRefused::NoDirectory(_) => Self::NotFound(why),
            SyncRefused::NoSuchId { .. } => Self::Malformed(why),
            SyncRefused::Running { .. } => Self::Conflict(why),
        }
    }
}

/// Shows whether a directory sync of a connector runs on this node, how far it has come, and the report of
/// the last one.
#[utoipa::path(
    get, path = "/api/sync/{connector}", operation_id = "showSync", tag = "sync",
    params(("connector" = String, Path, description = "The ID of the connector")),
    responses(
        (status = 200, body = SyncStatus, description = "The running sync and the last report"),
        (status = 404, body = Problem, description = "No such connector, or it has no directory"),
    )
)]
async fn status(
    State(state): State<Arc<ApiState>>,
    PathParameters(connector): PathParameters<String>,
) -> Result<ApiJson<SyncStatus>, ApiError> {
    let connector = connector_id(&connector)?;
    status_of(&state.live.site().login, &connector).map(ApiJson)
}

/// Starts a directory sync of everything that the connector may see. If such a sync runs already, the
/// request joins it.
#[utoipa::path(
    post, path = "/api/sync/{connector}", operation_id = "sync", tag = "sync",
    params(("connector" = String, Path, description = "The ID of the connector"), SyncParameters),
    responses(
        (status = 200, body = serde_json::Value, description = "The report, with `wait`"),
        (status = 202, body = SyncStatus, description = "The sync runs"),
        (status = 404, body = Problem, description = "No such connector, or it has no directory"),
        (status = 409, body = Problem, description = "Another sync of the connector runs"),
    )
)]
async fn sync_everything(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters(connector): PathParameters<String>,
    QueryParameters(parameters): QueryParameters<SyncParameters>,
) -> Result<Response, ApiError> {
    let connector = connector_id(&connector)?;
    start(
        &state,
        &token,
        &connector,
        SyncScope::Everything,
        &parameters,
    )
    .await
}

/// Starts a directory sync of a department and those below it.
#[utoipa::path(
    post, path = "/api/sync/{connector}/department/{department}", operation_id = "syncDepartment",
    tag = "sync",
    params(
        ("connector" = String, Path, description = "The ID of the connector"),
        ("department" = String, Path, description = "The ID of the department at the source"),
        SyncParameters,
    ),
    responses(
        (status = 200, body = serde_json::Value, description = "The report, with `wait`"),
        (status = 202, body = SyncStatus, description = "The sync runs"),
        (status = 404, body = Problem, description = "No such connector, or it has no directory"),
        (status = 409, body = Problem, description = "Another sync of the connector runs"),
    )
)]
async fn sync_department(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters((connector, department)): PathParameters<(String, String)>,
    QueryParameters(parameters): QueryParameters<SyncParameters>,
) -> Result<Response, ApiError> {
    let connector = connector_id(&connector)?;
    let scope = SyncScope::Department(department);
    start(&state, &token, &connector, scope, &parameters).await
}

/// Reads one person again, and answers with the report.
#[utoipa::path(
    post, path = "/api/sync/{connector}/person/{person}", operation_id = "syncPerson", tag = "sync",
    params(
        ("connector" = String, Path, description = "The ID of the connector"),
        ("person" = String, Path, description = "The ID of the person at the source, such as the userid of WeCom"),
        PersonSyncParameters,
    ),
    responses(
        (status = 200, body = serde_json::Value, description = "The report"),
        (status = 202, body = SyncStatus, description = "The sync still runs"),
        (status = 400, body = Problem, description = "Not an ID of a person"),
        (status = 404, body = Problem, description = "No such connector, or it has no directory"),
        (status = 409, body = Problem, description = "Another sync of the connector runs"),
    )
)]
async fn sync_person(
    State(state): State<Arc<ApiState>>,
    Extension(token): Extension<AdminToken>,
    PathParameters((connector, person)): PathParameters<(String, String)>,
    QueryParameters(parameters): QueryParameters<PersonSyncParameters>,
) -> Result<Response, ApiError> {
    let connector = connector_id(&connector)?;
    let subject = state.live.site().login.subject_of(&connector, &person)?;
    let parameters = SyncParameters {
        dry_run: parameters.dry_run,
        force: parameters.force,
        wait: true,
    };
    let scope = SyncScope::Person(subject);
    start(&state, &token, &connector, scope, &parameters).await
}

async fn start(
    state: &ApiState,
    token: &AdminToken,
    connector: &ConnectorId,
    scope: SyncScope,
    parameters: &SyncParameters,
) -> Result<Response, ApiError> {
    let login = state.live.site().login.clone();
    let request = SyncRequest {
        scope,
        dry_run: parameters.dry_run,
        force: parameters.force,
        by: token.name.to_string(),
    };
    let running: Arc<RunningSync> = login.start_sync(connector, request)?;
    if parameters.wait
        && let Ok(Some(report)) = timeout(WAIT_MAX, running.report()).await
    {
        return Ok(ApiJson(report).into_response());
    }
    let status = status_of(&login, connector)?;
    let mut response = ApiJson(status).into_response();
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}

fn status_of(login: &Login, connector: &ConnectorId) -> Result<SyncStatus, ApiError> {
    let status = login.sync_status(connector)?;
    let running = status.running.map(|sync| Running {
        run: sync.run,
        scope: sync.request.scope.clone(),
        dry_run: sync.request.dry_run,
        force: sync.request.force,
        by: sync.request.by.clone(),
        started_at: sync.started_at.unix_s(),
        progress: sync.progress(),
    });
    Ok(SyncStatus {
        connector: connector.to_string(),
        running,
        last: status.last,
    })
}

fn connector_id(text: &str) -> Result<ConnectorId, ApiError> {
    text.parse().map_err(|_| ApiError::no_connector(text))
}
