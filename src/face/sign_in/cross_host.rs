//! From another host of the site to the one that logs people in, with a nonce for the way back.

use http::{Response, StatusCode};
use percent_encoding::utf8_percent_encode;

use super::super::page::{Cause, FragmentPage, Href, PageInfo};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::Target;
use crate::login::fields::Fields;
use crate::login::ticket::{NONCE_AGE_MAX_S, Nonce};
use crate::request::Body;

/// How many nonces one browser keeps for one host at most; the oldest gives way.
pub(super) const NONCES_MAX: usize = 5;

/// Marks an address that was sent to its own host: there it counts, or this goes round for ever.
const REDIRECTED_MARK: (&str, &str) = ("h", "1");

/// Sends a request for an own page to the host that logs people in; one that was sent there already
/// and still does not count as its own is a dead end with a word to the administrator.
pub(super) fn redirect_to_login_host(
    context: &RequestContext<'_>,
    page: &str,
    query: &Fields,
    target: &Target,
) -> LoggedResponse {
    let (name, value) = REDIRECTED_MARK;
    if has_login_hostname(context) && query.one(name) == Ok(Some(value)) {
        tracing::error!(
            request_id = %context.id,
            peer = ?context.head.peer,
            seen_as = context.head.origin(),
            external_url = %context.site.external_url,
            "requests do not arrive as external_url says, so nobody can log in: name the proxy in \
             front in trusted_proxies and let it send X-Forwarded-Proto, or mend external_url"
        );
        return LoggedResponse::own_path(
            "not as external_url says",
            reply::problem(context, Cause::NotHere, None),
        );
    }
    LoggedResponse::own_path(
        "to the home host",
        redirect_with_target(context, page, target),
    )
}

/// Whether the name is that of the host that logs people in, though scheme or port are not.
fn has_login_hostname(context: &RequestContext<'_>) -> bool {
    context.site.external_url.host_str() == Some(context.head.host.as_str())
}

/// Sends a stranger on another host to the host that logs people in, with a nonce for the way back.
pub(super) fn redirect_here(context: &RequestContext<'_>, page: &str) -> Response<Body> {
    let (to, cookie) = login_host_url(context, page, &urls::requested(context));
    let mut response = reply::redirect(&to);
    set_nonce(context, cookie, &mut response);
    response
}

/// The stop that carries the fragment of the address along.
pub(super) fn fragment_page(context: &RequestContext<'_>) -> Response<Body> {
    let (start, cookie) = login_host_url(context, "start", &urls::requested(context));
    let site = context.head.host.to_string();
    let page = FragmentPage {
        info: PageInfo {
            site: &site,
            request_id: context.id.as_str(),
        },
        start: Href::new(start),
        script: Href::new(format!("{}/fragment.js", context.site.prefix)),
    };
    let mut response = reply::page_response(StatusCode::OK, &page.render(context.lang()));
    set_nonce(context, cookie, &mut response);
    response
}

/// Sets a nonce, and takes back those that give way to it.
pub(super) fn set_nonce(
    context: &RequestContext<'_>,
    cookie: Option<String>,
    response: &mut Response<Body>,
) {
    let Some(cookie) = cookie else { return };
    reply::add_cookie(response, &cookie);
    let flags = &context.site.cookies;
    // Browsers name the oldest first (RFC 6265, 5.4).
    let kept: Vec<_> =
        reply::cookies_with_prefix(context.head.headers, flags.nonce_prefix()).collect();
    let surplus = (kept.len() + 1).saturating_sub(NONCES_MAX);
    for (name, _) in kept.iter().take(surplus) {
        reply::add_cookie(response, &flags.clear_local(name));
    }
}

/// The same for a place that was asked for by name; without one, this host's root.
fn redirect_with_target(
    context: &RequestContext<'_>,
    page: &str,
    target: &Target,
) -> Response<Body> {
    let place = target.return_to.as_ref();
    let rd = place.map(|place| place.absolute_from(&context.site.external_url));
    let rd = rd.unwrap_or_else(|| format!("{}/", context.head.origin()));
    let (mut to, cookie) = login_host_url(context, page, &rd);
    for (name, hint) in target.hints.pairs() {
        let hint = utf8_percent_encode(hint, urls::QUERY_VALUE);
        to.push_str(&format!("&{name}={hint}"));
    }
    let mut response = reply::redirect(&to);
    set_nonce(context, cookie, &mut response);
    response
}

/// An own page on the host that logs people in, and the nonce cookie that its ticket must name.
pub(super) fn login_host_url(
    context: &RequestContext<'_>,
    page: &str,
    rd: &str,
) -> (String, Option<String>) {
    let site = context.site;
    let mut to = format!(
        "{}?rd={}",
        urls::on_login_host(context, page),
        utf8_percent_encode(rd, urls::QUERY_VALUE)
    );
    if has_login_hostname(context) && !site.is_login_host(context.head) {
        let (name, value) = REDIRECTED_MARK;
        to.push_str(&format!("&{name}={value}"));
    }
    let rest = rd.strip_prefix(context.head.origin().as_str());
    let comes_back_here = rest.is_some_and(|rest| rest.starts_with('/'));
    let reached =
        site.is_login_host(context.head) || site.session_cookie_reaches(context.head.host.as_str());
    if reached || !comes_back_here {
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
