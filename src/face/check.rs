//! Checks over HTTP: another proxy (nginx, Traefik, Caddy, Envoy) asks for the verdict of a request.
//! Each protocol has its own endpoint, and [`outcome_of`] turns the verdict into a result for all.

use std::sync::Arc;

use bytes::BytesMut;
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use super::browser::{RequestKind, request_kind};
use super::page::Cause;
use super::record::{LoggedResponse, RequestSummary};
use super::sign_in::{RECONFIRM_REASON, ReconfirmOutcome};
use super::{RequestContext, log_bad_head, reply, sign_in, urls};
use crate::clock::Timestamp;
use crate::request::access_token::AccessTokenError;
use crate::request::gate::LoginReason;
use crate::request::head::{Connection, Head, HeadError, OriginalRequest, Peer};
use crate::request::headers::{HeaderChanges, RequestId};
use crate::request::policy::{Denial, LoginNeeded, Permit, Verdict};
use crate::request::{Body, decide};
use crate::site::{Services, Site};

mod http_check;
mod query_restriction;

pub use http_check::CheckConfig;
use http_check::HttpCheck;

/// The reason of a refusal as one word, for programs and operators.
pub(super) const REASON_HEADER: HeaderName = HeaderName::from_static("x-menshen-reason");
/// Lists the headers that Envoy removes from the request, separated by commas.
const ENVOY_HEADERS_TO_REMOVE: HeaderName =
    HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// The protocol of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckProtocol {
    /// nginx `auth_request`: 202, 401, 403 or 503, never a redirect.
    AuthRequest,
    /// Traefik ForwardAuth, Caddy forward_auth: every response but 2xx goes to the browser.
    ForwardAuth,
    /// Envoy's ext_authz over HTTP: only 200 allows. A 5xx is never sent, because `failure_mode_allow`
    /// would let the request pass.
    Envoy,
}

/// The result of a check, before it becomes a response of its protocol.
#[derive(Debug)]
pub(super) enum CheckOutcome {
    /// Allowed, with the `Set-Cookie` header of a renewed session cookie.
    Allow(Permit, Option<String>),
    /// Refused, with the value of [`REASON_HEADER`]. The response is for the client of the original
    /// request.
    Refuse(RefusalKind, &'static str, Box<LoggedResponse>),
}

/// The kinds of refusals that protocols distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefusalKind {
    /// A login is needed. The response redirects to it or contains its URL.
    Login,
    /// The bearer token is not valid.
    Unauthorized,
    Denied,
    /// The verdict is unknown because of a temporary failure.
    Unavailable,
}

impl CheckProtocol {
    /// The protocol of an endpoint, if the path is one.
    pub(super) fn at(site: &Site, path: &str) -> Option<Self> {
        let below_prefix = path.strip_prefix(site.prefix.as_str())?;
        match below_prefix {
            "/auth" => Some(Self::AuthRequest),
            "/forward-auth" => Some(Self::ForwardAuth),
            _ => {
                let rest = below_prefix.strip_prefix(http_check::ENVOY_PATH)?;
                (rest.is_empty() || rest.starts_with('/')).then_some(Self::Envoy)
            }
        }
    }

    /// The status of a redirect to the login, if the protocol has redirects.
    fn redirect_status(self) -> Option<StatusCode> {
        match self {
            Self::AuthRequest => None,
            Self::ForwardAuth => Some(StatusCode::SEE_OTHER),
            Self::Envoy => Some(StatusCode::FOUND),
        }
    }
}

/// Answers a check. Every failure is a refusal.
pub(super) async fn answer(
    protocol: CheckProtocol,
    (site, services): (&Site, &Services),
    parts: &Parts,
    connection: &Connection,
    id: &RequestId,
    summary: &mut RequestSummary,
) -> LoggedResponse {
    if !site.trust.includes(connection.peer) {
        return untrusted_peer(site, connection.peer, id);
    }
    let check = match HttpCheck::read(protocol, site, parts) {
        Ok(check) => check,
        Err(error) => return malformed_check(site, connection.peer, id, error),
    };
    let original = check.original(&parts.headers);
    let head = match original_head(site, original, connection.peer, summary.received_at) {
        Ok(head) => head,
        Err(error) => return malformed_check(site, connection.peer, id, error),
    };
    summary.set_original(&head);
    let context = RequestContext {
        site,
        services,
        head: &head,
        id,
    };
    let verdict = decide(&site.routes, &site.gate, &head).await;
    let verdict = match (&check.restriction, verdict) {
        (Some(restriction), verdict) => restriction.restrict(verdict),
        (None, verdict) => verdict,
    };
    let outcome = outcome_of(&context, verdict, protocol.redirect_status()).await;
    response_for(protocol, &context, outcome)
}

/// The head of the original request.
pub(super) fn original_head<'a>(
    site: &Site,
    original: OriginalRequest<'a>,
    peer: Peer,
    received_at: Timestamp,
) -> Result<Head<'a>, HeadError> {
    Head::from_original(original, peer, site.parse_options(), received_at)
}

/// Turns a verdict into an outcome. `redirect_status` is the status of a redirect to the login.
pub(super) async fn outcome_of(
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

/// The response of a protocol.
fn response_for(
    protocol: CheckProtocol,
    context: &RequestContext<'_>,
    outcome: CheckOutcome,
) -> LoggedResponse {
    let head = context.head;
    match outcome {
        CheckOutcome::Allow(permit, cookie) => {
            let rewrite_options = context.site.rewrite_options();
            let for_response = || HeaderChanges::for_auth_response(&permit, head, rewrite_options);
            let (status, changes) = match protocol {
                CheckProtocol::AuthRequest => (StatusCode::ACCEPTED, for_response()),
                CheckProtocol::ForwardAuth => (StatusCode::OK, for_response()),
                CheckProtocol::Envoy => {
                    let headers = permit.route().headers.on_checks;
                    let changes =
                        HeaderChanges::for_request(&permit, head, rewrite_options, headers);
                    (StatusCode::OK, changes)
                }
            };
            if let Some(denial) = permit.denial_if_too_costly(head) {
                return too_costly(context, &denial);
            }
            let mut response = Response::new(reply::empty());
            *response.status_mut() = status;
            let to_remove = comma_separated(changes.removed());
            let headers = response.headers_mut();
            *headers = changes.into_added();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Some(names) = to_remove {
                headers.insert(ENVOY_HEADERS_TO_REMOVE, names);
            }
            if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
                headers.insert(SET_COOKIE, cookie);
            }
            LoggedResponse::allowed(&permit).with_response(response)
        }
        CheckOutcome::Refuse(RefusalKind::Unavailable, _, logged)
            if protocol == CheckProtocol::Envoy =>
        {
            with_reason_header(
                logged.map_response(|response| *response.status_mut() = StatusCode::FORBIDDEN),
                "unavailable",
            )
        }
        CheckOutcome::Refuse(_, reason, logged) => with_reason_header(*logged, reason),
    }
    .for_check()
}

/// The refusal when the route's header expressions cost too much.
pub(super) fn too_costly(context: &RequestContext<'_>, denial: &Denial) -> LoggedResponse {
    let logged = reply::deny(context, denial);
    let logged = logged.map_response(|response| *response.status_mut() = StatusCode::FORBIDDEN);
    with_reason_header(logged, classify(denial).1).for_check()
}

/// The names as one header value; `None` if there are none.
fn comma_separated(names: &[HeaderName]) -> Option<HeaderValue> {
    let (first, rest) = names.split_first()?;
    let bytes = names.iter().map(|name| name.as_str().len() + 1).sum();
    let mut line = BytesMut::with_capacity(bytes);
    line.extend_from_slice(first.as_str().as_bytes());
    for name in rest {
        line.extend_from_slice(b",");
        line.extend_from_slice(name.as_str().as_bytes());
    }
    HeaderValue::from_maybe_shared(line.freeze()).ok()
}

pub(super) fn with_reason_header(logged: LoggedResponse, reason: &'static str) -> LoggedResponse {
    logged.map_response(|response| {
        let reason = HeaderValue::from_static(reason);
        response.headers_mut().insert(REASON_HEADER, reason);
    })
}

/// The kind of a denial and its reason for [`REASON_HEADER`].
fn classify(denial: &Denial) -> (RefusalKind, &'static str) {
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

/// The refusal of a check from a peer that is not a trusted proxy.
pub(super) fn untrusted_peer(site: &Site, peer: Peer, id: &RequestId) -> LoggedResponse {
    let peer_name = match peer {
        Peer::Ip(ip) => ip.to_canonical().to_string(),
        Peer::Unix => "unix".to_owned(),
    };
    if site.request_warnings.allow() {
        tracing::warn!(
            request_id = %id,
            "a check was refused because its peer \"{peer_name}\" is not a trusted proxy; add it to \
             [server] trusted_proxies if it is a proxy of yours"
        );
    }
    let response = reply::text(StatusCode::FORBIDDEN, "text/plain", String::new());
    with_reason_header(
        LoggedResponse::denied("not a trusted proxy", None, None, response),
        "not-trusted",
    )
    .for_check()
}

/// The refusal of a malformed check.
pub(super) fn malformed_check(
    site: &Site,
    peer: Peer,
    id: &RequestId,
    error: HeadError,
) -> LoggedResponse {
    log_bad_head(site, peer, id, error);
    let response = reply::text(StatusCode::FORBIDDEN, "text/plain", String::new());
    let logged = LoggedResponse::denied(error.to_string(), None, None, response);
    with_reason_header(logged, Cause::BadRequest.slug()).for_check()
}
