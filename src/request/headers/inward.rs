//! `Inward`: what becomes of an upstream's response head on its way to the browser.

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, LOCATION, SET_COOKIE, TRANSFER_ENCODING, UPGRADE};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version};

use super::{cookies, namespace, nominated};
use crate::request::route::{HostHeader, Route};

/// What the way back must know of the way there.
#[derive(Clone, Debug)]
pub struct Inward {
    route: Arc<Route>,
    /// `host[:port]` as the client knows us.
    authority: HeaderValue,
    upgrade: Option<HeaderValue>,
}

impl Inward {
    pub(super) fn new(
        route: Arc<Route>,
        authority: HeaderValue,
        upgrade: Option<HeaderValue>,
    ) -> Self {
        Self {
            route,
            authority,
            upgrade,
        }
    }

    /// The protocol the client asked to change to, when that was passed on.
    pub fn upgrade(&self) -> Option<&HeaderValue> {
        self.upgrade.as_ref()
    }

    /// Makes an upstream's head ours: `upstream` is its `host:port`, for redirects to itself.
    pub fn apply(&self, parts: &mut Parts, upstream: &HeaderValue) {
        parts.version = Version::HTTP_11;
        if parts.headers.contains_key(TRANSFER_ENCODING) {
            // The coding said where the body ended; a length beside it is a trap for the next hop.
            parts.headers.remove(CONTENT_LENGTH);
        }
        remove_hop_by_hop(&mut parts.headers);
        cookies::refuse(&mut parts.headers);
        if let Some(prefix) = prefix_of(&self.route) {
            self.mend_location(&mut parts.headers, prefix, upstream);
            mend_cookies(&mut parts.headers, prefix);
        }
        if let (Some(protocol), StatusCode::SWITCHING_PROTOCOLS) = (&self.upgrade, parts.status) {
            parts
                .headers
                .insert(CONNECTION, HeaderValue::from_static("upgrade"));
            parts.headers.insert(UPGRADE, protocol.clone());
        }
    }

    /// Puts the prefix back into a redirect to a path, to us, or to the upstream by its own name.
    ///
    /// An upstream that heeds `X-Forwarded-Prefix` has done so already; then nothing is changed.
    fn mend_location(&self, headers: &mut HeaderMap, prefix: &str, upstream: &HeaderValue) {
        let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
            return;
        };
        if location.is_empty() {
            return;
        }
        let (origin, path) = split_origin(location);
        let authority = origin
            .split_once("://")
            .map_or("", |(_, authority)| authority);
        let is = |name: &HeaderValue| authority.as_bytes().eq_ignore_ascii_case(name.as_bytes());
        let path = if path.is_empty() { "/" } else { path };
        let mended = match origin {
            "" if !path.starts_with('/') || path.starts_with("//") => return,
            _ if is_below(path, prefix) => return,
            "" => format!("{prefix}{path}"),
            _ if is(&self.authority) => format!("{origin}{prefix}{path}"),
            _ if is(upstream) || self.literal_host().is_some_and(is) => format!("{prefix}{path}"),
            _ => return,
        };
        if let Ok(value) = HeaderValue::from_str(&mended) {
            headers.insert(LOCATION, value);
        }
    }

    fn literal_host(&self) -> Option<&HeaderValue> {
        match &self.route.host_header {
            HostHeader::Literal(host) => Some(host),
            HostHeader::Client | HostHeader::Upstream => None,
        }
    }
}

/// The prefix a route takes off, without a slash at its end; nothing when there is none.
pub(super) fn prefix_of(route: &Route) -> Option<&str> {
    let prefix = route.path.as_str().trim_end_matches('/');
    (route.strip_path && !prefix.is_empty()).then_some(prefix)
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

fn mend_cookies(headers: &mut HeaderMap, prefix: &str) {
    let values: Vec<_> = headers
        .get_all(SET_COOKIE)
        .iter()
        .map(|v| with_path(v, prefix))
        .collect();
    if values.iter().all(Option::is_none) {
        return;
    }
    let old: Vec<_> = headers.get_all(SET_COOKIE).iter().cloned().collect();
    headers.remove(SET_COOKIE);
    for (old, mended) in old.into_iter().zip(values) {
        headers.append(SET_COOKIE, mended.unwrap_or(old));
    }
}

/// A cookie with the prefix before its path; nothing when it stays as it is.
fn with_path(cookie: &HeaderValue, prefix: &str) -> Option<HeaderValue> {
    let bytes = cookie.as_bytes();
    // Browsers take such a cookie only with `Path=/`.
    let host_only = b"__Host-";
    let name = cookies::set_name(bytes);
    if name
        .get(..host_only.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(host_only))
    {
        return None;
    }
    let mut mended = Vec::with_capacity(bytes.len() + prefix.len());
    let mut changed = false;
    for (at, attribute) in bytes.split(|byte| *byte == b';').enumerate() {
        if at > 0 {
            mended.push(b';');
        }
        let path = (at > 0).then(|| path_of(attribute)).flatten();
        match path.filter(|path| !is_below(path, prefix)) {
            Some(path) => {
                changed = true;
                let rest = if path == "/" { "" } else { path };
                mended.extend_from_slice(format!(" Path={prefix}{rest}").as_bytes());
            }
            None => mended.extend_from_slice(attribute),
        }
    }
    changed
        .then(|| HeaderValue::from_bytes(&mended).ok())
        .flatten()
}

/// The absolute path of a `Path` attribute (RFC 6265 5.2.4).
fn path_of(attribute: &[u8]) -> Option<&str> {
    let (name, path) = std::str::from_utf8(attribute).ok()?.split_once('=')?;
    let path = path.trim();
    (name.trim().eq_ignore_ascii_case("path") && path.starts_with('/')).then_some(path)
}

fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
}

/// `https://host` and the rest; an empty origin when the text does not begin with one.
fn split_origin(location: &str) -> (&str, &str) {
    let Some(at) = location.find("://") else {
        return ("", location);
    };
    let scheme = &location[..at];
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return ("", location);
    }
    let start = at + 3;
    let end = location[start..]
        .find(['/', '?', '#'])
        .map_or(location.len(), |end| start + end);
    location.split_at(end)
}
