//! Chooses the session cookie if a request has several of the same name: sites that share a domain
//! or host name also share their cookies.

use http::HeaderMap;

use super::{Credentials, Host, ParseOptions, cookies};
use crate::clock::Timestamp;
use crate::people::cookie::{self, HostFingerprint, VerifiedClaims};

/// How many session cookies of one request are verified.
const VERIFIED_COOKIES_MAX: usize = 16;

/// Finds the session cookie. A single one is verified later, when its session is loaded.
pub(super) fn find<'a>(
    headers: &'a HeaderMap,
    host: &Host<'_>,
    parse_options: ParseOptions<'_>,
    now: Timestamp,
) -> Credentials<'a> {
    let mut values =
        cookies(headers, parse_options.session_cookie_name).filter(|value| !value.is_empty());
    let Some(first) = values.next() else {
        return Credentials::default();
    };
    match values.all(|other| other == first) {
        true => Credentials {
            session_cookie: Some(first),
            conflicting: false,
        },
        false => choose_verified(headers, host, parse_options, now),
    }
}

/// The cookie that is valid on this host. If cookies of two different sessions are valid, neither
/// is used, because one may have been planted.
fn choose_verified<'a>(
    headers: &'a HeaderMap,
    host: &Host<'_>,
    parse_options: ParseOptions<'_>,
    now: Timestamp,
) -> Credentials<'a> {
    let mut chosen: Option<(&str, VerifiedClaims)> = None;
    for value in cookies(headers, parse_options.session_cookie_name).take(VERIFIED_COOKIES_MAX) {
        let Some(verified) = cookie::verify(parse_options.ring, value) else {
            continue;
        };
        let claims = verified.claims;
        let is_for_host = claims
            .host
            .is_none_or(|fingerprint| fingerprint == HostFingerprint::of(host.as_str()));
        if !is_for_host || claims.expires_at <= now {
            continue;
        }
        match &chosen {
            Some((_, other)) if other.sid != claims.sid => {
                return Credentials {
                    session_cookie: None,
                    conflicting: true,
                };
            }
            Some(_) => {}
            None => chosen = Some((value, claims)),
        }
    }
    Credentials {
        session_cookie: chosen.map(|(value, _)| value),
        conflicting: false,
    }
}
