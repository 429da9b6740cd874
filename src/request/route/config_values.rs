//! The types of single values in `[[route]]`: hosts, paths and upstreams.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use crate::request::head::parse_host;
use crate::setting::text_schema;
use crate::text;
use crate::wording::{Text, error_of_text};

/// A number with more digits is no mistyped port.
const PORT_DIGITS_MAX: usize = 6;

/// The `Host` header that an upstream receives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum HostHeader {
    #[default]
    Client,
    Upstream,
    Literal(http::HeaderValue),
}

/// The hosts and port that a route matches.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum HostPattern {
    /// Every host.
    Any {
        /// Only on this port.
        port: Option<u16>,
    },
    /// One host.
    Exact {
        /// Lower case, without trailing dot.
        name: String,
        /// Only on this port.
        port: Option<u16>,
    },
    /// Every host below a domain.
    Wildcard {
        /// Such as `.corp.example`.
        suffix: String,
        /// Only on this port.
        port: Option<u16>,
    },
}

/// A path and all paths below it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPrefix(String);

/// An upstream server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum UpstreamUrl {
    /// `http://host:port` or `https://host:port`.
    Tcp {
        tls: bool,
        /// A name or address; an IPv6 address in brackets.
        host: String,
        port: u16,
    },
    /// `unix:/path/to/socket`, over plain HTTP.
    Unix(PathBuf),
}

/// Why a value of a route is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteConfigError {
    /// `host`.
    Host,
    /// `path`.
    Path,
    /// `public_paths`.
    PublicPath,
    /// `upstream`.
    Upstream,
    /// The port of `upstream` is greater than all ports.
    UpstreamPort { written: String },
    /// `upstream` would be valid with `http://` before it.
    UpstreamScheme { without_scheme: String },
    /// `host_header`.
    HostHeader,
}

impl RouteConfigError {
    fn text(&self) -> Text {
        match self {
            Self::Host => text!(
                "a host is a name, `*.name` or `*`, each optionally with `:port`; no scheme, no path",
                "host 应为主机名、`*.域名` 或 `*`，都可以带 `:端口`；不写协议和路径"
            ),
            Self::Path => text!(
                "a path starts with /, is ASCII without spaces, and holds no `%`, `;`, `\\`, `?`, `#`, `//` or \
         `:$`, and no segment that ends in a dot",
                "path 以 / 开头，为不含空格的 ASCII，不含 `%`、`;`、`\\`、`?`、`#`、`//` 和 `:$`，也没有以点结尾的段"
            ),
            Self::PublicPath => text!(
                "a public path is a whole path that starts with /, is ASCII without spaces, and holds no `%`, \
         `;`, `\\`, `?`, `#`, `//` or `:$`, and no segment that ends in a dot",
                "公开路径应为完整的路径，以 / 开头，为不含空格的 ASCII，不含 `%`、`;`、`\\`、`?`、`#`、`//` 和 `:$`，也没有以点结尾的段"
            ),
            Self::Upstream => text!(
                "an upstream is http://host[:port] or https://host[:port] without a path, or unix:/path",
                "上游应为 http://主机[:端口] 或 https://主机[:端口]，不带路径，或 unix:/路径"
            ),
            Self::UpstreamPort { written } => text!(
                "{written} is no port: at most {}",
                "{written} 不是端口：最大 {}",
                u16::MAX
            ),
            Self::UpstreamScheme { without_scheme } => text!(
                "an upstream begins with http:// or https://: did you mean http://{without_scheme}?",
                "上游以 http:// 或 https:// 开头：是不是想写 http://{without_scheme}？"
            ),
            Self::HostHeader => text!(
                "host_header is `client`, `upstream` or a host name",
                "host_header 应为 `client`、`upstream` 或主机名"
            ),
        }
    }
}

error_of_text!(RouteConfigError);

impl HostPattern {
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Any { port } | Self::Exact { port, .. } | Self::Wildcard { port, .. } => *port,
        }
    }

    /// Whether it matches the host and port of this URL.
    pub fn serves_url(&self, url: &url::Url) -> bool {
        let port = url.port_or_known_default();
        let has_port = self.port().is_none_or(|own| Some(own) == port);
        has_port && url.host_str().is_some_and(|host| self.includes(host))
    }
}

impl Default for HostPattern {
    fn default() -> Self {
        Self::Any { port: None }
    }
}

impl TryFrom<String> for HostPattern {
    type Error = RouteConfigError;

    fn try_from(text: String) -> Result<Self, RouteConfigError> {
        let (host, is_wildcard) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text.as_str(), false),
        };
        if let Some(port) = text.strip_prefix("*:") {
            let port = port.parse().map_err(|_| RouteConfigError::Host)?;
            return Ok(Self::Any { port: Some(port) });
        }
        if text == "*" {
            return Ok(Self::default());
        }
        let (host, port) = parse_host(host).map_err(|_| RouteConfigError::Host)?;
        let name = host.as_str().to_owned();
        Ok(match is_wildcard {
            true => Self::Wildcard {
                suffix: format!(".{name}"),
                port,
            },
            false => Self::Exact { name, port },
        })
    }
}

impl PathPrefix {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a path is this one or below it.
    pub fn includes(&self, path: &[u8], ignores_case: bool) -> bool {
        // Only `/` itself ends in a slash.
        let prefix = self.0.strip_suffix('/').unwrap_or(&self.0).as_bytes();
        let Some((start, rest)) = path.split_at_checked(prefix.len()) else {
            return false;
        };
        let has_prefix = if ignores_case {
            start.eq_ignore_ascii_case(prefix)
        } else {
            start == prefix
        };
        has_prefix && matches!(rest.first(), None | Some(b'/'))
    }
}

impl Default for PathPrefix {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl TryFrom<String> for PathPrefix {
    type Error = RouteConfigError;

    fn try_from(text: String) -> Result<Self, RouteConfigError> {
        if has_one_reading(&text) {
            let without_slash = text.strip_suffix('/').filter(|rest| !rest.is_empty());
            Ok(Self(without_slash.unwrap_or(&text).to_owned()))
        } else {
            Err(RouteConfigError::Path)
        }
    }
}

/// Whether all parsers read a configured path alike.
pub(super) fn has_one_reading(text: &str) -> bool {
    let is_plain = crate::request::path::Path::parse(text, None).is_ok_and(|path| path.is_plain());
    is_plain && !text.contains(['?', '#']) && text.is_ascii()
}

impl TryFrom<String> for UpstreamUrl {
    type Error = RouteConfigError;

    fn try_from(text: String) -> Result<Self, RouteConfigError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let upstream = path
                .starts_with('/')
                .then(|| Self::Unix(PathBuf::from(path)));
            return upstream.ok_or(RouteConfigError::Upstream);
        }
        Self::parse_tcp(&text).ok_or_else(|| upstream_mistake(&text))
    }
}

impl UpstreamUrl {
    fn parse_tcp(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let is_origin = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        match (is_origin, url.host_str(), url.port_or_known_default()) {
            (true, Some(host), Some(port)) => Some(Self::Tcp {
                tls,
                host: host.to_owned(),
                port,
            }),
            _ => None,
        }
    }
}

/// What is wrong with a text that is no upstream.
fn upstream_mistake(text: &str) -> RouteConfigError {
    let (has_scheme, authority) = match text.split_once("://") {
        Some((_, authority)) => (true, authority),
        None => (false, text),
    };
    let port = authority.trim_end_matches('/').rsplit_once(':');
    let port = port.map_or("", |(_, port)| port);
    let is_number = !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit());
    if is_number && port.len() <= PORT_DIGITS_MAX && port.parse::<u16>().is_err() {
        return RouteConfigError::UpstreamPort {
            written: port.to_owned(),
        };
    }
    if !has_scheme && UpstreamUrl::parse_tcp(&format!("http://{text}")).is_some() {
        return RouteConfigError::UpstreamScheme {
            without_scheme: text.to_owned(),
        };
    }
    RouteConfigError::Upstream
}

impl TryFrom<String> for HostHeader {
    type Error = RouteConfigError;

    fn try_from(text: String) -> Result<Self, RouteConfigError> {
        match text.as_str() {
            "client" => Ok(Self::Client),
            "upstream" => Ok(Self::Upstream),
            name => {
                parse_host(name).map_err(|_| RouteConfigError::HostHeader)?;
                let value = http::HeaderValue::from_str(name);
                value
                    .map(Self::Literal)
                    .map_err(|_| RouteConfigError::HostHeader)
            }
        }
    }
}

text_schema! {
    HostPattern: "a host, `*.domain`, or either with `:port`",
    PathPrefix: "a path prefix on a segment boundary",
    UpstreamUrl: "http://host[:port], https://host[:port] or unix:/path",
    HostHeader: "`client`, `upstream` or a host name",
}
