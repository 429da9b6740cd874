//! Responses that menshen makes itself: the status and the page or problem document of every denial and
//! error, and the headers of these responses. Checks replace the status by that of their protocol.

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full};

use super::page::{Cause, Href, Lang, Page, PageInfo, ProblemJson, ProblemPage};
use super::record::LoggedResponse;
use super::{RequestContext, urls};
use crate::people::cookie::adapt_to_user_agent;
use crate::request::Body;
use crate::request::head::{Head, HeadError, cookie_pairs};
use crate::request::headers::RequestId;
use crate::site::Site;

mod access_token;
mod bearer;
mod denial;
mod program;
mod redirect;
mod statuses;
mod upstream;

pub(super) use access_token::offer_access_token;
pub(super) use bearer::{bearer_error, offer_bearer};
pub(super) use denial::deny;
pub(super) use program::{cause_json, foreign_origin, login_needed, navigations_only};
pub(super) use redirect::{redirect, see_other};
pub(super) use statuses::RefusalStatuses;
pub(super) use upstream::upstream_failed;

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
        | Cause::ProviderMetadataMissing
        | Cause::PasswordUnchecked
        | Cause::UpstreamBusy => StatusCode::SERVICE_UNAVAILABLE,
        Cause::UpstreamDown
        | Cause::InvalidUpstreamResponse
        | Cause::ProviderMisconfigured
        | Cause::ProviderUnreachable => StatusCode::BAD_GATEWAY,
        Cause::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        Cause::TooLarge | Cause::TooLargePartlySent => StatusCode::PAYLOAD_TOO_LARGE,
        Cause::TooManyLogins | Cause::TooManyTokenChanges | Cause::TooManyWrongPasswords => {
            StatusCode::TOO_MANY_REQUESTS
        }
        Cause::LoginDeclined
        | Cause::PasswordExpired
        | Cause::NotMember
        | Cause::InactiveMember
        | Cause::NotVisibleToApp
        | Cause::LoginTaken
        | Cause::UnknownPerson
        | Cause::AccountClosed
        | Cause::Revoked
        | Cause::NoLoginName
        | Cause::AuthTooWeak
        | Cause::EntryTokenRefused
        | Cause::UnsolicitedLogin
        | Cause::SessionTooOld => StatusCode::FORBIDDEN,
        Cause::AccountNotSwitched | Cause::IdentityTaken | Cause::NotLinked => StatusCode::CONFLICT,
        Cause::WrongPassword | Cause::FrameNeedsLogin | Cause::FormNeedsLogin => {
            StatusCode::UNAUTHORIZED
        }
    }
}

/// The response to a malformed request head.
pub(super) fn bad_head(
    site: &Site,
    headers: &HeaderMap,
    id: &RequestId,
    error: HeadError,
) -> LoggedResponse {
    let cause = match error {
        HeadError::Forwarded(_) => Cause::InvalidProxyHeader,
        _ => Cause::BadRequest,
    };
    if !accepts_html(headers) {
        let lang = super::browser::program_lang(headers);
        let problem = ProblemJson::of(cause, lang, id.as_str());
        let statuses = RefusalStatuses::Client;
        let response = program::problem_response(StatusCode::BAD_REQUEST, statuses, &problem);
        return LoggedResponse::denied(error.to_string(), None, None, response);
    }
    let page = ProblemPage {
        info: PageInfo {
            host: "",
            request_id: id.as_str(),
            pages: &site.pages,
        },
        cause,
        connector_name: None,
        next: None,
        home_page: Some(Href::new("/")),
    };
    let lang = super::browser::lang(headers);
    let response = page_response(StatusCode::BAD_REQUEST, &page.render(lang));
    LoggedResponse::denied(error.to_string(), None, None, response)
}

/// The response to a request that is no longer allowed.
pub(super) fn no_longer_allowed(site: &Site, lang: Lang, id: &RequestId) -> LoggedResponse {
    let page = ProblemPage {
        info: PageInfo {
            host: "",
            request_id: id.as_str(),
            pages: &site.pages,
        },
        cause: Cause::Revoked,
        connector_name: None,
        next: None,
        home_page: Some(Href::new("/")),
    };
    let response = page_response(status_of(Cause::Revoked), &page.render(lang));
    LoggedResponse::denied("revoked", None, None, response)
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
        return cause_json(context, cause);
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

/// Whether the page links to the home page. In a frame the link would open inside the frame, after a
/// form post the form would be lost, and after a refused switch the person would continue in the
/// application as another person.
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

pub(super) fn page_response(status: StatusCode, page: &Page) -> Response<Body> {
    page_with_form_targets(status, page, &[])
}

/// Like [`page_response`]; forms of the page may redirect to these origins.
pub(super) fn page_with_form_targets(
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
    add_retry_after(&mut response);
    response
}

/// A text that is never cached, with `Retry-After` for a temporary failure.
pub(super) fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = text_for_operators(status, content_type, body);
    add_retry_after(&mut response);
    response
}

/// Like [`text`] without `Retry-After`, for operators.
pub(super) fn text_for_operators(
    status: StatusCode,
    content_type: &'static str,
    body: String,
) -> Response<Body> {
    let mut response = Response::new(full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// A file of any type that shared caches may keep.
pub(super) fn file(content_type: &'static str, content: Bytes) -> Response<Body> {
    let body = Full::new(content).map_err(|never| match never {});
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
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
pub(super) fn cacheable(
    mut response: Response<Body>,
    cache_control: &'static str,
) -> Response<Body> {
    let cache_control = HeaderValue::from_static(cache_control);
    response.headers_mut().insert(CACHE_CONTROL, cache_control);
    response
}

pub(super) fn method_not_allowed(allowed_methods: &'static str) -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", String::new());
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed_methods));
    response
}

/// The response in a state that cannot occur. It denies the request.
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

/// Adapts the cookie attributes of one of menshen's own responses to known faults of the browser.
pub(super) fn adapt_cookies(response: &mut Response<Body>, request_headers: &HeaderMap) {
    if !response.headers().contains_key(SET_COOKIE) {
        return;
    }
    let user_agent =
        super::browser::single_header_lossy(request_headers, "user-agent").unwrap_or_default();
    if let http::header::Entry::Occupied(mut cookies) = response.headers_mut().entry(SET_COOKIE) {
        for cookie in cookies.iter_mut() {
            let text = cookie
                .to_str()
                .map(|text| adapt_to_user_agent(text, &user_agent));
            if let Ok(std::borrow::Cow::Owned(text)) = text
                && let Ok(adapted) = HeaderValue::try_from(text)
            {
                *cookie = adapted;
            }
        }
    }
}

/// Whether the client can show an HTML page.
pub(super) fn accepts_html(headers: &HeaderMap) -> bool {
    let is_page_load = super::browser::single_header(headers, "sec-fetch-mode") == Some("navigate");
    let accept = headers.get(ACCEPT).map(|accept| accept.as_bytes());
    let names_html = |accept: &[u8]| accept.windows(9).any(|part| part == b"text/html");
    is_page_load || accept.is_some_and(names_html)
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

fn add_retry_after(response: &mut Response<Body>) {
    let temporary_failures = [
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    if temporary_failures.contains(&response.status()) {
        set_retry_after(response, RETRY_AFTER_S);
    }
}

/// Tells the client when to repeat the request.
pub(super) fn set_retry_after(response: &mut Response<Body>, after_s: u32) {
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(after_s));
}

fn full(text: String) -> Body {
    Body::new(Full::new(Bytes::from(text)).map_err(|never| match never {}))
}

pub(super) fn empty() -> Body {
    Body::new(http_body_util::Empty::new().map_err(|never| match never {}))
}
