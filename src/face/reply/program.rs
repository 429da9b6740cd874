//! Problems as JSON for programs: `application/problem+json` (RFC 9457).

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LANGUAGE, ORIGIN, VARY,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use super::super::page::{Cause, Lang, ProblemJson, ProgramCause, login_needed_title};
use super::super::{RequestContext, browser, urls};
use super::{RefusalStatuses, status_of, text};
use crate::request::Body;
use crate::request::route::Demands;

/// The `detail` of a 401 for a program that requests a page of the login, which only browsers open.
const NAVIGATIONS_ONLY: &str = "navigation";

/// A person must log in. `reason` is a word for scripts, the same in every language; `demands` names what the
/// login must prove.
pub(in crate::face) fn login_needed(
    context: &RequestContext<'_>,
    reason: &str,
    demands: Option<&Demands>,
) -> Response<Body> {
    let login_url = urls::sign_in(context);
    let problem = ProblemJson {
        login_url: Some(&login_url),
        acr_values: demands.map_or(&[], |demands| &demands.acr_values),
        max_age: demands.and_then(|demands| demands.max_age),
        ..login_needed_problem(context, reason)
    };
    respond(context, StatusCode::UNAUTHORIZED, &problem)
}

/// The refusal of a program that requests a page of the login. `login_url` is the page for a person.
pub(in crate::face) fn navigations_only(
    context: &RequestContext<'_>,
    login_url: &str,
) -> Response<Body> {
    let problem = ProblemJson {
        login_url: Some(login_url),
        ..login_needed_problem(context, NAVIGATIONS_ONLY)
    };
    respond(context, StatusCode::UNAUTHORIZED, &problem)
}

fn login_needed_problem<'a>(context: &RequestContext<'a>, reason: &'a str) -> ProblemJson<'a> {
    let lang = lang(context);
    let title = login_needed_title(lang);
    ProblemJson::new("login-needed", title, reason, lang, context.id.as_str())
}

/// The problem that a page shows to people.
pub(in crate::face) fn cause_json(context: &RequestContext<'_>, cause: Cause) -> Response<Body> {
    let problem = ProblemJson::of(cause, lang(context), context.id.as_str());
    respond_with_login_url(context, status_of(cause), problem)
}

/// A problem that only programs receive.
pub(super) fn program_json(context: &RequestContext<'_>, cause: ProgramCause) -> Response<Body> {
    let lang = lang(context);
    let (title, detail) = (cause.title(lang), cause.detail(lang));
    let problem = ProblemJson::new(cause.slug(), title, detail, lang, context.id.as_str());
    respond_with_login_url(context, program_status(cause), problem)
}

/// The response with a problem; a 401 also names the URL where a person can log in.
fn respond_with_login_url(
    context: &RequestContext<'_>,
    status: StatusCode,
    problem: ProblemJson<'_>,
) -> Response<Body> {
    let login_url = (status == StatusCode::UNAUTHORIZED).then(|| urls::sign_in(context));
    let problem = ProblemJson {
        login_url: login_url.as_deref(),
        ..problem
    };
    respond(context, status, &problem)
}

fn program_status(cause: ProgramCause) -> StatusCode {
    match cause {
        ProgramCause::BadToken | ProgramCause::BadAccessToken => StatusCode::UNAUTHORIZED,
        ProgramCause::TwoCallers => StatusCode::BAD_REQUEST,
        ProgramCause::Forbidden
        | ProgramCause::Incomplete
        | ProgramCause::MissingScope
        | ProgramCause::AccessTokenElsewhere
        | ProgramCause::AccessTokenNotEnough
        | ProgramCause::ForeignOrigin => StatusCode::FORBIDDEN,
        // Not 401, because the token may be valid, and not 429, because check protocols have only 503 for
        // "try again later".
        ProgramCause::IssuerUnavailable | ProgramCause::TooManyTokens => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

fn lang(context: &RequestContext<'_>) -> Lang {
    browser::program_lang(context.head.headers)
}

/// The response with a problem. Status and document agree, also where the recipient is a proxy that knows
/// fewer statuses.
fn respond(
    context: &RequestContext<'_>,
    status: StatusCode,
    problem: &ProblemJson<'_>,
) -> Response<Body> {
    let mut response = problem_response(status, context.statuses, problem);
    let headers = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 §15.5.2 requires a challenge. Browsers show no password dialog for this scheme.
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("menshen"));
        add_vary(headers, "cookie");
    }
    allow_cross_origin_read(context, &mut response);
    response
}

/// The response with a problem and the headers that do not depend on its request.
pub(super) fn problem_response(
    status: StatusCode,
    statuses: RefusalStatuses,
    problem: &ProblemJson<'_>,
) -> Response<Body> {
    let sent_status = statuses.of(status);
    let document = problem.render(sent_status.as_u16());
    let mut response = text(status, ProblemJson::CONTENT_TYPE, document);
    *response.status_mut() = sent_status;
    let headers = response.headers_mut();
    let tag = HeaderValue::from_static(problem.lang.tag());
    headers.insert(CONTENT_LANGUAGE, tag);
    headers.insert(VARY, HeaderValue::from_static("accept-language"));
    response
}

/// Adds a name to the one `Vary` header: of several headers with one name, some proxies that ask over gRPC pass on
/// the last.
fn add_vary(headers: &mut HeaderMap, name: &'static str) {
    let names = match headers.get(VARY).and_then(|names| names.to_str().ok()) {
        Some(names) => HeaderValue::from_str(&format!("{names}, {name}")),
        None => Ok(HeaderValue::from_static(name)),
    };
    if let Ok(names) = names {
        headers.insert(VARY, names);
    }
}

/// The challenge for a token whose authentication is too weak (RFC 9470 §3).
pub(super) fn step_up_challenge(demands: &Demands) -> Option<HeaderValue> {
    let mut text = "Bearer error=\"insufficient_user_authentication\"".to_owned();
    if !demands.acr_values.is_empty() {
        text.push_str(&format!(
            ", acr_values=\"{}\"",
            demands.acr_values.join(" ")
        ));
    }
    if let Some(max_age) = demands.max_age {
        text.push_str(&format!(", max_age=\"{}\"", max_age.as_secs()));
    }
    HeaderValue::from_str(&text).ok()
}

/// Lets a front end of an origin in `[login] origins` read the problem. Without CORS headers its
/// script cannot see the status, and so not that a login is needed. Own paths set their own headers.
fn allow_cross_origin_read(context: &RequestContext<'_>, response: &mut Response<Body>) {
    let site = context.site;
    if site.origins.is_empty() || site.routes.is_own_path(context.head.path.as_str()) {
        return;
    }
    let headers = response.headers_mut();
    add_vary(headers, "origin");
    let Some(origin) = context.head.headers.get(ORIGIN) else {
        return;
    };
    let mut configured = site.origins.iter().map(url::Origin::ascii_serialization);
    if configured.any(|configured| configured.as_bytes() == origin.as_bytes()) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
}

/// A cross-site request to an endpoint that only own pages may use.
pub(in crate::face) fn foreign_origin(context: &RequestContext<'_>) -> Response<Body> {
    program_json(context, ProgramCause::ForeignOrigin)
}
