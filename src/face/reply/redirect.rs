//! Redirects.

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::{empty, full};
use crate::request::Body;

/// Redirects with 302. Other characters than ASCII are percent-encoded, because browsers guess their
/// encoding and proxies refuse them. A URL that is invalid in a header becomes `/`.
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

/// Redirects with 303, so that the browser does not repeat a POST.
pub(in crate::face) fn see_other(to: &str) -> Response<Body> {
    let mut response = redirect(to);
    *response.status_mut() = StatusCode::SEE_OTHER;
    response
}

/// A page that links to the same URL. A proxy may send the response with another status (nginx with
/// `error_page 401 =403`, Traefik with its errors middleware), and browsers follow `Location` only
/// for a 3xx.
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
