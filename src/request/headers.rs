//! Rewrites headers: of requests to an upstream, of its responses, and for proxies that ask for a
//! decision.
//!
//! [`RequestRewrite`] is computed while the decision borrows the request, and owns what it will
//! write. It then writes the upstream's request head in one pass over the client's.
//! [`ResponseRewrite`] holds what the response needs of the request.

use http::header::{CONNECTION, TRAILER};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::access_token;
use super::route::{Preflight, Route};

mod address_headers;
mod assertion;
mod connection_auth;
mod cookies;
mod encoding;
mod header_case;
mod header_changes;
mod header_lines;
mod identity_headers;
mod protected_headers;
mod request_rewrite;
mod response_addresses;
mod response_rewrite;
#[cfg(test)]
mod tests;
mod trace;

pub use assertion::AssertionSigner;
pub use connection_auth::authenticates_connection;
pub use encoding::{EncodeError, VALUE_BYTES_MAX, encode_list, encode_text};
pub use header_changes::HeaderChanges;
pub use identity_headers::IdentityHeaders;
pub use protected_headers::{ProtectedHeaders, is_reserved};
pub use request_rewrite::{BodyLength, RequestRewrite};
pub use response_addresses::UpstreamOrigin;
pub use response_rewrite::ResponseRewrite;
pub use trace::{REQUEST_ID_BYTES_MAX, RequestId};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The settings of a site that affect the headers sent to upstreams.
#[derive(Clone, Copy, Debug)]
pub struct RewriteOptions<'a> {
    /// The header names that only menshen may set.
    pub protected_headers: &'a ProtectedHeaders,
    pub assertion_signer: &'a AssertionSigner,
}

/// Whether `pass_headers` of the route keeps a header that is removed by default.
fn passes_header(route: &Route, protected_headers: &ProtectedHeaders, name: &HeaderName) -> bool {
    let pass = &route.headers.pass;
    !pass.is_empty() && pass.contains(name) && !protected_headers.includes(name)
}

/// Whether the decision depends on the method, by a rule or because preflights pass.
fn decision_depends_on_method(route: &Route) -> bool {
    let rule = route.allow.as_ref();
    route.preflight == Preflight::Pass || rule.is_some_and(|rule| rule.reads("request.method"))
}

/// Whether the header is `Authorization` and the route sets it, so that the client's is not forwarded.
fn is_replaced_authorization(route: &Route, name: &HeaderName) -> bool {
    let rules = &route.headers;
    name == http::header::AUTHORIZATION
        && (rules.basic_auth.is_some()
            || rules.id_token
            || rules.custom.iter().any(|(custom, _)| custom == name))
}

/// Whether the header is `Authorization` with an access token, which no application receives, not even on
/// a route that accepts none.
fn is_access_token(name: &HeaderName, value: &HeaderValue) -> bool {
    name == http::header::AUTHORIZATION && access_token::is_in(value)
}

fn append_line(head: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    let name = name.as_str().as_bytes();
    head.reserve(name.len() + value.len() + 4);
    head.extend_from_slice(name);
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// The value of `Trailer`: the announced trailers that are forwarded.
fn forwarded_trailer_names(headers: &HeaderMap, protected_headers: &ProtectedHeaders) -> Vec<u8> {
    let mut names = Vec::new();
    for token in tokens(headers, &TRAILER) {
        let Ok(name) = HeaderName::from_bytes(token) else {
            continue;
        };
        if protected_headers.allows_trailer(&name) {
            if !names.is_empty() {
                names.extend_from_slice(b", ");
            }
            names.extend_from_slice(token);
        }
    }
    names
}

/// The header names in `Connection`; those headers are not forwarded (RFC 9110 7.6.1).
fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    tokens(headers, &CONNECTION)
        .filter(|token| {
            !["close", "keep-alive", "upgrade"]
                .iter()
                .any(|option| token_equals(token, option))
        })
        .filter_map(|token| HeaderName::from_bytes(token).ok())
}

/// The comma-separated tokens of all headers with a name.
fn tokens<'a>(headers: &'a HeaderMap, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
}

fn token_equals(token: &[u8], expected: &str) -> bool {
    token.eq_ignore_ascii_case(expected.as_bytes())
}
