//! `/api/explain`: explains the decision about a request.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::answer::ApiJson;
use super::error::{ApiError, Problem};
use super::{ApiState, Resource};
use crate::face::explanation;
use crate::people::directory::SimulateError;
use crate::request::explain::{self, ExplainArguments, ExplainQuery};
use crate::text;
use crate::wording::Text;

pub(super) fn routes() -> Resource {
    Resource::new().routes(routes!(explain))
}

/// The request to explain. Only `header` may be repeated.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the query, which `parse_query` parses")]
struct ExplainParameters {
    /// The URL, as a browser shows it.
    url: String,
    /// The login of a person who is assumed to have just signed in; absent: a request without a session.
    #[param(rename = "as")]
    login: Option<String>,
    /// The connector the person signs in with; absent: the one of their last login.
    via: Option<String>,
    /// The HTTP method; GET if absent.
    method: Option<String>,
    /// The IP address of the peer; 127.0.0.1 if absent.
    from: Option<String>,
    /// A header of the request, as `NAME: VALUE`.
    header: Option<Vec<String>>,
}

/// Explains whether a request would be allowed, and why. Changes nothing.
#[utoipa::path(
    get, path = "/api/explain", operation_id = "explainRequest", tag = "decisions",
    params(ExplainParameters),
    responses(
        (status = 200, body = serde_json::Value, description = "The route, the rule, the verdict and why"),
        (status = 400, body = Problem, description = "A parameter is wrong"),
        (status = 404, body = Problem, description = "Nobody has this login"),
    )
)]
async fn explain(
    State(state): State<Arc<ApiState>>,
    RawQuery(query): RawQuery,
) -> Result<ApiJson<serde_json::Value>, ApiError> {
    let query = ExplainQuery::parse(parse_query(query.as_deref().unwrap_or(""))?)?;
    let (site, services) = (state.live.site(), state.live.services());
    let now = services.clock.now();
    let directory = services.people.directory();
    let explained = explain::explain(&site.explain_context(), directory, &query, now).await;
    let explanation = explained.map_err(|error| match error {
        SimulateError::Store(error) => ApiError::Store(error),
        SimulateError::Unknown { .. } | SimulateError::NoIdentity { .. } => {
            ApiError::NotFound(Text::of(&error))
        }
    })?;
    Ok(ApiJson(explanation::json(&explanation)))
}

fn parse_query(query: &str) -> Result<ExplainArguments, ApiError> {
    let mut arguments = ExplainArguments::default();
    let mut url = None;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let argument = match name.as_ref() {
            "url" => &mut url,
            "as" => &mut arguments.login,
            "via" => &mut arguments.via,
            "method" => &mut arguments.method,
            "from" => &mut arguments.from,
            "header" => {
                arguments.headers.push(value.into_owned());
                continue;
            }
            unknown => {
                return Err(ApiError::Malformed(text!(
                    "the query: unknown field `{unknown}`, expected one of `url`, `as`, `via`, `method`, \
                     `from`, `header`",
                    "查询：未知的字段 `{unknown}`，应为 `url`、`as`、`via`、`method`、`from`、`header` 之一"
                )));
            }
        };
        if argument.replace(value.into_owned()).is_some() {
            let detail = text!(
                "the query: {name} is given twice; only header may be repeated",
                "查询：{name} 出现了两次；只有 header 可以重复"
            );
            return Err(ApiError::Malformed(detail));
        }
    }
    let url = url.ok_or_else(|| {
        ApiError::Malformed(Text::fixed("the query: url is missing", "查询：缺少 url"))
    })?;
    Ok(ExplainArguments { url, ..arguments })
}
