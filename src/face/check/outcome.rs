//! The outcome of a check: what every protocol of checks makes of a verdict.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use crate::face::browser::{RequestKind, request_kind};
use crate::face::page::Cause;
use crate::face::record::LoggedResponse;
use crate::face::sign_in::{self, RECONFIRM_REASON, ReconfirmOutcome};
use crate::face::{RequestContext, reply, urls};
use crate::request::Body;
use crate::request::access_token::AccessTokenError;
use crate::request::gate::LoginReason;
use crate::request::policy::{Denial, LoginNeeded, Permit, Verdict};

/// The reason of a refusal as one word, for programs and operators.
pub(in crate::face) const REASON_HEADER: HeaderName = HeaderName::from_static("x-menshen-reason");

/// The result of a check, before it becomes a response of its protocol.
#[derive(Debug)]
pub(in crate::face) enum CheckOutcome {
    /// Allowed, with the `Set-Cookie` header of a renewed session cookie.
    Allow(Permit, Option<String>),
    /// Refused, with the value of [`REASON_HEADER`]. The response is for the client of the original
    /// request.
    Refuse(RefusalKind, &'static str, Box<LoggedResponse>),
}

/// The kinds of refusals that protocols distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::face) enum RefusalKind {
    /// A login is needed. The response redirects to it or contains its URL.
    Login,
    /// The bearer token is not valid.
    Unauthorized,
    Denied,
    /// The verdict is unknown because of a temporary failure.
    Unavailable,
}

/// Turns a verdict into an outcome. `redirect_status` is the status of a redirect to the login.
pub(in crate::face) async fn outcome_of(
    context: &RequestContext<'_>,
    verdict: Verdict,
    redirect_status: Option<StatusCode>,
) -> CheckOutcome {
    if let Verdict::Allow(permit) | Verdict::Reconfirm(permit) = &verdict
        && let Some(refusal) = refuse_unused_token(context, permit, redirect_status)
    {
        return refusal;
    }
    match verdict {
        Verdict::Allow(permit) => allow(context, permit),
        Verdict::Reconfirm(permit) => reconfirm_by_redirect(context, permit, redirect_status).await,
        Verdict::Login(needed) => refuse_without_login(context, &needed, redirect_status),
        Verdict::Deny(denial) => {
            let (kind, mut reason) = classify(&denial);
            let (site, head) = (context.site, context.head);
            if matches!(denial, Denial::NoRoute) && site.routes.is_own_path(head.path.as_str()) {
                reason = "own-page";
                if site.request_warnings.allow() {
                    let prefix = &site.prefix;
                    tracing::warn!(
                        request_id = %context.id,
                        host = %head.host,
                        "a check is about an own page of menshen: let the proxy route {prefix}/ to menshen \
                         without a check, or nobody can sign in"
                    );
                }
            }
            let mut logged = reply::deny(context, &denial);
            let status = match kind {
                RefusalKind::Login | RefusalKind::Unauthorized => StatusCode::UNAUTHORIZED,
                RefusalKind::Denied => StatusCode::FORBIDDEN,
                RefusalKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            };
            let status = context.statuses.of(status);
            logged = logged.map_response(|response| *response.status_mut() = status);
            CheckOutcome::Refuse(kind, reason, Box::new(logged))
        }
    }
}

fn allow(context: &RequestContext<'_>, permit: Permit) -> CheckOutcome {
    let (site, head) = (context.site, context.head);
    let cookie = sign_in::renewed_cookie(site, &permit, head.headers, head.received_at);
    CheckOutcome::Allow(permit, cookie)
}

/// Refuses a request whose URL has an entry token, because the other proxy would forward the token unused.
/// The response leads to the same URL without it. A protocol without redirects only refuses.
fn refuse_unused_token(
    context: &RequestContext<'_>,
    permit: &Permit,
    redirect_status: Option<StatusCode>,
) -> Option<CheckOutcome> {
    let status = redirect_status.unwrap_or(StatusCode::FORBIDDEN);
    let response = sign_in::redirect_without_token(context, status)?;
    let response = match redirect_status {
        Some(_) => response,
        None => reply::text(status, "text/plain", String::new()),
    };
    let (route, caller) = (permit.route(), permit.caller());
    let logged = LoggedResponse::denied("token removed", Some(route), Some(caller), response);
    let reason = "unused-token";
    Some(CheckOutcome::Refuse(
        RefusalKind::Denied,
        reason,
        Box::new(logged),
    ))
}

/// Redirects to a silent login at the provider. A protocol without redirects allows the request.
async fn reconfirm_by_redirect(
    context: &RequestContext<'_>,
    permit: Permit,
    redirect_status: Option<StatusCode>,
) -> CheckOutcome {
    let Some(status) = redirect_status else {
        return allow(context, permit);
    };
    let route = Arc::clone(permit.route());
    let logged = match sign_in::reconfirm(context, permit).await {
        ReconfirmOutcome::Continue(permit) => return allow(context, permit),
        ReconfirmOutcome::Respond(logged) if logged.status().is_redirection() => {
            logged.map_response(|response| *response.status_mut() = status)
        }
        // A page with status 200 would allow the request.
        ReconfirmOutcome::Respond(_) => LoggedResponse::login_needed(
            RECONFIRM_REASON,
            &route,
            redirect_to_login(context, status, false),
        ),
    };
    CheckOutcome::Refuse(RefusalKind::Login, RECONFIRM_REASON, Box::new(logged))
}

fn refuse_without_login(
    context: &RequestContext<'_>,
    needed: &LoginNeeded,
    redirect_status: Option<StatusCode>,
) -> CheckOutcome {
    let why = needed.why.as_str();
    let reason = match needed.why {
        LoginReason::NotSignedIn => "nobody",
        LoginReason::Expired => "expired",
        LoginReason::OtherConnector => "other-connector",
        LoginReason::StepUp => "step-up",
    };
    let logged = match (redirect_status, request_kind(context.head)) {
        (Some(status), RequestKind::Navigation) => {
            let no_session_found =
                matches!(needed.why, LoginReason::NotSignedIn | LoginReason::Expired);
            let response = redirect_to_login(context, status, no_session_found);
            LoggedResponse::login_needed(why, &needed.route, response)
        }
        (Some(_), RequestKind::Embedded | RequestKind::Fetch) | (None, _) => {
            sign_in::unauthorized(context, needed)
        }
    };
    CheckOutcome::Refuse(RefusalKind::Login, reason, Box::new(logged))
}

/// Redirects to the own path that begins the login.
fn redirect_to_login(
    context: &RequestContext<'_>,
    status: StatusCode,
    no_session_found: bool,
) -> Response<Body> {
    // A HEAD request begins no login.
    let url = match *context.head.method {
        Method::HEAD => urls::sign_in(context),
        _ => urls::start(context, no_session_found),
    };
    let mut response = reply::redirect(&url);
    *response.status_mut() = status;
    response
}

pub(in crate::face) fn with_reason_header(
    logged: LoggedResponse,
    reason: &'static str,
) -> LoggedResponse {
    logged.map_response(|response| {
        let reason = HeaderValue::from_static(reason);
        response.headers_mut().insert(REASON_HEADER, reason);
    })
}

/// The kind of a denial and its reason for [`REASON_HEADER`].
pub(super) fn classify(denial: &Denial) -> (RefusalKind, &'static str) {
    match denial {
        Denial::NoRoute => (RefusalKind::Denied, "no-route"),
        Denial::AmbiguousPath => (RefusalKind::Denied, "ambiguous-path"),
        Denial::TooCostly { .. } => (RefusalKind::Denied, "too-costly"),
        Denial::Method { .. } => (RefusalKind::Denied, Cause::BadRequest.slug()),
        Denial::AccessToken { why, .. } => access_token_refusal(*why),
        Denial::BadToken { .. } => (RefusalKind::Unauthorized, "bad-token"),
        Denial::WeakToken { .. } => (RefusalKind::Unauthorized, "weak-token"),
        Denial::Scope { .. } => (RefusalKind::Denied, "scope"),
        Denial::TwoCallers { .. } => (RefusalKind::Denied, "two-callers"),
        Denial::Forbidden { .. } => (RefusalKind::Denied, "forbidden"),
        Denial::Address { .. } => (RefusalKind::Denied, "bad-address"),
        Denial::Incomplete { .. } => (RefusalKind::Denied, "untold"),
        Denial::IssuerUnavailable { .. } => (RefusalKind::Unavailable, "issuer-away"),
        Denial::TooManyTokens { .. } => (RefusalKind::Unavailable, "too-many-tokens"),
        Denial::Unavailable { .. } => (RefusalKind::Unavailable, "unavailable"),
    }
}

fn access_token_refusal(why: AccessTokenError) -> (RefusalKind, &'static str) {
    match why {
        AccessTokenError::MultipleHeaders
        | AccessTokenError::Malformed
        | AccessTokenError::Unknown
        | AccessTokenError::OtherUserName => (RefusalKind::Unauthorized, "bad-access-token"),
        AccessTokenError::OtherRoute
        | AccessTokenError::OtherConnector
        | AccessTokenError::LoginDemanded => (RefusalKind::Denied, "access-token-scope"),
        AccessTokenError::TooMany => (RefusalKind::Unavailable, "too-many-tokens"),
    }
}
