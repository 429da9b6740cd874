//! Which headers travel: what is removed from a request, what is written, what comes back.
//!
//! [`Onward`] is computed from the decision while the request is still lent to it, owns what will be
//! written, and is then applied to the request. What it leaves behind, [`Inward`], is applied to the
//! response.

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};

use super::head::Head;
use super::policy::Permit;
use super::route::{HostHeader, Preflight, Route};

mod cookies;
mod encoding;
mod inward;
mod namespace;
#[cfg(test)]
mod tests;
mod trace;
mod written;

pub use encoding::{EncodeError, VALUE_BYTES_MAX, list, text};
pub use inward::Inward;
pub use namespace::{Namespace, is_reserved};
pub use trace::{REQUEST_ID_BYTES_MAX, RequestId};
pub use written::Identity;

use namespace::Fate;

/// What an upstream's request will look like. Owns everything it will write.
///
/// Its `Debug` shows no values: they name people, and may hold credentials.
#[derive(Clone)]
pub struct Onward {
    route: Arc<Route>,
    namespace: Namespace,
    written: Vec<(HeaderName, HeaderValue)>,
    /// `host[:port]` as the client knows us.
    authority: HeaderValue,
    /// The target without the route's prefix, when that is taken off.
    target: Option<PathAndQuery>,
    continues_trace: bool,
}

impl std::fmt::Debug for Onward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.written.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Onward")
            .field("written", &names)
            .finish_non_exhaustive()
    }
}

impl Onward {
    /// Computes it, evaluating the route's own headers.
    pub fn new(permit: &Permit, head: &Head<'_>, id: &RequestId, namespace: &Namespace) -> Self {
        let route = permit.route();
        let authority = written::authority(head);
        let (traceparent, continues_trace) = trace::traceparent(head.headers, id);
        let mut written = Vec::with_capacity(16 + route.headers.own.len());
        written::hops(&mut written, head, &authority);
        written.push((HeaderName::from_static("x-request-id"), id.value().clone()));
        written.push((HeaderName::from_static("traceparent"), traceparent));
        written::prefix(&mut written, route);
        written::identity(&mut written, permit);
        written::tokens(&mut written, permit, head);
        written::own(&mut written, permit, head);
        Self {
            route: Arc::clone(route),
            namespace: namespace.clone(),
            written,
            authority,
            target: stripped(route, head),
            continues_trace,
        }
    }

    /// Every header that will be written, the last of a name winning.
    pub fn written(&self) -> &[(HeaderName, HeaderValue)] {
        &self.written
    }

    /// The names among a client's headers that do not travel.
    pub fn unwanted(&self, headers: &HeaderMap) -> Vec<HeaderName> {
        let mut unwanted: Vec<HeaderName> = headers
            .keys()
            .filter(|name| !self.travels(name))
            .cloned()
            .collect();
        for name in nominated(headers) {
            // Without them hyper could not frame the message, nor would a host be asked for.
            if name != CONTENT_LENGTH && name != HOST && headers.contains_key(&name) {
                unwanted.push(name);
            }
        }
        unwanted
    }

    /// Makes a client's head the upstream's: nothing that is ours survives but what we write.
    pub fn apply(self, parts: &mut Parts) -> Inward {
        let upgrade = asked_upgrade(parts);
        let trailers = tokens(&parts.headers, &TE).any(|token| is_token(token, "trailers"));
        for name in self.unwanted(&parts.headers) {
            parts.headers.remove(name);
        }
        if !self.continues_trace {
            parts.headers.remove("tracestate");
        }
        cookies::cut(&mut parts.headers);
        self.write(parts, upgrade.as_ref(), trailers);
        parts.version = Version::HTTP_11;
        let target = self.target.or_else(|| parts.uri.path_and_query().cloned());
        let target = target.unwrap_or_else(|| PathAndQuery::from_static("/"));
        parts.uri = Uri::from(target);
        Inward::new(self.route, self.authority, upgrade)
    }

    fn write(&self, parts: &mut Parts, upgrade: Option<&HeaderValue>, trailers: bool) {
        let headers = &mut parts.headers;
        headers.reserve(self.written.len() + 3);
        for (name, value) in &self.written {
            // What a route readmits is the client's when the client sends it.
            if !(self.readmits(name) && headers.contains_key(name)) {
                headers.insert(name.clone(), value.clone());
            }
        }
        match &self.route.host_header {
            HostHeader::Literal(host) => headers.insert(HOST, host.clone()),
            HostHeader::Client | HostHeader::Upstream => {
                headers.insert(HOST, self.authority.clone())
            }
        };
        match (upgrade, trailers) {
            (Some(protocol), _) => {
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(UPGRADE, protocol.clone());
            }
            (None, true) => {
                headers.insert(CONNECTION, HeaderValue::from_static("te"));
                headers.insert(TE, HeaderValue::from_static("trailers"));
            }
            (None, false) => {}
        }
    }

    fn travels(&self, name: &HeaderName) -> bool {
        match self.namespace.fate(name) {
            Fate::Drop => false,
            Fate::Hearsay => self.readmits(name),
            Fate::Method => self.readmits(name) || !self.judges_method(),
            Fate::Pass => !self.is_replaced_authorization(name),
        }
    }

    fn readmits(&self, name: &HeaderName) -> bool {
        let pass = &self.route.headers.pass;
        !pass.is_empty() && pass.contains(name) && !self.namespace.includes(name)
    }

    /// Whether the method was part of the decision, by a rule or as a preflight that passes.
    fn judges_method(&self) -> bool {
        let rule = self.route.allow.as_ref();
        self.route.preflight == Preflight::Pass
            || rule.is_some_and(|rule| rule.looks_at("request.method"))
    }

    /// `Authorization` is the application's, except on a route that writes it.
    fn is_replaced_authorization(&self, name: &HeaderName) -> bool {
        let rules = &self.route.headers;
        name == http::header::AUTHORIZATION
            && (rules.basic_auth.is_some()
                || rules.id_token
                || rules.own.iter().any(|(own, _)| own == name))
    }
}

/// The target without the route's prefix; its other bytes are as they were judged.
fn stripped(route: &Route, head: &Head<'_>) -> Option<PathAndQuery> {
    let prefix = inward::prefix_of(route)?;
    let path = head.path.as_str().get(prefix.len()..)?;
    let path = if path.is_empty() { "/" } else { path };
    let target = match head.path.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    PathAndQuery::from_maybe_shared(bytes::Bytes::from(target)).ok()
}

/// The protocol a client asks to change to, when we let it.
///
/// A tunnel of plain HTTP would carry requests past every decision, so those are refused.
fn asked_upgrade(parts: &Parts) -> Option<HeaderValue> {
    let mut protocols = parts.headers.get_all(UPGRADE).iter();
    let (Some(protocol), None) = (protocols.next(), protocols.next()) else {
        return None;
    };
    let start = protocol.as_bytes().trim_ascii();
    let smuggles = [&b"h2"[..], b"http", b"tls"].iter().any(|bad| {
        start
            .get(..bad.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(bad))
    });
    let one = !start.is_empty() && !start.contains(&b',');
    let asks = parts.version == Version::HTTP_11
        && parts.method != Method::CONNECT
        && tokens(&parts.headers, &CONNECTION).any(|token| is_token(token, "upgrade"));
    (asks && one && !smuggles).then(|| protocol.clone())
}

/// The names that `Connection` nominates for removal (RFC 9110 7.6.1).
fn nominated(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    tokens(headers, &CONNECTION)
        .filter(|token| {
            !["close", "keep-alive", "upgrade"]
                .iter()
                .any(|own| is_token(token, own))
        })
        .filter_map(|token| HeaderName::from_bytes(token).ok())
}

/// The comma separated tokens of all headers of a name.
fn tokens<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

fn is_token(token: &[u8], known: &str) -> bool {
    token.eq_ignore_ascii_case(known.as_bytes())
}
