//! `Head`: the parts of a request that a decision may read, the same for every face.

use std::fmt;
use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderMap, Method};
use ipnet::IpNet;
use url::Url;

use super::path::{Path, PathError};
use super::target;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::expression::Budget;
use crate::keys::KeyRing;
use crate::text;
use crate::wording::{Text, error_of_text};

mod connection;
mod cookies;
mod forwarded;
mod host;
mod original;
mod session_cookie;

pub use connection::{Connection, Peer, PrivateUpstreamConnections};
pub use cookies::{cookie_pairs, cookies, split_cookie_line};
pub use forwarded::{ForwardedHops, scheme_uses_tls, single_value};
pub use host::{Host, authority_of, parse_host};
pub use original::{OriginalHeader, OriginalRequest, UnknownParts};

/// The longest accepted method in bytes; the longest registered one has 17.
const METHOD_BYTES_MAX: usize = 64;

/// Which peers are trusted proxies (`trusted_proxies`), and where limits count each address alone
/// (`count_by_address`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The networks of trusted proxies. IPv4-mapped IPv6 networks are converted to IPv4.
    pub networks: Vec<IpNet>,
    /// Whether peers on unix sockets are trusted.
    pub unix: bool,
    /// The networks of `count_by_address`.
    pub counted_by_address: Vec<IpNet>,
}

impl Trust {
    /// Whether this peer is a trusted proxy.
    pub fn includes(&self, peer: Peer) -> bool {
        match peer {
            Peer::Ip(ip) => self.includes_ip(ip),
            Peer::Unix => self.unix,
        }
    }

    fn includes_ip(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.networks.iter().any(|network| network.contains(&ip))
    }

    /// The client for which limits count this address.
    pub fn client_for_limits(&self, ip: IpAddr) -> Client {
        Client::new(ip, self.counts_by_address(ip))
    }

    fn counts_by_address(&self, ip: IpAddr) -> bool {
        self.counted_by_address
            .iter()
            .any(|network| network.contains(&ip))
    }
}

/// The settings of a site that affect how requests are parsed.
#[derive(Clone, Copy, Debug)]
pub struct ParseOptions<'a> {
    pub trust: &'a Trust,
    /// The URL of the login host.
    pub external_url: &'a Url,
    pub session_cookie_name: &'a str,
    /// The keys that choose the valid one if a request has several session cookies.
    pub ring: &'a KeyRing,
}

/// The session cookie of a request. `Debug` does not show it.
#[derive(Clone, Copy, Default)]
pub struct Credentials<'a> {
    /// The value of the session cookie.
    pub session_cookie: Option<&'a str>,
    /// Whether there are valid cookies of different sessions; `session_cookie` is absent then.
    pub conflicting: bool,
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("session_cookie", &self.session_cookie.is_some())
            .field("conflicting", &self.conflicting)
            .finish()
    }
}

/// The parts of a request that a decision may read, borrowed from the request.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    pub host: Host<'a>,
    /// The port that the client used, if the host header or a trusted proxy names one.
    pub port: Option<u16>,
    pub path: Path<'a>,
    pub method: &'a Method,
    pub headers: &'a HeaderMap,
    /// The client's address, behind trusted proxies.
    pub client_ip: IpAddr,
    /// Whether limits count that address alone and not the networks around it.
    pub counted_by_address: bool,
    /// Whether the client uses https.
    pub secure: bool,
    /// The other end of the connection.
    pub peer: Peer,
    /// Whether the peer is a trusted proxy.
    pub peer_trusted: bool,
    /// The subject of the client's certificate; always `None`, because no listener requests a certificate.
    pub tls_subject: Option<&'a str>,
    pub credentials: Credentials<'a>,
    /// The parts that a trusted proxy did not pass on.
    pub unknown: UnknownParts,
    /// When the request was received.
    pub received_at: Timestamp,
    /// The evaluation cost that all expressions of the request may still take.
    pub budget: Budget,
}

/// Why a request head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    NoHost,
    /// Two `Host` headers, or different hosts in the target and the header.
    TwoHosts,
    BadHost,
    Target,
    Path(PathError),
    Method,
    /// A trusted proxy sent a malformed forwarding header.
    Forwarded(&'static str),
    /// A trusted proxy asks for a decision without naming the host.
    CheckWithoutHost(&'static str),
}

impl HeadError {
    fn text(&self) -> Text {
        match self {
            Self::NoHost => Text::fixed("the request names no host", "请求没有写明主机"),
            Self::TwoHosts => Text::fixed("the request names two hosts", "请求写了两个主机"),
            Self::BadHost => Text::fixed("the host is not a host name", "主机名的写法有误"),
            Self::Target => Text::fixed(
                "the target contains a `#`, a space or a control character, or is not a path or URL",
                "请求目标含有 `#`、空格或控制字符，或不是路径或地址",
            ),
            Self::Path(error) => Text::of(error),
            Self::Method => text!(
                "the method is longer than {METHOD_BYTES_MAX} bytes",
                "方法超过 {METHOD_BYTES_MAX} 字节"
            ),
            Self::Forwarded(name) => text!(
                "a trusted proxy sent a malformed {name}",
                "可信代理发送的 {name} 格式不正确"
            ),
            Self::CheckWithoutHost(needed) => text!(
                "the check names no host: it needs {needed}",
                "检查请求没有写明主机：需要 {needed}"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Path(error) => std::error::Error::source(error),
            Self::NoHost
            | Self::TwoHosts
            | Self::BadHost
            | Self::Target
            | Self::Method
            | Self::Forwarded(_)
            | Self::CheckWithoutHost(_) => None,
        }
    }
}

error_of_text!(HeadError, caused);

impl From<PathError> for HeadError {
    fn from(error: PathError) -> Self {
        Self::Path(error)
    }
}

impl ParseOptions<'_> {
    /// Whether `external_url` has this host and https. Used if a trusted proxy does not name the scheme.
    fn has_https_external_url(&self, host: &Host<'_>) -> bool {
        self.external_url.scheme() == "https" && self.external_url.host_str() == Some(host.as_str())
    }
}

impl<'a> Head<'a> {
    /// Parses the head of a request.
    pub fn parse(
        parts: &'a Parts,
        connection: &'a Connection,
        parse_options: ParseOptions<'_>,
        received_at: Timestamp,
    ) -> Result<Self, HeadError> {
        if target::is_refused(&parts.uri) {
            return Err(HeadError::Target);
        }
        let peer_trusted = parse_options.trust.includes(connection.peer);
        let (mut host, mut port) = parse_host(authority_of(&parts.uri, &parts.headers)?)?;
        let mut secure = connection.tls;
        let mut unknown = UnknownParts::default();
        let mut client_ip = match connection.peer {
            Peer::Ip(ip) => ip.to_canonical(),
            Peer::Unix => IpAddr::from([127, 0, 0, 1]),
        };
        if peer_trusted {
            let headers = &parts.headers;
            let hops = ForwardedHops::read(headers, parse_options.trust)?;
            // If the client is unknown, this is the last hop with an address.
            client_ip = hops.nearest_to_client.unwrap_or(client_ip);
            unknown.client = hops.client.is_none();
            if let Some(forwarded) = hops.host(headers)? {
                (host, port) = forwarded;
            }
            secure = match hops.secure(headers)? {
                Some(secure) => secure,
                None => secure || parse_options.has_https_external_url(&host),
            };
            if port.is_none() {
                port = hops.port(headers)?;
            }
        }
        let credentials = session_cookie::find(&parts.headers, &host, parse_options, received_at);
        Ok(Self {
            host,
            port,
            path: Path::parse(parts.uri.path(), parts.uri.query())?,
            method: check_method_length(&parts.method)?,
            headers: &parts.headers,
            client_ip,
            counted_by_address: parse_options.trust.counts_by_address(client_ip),
            secure,
            peer: connection.peer,
            peer_trusted,
            tls_subject: connection.tls_subject.as_deref(),
            credentials,
            unknown,
            received_at,
            budget: Budget::default(),
        })
    }

    /// Whether the method is in upper case, as every registered one is. Some applications treat
    /// `delete` as `DELETE`.
    pub fn is_method_upper_case(&self) -> bool {
        let method = self.method.as_str();
        !method.bytes().any(|byte| byte.is_ascii_lowercase())
    }

    /// The client for which limits count the request. `None` if a trusted proxy or a peer on the unix
    /// socket did not name its client: many clients share such an address.
    pub fn client_for_limits(&self) -> Option<Client> {
        let is_proxy = match self.peer {
            Peer::Ip(ip) => self.peer_trusted && ip.to_canonical() == self.client_ip,
            Peer::Unix => self.client_ip.is_loopback(),
        };
        (!is_proxy).then(|| Client::new(self.client_ip, self.counted_by_address))
    }

    /// The port that the client used, or the default port of the scheme.
    pub fn effective_port(&self) -> u16 {
        self.port.unwrap_or(if self.secure { 443 } else { 80 })
    }

    /// `https` or `http`, as the client sees it.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// `https://host[:port]`, as the client sees it.
    pub fn origin(&self) -> String {
        match self.port {
            Some(port) if port != if self.secure { 443 } else { 80 } => {
                format!("{}://{}:{port}", self.scheme(), self.host)
            }
            _ => format!("{}://{}", self.scheme(), self.host),
        }
    }
}

fn check_method_length(method: &Method) -> Result<&Method, HeadError> {
    match method.as_str().len() {
        ..=METHOD_BYTES_MAX => Ok(method),
        _ => Err(HeadError::Method),
    }
}

#[cfg(test)]
mod tests;
