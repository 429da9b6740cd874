//! What the simulated sources share: their clock, their connections, their responses, and the delivery of events.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the demo, the tests and the benchmarks each use a part, and none of them is a library"
)]

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fmt, io};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, LOCATION};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use url::{Position, Url};

/// The maximum size of a request body, in bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;

pub const JSON: &str = "application/json; charset=utf-8";
pub const HTML: &str = "text/html; charset=utf-8";

/// Returns the time to which [`Simulation::advance`] adds.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

pub type Reply = Response<Full<Bytes>>;

/// How many times an event is sent until the receiver accepts it.
const DELIVERIES: u32 = 4;
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// The longest response to an event that is read, in bytes.
const EVENT_RESPONSE_BYTES_MAX: usize = 4096;

/// The state that all connections of a simulation share.
pub struct Simulation<S> {
    state: Mutex<S>,
    clock: Clock,
    /// How far the clock was advanced.
    clock_offset: Mutex<Duration>,
}

impl<S> Simulation<S> {
    pub fn new(state: S, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            clock,
            clock_offset: Mutex::new(Duration::ZERO),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> SystemTime {
        (self.clock)() + *self.offset()
    }

    /// Advances the clock.
    pub fn advance(&self, by: Duration) {
        *self.offset() += by;
    }

    fn offset(&self) -> MutexGuard<'_, Duration> {
        let offset = self.clock_offset.lock();
        offset.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A simulation that serves connections. Dropping it closes its socket and every connection.
pub struct RunningSimulation<S> {
    pub address: SocketAddr,
    simulation: Arc<Simulation<S>>,
    accepting: JoinHandle<()>,
}

impl<S> RunningSimulation<S> {
    /// Binds the address and runs `accept`, which serves connections.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start<F>(
        address: SocketAddr,
        simulation: Arc<Simulation<S>>,
        accept: impl FnOnce(TcpListener, Arc<Simulation<S>>) -> F,
    ) -> io::Result<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        Ok(Self {
            address: listener.local_addr()?,
            accepting: tokio::spawn(accept(listener, Arc::clone(&simulation))),
            simulation,
        })
    }
}

impl<S> Deref for RunningSimulation<S> {
    type Target = Simulation<S>;

    fn deref(&self) -> &Simulation<S> {
        &self.simulation
    }
}

impl<S> fmt::Debug for RunningSimulation<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningSimulation")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl<S> Drop for RunningSimulation<S> {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts connections until the task is aborted, which also ends the connections. `serve` responds to a
/// request from an address; after an error the connection is closed without a response.
pub async fn accept<F, E>(
    listener: TcpListener,
    serve: impl Fn(IpAddr, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) where
    F: Future<Output = Result<Reply, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, peer)) = listener.accept() => {
                let serve = serve.clone();
                connections.spawn(async move {
                    let serve = service_fn(|request| serve(peer.ip(), request));
                    // A client that disconnects early is not an error.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), serve)
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// What a browser sees.
pub enum PageResponse {
    Page(String),
    Redirect(String),
}

impl PageResponse {
    pub fn reply(self) -> Reply {
        match self {
            Self::Page(page) => reply(200, &[(CONTENT_TYPE, HTML)], Bytes::from(page)),
            Self::Redirect(address) => reply(302, &[(LOCATION, &address)], Bytes::new()),
        }
    }
}

/// Builds a response; an invalid header value makes it a 500.
pub fn reply(status: u16, headers: &[(HeaderName, &str)], body: Bytes) -> Reply {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, *value);
    }
    response.body(Full::new(body)).unwrap_or_else(|_| {
        let mut failed = Response::new(Full::default());
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}

/// An event that a source sends to its receiver.
pub struct EventRequest {
    /// The receiving URL, with the query of this event.
    pub to: Url,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// How long the receiver may take.
    pub time_limit: Duration,
}

impl EventRequest {
    /// Sends the event until the receiver answers with status 200 and a body that is accepted, a few times at most.
    pub async fn deliver(&self, is_accepted: impl Fn(&[u8]) -> bool) {
        for _ in 0..DELIVERIES {
            if let Ok(Some(body)) = timeout(self.time_limit, self.send()).await
                && is_accepted(&body)
            {
                return;
            }
            sleep(RETRY_AFTER).await;
        }
    }

    /// The body of the response, if its status is 200.
    async fn send(&self) -> Option<Bytes> {
        let host = self.to.host_str()?;
        let stream = TcpStream::connect((host, self.to.port_or_known_default()?)).await;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream.ok()?))
                .await
                .ok()?;
        let connection_task = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.to[Position::BeforePath..Position::AfterQuery])
            .header(HOST, self.to.authority());
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = Full::new(Bytes::from(self.body.clone()));
        let response = sender.send_request(request.body(body).ok()?).await.ok()?;
        let is_ok = response.status() == StatusCode::OK;
        let body = Limited::new(response.into_body(), EVENT_RESPONSE_BYTES_MAX).collect();
        let body = body.await.ok().map(|body| body.to_bytes());
        connection_task.abort();
        body.filter(|_| is_ok)
    }
}
