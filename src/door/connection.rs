//! Serves one connection: PROXY header, TLS, HTTP.

use std::convert::Infallible;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use http::header::EXPECT;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::activity::{
    Action, Activity, ConnectionGuards, SlownessChecks, TrackedBody, TrackedStream,
};
use super::framing::{self, Framing, InspectedStream};
use super::listen::AcceptedStream;
use super::progress::RequestBody;
use super::proxy_protocol::{self, ProxyError};
use super::{Handler, ServerLimits, Shared, preface, redirect};
use crate::request::Body;
use crate::request::head::{Connection, ConnectionExtension, Peer};
use crate::telemetry::error_chain;

/// How long a load balancer may take to send its PROXY header.
const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How a listener serves its connections.
#[derive(Clone)]
pub(super) struct ListenerOptions {
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) redirect_https: bool,
    pub(super) proxy_protocol: bool,
    /// Whether HTTP/2 is accepted without TLS, too.
    pub(super) http2: bool,
    /// The port that `redirect_https` redirects to; absent: 443.
    pub(super) https_port: Option<u16>,
    /// Whether HTTP/1.1 preserves the case of header names.
    pub(super) header_case: Arc<AtomicBool>,
}

impl fmt::Debug for ListenerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerOptions")
            .field("tls", &self.tls.is_some())
            .finish_non_exhaustive()
    }
}

/// Why a connection was closed before its first request.
#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("the peer is not in trusted_proxies and must not send a PROXY header")]
    UntrustedPeer,
    #[error("the PROXY header took longer than {} s", PROXY_HEADER_TIMEOUT.as_secs())]
    ProxyHeaderTimeout,
    #[error("accept the PROXY header")]
    ProxyHeader(#[source] ProxyError),
    #[error("the TLS handshake took longer than {} s", HANDSHAKE_TIMEOUT.as_secs())]
    HandshakeTimeout,
    #[error("TLS handshake")]
    Handshake(#[source] io::Error),
    #[error("the client sent no request within {0:?}")]
    NoRequest(Duration),
    #[error("read the first bytes of the connection")]
    Read(#[source] io::Error),
    #[error("menshen is stopping")]
    ShuttingDown,
    #[error("the client has reached connections_per_client_max")]
    TooManyConnections,
}

/// Serves a connection until it ends.
pub(super) async fn serve<H: Handler>(
    shared: Arc<Shared<H>>,
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
    shared: &Arc<Shared<H>>,
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
            .admit(peer)
            .ok_or(ConnectionError::TooManyConnections)?,
    );
    let mut connection = Connection {
        peer,
        tls: false,
        server_name: None,
        tls_subject: None,
        extension: ConnectionExtension::default(),
    };
    let Some(acceptor) = &options.tls else {
        if options.http2 {
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
    shared: &Arc<Shared<H>>,
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
    activity.note_bytes_received();
    let stream = TrackedStream::new(stream, Arc::clone(&activity));
    if is_http2 {
        serve_http2(shared, options, stream, connection, activity).await;
    } else {
        serve_http1(shared, options, stream, connection, activity).await;
    }
    Ok(())
}

async fn peer_from_proxy_header<H>(
    shared: &Shared<H>,
    stream: &mut AcceptedStream,
    peer: Peer,
) -> Result<Peer, ConnectionError> {
    if !shared.trust.load().includes(peer) {
        return Err(ConnectionError::UntrustedPeer);
    }
    let read = timeout(PROXY_HEADER_TIMEOUT, proxy_protocol::read(stream)).await;
    let named = read
        .map_err(|_| ConnectionError::ProxyHeaderTimeout)?
        .map_err(ConnectionError::ProxyHeader)?;
    Ok(named.unwrap_or(peer))
}

impl<H> Shared<H> {
    /// Runs `work`, which may wait for a client, until shutdown begins.
    async fn unless_shutting_down<T>(
        &self,
        work: impl Future<Output = Result<T, ConnectionError>>,
    ) -> Result<T, ConnectionError> {
        tokio::select! {
            done = work => done,
            () = self.drain.cancelled() => Err(ConnectionError::ShuttingDown),
        }
    }
}

async fn serve_http1<H: Handler, T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    shared: &Arc<Shared<H>>,
    options: &ListenerOptions,
    stream: TrackedStream<T>,
    connection: Connection,
    activity: Arc<Activity>,
) {
    let (peer, header_bytes_max) = (connection.peer, shared.limits.header_bytes_max);
    let (stream, framing) = InspectedStream::new(stream, header_bytes_max);
    // `drive` enforces the time-outs, because hyper's need a timer per request. The number of headers
    // has hyper's default limit, 100: another limit would allocate memory per request.
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .preserve_header_case(options.header_case.load(Ordering::Relaxed))
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
    shared: &Arc<Shared<H>>,
    options: &ListenerOptions,
    stream: TrackedStream<T>,
    connection: Connection,
    activity: Arc<Activity>,
) {
    let peer = connection.peer;
    let http = http2::Builder::new(activity.streams())
        .timer(TokioTimer::new())
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(shared.limits.streams_max)
        .max_header_list_size(u32::try_from(shared.limits.header_bytes_max).unwrap_or(u32::MAX))
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

/// The service that answers the requests of a connection.
fn http_service<H: Handler>(
    shared: &Arc<Shared<H>>,
    options: &ListenerOptions,
    connection: Connection,
    activity: Arc<Activity>,
    framing: Option<Arc<Framing>>,
) -> impl Service<
    Request<Incoming>,
    Response = http::Response<TrackedBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<http::Response<TrackedBody>, Infallible>> + Send + 'static,
> + Send
+ 'static {
    // Only HTTP/1.1 has a `Framing`.
    let in_streams = framing.is_none();
    // An `Arc` per connection: all processors would contend for the reference count of `shared`.
    let state = Arc::new(ConnectionState {
        shared: Arc::clone(shared),
        connection: Arc::new(connection),
        redirects: options.redirect_https,
        https_port: options.https_port,
        framing,
    });
    service_fn(move |request: Request<Incoming>| {
        let open = activity.begin_request(in_streams);
        let state = Arc::clone(&state);
        let framing = state.framing.as_ref();
        let is_unambiguous = framing.is_none_or(|framing| framing.is_unambiguous(&request));
        async move {
            // A client that expects `100 Continue` has not sent its body yet.
            let has_body = !http_body::Body::is_end_stream(request.body());
            let expects = has_body && !in_streams && request.headers().contains_key(EXPECT);
            let discards_rest = is_unambiguous && !expects;
            let request =
                request.map(|body| RequestBody::new(body, open.progress(), discards_rest));
            let response = if !is_unambiguous {
                state.refuse_ambiguous()
            } else if !open.is_within_limit() {
                state.shared.too_many_requests(state.connection.peer, &open)
            } else if state.redirects {
                redirect::to_https(&request, state.https_port)
            } else {
                let connection = Arc::clone(&state.connection);
                // hyper moves the future of a request and reserves its size in every connection, so
                // the large future of the handler is boxed.
                box_in_place(|| state.shared.handler.handle(request, connection)).await
            };
            if let (StatusCode::SWITCHING_PROTOCOLS, Some(framing)) =
                (response.status(), &state.framing)
            {
                framing.stop();
            }
            Ok(response.map(|body| TrackedBody::new(body, open)))
        }
    })
}

/// Creates a future in its box. `Box::pin` would create it on the stack and copy all of it, including
/// the space that it does not use yet.
fn box_in_place<F>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    let uninit = Box::new_uninit();
    Box::into_pin(Box::write(uninit, make()))
}

/// The state that all requests of a connection share.
struct ConnectionState<H> {
    shared: Arc<Shared<H>>,
    connection: Arc<Connection>,
    redirects: bool,
    https_port: Option<u16>,
    /// How the HTTP/1.1 requests frame their bodies; absent over HTTP/2, where framing is unambiguous.
    framing: Option<Arc<Framing>>,
}

impl<H> ConnectionState<H> {
    fn refuse_ambiguous(&self) -> http::Response<Body> {
        if self.shared.refusal_log.allow() {
            let peer = self.connection.peer;
            tracing::warn!(
                ?peer,
                "a request was refused: its Content-Length and Transfer-Encoding do not say unambiguously where its body ends"
            );
        }
        framing::refusal()
    }
}

/// Drives a connection to its end: enforces the time-outs, and shuts it down when menshen stops.
///
/// The wakers for draining are registered once, not at every poll: registering takes a lock that all
/// connections share, and the waker of the task does not change.
async fn drive<C: Future<Output = hyper::Result<()>>, H>(
    http: C,
    shut_down: fn(Pin<&mut C>),
    shared: &Shared<H>,
    peer: Peer,
    activity: &Activity,
) {
    let mut http = pin!(http);
    let mut drain = pin!(shared.drain.cancelled());
    let mut abort = pin!(shared.abort.cancelled());
    let soon = shared
        .limits
        .header_read
        .min(shared.limits.progress_interval);
    let mut wake = pin!(sleep_until(Instant::now() + soon.duration()));
    let (mut is_registered, mut is_draining, mut is_shutting_down) = (false, false, false);
    let mut checks = SlownessChecks::default();
    let outcome = poll_fn(|cx| {
        loop {
            if let Poll::Ready(outcome) = http.as_mut().poll(cx) {
                return Poll::Ready(outcome.map_err(|error| error_chain(&error).to_string()));
            }
            if activity.has_too_many_resets() {
                shared.log_resets(peer);
                return Poll::Ready(Err("the client reset too many of its streams".to_owned()));
            }
            if is_draining && abort.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err("the drain time is over".to_owned()));
            }
            if !is_draining && (!is_registered || shared.is_draining.load(Ordering::Acquire)) {
                is_registered = true;
                if drain.as_mut().poll(cx).is_ready() {
                    if !activity.has_received_bytes() {
                        return Poll::Ready(Ok(()));
                    }
                    (is_draining, is_shutting_down) = (true, true);
                    shut_down(http.as_mut());
                    continue;
                }
            }
            if wake.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            let action = activity.next_action(&shared.limits, is_shutting_down, &mut checks);
            checks
                .aborted
                .drain(..)
                .for_each(|key| shared.log_slow_client(peer, key));
            match action {
                Action::CheckAt(at) => wake.as_mut().reset(at),
                Action::Close(why) => return Poll::Ready(Err(why.to_owned())),
                Action::CloseSlow(key) => {
                    shared.log_slow_client(peer, key);
                    return Poll::Ready(Err(format!("the client was slower than {key}")));
                }
                Action::ShutDown => {
                    is_shutting_down = true;
                    wake.as_mut()
                        .reset(Instant::now() + shared.limits.header_read.duration());
                    shut_down(http.as_mut());
                }
            }
        }
    })
    .await;
    if let Err(reason) = outcome {
        tracing::debug!(reason, "a connection ended early");
    }
}
