//! The cookies of the console: of the session, of the entry of a person, of a browser in which an administrator
//! has signed in, and of the language.

use cookie::{Cookie, SameSite};
use http::{HeaderMap, Response};

use super::PATH;
use super::request::ConsoleRequest;
use crate::face::page::Lang;
use crate::face::reply;
use crate::keys::KeyRing;
use crate::login::administrator::KNOWN_FOR_S;
use crate::login::ticket::{NONCE_AGE_MAX_S, Nonce};
use crate::people::console_sessions::ConsoleSecret;
use crate::request::Body;
use crate::request::head::cookies;

const SESSION: &str = "menshen-console";
const ENTRY: &str = "menshen-console-entry";
const BROWSER: &str = "menshen-console-browser";
const LANG: &str = "menshen-console-lang";
const HOST_PREFIX: &str = "__Host-";

/// How long the language is remembered, in seconds: a year.
const LANG_AGE_S: i64 = 365 * 86_400;

/// The session in the cookie of a request. A browser on https sends only cookies that it got over https.
pub(super) fn session(ring: &KeyRing, request: &ConsoleRequest<'_>) -> Option<ConsoleSecret> {
    let value = value(request, SESSION)?;
    ConsoleSecret::parse(ring, value)
}

pub(super) fn set_session(
    response: &mut Response<Body>,
    request: &ConsoleRequest<'_>,
    secret: &ConsoleSecret,
    age_s: i64,
) {
    set(response, request, SESSION, secret.expose(), age_s);
}

pub(super) fn clear_session(response: &mut Response<Body>, request: &ConsoleRequest<'_>) {
    set(response, request, SESSION, "", 0);
}

/// The nonce to which the ticket of this browser is bound.
pub(super) fn entry_nonce<'a>(request: &ConsoleRequest<'a>) -> Option<&'a str> {
    value(request, ENTRY)
}

pub(super) fn set_entry_nonce(
    response: &mut Response<Body>,
    request: &ConsoleRequest<'_>,
    nonce: &Nonce,
) {
    set(response, request, ENTRY, nonce.expose(), NONCE_AGE_MAX_S);
}

pub(super) fn clear_entry_nonce(response: &mut Response<Body>, request: &ConsoleRequest<'_>) {
    set(response, request, ENTRY, "", 0);
}

/// What says that an administrator has signed in in this browser before.
pub(super) fn browser<'a>(request: &ConsoleRequest<'a>) -> Option<&'a str> {
    value(request, BROWSER)
}

pub(super) fn set_browser(
    response: &mut Response<Body>,
    request: &ConsoleRequest<'_>,
    value: &str,
) {
    set(response, request, BROWSER, value, KNOWN_FOR_S);
}

/// The language that a browser asked for before.
pub(super) fn lang(headers: &HeaderMap) -> Option<&str> {
    cookies(headers, LANG).next()
}

/// Remembers the language that the query asks for.
pub(super) fn remember_lang(response: &mut Response<Body>, request: &ConsoleRequest<'_>) {
    let value = match request.asked_lang {
        Some(Lang::Zh) => "zh",
        Some(Lang::En) => "en",
        None => return,
    };
    let cookie = Cookie::build((LANG, value))
        .path(PATH)
        .http_only(true)
        .secure(request.is_https())
        .max_age(cookie::time::Duration::seconds(LANG_AGE_S))
        .same_site(SameSite::Lax)
        .build();
    reply::add_cookie(response, &cookie.to_string());
}

fn value<'a>(request: &ConsoleRequest<'a>, name: &str) -> Option<&'a str> {
    let headers = request.head.headers;
    let of_host = cookies(headers, &format!("{HOST_PREFIX}{name}")).next();
    match of_host {
        None if !request.is_https() => cookies(headers, name).next(),
        of_host => of_host,
    }
}

/// SameSite is Lax, because a person returns from the login host by a redirect of another site.
fn set(
    response: &mut Response<Body>,
    request: &ConsoleRequest<'_>,
    name: &str,
    value: &str,
    age_s: i64,
) {
    let is_https = request.is_https();
    let prefix = if is_https { HOST_PREFIX } else { "" };
    let cookie = Cookie::build((format!("{prefix}{name}"), value))
        .path("/")
        .http_only(true)
        .secure(is_https)
        .max_age(cookie::time::Duration::seconds(age_s))
        .same_site(SameSite::Lax)
        .build();
    reply::add_cookie(response, &cookie.to_string());
}
