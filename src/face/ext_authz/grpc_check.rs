//! Reads the original request from Envoy's `CheckRequest`. Missing fields are unknown, and
//! contradictory ones are refused.

use std::net::IpAddr;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::wire::{self, CheckRequest};
use crate::request::head::{HeadError, OriginalRequest, scheme_uses_tls};
use crate::request::target;

/// The maximum number of headers. Envoy's own default limit is 100.
const HEADERS_MAX: usize = 1024;
/// The key in `context_extensions` that names a route.
const ROUTE_KEY: &[u8] = b"route";

/// The original request of one check.
#[derive(Debug)]
pub(super) struct GrpcCheck {
    host: Bytes,
    target: Option<PathAndQuery>,
    method: Option<Method>,
    secure: Option<bool>,
    client: Option<IpAddr>,
    pub(super) headers: HeaderMap,
    /// The route to decide on, if the check names one.
    pub(super) route: Option<Bytes>,
}

impl GrpcCheck {
    /// Reads a check of a trusted peer.
    pub(super) fn read(request: CheckRequest) -> Result<Self, HeadError> {
        let attributes = request.attributes.unwrap_or_default();
        let http = attributes.request.and_then(|request| request.http);
        let http = http.unwrap_or_default();
        let is_set = |bytes: &Bytes| !bytes.is_empty();
        let raw_headers = http.header_map.unwrap_or_default().headers;
        Ok(Self {
            headers: headers(http.headers, raw_headers)?,
            target: Some(&http.path)
                .filter(|path| is_set(path))
                .map(parse_target)
                .transpose()?,
            method: Some(http.method)
                .filter(is_set)
                .map(parse_method)
                .transpose()?,
            secure: Some(http.scheme).filter(is_set).map(uses_tls).transpose()?,
            client: attributes.source.and_then(client_ip),
            route: route(&attributes.context_extensions)?,
            host: http.host,
        })
    }

    pub(super) fn original(&self) -> Result<OriginalRequest<'_>, HeadError> {
        if self.host.is_empty() {
            return Err(HeadError::CheckWithoutHost("attributes.request.http.host"));
        }
        Ok(OriginalRequest {
            host: std::str::from_utf8(&self.host).map_err(|_| HeadError::BadHost)?,
            target: self.target.as_ref(),
            method: self.method.as_ref(),
            secure: self.secure,
            client: self.client,
            headers: &self.headers,
        })
    }
}

fn parse_target(path: &Bytes) -> Result<PathAndQuery, HeadError> {
    if !path.starts_with(b"/") {
        return Err(HeadError::Forwarded("path"));
    }
    target::parse(path).ok_or(HeadError::Target)
}

fn parse_method(method: Bytes) -> Result<Method, HeadError> {
    Method::from_bytes(&method).map_err(|_| HeadError::Forwarded("method"))
}

fn uses_tls(scheme: Bytes) -> Result<bool, HeadError> {
    let text = std::str::from_utf8(&scheme).map_err(|_| HeadError::Forwarded("scheme"))?;
    scheme_uses_tls(text)
}

/// The client's IP address; a client on a unix socket has none.
fn client_ip(source: wire::Peer) -> Option<IpAddr> {
    let address = source.address?.socket_address?.address;
    std::str::from_utf8(&address).ok()?.parse().ok()
}

fn route(extensions: &[wire::HeaderValue]) -> Result<Option<Bytes>, HeadError> {
    let mut routes = extensions.iter().filter(|pair| pair.key == ROUTE_KEY);
    let first = routes.next().map(|pair| pair.value.clone());
    if routes.any(|pair| Some(&pair.value) != first.as_ref()) {
        return Err(HeadError::Forwarded("context_extensions.route"));
    }
    Ok(first)
}

/// Both lists of headers without pseudo-headers.
fn headers(
    merged: Vec<wire::HeaderValue>,
    raw: Vec<wire::HeaderValue>,
) -> Result<HeaderMap, HeadError> {
    let invalid = HeadError::Forwarded("headers");
    let count = merged.len() + raw.len();
    if count > HEADERS_MAX {
        return Err(invalid);
    }
    let mut headers = HeaderMap::with_capacity(count);
    for pair in merged.into_iter().chain(raw) {
        if pair.key.starts_with(b":") {
            continue;
        }
        let value = match (pair.value.is_empty(), pair.raw_value.is_empty()) {
            (false, false) if pair.value != pair.raw_value => return Err(invalid),
            (true, false) => pair.raw_value,
            _ => pair.value,
        };
        let name = HeaderName::from_bytes(&pair.key).map_err(|_| invalid)?;
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| invalid)?;
        headers.try_append(name, value).map_err(|_| invalid)?;
    }
    Ok(headers)
}
