//! `ResponseRewrite`: what becomes of an upstream's response head on its way to the browser.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_LOCATION, LINK, LOCATION, REFRESH, SET_COOKIE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::response::Parts;
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version};

use super::header_case::{self, HeaderCase};
use super::namespace::Namespace;
use super::response_addresses::{AddressRewrite, UpstreamOrigin};
use super::{connection_options, cookies, namespace};
use crate::people::cookie::CookieName;
use crate::request::route::{HostHeader, Route};

/// What the way back must know of the way there.
#[derive(Clone, Debug)]
pub struct ResponseRewrite {
    route: Arc<Route>,
    /// `host[:port]` as the client knows us.
    authority: HeaderValue,
    /// `https` or `http`, as the client speaks to us.
    scheme: &'static str,
    upgrade: Option<HeaderValue>,
    /// How the client with_header_case its names, where the route keeps that.
    header_case: Option<Box<HeaderCase>>,
    /// The name of the site's cookies, where it has one of its own.
    cookie: Option<CookieName>,
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
            cookie: None,
        }
    }

    /// The same, of a site that calls its cookies so.
    pub(super) fn with_cookies(self, name: Option<&CookieName>) -> Self {
        let cookie = name.cloned();
        Self { cookie, ..self }
    }

    /// The same, of a request whose names were with_header_case so.
    pub(super) fn with_header_case(self, header_case: Option<HeaderCase>) -> Self {
        let header_case = header_case.map(Box::new);
        Self {
            header_case,
            ..self
        }
    }

    /// How the client with_header_case its names, where the route keeps that.
    pub(super) fn header_case(&self) -> Option<&HeaderCase> {
        self.header_case.as_deref()
    }

    /// Whether it matters how an answer spells its names.
    pub fn keeps_header_case(&self) -> bool {
        self.header_case.is_some()
    }

    /// Has the names of an answer written as the upstream with_header_case them.
    pub fn set_header_case(&self, extensions: &mut Extensions, names: &[Bytes]) {
        if let Some(with_header_case) = header_case::extensions(names) {
            extensions.extend(with_header_case);
        }
    }

    /// The protocol the client asked to change to, when that was passed on.
    pub fn upgrade(&self) -> Option<&HeaderValue> {
        self.upgrade.as_ref()
    }

    /// Makes an upstream's head ours: `upstream` is where it is, for what it says of itself.
    pub fn apply(&self, parts: &mut Parts, upstream: &UpstreamOrigin<'_>) {
        parts.version = Version::HTTP_11;
        let present = HeadersPresent::in_response(&parts.headers);
        let trailers =
            (present.coding && present.trailer).then(|| announced_trailers(&parts.headers));
        if present.coding {
            // The coding said where the body ended; a length beside it is a trap for the next hop.
            parts.headers.remove(CONTENT_LENGTH);
        }
        if present.hop {
            remove_hop_by_hop(&mut parts.headers);
        }
        if present.cookies {
            cookies::remove_own_set_cookies(&mut parts.headers, self.cookie.as_ref());
        }
        let prefix = self.route.stripped_prefix();
        if present.addresses || present.cookies {
            let names = AddressRewrite {
                scheme: self.scheme,
                authority: &self.authority,
                upstream,
                literal: self.literal_host(),
                prefix: prefix.unwrap_or_default(),
            };
            if present.addresses {
                names.rewrite_addresses(&mut parts.headers);
            }
            if present.cookies {
                names.rewrite_cookies(&mut parts.headers);
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

    fn literal_host(&self) -> Option<&HeaderValue> {
        match &self.route.host_header {
            HostHeader::Literal(host) => Some(host),
            HostHeader::Client | HostHeader::Upstream => None,
        }
    }
}

/// What of an answer's headers must be looked at closer, present in one pass over them.
#[derive(Default)]
struct HeadersPresent {
    /// Something concerns one hop only, `Connection` for example.
    hop: bool,
    coding: bool,
    trailer: bool,
    cookies: bool,
    /// A header that holds addresses.
    addresses: bool,
}

impl HeadersPresent {
    fn in_response(headers: &HeaderMap) -> Self {
        let mut present = Self::default();
        for name in headers.keys() {
            match name.as_str().as_bytes().first() {
                Some(b'c') => {
                    present.hop |= *name == CONNECTION;
                    present.addresses |= *name == CONTENT_LOCATION;
                }
                Some(b'l') => present.addresses |= *name == LOCATION || *name == LINK,
                Some(b'r') => present.addresses |= *name == REFRESH,
                Some(b's') => present.cookies |= *name == SET_COOKIE,
                Some(b'h' | b'k' | b'p' | b't' | b'u') => {
                    present.hop |= namespace::is_hop_by_hop(name.as_str().as_bytes());
                    present.coding |= *name == TRANSFER_ENCODING;
                    present.trailer |= *name == TRAILER;
                }
                _ => {}
            }
        }
        present
    }
}

/// Which trailers an answer announces, but for those that are taken out.
fn announced_trailers(headers: &HeaderMap) -> Option<HeaderValue> {
    let names = super::trailers_of(headers, &Namespace::default());
    HeaderValue::from_bytes(&names)
        .ok()
        .filter(|names| !names.is_empty())
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let hop = |name: &str| namespace::is_hop_by_hop(name.as_bytes());
    let mut unwanted: Vec<_> = headers
        .keys()
        .filter(|name| hop(name.as_str()))
        .cloned()
        .collect();
    let framed = |name: &http::HeaderName| *name == CONTENT_LENGTH;
    unwanted.extend(connection_options(headers).filter(|name| !framed(name)));
    for name in unwanted {
        headers.remove(name);
    }
}
