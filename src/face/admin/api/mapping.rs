//! `/api/mapping/preview`: what the mapping of a connector makes of a profile.

use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::answer::ApiJson;
use super::change::SettingsBody;
use super::error::{ApiError, Problem};
use super::{ApiState, Resource};
use crate::site::settings::{ConnectorTable, PreviewedField};
use crate::store::ConnectorId;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(preview))
}

/// Which mapping is tried, and on which profile.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PreviewRequest {
    /// The ID of the connector.
    #[schema(value_type = String)]
    connector: ConnectorId,
    /// Settings of the connector that are not saved; absent: the saved ones.
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Value>)]
    draft: Option<Map<String, Value>>,
    /// A profile as the source sends it.
    profile: Value,
}

/// The fields of a person.
#[derive(Serialize, ToSchema)]
struct Preview {
    fields: Vec<PreviewField>,
}

/// What the mapping makes of the profile for one field.
#[derive(Serialize, ToSchema)]
struct PreviewField {
    field: String,
    /// `null` if the profile has no value for it.
    value: Value,
    /// The error of the expression.
    error: Option<String>,
}

/// Shows what the mapping of a connector makes of a profile, field by field. Nobody signs in.
#[utoipa::path(
    post, path = "/api/mapping/preview", operation_id = "previewMapping", tag = "connectors",
    request_body = PreviewRequest,
    responses(
        (status = 200, body = Preview, description = "Each field with its value or its error"),
        (status = 400, body = Problem, description = "Some fields of the draft are wrong: `fields` names them"),
        (status = 404, body = Problem, description = "There is no such connector"),
        (status = 422, body = Problem, description = "The connector cannot be built"),
    )
)]
async fn preview(
    State(state): State<Arc<ApiState>>,
    SettingsBody(body): SettingsBody<PreviewRequest>,
) -> Result<ApiJson<Preview>, ApiError> {
    let draft = body.draft.map(ConnectorTable::from);
    let draft = state.live.draft(&body.connector, draft.as_ref())?;
    let fields = draft.preview(&body.profile).into_iter();
    let fields = fields.map(PreviewField::from).collect();
    Ok(ApiJson(Preview { fields }))
}

impl From<PreviewedField> for PreviewField {
    fn from(previewed: PreviewedField) -> Self {
        let (value, error) = match previewed.value {
            Ok(value) => (value, None),
            Err(error) => (Value::Null, Some(error)),
        };
        Self {
            field: previewed.field,
            value,
            error,
        }
    }
}
