//! The original request: the one that another proxy received and asks a decision for.

use std::net::IpAddr;

use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Head, HeadError, ParseOptions, Peer, check_method_length, parse_host, session_cookie};
use crate::clock::Timestamp;
use crate::expression::Budget;
use crate::request::path::Path;

/// The parts of a request that a trusted proxy passes on. The others are unknown.
#[derive(Clone, Copy, Debug)]
pub struct OriginalRequest<'a> {
    /// `host[:port]` as the client sent it.
    pub host: &'a str,
    /// Path and query as the client sent them.
    pub target: Option<&'a PathAndQuery>,
    pub method: Option<&'a Method>,
    /// Whether the client uses https.
    pub secure: Option<bool>,
    /// The client address, determined through the trusted proxies.
    pub client: Option<IpAddr>,
    /// The client's headers, as far as the proxy passes them on.
    pub headers: &'a HeaderMap,
}

/// The one header from which `/auth` reads the original URI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OriginalHeader {
    /// Path and query, as in nginx configurations for oauth2-proxy.
    #[default]
    XForwardedUri,
    /// Scheme, host, path and query, as ingress-nginx sends them.
    XOriginalUrl,
    /// Path and query.
    XOriginalUri,
}

impl OriginalHeader {
    /// The header name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::XForwardedUri => "x-forwarded-uri",
            Self::XOriginalUrl => "x-original-url",
            Self::XOriginalUri => "x-original-uri",
        }
    }
}

/// The parts of a request that a proxy did not pass on. The [`Head`] has a placeholder for each, and a
/// decision that needs one of them denies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnknownParts {
    /// The path in the head is `/`.
    pub path: bool,
    /// The method in the head is GET.
    pub method: bool,
    /// The scheme in the head is that of `external_url`; a missing port is the default port of that
    /// scheme.
    pub scheme: bool,
    /// The client in the head is the proxy, or the last hop with an address.
    pub client: bool,
}

impl UnknownParts {
    /// Whether any part is unknown.
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// Whether the variable `request.VARIABLE` of rules is unknown.
    pub fn hides_variable(self, variable: &str) -> bool {
        match variable {
            "path" => self.path,
            "method" => self.method,
            "ip" => self.client,
            _ => false,
        }
    }
}

impl<'a> Head<'a> {
    /// The head of a request that a trusted proxy asks a decision for. Placeholders: see [`UnknownParts`].
    pub fn from_original(
        original: OriginalRequest<'a>,
        peer: Peer,
        parse_options: ParseOptions<'_>,
        received_at: Timestamp,
    ) -> Result<Self, HeadError> {
        let (host, port) = parse_host(original.host)?;
        let path = match original.target {
            Some(target) => Path::parse(target.path(), target.query())?,
            None => Path::parse("/", None)?,
        };
        let credentials = session_cookie::find(original.headers, &host, parse_options, received_at);
        let is_external_https = parse_options.external_url.scheme() == "https";
        let peer_address = match peer {
            Peer::Ip(ip) => ip.to_canonical(),
            Peer::Unix => IpAddr::from([127, 0, 0, 1]),
        };
        let client_ip = original.client.map_or(peer_address, |ip| ip.to_canonical());
        Ok(Self {
            host,
            port,
            path,
            method: check_method_length(original.method.unwrap_or(&Method::GET))?,
            headers: original.headers,
            client_ip,
            counted_by_address: parse_options.trust.counts_by_address(client_ip),
            secure: original.secure.unwrap_or(is_external_https),
            peer,
            peer_trusted: true,
            tls_subject: None,
            credentials,
            unknown: UnknownParts {
                path: original.target.is_none(),
                method: original.method.is_none(),
                scheme: original.secure.is_none(),
                client: original.client.is_none(),
            },
            received_at,
            budget: Budget::default(),
        })
    }
}
