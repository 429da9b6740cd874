//! `[[route]]` in the configuration file: the type of each field validates its value.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::check_headers::CheckHeaders;
use super::demands::{self, LoginPrompt, ReloadUser};
use super::limits::LimitsConfig;
use super::public_path::PublicPath;
use super::upstream_tls::UpstreamTlsConfig;
use crate::request::bearer::{IssuerId, ScopeName};
use crate::request::head::parse_host;
use crate::secret::SecretSource;
use crate::setting::{Period, text_schema};
use crate::store::ConnectorId;

/// A route. The host is selected first (exact, then the longest wildcard, then any), then the
/// longest path within it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// For logs and pages; unique.
    pub name: String,
    /// `oa.corp.example`, `*.corp.example`, `oa.corp.example:8080` for one port only; absent: any.
    #[serde(default)]
    pub host: HostPattern,
    /// A prefix of whole path segments; the longest wins. A trailing slash makes no difference:
    /// `/archive/` also matches `/archive`.
    #[serde(default)]
    pub path: PathPrefix,
    /// The application's servers: `http://`, `https://` (verified with the system's certificate
    /// authorities, or as `upstream_tls` says) or `unix:/path`; several share the load. Absent:
    /// every allowed request gets a 404. A host name is resolved again after five seconds; while
    /// the name server does not answer, its last addresses are used for ten minutes.
    #[serde(default)]
    pub upstream: Vec<UpstreamUrl>,
    /// Whether clients share the connections to the upstream: `shared`, or `private` for an
    /// upstream that authenticates connections. Upstreams that announce `NTLM` or `Negotiate` are
    /// detected without it.
    #[serde(default)]
    pub upstream_connections: UpstreamConnections,
    /// `public`, `signed-in`, or `rule`: then `allow` also decides about anonymous requests.
    #[serde(default)]
    pub access: AccessConfig,
    /// A CEL rule over `user`, `request`, `session` and a program's `claims` that must be true. A
    /// rule that fails, for example because a field is missing, denies.
    #[serde(default)]
    pub allow: Option<String>,
    /// Paths that need no session, whatever `access` says: exactly these paths, such as a manifest,
    /// an icon or a health check that is requested without cookies.
    #[serde(default)]
    pub public_paths: Vec<PublicPath>,
    /// The connectors whose sessions are accepted and that are offered for a login; absent: all.
    #[serde(default)]
    pub connectors: Vec<ConnectorId>,
    /// Accepted authentication contexts of the source (`acr`), the preferred first: a person with
    /// another one must authenticate again. Absent: any.
    #[serde(default)]
    pub acr_values: Vec<String>,
    /// How long ago a person may have authenticated at the source; after that they must do so
    /// again. If the source does not report the time, the login counts. Absent: any time.
    #[serde(default)]
    pub max_age: Option<Period>,
    /// What the source shows at a login for this route, if its protocol supports it: `login`,
    /// `consent` or `select_account`. Persons who are signed in already do not see it.
    #[serde(default)]
    pub prompt: Option<LoginPrompt>,
    /// Whether the source must confirm, without a click, who is signed in when a page is loaded:
    /// `always` for top-level pages, `embedded` for pages in another site's frame. A different
    /// person replaces the session; if nobody is signed in at the source, the session ends. A
    /// source that does not support this is not asked.
    #[serde(default)]
    pub reload_user: ReloadUser,
    /// How old the last confirmation may be before `reload_user` asks again.
    #[serde(default = "demands::reload_after")]
    pub reload_after: Period,
    /// Whether the prefix is removed before forwarding; `X-Forwarded-Prefix` tells the upstream,
    /// and the addresses and cookie paths in its response headers are rewritten.
    #[serde(default)]
    pub strip_path: bool,
    /// The `Host` that the upstream receives: `client`, `upstream`, or this name.
    #[serde(default)]
    pub host_header: HostHeader,
    /// `pass` forwards CORS preflights without a session.
    #[serde(default)]
    pub preflight: Preflight,
    /// Whether the upstream compares paths case-insensitively, in any script. Absent: no, and
    /// `menshen check` asks where it matters. Rules also receive the path in lower case: write
    /// paths in rules in lower case.
    #[serde(default)]
    pub case_insensitive: Option<bool>,
    /// Whether the URL fragment (after `#`) is kept during a login, by a small page with a script.
    #[serde(default)]
    pub keep_fragment: bool,
    /// Whether the case of header names is preserved in both directions, over HTTP/1.1; otherwise
    /// they are in lower case. For old programs that accept one case only: each request costs more.
    #[serde(default)]
    pub keep_header_case: bool,
    /// How non-ASCII text is encoded in headers: `percent`, `utf-8`, `base64`, `rfc8187`.
    #[serde(default)]
    pub header_encoding: HeaderEncoding,
    /// Custom headers: name = CEL over `user`, `request`, `session`, `claims`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Client headers that are forwarded although menshen removes them by default, by name.
    #[serde(default)]
    pub pass_headers: Vec<String>,
    /// Basic credentials for an application that supports nothing else.
    #[serde(default)]
    pub basic_auth: Option<BasicAuthConfig>,
    /// Whether the upstream gets the provider's access token, in `X-Forwarded-Access-Token`. An
    /// expired token that cannot be refreshed is left out.
    #[serde(default)]
    pub pass_access_token: bool,
    /// Whether the upstream gets the provider's ID token, as `Authorization: Bearer`, instead of
    /// the client's own `Authorization`. An expired token is left out.
    #[serde(default)]
    pub pass_id_token: bool,
    /// Which headers the check endpoints return to another proxy: `identity`, or `all`: also the
    /// custom headers, Basic credentials, tokens and assertion of this route. Every client that
    /// reaches these endpoints through one of `trusted_proxies` can read the response: use `all`
    /// only if the proxy blocks clients from them. `[ext_authz] grpc_listen`, which only proxies
    /// reach, always returns all.
    #[serde(default)]
    pub check_headers: CheckHeaders,
    /// Time and size limits.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// TLS to upstreams with other certificate authorities, or that require a client certificate.
    #[serde(default)]
    pub upstream_tls: Option<UpstreamTlsConfig>,
    /// The issuers whose bearer tokens authenticate programs, by the names of `[issuer.NAME]`.
    /// Programs need no session and no connector; without `allow` every valid token is accepted. An
    /// invalid one gets a 401. The application receives the token, unless `headers` sets
    /// `Authorization` (`"null"` removes it), and no identity headers: name the program with
    /// `headers` over `claims`. On routes without `issuers`, `Authorization` belongs to the
    /// application.
    #[serde(default)]
    pub issuers: Vec<IssuerId>,
    /// The scopes that a program's token must have, in addition to the `scopes` of its issuer.
    #[serde(default)]
    pub scopes: Vec<ScopeName>,
    /// Whether the upstream gets `X-Menshen-Assertion`: the identity of the person, signed (ES256)
    /// so that the application can verify it; the keys are at `/jwks.json` below `prefix`.
    /// Anonymous requests and programs have none.
    #[serde(default)]
    pub assertion: bool,
    /// The audience (`aud`) of the assertion; absent: the requested host, without its port.
    /// Applications that share a host need different audiences, or one accepts the assertions of
    /// the other.
    #[serde(default)]
    pub audience: Option<String>,
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccessConfig {
    /// Everybody.
    Public,
    /// Signed-in persons, and programs of the route's `issuers`.
    #[default]
    SignedIn,
    /// Every caller that `allow` admits.
    Rule,
}

#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuthConfig {
    /// CEL: the user name.
    pub user: String,
    /// The application's shared password.
    pub password: SecretSource,
}

/// Who uses a connection to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamConnections {
    /// One client after another.
    #[default]
    Shared,
    /// A single caller on a single client connection; both are closed together.
    Private,
}

/// What is done with CORS preflights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preflight {
    /// They are decided like every request.
    #[default]
    Deny,
    /// They pass without a session.
    Pass,
}

/// How non-ASCII text is encoded in a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HeaderEncoding {
    /// Percent-encoded UTF-8.
    #[default]
    Percent,
    /// Raw UTF-8.
    #[serde(rename = "utf-8")]
    Utf8,
    /// Base64 of the UTF-8.
    Base64,
    /// RFC 8187: `UTF-8''%E5%BC%A0`.
    Rfc8187,
}

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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteConfigError {
    /// `host`.
    #[error("a host is a name, `*.name`, or either with `:port`; no scheme, no path")]
    Host,
    /// `path`.
    #[error(
        "a path starts with / and holds no `%`, `;`, `\\`, `?`, `#`, `//` or `:$`, and no segment \
         that ends in a dot"
    )]
    Path,
    /// `public_paths`.
    #[error(
        "a public path is a whole path that starts with / and holds no `%`, `;`, `\\`, `?`, `#`, \
         `//` or `:$`, and no segment that ends in a dot"
    )]
    PublicPath,
    /// `upstream`.
    #[error("an upstream is http://host[:port], https://host[:port] or unix:/path, without a path")]
    Upstream,
    /// `host_header`.
    #[error("host_header is `client`, `upstream` or a host name")]
    HostHeader,
}

impl HostPattern {
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Any { port } | Self::Exact { port, .. } | Self::Wildcard { port, .. } => *port,
        }
    }

    /// Whether it matches the host and port of this URL.
    pub fn serves_url(&self, url: &url::Url) -> bool {
        let port = url.port_or_known_default();
        let on_port = self.port().is_none_or(|named| Some(named) == port);
        on_port && url.host_str().is_some_and(|host| self.includes(host))
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
        let (bare, wildcard) = match text.strip_prefix("*.") {
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
        let (host, port) = parse_host(bare).map_err(|_| RouteConfigError::Host)?;
        let name = host.as_str().to_owned();
        Ok(match wildcard {
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
        let same = if ignores_case {
            start.eq_ignore_ascii_case(prefix)
        } else {
            start == prefix
        };
        same && matches!(rest.first(), None | Some(b'/'))
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
        if is_read_in_one_way(&text) {
            let whole = text.strip_suffix('/').filter(|rest| !rest.is_empty());
            Ok(Self(whole.unwrap_or(&text).to_owned()))
        } else {
            Err(RouteConfigError::Path)
        }
    }
}

/// Whether all parsers read a configured path alike.
pub(super) fn is_read_in_one_way(text: &str) -> bool {
    let plain = crate::request::path::Path::parse(text, None).is_ok_and(|path| path.is_plain());
    plain && !text.contains(['?', '#']) && text.is_ascii()
}

impl TryFrom<String> for UpstreamUrl {
    type Error = RouteConfigError;

    fn try_from(text: String) -> Result<Self, RouteConfigError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let absolute = path
                .starts_with('/')
                .then(|| Self::Unix(PathBuf::from(path)));
            return absolute.ok_or(RouteConfigError::Upstream);
        }
        let url = Url::parse(&text).map_err(|_| RouteConfigError::Upstream)?;
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(RouteConfigError::Upstream),
        };
        match (bare, url.host_str(), url.port_or_known_default()) {
            (true, Some(host), Some(port)) => Ok(Self::Tcp {
                tls,
                host: host.to_owned(),
                port,
            }),
            _ => Err(RouteConfigError::Upstream),
        }
    }
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
