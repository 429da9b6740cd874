//! Whether a request is a person going somewhere: only those are ever sent to log in.

use http::HeaderMap;

use super::page::Lang;
use crate::request::head::Head;

pub(super) use crate::request::request_kind::{
    RequestKind, request_kind, single_header, single_header_lossy,
};

/// Whether a request that changes something comes from a page of ours (or from no browser at all).
pub(super) fn is_same_origin(head: &Head<'_>) -> bool {
    match (
        single_header(head.headers, "origin"),
        single_header(head.headers, "sec-fetch-site"),
    ) {
        (Some(origin), _) => origin == head.origin(),
        (None, Some(site)) => matches!(site, "same-origin" | "none"),
        // An old browser posting a form across sites would send neither: a cookie is not enough.
        (None, None) => single_header_lossy(head.headers, "referer")
            .and_then(|referer| url::Url::parse(&referer).ok())
            .is_some_and(|referer| referer.origin().ascii_serialization() == head.origin()),
    }
}

/// The language to answer a request in.
pub(super) fn lang(headers: &HeaderMap) -> Lang {
    Lang::of(single_header_lossy(headers, "accept-language").as_deref())
}

/// Whether a browser says that it shows the answer in a tab, and gives it to no script.
pub(super) fn opens_in_tab(head: &Head<'_>) -> bool {
    single_header(head.headers, "sec-fetch-mode") == Some("navigate")
        && single_header(head.headers, "sec-fetch-dest") == Some("document")
}

/// Whether a browser says that it loads a page into another page's frame.
pub(super) fn loads_in_frame(head: &Head<'_>) -> bool {
    let dest = single_header(head.headers, "sec-fetch-dest");
    matches!(dest, Some("iframe" | "frame" | "embed" | "object"))
}
