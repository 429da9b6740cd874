//! `[[route]]` in the configuration file: the type of each field validates its value.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::check_headers::CheckHeaders;
use super::config_values::{HostHeader, HostPattern, PathPrefix, UpstreamUrl};
use super::demands::{self, LoginPrompt, ReloadUser};
use super::limits::LimitsConfig;
use super::public_path::PublicPath;
use super::upstream_tls::UpstreamTlsConfig;
use crate::request::bearer::{IssuerId, ScopeName};
use crate::secret::SecretSource;
use crate::setting::Period;
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
    /// `always` for top-level pages, `embedded` for pages in frames. A different person replaces the
    /// session; if nobody is signed in at the source, the session ends. A source that does not
    /// support this is not asked. Absent: `always` for people whose connector has `reload_user`, otherwise
    /// `never`.
    #[serde(default)]
    pub reload_user: Option<ReloadUser>,
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
    /// `menshen check` warns where it matters. Rules also receive the path in lower case: write
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
    /// Whether programs that can neither sign in nor hold a cookie (git, svn, npm, pip, WebDAV) may send
    /// an access token that a person made at `/tokens` below `prefix`: as Basic password or as bearer
    /// token. The token is its person, for rules and identity headers as well. It is removed from every
    /// request to an application. A route that demands `acr_values` or `max_age` accepts none.
    #[serde(default)]
    pub access_tokens: bool,
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
