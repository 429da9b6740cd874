//! `[server]`. The type of each value validates it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::door::{Address, ListenConfig, ServerLimits, TlsConfig};
use crate::request::head::Trust;
use crate::request::route::PathPrefix;
use crate::setting::{is_origin, text_schema};
use crate::text;
use crate::wording::{Text, error_of_text};

/// `[server]`: the addresses to listen on, and the URL that browsers use.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Addresses to listen on: `"127.0.0.1:8080"`, `"unix:/run/menshen/http.sock"`, `"systemd"`,
    /// or a table { address, tls, redirect_https, proxy_protocol }. `tls` is true on IP addresses
    /// and systemd sockets if `[server.tls]` exists; `redirect_https = true` redirects every request to
    /// https, except those for `files`; with `proxy_protocol = true` every connection begins with a PROXY
    /// header (1 or 2).
    #[serde(default = "default_listen")]
    pub listen: Vec<ListenConfig>,
    /// The URL that browsers use: scheme, host and port. Callbacks are built from it, never from `Host`.
    pub external_url: ExternalUrl,
    /// The path below which menshen's own pages are; `/oauth2` replaces oauth2-proxy.
    #[serde(default)]
    pub prefix: OwnPrefix,
    /// The proxies whose `X-Forwarded-*` headers are trusted: networks, addresses, and `unix` for peers
    /// on unix sockets. Those of other clients are replaced. A proxy that terminates TLS must be in the
    /// list and send `X-Forwarded-Proto`, or browsers are redirected in a loop. If a proxy names no
    /// client in `X-Forwarded-For`, rules that read `request.ip` deny.
    #[serde(default)]
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Files that prove the ownership of a domain, path = content. They are served without login on
    /// every host.
    #[serde(default)]
    pub files: BTreeMap<FilePath, String>,
    /// Certificates for TLS. Absent: plain HTTP.
    #[serde(default)]
    pub tls: Option<TlsConfig>,
    /// Limits of connections and requests.
    #[serde(default)]
    pub limits: ServerLimits,
}

/// The origin that browsers use, with `http` or `https`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ExternalUrl(Url);

/// The path below which menshen's own pages are.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct OwnPrefix(String);

/// The path of a file in `files`. A request must have exactly this path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct FilePath(String);

/// A proxy whose information about the original client is trusted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum TrustedProxy {
    /// A network, or an address as a network of its own.
    Network(IpNet),
    /// Every peer on a unix socket.
    Unix,
}

/// Why a value of `[server]` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerConfigError {
    ExternalUrl,
    Prefix,
    File,
    TrustedProxy,
}

impl ServerConfigError {
    fn text(&self) -> Text {
        match self {
            Self::ExternalUrl => text!(
                "external_url is http:// or https://, a host and perhaps a port; no path, query or user",
                "external_url 应为 http:// 或 https://、主机，可以带端口；不能带路径、查询参数或用户名"
            ),
            Self::Prefix => text!(
                "a prefix is a plain path such as /.menshen: it starts with /, does not end with it, \
         and holds no `%`, `;`, `\\`, `?`, `#`, `//` or dot segment",
                "prefix 应为普通路径，例如 /.menshen：以 / 开头，不以 / 结尾，不含 `%`、`;`、`\\`、`?`、`#`、`//` 和点段"
            ),
            Self::File => text!(
                "a file's path is plain, such as /WW_verify_abc.txt: it starts with /, does not end with \
         it, and holds no `%`, `;`, `\\`, `?`, `#`, `//` or dot segment",
                "文件的路径应为普通路径，例如 /WW_verify_abc.txt：以 / 开头，不以 / 结尾，不含 `%`、`;`、`\\`、`?`、`#`、`//` 和点段"
            ),
            Self::TrustedProxy => text!(
                "a trusted proxy is an address, a network such as 10.0.0.0/8, or `unix`",
                "可信代理应为地址、10.0.0.0/8 这样的网段，或 `unix`"
            ),
        }
    }
}

error_of_text!(ServerConfigError);

impl ExternalUrl {
    /// The origin in lower case, with the path `/` and without the default port of its scheme.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// The host: a name, or an address (IPv6 in brackets).
    pub fn host(&self) -> &str {
        self.0.host_str().expect("the constructor requires a host")
    }

    /// Whether browsers use https.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The https port, if it is not the default one.
    pub fn https_port(&self) -> Option<u16> {
        self.0.port().filter(|_| self.is_https())
    }
}

impl TryFrom<String> for ExternalUrl {
    type Error = ServerConfigError;

    fn try_from(text: String) -> Result<Self, ServerConfigError> {
        // The URL parser corrects `https:\\host` and drops tabs and spaces; such a value is refused.
        let is_plain_ascii = text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        let url = Url::parse(&text)
            .ok()
            .filter(|url| is_plain_ascii && is_origin(url));
        let has_exactly_two_slashes = text
            .split_once("://")
            .is_some_and(|(_, rest)| !rest.starts_with('/'));
        url.filter(|_| has_exactly_two_slashes)
            .map(Self)
            .ok_or(ServerConfigError::ExternalUrl)
    }
}

impl OwnPrefix {
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
        if is_plain_path(&text) {
            Ok(Self(text))
        } else {
            Err(ServerConfigError::Prefix)
        }
    }
}

impl FilePath {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FilePath {
    type Error = ServerConfigError;

    fn try_from(text: String) -> Result<Self, ServerConfigError> {
        if is_plain_path(&text) {
            Ok(Self(text))
        } else {
            Err(ServerConfigError::File)
        }
    }
}

fn is_plain_path(text: &str) -> bool {
    let is_graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    is_graphic && !text.ends_with('/') && PathPrefix::try_from(text.to_owned()).is_ok()
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

/// Converts a network of IPv4-mapped IPv6 addresses to IPv4, as it is done with the address of a peer.
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

/// The settings that decide which peers are proxies and how clients are counted.
pub(super) fn trust(server: &ServerConfig) -> Trust {
    let proxies = &server.trusted_proxies;
    let counted_by_address = server.limits.count_by_address.iter();
    let networks = proxies.iter().filter_map(|proxy| match proxy {
        TrustedProxy::Network(network) => Some(*network),
        TrustedProxy::Unix => None,
    });
    Trust {
        networks: networks.collect(),
        unix: proxies.contains(&TrustedProxy::Unix),
        counted_by_address: counted_by_address.map(|range| range.network()).collect(),
    }
}

fn default_listen() -> Vec<ListenConfig> {
    vec![ListenConfig::without_options(Address::Ip(
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

    fn normalized(text: &str) -> Option<String> {
        ExternalUrl::try_from(text.to_owned())
            .ok()
            .map(|url| url.url().to_string())
    }

    #[test]
    fn an_external_url_is_an_origin_in_lower_case_without_the_default_port() {
        let written = "https://SSO.Corp.Example:443";
        assert_eq!(
            normalized(written).as_deref(),
            Some("https://sso.corp.example/")
        );
        assert_eq!(
            normalized("http://a:8080/").as_deref(),
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
            assert_eq!(normalized(bad), None, "{bad:?}");
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
        let proxy = |text: &str| TrustedProxy::try_from(text.to_owned());
        let network = |text: &str| Ok(TrustedProxy::Network(text.parse().unwrap()));
        assert_eq!(proxy("10.1.2.3/8"), network("10.0.0.0/8"));
        assert_eq!(proxy("::ffff:10.0.0.0/104"), network("10.0.0.0/8"));
        assert_eq!(proxy("::ffff:10.0.0.1"), network("10.0.0.1/32"));
        assert_eq!(proxy("fd00::/8"), network("fd00::/8"));
        assert_eq!(proxy("unix"), Ok(TrustedProxy::Unix));
        for bad in ["", "10.0.0.0/33", "proxy.corp.example", "Unix", "*"] {
            assert_eq!(proxy(bad), Err(ServerConfigError::TrustedProxy), "{bad}");
        }
    }
}
