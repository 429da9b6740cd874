//! A TLS client that sends exactly the given bytes and follows no redirects.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Request, Uri};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::HOST;
use crate::processes::PATIENCE;

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: &'a str,
    /// Path and query as they are sent.
    pub(super) target: &'a str,
    /// Headers in this order; names may repeat.
    pub(super) headers: Vec<(&'a str, &'a str)>,
    pub(super) body: &'static str,
    /// The client's loopback address.
    pub(super) from: Ipv4Addr,
}

/// A response.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

/// The address and certificate of a proxy.
#[derive(Clone)]
pub(super) struct Client {
    port: u16,
    tls: TlsConnector,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl<'a> Ask<'a> {
    pub(super) fn get(target: &'a str) -> Self {
        Self {
            method: "GET",
            target,
            headers: Vec::new(),
            body: "",
            from: Ipv4Addr::LOCALHOST,
        }
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Adds the headers of a browser's navigation.
    pub(super) fn navigating(self) -> Self {
        self.with("accept", "text/html,*/*;q=0.8")
            .with("sec-fetch-mode", "navigate")
            .with("sec-fetch-dest", "document")
            .with("sec-fetch-site", "none")
    }
}

impl Answer {
    /// The only value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().unwrap());
        assert!(values.next().is_none(), "{name} twice: {self:?}");
        value
    }

    /// The request that the application received; `None` if it did not respond.
    pub(super) fn of_application(&self) -> Option<Value> {
        let said: Value = serde_json::from_str(&self.body).ok()?;
        said.get("target").is_some().then_some(said)
    }

    /// The request that the application received.
    pub(super) fn said(&self) -> Value {
        self.of_application()
            .unwrap_or_else(|| panic!("not the application: {self:?}"))
    }

    /// Every value of a header that the application received.
    pub(super) fn told(&self, name: &str) -> Vec<String> {
        let said = self.said();
        let pairs = said["headers"].as_array().unwrap().iter();
        pairs
            .filter(|pair| pair[0] == name)
            .map(|pair| pair[1].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Client {
    /// A client of the proxy on this port with this certificate.
    pub(super) fn new(port: u16, certificate: CertificateDer<'static>) -> Self {
        menshen::keys::install_crypto();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = config.with_no_client_auth();
        Self {
            port,
            tls: TlsConnector::from(Arc::new(config)),
        }
    }

    /// Whether the proxy accepts TLS connections and sends checks to menshen.
    pub(super) async fn is_served(&self) -> bool {
        let shown = self.connect(Ipv4Addr::LOCALHOST).await.is_ok();
        shown && self.send(&Ask::get("/data")).await.status == 401
    }

    /// Sends a request and reads the whole response.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Answer {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(ask)).await;
        answer.unwrap_or_else(|_| panic!("no answer in time: {ask:?}"))
    }

    async fn exchange(&self, ask: &Ask<'_>) -> Answer {
        let answer = self.begin(ask).await;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    /// Opens a WebSocket and returns the echo of `门神`, or the status of a refusal.
    pub(super) async fn echo(&self, ask: Ask<'_>) -> Result<String, u16> {
        let ask = ask
            .with("connection", "Upgrade")
            .with("upgrade", "websocket")
            .with("sec-websocket-version", "13")
            .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        let exchange = async {
            let answer = self.begin(&ask).await;
            if answer.status() != 101 {
                return Err(answer.status().as_u16());
            }
            let mut socket = TokioIo::new(hyper::upgrade::on(answer).await.unwrap());
            socket.write_all("门神".as_bytes()).await.unwrap();
            let mut back = vec![0; "门神".len()];
            socket.read_exact(&mut back).await.unwrap();
            Ok(String::from_utf8(back).unwrap())
        };
        let answer = tokio::time::timeout(PATIENCE, exchange).await;
        answer.unwrap_or_else(|_| panic!("no answer in time: {ask:?}"))
    }

    async fn begin(&self, ask: &Ask<'_>) -> hyper::Response<hyper::body::Incoming> {
        let stream = TokioIo::new(self.connect(ask.from).await.unwrap());
        let connecting = http1::Builder::new()
            .title_case_headers(true)
            .handshake(stream);
        let (mut sender, connection) = connecting.await.unwrap();
        tokio::spawn(connection.with_upgrades());
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.target.parse::<Uri>().unwrap());
        if ask.headers.iter().all(|(name, _)| *name != "host") {
            request = request.header("host", format!("{HOST}:{}", self.port));
        }
        for (name, value) in &ask.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from_static(ask.body.as_bytes())));
        let answer = sender.send_request(request.unwrap()).await;
        answer.unwrap_or_else(|error| panic!("{error}: {ask:?}"))
    }

    async fn connect(&self, from: Ipv4Addr) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let front = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.port);
        let stream = socket.connect(front).await?;
        let name = ServerName::try_from(HOST).unwrap();
        self.tls.connect(name, stream).await
    }
}
