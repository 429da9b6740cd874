//! Whether a request is a person going somewhere: only those are ever sent to log in.

use http::header::{ACCEPT, UPGRADE};
use http::{HeaderMap, Method};

use super::page::Lang;
use crate::request::head::Head;

/// What a request is, as far as its headers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Errand {
    /// A person goes to a page in a window of its own.
    Navigation,
    /// A person sees the answer, but in a frame or after a form was posted: a page, no flow.
    Embedded,
    /// A program reads the answer.
    Program,
}

/// Tells by `Sec-Fetch-*` (Fetch Metadata), and without them by what old browsers send.
pub(super) fn errand(head: &Head<'_>) -> Errand {
    let reads = head.method == Method::GET || head.method == Method::HEAD;
    let mode = text(head.headers, "sec-fetch-mode");
    let dest = text(head.headers, "sec-fetch-dest");
    if mode.is_some() || dest.is_some() || head.headers.contains_key("sec-fetch-site") {
        let prefetch = head.headers.contains_key("sec-purpose");
        return match (mode, dest) {
            (Some("navigate"), Some("document")) if reads && !prefetch => Errand::Navigation,
            (Some("navigate"), Some(_)) if !prefetch => Errand::Embedded,
            _ => Errand::Program,
        };
    }
    let html =
        text(head.headers, ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/html"));
    let by_script = head.headers.contains_key("x-requested-with");
    let upgrade = head.headers.contains_key(UPGRADE);
    match (html && !by_script && !upgrade, reads) {
        (true, true) => Errand::Navigation,
        (true, false) => Errand::Embedded,
        (false, _) => Errand::Program,
    }
}

/// Whether a request that changes something comes from a page of ours (or from no browser at all).
pub(super) fn is_same_origin(head: &Head<'_>) -> bool {
    match (
        text(head.headers, "origin"),
        text(head.headers, "sec-fetch-site"),
    ) {
        (Some(origin), _) => origin == head.origin(),
        (None, Some(site)) => matches!(site, "same-origin" | "none"),
        // An old browser posting a form across sites would send neither: a cookie is not enough.
        (None, None) => text(head.headers, "referer")
            .and_then(|referer| url::Url::parse(referer).ok())
            .is_some_and(|referer| referer.origin().ascii_serialization() == head.origin()),
    }
}

/// The language to answer a request in.
pub(super) fn lang(headers: &HeaderMap) -> Lang {
    Lang::of(text(headers, "accept-language"))
}

/// The one readable value of a header; empty text when it stands twice.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) => Some(""),
        (None, _) => None,
    }
}
