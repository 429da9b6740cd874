//! A request that another proxy received and asks about: what it told of it, and what it did not.

use std::net::IpAddr;

use http::uri::PathAndQuery;
use http::{HeaderMap, Method};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Head, HeadError, ParseOptions, Peer, check_method_length, parse_host, session};
use crate::clock::Timestamp;
use crate::expression::Budget;
use crate::request::path::Path;

/// What a trusted proxy tells of a request that it received. What it does not tell is unknown, and
/// never guessed at.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// `host[:port]` as the client named it.
    pub host: &'a str,
    /// Path and query as the client sent them.
    pub target: Option<&'a PathAndQuery>,
    /// How.
    pub method: Option<&'a Method>,
    /// Whether the client used https.
    pub secure: Option<bool>,
    /// Who sent it, behind the trusted hops.
    pub client: Option<IpAddr>,
    /// The client's headers, as far as they were passed on.
    pub headers: &'a HeaderMap,
}

/// The one header from which `/auth` reads the original URI.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OriginalHeader {
    /// Path and query, as oauth2-proxy's users have nginx send them.
    #[default]
    XForwardedUri,
    /// Scheme, host, path and query, as ingress-nginx sends them.
    XOriginalUrl,
    /// Path and query.
    XOriginalUri,
}

impl OriginalHeader {
    /// As it is sent, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Self::XForwardedUri => "x-forwarded-uri",
            Self::XOriginalUrl => "x-original-url",
            Self::XOriginalUri => "x-original-uri",
        }
    }
}

/// What was not told of a request. Its place in the [`Head`] holds something harmless; a decision
/// that needs it denies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// The path is `/`.
    pub path: bool,
    /// The method is GET.
    pub method: bool,
    /// The scheme is the one of the site, and with it a port that was not named.
    pub scheme: bool,
    /// The client is whoever asks, or the last hop that has an address.
    pub client: bool,
}

impl Unknown {
    /// Whether anything was not told.
    pub fn any(self) -> bool {
        self != Self::default()
    }

    /// Whether a variable of rules is not known, such as `request.method`.
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
    /// The head of a request that a trusted peer asks about. A scheme that is not told is the one of
    /// the site.
    pub fn from_original(
        original: Original<'a>,
        peer: Peer,
        parse_options: ParseOptions<'_>,
        at: Timestamp,
    ) -> Result<Self, HeadError> {
        let (host, port) = parse_host(original.host)?;
        let path = match original.target {
            Some(target) => Path::parse(target.path(), target.query())?,
            None => Path::parse("/", None)?,
        };
        let credentials = session::find(original.headers, &host, parse_options, at);
        let secure = parse_options.external_url.scheme() == "https";
        let peer_address = match peer {
            Peer::Ip(ip) => ip.to_canonical(),
            Peer::Unix => IpAddr::from([127, 0, 0, 1]),
        };
        let client = original.client.map_or(peer_address, |ip| ip.to_canonical());
        Ok(Self {
            host,
            port,
            path,
            method: check_method_length(original.method.unwrap_or(&Method::GET))?,
            headers: original.headers,
            client,
            counted_by_address: parse_options.trust.counts_by_address(client),
            secure: original.secure.unwrap_or(secure),
            peer,
            peer_trusted: true,
            tls_subject: None,
            credentials,
            unknown: Unknown {
                path: original.target.is_none(),
                method: original.method.is_none(),
                scheme: original.secure.is_none(),
                client: original.client.is_none(),
            },
            at,
            budget: Budget::default(),
        })
    }
}
