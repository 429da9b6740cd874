//! Responses to refused bearer tokens (RFC 6750 §3); never a redirect.

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response};

use super::super::RequestContext;
use super::super::page::ProgramCause;
use super::super::record::LoggedResponse;
use super::program::program_json;
use crate::request::Body;
use crate::request::bearer::{BearerError, IssuerId, Refusal};
use crate::request::gate::{Caller, GateError};
use crate::request::route::Route;
use crate::telemetry::{AuditEvent, AuditRecord, error_chain};
use crate::text;

/// The token is not valid. The reason goes to the log and the audit log, not to the client.
pub(super) fn refused(
    context: &RequestContext<'_>,
    route: Option<&Arc<Route>>,
    issuer: Option<&IssuerId>,
    why: &Refusal,
) -> LoggedResponse {
    let cause = error_chain(why);
    let reason = text!("bad token: {cause}", "令牌无效：{cause:#}");
    if context.site.gate.bearers.may_log_refusal() {
        let user_agent = context.head.headers.get(http::header::USER_AGENT);
        context.services.telemetry.audit(&AuditRecord {
            request_id: Some(context.id.as_str()),
            issuer: issuer.map(IssuerId::as_str),
            client: Some(context.head.client_ip),
            user_agent: user_agent.map(|value| String::from_utf8_lossy(value.as_bytes())),
            reason: Some(&reason),
            ..AuditRecord::new(AuditEvent::Refused, context.head.received_at)
        });
    }
    let mut response = program_json(context, ProgramCause::BadToken);
    set_challenge(context, &mut response, ", error=\"invalid_token\"");
    LoggedResponse::denied(reason.to_string(), route, None, response)
}

/// The token is valid, but lacks the scope that the route needs.
pub(super) fn lacks_scope(
    context: &RequestContext<'_>,
    route: Option<&Arc<Route>>,
    caller: &Caller,
    needed: &str,
) -> LoggedResponse {
    let mut response = program_json(context, ProgramCause::MissingScope);
    let parameters = format!(", error=\"insufficient_scope\", scope=\"{needed}\"");
    set_challenge(context, &mut response, &parameters);
    LoggedResponse::denied("scope", route, Some(caller), response)
}

/// The request has a session cookie and a token (RFC 6750 §3.1, `invalid_request`).
pub(super) fn two_callers(
    context: &RequestContext<'_>,
    route: Option<&Arc<Route>>,
) -> LoggedResponse {
    let mut response = program_json(context, ProgramCause::TwoCallers);
    set_challenge(context, &mut response, ", error=\"invalid_request\"");
    LoggedResponse::denied("two callers", route, None, response)
}

/// The issuer cannot be asked, so the token cannot be verified.
pub(super) fn issuer_unavailable(
    context: &RequestContext<'_>,
    route: Option<&Arc<Route>>,
    issuer: &IssuerId,
) -> LoggedResponse {
    let response = program_json(context, ProgramCause::IssuerUnavailable);
    LoggedResponse::denied(format!("issuer {issuer} away"), route, None, response)
}

/// The response to a bearer token's error on an own path, which has no route. `None` if the error is
/// not about the token.
pub(in crate::face) fn bearer_error(
    context: &RequestContext<'_>,
    error: &GateError,
) -> Option<LoggedResponse> {
    match error {
        GateError::Bearer(BearerError::Refused { issuer, why }) => {
            Some(refused(context, None, issuer.as_ref(), why))
        }
        GateError::Bearer(BearerError::IssuerUnavailable { issuer, .. }) => {
            Some(issuer_unavailable(context, None, issuer))
        }
        GateError::Bearer(BearerError::Limited { issuer }) => {
            Some(too_many_tokens(context, None, issuer))
        }
        GateError::TwoCallers => Some(two_callers(context, None)),
        GateError::Bearer(BearerError::Scope { token, needed }) => {
            let caller = Caller::Program(Arc::clone(token));
            Some(lacks_scope(context, None, &caller, needed))
        }
        // Own pages accept no access token.
        GateError::AccessToken(_)
        | GateError::Bearer(BearerError::Store(_))
        | GateError::Unavailable(_) => None,
    }
}

/// The client sends too many new tokens.
pub(super) fn too_many_tokens(
    context: &RequestContext<'_>,
    route: Option<&Arc<Route>>,
    issuer: &IssuerId,
) -> LoggedResponse {
    let response = program_json(context, ProgramCause::TooManyTokens);
    let reason = format!("too many new tokens for issuer {issuer}");
    LoggedResponse::denied(reason, route, None, response)
}

/// Adds a challenge that offers bearer authentication.
pub(in crate::face) fn offer_bearer(context: &RequestContext<'_>, response: &mut Response<Body>) {
    response
        .headers_mut()
        .append(WWW_AUTHENTICATE, bearer_challenge(context, ""));
}

fn set_challenge(context: &RequestContext<'_>, response: &mut Response<Body>, parameters: &str) {
    response
        .headers_mut()
        .insert(WWW_AUTHENTICATE, bearer_challenge(context, parameters));
}

fn bearer_challenge(context: &RequestContext<'_>, parameters: &str) -> HeaderValue {
    let text = format!("Bearer realm=\"{}\"{parameters}", context.head.host);
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Bearer"))
}
