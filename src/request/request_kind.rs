//! `RequestKind`: whether a response will be shown to a person or read by a program.

use std::borrow::Cow;

use http::header::{ACCEPT, UPGRADE};
use http::{HeaderMap, Method};

use super::head::Head;

/// The purpose of a request, according to its headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A top-level page load, which may be redirected to a login. Behind a service worker, which
    /// hides the destination, it may also be a frame.
    Navigation,
    /// A page load in a frame, or after a form was posted: the response may be a page but must not
    /// start a login.
    Embedded,
    /// Any other request; a script, another program or a prefetch reads the response.
    Fetch,
}

/// Classifies by `Sec-Fetch-*` (Fetch Metadata) or, without these, by the headers of older
/// browsers.
pub fn request_kind(head: &Head<'_>) -> RequestKind {
    let is_get_or_head = head.method == Method::GET || head.method == Method::HEAD;
    if is_prefetch(head.headers) {
        return RequestKind::Fetch;
    }
    let mode = single_header(head.headers, "sec-fetch-mode");
    let dest = single_header(head.headers, "sec-fetch-dest");
    let site = single_header(head.headers, "sec-fetch-site");
    if mode.is_some() || dest.is_some() || site.is_some() {
        // A request that a service worker forwards (`fetch(event.request)`) keeps its mode, which
        // scripts cannot set, but loses its destination and counts as same-origin.
        let from_service_worker = site == Some("same-origin");
        return match (mode, dest) {
            (Some("navigate"), Some("document")) if is_get_or_head => RequestKind::Navigation,
            (Some("navigate"), Some("empty")) if !from_service_worker => RequestKind::Fetch,
            (Some("navigate"), Some("empty")) if is_get_or_head => RequestKind::Navigation,
            (Some("navigate"), Some(_)) => RequestKind::Embedded,
            _ => RequestKind::Fetch,
        };
    }
    if is_office_link_check(head.headers) {
        return RequestKind::Fetch;
    }
    let accepts_html = single_header_lossy(head.headers, ACCEPT.as_str())
        .is_some_and(|accept| accept.contains("text/html"));
    // Android WebViews send the name of their app in this header, such as `com.tencent.wework`.
    let mut requested_with = head.headers.get_all("x-requested-with").iter();
    let from_script =
        requested_with.any(|value| value.as_bytes().eq_ignore_ascii_case(b"XMLHttpRequest"));
    let requests_upgrade = head.headers.contains_key(UPGRADE);
    match (
        accepts_html && !from_script && !requests_upgrade,
        is_get_or_head,
    ) {
        (true, true) => RequestKind::Navigation,
        (true, false) => RequestKind::Embedded,
        (false, _) => RequestKind::Fetch,
    }
}

/// Whether a program without a browser sends the request, so that a challenge for Basic credentials shows
/// nobody a password dialog. Browsers send `Sec-Fetch-*`; over plain HTTP they do not, and are recognized
/// by their `User-Agent`. Thunderbird has that of a browser, but its calendars use the methods of WebDAV.
pub fn is_from_program(head: &Head<'_>) -> bool {
    let names = [
        "sec-fetch-mode",
        "sec-fetch-dest",
        "sec-fetch-site",
        "x-requested-with",
    ];
    let from_browser = names.iter().any(|name| head.headers.contains_key(*name))
        || single_header_lossy(head.headers, "user-agent")
            .is_some_and(|agent| agent.starts_with("Mozilla/"));
    let uses_webdav = matches!(head.method.as_str(), "PROPFIND" | "PROPPATCH" | "REPORT");
    request_kind(head) == RequestKind::Fetch && (!from_browser || uses_webdav)
}

/// Whether Word, Excel or PowerPoint checks a link. Office follows redirects and then opens the
/// last address in a browser, which lacks the cookies of a login that Office began.
fn is_office_link_check(headers: &HeaderMap) -> bool {
    let agent = single_header_lossy(headers, "user-agent").unwrap_or_default();
    let names = ["Microsoft Office", "Mozilla/4.0 (compatible; ms-office"];
    names.iter().any(|name| agent.starts_with(name))
}

/// Whether a browser loads a page ahead of time. `Sec-Purpose` says so, also over plain HTTP, where
/// `Sec-Fetch-*` is absent; older browsers use the other three.
pub fn is_prefetch(headers: &HeaderMap) -> bool {
    let older_names = ["purpose", "x-purpose", "x-moz"];
    let is_prefetch_value = |value: &str| value.contains("prefetch") || value.contains("preview");
    headers.contains_key("sec-purpose")
        || older_names
            .iter()
            .any(|name| single_header(headers, name).is_some_and(is_prefetch_value))
}

/// The value of a header as text: empty if the header is repeated, `None` if it is absent or not UTF-8.
pub fn single_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    std::str::from_utf8(single_header_bytes(headers, name)?).ok()
}

/// Like [`single_header`], with invalid UTF-8 replaced.
pub fn single_header_lossy<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    single_header_bytes(headers, name).map(String::from_utf8_lossy)
}

fn single_header_bytes<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        (Some(_), Some(_)) => Some(b""),
        (None, _) => None,
    }
}
