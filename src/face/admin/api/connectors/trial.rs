//! `/api/connectors/ID/test`: what the source says to saved or unsaved settings.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::super::answer::ApiJson;
use super::super::change::{OptionalTableBody, Sender};
use super::super::error::{ApiError, Problem};
use super::super::input::PathParameters;
use super::super::{ApiState, Resource};
use super::connector_id;
use crate::login::connector::Finding;
use crate::site::live::{EXAMINE_TIMEOUT, Trial};
use crate::text;
use crate::wording::Text;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(test))
}

/// One result of a test.
#[derive(Serialize, ToSchema)]
struct TestResult {
    good: bool,
    /// The result and, for a bad one, the remedy.
    text: String,
    /// The same in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    text_zh: Option<String>,
}

/// Asks the source of a connector what it says to the settings, as `menshen check --online` does. With a
/// body: to these settings, which are not saved; they keep secrets as PUT does.
#[utoipa::path(
    post, path = "/api/connectors/{id}/test", operation_id = "testConnector", tag = "connectors",
    params(("id" = String, Path, description = "The ID of the connector")),
    request_body = Option<serde_json::Value>,
    responses(
        (status = 200, body = Vec<TestResult>, description = "What the source says"),
        (status = 400, body = Problem, description = "Some fields are wrong: `fields` names them"),
        (status = 404, body = Problem, description = "There is no such connector"),
        (status = 422, body = Problem, description = "Every field is fine, but the connector cannot be built"),
    )
)]
async fn test(
    State(state): State<Arc<ApiState>>,
    Sender(author): Sender,
    PathParameters(id): PathParameters<String>,
    OptionalTableBody(unsaved): OptionalTableBody,
) -> Result<ApiJson<Vec<TestResult>>, ApiError> {
    let id = connector_id(&id)?;
    let trial = state.live.examine(&id, unsaved.as_ref(), &author).await?;
    let results = match trial {
        Trial::Answered(findings) => findings.into_iter().map(TestResult::from).collect(),
        Trial::NoAnswer => {
            let seconds = EXAMINE_TIMEOUT.as_secs();
            let text = text!(
                "the source did not answer within {seconds} s: check its address and the network",
                "认证源未在 {seconds} 秒内响应：请检查地址和网络"
            );
            vec![TestResult::new(false, &text)]
        }
    };
    Ok(ApiJson(results))
}

impl From<Finding> for TestResult {
    fn from(finding: Finding) -> Self {
        Self::new(finding.good, &finding.text)
    }
}

impl TestResult {
    fn new(good: bool, text: &Text) -> Self {
        Self {
            good,
            text: text.to_string(),
            text_zh: text.other_chinese(),
        }
    }
}
