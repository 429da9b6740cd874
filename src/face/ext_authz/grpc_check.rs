//! The original request in Envoy's `CheckRequest`. Missing parts are unknown; a part that is sent
//! twice with different values is refused.

use std::net::IpAddr;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::wire::{self, CheckRequest};
use crate::request::head::{HeadError, Original, parse_scheme};
use crate::request::target;

/// The maximum number of headers of a request. Envoy's own default is 100.
const HEADERS_MAX: usize = 1024;
/// The key of the route name in `context_extensions`.
const ROUTE: &[u8] = b"route";

/// The request that Envoy asks a decision for.
#[derive(Debug)]
pub(super) struct GrpcCheck {
    host: Bytes,
    target: Option<PathAndQuery>,
    method: Option<Method>,
    secure: Option<bool>,
    client: Option<IpAddr>,
    /// The client's headers.
    pub(super) headers: HeaderMap,
    /// The name of the route that decides.
    pub(super) route: Option<Bytes>,
}

impl GrpcCheck {
    /// Reads a message of a trusted peer.
    pub(super) fn read(question: CheckRequest) -> Result<Self, HeadError> {
        let attributes = question.attributes.unwrap_or_default();
        let http = attributes.request.and_then(|request| request.http);
        let http = http.unwrap_or_default();
        let is_given = |bytes: &Bytes| !bytes.is_empty();
        let raw = http.header_map.unwrap_or_default().headers;
        Ok(Self {
            headers: headers(http.headers, raw)?,
            target: Some(&http.path)
                .filter(|path| is_given(path))
                .map(target)
                .transpose()?,
            method: Some(http.method).filter(is_given).map(method).transpose()?,
            secure: Some(http.scheme).filter(is_given).map(scheme).transpose()?,
            client: attributes.source.and_then(client),
            route: route(&attributes.context_extensions)?,
            host: http.host,
        })
    }

    pub(super) fn original(&self) -> Result<Original<'_>, HeadError> {
        if self.host.is_empty() {
            return Err(HeadError::CheckWithoutHost("attributes.request.http.host"));
        }
        Ok(Original {
            host: std::str::from_utf8(&self.host).map_err(|_| HeadError::BadHost)?,
            target: self.target.as_ref(),
            method: self.method.as_ref(),
            secure: self.secure,
            client: self.client,
            headers: &self.headers,
        })
    }
}

fn target(path: &Bytes) -> Result<PathAndQuery, HeadError> {
    if !path.starts_with(b"/") {
        return Err(HeadError::Forwarded("path"));
    }
    target::parse(path).ok_or(HeadError::Target)
}

fn method(method: Bytes) -> Result<Method, HeadError> {
    Method::from_bytes(&method).map_err(|_| HeadError::Forwarded("method"))
}

fn scheme(scheme: Bytes) -> Result<bool, HeadError> {
    let text = std::str::from_utf8(&scheme).map_err(|_| HeadError::Forwarded("scheme"))?;
    parse_scheme(text)
}

/// The IP address of the client; a client on a unix socket has none.
fn client(source: wire::Peer) -> Option<IpAddr> {
    let address = source.address?.socket_address?.address;
    std::str::from_utf8(&address).ok()?.parse().ok()
}

fn route(extensions: &[wire::HeaderValue]) -> Result<Option<Bytes>, HeadError> {
    let mut named = extensions.iter().filter(|pair| pair.key == ROUTE);
    let first = named.next().map(|pair| pair.value.clone());
    if named.any(|pair| Some(&pair.value) != first.as_ref()) {
        return Err(HeadError::Forwarded("context_extensions.route"));
    }
    Ok(first)
}

/// Both lists of headers, without the pseudo-headers of HTTP/2.
fn headers(
    merged: Vec<wire::HeaderValue>,
    raw: Vec<wire::HeaderValue>,
) -> Result<HeaderMap, HeadError> {
    let broken = HeadError::Forwarded("headers");
    let count = merged.len() + raw.len();
    if count > HEADERS_MAX {
        return Err(broken);
    }
    let mut headers = HeaderMap::with_capacity(count);
    for pair in merged.into_iter().chain(raw) {
        if pair.key.starts_with(b":") {
            continue;
        }
        let value = match (pair.value.is_empty(), pair.raw_value.is_empty()) {
            (false, false) if pair.value != pair.raw_value => return Err(broken),
            (true, false) => pair.raw_value,
            _ => pair.value,
        };
        let name = HeaderName::from_bytes(&pair.key).map_err(|_| broken)?;
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| broken)?;
        headers.try_append(name, value).map_err(|_| broken)?;
    }
    Ok(headers)
}
