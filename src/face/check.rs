//! Checks over HTTP: another proxy (nginx, Traefik, Caddy, Envoy) asks for the verdict of a request.
//! Each protocol has its own endpoint, and [`outcome_of`] turns the verdict into a result for all.

use bytes::BytesMut;
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::page::Cause;
use super::record::{LoggedResponse, RequestSummary};
use super::reply::RefusalStatuses;
use super::{RequestContext, log_bad_head, reply};
use crate::clock::Timestamp;
use crate::request::decide;
use crate::request::head::{Connection, Head, HeadError, OriginalRequest, Peer};
use crate::request::headers::{HeaderChanges, RequestId};
use crate::request::policy::Denial;
use crate::site::{Services, Site};

mod http_check;
mod outcome;
mod query_restriction;

pub use http_check::CheckConfig;
use http_check::HttpCheck;
pub(super) use outcome::{CheckOutcome, outcome_of, with_reason_header};
use outcome::{RefusalKind, classify};

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

    fn statuses(self) -> RefusalStatuses {
        match self {
            Self::AuthRequest | Self::ForwardAuth => RefusalStatuses::Check,
            Self::Envoy => RefusalStatuses::EnvoyCheck,
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
        statuses: protocol.statuses(),
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
        CheckOutcome::Refuse(kind, reason, logged) => with_reason_header(
            *logged,
            match (protocol, kind) {
                (CheckProtocol::Envoy, RefusalKind::Unavailable) => "unavailable",
                _ => reason,
            },
        ),
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
