//! A legacy intranet application: it has no login of its own and trusts the identity headers it
//! receives.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the demo and the tests each use a part, and neither is a library"
)]

// Explicit paths, because the tests include this file from another folder.
#[path = "legacy_app/echo_socket.rs"]
mod echo_socket;
#[path = "legacy_app/page.rs"]
mod page;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, SET_COOKIE};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// The longest pause of `/slow` and `/stream`.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// The most pieces `/stream` sends.
const PIECES_MAX: u64 = 1000;

/// A typical service worker: it forwards navigations and activates immediately.
const SERVICE_WORKER: &str = "addEventListener('install', () => skipWaiting());
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => {
  if (event.request.mode === 'navigate') event.respondWith(fetch(event.request));
});
";

/// A running application; dropping it closes its socket and every connection.
///
/// All paths show the same page, except: `/echo` returns the request as JSON; `/slow?ms=` responds
/// after a pause (default 2000); `/stream?pieces=&ms=` sends lines (default 5) with a pause between
/// them (default 200); `/ws` echoes over a WebSocket; `/worker.js` is a service worker that fetches
/// every page itself; `/set-cookie` tries to overwrite the cookies of menshen and sets one of its
/// own.
pub struct LegacyApp {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    title: String,
    /// The name and URL of another application.
    link: Mutex<Option<(String, String)>>,
    requests: AtomicUsize,
    /// The tasks of open WebSockets; they end with the application.
    sockets: Mutex<JoinSet<()>>,
}

type Reply = Response<UnsyncBoxBody<Bytes, Infallible>>;

impl LegacyApp {
    /// Binds (port 0 selects a free port) and serves until dropped.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn start(address: SocketAddr, title: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            title: title.into(),
            link: Mutex::new(None),
            requests: AtomicUsize::new(0),
            sockets: Mutex::new(JoinSet::new()),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            accepting,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL without a trailing slash.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds a link to another application to every page.
    pub fn link_to(&self, name: &str, url: &str) {
        *self
            .shared
            .link
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((name.into(), url.into()));
    }

    /// The number of requests received.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for LegacyApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegacyApp")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for LegacyApp {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts connections until the task is aborted, which also ends the connections.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    let serve = service_fn(|request| serve(&shared, request));
                    // A client that disconnects early is not an error.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), serve)
                        .with_upgrades()
                        .await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(shared: &Shared, request: Request<Incoming>) -> Result<Reply, Infallible> {
    shared.requests.fetch_add(1, Ordering::SeqCst);
    Ok(match request.uri().path() {
        "/echo" => echo(request).await,
        "/slow" => {
            tokio::time::sleep(query_delay(&request, 2000)).await;
            text_reply(
                "text/plain; charset=utf-8",
                "终于好了 / done at last\n".to_owned(),
            )
        }
        "/stream" => stream_lines(&request),
        "/ws" => {
            let mut sockets = shared
                .sockets
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            echo_socket::upgrade(request, &mut sockets).map(|body| body.boxed_unsync())
        }
        "/worker.js" => text_reply("text/javascript; charset=utf-8", SERVICE_WORKER.to_owned()),
        "/set-cookie" => set_cookies(),
        _ => {
            let link = shared
                .link
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let target = request.uri().to_string();
            let pairs = header_pairs(request.headers());
            let page = page::render(&shared.title, link, request.method(), &target, &pairs);
            text_reply("text/html; charset=utf-8", page)
        }
    })
}

/// Returns the request as JSON. The body is only counted, so it may have any size.
async fn echo(request: Request<Incoming>) -> Reply {
    let (head, mut body) = request.into_parts();
    let (mut body_bytes, mut is_complete) = (0_u64, true);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => body_bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Err(_) => is_complete = false,
        }
    }
    let report = json!({
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "version": format!("{:?}", head.version),
        "headers": header_pairs(&head.headers),
        "body_bytes": body_bytes,
        "body_complete": is_complete,
    });
    text_reply("application/json", format!("{report:#}\n"))
}

fn stream_lines(request: &Request<Incoming>) -> Reply {
    let pause = query_delay(request, 200);
    let pieces = query_number(request, "pieces").unwrap_or(5).min(PIECES_MAX);
    let lines = stream::unfold(0, move |index| async move {
        if index == pieces {
            return None;
        }
        if index > 0 {
            tokio::time::sleep(pause).await;
        }
        let line = Bytes::from(format!("第 {0} 段 / piece {0} of {pieces}\n", index + 1));
        Some((Ok(Frame::data(line)), index + 1))
    });
    let mut reply = text_reply("text/plain; charset=utf-8", String::new());
    *reply.body_mut() = StreamBody::new(lines).boxed_unsync();
    reply
}

fn set_cookies() -> Reply {
    let mut reply = text_reply(
        "text/plain; charset=utf-8",
        "三个 Cookie / three cookies\n".to_owned(),
    );
    for cookie in [
        "menshen=from-the-application; Path=/",
        "__Host-menshen=from-the-application; Path=/; Secure",
        "legacy_session=ordinary; Path=/; HttpOnly",
    ] {
        reply
            .headers_mut()
            .append(SET_COOKIE, http::HeaderValue::from_static(cookie));
    }
    reply
}

fn text_reply(content_type: &'static str, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)).boxed_unsync());
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, http::HeaderValue::from_static(content_type));
    reply
        .headers_mut()
        .insert(CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
    reply
}

/// All headers as received; a repeated name is repeated.
fn header_pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), text(value)))
        .collect()
}

fn query_delay(request: &Request<Incoming>, default_ms: u64) -> Duration {
    Duration::from_millis(query_number(request, "ms").unwrap_or(default_ms)).min(WAIT_MAX)
}

fn query_number(request: &Request<Incoming>, name: &str) -> Option<u64> {
    let query = request.uri().query()?;
    let mut pairs = url::form_urlencoded::parse(query.as_bytes());
    pairs.find(|(key, _)| key == name)?.1.parse().ok()
}
