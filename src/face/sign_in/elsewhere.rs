//! From another host of the site to the one that logs people in, with a nonce for the way back.

use http::Response;
use percent_encoding::utf8_percent_encode;

use super::super::{Visit, address, reply};
use crate::login::ticket::{NONCE_AGE_MAX_S, Nonce};
use crate::request::Body;

/// Sends a stranger on another host to the host that logs people in, with a nonce for the way back.
pub(super) fn send(visit: &Visit<'_>, page: &str) -> Response<Body> {
    let (to, cookie) = home_url(visit, page, &address::here(visit));
    let mut response = reply::redirect(&to);
    if let Some(cookie) = cookie {
        reply::add_cookie(&mut response, &cookie);
    }
    response
}

/// The same for a place on this host that was asked for by name.
pub(super) fn send_for(visit: &Visit<'_>, page: &str, place: &str) -> Response<Body> {
    let (to, cookie) = home_url(visit, page, &format!("{}{place}", visit.head.origin()));
    let mut response = reply::redirect(&to);
    if let Some(cookie) = cookie {
        reply::add_cookie(&mut response, &cookie);
    }
    response
}

/// An own page on the host that logs people in, and the nonce cookie that its ticket must name.
pub(super) fn home_url(visit: &Visit<'_>, page: &str, rd: &str) -> (String, Option<String>) {
    let site = visit.site;
    let mut to = format!(
        "{}?rd={}",
        address::own(visit, page),
        utf8_percent_encode(rd, address::QUERY_VALUE)
    );
    if site.is_home(visit.head) || site.shares_cookie(visit.head.host.as_str()) {
        return (to, None);
    }
    let nonce = Nonce::random();
    to.push_str("&k=");
    to.push_str(nonce.hash().as_str());
    let name = format!("{}{}", site.cookies.nonce_prefix(), nonce.hash().as_str());
    (
        to,
        Some(
            site.cookies
                .set_local(&name, nonce.expose(), NONCE_AGE_MAX_S),
        ),
    )
}
