//! The listeners: bind sockets, accept connections, enforce their limits and drain them at shutdown.
//!
//! Each connection has one task, which reads the PROXY header, terminates TLS and speaks HTTP. A
//! [`Handler`] answers the requests.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Request, Response};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::request::Body;
use crate::request::client_quota::ClientQuota;
use crate::request::head::{Connection, Trust};
use crate::setting::Period;
use crate::telemetry::{LogLimiter, Telemetry};
pub use address_network::AddressNetwork;
use connection::ListenerOptions;
use listen::Listener;
pub use listen::{Address, BindError, InvalidAddress, ListenConfig};
pub use own_files::OwnFiles;
pub use progress::RequestBody;
pub use tls::{CertificateConfig, ListedCertificate, Tls, TlsConfig, TlsError};

mod activity;
mod address_network;
mod capped;
mod client_limits;
mod connection;
mod delayed_error;
mod discard;
mod drive;
mod framing;
mod listen;
mod own_files;
mod preface;
mod progress;
mod proxy_protocol;
mod redirect;
mod resets;
mod service;
mod tls;
mod tracked_body;
mod tracked_stream;

/// Answers requests. It is infallible: a failure is a response, too.
///
/// Implemented by every `Fn(Request<RequestBody>, Arc<Connection>) -> impl Future<Output = Response<Body>>`.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. The future is dropped when the client disconnects.
    fn handle(
        &self,
        request: Request<RequestBody>,
        connection: Arc<Connection>,
    ) -> impl Future<Output = Response<Body>> + Send;
}

impl<F, A> Handler for F
where
    F: Fn(Request<RequestBody>, Arc<Connection>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send,
{
    fn handle(
        &self,
        request: Request<RequestBody>,
        connection: Arc<Connection>,
    ) -> impl Future<Output = Response<Body>> + Send {
        self(request, connection)
    }
}

/// `[server.limits]`: limits for all clients together and for each client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerLimits {
    /// Connections that are served at a time, tunnels included; further connections wait. The number
    /// is lower if the process may not open enough files: menshen raises its limit of open files to
    /// the hard limit, reserves 256, and gives clients three eighths of the rest. One client address
    /// then has at most half of these connections.
    pub connections_max: usize,
    /// Connections that one client address may hold; a further connection is closed. For this limit
    /// and all other limits per client, an IPv6 /64 is one address, and its /48 may hold as much as
    /// three clients but never all of `connections_max`, unless `count_by_address` contains it. `trusted_proxies`
    /// are not limited.
    pub connections_per_client_max: usize,
    /// IPv6 networks in which each address is a client of its own, as each IPv4 address is: for an
    /// intranet whose people share a /64 or a /48. A client that can use many addresses there has a
    /// separate limit for each. A reload applies it. Absent: none.
    pub count_by_address: Vec<AddressNetwork>,
    /// Concurrent requests of one client address; a further request is answered with 503.
    pub requests_per_client_max: usize,
    /// Concurrent requests of one HTTP/2 connection; further requests wait.
    pub streams_max: u32,
    /// Percentage of the concurrent requests to the upstreams of a route that one client address may
    /// use; a further request is answered with 503. Behind `trusted_proxies` this is the client that
    /// they name.
    pub upstream_share: u8,
    /// Percentage of the concurrent requests to the upstreams of a route that all requests without a
    /// session and without a bearer token may use together; a further request waits as it would for
    /// a connection, and is then answered with 503. The rest is reserved for people who are signed
    /// in and for programs with a token.
    pub upstream_share_anonymous: u8,
    /// Time from the opening of a connection to the end of the head of its first request.
    pub header_read: Period,
    /// Time from the end of a response to the end of the head of the next request.
    pub keep_alive: Period,
    /// Interval over which the speed of a client is measured while menshen waits for it. The request
    /// of a client that is too slow is aborted; over HTTP/1.1 its connection is closed.
    pub progress_interval: Period,
    /// Bytes of a request's body that a client must send in each interval.
    pub upload_bytes_min: u32,
    /// Bytes of a response that a client must read in each interval.
    pub download_bytes_min: u32,
    /// Age from which a response or an upload that is still running is checked again as WebSockets
    /// are: it is aborted when its session ends, or when a new configuration no longer allows it.
    pub judged_again_after: Period,
    /// Time that requests in flight have to finish when menshen stops.
    pub drain: Period,
    /// Maximum size of the head of a request, in bytes; a longer head is answered with 431.
    pub header_bytes_max: usize,
}

impl ServerLimits {
    /// The smallest read buffer that hyper accepts for HTTP/1.1.
    const BUFFER_BYTES_MIN: usize = 8192;
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_client_max: 10_000,
            count_by_address: Vec::new(),
            requests_per_client_max: 10_000,
            streams_max: 128,
            upstream_share: 75,
            upstream_share_anonymous: 75,
            header_read: Period::s(30),
            keep_alive: Period::s(75),
            progress_interval: Period::s(60),
            upload_bytes_min: 16 * 1024,
            download_bytes_min: 16 * 1024,
            judged_again_after: Period::s(10),
            drain: Period::s(30),
            header_bytes_max: 64 * 1024,
        }
    }
}

/// What [`Listeners::serve`] needs besides the handler.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The trusted proxies, and where each address is a client of its own; read anew for every connection.
    pub trust: Arc<ArcSwap<Trust>>,
    pub limits: ServerLimits,
    pub telemetry: Telemetry,
    /// Cancelled to stop serving. Tunnels listen to it, too.
    pub shutdown: CancellationToken,
}

/// Bound sockets that do not accept connections yet.
#[derive(Debug)]
pub struct Listeners {
    listeners: Vec<(Listener, ListenerOptions)>,
    tls: Option<Arc<Tls>>,
    preserve_header_case: Arc<AtomicBool>,
    own_files: OwnFiles,
}

impl Listeners {
    /// Binds all addresses, or none. Must be called within a Tokio runtime.
    pub fn bind(configs: &[ListenConfig], tls: Option<&TlsConfig>) -> Result<Self, BindError> {
        let tls = tls
            .map(Tls::load)
            .transpose()
            .map_err(BindError::Tls)?
            .map(Arc::new);
        let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(tls.server()));
        let preserve_header_case = Arc::new(AtomicBool::new(false));
        let own_files = OwnFiles::default();
        let mut listeners = Vec::with_capacity(configs.len());
        for (listener, config) in listen::bind_all(configs)? {
            let uses_tls = config.uses_tls(acceptor.is_some())?;
            let options = ListenerOptions {
                tls: acceptor.clone().filter(|_| uses_tls),
                redirect_https: config.redirect_https,
                proxy_protocol: config.proxy_protocol,
                accepts_plain_http2: false,
                https_port: None,
                preserve_header_case: Arc::clone(&preserve_header_case),
                own_files: own_files.clone(),
            };
            listeners.push((listener, options));
        }
        Ok(Self {
            listeners,
            tls,
            preserve_header_case,
            own_files,
        })
    }

    /// Accepts HTTP/2 without TLS, too, from clients with prior knowledge (RFC 9113 §3.3).
    #[must_use]
    pub fn with_plain_http2(mut self) -> Self {
        for (_, options) in &mut self.listeners {
            options.accepts_plain_http2 = true;
        }
        self
    }

    /// Sets the port of the URLs that `redirect_https` redirects to; absent: 443.
    #[must_use]
    pub fn with_https_port(mut self, port: Option<u16>) -> Self {
        for (_, options) in &mut self.listeners {
            options.https_port = port;
        }
        self
    }

    /// The bound addresses, with the port that the system chose for port 0.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.listeners.iter().map(|(listener, _)| &listener.address)
    }

    /// The first bound IP address.
    pub fn first_ip(&self) -> Option<SocketAddr> {
        self.addresses().find_map(|address| match address {
            Address::Ip(ip) => Some(*ip),
            Address::Unix(_) | Address::Systemd(_) => None,
        })
    }

    /// The certificates, which can be reloaded.
    pub fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }

    /// Whether new connections preserve the case of header names, which costs memory for each request.
    /// It can be set at any time.
    pub fn preserve_header_case(&self) -> &Arc<AtomicBool> {
        &self.preserve_header_case
    }

    /// The files that `redirect_https` does not redirect. They can be set at any time.
    pub fn own_files(&self) -> &OwnFiles {
        &self.own_files
    }

    /// Serves until `options.shutdown` is cancelled. Then accepts no more connections, closes idle
    /// ones, waits for requests in flight and for tunnels, and closes what is left after `drain`.
    pub async fn serve<H: Handler>(self, handler: H, options: ServeOptions) {
        let ServeOptions {
            trust,
            limits,
            telemetry,
            shutdown,
        } = options;
        let drain = limits.drain.duration();
        let shared = Arc::new(SharedState {
            handler,
            trust,
            connection_permits: Arc::new(Semaphore::new(
                limits.connections_max.min(Semaphore::MAX_PERMITS),
            )),
            connection_quota: Arc::new(ClientQuota::new(
                limits.connections_per_client_max,
                limits.connections_max,
            )),
            request_quota: Arc::new(ClientQuota::new(limits.requests_per_client_max, usize::MAX)),
            limits,
            telemetry,
            tracker: TaskTracker::new(),
            is_draining: AtomicBool::new(false),
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
            refusal_log: LogLimiter::default(),
            accept_log: LogLimiter::default(),
            client_limit_log: LogLimiter::default(),
        });
        let accepting = TaskTracker::new();
        for (listener, options) in self.listeners {
            accepting.spawn(accept(Arc::clone(&shared), listener, options));
        }
        shutdown.cancelled().await;
        // A task that the token wakes must find the flag set.
        shared.is_draining.store(true, Ordering::Release);
        shared.drain.cancel();
        accepting.close();
        accepting.wait().await;
        shared.tracker.close();
        if timeout(drain, shared.tracker.wait()).await.is_err() {
            tracing::warn!(
                connections = shared.tracker.len(),
                "the drain time is over: the remaining connections are closed"
            );
            shared.abort.cancel();
        }
    }
}

/// What all connections of the listeners share.
struct SharedState<H> {
    handler: H,
    trust: Arc<ArcSwap<Trust>>,
    limits: ServerLimits,
    telemetry: Telemetry,
    connection_permits: Arc<Semaphore>,
    /// Open connections by client.
    connection_quota: Arc<ClientQuota>,
    /// Concurrent requests by client.
    request_quota: Arc<ClientQuota>,
    tracker: TaskTracker,
    /// Set just before `drain` is cancelled; reading it takes no lock.
    is_draining: AtomicBool,
    /// Cancelled when connections should shut down gracefully.
    drain: CancellationToken,
    /// Cancelled when connections must close at once.
    abort: CancellationToken,
    /// Limits log lines about connections and requests that are refused.
    refusal_log: LogLimiter,
    /// Limits log lines about connections that wait or cannot be accepted.
    accept_log: LogLimiter,
    /// Limits log lines about clients that reach a limit.
    client_limit_log: LogLimiter,
}

async fn accept<H: Handler>(
    shared: Arc<SharedState<H>>,
    listener: Listener,
    options: ListenerOptions,
) {
    // The pauses after failures to accept a connection.
    const PAUSE_MIN: Duration = Duration::from_millis(10);
    const PAUSE_MAX: Duration = Duration::from_secs(1);
    let mut drain = pin!(shared.drain.cancelled());
    let mut pause = PAUSE_MIN;
    loop {
        let next = async {
            let accepted = listener.accept().await?;
            let permit =
                if let Ok(permit) = Arc::clone(&shared.connection_permits).try_acquire_owned() {
                    permit
                } else {
                    if shared.accept_log.allow() {
                        let max = shared.limits.connections_max;
                        tracing::warn!(max, "connections_max is reached: new connections wait");
                    }
                    let permit = Arc::clone(&shared.connection_permits).acquire_owned().await;
                    permit.map_err(io::Error::other)?
                };
            io::Result::Ok((accepted, permit))
        };
        let accepted = tokio::select! {
            biased;
            () = &mut drain => return,
            accepted = next => accepted,
        };
        match accepted {
            Ok(((stream, peer), permit)) => {
                pause = PAUSE_MIN;
                let guards = (
                    permit,
                    shared.tracker.token(),
                    shared.telemetry.track_connection(),
                );
                let served =
                    connection::serve(Arc::clone(&shared), options.clone(), stream, peer, guards);
                tokio::spawn(served);
            }
            Err(error) if needs_no_pause(&error) => {}
            Err(error) => {
                if shared.accept_log.allow() {
                    let address = &listener.address;
                    tracing::error!(%address, %error, "accepting a connection failed");
                }
                // Out of files or memory: retrying at once would only use up the processor.
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// Whether the client disconnected before accept(2), or a signal interrupted the call: no resource is
/// exhausted.
fn needs_no_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests;
