//! Forwards a permitted request to an upstream and returns the upstream's response.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::client_quota::QuotaGuard;
use super::head::Connection;
use super::headers::{BodyLength, RequestRewrite, ResponseRewrite};
use super::policy::Permit;
use super::route::{Limits, Route};
use super::{Body, BodyError};

mod dialer;
mod endpoint;
mod http1;
mod lease;
mod lease_context;
mod parked;
mod pool;
mod private;
mod response_body;
#[cfg(test)]
mod tests;
mod tls;
mod tunnel;
mod upload_body;

pub use pool::PoolSettings;
pub use tls::{TlsMaterial, TlsMaterialError, UpstreamTls};
pub use tunnel::{Tunnel, TunnelEnd};

use dialer::Dialer;
use http1::{ExchangeError, ExpectedHead, Http1Error, ResponseHead};
use lease::Lease;
use lease_context::LeaseContext;
use pool::{Freshness, Pool};
use upload_body::{UploadBody, UploadProgress, UploadState};

/// The connection pools of a site, indexed by [`UpstreamId`](super::route::UpstreamId).
#[derive(Debug)]
pub struct Forwarder {
    pools: Vec<Arc<Pool>>,
}

/// A client's request that is to be forwarded.
#[derive(Debug)]
pub struct ClientRequest<'a, B> {
    pub parts: &'a Parts,
    /// Present if the client's connection can be upgraded.
    pub upgrade: Option<OnUpgrade>,
    pub body: B,
    /// The client's connection.
    pub connection: &'a Arc<Connection>,
    /// The current time.
    pub at: Instant,
}

/// An upstream's response together with what the access log needs.
#[derive(Debug)]
pub struct ForwardedResponse {
    /// When the head of the response was complete.
    pub received_at: Instant,
    pub response: UpstreamResponse,
    /// The upstream as `host:port`, for the access log.
    pub upstream: HeaderValue,
    /// Whether part of the body is still to be read from the upstream, so that it may be truncated.
    pub is_streaming: bool,
}

/// An upstream's response.
pub enum UpstreamResponse {
    /// An ordinary response; its body is a stream.
    Response(Response<Body>),
    /// The upstream accepted an upgrade. The caller sends the response, then runs the tunnel.
    Upgraded {
        /// Status `101 Switching Protocols`.
        response: Response<Body>,
        tunnel: Box<Tunnel>,
    },
}

/// What a request was waiting for when it timed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A connection to the upstream.
    Connect,
    /// More of the client's request body, or the upstream's reading of it.
    RequestBody,
    /// The head of the response.
    Response,
    /// More of the response body.
    ResponseBody,
}

/// Why a request got no response from an upstream.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    #[error("the route has no upstream")]
    NoUpstream,
    /// `CONNECT` or `TRACE`, which no route forwards.
    #[error("the method is never forwarded")]
    Method,
    /// The upstream has `connections_max` requests in progress, and the wait for one to end timed out.
    #[error("every connection to the upstream is in use")]
    Busy,
    #[error("the client has as many requests in progress as one client may have")]
    ClientShare,
    #[error("anonymous clients have as many requests in progress as they may have together")]
    AnonymousShare,
    #[error("the upstream cannot be reached")]
    Unreachable(#[source] io::Error),
    /// A wait took longer than the route allows.
    #[error("timed out while {0}")]
    Timeout(Phase),
    /// The upstream closed the connection before it responded, or during the response body.
    #[error("the upstream closed the connection early")]
    UpstreamDisconnected(#[source] BodyError),
    /// The head of the response is not HTTP, too large or ambiguous.
    #[error("the upstream's response is invalid")]
    InvalidResponse(#[source] BodyError),
    #[error("the request body is larger than body_bytes_max, which is {bytes_max} bytes")]
    TooLarge {
        bytes_max: u64,
        /// Whether part of the body reached the upstream: a chunked body does not announce its
        /// length.
        partly_sent: bool,
    },
    #[error("the client aborted its request")]
    ClientAborted,
}

impl ForwardError {
    /// The key of `[server.limits]` that was exceeded, if one was.
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Self::ClientShare => Some("upstream_share"),
            Self::AnonymousShare => Some("upstream_share_anonymous"),
            _ => None,
        }
    }
}

/// A failed request and the upstream that it was meant for.
#[derive(Debug)]
pub struct ForwardFailure {
    pub error: ForwardError,
    /// The upstream as `host:port`; `None` if several were possible and none was chosen.
    pub upstream: Option<HeaderValue>,
}

impl ForwardFailure {
    /// Ends a request that has a connection. If the client aborted it, the lease is dropped without
    /// closing, so that the request counts until the upstream finishes it.
    fn at_upstream(lease: Lease, error: ForwardError) -> Self {
        let upstream = Some(lease.upstream_name());
        match error.is_caused_by_client() {
            true => drop(lease),
            false => drop(lease.close()),
        }
        Self { error, upstream }
    }

    fn before_lease(pool: &Pool, error: ForwardError) -> Self {
        let mut names = pool.names();
        let upstream = names.pop().filter(|_| names.is_empty());
        Self { error, upstream }
    }
}

impl ForwardError {
    /// Whether the client, and not the upstream, ended the request.
    fn is_caused_by_client(&self) -> bool {
        matches!(
            self,
            Self::ClientAborted | Self::TooLarge { .. } | Self::Timeout(Phase::RequestBody)
        )
    }
}

impl From<ForwardError> for ForwardFailure {
    fn from(error: ForwardError) -> Self {
        Self {
            error,
            upstream: None,
        }
    }
}

/// Why a connection pool cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error("`{name}` is not a valid host name for an upstream")]
    Name { name: String },
    #[error("set up TLS to the upstream")]
    Tls(#[source] rustls::Error),
}

#[derive(Debug, thiserror::Error)]
#[error("the upstream switched to a protocol that the client did not request")]
struct UnrequestedUpgrade;

impl Forwarder {
    /// Builds a pool for each of the settings. A pool of `previous` with the same settings is reused.
    pub fn build(settings: Vec<PoolSettings>, previous: Option<&Self>) -> Result<Self, BuildError> {
        Self::build_with(settings, previous, &Dialer::of_process())
    }

    fn build_with(
        settings: Vec<PoolSettings>,
        previous: Option<&Self>,
        dialer: &Dialer,
    ) -> Result<Self, BuildError> {
        let old = previous.map_or(&[][..], |forwarder| &forwarder.pools);
        let pools = settings.into_iter().map(|settings| {
            match old.iter().find(|pool| pool.settings == settings) {
                Some(pool) => Ok(Arc::clone(pool)),
                None => Pool::new(settings, dialer).map(Arc::new),
            }
        });
        Ok(Self {
            pools: pools.collect::<Result<_, _>>()?,
        })
    }

    /// The upstreams of a route as `host:port`; empty if the route has none.
    pub fn names(&self, route: &Route) -> Vec<HeaderValue> {
        let pool = route.upstream.and_then(|id| self.pools.get(id.0));
        pool.map(|pool| pool.names()).unwrap_or_default()
    }

    /// Forwards a request and returns as soon as the head of the response is complete.
    ///
    /// Both bodies are streams; the task that reads the response body also sends the rest of the request.
    /// Dropping the future or the response body aborts the request at the upstream.
    ///
    /// # Errors
    ///
    /// Errors up to the head of the response. Later errors are yielded by the response body, as a boxed
    /// [`ForwardError`].
    pub async fn forward<B>(
        &self,
        permit: &Permit,
        request_rewrite: &RequestRewrite,
        request: ClientRequest<'_, B>,
    ) -> Result<ForwardedResponse, ForwardFailure>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BodyError>,
    {
        let ClientRequest {
            parts,
            upgrade,
            body,
            connection,
            at,
        } = request;
        let route = permit.route();
        let pool = route.upstream.and_then(|id| self.pools.get(id.0));
        let pool = pool.ok_or(ForwardError::NoUpstream)?;
        if is_never_forwarded(&parts.method) {
            return Err(ForwardError::Method.into());
        }
        let share = pool.share(request_rewrite.client())?;
        let (body, upload) = request_body(body, request_rewrite, route.limits.body_bytes_max)?;
        let response_rewrite = request_rewrite.response_rewrite(parts);
        let request = OutgoingRequest {
            length: length(parts, body.as_ref()),
            lease_context: LeaseContext {
                client: connection,
                permit,
                request_rewrite,
                headers: &parts.headers,
            },
            request_rewrite,
            response_rewrite: &response_rewrite,
            parts,
            upload: upload.as_deref(),
            limits: &route.limits,
            at,
        };
        let (lease, head) = exchange(pool, &request, body, share).await?;
        let received_at = Instant::now();
        let upstream = lease.upstream_name();
        let to = (upgrade, &route.limits, received_at);
        let (response, is_streaming) = finish(lease, *head, &response_rewrite, upload, to)?;
        Ok(ForwardedResponse {
            received_at,
            response,
            upstream,
            is_streaming,
        })
    }
}

/// Whether a method is refused on every route: `CONNECT` would open a tunnel, `TRACE` would reveal
/// the headers that menshen adds.
pub fn is_never_forwarded(method: &Method) -> bool {
    let method = method.as_str();
    // Some applications compare methods case-insensitively.
    method.eq_ignore_ascii_case("CONNECT") || method.eq_ignore_ascii_case("TRACE")
}

/// Everything about a request in progress except its body.
struct OutgoingRequest<'a> {
    lease_context: LeaseContext<'a>,
    request_rewrite: &'a RequestRewrite,
    response_rewrite: &'a ResponseRewrite,
    parts: &'a Parts,
    length: BodyLength,
    upload: Option<&'a UploadProgress>,
    limits: &'a Limits,
    at: Instant,
}

impl OutgoingRequest<'_> {
    fn expected(&self) -> ExpectedHead {
        ExpectedHead {
            for_head_request: self.parts.method == Method::HEAD,
            keeps_header_case: self.response_rewrite.keeps_header_case(),
        }
    }
}

/// Why the upload failed, if it did.
fn upload_error(request: &OutgoingRequest<'_>, lease: &Lease) -> Option<ForwardError> {
    match request.upload.map(UploadProgress::state)? {
        UploadState::TooLarge => Some(ForwardError::TooLarge {
            bytes_max: request.limits.body_bytes_max,
            partly_sent: lease.connection().has_sent_bytes(),
        }),
        UploadState::Incomplete => Some(ForwardError::ClientAborted),
        UploadState::Sending | UploadState::Sent => None,
    }
}

/// Whether a request that failed in this way may be sent once more.
fn may_retry_after(error: &ExchangeError, is_repeatable: bool) -> bool {
    match error {
        ExchangeError::NotSent => true,
        ExchangeError::NoResponse(_) | ExchangeError::IncompleteHead(_) => is_repeatable,
        ExchangeError::Invalid(_) | ExchangeError::TimedOut => false,
    }
}

/// Sends a request and returns the head of the response. If the connection breaks before that, the
/// request is retried once on a new connection, provided that nothing was sent or that it is
/// idempotent and has no body.
async fn exchange(
    pool: &Pool,
    request: &OutgoingRequest<'_>,
    body: Option<UploadBody>,
    share: Option<QuotaGuard>,
) -> Result<(Lease, Box<ResponseHead>), ForwardFailure> {
    let OutgoingRequest { parts, upload, .. } = *request;
    let repeatable = upload.is_none() && parts.method.is_idempotent();
    let mut body = body.map(|body| (body, request.length.known()));
    let leased = |error| ForwardFailure::before_lease(pool, error);
    let freshness = if repeatable {
        Freshness::Any
    } else {
        Freshness::Recent
    };
    let context = &request.lease_context;
    let lease = context.lease(pool, freshness, request.at).await;
    let (mut lease, mut start) = lease.map_err(leased)?;
    lease.attach_share(share);
    let mut may_repeat = true;
    loop {
        let (connection, endpoint) = lease.connection_and_endpoint();
        request.request_rewrite.write(
            connection.head(),
            parts,
            request.response_rewrite,
            endpoint.name(),
            request.length,
        );
        let deadline = || match upload.map(|upload| (upload.state(), upload.last())) {
            Some((UploadState::Sending, last)) => last + request.limits.idle,
            Some((UploadState::Sent | UploadState::TooLarge | UploadState::Incomplete, last)) => {
                last + request.limits.response
            }
            None => start + request.limits.response,
        };
        // A request that must not be repeated is not sent on a connection that the upstream has
        // closed.
        let exchanged =
            match lease.is_reused && !repeatable && lease.connection().is_closed_by_peer() {
                true => Err(ExchangeError::NotSent),
                false => {
                    let connection = lease.connection_mut();
                    connection
                        .exchange(&mut body, request.expected(), deadline)
                        .await
                }
            };
        let lost = match exchanged {
            Ok(head) => {
                let binds_connection =
                    head.has_challenge && private::asks_for_connection_auth(&head.headers);
                if binds_connection && lease.binding.is_none() {
                    lease.binding = Some(context.binding());
                }
                return Ok((lease, head));
            }
            Err(lost) => lost,
        };
        // A connection that was closed while it was idle does not use up the retry.
        let was_stale = lease.is_reused && matches!(lost, ExchangeError::NotSent);
        let may_follow = may_repeat && may_retry_after(&lost, repeatable);
        let error = match upload_error(request, &lease) {
            None if may_follow => None,
            None => Some(lost.into_error(phase(upload))),
            error => error,
        };
        if let Some(error) = error {
            return Err(ForwardFailure::at_upstream(lease, error));
        }
        may_repeat = was_stale;
        let share = lease.close();
        let another = context.lease(pool, Freshness::New, Instant::now()).await;
        (lease, start) = another.map_err(leased)?;
        lease.attach_share(share);
    }
}

impl ExchangeError {
    /// The error for a request that is not retried. `phase` is what it was waiting for.
    fn into_error(self, phase: Phase) -> ForwardError {
        match self {
            Self::TimedOut => ForwardError::Timeout(phase),
            Self::NotSent => ForwardError::UpstreamDisconnected(Box::new(Http1Error::Closed)),
            Self::NoResponse(error) => ForwardError::UpstreamDisconnected(Box::new(error)),
            Self::Invalid(Http1Error::Request) => ForwardError::ClientAborted,
            Self::IncompleteHead(error) | Self::Invalid(error) => {
                ForwardError::InvalidResponse(Box::new(error))
            }
        }
    }
}

/// Turns an upstream's response into the client's response; returns whether its body is still to be
/// read.
fn finish(
    lease: Lease,
    head: ResponseHead,
    response_rewrite: &ResponseRewrite,
    upload: Option<Arc<UploadProgress>>,
    (client, limits, now): (Option<OnUpgrade>, &Limits, Instant),
) -> Result<(UpstreamResponse, bool), ForwardFailure> {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = head.status;
    parts.headers = head.headers;
    if let Some(reason) = head.reason {
        parts.extensions.insert(reason);
    }
    if !head.names.is_empty() {
        response_rewrite.set_header_case(&mut parts.extensions, &head.names);
    }
    let upgraded = parts.status == StatusCode::SWITCHING_PROTOCOLS;
    if !upgraded {
        response_rewrite.apply(&mut parts, &lease.endpoint().name());
        let (body, streams) = response_body::stream(lease, upload, limits, now);
        let response = Response::from_parts(parts, body);
        return Ok((UpstreamResponse::Response(response), streams));
    }
    let client = client.filter(|_| answers_upgrade(response_rewrite, &parts.headers));
    let Some(client) = client.filter(|_| lease.connection().is_request_sent()) else {
        let error = ForwardError::InvalidResponse(Box::new(UnrequestedUpgrade));
        return Err(ForwardFailure::at_upstream(lease, error));
    };
    response_rewrite.apply(&mut parts, &lease.endpoint().name());
    let websocket = response_rewrite
        .upgrade()
        .is_some_and(|name| is_protocol(name, b"websocket"));
    let (connection, slot) = lease.into_parts();
    let (upstream, buffered) = connection.into_transport();
    let tunnel = Tunnel {
        upstream,
        buffered,
        client,
        idle: limits.idle,
        websocket,
        slot,
    };
    let response = Response::from_parts(parts, response_body::empty());
    let forwarded = UpstreamResponse::Upgraded {
        response,
        tunnel: Box::new(tunnel),
    };
    Ok((forwarded, false))
}

type Upload = (Option<UploadBody>, Option<Arc<UploadProgress>>);

fn request_body<B>(
    body: B,
    request_rewrite: &RequestRewrite,
    bytes_max: u64,
) -> Result<Upload, ForwardError>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BodyError>,
{
    if body.is_end_stream() {
        return Ok((None, None));
    }
    if body.size_hint().lower() > bytes_max {
        return Err(ForwardError::TooLarge {
            bytes_max,
            partly_sent: false,
        });
    }
    let body = Body::new(body.map_err(Into::into));
    let (body, upload) =
        UploadBody::new(body, request_rewrite.protected_headers().clone(), bytes_max);
    Ok((Some(body), Some(upload)))
}

/// How the request announces the length of its body.
fn length(parts: &Parts, body: Option<&UploadBody>) -> BodyLength {
    // Servers expect `Content-Length` with these methods (RFC 9110 8.6), and some require it.
    let needs_one = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
    match body.map_or(Some(0), UploadBody::length) {
        Some(0) if !needs_one && !parts.headers.contains_key(CONTENT_LENGTH) => BodyLength::NoBody,
        Some(length) => BodyLength::Bytes(length),
        None => BodyLength::Chunked,
    }
}

fn phase(upload: Option<&UploadProgress>) -> Phase {
    match upload.map(UploadProgress::state) {
        Some(UploadState::Sending) => Phase::RequestBody,
        _ => Phase::Response,
    }
}

fn answers_upgrade(response_rewrite: &ResponseRewrite, headers: &HeaderMap) -> bool {
    match (response_rewrite.upgrade(), headers.get(UPGRADE)) {
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

impl fmt::Debug for UpstreamResponse {
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
            Self::RequestBody => "forwarding the request body",
            Self::Response => "waiting for the upstream's response",
            Self::ResponseBody => "waiting for more of the upstream's response body",
        })
    }
}
