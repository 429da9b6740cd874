//! Which headers travel: what is removed from a request, what is written, what comes back.
//!
//! [`Onward`] is computed from the decision while the request is still lent to it and owns what will
//! be written; then it writes the upstream's head, in one pass over the client's. [`Inward`] is what
//! the way back must know, and is applied to the response.

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TE, TRAILER, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use super::head::Head;
use super::policy::Permit;
use super::route::{HostHeader, Preflight, Route};
use crate::client::Client;

mod addresses;
mod assertion;
mod connection_auth;
mod cookies;
mod encoding;
mod granted;
mod inward;
mod mended;
mod namespace;
mod spelling;
#[cfg(test)]
mod tests;
mod trace;
mod written;

pub use assertion::Asserter;
pub use connection_auth::authenticates_connection;
pub use encoding::{EncodeError, VALUE_BYTES_MAX, list, text};
pub use granted::Granted;
pub use inward::Inward;
pub use mended::UpstreamName;
pub use namespace::{Namespace, is_reserved};
pub use trace::{REQUEST_ID_BYTES_MAX, RequestId};
pub use written::Identity;

use addresses::Addresses;
use namespace::Fate;
use spelling::Spelling;
use written::Written;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// What of a site decides how requests to upstreams are written.
#[derive(Clone, Copy, Debug)]
pub struct Writing<'a> {
    /// The header names that are ours.
    pub namespace: &'a Namespace,
    /// What signs assertions.
    pub asserter: &'a Asserter,
}

/// What an upstream's request will look like. Owns everything it will write.
///
/// Its `Debug` shows no values: they name people, and may hold credentials.
#[derive(Clone)]
pub struct Onward {
    route: Arc<Route>,
    namespace: Namespace,
    written: Written,
    /// `host[:port]` as the client knows us.
    authority: HeaderValue,
    /// `https` or `http`, as the client speaks to us.
    scheme: &'static str,
    /// The target without the route's prefix, when that is taken off.
    target: Option<PathAndQuery>,
    continues_trace: bool,
    /// Whose share of an upstream it takes.
    client: Option<Client>,
    from_trusted: bool,
    /// The headers that hold further addresses; absent on most.
    addresses: Option<Box<Addresses>>,
}

/// What a request's head says of the length of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Nothing, because there is no body.
    Unsaid,
    /// So many bytes.
    Bytes(u64),
    /// Its chunks will tell.
    Chunked,
}

impl Length {
    /// In bytes; absent: only the end will tell.
    pub fn known(self) -> Option<u64> {
        match self {
            Self::Unsaid => Some(0),
            Self::Bytes(bytes) => Some(bytes),
            Self::Chunked => None,
        }
    }
}

impl std::fmt::Debug for Onward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Onward").finish_non_exhaustive()
    }
}

impl Onward {
    /// Computes it, evaluating the route's own headers.
    pub fn new(permit: &Permit, head: &Head<'_>, id: &RequestId, writing: Writing<'_>) -> Self {
        let route = permit.route();
        let authority = written::authority(head);
        let (traceparent, continues_trace) = trace::traceparent(head.headers, id);
        let mut onward = Self {
            route: Arc::clone(route),
            namespace: writing.namespace.clone(),
            written: Written::default(),
            target: stripped(route, head),
            authority,
            scheme: head.scheme(),
            continues_trace,
            client: head.sharing_client(),
            from_trusted: head.peer_trusted,
            addresses: Addresses::of(route, head),
        };
        let mut written = onward.unreadmitted(head.headers);
        written.hops(head, &onward.authority);
        written.line(&X_REQUEST_ID, id.value().as_bytes());
        written.line(&TRACEPARENT, &traceparent);
        written.prefix(route);
        written.identity(permit);
        written.assertion(permit, head, writing.asserter);
        written.tokens(permit, head);
        written.own(permit, head);
        onward.written = written;
        onward
    }

    /// Whose share of an upstream the request takes; nobody's for a proxy that names nobody.
    pub fn client(&self) -> Option<Client> {
        self.client
    }

    /// Whether the request came from a proxy that is trusted, which may bring many people.
    pub fn comes_from_trusted(&self) -> bool {
        self.from_trusted
    }

    /// Whether the route's own headers authenticate the connection, so that nobody else may use it.
    pub fn authenticates_connection(&self) -> bool {
        self.written.authenticates_connection()
    }

    /// What the way back must know of a request.
    pub fn inward(&self, parts: &Parts) -> Inward {
        let (route, authority) = (Arc::clone(&self.route), self.authority.clone());
        let spelling = route.keep_header_case.then(|| Spelling::of(parts));
        Inward::new(route, authority, self.scheme, asked_upgrade(parts))
            .spelled(spelling)
            .with_cookies(self.namespace.cookie())
    }

    /// The names that are ours in this request.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Writes the upstream's head as HTTP/1.1: what travels of the client's, and nothing that is
    /// ours but what we write.
    pub fn write(
        &self,
        head: &mut Vec<u8>,
        parts: &Parts,
        inward: &Inward,
        upstream: UpstreamName<'_>,
        length: Length,
    ) {
        let target = self.target.as_ref().or_else(|| parts.uri.path_and_query());
        let target = target.map_or("/", PathAndQuery::as_str);
        head.extend_from_slice(parts.method.as_str().as_bytes());
        head.push(b' ');
        // Of `http://host?query` this is the query alone; its path was judged as `/`.
        if !target.starts_with('/') {
            head.push(b'/');
        }
        head.extend_from_slice(target.as_bytes());
        head.extend_from_slice(b" HTTP/1.1\r\n");
        let host = match &self.route.host_header {
            HostHeader::Literal(host) => host,
            HostHeader::Client => &self.authority,
            HostHeader::Upstream => upstream.authority,
        };
        line(head, &HOST, host.as_bytes());
        self.write_clients(head, &parts.headers);
        head.extend_from_slice(self.written.lines());
        if let Some(addresses) = &self.addresses {
            addresses.write(head, &self.route.host_header, upstream);
        }
        match inward.upgrade() {
            Some(protocol) => {
                head.extend_from_slice(b"connection: upgrade\r\n");
                line(head, &UPGRADE, protocol.as_bytes());
            }
            None if takes_trailers(&parts.headers) => {
                head.extend_from_slice(b"connection: te\r\nte: trailers\r\n");
            }
            None => {}
        }
        match length {
            Length::Unsaid => {}
            Length::Bytes(bytes) => {
                line(head, &CONTENT_LENGTH, HeaderValue::from(bytes).as_bytes());
            }
            Length::Chunked => {
                head.extend_from_slice(b"transfer-encoding: chunked\r\n");
                let trailers = trailers_of(&parts.headers, &self.namespace);
                if !trailers.is_empty() {
                    line(head, &TRAILER, &trailers);
                }
            }
        }
        head.extend_from_slice(b"\r\n");
        if let Some(spelling) = inward.spelling() {
            spelling.respell(head);
        }
    }

    /// Writes what travels of a client's headers.
    fn write_clients(&self, head: &mut Vec<u8>, headers: &HeaderMap) {
        let nominated: Vec<_> = nominated(headers).collect();
        let mut last: Option<(&HeaderName, bool)> = None;
        for (name, value) in headers {
            let goes = match last {
                Some((before, goes)) if std::ptr::eq(before, name) => goes,
                _ => self.travels(name) && !nominated.contains(name),
            };
            last = Some((name, goes));
            if goes {
                line(head, name, value.as_bytes());
            }
        }
        if !nominated.contains(&COOKIE) {
            cookies::write_others(head, headers, &self.namespace);
        }
    }

    /// Room for what we write, without what a route readmits and the client sent.
    fn unreadmitted(&self, headers: &HeaderMap) -> Written {
        let pass = self.route.headers.pass.iter();
        let sent = pass.filter(|name| headers.contains_key(*name) && self.readmits(name));
        let sent: Vec<_> = sent.cloned().collect();
        match sent.is_empty() {
            true => Written::default(),
            false => {
                let nominated: Vec<_> = nominated(headers).collect();
                let left = sent.into_iter().filter(|name| !nominated.contains(name));
                Written::without(left.collect())
            }
        }
    }

    /// Whether a header goes on as the client sent it. Those that every request has of ours are
    /// written elsewhere.
    fn travels(&self, name: &HeaderName) -> bool {
        if [&HOST, &COOKIE, &CONTENT_LENGTH].contains(&name)
            || (*name == TRACESTATE && !self.continues_trace)
            || (*name == TRACEPARENT && !self.readmits(name))
            || self.addresses.as_ref().is_some_and(|own| own.include(name))
        {
            return false;
        }
        match self.namespace.fate(name) {
            Fate::Drop => false,
            Fate::Hearsay => self.readmits(name),
            Fate::Method => self.readmits(name) || !judges_method(&self.route),
            Fate::Pass => !is_replaced_authorization(&self.route, name),
        }
    }

    fn readmits(&self, name: &HeaderName) -> bool {
        readmits(&self.route, &self.namespace, name)
    }
}

/// Whether a route lets a client's header through although it is removed elsewhere.
fn readmits(route: &Route, namespace: &Namespace, name: &HeaderName) -> bool {
    let pass = &route.headers.pass;
    !pass.is_empty() && pass.contains(name) && !namespace.includes(name)
}

/// Whether the method was part of the decision, by a rule or as a preflight that passes.
fn judges_method(route: &Route) -> bool {
    let rule = route.allow.as_ref();
    route.preflight == Preflight::Pass || rule.is_some_and(|rule| rule.reads("request.method"))
}

/// `Authorization` is the application's, except on a route that writes it.
fn is_replaced_authorization(route: &Route, name: &HeaderName) -> bool {
    let rules = &route.headers;
    name == http::header::AUTHORIZATION
        && (rules.basic_auth.is_some()
            || rules.id_token
            || rules.own.iter().any(|(own, _)| own == name))
}

/// Writes one line of a head.
fn line(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    let name = name.as_str().as_bytes();
    head.reserve(name.len() + value.len() + 4);
    head.extend_from_slice(name);
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// The trailers that a head announces, but for those that are taken out.
fn trailers_of(headers: &HeaderMap, namespace: &Namespace) -> Vec<u8> {
    let mut names = Vec::new();
    for token in tokens(headers, &TRAILER) {
        let Ok(name) = HeaderName::from_bytes(token) else {
            continue;
        };
        if namespace.lets_trail(&name) {
            if !names.is_empty() {
                names.extend_from_slice(b", ");
            }
            names.extend_from_slice(token);
        }
    }
    names
}

/// Whether the client reads trailers, so that the upstream may send them.
fn takes_trailers(headers: &HeaderMap) -> bool {
    tokens(headers, &TE).any(|token| is_token(token, "trailers"))
}

/// The target without the route's prefix; its other bytes are as they were judged.
fn stripped(route: &Route, head: &Head<'_>) -> Option<PathAndQuery> {
    let prefix = route.stripped_prefix()?;
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
