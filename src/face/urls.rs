//! The addresses of our own pages, as a person or a program is told them.

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::RequestContext;
use super::browser::{RequestKind, request_kind};
use crate::login::return_to::without_long_query;
use crate::request::head::Head;

/// Bytes that stay as they are in a query value.
pub(super) const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Where a person can log in and come back to what they asked for, absolute.
pub(super) fn sign_in(context: &RequestContext<'_>) -> String {
    // A POST cannot be asked for again: its person comes back to where they came from, or home.
    let reads = matches!(*context.head.method, Method::GET | Method::HEAD);
    let program = request_kind(context.head) == RequestKind::Fetch;
    let rd = if reads && !program {
        requested(context)
    } else {
        format!("{}/", context.head.origin())
    };
    let rd = utf8_percent_encode(&rd, QUERY_VALUE);
    format!(
        "{}{}/sign_in?rd={rd}",
        context.head.origin(),
        context.site.prefix
    )
}

/// Marks the address of a login for which a check has just found nobody: whoever is somebody there
/// would be sent round for ever.
pub(super) const NO_SESSION_FOUND: (&str, &str) = ("n", "1");

/// Where a login begins that comes back to what was asked for, absolute: on the host that logs
/// people in when its cookie counts here, else on this one.
pub(super) fn start(context: &RequestContext<'_>, no_session_found: bool) -> String {
    let (site, head) = (context.site, context.head);
    let rd = utf8_percent_encode(&requested(context), QUERY_VALUE).to_string();
    let mut to = match site.is_login_host(head) || site.session_cookie_reaches(head.host.as_str()) {
        true => on_login_host(context, "start"),
        false => format!("{}{}/start", head.origin(), site.prefix),
    };
    to.push_str(&format!("?rd={rd}"));
    if no_session_found {
        let (name, value) = NO_SESSION_FOUND;
        to.push_str(&format!("&{name}={value}"));
    }
    to
}

/// Where somebody who may not go here posts to become somebody else: signed out first.
pub(super) fn switch_account(context: &RequestContext<'_>) -> String {
    let rd = requested_target(context.head);
    format!(
        "{}/sign_out?rd={}",
        context.site.prefix,
        utf8_percent_encode(&rd, QUERY_VALUE)
    )
}

/// An own page on the host that logs people in.
pub(super) fn on_login_host(context: &RequestContext<'_>, page: &str) -> String {
    let site = context.site;
    format!(
        "{}{}/{page}",
        site.external_url.origin().ascii_serialization(),
        site.prefix
    )
}

/// What was asked for, byte for byte: path and query.
pub(super) fn requested_target(head: &Head<'_>) -> String {
    match head.path.query() {
        Some(query) => format!("{}?{query}", head.path.as_str()),
        None => head.path.as_str().to_owned(),
    }
}

/// The same with scheme and host, as much of it as survives a login.
pub(super) fn requested(context: &RequestContext<'_>) -> String {
    let mut here = format!(
        "{}{}",
        context.head.origin(),
        requested_target(context.head)
    );
    here.truncate(without_long_query(&here).len());
    here
}
