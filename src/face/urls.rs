//! URLs of own paths, and the URL that was requested.

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::RequestContext;
use super::browser::{RequestKind, request_kind};
use crate::login::return_to::without_long_query;
use crate::people::session::Person;
use crate::request::head::Head;

/// The bytes that are percent-encoded in a query value.
pub(super) const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The absolute URL of the sign-in page, which returns to the requested URL.
pub(super) fn sign_in(context: &RequestContext<'_>) -> String {
    // A POST cannot be repeated after a login, so its login returns to the root of this host. So does
    // the login whose URL a program receives.
    let is_read = matches!(*context.head.method, Method::GET | Method::HEAD);
    let is_fetch = request_kind(context.head) == RequestKind::Fetch;
    let rd = if is_read && !is_fetch {
        requested(context)
    } else {
        format!("{}/", context.head.origin())
    };
    sign_in_to(context, &rd)
}

/// The absolute URL of the sign-in page of the requested host, which returns to `rd`.
pub(super) fn sign_in_to(context: &RequestContext<'_>, rd: &str) -> String {
    let rd = utf8_percent_encode(rd, QUERY_VALUE);
    format!(
        "{}{}/sign_in?rd={rd}",
        context.head.origin(),
        context.site.prefix
    )
}

/// The query parameter, name and value, of the URL to which a check without a session redirects. If the
/// login host finds a session nevertheless, the proxy strips the cookie from its checks, and another
/// redirect would loop.
pub(super) const NO_SESSION_FOUND: (&str, &str) = ("n", "1");

/// The absolute URL that begins a login and returns to the requested URL. It is on the login host if the
/// session cookie of that host is valid on this one, else on this host.
pub(super) fn start(context: &RequestContext<'_>, no_session_found: bool) -> String {
    let (site, head) = (context.site, context.head);
    let rd = utf8_percent_encode(&requested(context), QUERY_VALUE).to_string();
    let mut url = match site.is_login_host(head) || site.session_cookie_reaches(head.host.as_str())
    {
        true => on_login_host(context, "start"),
        false => format!("{}{}/start", head.origin(), site.prefix),
    };
    url.push_str(&format!("?rd={rd}"));
    if no_session_found {
        let (name, value) = NO_SESSION_FOUND;
        url.push_str(&format!("&{name}={value}"));
    }
    url
}

/// The query parameter, name and value, of a sign-out that leads to the connectors, to sign in with another
/// account.
pub(super) const SWITCH_ACCOUNT: (&str, &str) = ("switch", "1");

/// The form target that signs out and leads to the connectors, for the requested page.
pub(super) fn switch_account(context: &RequestContext<'_>) -> String {
    let (name, value) = SWITCH_ACCOUNT;
    let rd = requested_target(context.head);
    format!(
        "{}/sign_out?rd={}&{name}={value}",
        context.site.prefix,
        utf8_percent_encode(&rd, QUERY_VALUE)
    )
}

/// The origins to which the response to a sign-out form may redirect: the provider with its logout page, and
/// the login host.
pub(super) fn sign_out_targets(context: &RequestContext<'_>, person: &Person) -> Vec<String> {
    let entry = context.site.login.entry(&person.session.via);
    let logout_page = entry.and_then(|entry| entry.connector.logout()?.page());
    let targets = logout_page.iter().chain([&context.site.external_url]);
    targets
        .map(|url| url.origin().ascii_serialization())
        .collect()
}

/// The absolute URL of an own path on the login host; `page` is the path below the prefix.
pub(super) fn on_login_host(context: &RequestContext<'_>, page: &str) -> String {
    let site = context.site;
    format!(
        "{}{}/{page}",
        site.external_url.origin().ascii_serialization(),
        site.prefix
    )
}

/// The requested path and query, byte for byte.
pub(super) fn requested_target(head: &Head<'_>) -> String {
    match head.path.query() {
        Some(query) => format!("{}?{query}", head.path.as_str()),
        None => head.path.as_str().to_owned(),
    }
}

/// The requested absolute URL, cut to the length that a login can carry.
pub(super) fn requested(context: &RequestContext<'_>) -> String {
    let mut url = format!(
        "{}{}",
        context.head.origin(),
        requested_target(context.head)
    );
    url.truncate(without_long_query(&url).len());
    url
}
