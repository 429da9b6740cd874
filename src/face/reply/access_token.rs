//! Responses to refused access tokens, and the challenge that asks programs for one; never a redirect.

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response, StatusCode};

use super::super::RequestContext;
use super::super::browser::is_from_program;
use super::super::record::LoggedResponse;
use super::json_problem;
use crate::request::Body;
use crate::request::access_token::AccessTokenError;
use crate::request::route::Route;
use crate::telemetry::{AuditEvent, AuditRecord};

/// The token is not accepted. The reason goes to the log and the audit log, not to the client.
pub(super) fn refused(
    context: &RequestContext<'_>,
    route: &Arc<Route>,
    why: AccessTokenError,
) -> LoggedResponse {
    let reason = format!("access token: {why}");
    if context.site.gate.bearers.may_log_refusal() {
        let user_agent = context.head.headers.get(http::header::USER_AGENT);
        context.services.telemetry.audit(&AuditRecord {
            request_id: Some(context.id.as_str()),
            client: Some(context.head.client_ip),
            user_agent: user_agent.map(|value| String::from_utf8_lossy(value.as_bytes())),
            reason: Some(&reason),
            ..AuditRecord::new(AuditEvent::Refused, context.head.received_at)
        });
    }
    let response = match why {
        AccessTokenError::MultipleHeaders
        | AccessTokenError::Malformed
        | AccessTokenError::Unknown
        | AccessTokenError::OtherUserName => {
            let title = "The access token is not valid here";
            let status = StatusCode::UNAUTHORIZED;
            let mut response = json_problem(context, status, "bad-access-token", title, "");
            offer_access_token(context, &mut response);
            response
        }
        AccessTokenError::OtherRoute | AccessTokenError::OtherConnector => {
            let title = "The access token was not made for this";
            let status = StatusCode::FORBIDDEN;
            json_problem(context, status, "access-token-scope", title, "")
        }
        AccessTokenError::LoginDemanded => {
            let title = "This needs a sign-in in a browser: an access token is not enough";
            let status = StatusCode::FORBIDDEN;
            json_problem(context, status, "access-token-scope", title, "")
        }
        // The status is not 401, because the token may be valid, and not 429, because check protocols
        // have only 503 for "try again later".
        AccessTokenError::TooMany => {
            let title = "Too many unknown access tokens come from this address";
            let detail = "This token was not looked up. Send it again later.";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            json_problem(context, status, "too-many-tokens", title, detail)
        }
    };
    LoggedResponse::denied(reason, Some(route), None, response)
}

/// Makes a 401 ask a program for an access token as Basic password. Browsers get no such challenge: they
/// would show a dialog for a password that nobody has.
pub(in crate::face) fn offer_access_token(
    context: &RequestContext<'_>,
    response: &mut Response<Body>,
) {
    if !is_from_program(context.head) {
        return;
    }
    let text = format!("Basic realm=\"{}\", charset=\"UTF-8\"", context.head.host);
    let challenge = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Basic"));
    // The first challenge: some programs read no other.
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
}
