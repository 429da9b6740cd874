//! `AdminClient`: asks the admin API of the running server that the configuration describes.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use menshen::config::Config;
use menshen::door::Address;
use menshen::secret::{Secret, SecretError};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a request may take. An import of 20,000 people may take a minute.
const ANSWER_WITHIN: Duration = Duration::from_secs(150);

/// A client with the token of `[admin]`.
pub(super) struct AdminClient {
    address: Address,
    token: Secret<String>,
}

/// The status and the JSON of an answer.
#[derive(Debug)]
pub(super) struct ApiAnswer {
    pub(super) status: u16,
    pub(super) body: Value,
}

/// Why the admin API did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("the configuration has no [admin]: the commands about people use its API")]
    NoAdmin,
    #[error("[admin] has no token: without one there is no API")]
    NoToken,
    #[error("read the token of [admin]")]
    Token(#[source] SecretError),
    #[error("{0} is not an address that can be connected to")]
    Address(String),
    #[error("connect to the admin API at {at}: is menshen running?")]
    Connect {
        at: String,
        #[source]
        source: std::io::Error,
    },
    #[error("exchange with the admin API")]
    Exchange(#[source] hyper::Error),
    #[error("the admin API did not answer in time")]
    Late,
    #[error("the admin API answered something else than JSON")]
    Malformed,
}

impl fmt::Debug for AdminClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminClient").finish_non_exhaustive()
    }
}

impl AdminClient {
    /// For the server of this configuration.
    pub(super) fn new(config: &Config) -> Result<Self, ClientError> {
        let admin = config.admin.as_ref().ok_or(ClientError::NoAdmin)?;
        let token = admin.token.as_ref().ok_or(ClientError::NoToken)?;
        let address = admin.listen.parse();
        Ok(Self {
            address: address.map_err(|_| ClientError::Address(admin.listen.clone()))?,
            token: token.read().map_err(ClientError::Token)?,
        })
    }

    pub(super) async fn get(&self, path: &str) -> Result<ApiAnswer, ClientError> {
        self.send(Method::GET, path, Vec::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<ApiAnswer, ClientError> {
        self.send(Method::POST, path, body.to_string().into_bytes())
            .await
    }

    pub(super) async fn send_file(
        &self,
        path: &str,
        bytes: Vec<u8>,
    ) -> Result<ApiAnswer, ClientError> {
        self.send(Method::POST, path, bytes).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<ApiAnswer, ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(AUTHORIZATION, format!("Bearer {}", self.token.expose()))
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| ClientError::Malformed)?;
        let exchange = async {
            let failed = |source| ClientError::Connect {
                at: self.address.to_string(),
                source,
            };
            match &self.address {
                Address::Ip(at) => {
                    let mut at = *at;
                    if at.ip().is_unspecified() {
                        at.set_ip(match at.is_ipv4() {
                            true => std::net::Ipv4Addr::LOCALHOST.into(),
                            false => std::net::Ipv6Addr::LOCALHOST.into(),
                        });
                    }
                    let stream = TcpStream::connect(at).await.map_err(failed)?;
                    exchange(stream, request).await
                }
                Address::Unix(path) => {
                    let stream = UnixStream::connect(path).await.map_err(failed)?;
                    exchange(stream, request).await
                }
                Address::Systemd(_) => Err(ClientError::Address(self.address.to_string())),
            }
        };
        let answered = tokio::time::timeout(ANSWER_WITHIN, exchange).await;
        answered.map_err(|_| ClientError::Late)?
    }
}

/// Sends one request over one connection.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<ApiAnswer, ClientError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(ClientError::Exchange)?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    let answer = answer.map_err(ClientError::Exchange)?;
    let status = answer.status().as_u16();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
    let body = body.await.map_err(|_| ClientError::Malformed)?.to_bytes();
    connection.abort();
    let body = serde_json::from_slice(&body).map_err(|_| ClientError::Malformed)?;
    Ok(ApiAnswer { status, body })
}
