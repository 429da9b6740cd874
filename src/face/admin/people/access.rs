//! `GET /api/people/LOGIN/access`: which routes a person may use. `GET /api/routes/NAME/people`: who may
//! use a route.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::super::api::ApiError;
use super::super::{Admin, json_response};
use super::listing;
use crate::people::directory::SimulateError;
use crate::request::Body;
use crate::request::explain::{
    ExplainArguments, ExplainQuery, ExplainedMatch, ExplainedVerdict, Explanation, VerdictKind,
    explain,
};
use crate::request::route::{HostPattern, Route};
use crate::store::{Account, LoginName};

/// The most people of one page: each is decided by itself.
const PEOPLE_MAX: u32 = 200;

/// The verdict of every route for a person who has just signed in.
pub(super) async fn of_person(
    admin: &Admin,
    account: &Account,
) -> Result<Response<Body>, ApiError> {
    let site = admin.live.site();
    let mut routes = Vec::new();
    for route in site.explain_context().routes.all() {
        let verdict = verdict(admin, route, &account.login).await?;
        let mut shown = verdict_json(&verdict);
        shown["route"] = route.name.as_str().into();
        shown["url"] = example_url(admin, route).into();
        routes.push(shown);
    }
    Ok(json_response(
        StatusCode::OK,
        &json!({ "login": account.login, "closed": account.closed, "routes": routes }),
    ))
}

/// A page of people, each with the verdict of a route.
pub(in super::super) async fn of_route(
    admin: &Admin,
    name: &str,
    query: &str,
) -> Result<Response<Body>, ApiError> {
    let mut query = listing::parse(query)?;
    query.max = query.max.min(PEOPLE_MAX);
    let site = admin.live.site();
    let route = site.explain_context().routes.by_name(name).cloned();
    let unknown = || ApiError::UnknownPerson(format!("there is no route {name}"));
    let route = route.ok_or_else(unknown)?;
    let found = admin.people.list(&query).await?;
    let is_last = found.len() < usize::try_from(query.max).unwrap_or(usize::MAX);
    let next = found.last().filter(|_| !is_last).map(|last| &last.login);
    let mut people = Vec::new();
    for person in &found {
        let mut shown = verdict_json(&verdict(admin, &route, &person.login).await?);
        shown["login"] = person.login.as_str().into();
        shown["id"] = person.id.to_string().into();
        shown["closed"] = person.closed.into();
        people.push(shown);
    }
    Ok(json_response(
        StatusCode::OK,
        &json!({ "route": name, "people": people, "next": next }),
    ))
}

/// What a route decides about the first page of a person, or why nothing can be said.
enum RouteVerdict {
    Decided(ExplainedVerdict, bool),
    /// The person has no identity yet.
    NeverSignedIn(String),
    /// Another route takes requests for this one's host and path.
    OtherRoute,
}

async fn verdict(
    admin: &Admin,
    route: &Route,
    login: &LoginName,
) -> Result<RouteVerdict, ApiError> {
    let query = ExplainQuery::parse(ExplainArguments {
        url: example_url(admin, route),
        login: Some(login.to_string()),
        via: None,
        ..ExplainArguments::default()
    })?;
    let (site, shared) = (admin.live.site(), admin.live.services());
    let directory = shared.people.directory();
    let now = shared.clock.now();
    let explained = explain(&site.explain_context(), directory, &query, now).await;
    Ok(match explained {
        Ok(explained) if decides(&explained, route) => {
            let closed = explained.caller.closed;
            RouteVerdict::Decided(explained.verdict, closed)
        }
        Ok(_) => RouteVerdict::OtherRoute,
        Err(SimulateError::Store(error)) => return Err(ApiError::Store(error)),
        Err(error) => RouteVerdict::NeverSignedIn(error.to_string()),
    })
}

fn verdict_json(verdict: &RouteVerdict) -> Value {
    match verdict {
        RouteVerdict::Decided(_, true) => {
            json!({ "allowed": false, "why": "the account is closed" })
        }
        RouteVerdict::Decided(verdict, false) => {
            let allowed = matches!(
                verdict.kind,
                VerdictKind::Allow | VerdictKind::NoUpstream | VerdictKind::Method
            );
            json!({ "allowed": allowed, "why": verdict.reason })
        }
        RouteVerdict::NeverSignedIn(why) => json!({ "allowed": null, "why": why }),
        RouteVerdict::OtherRoute => {
            json!({ "allowed": null, "why": "another route takes its requests" })
        }
    }
}

fn decides(explained: &Explanation, route: &Route) -> bool {
    matches!(&explained.route, ExplainedMatch::Route { name, .. } if name == route.name.as_str())
}

/// A URL that the route serves: its host, or one that its pattern matches, and its path.
fn example_url(admin: &Admin, route: &Route) -> String {
    let site = admin.live.site();
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
