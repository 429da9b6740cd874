//! `Inward`: what becomes of an upstream's response head on its way to the browser.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_LOCATION, LINK, LOCATION, REFRESH, SET_COOKIE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::response::Parts;
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version};

use super::mended::{Names, UpstreamName};
use super::namespace::Namespace;
use super::spelling::{self, Spelling};
use super::{cookies, namespace, nominated};
use crate::people::cookie::CookieName;
use crate::request::route::{HostHeader, Route};

/// What the way back must know of the way there.
#[derive(Clone, Debug)]
pub struct Inward {
    route: Arc<Route>,
    /// `host[:port]` as the client knows us.
    authority: HeaderValue,
    /// `https` or `http`, as the client speaks to us.
    scheme: &'static str,
    upgrade: Option<HeaderValue>,
    /// How the client spelled its names, where the route keeps that.
    spelling: Option<Box<Spelling>>,
    /// The name of the site's cookies, where it has one of its own.
    cookie: Option<CookieName>,
}

impl Inward {
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
            spelling: None,
            cookie: None,
        }
    }

    /// The same, of a site that calls its cookies so.
    pub(super) fn with_cookies(self, name: Option<&CookieName>) -> Self {
        let cookie = name.cloned();
        Self { cookie, ..self }
    }

    /// The same, of a request whose names were spelled so.
    pub(super) fn spelled(self, spelling: Option<Spelling>) -> Self {
        let spelling = spelling.map(Box::new);
        Self { spelling, ..self }
    }

    /// How the client spelled its names, where the route keeps that.
    pub(super) fn spelling(&self) -> Option<&Spelling> {
        self.spelling.as_deref()
    }

    /// Whether it matters how an answer spells its names.
    pub fn keeps_names(&self) -> bool {
        self.spelling.is_some()
    }

    /// Has the names of an answer written as the upstream spelled them.
    pub fn spell(&self, extensions: &mut Extensions, names: &[Bytes]) {
        if let Some(spelled) = spelling::extensions(names) {
            extensions.extend(spelled);
        }
    }

    /// The protocol the client asked to change to, when that was passed on.
    pub fn upgrade(&self) -> Option<&HeaderValue> {
        self.upgrade.as_ref()
    }

    /// Makes an upstream's head ours: `upstream` is where it is, for what it says of itself.
    pub fn apply(&self, parts: &mut Parts, upstream: &UpstreamName<'_>) {
        parts.version = Version::HTTP_11;
        let found = Found::in_answer(&parts.headers);
        let trailers = (found.coding && found.trailer).then(|| announced(&parts.headers));
        if found.coding {
            // The coding said where the body ended; a length beside it is a trap for the next hop.
            parts.headers.remove(CONTENT_LENGTH);
        }
        if found.hop {
            remove_hop_by_hop(&mut parts.headers);
        }
        if found.cookies {
            cookies::refuse(&mut parts.headers, self.cookie.as_ref());
        }
        let prefix = self.route.stripped_prefix();
        if found.addresses || found.cookies {
            let names = Names {
                scheme: self.scheme,
                authority: &self.authority,
                upstream,
                literal: self.literal_host(),
                prefix: prefix.unwrap_or_default(),
            };
            if found.addresses {
                names.mend_addresses(&mut parts.headers);
            }
            if found.cookies {
                names.mend_cookies(&mut parts.headers);
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

/// What of an answer's headers must be looked at closer, found in one pass over them.
#[derive(Default)]
struct Found {
    /// Something concerns one hop only, `Connection` for example.
    hop: bool,
    coding: bool,
    trailer: bool,
    cookies: bool,
    /// A header that holds addresses.
    addresses: bool,
}

impl Found {
    fn in_answer(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        for name in headers.keys() {
            match name.as_str().as_bytes().first() {
                Some(b'c') => {
                    found.hop |= *name == CONNECTION;
                    found.addresses |= *name == CONTENT_LOCATION;
                }
                Some(b'l') => found.addresses |= *name == LOCATION || *name == LINK,
                Some(b'r') => found.addresses |= *name == REFRESH,
                Some(b's') => found.cookies |= *name == SET_COOKIE,
                Some(b'h' | b'k' | b'p' | b't' | b'u') => {
                    found.hop |= namespace::is_hop_by_hop(name.as_str().as_bytes());
                    found.coding |= *name == TRANSFER_ENCODING;
                    found.trailer |= *name == TRAILER;
                }
                _ => {}
            }
        }
        found
    }
}

/// Which trailers an answer announces, but for those that are taken out.
fn announced(headers: &HeaderMap) -> Option<HeaderValue> {
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
    unwanted.extend(nominated(headers).filter(|name| !framed(name)));
    for name in unwanted {
        headers.remove(name);
    }
}
