//! Serves one connection: PROXY header, TLS, HTTP.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::activity::{Activity, ConnectionGuards};
use super::drive::drive;
use super::framing::InspectedStream;
use super::listen::AcceptedStream;
use super::listener_options::ListenerOptions;
use super::proxy_protocol::{self, ProxyError};
use super::service::http_service;
use super::tracked_stream::TrackedStream;
use super::{Handler, ServerLimits, SharedState, preface};
use crate::request::head::{Connection, Peer, PrivateUpstreamConnections};
use crate::telemetry::error_chain;

/// How long a load balancer may take to send its PROXY header.
const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a connection was closed before its first request.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("only trusted_proxies may connect to a listener with proxy_protocol")]
    UntrustedPeer,
    #[error("the PROXY header took longer than {} s", PROXY_HEADER_TIMEOUT.as_secs())]
    ProxyHeaderTimeout,
    #[error("cannot accept the PROXY header")]
    ProxyHeader(#[source] ProxyError),
    #[error("the TLS handshake took longer than {} s", HANDSHAKE_TIMEOUT.as_secs())]
    HandshakeTimeout,
    #[error("TLS handshake")]
    Handshake(#[source] io::Error),
    #[error("the client sent no request within {0:?}")]
    NoRequest(Duration),
    #[error("cannot read the first bytes of the connection")]
    Read(#[source] io::Error),
    #[error("menshen is stopping")]
    ShuttingDown,
    #[error("the client has reached connections_per_client_max")]
    TooManyConnections,
}

/// Serves a connection until it ends.
pub(super) async fn serve<H: Handler>(
    shared: Arc<SharedState<H>>,
    options: ListenerOptions,
    stream: AcceptedStream,
    peer: Peer,
    guards: ConnectionGuards,
) {
    if let Err(error) = negotiate(&shared, &options, stream, peer, guards).await {
        match error {
            ConnectionError::TooManyConnections => {}
            ConnectionError::UntrustedPeer
            | ConnectionError::ProxyHeader(_)
            | ConnectionError::ProxyHeaderTimeout => {
                if shared.refusal_log.allow() {
                    tracing::warn!(?peer, error = %error_chain(&error), "a connection was refused");
                }
            }
            ConnectionError::HandshakeTimeout
            | ConnectionError::Handshake(_)
            | ConnectionError::NoRequest(_)
            | ConnectionError::Read(_)
            | ConnectionError::ShuttingDown => {
                tracing::debug!(?peer, error = %error_chain(&error), "a connection ended before its first request");
            }
        }
    }
}

/// Reads the PROXY header, does the TLS handshake, and serves the HTTP version that was negotiated.
async fn negotiate<H: Handler>(
    shared: &Arc<SharedState<H>>,
    options: &ListenerOptions,
    mut stream: AcceptedStream,
    mut peer: Peer,
    guards: ConnectionGuards,
) -> Result<(), ConnectionError> {
    if options.proxy_protocol {
        peer = shared
            .unless_shutting_down(peer_from_proxy_header(shared, &mut stream, peer))
            .await?;
    }
    let activity = Activity::new(
        guards,
        shared
            .admit_connection(peer)
            .ok_or(ConnectionError::TooManyConnections)?,
    );
    let mut connection = Connection {
        peer,
        tls: false,
        server_name: None,
        tls_subject: None,
        private_upstream_connections: PrivateUpstreamConnections::default(),
    };
    let Some(acceptor) = &options.tls else {
        if options.accepts_plain_http2 {
            return detect_version(shared, options, stream, connection, activity).await;
        }
        let stream = TrackedStream::new(stream, Arc::clone(&activity));
        serve_http1(shared, options, stream, connection, activity).await;
        return Ok(());
    };
    let handshake = async {
        let accepted = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await;
        accepted
            .map_err(|_| ConnectionError::HandshakeTimeout)?
            .map_err(ConnectionError::Handshake)
    };
    let stream = shared.unless_shutting_down(handshake).await?;
    let session = stream.get_ref().1;
    connection.tls = true;
    connection.server_name = session.server_name().map(str::to_ascii_lowercase);
    let is_http2 = session.alpn_protocol() == Some(b"h2");
    let stream = TrackedStream::new(stream, Arc::clone(&activity));
    if is_http2 {
        serve_http2(shared, options, stream, connection, activity).await;
    } else {
        serve_http1(shared, options, stream, connection, activity).await;
    }
    Ok(())
}

/// Serves HTTP/1.1 or HTTP/2 without TLS: the first bytes of the client decide.
async fn detect_version<H: Handler>(
    shared: &Arc<SharedState<H>>,
    options: &ListenerOptions,
    stream: AcceptedStream,
    connection: Connection,
    activity: Arc<Activity>,
) -> Result<(), ConnectionError> {
    let within = shared.limits.header_read.duration();
    let detection = async {
        let detected = timeout(within, preface::detect(stream)).await;
        detected
            .map_err(|_| ConnectionError::NoRequest(within))?
            .map_err(ConnectionError::Read)
    };
    let (stream, is_http2) = shared.unless_shutting_down(detection).await?;
    activity.record_received_bytes();
    let stream = TrackedStream::new(stream, Arc::clone(&activity));
    if is_http2 {
        serve_http2(shared, options, stream, connection, activity).await;
    } else {
        serve_http1(shared, options, stream, connection, activity).await;
    }
    Ok(())
}

async fn peer_from_proxy_header<H>(
    shared: &SharedState<H>,
    stream: &mut AcceptedStream,
    peer: Peer,
) -> Result<Peer, ConnectionError> {
    if !shared.trust.load().includes(peer) {
        return Err(ConnectionError::UntrustedPeer);
    }
    let read = timeout(PROXY_HEADER_TIMEOUT, proxy_protocol::read(stream)).await;
    let client = read
        .map_err(|_| ConnectionError::ProxyHeaderTimeout)?
        .map_err(ConnectionError::ProxyHeader)?;
    Ok(client.unwrap_or(peer))
}

impl<H> SharedState<H> {
    /// Runs `work`, which may wait for a client, until shutdown begins.
    async fn unless_shutting_down<T>(
        &self,
        work: impl Future<Output = Result<T, ConnectionError>>,
    ) -> Result<T, ConnectionError> {
        tokio::select! {
            result = work => result,
            () = self.drain.cancelled() => Err(ConnectionError::ShuttingDown),
        }
    }
}

async fn serve_http1<H: Handler, T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    shared: &Arc<SharedState<H>>,
    options: &ListenerOptions,
    stream: TrackedStream<T>,
    connection: Connection,
    activity: Arc<Activity>,
) {
    let (peer, header_bytes_max) = (connection.peer, shared.limits.header_bytes_max);
    let (stream, framing) = InspectedStream::new(stream, header_bytes_max);
    // `drive` enforces the time-outs, because hyper needs a timer per request for them. The number of
    // headers has hyper's default limit, 100: another limit would allocate memory per request.
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .preserve_header_case(options.preserve_header_case.load(Ordering::Relaxed))
        .max_header_size(header_bytes_max)
        .max_buf_size(header_bytes_max.max(ServerLimits::BUFFER_BYTES_MIN))
        .serve_connection(
            TokioIo::new(stream),
            http_service(
                shared,
                options,
                connection,
                Arc::clone(&activity),
                Some(framing),
            ),
        )
        .with_upgrades();
    drive(
        http,
        |http| http.graceful_shutdown(),
        shared,
        peer,
        &activity,
    )
    .await;
}

async fn serve_http2<H: Handler, T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    shared: &Arc<SharedState<H>>,
    options: &ListenerOptions,
    stream: TrackedStream<T>,
    connection: Connection,
    activity: Arc<Activity>,
) {
    let peer = connection.peer;
    let http = http2::Builder::new(activity.streams())
        .timer(TokioTimer::new())
        // Pings detect clients that disappeared.
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(shared.limits.streams_max)
        .max_header_list_size(u32::try_from(shared.limits.header_bytes_max).unwrap_or(u32::MAX))
        // The most that menshen buffers of an upload, of a connection and of a response.
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(64 * 1024)
        // Rapid reset (CVE-2023-44487): hyper limits streams that are reset before it hands them on,
        // and `ResetCounter` limits the others.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(256)
        .serve_connection(
            TokioIo::new(stream),
            http_service(shared, options, connection, Arc::clone(&activity), None),
        );
    drive(
        http,
        |http| http.graceful_shutdown(),
        shared,
        peer,
        &activity,
    )
    .await;
}
