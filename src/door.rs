//! The door: binds sockets, accepts connections, enforces limits and drains. One task per connection.
//!
//! It terminates TLS and reads PROXY headers. A [`Handler`] answers the requests.

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
pub use progress::RequestBody;
pub use tls::{CertificateConfig, Tls, TlsConfig, TlsError};

mod activity;
mod address_network;
mod capped;
mod client_limits;
mod connection;
mod delayed_error;
mod discard;
mod framing;
mod listen;
mod preface;
mod progress;
mod proxy_protocol;
mod redirect;
mod resets;
mod tls;

/// Answers requests. Infallible: errors are responses, too.
///
/// Implemented by every `Fn(Request<RequestBody>, Arc<Connection>) -> impl Future<Output =
/// Response<Body>>`.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request. The future is dropped when the client closes the connection or stream.
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

/// `[server.limits]`: what all clients together, and each of them, may take of us.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerLimits {
    /// Connections that are served at a time, tunnels included; further ones wait. Fewer where the
    /// process may not open enough files: it raises its limit to the hard one, keeps 256, and gives
    /// clients three eighths of the rest. One client address has at most half of them then.
    pub connections_max: usize,
    /// Connections that one client address may hold; a further one is closed. Here and wherever a
    /// client is counted, an IPv6 /64 is one address, and its /48 has what three clients have but
    /// never all, unless `count_by_address` has it; `trusted_proxies` are not counted.
    pub connections_per_client_max: usize,
    /// IPv6 networks in which each address is counted as a client of its own, as IPv4 addresses are:
    /// for an intranet whose people share a /64 or a /48. Whoever can take many addresses there has a
    /// share for each of them. It counts from a reload on. Absent: none.
    pub count_by_address: Vec<AddressNetwork>,
    /// Requests that one client address may have under way; a further one is a 503.
    pub requests_per_client_max: usize,
    /// Requests that one HTTP/2 connection may have under way; further ones wait.
    pub streams_max: u32,
    /// How many percent of the requests that may be under way at the upstreams of a route one client
    /// address may have; a further one is a 503. Behind `trusted_proxies` the client they name
    /// counts.
    pub upstream_share: u8,
    /// How many percent of them people together may have who are not signed in and bring no bearer
    /// token; a further one waits as for a connection, and then is a 503. The rest is for people and
    /// programs that are known.
    pub upstream_share_anonymous: u8,
    /// From the opening of a connection to the end of its first request's head.
    pub header_read: Period,
    /// From the end of an answer to the end of the next request's head.
    pub keep_alive: Period,
    /// Over how long a client's speed is measured while it is the one that is waited for. One that is
    /// too slow loses its request: over HTTP/1.1 with the connection, over HTTP/2 without.
    pub progress_interval: Period,
    /// How much of a request's body a client must send in each interval, in bytes.
    pub upload_bytes_min: u32,
    /// How much of an answer a client must take in each interval, in bytes.
    pub download_bytes_min: u32,
    /// After how long an answer or an upload that goes on is watched as WebSockets are: it ends when
    /// the session does, or when a changed configuration no longer lets it pass.
    pub judged_again_after: Period,
    /// How long requests in flight may go on when the door closes.
    pub drain: Period,
    /// The head of a request, in bytes; a longer one is a 431.
    pub header_bytes_max: usize,
}

impl ServerLimits {
    /// The minimum buffer size of hyper for HTTP/1.1.
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

/// The parameters of [`Listeners::serve`].
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The peers whose PROXY headers are accepted; loaded for every connection.
    pub trust: Arc<ArcSwap<Trust>>,
    pub limits: ServerLimits,
    /// Counts the connections.
    pub telemetry: Telemetry,
    /// Its cancellation starts the drain. Open tunnels observe it, too.
    pub shutdown: CancellationToken,
}

/// Bound sockets that do not accept connections yet.
#[derive(Debug)]
pub struct Listeners {
    listeners: Vec<(Listener, ListenerOptions)>,
    tls: Option<Arc<Tls>>,
    header_case: Arc<AtomicBool>,
}

impl Listeners {
    /// Binds all addresses, or none. Must be called in a Tokio runtime.
    pub fn bind(places: &[ListenConfig], tls: Option<&TlsConfig>) -> Result<Self, BindError> {
        let tls = tls
            .map(Tls::load)
            .transpose()
            .map_err(BindError::Tls)?
            .map(Arc::new);
        let acceptor = tls.as_ref().map(|tls| TlsAcceptor::from(tls.server()));
        let header_case = Arc::new(AtomicBool::new(false));
        let mut listeners = Vec::with_capacity(places.len());
        for (listener, place) in listen::bind_all(places)? {
            let uses_tls = place.uses_tls(acceptor.is_some())?;
            let options = ListenerOptions {
                tls: acceptor.clone().filter(|_| uses_tls),
                redirect_https: place.redirect_https,
                proxy_protocol: place.proxy_protocol,
                http2: false,
                https_port: None,
                header_case: Arc::clone(&header_case),
            };
            listeners.push((listener, options));
        }
        Ok(Self {
            listeners,
            tls,
            header_case,
        })
    }

    /// Also accepts HTTP/2 without TLS, from clients that send its preface.
    #[must_use]
    pub fn with_plain_http2(mut self) -> Self {
        for (_, options) in &mut self.listeners {
            options.http2 = true;
        }
        self
    }

    /// Sets the port in redirects to https; `None` is 443.
    #[must_use]
    pub fn with_https_port(mut self, port: Option<u16>) -> Self {
        for (_, options) in &mut self.listeners {
            options.https_port = port;
        }
        self
    }

    /// The bound addresses, with the actual port in place of port 0.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.listeners.iter().map(|(listener, _)| &listener.address)
    }

    /// The first bound IP address.
    pub fn ip(&self) -> Option<SocketAddr> {
        self.addresses().find_map(|address| match address {
            Address::Ip(ip) => Some(*ip),
            Address::Unix(_) | Address::Systemd(_) => None,
        })
    }

    /// The certificates, which the caller reloads when their files change.
    pub fn tls(&self) -> Option<&Arc<Tls>> {
        self.tls.as_ref()
    }

    /// Whether new connections keep the case of header names, which costs time; may be set at any time.
    pub fn header_case(&self) -> &Arc<AtomicBool> {
        &self.header_case
    }

    /// Serves until `serving.shutdown` is cancelled. Then stops accepting, closes idle connections,
    /// waits for requests in progress and for tunnels, and closes the remaining connections after
    /// `drain`.
    pub async fn serve<H: Handler>(self, handler: H, serving: ServeOptions) {
        let ServeOptions {
            trust,
            limits,
            telemetry,
            shutdown,
        } = serving;
        let drain = limits.drain.duration();
        let shared = Arc::new(Shared {
            handler,
            trust,
            places: Arc::new(Semaphore::new(
                limits.connections_max.min(Semaphore::MAX_PERMITS),
            )),
            connections: Arc::new(ClientQuota::new(
                limits.connections_per_client_max,
                limits.connections_max,
            )),
            requests: Arc::new(ClientQuota::new(limits.requests_per_client_max, usize::MAX)),
            limits,
            telemetry,
            tracker: TaskTracker::new(),
            closing: AtomicBool::new(false),
            leave: CancellationToken::new(),
            cut: CancellationToken::new(),
            refusals: LogLimiter::default(),
            complaints: LogLimiter::default(),
            client_limits: LogLimiter::default(),
        });
        let accepting = TaskTracker::new();
        for (listener, options) in self.listeners {
            accepting.spawn(accept(Arc::clone(&shared), listener, options));
        }
        shutdown.cancelled().await;
        // In this order: tasks that the cancellation wakes read the flag.
        shared.closing.store(true, Ordering::Release);
        shared.leave.cancel();
        accepting.close();
        accepting.wait().await;
        shared.tracker.close();
        if timeout(drain, shared.tracker.wait()).await.is_err() {
            tracing::warn!(
                connections = shared.tracker.len(),
                "connections were cut off"
            );
            shared.cut.cancel();
        }
    }
}

/// The state that all connections share.
struct Shared<H> {
    handler: H,
    trust: Arc<ArcSwap<Trust>>,
    limits: ServerLimits,
    telemetry: Telemetry,
    places: Arc<Semaphore>,
    /// The number of connections of each client.
    connections: Arc<ClientQuota>,
    /// The number of requests in progress of each client.
    requests: Arc<ClientQuota>,
    tracker: TaskTracker,
    /// Set just before `leave` is cancelled, and cheaper to read.
    closing: AtomicBool,
    /// Cancelled when connections must close after their current requests.
    leave: CancellationToken,
    /// Cancelled when connections must close at once.
    cut: CancellationToken,
    refusals: LogLimiter,
    complaints: LogLimiter,
    /// Limits the log lines about clients that exceed a limit or are too slow.
    client_limits: LogLimiter,
}

async fn accept<H: Handler>(shared: Arc<Shared<H>>, listener: Listener, options: ListenerOptions) {
    const PAUSE_MIN: Duration = Duration::from_millis(10);
    const PAUSE_MAX: Duration = Duration::from_secs(1);
    let mut leave = pin!(shared.leave.cancelled());
    let mut pause = PAUSE_MIN;
    loop {
        let next = async {
            let accepted = listener.accept().await?;
            let permit = if let Ok(permit) = Arc::clone(&shared.places).try_acquire_owned() {
                permit
            } else {
                if shared.complaints.allow() {
                    let max = shared.limits.connections_max;
                    tracing::warn!(max, "connections_max is reached: new connections wait");
                }
                let permit = Arc::clone(&shared.places).acquire_owned().await;
                permit.map_err(io::Error::other)?
            };
            io::Result::Ok((accepted, permit))
        };
        let accepted = tokio::select! {
            biased;
            () = &mut leave => return,
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
            // The client closed the connection before accept(2): no resource is exhausted.
            Err(error) if is_client_error(&error) => {}
            Err(error) => {
                if shared.complaints.allow() {
                    let address = &listener.address;
                    tracing::error!(%address, %error, "connections cannot be accepted");
                }
                // Files or memory are exhausted: without a pause this loop would only use the processor.
                sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

fn is_client_error(error: &io::Error) -> bool {
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
