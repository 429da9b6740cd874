//! `Head`: the parts of a request that a decision may read, the same for every face.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use http::header::HOST;
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use ipnet::IpNet;
use url::Url;

use super::path::{Path, PathError};
use super::target;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::expression::Budget;
use crate::keys::KeyRing;

mod connection;
mod cookies;
mod forwarded;
mod original;
mod session_cookie;

pub use connection::{Connection, ConnectionExtension, Peer};
pub use cookies::{cookie_pairs, cookies, split_cookie_line};
pub use forwarded::{ForwardedHops, scheme_uses_tls, single_value};
pub use original::{OriginalHeader, OriginalRequest, UnknownParts};

/// The longest accepted method in bytes; the longest registered one has 17.
const METHOD_BYTES_MAX: usize = 64;

/// Which peers are trusted proxies (`trusted_proxies`), and which clients are counted by address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// The networks of trusted proxies. IPv4-mapped IPv6 networks are converted to IPv4.
    pub networks: Vec<IpNet>,
    /// Whether peers on unix sockets are trusted.
    pub unix: bool,
    /// Networks in which each address counts as a client of its own (`count_by_address`).
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

    /// The client that limits count for this address.
    pub fn client(&self, ip: IpAddr) -> Client {
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
    /// The URL that users type.
    pub external_url: &'a Url,
    pub session_cookie_name: &'a str,
    /// The keys that verify session cookies, needed if a request has several.
    pub ring: &'a KeyRing,
}

/// A host name: lower case, without trailing dot or port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a>(Cow<'a, str>);

impl Host<'_> {
    /// The name; an IPv6 address keeps its brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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
    /// The port in the host header, if there is one.
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
    /// The subject of the client's certificate.
    pub tls_subject: Option<&'a str>,
    pub credentials: Credentials<'a>,
    /// The parts that a trusted proxy did not pass on.
    pub unknown: UnknownParts,
    /// When the request was received.
    pub received_at: Timestamp,
    /// The evaluation cost that all expressions of the request may still take.
    pub budget: Budget,
}

/// Why a request head is refused with status 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("the request names no host")]
    NoHost,
    /// Two `Host` headers, or different hosts in the target and the header.
    #[error("the request names two hosts")]
    TwoHosts,
    #[error("the host is not a host name")]
    BadHost,
    /// The target contains bytes that no target may contain.
    #[error("the target holds a `#`, a blank or a control character, or is no address")]
    Target,
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("the method is longer than {METHOD_BYTES_MAX} bytes")]
    Method,
    /// A trusted proxy sent a malformed forwarding header.
    #[error("a trusted proxy sent a malformed {0}")]
    Forwarded(&'static str),
    /// A trusted proxy asks for a decision without naming the host.
    #[error("the check names no host: it needs {0}")]
    CheckWithoutHost(&'static str),
}

impl ParseOptions<'_> {
    /// Whether `external_url` has this host and https. It decides the scheme if a trusted proxy
    /// does not name one.
    fn is_typed_with_https(&self, host: &Host<'_>) -> bool {
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
        let (mut host, mut port) = parse_request_host(&parts.uri, &parts.headers)?;
        let mut secure = connection.tls;
        let mut unknown = UnknownParts::default();
        let mut client_ip = match connection.peer {
            Peer::Ip(ip) => ip.to_canonical(),
            Peer::Unix => IpAddr::from([127, 0, 0, 1]),
        };
        if peer_trusted {
            let headers = &parts.headers;
            let hops = ForwardedHops::read(headers, parse_options.trust)?;
            client_ip = hops.nearest.unwrap_or(client_ip);
            unknown.client = hops.client.is_none();
            if let Some(named) = hops.host(headers)? {
                (host, port) = named;
            }
            secure = match hops.secure(headers)? {
                Some(secure) => secure,
                None => secure || parse_options.is_typed_with_https(&host),
            };
            port = match port {
                None => hops.port(headers)?,
                named => named,
            };
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
    pub fn has_capital_method(&self) -> bool {
        let method = self.method.as_str();
        !method.bytes().any(|byte| byte.is_ascii_lowercase())
    }

    /// The client for which limits count the request. `None` if the request comes from a trusted
    /// proxy that did not name its client, or over the unix socket: many clients share these.
    pub fn client_for_limits(&self) -> Option<Client> {
        let is_peer = match self.peer {
            Peer::Ip(ip) => self.peer_trusted && ip.to_canonical() == self.client_ip,
            Peer::Unix => self.client_ip.is_loopback(),
        };
        (!is_peer).then(|| Client::new(self.client_ip, self.counted_by_address))
    }

    /// The port in the host header, or the default port of the scheme.
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

fn parse_request_host<'a>(
    uri: &'a Uri,
    headers: &'a HeaderMap,
) -> Result<(Host<'a>, Option<u16>), HeadError> {
    parse_host(authority_of(uri, headers)?)
}

/// `host[:port]` of a request, from its target and its `Host` header, which must agree.
pub fn authority_of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, HeadError> {
    let mut named = headers.get_all(HOST).iter();
    let (header, None) = (named.next(), named.next()) else {
        return Err(HeadError::TwoHosts);
    };
    let header = header
        .map(|value| value.to_str().map_err(|_| HeadError::BadHost))
        .transpose()?;
    match (uri.authority(), header) {
        (None, None) => Err(HeadError::NoHost),
        (None, Some("")) => Err(HeadError::NoHost),
        (None, Some(header)) => Ok(header),
        (Some(target), None) => Ok(target.as_str()),
        (Some(target), Some(header)) if parse_host(target.as_str())? == parse_host(header)? => {
            Ok(header)
        }
        (Some(_), Some(_)) => Err(HeadError::TwoHosts),
    }
}

/// Parses `host[:port]`: a name of letters, digits, `-`, `.` and `_`, or an address.
pub fn parse_host(text: &str) -> Result<(Host<'_>, Option<u16>), HeadError> {
    let colon = text.bytes().rposition(|byte| byte == b':');
    let (name, port) = match colon {
        Some(at) if !text.as_bytes()[at..].contains(&b']') => (&text[..at], Some(&text[at + 1..])),
        _ => (text, None),
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            // An empty port is legal (RFC 3986 3.2.3) but no client sends it.
            Some(
                digits
                    .parse()
                    .ok()
                    .filter(|port| *port != 0)
                    .ok_or(HeadError::BadHost)?,
            )
        }
        Some(_) => return Err(HeadError::BadHost),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let good = match name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => is_name(name),
    };
    if !good {
        return Err(HeadError::BadHost);
    }
    let host = if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    };
    Ok((Host(host), port))
}

/// Whether a name consists of labels of 1 to 63 bytes and has at most 253 bytes.
fn is_name(name: &str) -> bool {
    let mut label_bytes = 0;
    for byte in name.bytes() {
        match byte {
            b'.' if label_bytes == 0 => return false,
            b'.' => label_bytes = 0,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' if label_bytes < 63 => {
                label_bytes += 1;
            }
            _ => return false,
        }
    }
    label_bytes > 0 && name.len() <= 253
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_s(1_700_000_000);

    fn from(ip: &str) -> Connection {
        Connection {
            peer: Peer::Ip(ip.parse().unwrap()),
            tls: false,
            server_name: None,
            tls_subject: None,
            extension: ConnectionExtension::default(),
        }
    }

    fn trust() -> Trust {
        Trust {
            networks: vec!["10.0.0.0/8".parse().unwrap()],
            ..Trust::default()
        }
    }

    fn ring() -> KeyRing {
        crate::keys::install_crypto();
        KeyRing::new(&[crate::keys::generate()], None).unwrap()
    }

    fn read<'a>(parts: &'a Parts, connection: &'a Connection) -> Result<Head<'a>, HeadError> {
        let external_url = Url::parse("https://sso.test").unwrap();
        let parse_options = ParseOptions {
            trust: &trust(),
            external_url: &external_url,
            session_cookie_name: "menshen",
            ring: &ring(),
        };
        Head::parse(parts, connection, parse_options, NOW)
    }

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_host_is_compared_in_lower_case_without_dot_or_port() {
        let (host, port) = parse_host("OA.Corp.Example.:8080").unwrap();
        assert_eq!((host.as_str(), port), ("oa.corp.example", Some(8080)));
        assert_eq!(parse_host("[::1]:80").unwrap().0.as_str(), "[::1]");
        for bad in [
            "", ":80", "a:0", "a:99999", "a b", "a/b", "a@b", "a..b", "a:", "[x]", "a\u{e9}",
        ] {
            assert!(parse_host(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn two_hosts_are_refused() {
        let connection = from("192.0.2.1");
        let of = |parts: &Parts| read(parts, &connection).map(|head| head.host.to_string());
        assert_eq!(of(&parts("/", &[])), Err(HeadError::NoHost));
        let two = parts("/", &[("host", "a"), ("host", "a")]);
        assert_eq!(of(&two), Err(HeadError::TwoHosts));
        let differ = parts("http://a/", &[("host", "b")]);
        assert_eq!(of(&differ), Err(HeadError::TwoHosts));
        let agree = parts("http://A./", &[("host", "a")]);
        assert_eq!(of(&agree), Ok("a".to_owned()));
    }

    #[test]
    fn forwarding_headers_are_used_only_from_trusted_proxies() {
        let parts = parts(
            "/",
            &[
                ("host", "a"),
                ("x-forwarded-host", "b"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.1.1.1"),
            ],
        );
        let (stranger, proxy) = (from("192.0.2.1"), from("::ffff:10.0.0.1"));
        let head = read(&parts, &stranger).unwrap();
        assert_eq!((head.host.as_str(), head.secure), ("a", false));
        assert_eq!(head.client_ip, "192.0.2.1".parse::<IpAddr>().unwrap());
        let head = read(&parts, &proxy).unwrap();
        assert_eq!((head.host.as_str(), head.secure), ("b", true));
        assert_eq!(head.client_ip, "198.51.100.7".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn a_malformed_header_of_a_trusted_proxy_is_refused() {
        let proxy = from("10.0.0.1");
        for (name, value) in [
            ("x-forwarded-for", "a"),
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-host", "a b"),
        ] {
            let parts = parts("/", &[("host", "a"), (name, value)]);
            assert!(read(&parts, &proxy).is_err(), "{name}");
        }
    }

    #[test]
    fn two_different_session_cookies_authenticate_nobody() {
        let connection = from("192.0.2.1");
        let session = |headers: &[(&str, &str)]| {
            let mut all = vec![("host", "a")];
            all.extend_from_slice(headers);
            let parts = parts("/", &all);
            let head = read(&parts, &connection).unwrap();
            head.credentials.session_cookie.map(str::to_owned)
        };
        assert_eq!(
            session(&[("cookie", "a=b; menshen=x; c=d")]),
            Some("x".to_owned())
        );
        assert_eq!(
            session(&[("cookie", "menshen=x; menshen=x")]),
            Some("x".to_owned())
        );
        assert_eq!(session(&[("cookie", "menshen=x; menshen=y")]), None);
        assert_eq!(
            session(&[("cookie", "menshen=x"), ("cookie", "menshen=y")]),
            None
        );
        assert_eq!(session(&[("cookie", "xmenshen=x; menshen")]), None);
    }
}
