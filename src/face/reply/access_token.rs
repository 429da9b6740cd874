//! Responses to refused access tokens, and the challenge that asks programs for one; never a redirect.

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response};

use super::super::RequestContext;
use super::super::browser::is_from_program;
use super::super::page::ProgramCause;
use super::super::record::LoggedResponse;
use super::program::program_json;
use crate::request::Body;
use crate::request::access_token::AccessTokenError;
use crate::request::route::Route;
use crate::telemetry::{AuditEvent, AuditRecord};
use crate::text;

/// The token is not accepted. The reason goes to the log and the audit log, not to the client.
pub(super) fn refused(
    context: &RequestContext<'_>,
    route: &Arc<Route>,
    why: AccessTokenError,
) -> LoggedResponse {
    let reason = text!("access token: {why}", "访问令牌：{why:#}");
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
    let cause = match why {
        AccessTokenError::MultipleHeaders
        | AccessTokenError::Malformed
        | AccessTokenError::Unknown
        | AccessTokenError::OtherUserName => ProgramCause::BadAccessToken,
        AccessTokenError::OtherRoute | AccessTokenError::OtherConnector => {
            ProgramCause::AccessTokenElsewhere
        }
        AccessTokenError::LoginDemanded => ProgramCause::AccessTokenNotEnough,
        AccessTokenError::TooMany => ProgramCause::TooManyTokens,
    };
    let mut response = program_json(context, cause);
    if cause == ProgramCause::BadAccessToken {
        offer_access_token(context, &mut response);
    }
    LoggedResponse::denied(reason.to_string(), Some(route), None, response)
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
