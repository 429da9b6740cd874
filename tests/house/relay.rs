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
    Unread,
    /// After the source has answered, without returning the response.
    Unanswered,
    /// After half of the response header.
    AmidHead,
    /// Before the last byte of the response body.
    AmidBody,
}

impl Cut {
    pub(crate) const ALL: [Self; 4] = [
        Self::Unread,
        Self::Unanswered,
        Self::AmidHead,
        Self::AmidBody,
    ];
}

/// The requests for which the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// The first request on a reused connection.
    Reused,
    /// The next request.
    Next,
    /// Every request.
    Always,
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
    wanted: Option<(String, Cut, When)>,
    cuts: usize,
    reused: Vec<String>,
}

impl Relay {
    /// A relay to this source.
    pub(crate) async fn to(source: SocketAddr) -> Self {
        let listener = upstream::listener().await;
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
    pub(crate) fn cut(&self, path: &str, how: Cut, when: When) {
        *self.state() = State {
            wanted: Some((path.to_owned(), how, when)),
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
    /// Whether and where to close the connection of this request.
    fn decide(&mut self, path: &str, reused: bool) -> Option<Cut> {
        if reused {
            self.reused.push(path.to_owned());
        }
        let (_, how, when) = self.wanted.clone().filter(|(wanted, ..)| wanted == path)?;
        if when == When::Reused && !reused {
            return None;
        }
        if when != When::Always {
            self.wanted = None;
        }
        self.cuts += 1;
        Some(how)
    }
}

async fn serve(stream: TcpStream, source: SocketAddr, state: Arc<Mutex<State>>) {
    let mut connection = RawConnection::over(stream);
    let mut reused = false;
    while let Some(path) = peek_path(&connection.stream).await {
        let cut = state.lock().unwrap().decide(&path, reused);
        reused = true;
        if cut == Some(Cut::Unread) {
            return;
        }
        let Some(request) = connection.request().await else {
            return;
        };
        let Some(answer) = wire::try_raw(source, &forwarded(&request)).await else {
            return;
        };
        let mut bytes = format!("HTTP/1.1 {} X\r\n", answer.status);
        let own = ["content-length", "transfer-encoding", "connection"];
        for (name, value) in &answer.headers {
            if !own.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                bytes.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        bytes.push_str(&format!("content-length: {}\r\n\r\n", answer.body.len()));
        let head = bytes.len();
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(&answer.body);
        let sent = match cut {
            None => bytes.len(),
            Some(Cut::Unread | Cut::Unanswered) => 0,
            Some(Cut::AmidHead) => head / 2,
            Some(Cut::AmidBody) => bytes.len() - 1,
        };
        let written = connection.stream.write_all(&bytes[..sent]).await;
        if cut.is_some() || written.is_err() {
            return;
        }
    }
}

/// Peeks at the path of the next request; nothing if the connection ends before its header is
/// complete.
async fn peek_path(stream: &TcpStream) -> Option<String> {
    let mut bytes = vec![0; 64 * 1024];
    let mut known = 0;
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
        if n == known {
            // `peek` returns at once with the same bytes: yield until more arrive.
            tokio::task::yield_now().await;
        }
        known = n;
    }
}

/// The request target in origin form, also for a request to a proxy.
fn origin_form(target: &str) -> &str {
    let rest = target.strip_prefix("http://");
    let path = rest.and_then(|rest| rest.find('/').map(|at| &rest[at..]));
    path.unwrap_or(target)
}

fn forwarded(request: &Message) -> Vec<u8> {
    let mut words = request.first.splitn(3, ' ');
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
