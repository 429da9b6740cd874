//! What the simulated sources share: their clock, their connections, and their responses.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the demo, the tests and the benchmarks each use a part, and none of them is a library"
)]

use std::error::Error;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The maximum size of a request body, in bytes.
pub const BODY_BYTES_MAX: usize = 1 << 20;

pub const JSON: &str = "application/json; charset=utf-8";
pub const HTML: &str = "text/html; charset=utf-8";

/// Returns the time to which [`Simulation::advance`] adds.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

pub type Reply = Response<Full<Bytes>>;

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
