//! The responses to denials.

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{Response, StatusCode};

use super::super::page::{Cause, ForbiddenPage, Href, PersonName, ProgramCause};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, urls};
use super::program::{program_json, step_up_challenge};
use super::{
    accepts_html, access_token, bearer, login_needed, page_with_form_targets, problem, retry_link,
};
use crate::request::gate::Caller;
use crate::request::policy::{Denial, ForbiddenReason};
use crate::request::route::Route;
use crate::request::{AddressError, Body};

/// The response to a denial.
pub(in crate::face) fn deny(context: &RequestContext<'_>, denial: &Denial) -> LoggedResponse {
    match denial {
        Denial::NoRoute => {
            let response = problem(context, Cause::NotFound, None);
            LoggedResponse::denied("no route", None, None, response)
        }
        Denial::AmbiguousPath => {
            let response = problem(context, Cause::AmbiguousPath, None);
            LoggedResponse::denied("ambiguous path", None, None, response)
        }
        Denial::Method { route } => {
            let response = problem(context, Cause::BadRequest, None);
            LoggedResponse::denied("method not in capitals", Some(route), None, response)
        }
        Denial::TooCostly { route } => too_costly(context, route),
        Denial::AccessToken { route, why } => access_token::refused(context, route, *why),
        Denial::BadToken { route, issuer, why } => {
            bearer::refused(context, Some(route), issuer.as_ref(), why)
        }
        Denial::Scope {
            route,
            caller,
            needed,
        } => bearer::lacks_scope(context, Some(route), caller, needed),
        Denial::TwoCallers { route } => bearer::two_callers(context, Some(route)),
        Denial::IssuerUnavailable { route, issuer } => {
            bearer::issuer_unavailable(context, Some(route), issuer)
        }
        Denial::TooManyTokens { route, issuer } => {
            bearer::too_many_tokens(context, Some(route), issuer)
        }
        Denial::WeakToken { route } => {
            let demands = route.demands.as_deref();
            let mut response = login_needed(context, "step up", demands);
            if let Some(challenge) = demands.and_then(step_up_challenge) {
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            LoggedResponse::denied("weak token", Some(route), None, response)
        }
        Denial::Forbidden {
            route,
            caller,
            reason,
        } => {
            let reason = match reason {
                ForbiddenReason::Rule => "rule".to_owned(),
                ForbiddenReason::RuleFailed(error) => {
                    tracing::warn!(request_id = %context.id, route = route.name.as_str(), %error, "a rule failed, so the request is denied");
                    format!("rule failed: {error}")
                }
            };
            let response = forbidden(context, route.name.as_str(), caller);
            LoggedResponse::denied(reason, Some(route), Some(caller), response)
        }
        Denial::Address { route, why } => bad_address(context, route, *why),
        Denial::Incomplete { route, what } => {
            let route_name = route.as_ref().map_or("", |route| route.name.as_str());
            if context.site.request_warnings.allow() {
                let send = headers_for(what);
                tracing::warn!(request_id = %context.id, route = route_name, host = %context.head.host, "a trusted proxy does not send the {what} that the decision needs, so the request is denied: let the proxy send {send}");
            }
            let response = program_json(context, ProgramCause::Incomplete);
            LoggedResponse::denied(format!("untold: {what}"), route.as_ref(), None, response)
        }
        Denial::Unavailable { route } => {
            let response = problem(context, Cause::StoreUnavailable, retry_link(context.head));
            LoggedResponse::denied("unavailable", Some(route), None, response)
        }
    }
}

/// The denial of a request for which the route's expressions would take too much work.
fn too_costly(context: &RequestContext<'_>, route: &Arc<Route>) -> LoggedResponse {
    context.services.telemetry.count_costly_request();
    if context.site.request_warnings.allow() {
        let name = route.name.as_str();
        tracing::warn!(request_id = %context.id, route = name, client = %context.head.client_ip, "the expressions of a route take too much work for a request, so it is denied: its path has too many readings, or its headers are too long for the rule");
    }
    let response = problem(context, Cause::BadRequest, None);
    LoggedResponse::denied("too costly", Some(route), None, response)
}

/// The denial of a request that names another URL that is not allowed, such as in `Destination`.
fn bad_address(
    context: &RequestContext<'_>,
    route: &Arc<Route>,
    why: AddressError,
) -> LoggedResponse {
    let (id, name) = (context.id, route.name.as_str());
    tracing::info!(request_id = %id, route = name, %why, "a request names another URL that is not allowed, so it is denied");
    let response = problem(context, Cause::BadRequest, None);
    LoggedResponse::denied(why.to_string(), Some(route), None, response)
}

/// The headers by which a proxy can send a property of the request that it did not send.
fn headers_for(missing: &str) -> &'static str {
    match missing {
        "path" => "X-Forwarded-Uri, or what [check] original names",
        "method" => "X-Original-Method at /auth, X-Forwarded-Method at /forward-auth",
        "scheme" => "X-Forwarded-Proto, or the port within the host",
        _ => "X-Forwarded-For, and over gRPC the source",
    }
}

fn forbidden(context: &RequestContext<'_>, route: &str, caller: &Caller) -> Response<Body> {
    let person = match caller {
        Caller::Person(person) if accepts_html(context.head.headers) => person,
        _ => return program_json(context, ProgramCause::Forbidden),
    };
    let page = ForbiddenPage {
        info: context.page_info(),
        route,
        person: PersonName {
            name: person.entitlements.fields.name.as_deref(),
            login: person.session.login.as_str(),
        },
        switch_account: Href::new(urls::switch_account(context)),
        back: None,
    };
    let targets = urls::sign_out_targets(context, person);
    let page = page.render(context.lang());
    page_with_form_targets(StatusCode::FORBIDDEN, &page, &targets)
}
