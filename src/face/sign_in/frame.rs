//! Signing in inside another site's frame.
//!
//! A browser keeps the cookies of a frame apart from those of a tab. So the page in the frame sets a
//! nonce, opens a tab to sign in, and gets a ticket for that nonce from the tab, by a message that the
//! browser delivers to one origin only. It posts the ticket for a session cookie of its own. Whoever
//! signs in is asked first: unless the configuration names who may, any site may frame the page, and a
//! script of an application can open the tab. Where an application shares the origin of the tab, its
//! scripts could answer the question themselves, so nothing is handed over there.

use http::{Response, StatusCode};
use percent_encoding::utf8_percent_encode;
use url::Url;

use super::super::navigation::{in_frame, is_shown_in_tab};
use super::super::page::{Footing, FramePage, HandOverPage, Href};
use super::super::{Visit, address, reply};
use super::elsewhere::NONCES_MAX;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::login::ticket::{FRAME_NONCE_AGE_MAX_S, Nonce};
use crate::request::Body;

/// Marks an address of a login whose ticket a page in a frame waits for.
pub(super) const FOR_FRAME: (&str, &str) = ("f", "1");

/// Whether an address says that a page in a frame waits, and a tab shows the answer.
pub(super) fn is_named(visit: &Visit<'_>, query: &Fields) -> bool {
    let (name, value) = FOR_FRAME;
    query.one(name) == Ok(Some(value)) && gives_tickets(visit)
}

/// Whether the answer to a request may give a ticket for a frame: no script reads it. A browser that
/// does not say so is an old one.
pub(super) fn gives_tickets(visit: &Visit<'_>) -> bool {
    visit.site.signs_in_frames && is_shown_in_tab(visit.head)
}

/// Whether a request is for a page in a frame, on a site where people sign in there.
pub(super) fn takes_tickets(visit: &Visit<'_>) -> bool {
    visit.site.signs_in_frames && in_frame(visit.head)
}

/// For a stranger who asks for a page of an application in a frame.
pub(super) fn at_application(visit: &Visit<'_>) -> Response<Body> {
    let place = match *visit.head.method {
        http::Method::GET => address::here(visit),
        // What was posted cannot be asked for again.
        _ => format!("{}/", visit.head.origin()),
    };
    page(visit, StatusCode::UNAUTHORIZED, &place, false)
}

/// For a frame that was led to an own page of ours. A ticket counts on the host that the frame is at,
/// so that must be the one the person wants to go to.
pub(super) fn at_own_page(visit: &Visit<'_>, place: &ReturnTo) -> Response<Body> {
    let home = visit.site.external_url.origin().ascii_serialization();
    let origin = place.origin().unwrap_or(&home);
    let place = place.absolute_from(&visit.site.external_url);
    if origin == visit.head.origin() {
        return page(visit, StatusCode::UNAUTHORIZED, &place, false);
    }
    let rd = utf8_percent_encode(&place, address::QUERY_VALUE);
    reply::redirect(&format!("{origin}{}/start?rd={rd}", visit.site.prefix))
}

/// For a frame that brought a ticket that lets nobody in.
pub(super) fn not_handed_over(visit: &Visit<'_>, to: Option<&str>) -> Response<Body> {
    let place = format!("{}{}", visit.head.origin(), to.unwrap_or("/"));
    page(visit, StatusCode::BAD_REQUEST, &place, true)
}

fn page(visit: &Visit<'_>, status: StatusCode, place: &str, failed: bool) -> Response<Body> {
    let site = visit.site;
    let nonce = known_nonce(visit).unwrap_or_else(Nonce::random);
    let hash = nonce.hash();
    let (name, value) = FOR_FRAME;
    let start = format!(
        "{}?rd={}&k={}&{name}={value}",
        address::own(visit, "start"),
        utf8_percent_encode(place, address::QUERY_VALUE),
        hash.as_str()
    );
    let host = visit.head.host.to_string();
    let page = FramePage {
        footing: Footing {
            site: &host,
            request_id: visit.id.as_str(),
        },
        start: Href::new(start),
        place: Href::new(place),
        home: &site.external_url.origin().ascii_serialization(),
        post_to: Href::new(format!("{}/ticket", site.prefix)),
        script: Href::new(format!("{}/frame.js", site.prefix)),
        framed_by: &site.frame_ancestors,
        failed,
    };
    let mut response = reply::page_response(status, &page.render(visit.lang()));
    let name = format!("{}{}", site.cookies.nonce_prefix(), hash.as_str());
    let (value, age) = (nonce.expose(), FRAME_NONCE_AGE_MAX_S);
    let cookie = site.cookies.set_embedded(&name, value, age);
    reply::add_cookie(&mut response, &cookie);
    // Frames that load at once are given one each; the next page keeps the first ones.
    let kept = reply::cookies_named(visit.head.headers, site.cookies.nonce_prefix());
    for (surplus, _) in kept.skip(NONCES_MAX) {
        reply::add_cookie(&mut response, &site.cookies.clear_embedded(surplus));
    }
    response
}

/// The nonce that this frame, or another one of the same page and host, was given before.
fn known_nonce(visit: &Visit<'_>) -> Option<Nonce> {
    let prefix = visit.site.cookies.nonce_prefix();
    let mut kept = reply::cookies_named(visit.head.headers, prefix).filter_map(|(name, value)| {
        let nonce = Nonce::received(value);
        (name.strip_prefix(prefix) == Some(nonce.hash().as_str())).then_some(nonce)
    });
    kept.next()
}

/// The page of the tab that gives the ticket to the frame, which is of this origin.
pub(super) fn hand_over(
    visit: &Visit<'_>,
    origin: &Url,
    ticket: &str,
    place: &ReturnTo,
) -> Response<Body> {
    let site = visit.head.host.to_string();
    let page = HandOverPage {
        footing: Footing {
            site: &site,
            request_id: visit.id.as_str(),
        },
        to: &origin.origin().ascii_serialization(),
        ticket,
        place: Href::new(place.absolute_from(&visit.site.external_url)),
        script: Href::new(format!("{}/hand_over.js", visit.site.prefix)),
    };
    reply::page_response(StatusCode::OK, &page.render(visit.lang()))
}
