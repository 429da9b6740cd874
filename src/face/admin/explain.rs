//! `GET /api/explain`: explains the decision about a request, as JSON.

use http::{Response, StatusCode};

use super::api::ApiError;
use super::{Admin, json_response};
use crate::face::explanation;
use crate::people::directory::SimulateError;
use crate::request::Body;
use crate::request::explain::{ExplainArguments, ExplainQuery, explain};

/// Explains the request in the query with the current configuration.
pub(super) async fn answer(admin: &Admin, query: &str) -> Result<Response<Body>, ApiError> {
    let query = ExplainQuery::parse(parse_query(query)?)?;
    let (site, shared) = (admin.live.site(), admin.live.services());
    let now = shared.clock.now();
    let directory = shared.people.directory();
    let explained = explain(&site.explain_context(), directory, &query, now).await;
    let explanation = explained.map_err(|error| match error {
        SimulateError::Store(error) => ApiError::Store(error),
        SimulateError::Unknown { .. } | SimulateError::NoIdentity { .. } => {
            ApiError::UnknownPerson(error.to_string())
        }
    })?;
    Ok(json_response(
        StatusCode::OK,
        &explanation::json(&explanation),
    ))
}

/// Parses the query. Only `header` may be repeated.
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
            _ => {
                return Err(ApiError::Malformed(
                    "unknown parameter; known are url, as, via, method, from and header",
                ));
            }
        };
        if argument.replace(value.into_owned()).is_some() {
            return Err(ApiError::Malformed("only header may be repeated"));
        }
    }
    let url = url.ok_or(ApiError::Malformed("url is missing"))?;
    Ok(ExplainArguments { url, ..arguments })
}
