//! The responses of the console: their headers, and the pages that say why a request is refused.

use askama::Template;
use http::header::{ALLOW, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use super::PageContext;
use super::form::FormError;
use super::layout::Frame;
use super::request::ConsoleRequest;
use super::texts;
use crate::face::reply;
use crate::request::Body;

/// `Retry-After` of a temporary failure, in seconds.
const RETRY_AFTER_S: u32 = 5;

/// Nothing but the style sheet and the pictures of the console, no script, no frame, forms only to the console.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// A page that says what is wrong, to somebody who may not be signed in.
#[derive(Template)]
#[template(path = "console/message.html")]
struct MessagePage<'a> {
    frame: Frame<'a>,
    title: &'a str,
    detail: &'a str,
}

/// The same inside of the navigation.
#[derive(Template)]
#[template(path = "console/problem.html")]
struct ProblemPage<'a> {
    frame: Frame<'a>,
    title: &'a str,
    detail: &'a str,
}

/// Renders a page.
pub(super) fn page(
    request: &ConsoleRequest<'_>,
    status: StatusCode,
    template: &impl Template,
) -> Response<Body> {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "a page of the console could not be rendered");
            return reply::text_for_operators(
                StatusCode::INTERNAL_SERVER_ERROR,
                "text/plain; charset=utf-8",
                "the page could not be rendered\n".to_owned(),
            );
        }
    };
    let mut response = reply::text_for_operators(status, "text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", CONTENT_SECURITY_POLICY),
        ("content-language", request.lang.tag()),
        ("vary", "accept-language, cookie"),
        // With `no-referrer` browsers would send `Origin: null` with forms.
        ("referrer-policy", "same-origin"),
        ("x-frame-options", "DENY"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
    }
    response
}

/// A redirect to a page of the console, or to the login host.
pub(super) fn redirect(to: &str) -> Response<Body> {
    let mut response = reply::text_for_operators(
        StatusCode::SEE_OTHER,
        "text/plain; charset=utf-8",
        String::new(),
    );
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

fn message(
    request: &ConsoleRequest<'_>,
    status: StatusCode,
    title: &str,
    detail: &str,
) -> Response<Body> {
    let frame = Frame::alone(request);
    let template = MessagePage {
        frame,
        title,
        detail,
    };
    page(request, status, &template)
}

pub(super) fn method_not_allowed(
    request: &ConsoleRequest<'_>,
    allowed: &'static str,
) -> Response<Body> {
    let t = texts::of(request.lang);
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut response = message(request, status, t.bad_request, t.bad_method);
    let allowed = HeaderValue::from_static(allowed);
    response.headers_mut().insert(ALLOW, allowed);
    response
}

pub(super) fn other_origin(request: &ConsoleRequest<'_>) -> Response<Body> {
    tracing::warn!(
        origin = ?request.head.headers.get("origin"),
        console = request.origin,
        "a form of another origin was sent to the console, so it is refused: if it is the console behind a \
         proxy, set [console] external_url to what browsers type, and let the proxy pass on the host"
    );
    let t = texts::of(request.lang);
    message(
        request,
        StatusCode::FORBIDDEN,
        t.refused_request,
        t.other_origin,
    )
}

pub(super) fn bad_csrf_token(request: &ConsoleRequest<'_>) -> Response<Body> {
    let t = texts::of(request.lang);
    message(
        request,
        StatusCode::FORBIDDEN,
        t.refused_request,
        t.old_form,
    )
}

pub(super) fn signed_out_meanwhile(request: &ConsoleRequest<'_>) -> Response<Body> {
    let t = texts::of(request.lang);
    let detail = t.session_ended;
    message(request, StatusCode::FORBIDDEN, t.refused_request, detail)
}

pub(super) fn bad_form(request: &ConsoleRequest<'_>, error: FormError) -> Response<Body> {
    let t = texts::of(request.lang);
    let status = match error {
        FormError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        FormError::Malformed => StatusCode::BAD_REQUEST,
    };
    message(request, status, t.bad_request, t.bad_form)
}

pub(super) fn bad_ticket(request: &ConsoleRequest<'_>) -> Response<Body> {
    let t = texts::of(request.lang);
    message(
        request,
        StatusCode::BAD_REQUEST,
        t.not_signed_in,
        t.bad_ticket,
    )
}

pub(super) fn unavailable(request: &ConsoleRequest<'_>) -> Response<Body> {
    let t = texts::of(request.lang);
    let status = StatusCode::SERVICE_UNAVAILABLE;
    message(request, status, t.unavailable, t.store_unavailable)
}

/// A problem for a visitor.
pub(super) fn problem(
    context: &PageContext<'_>,
    status: StatusCode,
    title: &str,
    detail: &str,
) -> Response<Body> {
    let frame = Frame::of(context);
    let template = ProblemPage {
        frame,
        title,
        detail,
    };
    page(context.request, status, &template)
}

pub(super) fn not_found(context: &PageContext<'_>) -> Response<Body> {
    let t = context.texts();
    problem(
        context,
        StatusCode::NOT_FOUND,
        t.not_found,
        t.not_found_detail,
    )
}

pub(super) fn view_only(context: &PageContext<'_>) -> Response<Body> {
    let t = context.texts();
    let detail = t.view_only_detail;
    problem(context, StatusCode::FORBIDDEN, t.refused_request, detail)
}

/// The store did not answer a request of a visitor.
pub(super) fn store_failed(
    context: &PageContext<'_>,
    error: &crate::store::StoreError,
) -> Response<Body> {
    tracing::error!(error = %crate::telemetry::error_chain(error), "a page of the console failed: the store does not answer");
    let t = context.texts();
    let status = StatusCode::SERVICE_UNAVAILABLE;
    problem(context, status, t.unavailable, t.store_unavailable)
}

/// A change holds in this process, but is not stored yet.
pub(super) fn not_yet_stored(
    context: &PageContext<'_>,
    error: &crate::store::StoreError,
) -> Response<Body> {
    tracing::error!(error = %crate::telemetry::error_chain(error), "a change by the console could not be stored yet");
    let t = context.texts();
    let status = StatusCode::SERVICE_UNAVAILABLE;
    problem(context, status, t.unavailable, t.not_yet_stored)
}
