//! `AdminClient`: asks the admin API of the running server that the configuration describes.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::TokioIo;
use menshen::config::Config;
use menshen::door::Address;
use menshen::face::admin::COMMAND_USER_AGENT;
use menshen::secret::{Secret, SecretError};
use menshen::text;
use menshen::wording::Text;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::answer_text::{field_text, localized_field};
use super::failure::{Failure, chain};

/// The longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How long a request may take. An import of 20,000 people may take a minute.
const ANSWER_WITHIN: Duration = Duration::from_secs(150);

/// Which token of `[admin]` a command uses.
#[derive(Debug, clap::Args)]
pub(super) struct TokenChoice {
    /// The name of the token of [admin] that is used, which the audit log shows as `by`. Absent: the
    /// first token that has the right.
    #[arg(long, global = true, value_name = "NAME")]
    token_name: Option<String>,
}

/// A client with a token of `[admin]`.
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
#[derive(Debug)]
pub(super) enum ClientError {
    /// The configuration has no `[admin]`.
    NoAdmin,
    /// No token has the right.
    NoToken,
    UnknownToken(String),
    Token(SecretError),
    /// Nobody can connect to the address.
    Address(String),
    Connect {
        at: String,
        source: std::io::Error,
    },
    Exchange(hyper::Error),
    Late,
    /// The answer is not JSON.
    Malformed,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.text(), f)
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Token(source) => Some(source),
            Self::Connect { source, .. } => Some(source),
            Self::Exchange(source) => Some(source),
            Self::NoAdmin
            | Self::NoToken
            | Self::UnknownToken(_)
            | Self::Address(_)
            | Self::Late
            | Self::Malformed => None,
        }
    }
}

impl ClientError {
    fn text(&self) -> Text {
        match self {
            Self::NoAdmin => text!(
                "the configuration has no [admin]: this command uses the API of its listener",
                "配置中没有 [admin]：这个命令要通过它的监听地址访问管理 API"
            ),
            Self::NoToken => text!(
                "[admin] has no token that may do this: without one there is no API",
                "[admin] 没有可以执行此操作的令牌：没有令牌就不能使用管理 API"
            ),
            Self::UnknownToken(name) => text!(
                "[admin] has no token named {name}",
                "[admin] 没有名为 {name} 的令牌"
            ),
            Self::Token(_) => text!("read the token of [admin]", "无法读取 [admin] 的令牌"),
            Self::Address(address) => text!(
                "{address} is not an address that can be connected to",
                "{address} 不是可以连接的地址"
            ),
            Self::Connect { at, .. } => text!(
                "connect to the admin API at {at}: is menshen running?",
                "无法连接管理 API（{at}）：menshen 是否在运行？"
            ),
            Self::Exchange(_) => text!("exchange with the admin API", "与管理 API 的通信中断"),
            Self::Late => text!(
                "the admin API did not answer in time",
                "管理 API 没有及时响应"
            ),
            Self::Malformed => text!(
                "the admin API answered something else than JSON",
                "管理 API 的响应不是 JSON"
            ),
        }
    }
}

impl fmt::Debug for AdminClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminClient").finish_non_exhaustive()
    }
}

impl AdminClient {
    /// For the server of this configuration. `to_change`: whether the command changes something.
    pub(super) fn new(
        config: &Config,
        choice: TokenChoice,
        to_change: bool,
    ) -> Result<Self, ClientError> {
        let admin = config.admin.as_ref().ok_or(ClientError::NoAdmin)?;
        let token = admin.find_token(choice.token_name.as_deref(), to_change);
        let token = token.ok_or_else(|| match choice.token_name {
            Some(name) => ClientError::UnknownToken(name),
            None => ClientError::NoToken,
        })?;
        let address = admin.listen.parse();
        Ok(Self {
            address: address.map_err(|_| ClientError::Address(admin.listen.clone()))?,
            token: token.read().map_err(ClientError::Token)?,
        })
    }

    pub(super) async fn get(&self, path: &str) -> Result<ApiAnswer, ClientError> {
        self.send(Method::GET, path, Vec::new()).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<ApiAnswer, ClientError> {
        self.send(Method::DELETE, path, Vec::new()).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<ApiAnswer, ClientError> {
        self.send(Method::POST, path, body.to_string().into_bytes())
            .await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Result<ApiAnswer, ClientError> {
        self.send(Method::PATCH, path, body.to_string().into_bytes())
            .await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<ApiAnswer, ClientError> {
        self.send(Method::PUT, path, body.to_string().into_bytes())
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
        let (status, body) = self.exchange(method, path, body).await?;
        let body = serde_json::from_slice(&body).map_err(|_| ClientError::Malformed)?;
        Ok(ApiAnswer { status, body })
    }

    /// The status and the body of the answer to a request.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<(u16, Bytes), ClientError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(AUTHORIZATION, format!("Bearer {}", self.token.expose()))
            .header(USER_AGENT, COMMAND_USER_AGENT)
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

impl ApiAnswer {
    /// What is wrong, with a line for each setting that the answer names.
    fn error_text(&self) -> Text {
        let fields = self.body["fields"].as_array().into_iter().flatten();
        let lines = fields.map(|problem| {
            let field = field_text(&problem["field"]);
            let field = match problem["connector"].as_str() {
                Some(id) => text!("connector {id}: {field}", "认证源 {id}：{field}"),
                None => Text::same(field),
            };
            let message = localized_field(problem, "message");
            let line = match problem["help"].is_null() {
                true => text!("\n  {field}: {message}", "\n  {field:#}：{message}"),
                false => {
                    let help = localized_field(problem, "help");
                    text!(
                        "\n  {field}: {message} ({help})",
                        "\n  {field:#}：{message}（{help}）"
                    )
                }
            };
            line.for_operator().to_owned()
        });
        let lines: String = lines.collect();
        match lines.is_empty() {
            true => Text::same(localized_field(&self.body, "error")),
            false => wrong_settings(&lines),
        }
    }

    /// The body of a success, or why there is none.
    pub(super) fn success(self) -> Result<Value, Failure> {
        let error = self.error_text();
        match self.status {
            200..=299 => Ok(self.body),
            401 => Err(Failure::Refused(text!(
                "{error}: the running server was started with other tokens; restart it",
                "{error:#}：运行中的服务启动时用的是别的令牌，请重启服务"
            ))),
            400..=499 => Err(Failure::Refused(error)),
            _ => Err(Failure::Unavailable(error)),
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let why = chain(&error);
        match error {
            ClientError::NoAdmin
            | ClientError::NoToken
            | ClientError::UnknownToken(_)
            | ClientError::Token(_) => Self::Refused(why),
            ClientError::Address(_)
            | ClientError::Connect { .. }
            | ClientError::Exchange(_)
            | ClientError::Late
            | ClientError::Malformed => Self::Unavailable(why),
        }
    }
}

/// What is wrong with settings, a line for each.
pub(super) fn wrong_settings(lines: &str) -> Text {
    text!("some settings are wrong:{lines}", "有的设置不正确：{lines}")
}

/// Sends one request over one connection.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(u16, Bytes), ClientError> {
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
    Ok((status, body))
}
