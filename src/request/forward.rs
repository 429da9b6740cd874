//! Forwards a permitted request to an upstream and returns the upstream's response.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use super::head::Connection;
use super::headers::{BodyLength, RequestRewrite, ResponseRewrite};
use super::policy::Permit;
use super::route::{Limits, Route};
use super::{Body, BodyError};

mod dialer;
mod endpoint;
mod error;
mod exchange;
mod http1;
mod lease;
mod lease_context;
mod parked;
mod pool;
mod pool_settings;
mod private;
mod response_body;
#[cfg(test)]
mod tests;
mod tls;
mod tls_remedy;
mod tunnel;
mod upload_body;
mod upstream;

pub use error::{BuildError, ForwardError, Phase};
pub use pool_settings::PoolSettings;
pub use tls::{TlsMaterial, TlsMaterialError, UpstreamTls};
pub use tunnel::{Tunnel, TunnelEnd};

use dialer::Dialer;
use error::UnrequestedUpgrade;
use exchange::{OutgoingRequest, exchange_with_retry};
use http1::ResponseHead;
use lease::Lease;
use lease_context::LeaseContext;
use pool::Pool;
use upload_body::{UploadBody, UploadProgress};

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
    pub now: Instant,
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
    /// The upstream accepted an upgrade. The face sends the response, then runs the tunnel.
    Upgraded {
        /// Status `101 Switching Protocols`.
        response: Response<Body>,
        tunnel: Box<Tunnel>,
    },
}

/// A failed request and the upstream that it was meant for.
#[derive(Debug)]
pub struct ForwardFailure {
    pub error: ForwardError,
    /// The upstream as `host:port`; all upstreams of the route, separated by `, `, if none was chosen;
    /// `None` if it has none.
    pub upstream: Option<HeaderValue>,
}

impl ForwardFailure {
    /// Ends a request that has a connection. If the client caused the failure, the connection is not
    /// closed at once, so that the request counts until the upstream finishes it.
    fn at_upstream(lease: Lease, error: ForwardError) -> Self {
        let upstream = Some(lease.upstream_name());
        match error.is_caused_by_client() {
            true => drop(lease),
            false => drop(lease.close()),
        }
        Self { error, upstream }
    }

    /// The upstream as text.
    pub fn upstream_name(&self) -> Option<&str> {
        self.upstream.as_ref().and_then(|name| name.to_str().ok())
    }

    fn before_lease(pool: &Pool, error: ForwardError) -> Self {
        let upstream = joined(&pool.upstream_names());
        Self { error, upstream }
    }
}

/// The names of several upstreams as one.
fn joined(names: &[HeaderValue]) -> Option<HeaderValue> {
    let names: Vec<_> = names.iter().map(HeaderValue::as_bytes).collect();
    HeaderValue::from_bytes(&names.join(&b", "[..])).ok()
}

impl From<ForwardError> for ForwardFailure {
    fn from(error: ForwardError) -> Self {
        Self {
            error,
            upstream: None,
        }
    }
}

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
        let previous_pools = previous.map_or(&[][..], |forwarder| &forwarder.pools);
        let pools = settings.into_iter().map(|settings| {
            match previous_pools.iter().find(|pool| pool.settings == settings) {
                Some(pool) => Ok(Arc::clone(pool)),
                None => Pool::new(settings, dialer).map(Arc::new),
            }
        });
        Ok(Self {
            pools: pools.collect::<Result<_, _>>()?,
        })
    }

    /// All names that [`ForwardFailure::upstream_name`] can have.
    pub fn failure_names(&self) -> BTreeSet<String> {
        let pools = self.pools.iter().map(|pool| pool.upstream_names());
        let names = pools.flat_map(|names| {
            let all = joined(&names);
            names.into_iter().chain(all)
        });
        names
            .filter_map(|name| Some(name.to_str().ok()?.to_owned()))
            .collect()
    }

    /// The upstreams of a route as `host:port`; empty if the route has none.
    pub fn upstream_names(&self, route: &Route) -> Vec<HeaderValue> {
        let pool = route.upstream.and_then(|id| self.pools.get(id.0));
        pool.map(|pool| pool.upstream_names()).unwrap_or_default()
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
            now,
        } = request;
        let route = permit.route();
        let pool = route.upstream.and_then(|id| self.pools.get(id.0));
        let pool = pool.ok_or(ForwardError::NoUpstream)?;
        if is_never_forwarded(&parts.method) {
            return Err(ForwardError::Method.into());
        }
        let share = pool.take_share(request_rewrite.client())?;
        let (body, upload) = upload_body(body, request_rewrite, route.limits.body_bytes_max)?;
        let response_rewrite = request_rewrite.response_rewrite(parts);
        let request = OutgoingRequest {
            length: body_length(parts, body.as_ref()),
            lease_context: LeaseContext {
                client_connection: connection,
                permit,
                request_rewrite,
                headers: &parts.headers,
            },
            request_rewrite,
            response_rewrite: &response_rewrite,
            parts,
            upload: upload.as_deref(),
            limits: &route.limits,
            now,
        };
        let (lease, head) = exchange_with_retry(pool, &request, body, share).await?;
        let received_at = Instant::now();
        let upstream = lease.upstream_name();
        let client = (upgrade, &route.limits, received_at);
        let (response, is_streaming) =
            client_response(lease, *head, &response_rewrite, upload, client)?;
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

/// Turns an upstream's response into the client's response; also returns whether part of its body is
/// still to be read.
fn client_response(
    lease: Lease,
    head: ResponseHead,
    response_rewrite: &ResponseRewrite,
    upload: Option<Arc<UploadProgress>>,
    (upgrade, limits, now): (Option<OnUpgrade>, &Limits, Instant),
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
    if parts.status != StatusCode::SWITCHING_PROTOCOLS {
        response_rewrite.apply(&mut parts, &lease.endpoint().origin());
        let (body, is_streaming) = response_body::stream(lease, upload, limits, now);
        let response = Response::from_parts(parts, body);
        return Ok((UpstreamResponse::Response(response), is_streaming));
    }
    let upgrade = upgrade.filter(|_| is_requested_upgrade(response_rewrite, &parts.headers));
    let Some(upgrade) = upgrade.filter(|_| lease.connection().is_request_sent()) else {
        let error = ForwardError::InvalidResponse(Box::new(UnrequestedUpgrade));
        return Err(ForwardFailure::at_upstream(lease, error));
    };
    response_rewrite.apply(&mut parts, &lease.endpoint().origin());
    let is_websocket = response_rewrite
        .upgrade()
        .is_some_and(|name| is_protocol(name, b"websocket"));
    let (connection, slot) = lease.into_parts();
    let (upstream, buffered) = connection.into_transport();
    let tunnel = Tunnel {
        upstream,
        buffered,
        client: upgrade,
        idle_timeout: limits.idle,
        is_websocket,
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

/// The body to send and its progress; both absent if the request has no body.
fn upload_body<B>(
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
    let protected_headers = request_rewrite.protected_headers().clone();
    let (body, upload) = UploadBody::new(body, protected_headers, bytes_max);
    Ok((Some(body), Some(upload)))
}

/// How the request announces the length of its body.
fn body_length(parts: &Parts, body: Option<&UploadBody>) -> BodyLength {
    // Servers expect `Content-Length` with these methods (RFC 9110 8.6), and some require it.
    let needs_length = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH)
        || parts.headers.contains_key(CONTENT_LENGTH);
    match body.map_or(Some(0), UploadBody::bytes_left) {
        Some(0) if !needs_length => BodyLength::NoBody,
        Some(length) => BodyLength::Bytes(length),
        None => BodyLength::Chunked,
    }
}

/// Whether the response names the protocol that the client requested.
fn is_requested_upgrade(response_rewrite: &ResponseRewrite, headers: &HeaderMap) -> bool {
    match (response_rewrite.upgrade(), headers.get(UPGRADE)) {
        (Some(requested), Some(accepted)) => is_protocol(accepted, requested.as_bytes()),
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
