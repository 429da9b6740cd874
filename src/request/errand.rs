//! `Errand`: what a request is to a browser, a person going somewhere or a program reading.

use std::borrow::Cow;

use http::header::{ACCEPT, UPGRADE};
use http::{HeaderMap, Method};

use super::head::Head;

/// What a request is, as far as its headers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// A person goes to a page in a window of its own. Behind a service worker, which hides what it
    /// is for, it may be a frame's, too.
    Navigation,
    /// A person sees the answer, but in a frame or after a form was posted: a page, no flow.
    Embedded,
    /// A program reads the answer.
    Program,
}

/// Tells by `Sec-Fetch-*` (Fetch Metadata), and without them by what old browsers send.
pub fn errand(head: &Head<'_>) -> Errand {
    let reads = head.method == Method::GET || head.method == Method::HEAD;
    if is_prefetch(head.headers) {
        return Errand::Program;
    }
    let mode = text(head.headers, "sec-fetch-mode");
    let dest = text(head.headers, "sec-fetch-dest");
    let site = text(head.headers, "sec-fetch-site");
    if mode.is_some() || dest.is_some() || site.is_some() {
        // What a service worker passes on (`fetch(event.request)`) keeps the mode, which no script
        // can choose, and is its own request otherwise.
        let by_worker = site == Some("same-origin");
        return match (mode, dest) {
            (Some("navigate"), Some("document")) if reads => Errand::Navigation,
            (Some("navigate"), Some("empty")) if !by_worker => Errand::Program,
            (Some("navigate"), Some("empty")) if reads => Errand::Navigation,
            (Some("navigate"), Some(_)) => Errand::Embedded,
            _ => Errand::Program,
        };
    }
    if is_office(head.headers) {
        return Errand::Program;
    }
    let html =
        lossy(head.headers, ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/html"));
    // A WebView on Android sends the name of its app there, such as `com.tencent.wework`.
    let mut senders = head.headers.get_all("x-requested-with").iter();
    let by_script = senders.any(|it| it.as_bytes().eq_ignore_ascii_case(b"XMLHttpRequest"));
    let upgrade = head.headers.contains_key(UPGRADE);
    match (html && !by_script && !upgrade, reads) {
        (true, true) => Errand::Navigation,
        (true, false) => Errand::Embedded,
        (false, _) => Errand::Program,
    }
}

/// Whether Word, Excel or PowerPoint looks whether a link leads anywhere. It hands the last address it
/// was led to over to the browser, which does not remember a login that Office began.
fn is_office(headers: &HeaderMap) -> bool {
    let agent = lossy(headers, "user-agent").unwrap_or_default();
    let names = ["Microsoft Office", "Mozilla/4.0 (compatible; ms-office"];
    names.iter().any(|name| agent.starts_with(name))
}

/// Whether a browser fetches a page that nobody asked to see yet. Over plain http it sends no
/// `Sec-Fetch-*`, and older ones have names of their own.
fn is_prefetch(headers: &HeaderMap) -> bool {
    let older = ["purpose", "x-purpose", "x-moz"];
    let ahead = |value: &str| value.contains("prefetch") || value.contains("preview");
    headers.contains_key("sec-purpose")
        || older
            .iter()
            .any(|name| text(headers, name).is_some_and(ahead))
}

/// The one readable value of a header; empty text when it stands twice.
pub fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    std::str::from_utf8(one(headers, name)?).ok()
}

/// The same for what may hold bytes of any encoding: what is no UTF-8 is replaced.
pub fn lossy<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    one(headers, name).map(String::from_utf8_lossy)
}

fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        (Some(_), Some(_)) => Some(b""),
        (None, _) => None,
    }
}
