//! `/api/connectors`: the connectors, and whether their sources answer.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::answer::ApiJson;
use super::{ApiState, Resource};
use crate::clock::Timestamp;
use crate::login::ConnectorEntry;
use crate::login::health::SourceProblem;
use crate::store::ConnectorId;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(list))
}

/// The connectors in the order of their ids.
#[derive(Serialize, ToSchema)]
struct ConnectorList {
    connectors: Vec<Connector>,
}

/// A connector, and what this process has seen of its source.
#[derive(Serialize, ToSchema)]
struct Connector {
    #[schema(value_type = String)]
    id: ConnectorId,
    display_name: String,
    /// The name of its kind, such as `wecom`.
    kind: &'static str,
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
    /// What to do.
    remedy: String,
}

/// Lists the connectors, with the last success and the last problem of each. Calls no source: the answer
/// comes from the calls that this process has made since its start.
#[utoipa::path(
    get, path = "/api/connectors", operation_id = "listConnectors", tag = "connectors",
    responses(
        (status = 200, body = ConnectorList, description = "The connectors in the order of their ids"),
    )
)]
async fn list(State(state): State<Arc<ApiState>>) -> ApiJson<ConnectorList> {
    let site = state.live.site();
    let connectors = site.login.entries().iter();
    let connectors = connectors.map(|entry| Connector::from(&**entry)).collect();
    ApiJson(ConnectorList { connectors })
}

impl From<&ConnectorEntry> for Connector {
    fn from(entry: &ConnectorEntry) -> Self {
        let report = entry.health.report();
        Self {
            id: entry.id.clone(),
            display_name: entry.display_name.clone(),
            kind: entry.kind,
            reachable: report.is_reachable(),
            last_success_at: report.answered_at.map(Timestamp::unix_s),
            last_problem: report.last_problem.map(ConnectorProblem::from),
        }
    }
}

impl From<SourceProblem> for ConnectorProblem {
    fn from(problem: SourceProblem) -> Self {
        Self {
            at: problem.at.unix_s(),
            error: problem.error,
            remedy: problem.remedy,
        }
    }
}
