//! The same verdict for another proxy over HTTP: nginx, Traefik, Caddy, Envoy; one endpoint a
//! contract. Each says what it reads; all ask [`ask`], which decides nothing itself.

use std::sync::Arc;

use bytes::BytesMut;
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};

use super::browser::{Errand, errand};
use super::page::Cause;
use super::record::{AccessEntry, LoggedResponse};
use super::sign_in::{RECONFIRM, Reconfirmed};
use super::{RequestContext, complain, reply, sign_in, urls};
use crate::clock::Timestamp;
use crate::request::gate::Why;
use crate::request::head::{Connection, Head, HeadError, Original, Peer};
use crate::request::headers::{Granted, RequestId};
use crate::request::policy::{Denial, LoginNeeded, Permit, Verdict};
use crate::request::{Body, decide};
use crate::site::{Shared, Site};

mod asked;
mod narrow;

use asked::Asked;
pub use asked::CheckConfig;

/// Says in one word why something was not allowed, for programs and for operators.
pub(super) const REASON: HeaderName = HeaderName::from_static("x-menshen-reason");
/// What Envoy is to take off a request, by commas.
const TO_REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");

/// How another proxy asks, and how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contract {
    /// nginx `auth_request`: 202, 401, 403 and 503, never a redirect.
    AuthRequest,
    /// Traefik ForwardAuth, Caddy forward_auth: whatever is no 2xx goes to the browser.
    ForwardAuth,
    /// Envoy's ext_authz over HTTP: exactly 200 allows, and a 5xx may, so none is ever sent.
    Envoy,
}

/// What became of a question, before a contract puts it into its own words.
#[derive(Debug)]
pub(super) enum Said {
    /// It may pass. The cookie is the session's, signed again.
    Go(Permit, Option<String>),
    /// It may not; the response is for whoever sent the original request.
    Stop(Stop, &'static str, Box<LoggedResponse>),
}

/// Why something may not pass, as far as contracts tell it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A login would help: the response says how, or leads there.
    Login,
    /// A bearer token does not count.
    Unauthorized,
    /// No.
    Denied,
    /// It cannot be found out now.
    Away,
}

impl Contract {
    /// The contract that is spoken at a path, if it is one of these.
    pub(super) fn at(site: &Site, path: &str) -> Option<Self> {
        let own = path.strip_prefix(site.prefix.as_str())?;
        match own {
            "/auth" => Some(Self::AuthRequest),
            "/forward-auth" => Some(Self::ForwardAuth),
            _ => {
                let rest = own.strip_prefix(asked::ENVOY)?;
                (rest.is_empty() || rest.starts_with('/')).then_some(Self::Envoy)
            }
        }
    }

    /// The status that leads a person on, where the contract has one.
    fn leads_on_by(self) -> Option<StatusCode> {
        match self {
            Self::AuthRequest => None,
            Self::ForwardAuth => Some(StatusCode::SEE_OTHER),
            Self::Envoy => Some(StatusCode::FOUND),
        }
    }
}

/// Answers a check. Infallible: every failure is a no.
pub(super) async fn answer(
    contract: Contract,
    (site, shared): (&Site, &Shared),
    parts: &Parts,
    connection: &Connection,
    id: &RequestId,
    entry: &mut AccessEntry,
) -> LoggedResponse {
    if !site.trust.includes(connection.peer) {
        return stranger(site, connection.peer, id);
    }
    let asked = match Asked::read(contract, site, parts) {
        Ok(asked) => asked,
        Err(error) => return bad_head(site, connection.peer, id, error),
    };
    let original = asked.original(&parts.headers);
    let head = match head_of(site, original, connection.peer, entry.at) {
        Ok(head) => head,
        Err(error) => return bad_head(site, connection.peer, id, error),
    };
    entry.set_original(&head);
    let context = RequestContext {
        site,
        shared,
        head: &head,
        id,
    };
    let verdict = decide(&site.routes, &site.gate, &head).await;
    let verdict = match (&asked.only, verdict) {
        (Some(only), verdict) => only.narrow(verdict),
        (None, verdict) => verdict,
    };
    let said = ask(&context, verdict, contract.leads_on_by()).await;
    say(contract, &context, said)
}

/// The head of what is asked about. Where the scheme is not told, it is the one of the site.
pub(super) fn head_of<'a>(
    site: &Site,
    original: Original<'a>,
    peer: Peer,
    at: Timestamp,
) -> Result<Head<'a>, HeadError> {
    Head::asked(original, peer, site.reading(), at)
}

/// Makes an answer of a verdict: `leads_on_by` is the status that sends a person to log in, where
/// there is one.
pub(super) async fn ask(
    context: &RequestContext<'_>,
    verdict: Verdict,
    leads_on_by: Option<StatusCode>,
) -> Said {
    match verdict {
        Verdict::Allow(permit) => go(context, permit),
        Verdict::Reconfirm(permit) => reconfirm(context, permit, leads_on_by).await,
        Verdict::Login(needed) => log_in(context, &needed, leads_on_by),
        Verdict::Deny(denial) => {
            let (stop, mut reason) = reason_of(&denial);
            let (site, head) = (context.site, context.head);
            if matches!(denial, Denial::NoRoute) && site.routes.is_own(head.path.as_str()) {
                reason = "own-page";
                if site.strangers.allow() {
                    let prefix = &site.prefix;
                    tracing::warn!(
                        request_id = %context.id,
                        host = %head.host,
                        "a check asks about a page of menshen's own: let the proxy that asks lead \
                         {prefix}/ to menshen without asking, or nobody can sign in"
                    );
                }
            }
            let mut logged = reply::deny(context, &denial);
            let status = match stop {
                Stop::Login | Stop::Unauthorized => StatusCode::UNAUTHORIZED,
                Stop::Denied => StatusCode::FORBIDDEN,
                Stop::Away => StatusCode::SERVICE_UNAVAILABLE,
            };
            logged = logged.map_response(|response| *response.status_mut() = status);
            Said::Stop(stop, reason, Box::new(logged))
        }
    }
}

fn go(context: &RequestContext<'_>, permit: Permit) -> Said {
    let (site, head) = (context.site, context.head);
    let cookie = sign_in::renewed_cookie(site, &permit, head.headers, head.at);
    Said::Go(permit, cookie)
}

/// Whoever cannot be led to their source goes on as who they are.
async fn reconfirm(
    context: &RequestContext<'_>,
    permit: Permit,
    leads_on_by: Option<StatusCode>,
) -> Said {
    let Some(status) = leads_on_by else {
        return go(context, permit);
    };
    let route = Arc::clone(permit.route());
    let logged = match sign_in::reconfirm(context, permit).await {
        Reconfirmed::GoOn(permit) => return go(context, permit),
        Reconfirmed::Answered(logged) if logged.status().is_redirection() => {
            logged.map_response(|response| *response.status_mut() = status)
        }
        // A page of ours would read as leave to pass.
        Reconfirmed::Answered(_) => {
            LoggedResponse::login_needed(RECONFIRM, &route, led_on(context, status, false))
        }
    };
    Said::Stop(Stop::Login, RECONFIRM, Box::new(logged))
}

fn log_in(
    context: &RequestContext<'_>,
    needed: &LoginNeeded,
    leads_on_by: Option<StatusCode>,
) -> Said {
    let why = needed.why.word();
    let reason = match needed.why {
        Why::Nobody => "nobody",
        Why::Expired => "expired",
        Why::OtherConnector => "other-connector",
        Why::StepUp => "step-up",
    };
    let logged = match (leads_on_by, errand(context.head)) {
        (Some(status), Errand::Navigation) => {
            let no_session_found = matches!(needed.why, Why::Nobody | Why::Expired);
            let response = led_on(context, status, no_session_found);
            LoggedResponse::login_needed(why, &needed.route, response)
        }
        (Some(_), Errand::Embedded | Errand::Program) | (None, _) => {
            sign_in::needed(context, needed)
        }
    };
    Said::Stop(Stop::Login, reason, Box::new(logged))
}

/// Sends a person to log in, by way of a page of ours that sets what a login needs.
fn led_on(
    context: &RequestContext<'_>,
    status: StatusCode,
    no_session_found: bool,
) -> Response<Body> {
    // HEAD starts nothing: it is told where a GET would go.
    let to = match *context.head.method {
        Method::HEAD => urls::sign_in(context),
        _ => urls::start(context, no_session_found),
    };
    let mut response = reply::redirect(&to);
    *response.status_mut() = status;
    response
}

/// Puts an answer into the words of a contract.
fn say(contract: Contract, context: &RequestContext<'_>, said: Said) -> LoggedResponse {
    let head = context.head;
    match said {
        Said::Go(permit, cookie) => {
            let writing = context.site.writing();
            let handed_on = || Granted::to_hand_on(&permit, head, writing);
            let (status, granted) = match contract {
                Contract::AuthRequest => (StatusCode::ACCEPTED, handed_on()),
                Contract::ForwardAuth => (StatusCode::OK, handed_on()),
                Contract::Envoy => {
                    let what = permit.route().headers.on_checks;
                    let granted = Granted::to_apply(&permit, head, writing, what);
                    (StatusCode::OK, granted)
                }
            };
            if let Some(denial) = permit.too_costly(head) {
                return too_costly(context, &denial);
            }
            let mut response = Response::new(reply::empty());
            *response.status_mut() = status;
            let to_remove = listed(granted.remove());
            let headers = response.headers_mut();
            *headers = granted.into_set();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            if let Some(names) = to_remove {
                headers.insert(TO_REMOVE, names);
            }
            if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(&cookie).ok()) {
                headers.insert(SET_COOKIE, cookie);
            }
            LoggedResponse::allowed(&permit).with_response(response)
        }
        Said::Stop(Stop::Away, _, logged) if contract == Contract::Envoy => stopped(
            logged.map_response(|response| *response.status_mut() = StatusCode::FORBIDDEN),
            "unavailable",
        ),
        Said::Stop(_, reason, logged) => stopped(*logged, reason),
    }
    .from_check()
}

/// What the route writes into the request takes too much work.
pub(super) fn too_costly(context: &RequestContext<'_>, denial: &Denial) -> LoggedResponse {
    let logged = reply::deny(context, denial);
    let logged = logged.map_response(|response| *response.status_mut() = StatusCode::FORBIDDEN);
    stopped(logged, reason_of(denial).1).from_check()
}

/// Names by commas; nothing where there is none.
fn listed(names: &[HeaderName]) -> Option<HeaderValue> {
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

/// Adds the reason to a no.
pub(super) fn stopped(logged: LoggedResponse, reason: &'static str) -> LoggedResponse {
    logged.map_response(|response| {
        let reason = HeaderValue::from_static(reason);
        response.headers_mut().insert(REASON, reason);
    })
}

/// How a denial is told apart, and its word.
fn reason_of(denial: &Denial) -> (Stop, &'static str) {
    match denial {
        Denial::NoRoute => (Stop::Denied, "no-route"),
        Denial::AmbiguousPath => (Stop::Denied, "ambiguous-path"),
        Denial::TooCostly { .. } => (Stop::Denied, "too-costly"),
        Denial::Method { .. } => (Stop::Denied, Cause::BadRequest.slug()),
        Denial::BadToken { .. } => (Stop::Unauthorized, "bad-token"),
        Denial::WeakToken { .. } => (Stop::Unauthorized, "weak-token"),
        Denial::Scope { .. } => (Stop::Denied, "scope"),
        Denial::TwoCallers { .. } => (Stop::Denied, "two-callers"),
        Denial::Forbidden { .. } => (Stop::Denied, "forbidden"),
        Denial::Address { .. } => (Stop::Denied, "bad-address"),
        Denial::Untold { .. } => (Stop::Denied, "untold"),
        Denial::IssuerAway { .. } => (Stop::Away, "issuer-away"),
        Denial::TooManyTokens { .. } => (Stop::Away, "too-many-tokens"),
        Denial::Unavailable { .. } => (Stop::Away, "unavailable"),
    }
}

/// Somebody asks whose word does not count.
pub(super) fn stranger(site: &Site, peer: Peer, id: &RequestId) -> LoggedResponse {
    let entry = match peer {
        Peer::Ip(ip) => ip.to_canonical().to_string(),
        Peer::Unix => "unix".to_owned(),
    };
    if site.strangers.allow() {
        tracing::warn!(
            request_id = %id,
            "a check was refused: \"{entry}\" may not speak for others; add it to [server] trusted_proxies \
             if it is a proxy of yours"
        );
    }
    let response = reply::text(StatusCode::FORBIDDEN, "text/plain", String::new());
    stopped(
        LoggedResponse::denied("not a trusted proxy", None, None, response),
        "not-trusted",
    )
    .from_check()
}

/// The question itself cannot be read.
pub(super) fn bad_head(
    site: &Site,
    peer: Peer,
    id: &RequestId,
    error: HeadError,
) -> LoggedResponse {
    complain(site, peer, id, error);
    let response = reply::text(StatusCode::FORBIDDEN, "text/plain", String::new());
    let logged = LoggedResponse::denied(error.to_string(), None, None, response);
    stopped(logged, Cause::BadRequest.slug()).from_check()
}
