//! `/api/people/LOGIN/access`: which routes a person may use. `/api/routes/NAME/people`: who may use a
//! route.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::answer::ApiJson;
use super::error::{ApiError, Problem};
use super::input::{PathParameters, QueryParameters};
use super::people::{self, PeopleParameters};
use super::{ApiState, Resource};
use crate::people::directory::SimulateError;
use crate::request::explain::{
    ExplainArguments, ExplainQuery, ExplainedMatch, Explanation, VerdictKind, explain,
};
use crate::request::route::{HostPattern, Route};
use crate::store::{AccountId, LoginName};
use crate::text;
use crate::wording::Text;

/// The most people of one page: each is decided separately.
const PEOPLE_MAX: u32 = 200;

pub(super) fn routes() -> Resource {
    Resource::new()
        .routes(routes!(routes_of_person))
        .routes(routes!(people_of_route))
}

/// Whether a person may use a route.
#[derive(Serialize, ToSchema)]
struct Access {
    /// `null` if menshen cannot decide it; `why` says why not.
    allowed: Option<bool>,
    why: String,
    /// The same in Chinese.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_zh: Option<String>,
}

/// The routes of the site for one person.
#[derive(Serialize, ToSchema)]
struct PersonAccess {
    #[schema(value_type = String)]
    login: LoginName,
    /// Whether the account is closed.
    closed: bool,
    routes: Vec<RouteAccess>,
}

/// A route for a person.
#[derive(Serialize, ToSchema)]
struct RouteAccess {
    /// The name of the route.
    route: String,
    /// The URL that was decided: one that the route serves.
    url: String,
    #[serde(flatten)]
    access: Access,
}

/// The people of one route.
#[derive(Serialize, ToSchema)]
struct RoutePeople {
    /// The name of the route.
    route: String,
    people: Vec<PersonOfRoute>,
    /// The value of `after` for the next page; `null` on the last page.
    #[schema(value_type = Option<String>)]
    next: Option<LoginName>,
}

/// A person for a route.
#[derive(Serialize, ToSchema)]
struct PersonOfRoute {
    #[schema(value_type = String)]
    login: LoginName,
    /// The ID of the account.
    #[schema(value_type = String)]
    id: AccountId,
    /// Whether the account is closed.
    closed: bool,
    #[serde(flatten)]
    access: Access,
}

/// Shows which routes a person may use right after a login.
#[utoipa::path(
    get, path = "/api/people/{login}/access", operation_id = "showAccess", tag = "decisions",
    params(("login" = String, Path, description = "The login of the person")),
    responses(
        (status = 200, body = PersonAccess, description = "Every route of the site"),
        (status = 404, body = Problem, description = "Nobody has this login"),
    )
)]
async fn routes_of_person(
    State(state): State<Arc<ApiState>>,
    PathParameters(login): PathParameters<String>,
) -> Result<ApiJson<PersonAccess>, ApiError> {
    let account = people::find(&state, &login).await?;
    let site = state.live.site();
    let mut routes = Vec::new();
    for route in site.explain_context().routes.all() {
        routes.push(RouteAccess {
            route: route.name.as_str().to_owned(),
            url: example_url(&state, route),
            access: access(&state, route, &account.login).await?,
        });
    }
    Ok(ApiJson(PersonAccess {
        login: account.login,
        closed: account.closed,
        routes,
    }))
}

/// Lists people, and whether each may use a route.
#[utoipa::path(
    get, path = "/api/routes/{name}/people", operation_id = "listPeopleOfRoute", tag = "decisions",
    params(("name" = String, Path, description = "The name of the route"), PeopleParameters),
    responses(
        (status = 200, body = RoutePeople, description = "At most 200 people"),
        (status = 400, body = Problem, description = "A parameter is wrong"),
        (status = 404, body = Problem, description = "There is no such route"),
    )
)]
async fn people_of_route(
    State(state): State<Arc<ApiState>>,
    PathParameters(name): PathParameters<String>,
    QueryParameters(parameters): QueryParameters<PeopleParameters>,
) -> Result<ApiJson<RoutePeople>, ApiError> {
    let mut query = parameters.query(PEOPLE_MAX)?;
    let max = usize::try_from(query.max).unwrap_or(usize::MAX);
    // One more shows whether there is a next page.
    query.max += 1;
    let site = state.live.site();
    let route = site.explain_context().routes.by_name(&name).cloned();
    let route = route
        .ok_or_else(|| ApiError::NotFound(text!("there is no route {name}", "没有路由 {name}")))?;
    let mut found = state.people.list(&query).await?;
    let has_next = found.len() > max;
    found.truncate(max);
    let next = found.last().filter(|_| has_next);
    let next = next.map(|last| last.login.clone());
    let mut people = Vec::new();
    for person in found {
        people.push(PersonOfRoute {
            access: access(&state, &route, &person.login).await?,
            login: person.login,
            id: person.id,
            closed: person.closed,
        });
    }
    Ok(ApiJson(RoutePeople {
        route: name,
        people,
        next,
    }))
}

/// Whether a route allows a person its example URL.
async fn access(state: &ApiState, route: &Route, login: &LoginName) -> Result<Access, ApiError> {
    let query = ExplainQuery::parse(ExplainArguments {
        url: example_url(state, route),
        login: Some(login.to_string()),
        via: None,
        ..ExplainArguments::default()
    })?;
    let (site, services) = (state.live.site(), state.live.services());
    let directory = services.people.directory();
    let now = services.clock.now();
    let explained = explain(&site.explain_context(), directory, &query, now).await;
    let (allowed, why) = match explained {
        Err(SimulateError::Store(error)) => return Err(ApiError::Store(error)),
        // The person has no identity yet.
        Err(error) => (None, Text::of(&error)),
        Ok(explained) if !is_decided_by(route, &explained) => (
            None,
            Text::fixed(
                "requests to this URL belong to another route",
                "这个地址的请求属于另一条路由",
            ),
        ),
        Ok(explained) if explained.caller.closed => {
            let why = Text::fixed("the account is closed", "账号已关闭");
            (Some(false), why)
        }
        Ok(explained) => {
            let is_allowed = matches!(
                explained.verdict.kind,
                VerdictKind::Allow | VerdictKind::NoUpstream | VerdictKind::MethodNotForwarded
            );
            (Some(is_allowed), explained.verdict.reason)
        }
    };
    Ok(Access {
        allowed,
        why: why.to_string(),
        why_zh: why.other_chinese(),
    })
}

fn is_decided_by(route: &Route, explained: &Explanation) -> bool {
    matches!(&explained.route, ExplainedMatch::Route { name, .. } if name == route.name.as_str())
}

/// A URL that the route serves: its host, or one that its pattern matches, and its path.
fn example_url(state: &ApiState, route: &Route) -> String {
    let site = state.live.site();
    let external = &site.external_url;
    let port = route.host.port().map(|port| format!(":{port}"));
    let host = match &route.host {
        HostPattern::Any { .. } => external.host_str().unwrap_or("localhost").to_owned(),
        HostPattern::Exact { name, .. } => name.clone(),
        HostPattern::Wildcard { suffix, .. } => format!("example{suffix}"),
    };
    let port = port.unwrap_or_default();
    format!(
        "{}://{host}{port}{}",
        external.scheme(),
        route.path.as_str()
    )
}
