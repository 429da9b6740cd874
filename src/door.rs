//! The listeners: bind sockets, accept connections, enforce their limits and drain them at shutdown.
//!
//! Each connection has one task, which reads the PROXY header, terminates TLS and speaks HTTP. A
//! [`Handler`] answers the requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::request::Body;
use crate::request::client_quota::ClientQuota;
use crate::request::head::{Connection, Trust};
use crate::telemetry::{LogLimiter, Telemetry};
pub use address_network::AddressNetwork;
pub use limits::ServerLimits;
use listen::Listener;
pub use listen::{Address, BindError, InvalidAddress, ListenConfig};
use listener_options::ListenerOptions;
pub use own_files::OwnFiles;
pub use progress::RequestBody;
pub use tls::{CertificateConfig, ListedCertificate, Tls, TlsConfig, TlsError};

mod accept;
mod activity;
mod address_network;
mod capped;
mod client_limits;
mod connection;
mod delayed_error;
mod discard;
mod drive;
mod framing;
mod limits;
mod listen;
mod listener_options;
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
            accepting.spawn(accept::accept(Arc::clone(&shared), listener, options));
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

#[cfg(test)]
mod tests;
