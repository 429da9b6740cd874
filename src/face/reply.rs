//! Responses that menshen makes itself: the status and the page or problem document of every denial
//! and error, and the headers of all own responses. Checks replace the status by that of their
//! protocol.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};

pub(super) use bearer::{bearer_error, offer_bearer};

use super::browser::lang;
use super::page::{
    Cause, ForbiddenPage, Href, Lang, Page, PageInfo, PersonName, ProblemJson, ProblemPage,
};
use super::record::LoggedResponse;
use super::{RequestContext, urls};
use crate::people::cookie::adapt_to_user_agent;
use crate::request::forward::{ForwardError, ForwardFailure};
use crate::request::gate::Caller;
use crate::request::head::{Head, HeadError, cookie_pairs};
use crate::request::headers::RequestId;
use crate::request::policy::{Denial, ForbiddenReason};
use crate::request::route::Route;
use crate::request::{AddressError, Body};

mod bearer;
mod program;
mod redirect;

pub(super) use redirect::{redirect, see_other};

pub(super) use program::{foreign_origin, json_problem, login_needed};

/// `Retry-After` of a temporary failure.
const RETRY_AFTER_S: u32 = 5;

/// The HTTP status of a problem.
pub(super) fn status_of(cause: Cause) -> StatusCode {
    match cause {
        Cause::NotFound => StatusCode::NOT_FOUND,
        Cause::BadRequest
        | Cause::InvalidProxyHeader
        | Cause::AmbiguousPath
        | Cause::FlowCookieMissing
        | Cause::LoginExpired
        | Cause::FlowCookieForged
        | Cause::InvalidProviderResponse
        | Cause::CodeRejectedTwice
        | Cause::InvalidTicket
        | Cause::NotOnLoginHost => StatusCode::BAD_REQUEST,
        Cause::StoreUnavailable
        | Cause::SignOutUnstored
        | Cause::ProviderBusy
        | Cause::UpstreamBusy => StatusCode::SERVICE_UNAVAILABLE,
        Cause::UpstreamDown
        | Cause::InvalidUpstreamResponse
        | Cause::ProviderMisconfigured
        | Cause::ProviderUnreachable => StatusCode::BAD_GATEWAY,
        Cause::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        Cause::TooLarge | Cause::TooLargePartlySent => StatusCode::PAYLOAD_TOO_LARGE,
        Cause::TooManyLogins => StatusCode::TOO_MANY_REQUESTS,
        Cause::LoginDeclined
        | Cause::NotMember
        | Cause::InactiveMember
        | Cause::NotVisibleToApp
        | Cause::LoginTaken
        | Cause::UnknownPerson
        | Cause::AccountClosed
        | Cause::Revoked
        | Cause::NoLoginName
        | Cause::AuthTooWeak
        | Cause::EntryTokenRefused => StatusCode::FORBIDDEN,
        Cause::AccountNotSwitched => StatusCode::CONFLICT,
        Cause::WrongPassword | Cause::FrameNeedsLogin | Cause::FormNeedsLogin => {
            StatusCode::UNAUTHORIZED
        }
    }
}

/// The response to a malformed request head.
pub(super) fn bad_head(lang: Lang, id: &RequestId, error: HeadError) -> LoggedResponse {
    let page = ProblemPage {
        info: PageInfo {
            host: "",
            request_id: id.as_str(),
        },
        cause: match error {
            HeadError::Forwarded(_) => Cause::InvalidProxyHeader,
            _ => Cause::BadRequest,
        },
        connector_name: None,
        next: None,
        home_page: Some(Href::new("/")),
    };
    let response = page_response(StatusCode::BAD_REQUEST, &page.render(lang));
    LoggedResponse::denied(error.to_string(), None, None, response)
}

/// The response to a request that is no longer allowed.
pub(super) fn no_longer_allowed(lang: Lang, id: &RequestId) -> LoggedResponse {
    let page = ProblemPage {
        info: PageInfo {
            host: "",
            request_id: id.as_str(),
        },
        cause: Cause::Revoked,
        connector_name: None,
        next: None,
        home_page: Some(Href::new("/")),
    };
    let response = page_response(status_of(Cause::Revoked), &page.render(lang));
    LoggedResponse::denied("revoked", None, None, response)
}

/// The response to a denial.
pub(super) fn deny(context: &RequestContext<'_>, denial: &Denial) -> LoggedResponse {
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
            bearer::issuer_away(context, Some(route), issuer)
        }
        Denial::TooManyTokens { route, issuer } => {
            bearer::too_many_tokens(context, Some(route), issuer)
        }
        Denial::WeakToken { route } => {
            let demands = route.demands.as_deref();
            let mut response = login_needed(context, "step up", demands);
            if let Some(challenge) = demands.and_then(program::step_up_challenge) {
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
                    tracing::warn!(request_id = %context.id, route = route.name.as_str(), error, "a rule failed, so the request is denied");
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
                let send = remedy(what);
                tracing::warn!(request_id = %context.id, route = route_name, host = %context.head.host, "a trusted proxy does not send the {what} that the decision needs, so the request is denied: let the proxy send {send}");
            }
            let (status, title) = (StatusCode::FORBIDDEN, "Not allowed here");
            let response = json_problem(context, status, "untold", title, "");
            LoggedResponse::denied(format!("untold: {what}"), route.as_ref(), None, response)
        }
        Denial::Unavailable { route } => {
            let response = problem(context, Cause::StoreUnavailable, retry_link(context.head));
            LoggedResponse::denied("unavailable", Some(route), None, response)
        }
    }
}

/// The route's expressions would take more work than one request may cost.
fn too_costly(context: &RequestContext<'_>, route: &Arc<Route>) -> LoggedResponse {
    context.services.telemetry.count_costly_request();
    if context.site.request_warnings.allow() {
        let name = route.name.as_str();
        tracing::warn!(request_id = %context.id, route = name, client = %context.head.client_ip, "the expressions of a route take too much work for a request, so it is denied: its path has too many readings, or its headers are too long for the rule");
    }
    let response = problem(context, Cause::BadRequest, None);
    LoggedResponse::denied("too costly", Some(route), None, response)
}

/// A further URL in the request, such as in `Destination`, is not allowed.
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

/// The header by which a proxy can send a missing fact.
fn remedy(untold: &str) -> &'static str {
    match untold {
        "path" => "X-Forwarded-Uri, or what [check] original names",
        "method" => "X-Original-Method at /auth, X-Forwarded-Method at /forward-auth",
        "scheme" => "X-Forwarded-Proto, or the port within the host",
        _ => "X-Forwarded-For, and over gRPC the source",
    }
}

fn forbidden(context: &RequestContext<'_>, route: &str, caller: &Caller) -> Response<Body> {
    let Caller::Person(person) = caller else {
        return json_problem(
            context,
            StatusCode::FORBIDDEN,
            "forbidden",
            "Not allowed here",
            "",
        );
    };
    if !accepts_html(context.head.headers) {
        return json_problem(
            context,
            StatusCode::FORBIDDEN,
            "forbidden",
            "Not allowed here",
            "",
        );
    }
    let page = ForbiddenPage {
        info: context.page_info(),
        route,
        person: PersonName {
            name: person.entitlements.fields.name.as_deref(),
            login: person.session.login.as_str(),
        },
        switch: Href::new(urls::switch_account(context)),
        back: None,
    };
    // The form signs out, which may redirect to the provider and back to the login host.
    let entry = context.site.login.entry(&person.session.via);
    let source = entry.and_then(|entry| entry.connector.logout()?.page());
    let home = source.is_some().then_some(&context.site.external_url);
    let targets = source
        .iter()
        .chain(home)
        .map(|url| url.origin().ascii_serialization());
    let targets: Vec<_> = targets.collect();
    let page = page.render(context.lang());
    page_with_form_targets(StatusCode::FORBIDDEN, &page, &targets)
}

/// A problem: a page for browsers, JSON for programs. `next` is the link of the page's main button.
pub(super) fn problem(
    context: &RequestContext<'_>,
    cause: Cause,
    next: Option<Href>,
) -> Response<Body> {
    login_problem(context, cause, next, None)
}

/// A problem of a login, with the display name of its connector.
pub(super) fn login_problem(
    context: &RequestContext<'_>,
    cause: Cause,
    next: Option<Href>,
    connector_name: Option<&str>,
) -> Response<Body> {
    if !accepts_html(context.head.headers) {
        let (title, detail) = (cause.title(context.lang()), cause.detail(context.lang()));
        return json_problem(context, status_of(cause), cause.slug(), title, detail);
    }
    let page = ProblemPage {
        info: context.page_info(),
        cause,
        connector_name,
        next,
        home_page: has_home_link(cause).then(|| Href::new("/")),
    };
    page_response(status_of(cause), &page.render(context.lang()))
}

/// Whether the page links to the home page. In a frame that link would open inside the frame, beside
/// a form it would lose the form, and after a refused switch it would lead into the application as
/// another person.
fn has_home_link(cause: Cause) -> bool {
    !matches!(
        cause,
        Cause::FrameNeedsLogin | Cause::FormNeedsLogin | Cause::AccountNotSwitched
    )
}

/// A link that repeats the request. Only a GET can be repeated.
fn retry_link(head: &Head<'_>) -> Option<Href> {
    (head.method == Method::GET).then(|| Href::new(urls::requested_target(head)))
}

/// The response when forwarding failed.
pub(super) fn upstream_failed(
    logged: LoggedResponse,
    headers: &HeaderMap,
    head: Option<&Head<'_>>,
    id: &RequestId,
    ForwardFailure {
        error,
        upstream: by,
    }: ForwardFailure,
) -> LoggedResponse {
    let upstream = by.as_ref().and_then(|by| by.to_str().ok());
    let message = match error {
        ForwardError::InvalidResponse(_) => "the upstream's response was not forwarded",
        ForwardError::TooLarge {
            partly_sent: false, ..
        } => "a request body was not forwarded",
        ForwardError::TooLarge {
            partly_sent: true, ..
        } => "a request body was forwarded in part, and the upstream's connection was closed",
        _ => "the upstream did not respond",
    };
    // Exceeded limits are logged by the pool at a limited rate.
    if error.limit().is_none() {
        tracing::warn!(request_id = %id, upstream, error = %crate::telemetry::error_chain(&error), "{message}");
    }
    let logged = match by {
        Some(by) => logged.with_upstream(by),
        None => logged,
    };
    let cause = match error {
        ForwardError::Timeout(_) => Cause::UpstreamTimeout,
        ForwardError::TooLarge {
            partly_sent: false, ..
        } => Cause::TooLarge,
        ForwardError::TooLarge {
            partly_sent: true, ..
        } => Cause::TooLargePartlySent,
        ForwardError::Busy | ForwardError::ClientShare | ForwardError::AnonymousShare => {
            Cause::UpstreamBusy
        }
        ForwardError::NoUpstream => Cause::NotFound,
        ForwardError::Method => {
            return logged
                .with_reason("method")
                .with_response(method_not_allowed(
                    "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
                ));
        }
        ForwardError::ClientAborted => Cause::BadRequest,
        ForwardError::Unreachable(_) | ForwardError::UpstreamDisconnected(_) => Cause::UpstreamDown,
        ForwardError::InvalidResponse(_) => Cause::InvalidUpstreamResponse,
    };
    let response = upstream_problem(cause, headers, head, id);
    logged.with_reason(cause.slug()).with_response(response)
}

/// A page for a browser, JSON for a program.
fn upstream_problem(
    cause: Cause,
    headers: &HeaderMap,
    head: Option<&Head<'_>>,
    id: &RequestId,
) -> Response<Body> {
    let lang = lang(headers);
    if let Some(head) = head.filter(|_| accepts_html(headers)) {
        let passes = matches!(
            cause,
            Cause::UpstreamDown | Cause::InvalidUpstreamResponse | Cause::StoreUnavailable
        );
        let page = ProblemPage {
            info: PageInfo {
                host: head.host.as_str(),
                request_id: id.as_str(),
            },
            cause,
            connector_name: None,
            next: retry_link(head).filter(|_| passes),
            home_page: Some(Href::new("/")),
        };
        page_response(status_of(cause), &page.render(lang))
    } else {
        let problem = ProblemJson {
            status: status_of(cause).as_u16(),
            slug: cause.slug(),
            title: cause.title(lang),
            detail: cause.detail(lang),
            request_id: id.as_str(),
            login_url: None,
            acr_values: &[],
            max_age: None,
        };
        text(
            status_of(cause),
            ProblemJson::CONTENT_TYPE,
            problem.render(),
        )
    }
}

pub(super) fn page_response(status: StatusCode, page: &Page) -> Response<Body> {
    page_with_form_targets(status, page, &[])
}

/// Like [`page_response`]; forms of the page may redirect to these origins.
fn page_with_form_targets(
    status: StatusCode,
    page: &Page,
    form_targets: &[String],
) -> Response<Body> {
    let mut response = Response::new(full(page.html.clone()));
    *response.status_mut() = status;
    let form_targets: Vec<_> = form_targets.iter().map(String::as_str).collect();
    for (name, value) in page.headers(&form_targets) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    retry_after(&mut response);
    response
}

/// An own text that is never cached, with `Retry-After` for a temporary failure.
pub(super) fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = text_for_operators(status, kind, body);
    retry_after(&mut response);
    response
}

/// Like [`text`] without `Retry-After`, for operators.
pub(super) fn text_for_operators(
    status: StatusCode,
    kind: &'static str,
    body: String,
) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}

pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    text(status, "application/json", value.to_string())
}

/// Lets caches keep a response that is the same for every client.
pub(super) fn cacheable(mut response: Response<Body>, how: &'static str) -> Response<Body> {
    let how = HeaderValue::from_static(how);
    response.headers_mut().insert(CACHE_CONTROL, how);
    response
}

pub(super) fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new());
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The response for a state that cannot happen; it denies.
pub(super) fn internal_error() -> LoggedResponse {
    let response = text(
        StatusCode::INTERNAL_SERVER_ERROR,
        "text/plain",
        String::new(),
    );
    LoggedResponse::denied("lost", None, None, response)
}

/// Keeps shared caches from storing an upstream response that now sets a session cookie.
pub(super) fn mark_private(response: &mut Response<Body>) {
    let private = HeaderValue::from_static("private, no-cache");
    response.headers_mut().insert(CACHE_CONTROL, private);
}

/// Adds a `Set-Cookie`. A cookie with bytes that are invalid in a header is left out.
pub(super) fn add_cookie(response: &mut Response<Body>, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

/// Adapts the cookie attributes of an own response to the browser's known faults.
pub(super) fn adapt_cookies(response: &mut Response<Body>, asked: &HeaderMap) {
    if !response.headers().contains_key(SET_COOKIE) {
        return;
    }
    let agent = super::browser::single_header_lossy(asked, "user-agent").unwrap_or_default();
    if let http::header::Entry::Occupied(mut cookies) = response.headers_mut().entry(SET_COOKIE) {
        for cookie in cookies.iter_mut() {
            let text = cookie
                .to_str()
                .map(|text| adapt_to_user_agent(text, &agent));
            if let Ok(std::borrow::Cow::Owned(text)) = text
                && let Ok(fitting) = HeaderValue::try_from(text)
            {
                *cookie = fitting;
            }
        }
    }
}

/// Whether the client can show an HTML page.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    let navigates = super::browser::single_header(headers, "sec-fetch-mode") == Some("navigate");
    let accept = headers.get(ACCEPT).map(|accept| accept.as_bytes());
    let names_html = |accept: &[u8]| accept.windows(9).any(|it| it == b"text/html");
    navigates || accept.is_some_and(names_html)
}

pub(super) fn without_body_if_head(method: &Method, response: Response<Body>) -> Response<Body> {
    if method == Method::HEAD {
        response.map(|_| empty())
    } else {
        response
    }
}

/// The cookies of a request whose names start with a prefix.
pub(super) fn cookies_with_prefix<'a>(
    headers: &'a HeaderMap,
    prefix: &'a str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    cookie_pairs(headers).filter(move |(name, _)| name.starts_with(prefix))
}

fn retry_after(response: &mut Response<Body>) {
    let away = [
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    if away.contains(&response.status()) {
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    }
}

fn full(text: String) -> Body {
    Body::new(Full::new(Bytes::from(text)).map_err(|never| match never {}))
}

pub(super) fn empty() -> Body {
    Body::new(http_body_util::Empty::new().map_err(|never| match never {}))
}
