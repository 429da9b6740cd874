//! `[[route]]` as it is written: each field's type is its rule.

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

/// One way through the house. The host is chosen first (exact, then the longest wildcard, then any),
/// then the longest path within it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// For logs and pages; no two routes share one.
    pub name: String,
    /// `oa.corp.example`, `*.corp.example`, `oa.corp.example:8080` when the port matters; absent: any.
    #[serde(default)]
    pub host: HostPattern,
    /// A prefix on a segment boundary; the longest wins. A slash at its end changes nothing:
    /// `/archive/` covers `/archive`, too.
    #[serde(default)]
    pub path: PathPrefix,
    /// Where it leads: `http://`, `https://` (verified against the system's authorities, or as
    /// `upstream_tls` says) or `unix:/path`; several share the load. Absent: whoever may pass gets a 404.
    /// A host name is looked up again after five seconds; while the name server does not answer, its
    /// last addresses are used for ten minutes.
    #[serde(default)]
    pub upstream: Vec<UpstreamUrl>,
    /// Whether clients share the connections to the upstream: `shared`, or `private` for one that
    /// takes a client's name for the connection. Those that announce `NTLM` or `Negotiate` are noticed
    /// without it.
    #[serde(default)]
    pub upstream_connections: UpstreamConnections,
    /// `public`, `signed-in`, or `rule`: then `allow` decides for nobody too.
    #[serde(default)]
    pub access: AccessConfig,
    /// A CEL rule over `user`, `request`, `session` and a program's `claims` that must be true. One
    /// that fails, because a field is missing for example, denies.
    #[serde(default)]
    pub allow: Option<String>,
    /// Paths that everybody may ask for, whatever `access` says: exactly these, whole, as a manifest,
    /// an icon or a health check that is asked for without cookies.
    #[serde(default)]
    pub public_paths: Vec<PublicPath>,
    /// Whose sessions count here, and who may log in; absent: all.
    #[serde(default)]
    pub connectors: Vec<ConnectorId>,
    /// Authentication contexts of the source (`acr`) that are enough here, the best first: whoever
    /// came in with another one is sent to prove themselves again. Absent: any.
    #[serde(default)]
    pub acr_values: Vec<String>,
    /// How long ago somebody may have proved themselves to the source at most; after that they are
    /// sent to do it again. A source whose protocol cannot say when counts from the login. Absent:
    /// any time.
    #[serde(default)]
    pub max_age: Option<Period>,
    /// What the source shows at a login for this route, where its protocol can be told: `login`,
    /// `consent` or `select_account`. Who is signed in already is not asked.
    #[serde(default)]
    pub prompt: Option<LoginPrompt>,
    /// Whether the source is asked again, without a click, who sits there when a page is loaded:
    /// `always` for pages in a window, `embedded` for pages in another site's frame. Another person
    /// is switched to; when nobody is signed in there, the session ends. A source that cannot be
    /// asked so is not.
    #[serde(default)]
    pub reload_user: ReloadUser,
    /// How old the source's last word may be before `reload_user` asks again.
    #[serde(default = "demands::reload_after")]
    pub reload_after: Period,
    /// Whether the prefix is taken off; the upstream is told by `X-Forwarded-Prefix`, and the
    /// addresses and cookie paths in its headers are mended.
    #[serde(default)]
    pub strip_path: bool,
    /// Which `Host` the upstream sees: `client`, `upstream`, or this name.
    #[serde(default)]
    pub host_header: HostHeader,
    /// `pass` lets CORS preflights through without identity.
    #[serde(default)]
    pub preflight: Preflight,
    /// Whether the upstream compares paths without case, in any script. Absent: no, and `menshen
    /// check` asks where it matters. Rules see the path in lower case as well: write what they name in
    /// lower case.
    #[serde(default)]
    pub case_insensitive: Option<bool>,
    /// Carries the part of the address behind `#` through a login, by a small page with a script.
    #[serde(default)]
    pub keep_fragment: bool,
    /// Whether header names keep the case they came in, both ways, over HTTP/1.1; else they are in
    /// lower case. For old programs that know them in one case only: each request costs more.
    #[serde(default)]
    pub keep_header_case: bool,
    /// How text that is not ASCII is written into headers: `percent`, `utf-8`, `base64`, `rfc8187`.
    #[serde(default)]
    pub header_encoding: HeaderEncoding,
    /// Further headers: name = CEL over `user`, `request`, `session`, `claims`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Headers of the client's that pass although menshen removes them by default, by name.
    #[serde(default)]
    pub pass_headers: Vec<String>,
    /// Basic credentials for an application that only knows those.
    #[serde(default)]
    pub basic_auth: Option<BasicAuthConfig>,
    /// Whether the upstream gets the provider's access token, in `X-Forwarded-Access-Token`. One that
    /// has ended and cannot be refreshed is left out.
    #[serde(default)]
    pub pass_access_token: bool,
    /// Whether the upstream gets the provider's ID token, as `Authorization: Bearer`, instead of the
    /// client's own `Authorization`. One that has ended is left out.
    #[serde(default)]
    pub pass_id_token: bool,
    /// What the check paths answer for another proxy: `identity`, or `all`: this route's own headers,
    /// Basic credentials, tokens and assertion, too. Whoever reaches those paths through one of
    /// `trusted_proxies` reads the answer: `all` is for proxies that keep visitors away from them.
    /// `[ext_authz] grpc_listen`, which only proxies reach, answers all in any case.
    #[serde(default)]
    pub check_headers: CheckHeaders,
    /// How long and how much.
    #[serde(default)]
    pub limits: LimitsConfig,
    /// TLS to upstreams that the system's authorities do not vouch for, or that want to know who we
    /// are.
    #[serde(default)]
    pub upstream_tls: Option<UpstreamTlsConfig>,
    /// Whose bearer tokens let programs in here, by the names of `[issuer.NAME]`. Programs need no
    /// session and no connector; without `allow` every good token passes. A bad one is a 401. The
    /// application gets the token, too, unless `headers` sets `Authorization` (`"null"` removes it),
    /// and none of the headers that name a person: say who asks by `headers` over `claims`. On routes
    /// that name no issuer `Authorization` is the application's.
    #[serde(default)]
    pub issuers: Vec<IssuerId>,
    /// What a program's token must be good for here, besides what its issuer's `scopes` ask.
    #[serde(default)]
    pub scopes: Vec<ScopeName>,
    /// Whether the upstream gets `X-Menshen-Assertion`: who is asking, signed (ES256), so that it can
    /// check that itself; the keys are at `/jwks.json` below `prefix`. Nobody and programs have none.
    #[serde(default)]
    pub assertion: bool,
    /// Whom the assertion is for, its `aud`; absent: the host that was asked for, without its port.
    /// Applications that share a host need one each, or take each other's.
    #[serde(default)]
    pub audience: Option<String>,
}

/// Who may take a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccessConfig {
    /// Everybody.
    Public,
    /// Whoever is signed in, and programs of the route's `issuers`.
    #[default]
    SignedIn,
    /// Whomever `allow` lets pass.
    Rule,
}

/// Basic credentials.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuthConfig {
    /// CEL: who to say.
    pub user: String,
    /// The one password the application knows.
    pub password: SecretSource,
}

/// Who uses a connection to an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamConnections {
    /// One client after another.
    #[default]
    Shared,
    /// One caller on one client connection; it is closed with that.
    Private,
}

/// What happens to CORS preflights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preflight {
    /// They are permit_and_rewrite like every request.
    #[default]
    Deny,
    /// They pass without identity.
    Pass,
}

/// How text that is not ASCII is written into a header.
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

/// Which `Host` an upstream sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum HostHeader {
    /// The client's.
    #[default]
    Client,
    /// The upstream's own.
    Upstream,
    /// This one.
    Literal(http::HeaderValue),
}

/// Which hosts, on which port, a route serves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum HostPattern {
    /// Every host.
    Any {
        /// On this port only.
        port: Option<u16>,
    },
    /// One host.
    Exact {
        /// Lower case, without trailing dot.
        name: String,
        /// On this port only.
        port: Option<u16>,
    },
    /// Every host below a domain.
    Wildcard {
        /// `.corp.example`.
        suffix: String,
        /// On this port only.
        port: Option<u16>,
    },
}

/// A path and everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPrefix(String);

/// One upstream server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum UpstreamUrl {
    /// `http://host:port` or `https://host:port`.
    Tcp {
        /// Whether it is TLS.
        tls: bool,
        /// Name or address, an IPv6 address in brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// `unix:/path/to/socket`, spoken to in plain HTTP.
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
    /// The port it is bound to.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Any { port } | Self::Exact { port, .. } | Self::Wildcard { port, .. } => *port,
        }
    }

    /// Whether it includes the host of this address, on its port.
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
    /// The prefix as configured.
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

/// Whether everybody takes a configured path for the same.
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
