//! `ResponseRewrite`: rewrites an upstream's response head for the client.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_LOCATION, LINK, LOCATION, REFRESH, SET_COOKIE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::response::Parts;
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version};

use super::header_case::{self, HeaderCase};
use super::protected_headers::ProtectedHeaders;
use super::response_addresses::{AddressRewrite, UpstreamOrigin};
use super::{connection_options, cookies, protected_headers};
use crate::people::cookie::CookieName;
use crate::request::route::{HostHeader, Route};

/// The parts of a request that the rewrite of its response needs.
#[derive(Clone, Debug)]
pub struct ResponseRewrite {
    route: Arc<Route>,
    /// `host[:port]` as the client sent it.
    authority: HeaderValue,
    /// `https` or `http`, as the client sees it.
    scheme: &'static str,
    upgrade: Option<HeaderValue>,
    /// The case of the client's header names, if the route preserves it.
    header_case: Option<Box<HeaderCase>>,
    /// The configured cookie name, if it is not the default.
    cookie_name: Option<CookieName>,
}

impl ResponseRewrite {
    pub(super) fn new(
        route: Arc<Route>,
        authority: HeaderValue,
        scheme: &'static str,
        upgrade: Option<HeaderValue>,
    ) -> Self {
        Self {
            route,
            authority,
            scheme,
            upgrade,
            header_case: None,
            cookie_name: None,
        }
    }

    /// Sets the configured cookie name.
    pub(super) fn with_cookie_name(self, name: Option<&CookieName>) -> Self {
        Self {
            cookie_name: name.cloned(),
            ..self
        }
    }

    /// Sets the case of the client's header names.
    pub(super) fn with_header_case(self, header_case: Option<HeaderCase>) -> Self {
        let header_case = header_case.map(Box::new);
        Self {
            header_case,
            ..self
        }
    }

    pub(super) fn header_case(&self) -> Option<&HeaderCase> {
        self.header_case.as_deref()
    }

    /// Whether the case of the response's header names is preserved.
    pub fn keeps_header_case(&self) -> bool {
        self.header_case.is_some()
    }

    /// Makes hyper write the response's header names as the upstream spelled them.
    pub fn set_header_case(&self, extensions: &mut Extensions, names: &[Bytes]) {
        if let Some(with_header_case) = header_case::response_extensions(names) {
            extensions.extend(with_header_case);
        }
    }

    /// The protocol that the client asked to upgrade to, if that was forwarded.
    pub fn upgrade(&self) -> Option<&HeaderValue> {
        self.upgrade.as_ref()
    }

    /// Rewrites a response head; `upstream` is the address of the server that sent it.
    pub fn apply(&self, parts: &mut Parts, upstream: &UpstreamOrigin<'_>) {
        parts.version = Version::HTTP_11;
        let present = HeadersPresent::in_response(&parts.headers);
        let trailers = (present.transfer_encoding && present.trailer)
            .then(|| announced_trailers(&parts.headers));
        if present.transfer_encoding {
            // The transfer coding delimits the body; a `Content-Length` beside it could mislead the
            // next hop.
            parts.headers.remove(CONTENT_LENGTH);
        }
        if present.hop_by_hop {
            remove_hop_by_hop(&mut parts.headers);
        }
        if present.cookies {
            cookies::remove_own_set_cookies(&mut parts.headers, self.cookie_name.as_ref());
        }
        let prefix = self.route.stripped_prefix();
        if present.addresses || present.cookies {
            let address_rewrite = AddressRewrite {
                scheme: self.scheme,
                authority: &self.authority,
                upstream,
                fixed_host: self.fixed_host(),
                prefix: prefix.unwrap_or_default(),
                own_prefix: &self.route.own_prefix,
            };
            if present.addresses {
                address_rewrite.rewrite_addresses(&mut parts.headers);
            }
            if present.cookies {
                address_rewrite.rewrite_cookies(&mut parts.headers);
            }
        }
        if let Some(trailers) = trailers.flatten() {
            parts.headers.insert(TRAILER, trailers);
        }
        if let (Some(protocol), StatusCode::SWITCHING_PROTOCOLS) = (&self.upgrade, parts.status) {
            parts
                .headers
                .insert(CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(UPGRADE, protocol.clone());
        }
    }

    fn fixed_host(&self) -> Option<&HeaderValue> {
        match &self.route.host_header {
            HostHeader::Literal(host) => Some(host),
            HostHeader::Client | HostHeader::Upstream => None,
        }
    }
}

/// Which headers need rewriting, found in one pass.
#[derive(Default)]
struct HeadersPresent {
    hop_by_hop: bool,
    transfer_encoding: bool,
    trailer: bool,
    cookies: bool,
    /// A header that contains addresses.
    addresses: bool,
}

impl HeadersPresent {
    fn in_response(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for name in headers.keys() {
            match name.as_str().as_bytes().first() {
                Some(b'c') => {
                    present.hop_by_hop |= *name == CONNECTION;
                    present.addresses |= *name == CONTENT_LOCATION;
                }
                Some(b'l') => present.addresses |= *name == LOCATION || *name == LINK,
                Some(b'r') => present.addresses |= *name == REFRESH,
                Some(b's') => present.cookies |= *name == SET_COOKIE,
                Some(b'h' | b'k' | b'p' | b't' | b'u') => {
                    present.hop_by_hop |=
                        protected_headers::is_hop_by_hop(name.as_str().as_bytes());
                    present.transfer_encoding |= *name == TRANSFER_ENCODING;
                    present.trailer |= *name == TRAILER;
                }
                _ => {}
            }
        }
        present
    }
}

/// The announced trailers that are forwarded.
fn announced_trailers(headers: &HeaderMap) -> Option<HeaderValue> {
    let names = super::forwarded_trailer_names(headers, &ProtectedHeaders::default());
    HeaderValue::from_bytes(&names)
        .ok()
        .filter(|names| !names.is_empty())
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let is_hop_by_hop = |name: &str| protected_headers::is_hop_by_hop(name.as_bytes());
    let mut unwanted: Vec<_> = headers
        .keys()
        .filter(|name| is_hop_by_hop(name.as_str()))
        .cloned()
        .collect();
    unwanted.extend(connection_options(headers).filter(|name| *name != CONTENT_LENGTH));
    for name in unwanted {
        headers.remove(name);
    }
}
