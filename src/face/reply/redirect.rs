//! Redirects.

use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::{empty, full};
use crate::request::Body;

/// Redirects with 302. Non-ASCII characters are percent-encoded, because browsers guess their encoding
/// and proxies refuse them. A URL that is invalid in a header becomes `/`.
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
    let content_type = HeaderValue::from_static("text/html; charset=utf-8");
    headers.insert(CONTENT_TYPE, content_type);
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
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
/// for a 3xx. `None` for a URL that is no safe link, such as `javascript:`.
fn link_page(to: &str) -> Option<String> {
    let safe_starts = ["/", "http://", "https://"];
    if !safe_starts.iter().any(|start| to.starts_with(start)) {
        return None;
    }
    let to = to.replace('&', "&amp;").replace('"', "&quot;");
    let to = to.replace('<', "&lt;").replace('>', "&gt;");
    Some(format!(
        "<!doctype html><meta charset=\"utf-8\"><title>继续 Continue</title>\
         <p><a href=\"{to}\">继续 Continue</a></p>\n"
    ))
}
