//! What request headers say about the browser and the page that sent a request.

use http::{HeaderMap, HeaderValue};

use super::page::Lang;
use crate::request::head::Head;

pub(super) use crate::request::request_kind::{
    RequestKind, is_from_program, is_prefetch, request_kind, single_header, single_header_lossy,
};

/// Whether a state-changing request comes from a page of the same origin. If a browser sends both headers that
/// say so, both must.
pub(super) fn is_same_origin(head: &Head<'_>) -> bool {
    let (origin, site) = (
        head.headers.get_all("origin"),
        head.headers.get_all("sec-fetch-site"),
    );
    let own_origin = head.origin();
    let is_own_origin = |origin: &HeaderValue| origin.as_bytes() == own_origin.as_bytes();
    let is_own_site = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    if !origin.iter().all(is_own_origin) || !site.iter().all(is_own_site) {
        return false;
    }
    match (origin.iter().next(), site.iter().next()) {
        (Some(_), _) | (None, Some(_)) => true,
        // An old browser sends neither header, even with a form of another site, so the Referer decides.
        (None, None) => single_header_lossy(head.headers, "referer")
            .and_then(|referer| url::Url::parse(&referer).ok())
            .is_some_and(|referer| referer.origin().ascii_serialization() == own_origin),
    }
}

pub(super) fn lang(headers: &HeaderMap) -> Lang {
    Lang::of(single_header_lossy(headers, "accept-language").as_deref())
}

/// The language of a problem document.
pub(super) fn program_lang(headers: &HeaderMap) -> Lang {
    Lang::for_program(single_header_lossy(headers, "accept-language").as_deref())
}

/// Whether the browser shows the response in a tab, where no script of another page can read it.
pub(super) fn opens_in_tab(head: &Head<'_>) -> bool {
    single_header(head.headers, "sec-fetch-mode") == Some("navigate")
        && single_header(head.headers, "sec-fetch-dest") == Some("document")
}

/// Whether the browser loads the response into a frame of another page.
pub(super) fn loads_in_frame(head: &Head<'_>) -> bool {
    let dest = single_header(head.headers, "sec-fetch-dest");
    matches!(dest, Some("iframe" | "frame" | "embed" | "object"))
}
