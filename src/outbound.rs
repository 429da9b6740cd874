//! `Outbound`: the outbound to a provider: bounded in time and size, with its own proxy and CA.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, Proxy, RequestBuilder, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::resolver::Resolver;
use crate::secret::Secret;

mod call;
mod dns;
mod exchange;
mod probe;
mod proxy;
mod tls;

pub use call::{OutboundCall, Repeatable};
pub use probe::PROBE_TIMEOUT;
pub use proxy::{InvalidProxyUrl, ProxyUrl};
pub use tls::OutboundBuildError;

/// How long a provider may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call may take from its beginning to the last byte of its answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How many connections to one origin wait for their next call.
const IDLE_MAX: usize = 32;

/// The longest answer that is read unless [`Outbound::with_response_limit`] says otherwise, in bytes.
pub const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// How a connector reaches its source: keys of `[connector.ID]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The proxy for calls to the source, `http://user:password@host:port` or `https://…`. Without
    /// it calls go straight; the variables `HTTP_PROXY` and their kin are never read.
    pub proxy: Option<ProxyUrl>,
    /// A PEM file with certificate authorities to trust besides those of the system.
    pub ca: Option<PathBuf>,
}

/// Why a call gave no answer that can be read. Never holds an address, a query or a body.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// No connection came about, or not in time: name, network, proxy or TLS.
    #[error("connect for {call}")]
    Connect {
        /// Which call.
        call: &'static str,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// Somebody took the connection and took too long to answer.
    #[error("{call} was not answered in time")]
    Timeout {
        /// Which call.
        call: &'static str,
    },
    /// The connection broke, or spoke no HTTP.
    #[error("exchange {call}")]
    Exchange {
        /// Which call.
        call: &'static str,
        /// What went wrong.
        #[source]
        source: reqwest::Error,
    },
    /// The answer has another HTTP status than 200.
    #[error("{call} answered with HTTP status {status} and {content_type}")]
    Status {
        /// Which call.
        call: &'static str,
        /// The status.
        status: u16,
        /// What the answer claims to hold.
        content_type: String,
    },
    /// The answer is not JSON: a login page of the network, a gateway's error page.
    #[error("{call} answered with HTTP status 200 and something else than JSON ({content_type})")]
    NotJson {
        /// Which call.
        call: &'static str,
        /// What the answer claims to hold.
        content_type: String,
    },
    /// The answer is JSON, but not what this call answers.
    #[error("{call} answered with JSON that lacks {missing}")]
    Incomplete {
        /// Which call.
        call: &'static str,
        /// What is not there or of another type.
        missing: &'static str,
    },
    /// The answer is longer than is read.
    #[error("{call} answered with more than {bytes_max} bytes")]
    TooLarge {
        /// Which call.
        call: &'static str,
        /// The limit.
        bytes_max: usize,
    },
    /// There was no answer a moment ago, and nobody asks again yet.
    #[error("{call} was not answered a moment ago")]
    Pausing {
        /// Which call.
        call: &'static str,
    },
}

impl OutboundError {
    /// Whether somebody is there who did not answer in time.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout { .. })
    }

    /// Whether there was no answer of any kind.
    pub fn is_no_response(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Timeout { .. }
            | Self::Exchange { .. }
            | Self::Pausing { .. } => true,
            Self::Status { .. }
            | Self::NotJson { .. }
            | Self::Incomplete { .. }
            | Self::TooLarge { .. } => false,
        }
    }
}

/// How we prove ourselves to whom we ask by a form.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// Not in the head.
    None,
    /// RFC 7617; whoever follows RFC 6749 §2.3.1 encodes both first.
    Basic {
        /// The user.
        user: &'a str,
        /// Their password.
        password: &'a str,
    },
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(…)",
        })
    }
}

/// What a form was answered with. May hold tokens: never print it.
#[derive(Clone, PartialEq)]
pub struct FormResponse {
    /// The HTTP status, 2xx or 4xx.
    pub status: u16,
    /// The JSON.
    pub body: Value,
}

impl fmt::Debug for FormResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FormResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The outbound to a source. Clones share their connections; `Debug` shows no credentials.
///
/// Follows no redirect and reads no environment variable. What it repeats, and on which connection,
/// is written in [`Repeatable`].
#[derive(Clone)]
pub struct Outbound {
    /// Keeps its connections for the next call.
    kept: Client,
    /// Makes a connection for each call.
    fresh: Client,
    /// The same with less patience, for [`Outbound::for_probes`].
    probing: Client,
    proxy: Option<ProxyUrl>,
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
    /// Builds the outbound; reads the certificate authorities now and asks nobody.
    pub fn build(config: &Config) -> Result<Self, OutboundBuildError> {
        let tls = tls::client_config(config.ca.as_deref())?;
        let resolver = Arc::new(dns::DnsResolver(Resolver::system()));
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
        let built = |connect_timeout, idle_max| {
            let client = client(connect_timeout, idle_max);
            client.map_err(|error| OutboundBuildError::Client(error.without_url()))
        };
        Ok(Self {
            kept: built(CONNECT_TIMEOUT, IDLE_MAX)?,
            fresh: built(CONNECT_TIMEOUT, 0)?,
            probing: built(probe::CONNECT_TIMEOUT, 0)?,
            proxy: config.proxy.clone(),
            response_bytes_max: RESPONSE_BYTES_MAX,
        })
    }

    /// The same outbound, reading answers of up to so many bytes.
    pub fn with_response_limit(&self, response_bytes_max: usize) -> Self {
        Self {
            response_bytes_max,
            ..self.clone()
        }
    }

    /// Asks by GET with these parameters after those the address has.
    pub async fn get_json(
        &self,
        url: &Url,
        query: &[(&str, &str)],
        call: OutboundCall,
    ) -> Result<Value, OutboundError> {
        self.ask(self.kept.get(with_query(url, query)), call).await
    }

    /// Asks by POST with these parameters and a JSON body.
    pub async fn post_json(
        &self,
        url: &Url,
        query: &[(&str, &str)],
        body: &Value,
        call: OutboundCall,
    ) -> Result<Value, OutboundError> {
        self.ask(self.kept.post(with_query(url, query)).json(body), call)
            .await
    }

    /// Asks by GET as whoever an access token stands for.
    pub async fn get_json_as(
        &self,
        url: &Url,
        token: &Secret<String>,
        call: OutboundCall,
    ) -> Result<Value, OutboundError> {
        let request = self.kept.get(url.clone());
        self.ask(request.bearer_auth(token.expose()), call).await
    }

    /// Asks by POST of a form. Protocols of the OAuth family answer JSON with a status of their
    /// own when they refuse: that is an answer here, as long as it is JSON and no redirect.
    pub async fn post_form(
        &self,
        url: &Url,
        form: &[(&str, &str)],
        credentials: Credentials<'_>,
        call: OutboundCall,
    ) -> Result<FormResponse, OutboundError> {
        let request = self.kept.post(url.clone()).form(form);
        let request = match credentials {
            Credentials::None => request,
            Credentials::Basic { user, password } => request.basic_auth(user, Some(password)),
        };
        let (status, body) = self.exchange(request, call, may_carry_json).await?;
        Ok(FormResponse { status, body })
    }

    async fn ask(
        &self,
        request: RequestBuilder,
        call: OutboundCall,
    ) -> Result<Value, OutboundError> {
        let only_ok = |status| status == StatusCode::OK;
        let (_, body) = self.exchange(request, call, only_ok).await?;
        Ok(body)
    }
}

/// Success, or the refusals of RFC 6749 §5.2 and what providers answer instead of them.
fn may_carry_json(status: StatusCode) -> bool {
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

    fn chain(error: &dyn Error) -> String {
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
        };
        let outbound = Outbound::build(&config).unwrap();
        for shown in [format!("{config:?}"), format!("{outbound:?}")] {
            assert!(
                shown.contains("10.0.0.1:3128") && !shown.contains("hunter2"),
                "{shown}"
            );
        }
        for bad in ["socks5://10.0.0.1:1080", "10.0.0.1:3128", "", "http://"] {
            assert_eq!(
                ProxyUrl::try_from(bad.to_owned()),
                Err(InvalidProxyUrl),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_broken_file_of_authorities_is_refused() {
        let build = |ca: &str| {
            Outbound::build(&Config {
                proxy: None,
                ca: Some(ca.into()),
            })
        };
        assert!(matches!(
            build("/nowhere/ca.pem"),
            Err(OutboundBuildError::Ca { .. })
        ));
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert!(matches!(
            build(own),
            Err(OutboundBuildError::NoCertificate { .. })
        ));
        assert!(Outbound::build(&Config::default()).is_ok());
    }

    #[tokio::test]
    async fn no_error_shows_the_address_that_was_asked() {
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
        let shown = chain(&error);
        assert!(
            !shown.contains("hunter") && !shown.contains("cgi-bin"),
            "{shown}"
        );
    }

    #[test]
    fn parameters_are_encoded_once() {
        let url = Url::parse("https://relay.corp.example/wecom?site=a").unwrap();
        let asked = with_query(&url, &[("code", "a b&c=d+e"), ("x", "中")]);
        assert_eq!(
            asked.query(),
            Some("site=a&code=a+b%26c%3Dd%2Be&x=%E4%B8%AD")
        );
        assert_eq!(with_query(&url, &[]), url);
    }
}
