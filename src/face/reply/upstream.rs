//! The responses when a request could not be forwarded.

use http::{HeaderMap, Response};

use super::super::browser::{lang, program_lang};
use super::super::page::{Cause, Href, PageInfo, ProblemJson, ProblemPage};
use super::super::record::LoggedResponse;
use super::program::problem_response;
use super::{
    RefusalStatuses, accepts_html, method_not_allowed, page_response, retry_link, status_of,
};
use crate::request::Body;
use crate::request::forward::{ForwardError, ForwardFailure};
use crate::request::head::Head;
use crate::request::headers::RequestId;
use crate::site::Site;

/// The response when forwarding failed.
pub(in crate::face) fn upstream_failed(
    site: &Site,
    logged: LoggedResponse,
    (headers, head): (&HeaderMap, Option<&Head<'_>>),
    id: &RequestId,
    ForwardFailure { error, upstream }: ForwardFailure,
) -> LoggedResponse {
    let upstream_name = upstream.as_ref().and_then(|name| name.to_str().ok());
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
    // The pool logs exceeded limits itself, at a limited rate.
    if error.limit().is_none() {
        tracing::warn!(request_id = %id, upstream = upstream_name, error = %crate::telemetry::error_chain(&error), "{message}");
    }
    let logged = match upstream {
        Some(upstream) => logged.with_upstream(upstream),
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
    let response = upstream_problem(site, cause, (headers, head), id);
    logged.with_reason(cause.slug()).with_response(response)
}

/// The problem as a page for a browser or as JSON for a program.
fn upstream_problem(
    site: &Site,
    cause: Cause,
    (headers, head): (&HeaderMap, Option<&Head<'_>>),
    id: &RequestId,
) -> Response<Body> {
    if let Some(head) = head.filter(|_| accepts_html(headers)) {
        let is_temporary = matches!(
            cause,
            Cause::UpstreamDown | Cause::InvalidUpstreamResponse | Cause::StoreUnavailable
        );
        let page = ProblemPage {
            info: PageInfo {
                host: head.host.as_str(),
                request_id: id.as_str(),
                pages: &site.pages,
            },
            cause,
            connector_name: None,
            next: retry_link(head).filter(|_| is_temporary),
            home_page: Some(Href::new("/")),
        };
        page_response(status_of(cause), &page.render(lang(headers)))
    } else {
        let problem = ProblemJson::of(cause, program_lang(headers), id.as_str());
        problem_response(status_of(cause), RefusalStatuses::Client, &problem)
    }
}
