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

use super::super::browser::{loads_in_frame, opens_in_tab};
use super::super::page::{FramePage, HandOverPage, Href, PageInfo};
use super::super::{RequestContext, reply, urls};
use super::cross_host::NONCES_MAX;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::login::ticket::{FRAME_NONCE_AGE_MAX_S, Nonce};
use crate::request::Body;

/// Marks an address of a login whose ticket a page in a frame waits for.
pub(super) const FRAME_PARAMETER: (&str, &str) = ("f", "1");

/// Whether an address says that a page in a frame waits, and a tab shows the answer.
pub(super) fn is_requested(context: &RequestContext<'_>, query: &Fields) -> bool {
    let (name, value) = FRAME_PARAMETER;
    query.one(name) == Ok(Some(value)) && may_issue_ticket(context)
}

/// Whether the answer to a request may give a ticket for a frame: no script reads it. A browser that
/// does not say so is an old one.
pub(super) fn may_issue_ticket(context: &RequestContext<'_>) -> bool {
    context.site.allows_framed_sign_in && opens_in_tab(context.head)
}

/// Whether a request is for a page in a frame, on a site where people sign in there.
pub(super) fn accepts_ticket(context: &RequestContext<'_>) -> bool {
    context.site.allows_framed_sign_in && loads_in_frame(context.head)
}

/// For a stranger who asks for a page of an application in a frame.
pub(super) fn application_page(context: &RequestContext<'_>) -> Response<Body> {
    let place = match *context.head.method {
        http::Method::GET => urls::requested(context),
        // What was posted cannot be asked for again.
        _ => format!("{}/", context.head.origin()),
    };
    page(context, StatusCode::UNAUTHORIZED, &place, false)
}

/// For a frame that was led to an own page of ours. A ticket counts on the host that the frame is at,
/// so that must be the one the person wants to go to.
pub(super) fn own_page(context: &RequestContext<'_>, place: &ReturnTo) -> Response<Body> {
    let home = context.site.external_url.origin().ascii_serialization();
    let origin = place.origin().unwrap_or(&home);
    let place = place.absolute_from(&context.site.external_url);
    if origin == context.head.origin() {
        return page(context, StatusCode::UNAUTHORIZED, &place, false);
    }
    let rd = utf8_percent_encode(&place, urls::QUERY_VALUE);
    reply::redirect(&format!("{origin}{}/start?rd={rd}", context.site.prefix))
}

/// For a frame that brought a ticket that lets nobody in.
pub(super) fn ticket_failed(context: &RequestContext<'_>, to: Option<&str>) -> Response<Body> {
    let place = format!("{}{}", context.head.origin(), to.unwrap_or("/"));
    page(context, StatusCode::BAD_REQUEST, &place, true)
}

fn page(
    context: &RequestContext<'_>,
    status: StatusCode,
    place: &str,
    failed: bool,
) -> Response<Body> {
    let site = context.site;
    let nonce = current_nonce(context).unwrap_or_else(Nonce::random);
    let hash = nonce.hash();
    let (name, value) = FRAME_PARAMETER;
    let start = format!(
        "{}?rd={}&k={}&{name}={value}",
        urls::on_login_host(context, "start"),
        utf8_percent_encode(place, urls::QUERY_VALUE),
        hash.as_str()
    );
    let host = context.head.host.to_string();
    let page = FramePage {
        info: PageInfo {
            site: &host,
            request_id: context.id.as_str(),
        },
        start: Href::new(start),
        return_to: Href::new(place),
        home: &site.external_url.origin().ascii_serialization(),
        post_to: Href::new(format!("{}/ticket", site.prefix)),
        script: Href::new(format!("{}/frame.js", site.prefix)),
        framed_by: &site.frame_ancestors,
        failed,
    };
    let mut response = reply::page_response(status, &page.render(context.lang()));
    let name = format!("{}{}", site.cookies.nonce_prefix(), hash.as_str());
    let (value, age) = (nonce.expose(), FRAME_NONCE_AGE_MAX_S);
    let cookie = site.cookies.set_embedded(&name, value, age);
    reply::add_cookie(&mut response, &cookie);
    // Frames that load at once are given one each; the next page keeps the first ones.
    let kept = reply::cookies_with_prefix(context.head.headers, site.cookies.nonce_prefix());
    for (surplus, _) in kept.skip(NONCES_MAX) {
        reply::add_cookie(&mut response, &site.cookies.clear_embedded(surplus));
    }
    response
}

/// The nonce that this frame, or another one of the same page and host, was given before.
fn current_nonce(context: &RequestContext<'_>) -> Option<Nonce> {
    let prefix = context.site.cookies.nonce_prefix();
    let mut kept =
        reply::cookies_with_prefix(context.head.headers, prefix).filter_map(|(name, value)| {
            let nonce = Nonce::from_cookie(value);
            (name.strip_prefix(prefix) == Some(nonce.hash().as_str())).then_some(nonce)
        });
    kept.next()
}

/// The page of the tab that gives the ticket to the frame, which is of this origin.
pub(super) fn hand_over_page(
    context: &RequestContext<'_>,
    origin: &Url,
    ticket: &str,
    place: &ReturnTo,
) -> Response<Body> {
    let site = context.head.host.to_string();
    let page = HandOverPage {
        info: PageInfo {
            site: &site,
            request_id: context.id.as_str(),
        },
        to: &origin.origin().ascii_serialization(),
        ticket,
        return_to: Href::new(place.absolute_from(&context.site.external_url)),
        script: Href::new(format!("{}/hand_over.js", context.site.prefix)),
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}
