//! `Upstream`: a scripted application that records every byte it receives.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::raw_connection::{Message, RawConnection, TEST_TIMEOUT};
use crate::setup::{Menshen, Setup};

/// The host whose route leads to a test's upstream.
pub(crate) const UPSTREAM_HOST: &str = "up.test";

/// A running upstream. Dropping it closes its socket and every connection.
#[derive(Debug)]
pub(crate) struct Upstream {
    url: String,
    recorded: Arc<Mutex<Recorded>>,
    accepting: JoinHandle<()>,
}

/// What the upstream recorded.
#[derive(Debug, Default)]
struct Recorded {
    connections: usize,
    closed: usize,
    received: Vec<ReceivedRequest>,
}

#[derive(Clone, Debug)]
pub(crate) struct ReceivedRequest {
    /// The number of its connection, from 1.
    pub(crate) connection: usize,
    /// Its number on that connection, from 1.
    pub(crate) nth: usize,
    pub(crate) message: Message,
}

/// The upstream's reaction to a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Sends these bytes and reads the next request.
    KeepAlive(Vec<u8>),
    /// Sends these bytes and closes.
    Close(Vec<u8>),
    /// Sends these bytes and nothing more.
    HoldOpen(Vec<u8>),
}

impl Upstream {
    /// Starts an upstream that answers as `script` says.
    pub(crate) async fn start(
        script: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = bind_listener().await;
        let url = format!("http://{}", listener.local_addr().unwrap());
        let recorded = Arc::default();
        let (script, shared) = (Arc::new(script), Arc::clone(&recorded));
        let accepting = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (recorded, script) = (Arc::clone(&shared), Arc::clone(&script));
                open.spawn(async move {
                    serve(stream, Arc::clone(&recorded), script).await;
                    recorded.lock().unwrap().closed += 1;
                });
            }
        });
        Self {
            url,
            recorded,
            accepting,
        }
    }

    /// Like [`Self::start`], on a unix socket.
    pub(crate) fn start_unix(
        path: &Path,
        script: impl Fn(&ReceivedRequest) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let url = format!("unix:{}", path.display());
        let recorded = Arc::default();
        let (script, shared) = (Arc::new(script), Arc::clone(&recorded));
        let accepting = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Arc::clone(&shared), Arc::clone(&script)));
            }
        });
        Self {
            url,
            recorded,
            accepting,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn connections(&self) -> usize {
        self.recorded.lock().unwrap().connections
    }

    /// The number of open connections.
    pub(crate) fn open_connections(&self) -> usize {
        let recorded = self.recorded.lock().unwrap();
        recorded.connections - recorded.closed
    }

    /// All requests, oldest first.
    pub(crate) fn received(&self) -> Vec<ReceivedRequest> {
        self.recorded.lock().unwrap().received.clone()
    }

    pub(crate) fn last_request(&self) -> Message {
        let requests = self.received();
        requests.last().expect("a request arrived").message.clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    recorded: Arc<Mutex<Recorded>>,
    script: Arc<impl Fn(&ReceivedRequest) -> Reply>,
) {
    let number = {
        let mut recorded = recorded.lock().unwrap();
        recorded.connections += 1;
        recorded.connections
    };
    let mut connection = RawConnection::over(stream);
    let mut nth = 0;
    loop {
        // A pooled connection may be idle for any time.
        while connection.unparsed.is_empty() {
            let mut piece = vec![0; 64 * 1024];
            let read = tokio::io::AsyncReadExt::read(&mut connection.stream, &mut piece);
            let Ok(count @ 1..) = read.await else { return };
            connection.unparsed.extend_from_slice(&piece[..count]);
        }
        let Some(message) = connection.read_request().await else {
            return;
        };
        nth += 1;
        let request = ReceivedRequest {
            connection: number,
            nth,
            message,
        };
        recorded.lock().unwrap().received.push(request.clone());
        let reply = script(&request);
        let (Reply::KeepAlive(bytes) | Reply::Close(bytes) | Reply::HoldOpen(bytes)) = &reply;
        if connection.try_send(bytes).await.is_err() {
            return;
        }
        match reply {
            Reply::KeepAlive(_) => {}
            Reply::Close(_) => {
                let _ = connection.stream.shutdown().await;
                return;
            }
            Reply::HoldOpen(_) => std::future::pending().await,
        }
    }
}

/// A listener on a free loopback port, whose connections the test serves itself.
pub(crate) async fn bind_listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// A socket whose port refuses connections while it lives: it is bound and does not listen, so no other
/// test gets the port.
pub(crate) fn refusing_socket() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    socket
}

pub(crate) async fn accept(listener: &TcpListener) -> RawConnection<TcpStream> {
    let accepted = timeout(TEST_TIMEOUT, listener.accept()).await;
    RawConnection::over(accepted.expect("a connection arrives").unwrap().0)
}

/// A response with a `Content-Length`.
pub(crate) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    ok_with_headers("", body)
}

/// Like [`ok`], with further header lines, each with its line end.
pub(crate) fn ok_with_headers(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// A public route from [`UPSTREAM_HOST`] to `url`, with further lines.
pub(crate) fn public_route(url: &str, more: &str) -> String {
    format!(
        "[[route]]\nname = \"up\"\nhost = \"{UPSTREAM_HOST}\"\naccess = \"public\"\n\
         upstream = [\"{url}\"]\n{more}\n"
    )
}

/// An instance of menshen with only such a route.
pub(crate) async fn menshen_in_front_of(url: &str, more: &str) -> Menshen {
    Setup::default()
        .routes(&public_route(url, more))
        .start()
        .await
}

/// A request without a body.
pub(crate) fn get_request(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n{headers}\r\n")
}

/// A request with a `Content-Length`.
pub(crate) fn post_request(target: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {UPSTREAM_HOST}\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Waits until a condition holds; fails after a time-out.
pub(crate) async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    timeout(TEST_TIMEOUT, waiting)
        .await
        .unwrap_or_else(|_| panic!("never: {what}"));
}

/// A temporary folder, removed when dropped.
#[derive(Debug)]
pub(crate) struct TempFolder(PathBuf);

impl TempFolder {
    pub(crate) fn new() -> Self {
        let name = format!(
            "menshen-{:016x}",
            u64::from_ne_bytes(menshen::keys::random())
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes a file that only this user can read.
    pub(crate) fn write_secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.write(name, text);
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // A folder that cannot be removed stays in the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
