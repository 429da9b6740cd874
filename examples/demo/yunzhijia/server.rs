//! The HTTP server of the simulated Yunzhijia.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Clock;
use super::api;
use super::pages::{self, PageResponse};
use super::state::{Fault, State};

/// The maximum size of a request body, in bytes.
const BODY_BYTES_MAX: usize = 1 << 20;

const JSON: &str = "application/json;charset=UTF-8";
const HTML: &str = "text/html; charset=utf-8";

/// The state that all connections share.
pub(super) struct Simulation {
    pub(super) state: Mutex<State>,
    pub(super) clock: Clock,
    /// How far the clock was advanced.
    pub(super) clock_offset: Mutex<Duration>,
}

type Reply = Response<Full<Bytes>>;

/// The connection is closed without a response.
#[derive(Debug)]
struct Down;

impl std::fmt::Display for Down {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the simulation is down")
    }
}

impl std::error::Error for Down {}

impl Simulation {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> SystemTime {
        let offset = self.clock_offset.lock();
        (self.clock)() + *offset.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts connections until the task is aborted, which also ends the connections.
pub(super) async fn accept(listener: TcpListener, simulation: Arc<Simulation>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let simulation = Arc::clone(&simulation);
                connections.spawn(async move {
                    let serve = service_fn(|request| serve(&simulation, request));
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

async fn serve(simulation: &Simulation, request: Request<Incoming>) -> Result<Reply, Down> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(reply(413, &[], Bytes::new()));
    };
    let body: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    let fault = {
        let mut state = simulation.state();
        if state.is_down {
            return Err(Down);
        }
        state
            .bodies
            .entry(path.clone())
            .or_default()
            .push(body.clone());
        state.fault(&path)
    };
    match fault {
        None => {}
        Some(Fault::Hang) => return std::future::pending().await,
        Some(Fault::Answer { status, body, .. }) => {
            return Ok(reply(status, &[(CONTENT_TYPE, JSON)], body));
        }
    }
    let query = head.uri.query().unwrap_or_default();
    let query: HashMap<String, String> = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect();
    let address = head.uri.path_and_query().map_or("/", |all| all.as_str());
    let now = simulation.now();
    let mut state = simulation.state();
    Ok(match path.as_str() {
        pages::SCAN_PATH => page(pages::scan(&mut state, address, &query, now)),
        pages::WORKBENCH_PATH => page(pages::workbench(&mut state, &query, now)),
        path => {
            let token = query.get("accessToken").map_or("", String::as_str);
            match api::answer(&mut state, path, token, &body, now) {
                Some(answer) => reply(200, &[(CONTENT_TYPE, JSON)], answer.to_string().into()),
                None => reply(404, &[(CONTENT_TYPE, HTML)], "404".into()),
            }
        }
    })
}

fn page(response: PageResponse) -> Reply {
    match response {
        PageResponse::Page(page) => reply(200, &[(CONTENT_TYPE, HTML)], page.into()),
        PageResponse::Redirect(address) => reply(302, &[(LOCATION, &address)], Bytes::new()),
    }
}

/// Builds a response; an invalid header value makes it a 500.
fn reply(status: u16, headers: &[(HeaderName, &str)], body: Bytes) -> Reply {
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
