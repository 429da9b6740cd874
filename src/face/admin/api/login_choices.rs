//! `/api/login`: the connector to which people are redirected who are not signed in, and the order of the
//! sign-in page.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::answer::tagged;
use super::change::{Preconditions, Sender};
use super::error::{ApiError, Problem};
use super::input::JsonBody;
use super::{ApiState, Resource};
use crate::site::settings::{Change, FileLine, LoginChange, Settings};
use crate::store::ConnectorId;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(show, put))
}

/// The choices in force.
#[derive(Serialize, ToSchema)]
struct LoginChoices {
    /// The connector to which people are redirected who are not signed in; `null`: they see the sign-in page.
    #[schema(value_type = Option<String>)]
    default: Option<ConnectorId>,
    /// The connectors that come first on the sign-in page.
    #[schema(value_type = Vec<String>)]
    order: Vec<ConnectorId>,
    /// File and line that set `default`; `null`: it can be changed here.
    default_from: Option<String>,
    /// File and line that set `order`; `null`: it can be changed here.
    order_from: Option<String>,
}

/// What is changed; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct LoginChoicesChange {
    /// `null`: none.
    #[serde(deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    default: Option<Option<ConnectorId>>,
    #[schema(value_type = Option<Vec<String>>)]
    order: Option<Vec<ConnectorId>>,
}

/// A member that is there, also if it is null.
fn present<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<ConnectorId>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Shows to which connector people are redirected who are not signed in, and the order of the sign-in page.
#[utoipa::path(
    get, path = "/api/login", operation_id = "showLoginChoices", tag = "connectors",
    responses((status = 200, body = LoginChoices, description = "The choices in force"))
)]
async fn show(State(state): State<Arc<ApiState>>) -> Response {
    shown(&state.live.settings())
}

/// Sets to which connector people are redirected who are not signed in, the order of the sign-in page, or both.
#[utoipa::path(
    put, path = "/api/login", operation_id = "putLoginChoices", tag = "connectors",
    params(("If-Match" = Option<String>, Header, description = "The version that is replaced")),
    request_body = LoginChoicesChange,
    responses(
        (status = 200, body = LoginChoices, description = "The choices in force"),
        (status = 400, body = Problem, description = "There is no such connector"),
        (status = 409, body = Problem, description = "The file decides it, or changes are forbidden"),
        (status = 412, body = Problem, description = "It was changed meanwhile"),
    )
)]
async fn put(
    State(state): State<Arc<ApiState>>,
    Sender(author): Sender,
    Preconditions(precondition): Preconditions,
    JsonBody(body): JsonBody<LoginChoicesChange>,
) -> Result<Response, ApiError> {
    let change = Change::SetLogin(LoginChange {
        default: body.default,
        order: body.order,
    });
    let changed = state.live.change(change, precondition, &author).await?;
    Ok(shown(&changed.settings))
}

fn shown(settings: &Settings) -> Response {
    let choices = settings.login();
    let text = |at: Option<FileLine>| at.map(|at| at.to_string());
    let answer = LoginChoices {
        default: choices.default,
        order: choices.order,
        default_from: text(choices.default_from),
        order_from: text(choices.order_from),
    };
    tagged(answer, choices.etag)
}
