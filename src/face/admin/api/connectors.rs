//! `/api/connectors`: the connectors with their settings, and whether their sources answer.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::answer::ApiJson;
use super::error::ApiError;
use super::{ApiState, Resource};
use crate::clock::Timestamp;
use crate::login::health::SourceProblem;
use crate::setting::Label;
use crate::site::Site;
use crate::site::settings::{ConnectorInfo, Origin};
use crate::store::ConnectorId;
use crate::wording::Text;

mod settings;
mod trial;

pub(super) fn routes() -> Resource {
    Resource::new()
        .routes(routes!(list))
        .merge(settings::routes())
        .merge(trial::routes())
}

/// The connectors in the order of the sign-in page.
#[derive(Serialize, ToSchema)]
struct ConnectorList {
    connectors: Vec<Connector>,
}

/// A connector, and what this process has seen of its source.
#[derive(Serialize, ToSchema)]
struct Connector {
    /// Its place on the sign-in page, from 0.
    order: usize,
    #[schema(value_type = String)]
    id: ConnectorId,
    /// A text, or `{ "zh": "…", "en": "…" }`.
    #[schema(value_type = Value)]
    display_name: Label,
    /// The name of its kind, such as `wecom`.
    kind: String,
    /// `managed`, or `file:` with the line of the configuration file.
    origin: String,
    /// The configuration file, if it is from there.
    file: Option<String>,
    /// Whether people may sign in with it.
    enabled: bool,
    /// Whether people who are not signed in are redirected to it.
    default: bool,
    /// Whether it is managed and the file has a connector with its ID, which counts.
    shadowed: bool,
    /// Why it is managed and enabled, but out of force.
    broken: Option<String>,
    /// The same in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_zh: Option<String>,
    /// The version in which it was last changed, as the header `ETag` has it.
    etag: String,
    /// Whether the source answered the last call at all; `null` if there was no call yet.
    reachable: Option<bool>,
    /// When the source last answered without a fault; the refusal of a person is no fault.
    last_success_at: Option<i64>,
    last_problem: Option<ConnectorProblem>,
}

/// A call to the source that failed for another reason than the person.
#[derive(Serialize, ToSchema)]
struct ConnectorProblem {
    at: i64,
    error: String,
    /// The same in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_zh: Option<String>,
    /// What to do.
    remedy: String,
    /// The remedy in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy_zh: Option<String>,
}

/// Lists the connectors, with the last success and the last problem of each. Calls no source: the response
/// comes from the calls that this process has made since its start.
#[utoipa::path(
    get, path = "/api/connectors", operation_id = "listConnectors", tag = "connectors",
    responses(
        (status = 200, body = ConnectorList, description = "The connectors in the order of the sign-in page"),
    )
)]
async fn list(State(state): State<Arc<ApiState>>) -> ApiJson<ConnectorList> {
    let site = state.live.site();
    let connectors = site.settings.connectors().into_iter().enumerate();
    let connectors = connectors.map(|(order, info)| Connector::new(order, info, &site));
    ApiJson(ConnectorList {
        connectors: connectors.collect(),
    })
}

impl Connector {
    fn new(order: usize, info: ConnectorInfo, site: &Site) -> Self {
        let entry = site.login.entry(&info.id).filter(|_| !info.shadowed);
        let report = entry.map(|entry| entry.health.report());
        let answered_at = report.as_ref().and_then(|report| report.answered_at);
        let (origin, file) = match &info.origin {
            Origin::File(at) => (format!("file:{}", at.line), Some(at.file.clone())),
            Origin::Managed => ("managed".to_owned(), None),
        };
        Self {
            order,
            origin,
            file,
            enabled: info.enabled,
            default: info.is_default,
            shadowed: info.shadowed,
            broken_zh: info.broken.as_ref().and_then(Text::other_chinese),
            broken: info.broken.map(|why| why.to_string()),
            etag: info.etag.to_string(),
            reachable: report.as_ref().and_then(|report| report.is_reachable()),
            last_success_at: answered_at.map(Timestamp::unix_s),
            last_problem: report
                .and_then(|report| report.last_problem)
                .map(ConnectorProblem::from),
            id: info.id,
            display_name: info.display_name,
            kind: info.kind,
        }
    }
}

impl From<SourceProblem> for ConnectorProblem {
    fn from(problem: SourceProblem) -> Self {
        Self {
            at: problem.at.unix_s(),
            error: problem.error.to_string(),
            error_zh: problem.error.other_chinese(),
            remedy: problem.remedy.to_string(),
            remedy_zh: problem.remedy.other_chinese(),
        }
    }
}

/// The ID in a path.
fn connector_id(text: &str) -> Result<ConnectorId, ApiError> {
    text.parse().map_err(|_| ApiError::no_connector(text))
}
