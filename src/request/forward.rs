//! `forward()`: Permit + request → the upstream's response. Pools, timeouts, upgrade.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::headers::{Inward, Onward};
use super::policy::Permit;
use super::route::Limits;
use super::{Body, BodyError};

mod answer;
mod connect;
mod outgoing;
mod pool;
#[cfg(test)]
mod tests;
mod tunnel;
mod wire;

pub use pool::PoolSettings;
pub use tunnel::{Tunnel, TunnelEnd};

use outgoing::{Outgoing, Progress, State};
use pool::{Lease, Pool};
use wire::Lost;

/// The pools of a site, by [`UpstreamId`](super::route::UpstreamId).
#[derive(Debug)]
pub struct Forwarder {
    pools: Vec<Arc<Pool>>,
}

/// Which upstream answered, `host:port`; stands in the response's extensions, for the record.
#[derive(Clone, Debug)]
pub struct AnsweredBy(pub HeaderValue);

/// What an upstream answered.
pub enum Forwarded {
    /// A response whose body streams.
    Response(Response<Body>),
    /// The upstream changed the protocol: send the response, then run the tunnel.
    Upgraded {
        /// `101 Switching Protocols`.
        response: Response<Body>,
        /// What follows.
        tunnel: Box<Tunnel>,
    },
}

/// What was going on when the time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Opening a connection.
    Connect,
    /// Passing the request's body on.
    RequestBody,
    /// Waiting for the head of the response.
    Response,
    /// Waiting for more of the response's body.
    ResponseBody,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The route has no upstream.
    #[error("the route has no upstream")]
    NoUpstream,
    /// `CONNECT` would open a tunnel, `TRACE` would show the client what we wrote.
    #[error("the method is never forwarded")]
    Method,
    /// As many requests as may be are under way, and none ended in time.
    #[error("every connection to the upstream is in use")]
    Busy,
    /// No connection could be opened.
    #[error("the upstream cannot be reached")]
    Unreachable(#[source] io::Error),
    /// Something took longer than the route allows.
    #[error("the time was up while {0}")]
    Timeout(Phase),
    /// The upstream closed the connection, or does not speak HTTP.
    #[error("the upstream's answer is broken")]
    Broken(#[source] BodyError),
    /// The request's body is larger than the route allows.
    #[error("the request body is larger than the route allows")]
    TooLarge,
    /// The client broke its request off.
    #[error("the client broke its request off")]
    Client,
}

/// Why a pool cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A host that no certificate or header could name.
    #[error("`{name}` cannot be the name of an upstream")]
    Name {
        /// What was configured.
        name: String,
    },
    /// The authorities are no PEM.
    #[error("read the certificates of the authority")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// There is none among them.
    #[error("the file of the authority holds no certificate")]
    NoAuthority,
    /// TLS refuses them.
    #[error("set up TLS to the upstream")]
    Tls(#[source] rustls::Error),
}

/// The upstream changed the protocol without being asked, or to another one.
#[derive(Debug, thiserror::Error)]
#[error("the upstream changed to a protocol that was not asked for")]
struct Unasked;

impl Forwarder {
    /// Builds a pool for each of the settings; one that was the same before lives on.
    pub fn build(settings: Vec<PoolSettings>, previous: Option<&Self>) -> Result<Self, BuildError> {
        let old = previous.map_or(&[][..], |forwarder| &forwarder.pools);
        let pools = settings.into_iter().map(|settings| {
            match old.iter().find(|pool| pool.settings == settings) {
                Some(pool) => Ok(Arc::clone(pool)),
                None => Pool::new(settings).map(Arc::new),
            }
        });
        Ok(Self {
            pools: pools.collect::<Result<_, _>>()?,
        })
    }

    /// Forwards a request and returns as soon as the head of the response is there.
    ///
    /// Both bodies stream; the response's lives in the task that reads it. Dropping the future or
    /// the response's body closes the connection to the upstream.
    ///
    /// # Errors
    ///
    /// Before the head of the response only. Later ones come out of the body, as a
    /// [`ForwardError`] in its box.
    pub async fn forward<B>(
        &self,
        permit: Permit,
        onward: Onward,
        mut request: Request<B>,
    ) -> Result<Forwarded, ForwardError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let route = permit.route();
        let pool = route.upstream.and_then(|id| self.pools.get(id.0));
        let pool = pool.ok_or(ForwardError::NoUpstream)?;
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            return Err(ForwardError::Method);
        }
        let client = hyper::upgrade::on(&mut request);
        let (mut parts, body) = request.into_parts();
        let (body, upload) = outgoing(body, route.limits.body_bytes_max)?;
        let inward = onward.apply(&mut parts);
        parts.extensions.clear();
        frame(&mut parts, &body);
        let request = Request::from_parts(parts, body);
        let (lease, response) =
            exchange(pool, request, &inward, upload.as_deref(), &route.limits).await?;
        finish(lease, response, &inward, client, upload, &route.limits).await
    }
}

/// Sends a request, once more on a new connection when an old one turns out to be closed and
/// nothing can happen twice.
async fn exchange(
    pool: &Pool,
    mut request: Request<Outgoing>,
    inward: &Inward,
    upload: Option<&Progress>,
    limits: &Limits,
) -> Result<(Lease, Response<Incoming>), ForwardError> {
    let repeatable = upload.is_none() && request.method().is_idempotent();
    let mut lease = pool.lease(false).await?;
    loop {
        if inward.wants_upstream_host() {
            let own = lease.slot.0.target.authority.clone();
            request.headers_mut().insert(HOST, own);
        }
        let copy = (lease.reused && repeatable).then(|| copy_head(&request));
        let start = Instant::now();
        let deadline = || match upload.map(|upload| (upload.state(), upload.last())) {
            Some((State::Sending, last)) => last + limits.idle,
            Some((State::Sent | State::TooLarge | State::Broken, last)) => last + limits.response,
            None => start + limits.response,
        };
        let (error, unsent) = match lease.wire.exchange(request, deadline).await {
            Ok(response) => return Ok((lease, response)),
            Err(Lost::Late) => return Err(ForwardError::Timeout(phase(upload))),
            Err(Lost::Failed(error, unsent)) => (error, unsent),
        };
        match upload.map(Progress::state) {
            Some(State::TooLarge) => return Err(ForwardError::TooLarge),
            Some(State::Broken) => return Err(ForwardError::Client),
            Some(State::Sending | State::Sent) | None => {}
        }
        request = match (unsent, copy) {
            (Some(unsent), _) if lease.reused => *unsent,
            (None, Some(copy)) if !error.is_parse() => copy,
            _ => return Err(ForwardError::Broken(Box::new(error))),
        };
        drop(lease);
        lease = pool.lease(true).await?;
    }
}

/// Makes an upstream's response ours.
async fn finish(
    lease: Lease,
    response: Response<Incoming>,
    inward: &Inward,
    client: OnUpgrade,
    upload: Option<Arc<Progress>>,
    limits: &Limits,
) -> Result<Forwarded, ForwardError> {
    let (mut parts, body) = response.into_parts();
    parts.extensions.clear();
    let upstream = lease.slot.0.target.authority.clone();
    parts.extensions.insert(AnsweredBy(upstream));
    let upgraded = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    if upgraded && !answers_upgrade(inward, &parts.headers) {
        return Err(ForwardError::Broken(Box::new(Unasked)));
    }
    inward.apply(&mut parts, &lease.slot.0.target.authority);
    if !upgraded {
        let body = answer::streamed(body, lease, upload, limits.idle);
        return Ok(Forwarded::Response(Response::from_parts(parts, body)));
    }
    let websocket = inward
        .upgrade()
        .is_some_and(|name| is_protocol(name, b"websocket"));
    let Lease { wire, slot, .. } = lease;
    let opened = wire.into_io(Instant::now() + limits.response).await;
    let (upstream, early) = opened.ok_or(ForwardError::Timeout(Phase::Response))?;
    let tunnel = Tunnel {
        upstream,
        early,
        client,
        idle: limits.idle,
        websocket,
        slot,
    };
    let response = Response::from_parts(parts, answer::empty());
    Ok(Forwarded::Upgraded {
        response,
        tunnel: Box::new(tunnel),
    })
}

fn outgoing<B>(body: B, bytes_max: u64) -> Result<(Outgoing, Option<Arc<Progress>>), ForwardError>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    if body.is_end_stream() {
        return Ok((Outgoing::default(), None));
    }
    if body.size_hint().lower() > bytes_max {
        return Err(ForwardError::TooLarge);
    }
    let (body, upload) = Outgoing::new(Body::new(body.map_err(Into::into)), bytes_max);
    Ok((body, Some(upload)))
}

/// Says how long the body is, in one way and one only.
fn frame(parts: &mut Parts, body: &Outgoing) {
    let known = http_body::Body::size_hint(body).exact();
    // Servers expect a length of these methods (RFC 9110 8.6), and some insist on it.
    let needs_one = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
    match known {
        Some(0) if !needs_one && !parts.headers.contains_key(CONTENT_LENGTH) => {}
        Some(length) => {
            parts
                .headers
                .insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            parts.headers.remove(CONTENT_LENGTH);
            parts
                .headers
                .insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
    }
}

fn copy_head(request: &Request<Outgoing>) -> Request<Outgoing> {
    let mut copy = Request::new(Outgoing::default());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn phase(upload: Option<&Progress>) -> Phase {
    match upload.map(Progress::state) {
        Some(State::Sending) => Phase::RequestBody,
        _ => Phase::Response,
    }
}

fn answers_upgrade(inward: &Inward, headers: &HeaderMap) -> bool {
    match (inward.upgrade(), headers.get(UPGRADE)) {
        (Some(asked), Some(given)) => is_protocol(given, asked.as_bytes()),
        _ => false,
    }
}

fn is_protocol(value: &HeaderValue, name: &[u8]) -> bool {
    value
        .as_bytes()
        .trim_ascii()
        .eq_ignore_ascii_case(name.trim_ascii())
}

impl fmt::Debug for Forwarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, response) = match self {
            Self::Response(response) => ("Response", response),
            Self::Upgraded { response, .. } => ("Upgraded", response),
        };
        f.debug_tuple(name).field(&response.status()).finish()
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting to the upstream",
            Self::RequestBody => "passing the request body on",
            Self::Response => "waiting for the upstream's answer",
            Self::ResponseBody => "waiting for more of the upstream's answer",
        })
    }
}
