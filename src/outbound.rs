//! `Outbound`: the HTTP client for sources, with time-outs, size limits, and its own proxy and CA.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Proxy, RequestBuilder, StatusCode};
use rustls::ClientConfig;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::resolver::Resolver;
use crate::secret::Secret;

mod call;
mod dns;
mod error;
mod exchange;
mod json_request;
mod probe;
mod proxy;
mod reach;
mod tls;
mod tls_message;

pub use call::{OutboundCall, Repeatable, call_text};
pub use error::{OutboundError, io_reason};
pub use json_request::{AcceptedStatus, JsonRequest, RequestBody, RequestToken};
pub use probe::PROBE_TIMEOUT;
pub use proxy::{InvalidProxyUrl, ProxyUrl};
pub use reach::{AddressRefused, Reach};
pub use tls::{OutboundBuildError, ca_pem_certificates, check_ca_pem};

/// The time-out for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time-out for a call, from its start to the last byte of the response.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// The most idle connections for each origin.
const IDLE_CONNECTIONS_MAX: usize = 32;

/// The default limit of [`Outbound::with_response_limit`], in bytes.
pub const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// How a connector reaches its source: keys of `[connector.ID]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The HTTP proxy for calls to the source, `http://user:password@host:port` or `https://…`. Absent: a
    /// direct connection; environment variables such as `HTTP_PROXY` are ignored.
    pub proxy: Option<ProxyUrl>,
    /// A PEM file with certificate authorities that are trusted in addition to those of the system.
    pub ca: Option<PathBuf>,
    /// The same authorities as PEM.
    pub ca_pem: Option<String>,
    /// The addresses that are contacted.
    #[serde(skip)]
    pub reach: Reach,
}

/// How a form authenticates the client.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// Not by a header.
    None,
    /// HTTP Basic (RFC 7617). RFC 6749 §2.3.1 requires the caller to encode both first.
    Basic { user: &'a str, password: &'a str },
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(…)",
        })
    }
}

/// The response to a call that may be refused with another status than 200 and JSON. May contain tokens:
/// `Debug` omits the body.
#[derive(Clone, PartialEq)]
pub struct JsonResponse {
    /// The HTTP status.
    pub status: u16,
    pub body: Value,
}

impl fmt::Debug for JsonResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The HTTP client for a source. Clones share connections; `Debug` shows no credentials.
///
/// It follows no redirects and reads no environment variables. [`Repeatable`] describes its retries.
#[derive(Clone)]
pub struct Outbound {
    /// Keeps connections for later calls.
    pooled: Client,
    /// Opens a connection for each call.
    unpooled: Client,
    /// Opens a connection for each call, with a shorter time-out for it; for [`Outbound::for_probes`].
    probing: Client,
    /// The same authorities, for other protocols than HTTP.
    tls: Arc<ClientConfig>,
    proxy: Option<ProxyUrl>,
    reach: Reach,
    response_bytes_max: usize,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// Builds the client and reads the certificate authorities; opens no connection.
    pub fn build(config: &Config) -> Result<Self, OutboundBuildError> {
        let tls = tls::client_config(config.ca.as_deref(), config.ca_pem.as_deref())?;
        let resolver = Arc::new(dns::DnsResolver {
            resolver: Resolver::system(),
            reach: config.reach,
        });
        let client = |connect_timeout, idle_max| {
            let builder = Client::builder()
                .pool_max_idle_per_host(idle_max)
                .user_agent("menshen")
                .redirect(Policy::none())
                .connect_timeout(connect_timeout)
                .timeout(CALL_TIMEOUT)
                .no_proxy()
                .dns_resolver(Arc::clone(&resolver))
                .tls_backend_preconfigured(tls.clone());
            let builder = match &config.proxy {
                None => builder,
                Some(proxy) => builder.proxy(Proxy::all(proxy.expose().clone())?),
            };
            builder.build()
        };
        let build = |connect_timeout, idle_max| {
            let client = client(connect_timeout, idle_max);
            client.map_err(|error| OutboundBuildError::Client(error.without_url()))
        };
        Ok(Self {
            pooled: build(CONNECT_TIMEOUT, IDLE_CONNECTIONS_MAX)?,
            unpooled: build(CONNECT_TIMEOUT, 0)?,
            probing: build(probe::CONNECT_TIMEOUT, 0)?,
            tls: Arc::new(tls::without_alpn(tls)),
            proxy: config.proxy.clone(),
            reach: config.reach,
            response_bytes_max: RESPONSE_BYTES_MAX,
        })
    }

    /// TLS with the same authorities, for a protocol other than HTTP.
    pub fn tls(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.tls)
    }

    /// The addresses that are contacted.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Refuses a call to an address that may not be contacted, or through a proxy at one.
    fn check_reach(&self, url: &Url, call: OutboundCall) -> Result<(), OutboundError> {
        let proxy = self.proxy.iter().map(ProxyUrl::expose);
        let mut urls = proxy.chain([url]);
        let refused = urls.find_map(|url| self.reach.check_url(url).err());
        match refused {
            Some(source) => Err(OutboundError::Refused {
                call: call.name(),
                source,
            }),
            None => Ok(()),
        }
    }

    /// The same client with another limit for the length of responses, in bytes.
    pub fn with_response_limit(&self, response_bytes_max: usize) -> Self {
        Self {
            response_bytes_max,
            ..self.clone()
        }
    }

    /// Sends a GET request; `query` is appended to the query of the URL.
    pub async fn get_json(
        &self,
        url: &Url,
        query: &[(&str, &str)],
        call: OutboundCall,
    ) -> Result<Value, OutboundError> {
        self.send(self.pooled.get(with_query(url, query)), call)
            .await
    }

    /// Sends a GET request for a document that is not JSON; `query` is appended to the query of the URL.
    pub async fn get_bytes(
        &self,
        url: &Url,
        query: &[(&str, &str)],
        call: OutboundCall,
    ) -> Result<Vec<u8>, OutboundError> {
        let request = self.pooled.get(with_query(url, query));
        let only_ok = |status| status == StatusCode::OK;
        let response = self.exchange_bytes(request, call, only_ok).await?;
        Ok(response.body)
    }

    /// Sends a POST request with a JSON body; `query` is appended to the query of the URL.
    pub async fn post_json(
        &self,
        url: &Url,
        query: &[(&str, &str)],
        body: &Value,
        call: OutboundCall,
    ) -> Result<Value, OutboundError> {
        self.send(self.pooled.post(with_query(url, query)).json(body), call)
            .await
    }

    /// Sends a GET request with an access token.
    pub async fn get_json_as(
        &self,
        url: &Url,
        token: &Secret<String>,
        call: OutboundCall,
    ) -> Result<Value, OutboundError> {
        let request = self.pooled.get(url.clone());
        self.send(request.bearer_auth(token.expose()), call).await
    }

    /// Posts a form. OAuth servers refuse with a 4xx status and JSON, so such a response is not an error
    /// of this function.
    pub async fn post_form(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        credentials: Credentials<'_>,
        call: OutboundCall,
    ) -> Result<JsonResponse, OutboundError> {
        let request = self.pooled.post(url.clone()).form(form);
        let request = match credentials {
            Credentials::None => request,
            Credentials::Basic { user, password } => request.basic_auth(user, Some(password)),
        };
        let (status, body) = self.exchange(request, call, may_have_json_body).await?;
        Ok(JsonResponse { status, body })
    }

    async fn send(
        &self,
        request: RequestBuilder,
        call: OutboundCall,
    ) -> Result<Value, OutboundError> {
        let only_ok = |status| status == StatusCode::OK;
        let (_, body) = self.exchange(request, call, only_ok).await?;
        Ok(body)
    }
}

/// Whether a response may be a success or an error of RFC 6749 §5.2; providers use any 4xx for that.
fn may_have_json_body(status: StatusCode) -> bool {
    status.is_success() || status.is_client_error()
}

fn with_query(url: &Url, query: &[(&str, &str)]) -> Url {
    let mut url = url.clone();
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    /// `Display` and `Debug` of an error and its causes.
    fn whole_text(error: &dyn Error) -> String {
        let mut text = format!("{error} {error:?}");
        let mut cause = error.source();
        while let Some(found) = cause {
            text.push_str(&format!(" {found} {found:?}"));
            cause = found.source();
        }
        text
    }

    #[test]
    fn a_proxy_is_http_and_its_password_never_prints() {
        let proxy = ProxyUrl::try_from("http://ops:hunter2@10.0.0.1:3128".to_owned()).unwrap();
        let config = Config {
            proxy: Some(proxy),
            ca: None,
            ca_pem: None,
            reach: Reach::Everywhere,
        };
        let outbound = Outbound::build(&config).unwrap();
        for shown in [format!("{config:?}"), format!("{outbound:?}")] {
            assert!(
                shown.contains("10.0.0.1:3128") && !shown.contains("hunter2"),
                "{shown}"
            );
        }
        for invalid in ["socks5://10.0.0.1:1080", "10.0.0.1:3128", "", "http://"] {
            assert_eq!(
                ProxyUrl::try_from(invalid.to_owned()),
                Err(InvalidProxyUrl),
                "{invalid}"
            );
        }
    }

    #[test]
    fn an_invalid_file_of_authorities_is_refused() {
        let build = |ca: &str| {
            Outbound::build(&Config {
                proxy: None,
                ca: Some(ca.into()),
                ca_pem: None,
                reach: Reach::Everywhere,
            })
        };
        assert!(matches!(
            build("/nowhere/ca.pem"),
            Err(OutboundBuildError::Ca { .. })
        ));
        let no_certificate = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(matches!(
            build(no_certificate),
            Err(OutboundBuildError::NoCertificate { .. })
        ));
        assert!(Outbound::build(&Config::default()).is_ok());
    }

    #[tokio::test]
    async fn no_error_shows_the_url_of_the_call() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "http://{}/cgi-bin/gettoken?a=hunter1",
            closed.local_addr().unwrap()
        );
        drop(closed);
        let outbound = Outbound::build(&Config::default()).unwrap();
        let url = Url::parse(&url).unwrap();
        let error = outbound
            .get_json(
                &url,
                &[("secret", "hunter2")],
                OutboundCall::repeatable("gettoken"),
            )
            .await
            .unwrap_err();
        assert!(matches!(error, OutboundError::Connect { .. }), "{error:?}");
        let shown = whole_text(&error);
        assert!(
            !shown.contains("hunter") && !shown.contains("cgi-bin"),
            "{shown}"
        );
    }

    #[test]
    fn parameters_are_encoded_once() {
        let url = Url::parse("https://relay.corp.example/wecom?site=a").unwrap();
        let extended = with_query(&url, &[("code", "a b&c=d+e"), ("x", "中")]);
        assert_eq!(
            extended.query(),
            Some("site=a&code=a+b%26c%3Dd%2Be&x=%E4%B8%AD")
        );
        assert_eq!(with_query(&url, &[]), url);
    }
}
