//! `Relay`: a TCP relay between menshen and a source, as the proxy of menshen or in place of the source.
//! It closes connections at the point that a test selects.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

use crate::raw_connection::{Message, RawConnection};
use crate::upstream;
use crate::wire;

/// The point at which a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// After the request has arrived, without forwarding it.
    BeforeForwarding,
    /// After the source has answered, without returning the response.
    BeforeResponse,
    /// After half of the response header.
    InResponseHead,
    /// Before the last byte of the response body.
    InResponseBody,
}

impl Cut {
    pub(crate) const ALL: [Self; 4] = [
        Self::BeforeForwarding,
        Self::BeforeResponse,
        Self::InResponseHead,
        Self::InResponseBody,
    ];
}

/// The requests for which the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CutOn {
    /// The first request on a reused connection.
    ReusedConnection,
    /// The next request.
    NextRequest,
    /// Every request.
    EveryRequest,
}

/// A running relay. Dropping it closes its socket and every connection.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    configured: Option<(String, Cut, CutOn)>,
    cuts: usize,
    reused: Vec<String>,
}

impl Relay {
    /// A relay to this source.
    pub(crate) async fn to(source: SocketAddr) -> Self {
        let listener = upstream::bind_listener().await;
        let address = listener.local_addr().unwrap();
        let state = Arc::default();
        let shared = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, source, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            state,
            accepting,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The line of a connector's table that makes the relay its proxy.
    pub(crate) fn as_proxy(&self) -> String {
        format!("proxy = \"{}\"\n", self.url())
    }

    /// Closes connections of requests for this path from now on, and resets the counters.
    pub(crate) fn cut(&self, path: &str, cut: Cut, when: CutOn) {
        *self.state() = State {
            configured: Some((path.to_owned(), cut, when)),
            ..State::default()
        };
    }

    /// The number of closed connections.
    pub(crate) fn cuts(&self) -> usize {
        self.state().cuts
    }

    /// The paths of requests on reused connections.
    pub(crate) fn reused(&self) -> Vec<String> {
        self.state().reused.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl State {
    /// The point at which to close the connection of this request; `None` to keep it open.
    fn decide(&mut self, path: &str, reused: bool) -> Option<Cut> {
        if reused {
            self.reused.push(path.to_owned());
        }
        let (_, cut, when) = self
            .configured
            .clone()
            .filter(|(configured, ..)| configured == path)?;
        if when == CutOn::ReusedConnection && !reused {
            return None;
        }
        if when != CutOn::EveryRequest {
            self.configured = None;
        }
        self.cuts += 1;
        Some(cut)
    }
}

async fn serve(stream: TcpStream, source: SocketAddr, state: Arc<Mutex<State>>) {
    let mut connection = RawConnection::over(stream);
    let mut reused = false;
    while let Some(path) = peek_path(&connection.stream).await {
        let cut = state.lock().unwrap().decide(&path, reused);
        reused = true;
        if cut == Some(Cut::BeforeForwarding) {
            return;
        }
        let Some(request) = connection.read_request().await else {
            return;
        };
        let Some(answer) = wire::try_send(source, &forwarded(&request)).await else {
            return;
        };
        let mut bytes = format!("HTTP/1.1 {} X\r\n", answer.status);
        let framing = ["content-length", "transfer-encoding", "connection"];
        for (name, value) in &answer.headers {
            if !framing.iter().any(|one| name.eq_ignore_ascii_case(one)) {
                bytes.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        bytes.push_str(&format!("content-length: {}\r\n\r\n", answer.body.len()));
        let head = bytes.len();
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(&answer.body);
        let sent = match cut {
            None => bytes.len(),
            Some(Cut::BeforeForwarding | Cut::BeforeResponse) => 0,
            Some(Cut::InResponseHead) => head / 2,
            Some(Cut::InResponseBody) => bytes.len() - 1,
        };
        let written = connection.stream.write_all(&bytes[..sent]).await;
        if cut.is_some() || written.is_err() {
            return;
        }
    }
}

/// The path of the next request, without reading it; `None` if the connection ends before its header
/// is complete.
async fn peek_path(stream: &TcpStream) -> Option<String> {
    let mut bytes = vec![0; 64 * 1024];
    let mut peeked = 0;
    loop {
        let n = stream.peek(&mut bytes).await.ok()?;
        if n == 0 || n == bytes.len() {
            return None;
        }
        let head = String::from_utf8_lossy(&bytes[..n]).into_owned();
        if head.contains("\r\n\r\n") {
            let (_, rest) = head.split_once(' ')?;
            let (target, _) = rest.split_once(' ')?;
            let target = origin_form(target);
            return target.split('?').next().map(str::to_owned);
        }
        if n == peeked {
            // `peek` returns at once with the same bytes: yield until more arrive.
            tokio::task::yield_now().await;
        }
        peeked = n;
    }
}

/// The request target in origin form, also for a request to a proxy.
fn origin_form(target: &str) -> &str {
    let rest = target.strip_prefix("http://");
    let path = rest.and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    path.unwrap_or(target)
}

fn forwarded(request: &Message) -> Vec<u8> {
    let mut words = request.start_line.splitn(3, ' ');
    let method = words.next().unwrap_or_default();
    let target = origin_form(words.next().unwrap_or_default());
    let mut head = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\n");
    for (name, value) in &request.headers {
        if !name.eq_ignore_ascii_case("connection") {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let mut bytes = format!("{head}\r\n").into_bytes();
    bytes.extend_from_slice(&request.body);
    bytes
}
