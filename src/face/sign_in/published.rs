//! What menshen publishes below its prefix for everybody: the scripts and the logo of its pages, and its public
//! keys.

use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderValue, Method, StatusCode};

use super::super::page::Cause;
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply};

/// `Cache-Control` of the key set: caches keep the keys for the lifetime of an assertion, 300 seconds.
const JWKS_CACHE_CONTROL: &str = "public, max-age=300";

/// `Cache-Control` of the logo, whose URL on pages changes with the file.
const LOGO_CACHE_CONTROL: &str = "public, max-age=3600";

/// The policy of the logo (CSP level 3): a browser that opens an SVG file as a document gives it an origin of
/// its own, runs no script of it and loads nothing for it.
const LOGO_POLICY: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

/// `GET /logo`: the logo of `[pages]`.
pub(super) fn logo(context: &RequestContext<'_>) -> LoggedResponse {
    let Some(logo) = &context.site.pages.logo else {
        let page = reply::problem(context, Cause::NotFound, None);
        return LoggedResponse::own_path("no logo", page);
    };
    if ![Method::GET, Method::HEAD].contains(context.head.method) {
        return LoggedResponse::own_path("method", reply::method_not_allowed("GET, HEAD"));
    }
    let mut response = reply::file(logo.content_type, logo.bytes.clone());
    let policy = HeaderValue::from_static(LOGO_POLICY);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    let response = reply::cacheable(response, LOGO_CACHE_CONTROL);
    LoggedResponse::own_path(
        "logo",
        reply::without_body_if_head(context.head.method, response),
    )
}

/// A script of menshen's pages.
pub(super) fn script(context: &RequestContext<'_>, text: &str) -> LoggedResponse {
    let content_type = "text/javascript; charset=utf-8";
    let response = reply::text(StatusCode::OK, content_type, text.to_owned());
    LoggedResponse::own_path(
        "script",
        reply::without_body_if_head(context.head.method, response),
    )
}

/// `GET /jwks.json`: the public keys by which applications verify assertions. An administrator first adds
/// a new key after the old one, so that it is published before it signs.
pub(super) fn jwks(context: &RequestContext<'_>) -> LoggedResponse {
    if ![Method::GET, Method::HEAD].contains(context.head.method) {
        return LoggedResponse::own_path("method", reply::method_not_allowed("GET, HEAD"));
    }
    let keys: Vec<_> = context.site.ring.public_keys().collect();
    let set = serde_json::json!({ "keys": keys });
    let response = reply::cacheable(reply::json(StatusCode::OK, &set), JWKS_CACHE_CONTROL);
    LoggedResponse::own_path(
        "keys",
        reply::without_body_if_head(context.head.method, response),
    )
}
