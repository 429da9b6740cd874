//! Redirects from another host of the site to the login host, with a nonce cookie that the ticket
//! is bound to, and from the login host to another that has not set one yet.

use http::{Response, StatusCode};
use percent_encoding::utf8_percent_encode;
use url::Url;

use super::super::page::{Cause, FragmentPage, Href};
use super::super::record::LoggedResponse;
use super::super::{RequestContext, reply, urls};
use super::{LoginTarget, sent_there};
use crate::login::fields::Fields;
use crate::login::return_to::ReturnTo;
use crate::login::ticket::{NONCE_AGE_MAX_S, Nonce};
use crate::request::Body;
use crate::telemetry::LogLimiter;

/// How many nonce cookies one browser keeps for a host; the oldest is evicted.
pub(super) const NONCES_MAX: usize = 5;

/// The query parameter that marks a redirect to the login host. If the redirected request is not
/// recognized as one to the login host, this prevents a redirect loop.
const REDIRECTED_MARK: (&str, &str) = ("h", "1");

/// The URL on another host of the site that begins the login of this host, which asks for a ticket.
pub(super) fn start_url_there(
    context: &RequestContext<'_>,
    origin: &Url,
    return_to: &ReturnTo,
) -> String {
    let rd = return_to.absolute(&context.site.external_url);
    let mark = sent_there::parameter(&context.site.ring, &rd, context.head.received_at);
    format!(
        "{}{}/start?rd={}&{mark}",
        origin.origin().ascii_serialization(),
        context.site.prefix,
        utf8_percent_encode(&rd, urls::QUERY_VALUE)
    )
}

/// Whether the login host received a request that it sent to another host. Sending it there again would loop.
pub(super) fn came_back(
    context: &RequestContext<'_>,
    query: &Fields,
    target: &LoginTarget,
) -> bool {
    static LOG_LIMITER: LogLimiter = LogLimiter::new();
    let is_here = context.site.is_login_host(context.head);
    let came_back = is_here && was_sent_there(context, query, target);
    if came_back {
        context.services.telemetry.count_login_loop();
        // Everybody who is signed in can cause it.
        if LOG_LIMITER.allow() {
            tracing::error!(
                request_id = %context.id,
                peer = ?context.head.peer,
                "requests for another host arrive as requests for the login host, so nobody can sign in there: \
                 let the proxy in front pass the requested host"
            );
        }
    }
    came_back
}

/// Whether the login host sent this request to another host.
fn was_sent_there(context: &RequestContext<'_>, query: &Fields, target: &LoginTarget) -> bool {
    let return_to = target.return_to.as_ref();
    let rd = return_to.map(|return_to| return_to.absolute(&context.site.external_url));
    let (ring, now) = (&context.site.ring, context.head.received_at);
    sent_there::is_in(query, ring, rd.as_deref(), now)
}

/// Whether the return address is on the requested host, as menshen sees it.
fn returns_here(context: &RequestContext<'_>, target: &LoginTarget) -> bool {
    let origin = target.return_to.as_ref().and_then(ReturnTo::origin);
    origin == Some(context.head.origin().as_str())
}

/// The problem page for a request that the login host sent to a third host, or to another scheme or port. The
/// login host would send it there again.
fn refuse_other_host(context: &RequestContext<'_>) -> LoggedResponse {
    static LOG_LIMITER: LogLimiter = LogLimiter::new();
    context.services.telemetry.count_login_loop();
    // Everybody who is signed in can cause it.
    if LOG_LIMITER.allow() {
        tracing::error!(
            request_id = %context.id,
            peer = ?context.head.peer,
            seen_as = context.head.origin(),
            "requests for a host arrive as requests for another host, scheme or port, so nobody can sign in \
             there: let the proxy in front pass the requested host and X-Forwarded-Proto, and name it in \
             trusted_proxies"
        );
    }
    LoggedResponse::own_path(
        "another host is not recognized",
        reply::problem(context, Cause::NotOnLoginHost, None),
    )
}

/// Redirects a request for an own page to the login host. A request that was redirected already gets a
/// problem page, and the remedy is logged.
pub(super) fn redirect_to_login_host(
    context: &RequestContext<'_>,
    page: &str,
    query: &Fields,
    target: &LoginTarget,
) -> LoggedResponse {
    static LOG_LIMITER: LogLimiter = LogLimiter::new();
    let (name, value) = REDIRECTED_MARK;
    if has_login_hostname(context) && query.one(name) == Ok(Some(value)) {
        // Any client can cause it.
        if LOG_LIMITER.allow() {
            tracing::error!(
                request_id = %context.id,
                peer = ?context.head.peer,
                seen_as = context.head.origin(),
                external_url = %context.site.external_url,
                "requests do not match external_url, so nobody can sign in: name the proxy in front in \
                 trusted_proxies and let it send X-Forwarded-Proto, or correct external_url"
            );
        }
        return LoggedResponse::own_path(
            "external_url does not match",
            reply::problem(context, Cause::NotOnLoginHost, None),
        );
    }
    if was_sent_there(context, query, target) && !returns_here(context, target) {
        return refuse_other_host(context);
    }
    LoggedResponse::own_path(
        "to the login host",
        redirect_own_page(context, page, target),
    )
}

/// Whether the host name is that of the login host, even if scheme or port differ.
fn has_login_hostname(context: &RequestContext<'_>) -> bool {
    context.site.external_url.host_str() == Some(context.head.host.as_str())
}

/// Redirects an unauthenticated request for an application to the login host, with a nonce.
pub(super) fn redirect_application_request(
    context: &RequestContext<'_>,
    page: &str,
) -> Response<Body> {
    let (url, cookie) = login_host_url(context, page, &urls::requested(context));
    let mut response = reply::redirect(&url);
    set_nonce_cookie(context, cookie, &mut response);
    response
}

/// A page whose script appends the URL's fragment to the return address and goes to the login host.
pub(super) fn fragment_page(context: &RequestContext<'_>) -> Response<Body> {
    let (start, cookie) = login_host_url(context, "start", &urls::requested(context));
    let page = FragmentPage {
        info: context.page_info(),
        start_url: Href::new(start),
        script: Href::new(format!("{}/fragment.js", context.site.prefix)),
    };
    let mut response = reply::page_response(StatusCode::OK, &page.render(context.lang()));
    set_nonce_cookie(context, cookie, &mut response);
    response
}

/// Sets a nonce cookie and clears the oldest ones above [`NONCES_MAX`].
pub(super) fn set_nonce_cookie(
    context: &RequestContext<'_>,
    cookie: Option<String>,
    response: &mut Response<Body>,
) {
    let Some(cookie) = cookie else { return };
    reply::add_cookie(response, &cookie);
    let cookie_settings = &context.site.cookies;
    // Browsers send the oldest cookie first (RFC 6265 §5.4).
    let nonces: Vec<_> =
        reply::cookies_with_prefix(context.head.headers, cookie_settings.nonce_prefix()).collect();
    let surplus = (nonces.len() + 1).saturating_sub(NONCES_MAX);
    for (name, _) in nonces.iter().take(surplus) {
        reply::add_cookie(response, &cookie_settings.clear_host_only(name));
    }
}

/// Redirects a request for an own page to the login host, with its return address or this host's root.
fn redirect_own_page(
    context: &RequestContext<'_>,
    page: &str,
    target: &LoginTarget,
) -> Response<Body> {
    let return_to = target.return_to.as_ref();
    let rd = return_to.map(|return_to| return_to.absolute(&context.site.external_url));
    let rd = rd.unwrap_or_else(|| format!("{}/", context.head.origin()));
    let (mut to, cookie) = login_host_url(context, page, &rd);
    for (name, hint) in target.hints.query_pairs() {
        let hint = utf8_percent_encode(hint, urls::QUERY_VALUE);
        to.push_str(&format!("&{name}={hint}"));
    }
    let mut response = reply::redirect(&to);
    set_nonce_cookie(context, cookie, &mut response);
    response
}

/// The URL of an own page on the login host with the return address `rd`. If the return to this host needs
/// a ticket, also the nonce cookie that the ticket is bound to.
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
    let path = rd.strip_prefix(context.head.origin().as_str());
    let returns_to_this_host = path.is_some_and(|path| path.starts_with('/'));
    let cookie_is_valid =
        site.is_login_host(context.head) || site.session_cookie_reaches(context.head.host.as_str());
    if cookie_is_valid || !returns_to_this_host {
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
                .set_host_only(&name, nonce.expose(), NONCE_AGE_MAX_S),
        ),
    )
}
