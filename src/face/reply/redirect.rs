//! Answers that send a browser on to another address.

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::{empty, full};
use crate::request::Body;

/// Sends a browser on by GET; what cannot stand in a header leads home. Browsers guess the encoding of
/// what is not ASCII in a `Location`, and proxies refuse it.
pub(in crate::face) fn redirect(to: &str) -> Response<Body> {
    let to = utf8_percent_encode(to, &AsciiSet::EMPTY).to_string();
    let mut response = Response::new(match link_page(&to) {
        Some(page) => full(page),
        None => empty(),
    });
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    let location = HeaderValue::from_str(&to).unwrap_or(HeaderValue::from_static("/"));
    headers.insert(LOCATION, location);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(CONTENT_TYPE, html);
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(CONTENT_SECURITY_POLICY, nothing);
    response
}

/// The same after a POST: the browser must not post again.
pub(in crate::face) fn see_other(to: &str) -> Response<Body> {
    let mut response = redirect(to);
    *response.status_mut() = StatusCode::SEE_OTHER;
    response
}

/// A page with a link to the same address. A proxy may show the answer under another status, as nginx
/// does by `error_page 401 =403` and Traefik by its middleware for errors; browsers follow `Location`
/// of a 3xx only, and an empty page would be the end.
fn link_page(to: &str) -> Option<String> {
    let leads = ["/", "http://", "https://"];
    if !leads.iter().any(|start| to.starts_with(start)) {
        return None;
    }
    let to = to.replace('&', "&amp;").replace('"', "&quot;");
    let to = to.replace('<', "&lt;").replace('>', "&gt;");
    Some(format!(
        "<!doctype html><meta charset=\"utf-8\"><title>继续 Continue</title>\
         <p><a href=\"{to}\">继续 Continue</a></p>\n"
    ))
}
