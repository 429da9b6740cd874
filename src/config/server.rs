//! `[server]` and `[store]` as they are written: each field's type is its rule.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::door::{Address, ListenConfig, ServerLimits, TlsConfig};
use crate::request::head::Trust;
use crate::request::route::PathPrefix;
use crate::setting::text_schema;
use crate::store::{SqliteUrl, StoreUrl};

/// `[server]`: where it listens and what browsers call it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Addresses to listen on: `"127.0.0.1:8080"`, `"unix:/run/menshen/http.sock"`, `"systemd"`,
    /// or a table { address, tls, redirect_https, proxy_protocol }. `tls` is true on IP addresses
    /// and systemd sockets when `[server.tls]` is there; `redirect_https = true` sends everybody to
    /// https; with `proxy_protocol = true` every connection begins with a PROXY header (1 or 2).
    #[serde(default = "default_listen")]
    pub listen: Vec<ListenConfig>,
    /// What browsers type: scheme, host and port. Callbacks are built from it, never from `Host`.
    pub external_url: ExternalUrl,
    /// Under which path menshen's own pages live; `/oauth2` where oauth2-proxy's were.
    #[serde(default)]
    pub prefix: OwnPrefix,
    /// Whose `X-Forwarded-*` count: networks, addresses, and `unix` for peers on unix sockets.
    /// Everybody else's are removed and written anew. A proxy that ends TLS must be among them and
    /// send `X-Forwarded-Proto`, or browsers are redirected in circles. Where one names no client in
    /// `X-Forwarded-For`, rules that look at `request.ip` deny.
    #[serde(default)]
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Files that prove a domain's ownership, path = content; served before any login, on every
    /// host.
    #[serde(default)]
    pub files: BTreeMap<FilePath, String>,
    /// Certificates, so that TLS ends here. Absent: plain HTTP.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// How many connections, and how patiently.
    #[serde(default)]
    pub limits: ServerLimits,
}

/// `[store]`: where accounts, sessions and revocations are kept.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// `sqlite:///path/to/menshen.db`, on a local disk.
    pub url: StoreUrl,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: StoreUrl::Sqlite(SqliteUrl::File("/var/lib/menshen/menshen.db".into())),
        }
    }
}

/// What browsers type: an origin, `http` or `https`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ExternalUrl(Url);

/// The path under which menshen's own pages live.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OwnPrefix(String);

/// The path of one file, compared as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct FilePath(String);

/// Peers whose word about the original client counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum TrustedProxy {
    /// All of a network; one address is a network of its own.
    Network(IpNet),
    /// Whoever may open our unix socket.
    Unix,
}

/// Why a value of `[server]` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerConfigError {
    /// `external_url`.
    #[error(
        "external_url is http:// or https://, a host and perhaps a port; no path, query or user"
    )]
    ExternalUrl,
    /// `prefix`.
    #[error(
        "a prefix is a plain path such as /.menshen: it starts with /, does not end with it, \
         and holds no `%`, `;`, `\\`, `?`, `#`, `//` or dot segment"
    )]
    Prefix,
    /// A key of `files`.
    #[error(
        "a file's path is plain, such as /WW_verify_abc.txt: it starts with /, does not end with \
         it, and holds no `%`, `;`, `\\`, `?`, `#`, `//` or dot segment"
    )]
    File,
    /// `trusted_proxies`.
    #[error("a trusted proxy is an address, a network such as 10.0.0.0/8, or `unix`")]
    TrustedProxy,
}

impl ExternalUrl {
    /// The origin, lower case, its path `/`, without its scheme's own port.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Its host: a name, or an address (IPv6 in brackets).
    pub fn host(&self) -> &str {
        self.0
            .host_str()
            .expect("an http origin was parsed with a host")
    }

    /// Whether browsers use https.
    pub fn secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// At which port browsers use https, unless at its own.
    pub fn https_port(&self) -> Option<u16> {
        self.0.port().filter(|_| self.secure())
    }
}

/// Whether a URL is nothing but scheme `http` or `https`, host and port.
pub(super) fn is_origin(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

impl TryFrom<String> for ExternalUrl {
    type Error = ServerConfigError;

    fn try_from(text: String) -> Result<Self, ServerConfigError> {
        // The parser mends `https:\\host` and drops tabs and spaces; what needs mending is refused.
        let tidy = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let url = Url::parse(&text).ok().filter(|url| tidy && is_origin(url));
        let slashes = text
            .split_once("://")
            .is_some_and(|(_, rest)| !rest.starts_with('/'));
        url.filter(|_| slashes)
            .map(Self)
            .ok_or(ServerConfigError::ExternalUrl)
    }
}

impl OwnPrefix {
    /// `/.menshen`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for OwnPrefix {
    fn default() -> Self {
        Self("/.menshen".to_owned())
    }
}

impl TryFrom<String> for OwnPrefix {
    type Error = ServerConfigError;

    fn try_from(text: String) -> Result<Self, ServerConfigError> {
        if is_plain(&text) {
            Ok(Self(text))
        } else {
            Err(ServerConfigError::Prefix)
        }
    }
}

impl FilePath {
    /// `/WW_verify_abc.txt`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FilePath {
    type Error = ServerConfigError;

    fn try_from(text: String) -> Result<Self, ServerConfigError> {
        if is_plain(&text) {
            Ok(Self(text))
        } else {
            Err(ServerConfigError::File)
        }
    }
}

fn is_plain(text: &str) -> bool {
    let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    graphic && !text.ends_with('/') && PathPrefix::try_from(text.to_owned()).is_ok()
}

impl TryFrom<String> for TrustedProxy {
    type Error = ServerConfigError;

    fn try_from(text: String) -> Result<Self, ServerConfigError> {
        if text == "unix" {
            return Ok(Self::Unix);
        }
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(canonical(network)));
        }
        let address: IpAddr = text.parse().map_err(|_| ServerConfigError::TrustedProxy)?;
        Ok(Self::Network(IpNet::from(address.to_canonical())))
    }
}

/// Peers are compared as IPv4 where they can be; so are networks.
fn canonical(network: IpNet) -> IpNet {
    match (
        network.addr().to_canonical(),
        network.prefix_len().checked_sub(96),
    ) {
        (IpAddr::V4(address), Some(bits)) if matches!(network, IpNet::V6(_)) => {
            IpNet::new(address.into(), bits).unwrap_or(network).trunc()
        }
        _ => network.trunc(),
    }
}

/// What the configuration says of whom requests come from.
pub(super) fn trust(server: &ServerConfig) -> Trust {
    let proxies = &server.trusted_proxies;
    let by_address = server.limits.count_by_address.iter();
    let networks = proxies.iter().filter_map(|proxy| match proxy {
        TrustedProxy::Network(network) => Some(*network),
        TrustedProxy::Unix => None,
    });
    Trust {
        networks: networks.collect(),
        unix: proxies.contains(&TrustedProxy::Unix),
        by_address: by_address.map(|one| one.network()).collect(),
    }
}

fn default_listen() -> Vec<ListenConfig> {
    vec![ListenConfig::plain(Address::Ip(
        ([127, 0, 0, 1], 8080).into(),
    ))]
}

text_schema! {
    ExternalUrl: "http:// or https://, a host and perhaps a port",
    OwnPrefix: "a plain path without a slash at its end",
    FilePath: "a plain path",
    TrustedProxy: "an address, a network or `unix`",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn external(text: &str) -> Option<String> {
        ExternalUrl::try_from(text.to_owned())
            .ok()
            .map(|url| url.url().to_string())
    }

    #[test]
    fn an_external_url_is_an_origin_in_lower_case_without_its_own_port() {
        let written = "https://SSO.Corp.Example:443";
        assert_eq!(
            external(written).as_deref(),
            Some("https://sso.corp.example/")
        );
        assert_eq!(
            external("http://a:8080/").as_deref(),
            Some("http://a:8080/")
        );
        for bad in [
            "",
            "sso.corp.example",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://a?b",
            "https://a#b",
            "https://u@a",
            "https://u:p@a",
            "https:\\\\a",
            "https:///a",
            " https://a",
            "https:a",
        ] {
            assert_eq!(external(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_prefix_and_a_file_are_plain_paths() {
        for good in ["/.menshen", "/oauth2", "/WW_verify_abc.txt", "/a/b"] {
            assert!(OwnPrefix::try_from(good.to_owned()).is_ok(), "{good}");
            assert!(FilePath::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "", "/", "a", "/a/", "/a//b", "/../a", "/a%2f", "/a;b", "/a?b", "/a b", "/\u{e9}",
        ] {
            assert!(OwnPrefix::try_from(bad.to_owned()).is_err(), "{bad}");
            assert!(FilePath::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn mapped_networks_are_trusted_as_ipv4() {
        let of = |text: &str| TrustedProxy::try_from(text.to_owned());
        let network = |text: &str| Ok(TrustedProxy::Network(text.parse().unwrap()));
        assert_eq!(of("10.1.2.3/8"), network("10.0.0.0/8"));
        assert_eq!(of("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        assert_eq!(of("::ffff:10.0.0.1"), network("10.0.0.1/32"));
        assert_eq!(of("fd00::/8"), network("fd00::/8"));
        assert_eq!(of("unix"), Ok(TrustedProxy::Unix));
        for bad in ["", "10.0.0.0/33", "proxy.corp.example", "Unix", "*"] {
            assert_eq!(of(bad), Err(ServerConfigError::TrustedProxy), "{bad}");
        }
    }
}
