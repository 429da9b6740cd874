//! The style sheet and the icon of the console.

use std::sync::LazyLock;

use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};

use super::PATH;
use super::request::ConsoleRequest;
use crate::face::reply;
use crate::keys;
use crate::request::Body;

const STYLE: &str = include_str!("../../../../templates/console/style.css");
const ICON: &str = include_str!("../../../../templates/console/icon.svg");

/// Differs for each content of the style sheet.
static STYLE_VERSION: LazyLock<String> = LazyLock::new(|| {
    let digest = keys::fingerprint(&[b"style", STYLE.as_bytes()]);
    let digits = digest.iter().take(6).map(|byte| format!("{byte:02x}"));
    digits.collect()
});

/// The address of the style sheet.
pub(super) fn style_href() -> String {
    format!("{PATH}/style.css?v={}", *STYLE_VERSION)
}

pub(super) fn style(request: &ConsoleRequest<'_>) -> Response<Body> {
    let response = file("text/css; charset=utf-8", STYLE);
    match request.parameter("v") == Some(STYLE_VERSION.as_str()) {
        true => kept(response, "public, max-age=31536000, immutable"),
        false => response,
    }
}

pub(super) fn icon() -> Response<Body> {
    kept(file("image/svg+xml", ICON), "public, max-age=86400")
}

fn file(content_type: &'static str, content: &str) -> Response<Body> {
    let mut response = reply::text_for_operators(StatusCode::OK, content_type, content.to_owned());
    let headers = response.headers_mut();
    headers.insert(
        "cross-origin-resource-policy",
        HeaderValue::from_static("same-origin"),
    );
    headers.insert(
        "content-security-policy",
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    );
    response
}

fn kept(mut response: Response<Body>, cache_control: &'static str) -> Response<Body> {
    let cache_control = HeaderValue::from_static(cache_control);
    response.headers_mut().insert(CACHE_CONTROL, cache_control);
    response
}
