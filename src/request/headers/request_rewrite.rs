//! `RequestRewrite`: writes a request head for the upstream.

use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, HOST, TE, TRAILER, UPGRADE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};

use super::address_headers::AddressHeaders;
use super::header_case::HeaderCase;
use super::header_lines::{self, HeaderLines};
use super::protected_headers::{Disposition, ProtectedHeaders};
use super::response_addresses::UpstreamOrigin;
use super::response_rewrite::ResponseRewrite;
use super::trace::{self, RequestId};
use super::{
    RewriteOptions, TRACEPARENT, TRACESTATE, X_REQUEST_ID, append_line, connection_options,
    cookies, decision_depends_on_method, forwarded_trailer_names, is_access_token,
    is_replaced_authorization, passes_header, token_equals, tokens,
};
use crate::client::Client;
use crate::request::head::Head;
use crate::request::policy::Permit;
use crate::request::route::{HostHeader, Route};

/// The rewrite of one request for its upstream.
///
/// `Debug` shows no values: they identify persons and may be credentials.
#[derive(Clone)]
pub struct RequestRewrite {
    route: Arc<Route>,
    protected_headers: ProtectedHeaders,
    header_lines: HeaderLines,
    /// `host[:port]` as the client sent it.
    authority: HeaderValue,
    /// `https` or `http`, as the client sees it.
    scheme: &'static str,
    /// The target without the route's prefix, if that is removed.
    target: Option<PathAndQuery>,
    continues_trace: bool,
    /// The client that upstream limits count the request for.
    client: Option<Client>,
    from_trusted_proxy: bool,
    /// The rewritten headers that name addresses besides the target; absent on most requests.
    address_headers: Option<Box<AddressHeaders>>,
}

/// How the request head announces the length of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// Not at all, because there is no body.
    NoBody,
    /// `Content-Length`.
    Bytes(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
}

impl BodyLength {
    /// The length in bytes; `None` for a chunked body.
    pub fn known(self) -> Option<u64> {
        match self {
            Self::NoBody => Some(0),
            Self::Bytes(bytes) => Some(bytes),
            Self::Chunked => None,
        }
    }
}

impl std::fmt::Debug for RequestRewrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestRewrite").finish_non_exhaustive()
    }
}

impl RequestRewrite {
    /// Computes the rewrite, including the route's custom headers.
    pub fn new(
        permit: &Permit,
        head: &Head<'_>,
        id: &RequestId,
        rewrite_options: RewriteOptions<'_>,
    ) -> Self {
        let route = permit.route();
        let authority = header_lines::authority(head);
        let (traceparent, continues_trace) = trace::traceparent(head.headers, id);
        let mut request_rewrite = Self {
            route: Arc::clone(route),
            protected_headers: rewrite_options.protected_headers.clone(),
            header_lines: HeaderLines::default(),
            target: stripped_target(route, head),
            authority,
            scheme: head.scheme(),
            continues_trace,
            client: head.client_for_limits(),
            from_trusted_proxy: head.peer_trusted,
            address_headers: AddressHeaders::of(route, head),
        };
        let mut header_lines = request_rewrite.lines_without_passed_names(head.headers);
        header_lines.add_forwarding_headers(head, &request_rewrite.authority);
        header_lines.add(&X_REQUEST_ID, id.value().as_bytes());
        header_lines.add(&TRACEPARENT, &traceparent);
        header_lines.add_prefix(route);
        header_lines.add_identity(permit);
        header_lines.add_assertion(permit, head, rewrite_options.assertion_signer);
        header_lines.add_provider_tokens(permit, head);
        header_lines.add_custom_headers(permit, head);
        request_rewrite.header_lines = header_lines;
        request_rewrite
    }

    /// The client that upstream limits count the request for; absent for a proxy that names none.
    pub fn client(&self) -> Option<Client> {
        self.client
    }

    /// Whether the peer is a trusted proxy, which sends requests of many persons.
    pub fn comes_from_trusted_proxy(&self) -> bool {
        self.from_trusted_proxy
    }

    /// Whether the route's custom headers authenticate the whole connection, so that no other
    /// client may use it.
    pub fn authenticates_connection(&self) -> bool {
        self.header_lines.authenticates_connection()
    }

    /// The rewrite of the response to a request.
    pub fn response_rewrite(&self, parts: &Parts) -> ResponseRewrite {
        let (route, authority) = (Arc::clone(&self.route), self.authority.clone());
        let header_case = route.keep_header_case.then(|| HeaderCase::of(parts));
        ResponseRewrite::new(route, authority, self.scheme, requested_upgrade(parts))
            .with_header_case(header_case)
            .with_cookie_name(self.protected_headers.configured_cookie_name())
    }

    pub fn protected_headers(&self) -> &ProtectedHeaders {
        &self.protected_headers
    }

    /// Writes the upstream's request head as HTTP/1.1: the client's headers that are forwarded, and
    /// the headers that menshen sets.
    pub fn write(
        &self,
        head: &mut Vec<u8>,
        parts: &Parts,
        response_rewrite: &ResponseRewrite,
        upstream: UpstreamOrigin<'_>,
        length: BodyLength,
    ) {
        let target = self.target.as_ref().or_else(|| parts.uri.path_and_query());
        let target = target.map_or("/", PathAndQuery::as_str);
        head.extend_from_slice(parts.method.as_str().as_bytes());
        head.push(b' ');
        // The target of `http://host?query` is the query alone; its path was judged as `/`.
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
        append_line(head, &HOST, host.as_bytes());
        self.write_client_headers(head, &parts.headers);
        head.extend_from_slice(self.header_lines.lines());
        if let Some(address_headers) = &self.address_headers {
            address_headers.write(head, &self.route.host_header, upstream);
        }
        match response_rewrite.upgrade() {
            Some(protocol) => {
                head.extend_from_slice(b"connection: upgrade\r\n");
                append_line(head, &UPGRADE, protocol.as_bytes());
            }
            None if accepts_trailers(&parts.headers) => {
                head.extend_from_slice(b"connection: te\r\nte: trailers\r\n");
            }
            None => {}
        }
        match length {
            BodyLength::NoBody => {}
            BodyLength::Bytes(bytes) => {
                append_line(head, &CONTENT_LENGTH, HeaderValue::from(bytes).as_bytes());
            }
            BodyLength::Chunked => {
                head.extend_from_slice(b"transfer-encoding: chunked\r\n");
                let trailers = forwarded_trailer_names(&parts.headers, &self.protected_headers);
                if !trailers.is_empty() {
                    append_line(head, &TRAILER, &trailers);
                }
            }
        }
        head.extend_from_slice(b"\r\n");
        if let Some(header_case) = response_rewrite.header_case() {
            header_case.apply(head);
        }
    }

    /// Writes the client's headers that are forwarded.
    fn write_client_headers(&self, head: &mut Vec<u8>, headers: &HeaderMap) {
        let connection_options: Vec<_> = connection_options(headers).collect();
        // The name of the last header and whether it is forwarded: repeated headers follow each other.
        let mut last: Option<(&HeaderName, bool)> = None;
        for (name, value) in headers {
            let is_forwarded = match last {
                Some((last_name, is_forwarded)) if std::ptr::eq(last_name, name) => is_forwarded,
                _ => self.is_forwarded(name) && !connection_options.contains(name),
            };
            last = Some((name, is_forwarded));
            if is_forwarded && !is_access_token(name, value) {
                append_line(head, name, value.as_bytes());
            }
        }
        if !connection_options.contains(&COOKIE) {
            cookies::write_application_cookies(head, headers, &self.protected_headers);
        }
    }

    /// An empty set of lines that never adds a header which the client sent and the route passes.
    fn lines_without_passed_names(&self, headers: &HeaderMap) -> HeaderLines {
        let pass = self.route.headers.pass.iter();
        let passed = pass.filter(|name| headers.contains_key(*name) && self.passes_header(name));
        let passed: Vec<_> = passed.cloned().collect();
        match passed.is_empty() {
            true => HeaderLines::default(),
            false => {
                let connection_options: Vec<_> = connection_options(headers).collect();
                let passed = passed
                    .into_iter()
                    .filter(|name| !connection_options.contains(name));
                HeaderLines::without(passed.collect())
            }
        }
    }

    /// Whether a client's header is forwarded unchanged. Headers that menshen sets on every request
    /// are written separately.
    fn is_forwarded(&self, name: &HeaderName) -> bool {
        if [&HOST, &COOKIE, &CONTENT_LENGTH].contains(&name)
            || (*name == TRACESTATE && !self.continues_trace)
            || (*name == TRACEPARENT && !self.passes_header(name))
            || self
                .address_headers
                .as_ref()
                .is_some_and(|headers| headers.include(name))
        {
            return false;
        }
        match self.protected_headers.disposition(name) {
            Disposition::Drop => false,
            Disposition::Untrusted => self.passes_header(name),
            Disposition::MethodOverride => {
                self.passes_header(name) || !decision_depends_on_method(&self.route)
            }
            Disposition::Pass => !is_replaced_authorization(&self.route, name),
        }
    }

    fn passes_header(&self, name: &HeaderName) -> bool {
        passes_header(&self.route, &self.protected_headers, name)
    }
}

/// Whether the client accepts trailers, so that the upstream may send them.
fn accepts_trailers(headers: &HeaderMap) -> bool {
    tokens(headers, &TE).any(|token| token_equals(token, "trailers"))
}

/// The target without the route's prefix; its other bytes are unchanged.
fn stripped_target(route: &Route, head: &Head<'_>) -> Option<PathAndQuery> {
    let prefix = route.stripped_prefix()?;
    let path = head.path.as_str().get(prefix.len()..)?;
    let path = if path.is_empty() { "/" } else { path };
    let target = match head.path.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    PathAndQuery::from_maybe_shared(bytes::Bytes::from(target)).ok()
}

/// The protocol that a client asks to upgrade to, if that is allowed.
///
/// Protocols that carry HTTP requests are not: their requests would bypass every decision.
fn requested_upgrade(parts: &Parts) -> Option<HeaderValue> {
    let mut protocols = parts.headers.get_all(UPGRADE).iter();
    let (Some(protocol), None) = (protocols.next(), protocols.next()) else {
        return None;
    };
    let name = protocol.as_bytes().trim_ascii();
    let carries_http = [&b"h2"[..], b"http", b"tls"].iter().any(|forbidden| {
        name.get(..forbidden.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(forbidden))
    });
    let is_single = !name.is_empty() && !name.contains(&b',');
    let requests_upgrade = parts.version == Version::HTTP_11
        && parts.method != Method::CONNECT
        && tokens(&parts.headers, &CONNECTION).any(|token| token_equals(token, "upgrade"));
    (requests_upgrade && is_single && !carries_http).then(|| protocol.clone())
}
