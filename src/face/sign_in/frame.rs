//! Sign-in inside a frame of another site.
//!
//! Browsers partition the cookies of a third-party frame from those of a tab. The page in the frame
//! sets a nonce cookie, opens a tab for the sign-in, and receives a ticket for that nonce from the tab
//! by `postMessage`, which the browser delivers only to the origin that the sender names. The page
//! posts the ticket and receives a session cookie of its own. The person is asked first: unless the
//! configuration names the allowed sites, any site may frame the page, and a script of an application
//! can open the tab. If an application shares the origin of the tab, its scripts could answer the
//! question themselves, so no ticket is issued there.

use http::{Response, StatusCode};
use percent_encoding::utf8_percent_encode;
use url::Url;

use super::super::browser::{loads_in_frame, opens_in_tab};
use super::super::page::{FramePage, HandOverPage, Href};
use super::super::{RequestContext, reply, urls};
use super::cross_host::NONCES_MAX;
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::login::ticket::{FRAME_NONCE_AGE_MAX_S, Nonce};
use crate::request::Body;

/// Marks a login whose ticket a page in a frame waits for.
pub(super) const FRAME_PARAMETER: (&str, &str) = ("f", "1");

/// Whether the query asks for a ticket for a frame, and [`may_issue_ticket`] allows one.
pub(super) fn is_requested(context: &RequestContext<'_>, query: &Fields) -> bool {
    let (name, value) = FRAME_PARAMETER;
    query.one(name) == Ok(Some(value)) && may_issue_ticket(context)
}

/// Whether the response may contain a ticket for a frame: the site allows sign-in in frames, and the response
/// is shown in a tab, where no script reads it. Old browsers do not send `Sec-Fetch-Dest`, so they get no
/// ticket.
pub(super) fn may_issue_ticket(context: &RequestContext<'_>) -> bool {
    context.site.allows_framed_sign_in && opens_in_tab(context.head)
}

/// Whether the request loads in a frame on a site that allows sign-in there.
pub(super) fn accepts_ticket(context: &RequestContext<'_>) -> bool {
    context.site.allows_framed_sign_in && loads_in_frame(context.head)
}

/// The page for an unauthenticated request for an application in a frame.
pub(super) fn application_page(context: &RequestContext<'_>) -> Response<Body> {
    let return_to = match *context.head.method {
        http::Method::GET => urls::requested(context),
        // A form post cannot be repeated.
        _ => format!("{}/", context.head.origin()),
    };
    page(context, StatusCode::UNAUTHORIZED, &return_to, false)
}

/// The response to a frame that loads an own page. A ticket is valid for the host of the frame
/// only, so the frame is redirected to the host of its return address first.
pub(super) fn own_page(context: &RequestContext<'_>, return_to: &ReturnTo) -> Response<Body> {
    let login_origin = context.site.external_url.origin().ascii_serialization();
    let origin = return_to.origin().unwrap_or(&login_origin);
    let return_to = return_to.absolute(&context.site.external_url);
    if origin == context.head.origin() {
        return page(context, StatusCode::UNAUTHORIZED, &return_to, false);
    }
    let rd = utf8_percent_encode(&return_to, urls::QUERY_VALUE);
    reply::redirect(&format!("{origin}{}/start?rd={rd}", context.site.prefix))
}

/// The page for a frame whose ticket was refused.
pub(super) fn ticket_refused(
    context: &RequestContext<'_>,
    return_path: Option<&str>,
) -> Response<Body> {
    let return_path = return_path.unwrap_or("/");
    let return_to = format!("{}{return_path}", context.head.origin());
    page(context, StatusCode::BAD_REQUEST, &return_to, true)
}

fn page(
    context: &RequestContext<'_>,
    status: StatusCode,
    return_to: &str,
    ticket_was_refused: bool,
) -> Response<Body> {
    let site = context.site;
    let nonce = current_nonce(context).unwrap_or_else(Nonce::random);
    let hash = nonce.hash();
    let (name, value) = FRAME_PARAMETER;
    let start = format!(
        "{}?rd={}&k={}&{name}={value}",
        urls::on_login_host(context, "start"),
        utf8_percent_encode(return_to, urls::QUERY_VALUE),
        hash.as_str()
    );
    let page = FramePage {
        info: context.page_info(),
        start_url: Href::new(start),
        return_to: Href::new(return_to),
        login_origin: &site.external_url.origin().ascii_serialization(),
        post_to: Href::new(format!("{}/ticket", site.prefix)),
        script: Href::new(format!("{}/frame.js", site.prefix)),
        allowed_framers: &site.frame_ancestors,
        ticket_was_refused,
    };
    let mut response = reply::page_response(status, &page.render(context.lang()));
    let name = format!("{}{}", site.cookies.nonce_prefix(), hash.as_str());
    let (value, max_age_s) = (nonce.expose(), FRAME_NONCE_AGE_MAX_S);
    let cookie = site.cookies.set_partitioned(&name, value, max_age_s);
    reply::add_cookie(&mut response, &cookie);
    // Frames that load at the same time get a nonce each, so there may be more than the maximum.
    let existing = reply::cookies_with_prefix(context.head.headers, site.cookies.nonce_prefix());
    for (surplus, _) in existing.skip(NONCES_MAX) {
        reply::add_cookie(&mut response, &site.cookies.clear_partitioned(surplus));
    }
    response
}

/// The nonce that this frame, or another frame of the same page and host, already has.
fn current_nonce(context: &RequestContext<'_>) -> Option<Nonce> {
    let prefix = context.site.cookies.nonce_prefix();
    let mut nonces =
        reply::cookies_with_prefix(context.head.headers, prefix).filter_map(|(name, value)| {
            let nonce = Nonce::from_cookie(value);
            (name.strip_prefix(prefix) == Some(nonce.hash().as_str())).then_some(nonce)
        });
    nonces.next()
}

/// The page in the tab that hands the ticket over to the frame of this origin.
pub(super) fn hand_over_page(
    context: &RequestContext<'_>,
    origin: &Url,
    ticket: &str,
    return_to: &ReturnTo,
) -> Response<Body> {
    let page = HandOverPage {
        info: context.page_info(),
        frame_origin: &origin.origin().ascii_serialization(),
        ticket,
        return_to: Href::new(return_to.absolute(&context.site.external_url)),
        script: Href::new(format!("{}/hand_over.js", context.site.prefix)),
    };
    reply::page_response(StatusCode::OK, &page.render(context.lang()))
}
