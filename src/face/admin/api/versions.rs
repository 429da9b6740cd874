//! `/api/config`: the versions of the managed settings, rollback, export and import.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::answer::{ApiJson, tagged};
use super::change::{Preconditions, Sender, SettingsBody};
use super::error::{ApiError, Problem};
use super::input::{JsonBody, PathParameters, QueryParameters};
use super::{ApiState, Resource};
use crate::face::admin::same_origin_text;
use crate::site::settings::{
    Change, ConnectorTable, LoginChange, ManagedDocument, SecretPlaces, VersionSummary,
};
use crate::store::ConnectorId;
use crate::text;

/// How many versions a page has if the request does not say it, and at most.
const PAGE_DEFAULT: u32 = 50;
const PAGE_MAX: u32 = 200;

pub(super) fn routes() -> Resource {
    Resource::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(roll_back))
        .routes(routes!(export))
        .routes(routes!(import))
}

/// Which versions are listed.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
struct VersionsParameters {
    /// Only versions before this one.
    before: Option<u64>,
    /// The most versions that are listed, at most 200.
    max: Option<u32>,
}

/// Which version is exported.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
struct ExportParameters {
    /// Absent: the newest.
    version: Option<u64>,
}

/// The versions, the newest first.
#[derive(Serialize, ToSchema)]
struct VersionList {
    versions: Vec<VersionLine>,
    /// The version in force on this node; 0: there is none yet.
    current: u64,
}

/// Who made a version, when, and what it changed.
#[derive(Serialize, ToSchema)]
struct VersionLine {
    version: u64,
    /// In seconds since 1970.
    made_at: i64,
    /// Who made it.
    by: String,
    /// `api`, `console` or `command`.
    means: String,
    /// The names of the changed fields.
    fields: Vec<String>,
}

/// A version with its settings; `********` stands for each secret.
#[derive(Serialize, ToSchema)]
struct VersionContent {
    #[serde(flatten)]
    line: VersionLine,
    /// The managed connectors: the tables `[connector.ID]` as JSON.
    #[schema(value_type = serde_json::Value)]
    connectors: BTreeMap<ConnectorId, Map<String, Value>>,
    /// Whether connectors of the file are enabled.
    #[schema(value_type = serde_json::Value)]
    enabled: BTreeMap<ConnectorId, bool>,
    #[schema(value_type = Option<String>)]
    default: Option<ConnectorId>,
    #[schema(value_type = Vec<String>)]
    order: Vec<ConnectorId>,
}

/// The version to which the settings return.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rollback {
    version: u64,
}

/// Connectors that are made or replaced in one version.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    /// The tables `[connector.ID]` as JSON.
    #[serde(default)]
    #[schema(value_type = serde_json::Value)]
    connector: BTreeMap<ConnectorId, Map<String, Value>>,
    #[serde(default)]
    login: ImportedLogin,
}

/// The choices of an import; what is absent stays.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct ImportedLogin {
    #[schema(value_type = Option<String>)]
    default: Option<ConnectorId>,
    #[schema(value_type = Option<Vec<String>>)]
    order: Option<Vec<ConnectorId>>,
}

/// Whether an import changes anything.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
struct ImportParameters {
    /// Only says what the import would change. Leaves an audit line.
    dry_run: bool,
}

/// The version that a change made, or would make.
#[derive(Serialize, ToSchema)]
struct MadeVersion {
    version: u64,
    /// The names of the changed fields.
    fields: Vec<String>,
}

impl From<VersionSummary> for VersionLine {
    fn from(summary: VersionSummary) -> Self {
        Self {
            version: summary.number,
            made_at: summary.made_at.unix_s(),
            by: summary.author,
            means: summary.means,
            fields: summary.fields,
        }
    }
}

/// Lists the versions of the managed settings, the newest first.
#[utoipa::path(
    get, path = "/api/config/versions", operation_id = "listVersions", tag = "settings",
    params(VersionsParameters),
    responses((status = 200, body = VersionList, description = "The versions"))
)]
async fn list(
    State(state): State<Arc<ApiState>>,
    QueryParameters(parameters): QueryParameters<VersionsParameters>,
) -> Result<ApiJson<VersionList>, ApiError> {
    let max = parameters.max.unwrap_or(PAGE_DEFAULT).min(PAGE_MAX);
    let versions = state.live.versions(parameters.before, max).await?;
    Ok(ApiJson(VersionList {
        versions: versions.into_iter().map(VersionLine::from).collect(),
        current: state.live.settings().version(),
    }))
}

/// Shows a version with its settings.
#[utoipa::path(
    get, path = "/api/config/versions/{version}", operation_id = "showVersion", tag = "settings",
    params(("version" = u64, Path, description = "The number of the version")),
    responses(
        (status = 200, body = VersionContent, description = "The version"),
        (status = 404, body = Problem, description = "There is no such version, or it is no longer kept"),
    )
)]
async fn show(
    State(state): State<Arc<ApiState>>,
    PathParameters(number): PathParameters<u64>,
) -> Result<ApiJson<VersionContent>, ApiError> {
    let version = state.live.version(number).await?;
    let version = version.ok_or_else(|| no_version(number))?;
    let document = version.document;
    let ids = document.connectors.keys();
    let tables = ids.filter_map(|id| Some((id.clone(), document.table(id)?.expose().clone())));
    Ok(ApiJson(VersionContent {
        line: version.summary.into(),
        connectors: tables.collect(),
        enabled: document.enabled.clone(),
        default: document.login.default.clone(),
        order: document.login.order.clone(),
    }))
}

/// Makes a new version with the settings of an older one. It is checked as every change is.
#[utoipa::path(
    post, path = "/api/config/rollback", operation_id = "rollBack", tag = "settings",
    params(("If-Match" = Option<String>, Header, description = "The newest version")),
    request_body = Rollback,
    responses(
        (status = 200, body = MadeVersion, description = "The settings are those of the older version"),
        (status = 404, body = Problem, description = "There is no such version, or it is no longer kept"),
        (status = 409, body = Problem, description = "Changes are forbidden"),
        (status = 412, body = Problem, description = "The settings were changed meanwhile"),
        (status = 422, body = Problem, description = "The site cannot be built with these settings"),
    )
)]
async fn roll_back(
    State(state): State<Arc<ApiState>>,
    Sender(author): Sender,
    Preconditions(precondition): Preconditions,
    JsonBody(body): JsonBody<Rollback>,
) -> Result<Response, ApiError> {
    let change = Change::Rollback {
        version: body.version,
    };
    let changed = state.live.change(change, precondition, &author).await?;
    let version = changed.version;
    let fields = changed.fields;
    Ok(tagged(MadeVersion { version, fields }, version))
}

/// The managed settings as TOML, for the configuration file. Secrets are not part of it: it names the
/// environment variables that must hold them.
#[utoipa::path(
    get, path = "/api/config/export", operation_id = "exportSettings", tag = "settings",
    params(ExportParameters),
    responses(
        (status = 200, body = String, content_type = "application/toml", description = "The settings"),
        (status = 404, body = Problem, description = "There is no such version, or it is no longer kept"),
    )
)]
async fn export(
    State(state): State<Arc<ApiState>>,
    QueryParameters(parameters): QueryParameters<ExportParameters>,
) -> Result<Response, ApiError> {
    let settings = state.live.settings();
    let document: ManagedDocument = match parameters.version {
        None => settings.document().clone(),
        Some(number) => {
            let version = state.live.version(number).await?;
            version.ok_or_else(|| no_version(number))?.document
        }
    };
    let toml = document.to_toml(&SecretPlaces::Environment);
    let response = same_origin_text(StatusCode::OK, "application/toml; charset=utf-8", toml);
    Ok(response.map(axum::body::Body::new).into_response())
}

/// Makes or replaces several connectors, in one version. Secrets are kept as PUT keeps them. With `dry_run`
/// everything is checked and built, and nothing changes.
#[utoipa::path(
    post, path = "/api/config/import", operation_id = "importSettings", tag = "settings",
    params(
        ImportParameters,
        ("If-Match" = Option<String>, Header, description = "The newest version"),
    ),
    request_body = Import,
    responses(
        (status = 200, body = MadeVersion, description = "The settings are in force"),
        (status = 400, body = Problem, description = "Some fields are wrong: `fields` names them"),
        (status = 409, body = Problem, description = "The file has one of them, or changes are forbidden"),
        (status = 412, body = Problem, description = "The settings were changed meanwhile"),
        (status = 422, body = Problem, description = "The site cannot be built with these settings"),
    )
)]
async fn import(
    State(state): State<Arc<ApiState>>,
    Sender(author): Sender,
    Preconditions(precondition): Preconditions,
    QueryParameters(parameters): QueryParameters<ImportParameters>,
    SettingsBody(body): SettingsBody<Import>,
) -> Result<Response, ApiError> {
    let connectors = body.connector.into_iter();
    let change = Change::Import {
        connectors: connectors
            .map(|(id, table)| (id, ConnectorTable::from(table)))
            .collect(),
        login: LoginChange {
            default: body.login.default.map(Some),
            order: body.login.order,
        },
    };
    if parameters.dry_run {
        let planned = state.live.plan_for(&change, precondition, &author).await?;
        let (version, fields) = (planned.version, planned.fields);
        return Ok(ApiJson(MadeVersion { version, fields }).into_response());
    }
    let changed = state.live.change(change, precondition, &author).await?;
    let (version, fields) = (changed.version, changed.fields);
    Ok(tagged(MadeVersion { version, fields }, version))
}

fn no_version(number: u64) -> ApiError {
    ApiError::NotFound(text!("there is no version {number}", "没有版本 {number}"))
}
