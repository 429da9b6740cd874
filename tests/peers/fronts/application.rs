//! The application behind a proxy. It returns the received request as JSON on every path, sets a
//! cookie, and echoes over a WebSocket.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, SET_COOKIE, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A running application, stopped when dropped.
#[derive(Debug)]
pub(super) struct Application {
    pub(super) address: SocketAddr,
    requests: Arc<AtomicUsize>,
    _accepting: JoinSet<()>,
}

impl Application {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, Arc::clone(&requests)));
        Self {
            address,
            requests,
            _accepting: accepting,
        }
    }

    /// The number of requests received.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, requests: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let requests = Arc::clone(&requests);
        connections.spawn(async move {
            let serve = service_fn(|request| {
                requests.fetch_add(1, Ordering::SeqCst);
                serve(request)
            });
            // A proxy may close its connection early.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), serve)
                .with_upgrades()
                .await;
        });
    }
}

async fn serve(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.headers().contains_key(UPGRADE) {
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Ok(socket) = upgrade.await else { return };
            let (mut reader, mut writer) = tokio::io::split(TokioIo::new(socket));
            let mut piece = [0; 1024];
            while let Ok(n @ 1..) = reader.read(&mut piece).await {
                if writer.write_all(&piece[..n]).await.is_err() {
                    return;
                }
            }
        });
        let switching = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "websocket")
            .header("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        return Ok(switching.body(Full::default()).unwrap());
    }
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|whole| whole.to_bytes());
    let pairs = head.headers.iter();
    let pairs = pairs.map(|(name, value)| json!([name.as_str(), text(value.as_bytes())]));
    let said = json!({
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "headers": pairs.collect::<Vec<_>>(),
        "body": text(&body.unwrap_or_default()),
    });
    let answer = Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .header(SET_COOKIE, "own=1; Path=/");
    Ok(answer.body(Full::new(said.to_string().into())).unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
