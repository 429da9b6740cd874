//! What a program hears whose bearer token lets it nowhere: RFC 6750 §3, and never a redirect.

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response, StatusCode};

use super::super::RequestContext;
use super::super::record::LoggedResponse;
use super::json_problem;
use crate::request::Body;
use crate::request::bearer::{BearerError, IssuerId, Refusal};
use crate::request::gate::{Caller, GateError};
use crate::request::route::Route;
use crate::telemetry::{AuditEvent, AuditRecord, error_chain};

/// A token that does not prove what it says. Whoever brought it is not told why; the records are.
pub(super) fn refused(
    context: &RequestContext<'_>,
    route: Option<&Arc<Route>>,
    issuer: Option<&IssuerId>,
    why: &Refusal,
) -> LoggedResponse {
    let reason = format!("bad token: {}", error_chain(why));
    if context.site.gate.bearers.may_log_refusal() {
        let agent = context.head.headers.get(http::header::USER_AGENT);
        context.shared.telemetry.audit(&AuditRecord {
            request_id: Some(context.id.as_str()),
            issuer: issuer.map(IssuerId::as_str),
            client: Some(context.head.client),
            user_agent: agent.map(|agent| String::from_utf8_lossy(agent.as_bytes())),
            reason: Some(&reason),
            ..AuditRecord::new(AuditEvent::Refused, context.head.at)
        });
    }
    let title = "The bearer token is not valid here";
    let mut response = json_problem(context, StatusCode::UNAUTHORIZED, "bad-token", title, "");
    set_challenge(context, &mut response, ", error=\"invalid_token\"");
    LoggedResponse::denied(reason, route, None, response)
}

/// A token that is good, but not for this.
pub(super) fn lacks_scope(
    context: &RequestContext<'_>,
    route: Option<&Arc<Route>>,
    caller: &Caller,
    needed: &str,
) -> LoggedResponse {
    let title = "The bearer token is not good for this";
    let mut response = json_problem(
        context,
        StatusCode::FORBIDDEN,
        "insufficient-scope",
        title,
        "",
    );
    let rest = format!(", error=\"insufficient_scope\", scope=\"{needed}\"");
    set_challenge(context, &mut response, &rest);
    LoggedResponse::denied("scope", route, Some(caller), response)
}

/// A session and a token at once (RFC 6750 §3.1, `invalid_request`).
pub(super) fn two_callers(
    context: &RequestContext<'_>,
    route: Option<&Arc<Route>>,
) -> LoggedResponse {
    let title = "A session cookie and a bearer token came together";
    let detail = "They name two callers: send one of them.";
    let mut response = json_problem(
        context,
        StatusCode::BAD_REQUEST,
        "two-callers",
        title,
        detail,
    );
    set_challenge(context, &mut response, ", error=\"invalid_request\"");
    LoggedResponse::denied("two callers", route, None, response)
}

/// Nobody can say whether the token counts.
pub(super) fn issuer_away(
    context: &RequestContext<'_>,
    route: Option<&Arc<Route>>,
    issuer: &IssuerId,
) -> LoggedResponse {
    let title = "Whether the bearer token is valid cannot be found out now";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let response = json_problem(context, status, "issuer-away", title, "");
    LoggedResponse::denied(format!("issuer {issuer} away"), route, None, response)
}

/// The same for a page of ours, which is on no route; nothing when it is not about a token.
pub(in crate::face) fn bearer_error(
    context: &RequestContext<'_>,
    error: &GateError,
) -> Option<LoggedResponse> {
    match error {
        GateError::Bearer(BearerError::Refused { issuer, why }) => {
            Some(refused(context, None, issuer.as_ref(), why))
        }
        GateError::Bearer(BearerError::IssuerUnavailable { issuer, .. }) => {
            Some(issuer_away(context, None, issuer))
        }
        GateError::Bearer(BearerError::Limited { issuer }) => {
            Some(too_many_tokens(context, None, issuer))
        }
        GateError::TwoCallers => Some(two_callers(context, None)),
        GateError::Bearer(BearerError::Scope { program, needed }) => {
            let caller = Caller::Program(Arc::clone(program));
            Some(lacks_scope(context, None, &caller, needed))
        }
        GateError::Bearer(BearerError::Store(_)) | GateError::Unavailable(_) => None,
    }
}

/// The client brings too many new tokens. Not 401: the token may be good, and not 429: a check that
/// another proxy makes has one status for what may be repeated later, and every face says the same.
pub(super) fn too_many_tokens(
    context: &RequestContext<'_>,
    route: Option<&Arc<Route>>,
    issuer: &IssuerId,
) -> LoggedResponse {
    let title = "Too many new bearer tokens come from this address";
    let detail = "Nobody looked at this one: send it again later.";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let response = json_problem(context, status, "too-many-tokens", title, detail);
    let reason = format!("too many new tokens for issuer {issuer}");
    LoggedResponse::denied(reason, route, None, response)
}

/// Says that a bearer token would do, beside what the answer offers already.
pub(in crate::face) fn offer_bearer(context: &RequestContext<'_>, response: &mut Response<Body>) {
    response
        .headers_mut()
        .append(WWW_AUTHENTICATE, bearer_challenge(context, ""));
}

fn set_challenge(context: &RequestContext<'_>, response: &mut Response<Body>, rest: &str) {
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, bearer_challenge(context, rest));
}

fn bearer_challenge(context: &RequestContext<'_>, rest: &str) -> HeaderValue {
    let text = format!("Bearer realm=\"{}\"{rest}", context.head.host);
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Bearer"))
}
