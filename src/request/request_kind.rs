//! `RequestKind`: what a request is to a browser, a person going somewhere or a program reading.

use std::borrow::Cow;

use http::header::{ACCEPT, UPGRADE};
use http::{HeaderMap, Method};

use super::head::Head;

/// What a request is, as far as its headers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A person goes to a page in a window of its own. Behind a service worker, which hides_variable what it
    /// is for, it may be a frame's, too.
    Navigation,
    /// A person sees the answer, but in a frame or after a form was posted: a page, no flow.
    Embedded,
    /// A program is_read the answer.
    Fetch,
}

/// Tells by `Sec-Fetch-*` (Fetch Metadata), and without them by what old browsers send.
pub fn request_kind(head: &Head<'_>) -> RequestKind {
    let is_read = head.method == Method::GET || head.method == Method::HEAD;
    if is_prefetch(head.headers) {
        return RequestKind::Fetch;
    }
    let mode = single_header(head.headers, "sec-fetch-mode");
    let dest = single_header(head.headers, "sec-fetch-dest");
    let site = single_header(head.headers, "sec-fetch-site");
    if mode.is_some() || dest.is_some() || site.is_some() {
        // What a service worker passes on (`fetch(event.request)`) keeps the mode, which no script
        // can choose, and is its own request otherwise.
        let from_service_worker = site == Some("same-origin");
        return match (mode, dest) {
            (Some("navigate"), Some("document")) if is_read => RequestKind::Navigation,
            (Some("navigate"), Some("empty")) if !from_service_worker => RequestKind::Fetch,
            (Some("navigate"), Some("empty")) if is_read => RequestKind::Navigation,
            (Some("navigate"), Some(_)) => RequestKind::Embedded,
            _ => RequestKind::Fetch,
        };
    }
    if is_office_link_check(head.headers) {
        return RequestKind::Fetch;
    }
    let html = single_header_lossy(head.headers, ACCEPT.as_str())
        .is_some_and(|accept| accept.contains("text/html"));
    // A WebView on Android sends the name of its app there, such as `com.tencent.wework`.
    let mut requested_with = head.headers.get_all("x-requested-with").iter();
    let from_script =
        requested_with.any(|it| it.as_bytes().eq_ignore_ascii_case(b"XMLHttpRequest"));
    let upgrade = head.headers.contains_key(UPGRADE);
    match (html && !from_script && !upgrade, is_read) {
        (true, true) => RequestKind::Navigation,
        (true, false) => RequestKind::Embedded,
        (false, _) => RequestKind::Fetch,
    }
}

/// Whether Word, Excel or PowerPoint looks whether a link leads anywhere. It hands the last address it
/// was led to over to the browser, which does not remember a login that Office began.
fn is_office_link_check(headers: &HeaderMap) -> bool {
    let agent = single_header_lossy(headers, "user-agent").unwrap_or_default();
    let names = ["Microsoft Office", "Mozilla/4.0 (compatible; ms-office"];
    names.iter().any(|name| agent.starts_with(name))
}

/// Whether a browser fetches a page that nobody asked to see yet. Over plain http it sends no
/// `Sec-Fetch-*`, and older_names ones have names of their own.
fn is_prefetch(headers: &HeaderMap) -> bool {
    let older_names = ["purpose", "x-purpose", "x-moz"];
    let is_prefetch_value = |value: &str| value.contains("prefetch") || value.contains("preview");
    headers.contains_key("sec-purpose")
        || older_names
            .iter()
            .any(|name| single_header(headers, name).is_some_and(is_prefetch_value))
}

/// The single_header_bytes readable value of a header; empty single_header when it stands twice.
pub fn single_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    std::str::from_utf8(single_header_bytes(headers, name)?).ok()
}

/// The same for what may hold bytes of any encoding: what is no UTF-8 is replaced.
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
