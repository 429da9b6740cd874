//! An instance of menshen with TLS, and clients for HTTP/1.1 and HTTP/2.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::raw_connection::RawConnection;
use crate::setup::{Menshen, Setup};
use crate::tls::{connect, write_certificate};
use crate::upstream::{TempFolder, UPSTREAM_HOST, public_route};

pub(super) type Http2Body = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// An instance of menshen at `https://up.test` and its certificate authority.
pub(super) struct TlsSetup {
    pub(super) menshen: Menshen,
    trusted: CertificateDer<'static>,
    _folder: Arc<TempFolder>,
}

/// A complete or truncated response over HTTP/2.
#[derive(Debug)]
pub(super) struct Http2Response {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
    /// Whether the stream ended without a reset.
    pub(super) is_complete: bool,
}

impl TlsSetup {
    /// Starts menshen in front of `url`, with further lines of the route.
    pub(super) async fn start(url: &str, more: &str) -> Self {
        let folder = TempFolder::new();
        let trusted = write_certificate(&folder, "a", &[UPSTREAM_HOST]);
        let (certificate, key) = (folder.path("a.pem"), folder.path("a.key"));
        let menshen = Setup::default()
            .external_url("https://up.test")
            .server(&format!(
                "tls = {{ certificate = {certificate:?}, key = {key:?} }}"
            ))
            .routes(&public_route(url, more))
            .access_log()
            .start()
            .await;
        Self {
            menshen,
            trusted,
            _folder: Arc::new(folder),
        }
    }

    /// Connects with this protocol in ALPN.
    pub(super) async fn connect(&self, alpn: &[u8]) -> TlsStream<TcpStream> {
        let stream = connect(self.menshen.address(), UPSTREAM_HOST, &self.trusted, alpn).await;
        stream.unwrap()
    }

    /// Connects over HTTP/1.1.
    pub(super) async fn connect_http_1(&self) -> RawConnection<TlsStream<TcpStream>> {
        RawConnection::over(self.connect(b"http/1.1").await)
    }

    /// Connects over HTTP/2.
    pub(super) async fn connect_http_2(&self) -> SendRequest<Http2Body> {
        let io = TokioIo::new(self.connect(b"h2").await);
        let (client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

/// Sends a GET request over HTTP/2 and reads the response.
pub(super) async fn get_over_http_2(
    client: &mut SendRequest<Http2Body>,
    target: &str,
) -> Http2Response {
    let request = Request::get(format!("https://{UPSTREAM_HOST}{target}"));
    send_over_http_2(
        client,
        request.body(Full::default().boxed_unsync()).unwrap(),
    )
    .await
}

/// Sends a request over HTTP/2 and reads the response.
pub(super) async fn send_over_http_2(
    client: &mut SendRequest<Http2Body>,
    request: Request<Http2Body>,
) -> Http2Response {
    let answer = client
        .send_request(request)
        .await
        .expect("a response head arrives");
    let (parts, mut body) = answer.into_parts();
    let mut response = Http2Response {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: Vec::new(),
        trailers: HeaderMap::new(),
        is_complete: true,
    };
    while let Some(frame) = body.frame().await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => response.body.extend_from_slice(&data),
            Ok(Err(frame)) => response.trailers = frame.into_trailers().unwrap(),
            Err(_) => {
                response.is_complete = false;
                break;
            }
        }
    }
    response
}
