//! `ProtectedHeaders`: the header names that only menshen may set, and what is done with the headers of
//! clients.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};

use crate::keys::KeyRing;
use crate::people::cookie::{CookieName, SignedPrefixes};
use crate::request::route::Route;

/// The header names of a site that only menshen may set: the built-in ones and the custom headers of all
/// its routes. A client's header with such a name is removed. Also what identifies the site's cookies.
///
/// Names are compared by alias: case-insensitively, and with every byte that is not a letter or
/// digit treated as `-`, because CGI-like servers do the same. Built once per site; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ProtectedHeaders(Arc<SiteNames>);

/// The names that a site adds to the built-in ones, and its cookies.
#[derive(Debug, Default)]
struct SiteNames {
    /// The custom names, normalized and without duplicates.
    custom: Vec<Box<[u8]>>,
    /// The built-in and custom names, each in one spelling.
    all: Vec<HeaderName>,
    /// The lengths that occur in `custom` as bits; bit 63 stands for 63 and more.
    lengths: u64,
    /// The configured cookie name, if it is not the default.
    cookie_name: Option<CookieName>,
    /// The prefixes of the values of the site's session cookies.
    session_cookie_prefixes: SignedPrefixes,
}

/// The built-in names that menshen sets. All other names below `x-auth-request-` and `x-menshen-`
/// are reserved as well.
const BUILT_IN: [&str; 14] = [
    "x-forwarded-user",
    "x-forwarded-preferred-username",
    "x-forwarded-name",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-access-token",
    "x-auth-request-user",
    "x-auth-request-preferred-username",
    "x-auth-request-name",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-access-token",
    "x-auth-request-redirect",
    "x-menshen-assertion",
];

/// Headers that frame, route or authenticate a message, or change how it is processed: as a trailer
/// they would come too late, and some programs treat trailers as headers.
const FORBIDDEN_TRAILERS: [&str; 20] = [
    "authorization",
    "cache-control",
    "content-encoding",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "host",
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "if-range",
    "location",
    "max-forwards",
    "range",
    "retry-after",
    "set-cookie",
    "www-authenticate",
];

/// Headers that replace the method of the request line.
pub(super) const METHOD_OVERRIDES: [&str; 3] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
];

/// What is done with a client's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// It is forwarded.
    Pass,
    /// It identifies the caller, is hop-by-hop, or could be taken for framing: removed on every route.
    Drop,
    /// It claims where the request came from or went to: removed unless the route passes it.
    Untrusted,
    /// It replaces the method: removed where the decision depends on the method.
    MethodOverride,
}

impl ProtectedHeaders {
    /// Collects the custom header names of all routes, and what identifies the site's cookies.
    pub fn new(routes: &[Arc<Route>], cookie: &CookieName, ring: &KeyRing) -> Self {
        let mut names = SiteNames {
            cookie_name: Some(cookie.clone()).filter(|name| *name != CookieName::default()),
            session_cookie_prefixes: SignedPrefixes::of(ring),
            ..SiteNames::default()
        };
        for (name, _) in routes.iter().flat_map(|route| &route.headers.custom) {
            let normalized = normalize(name);
            // On every other route, `Authorization` belongs to the application.
            let is_authorization = *name == http::header::AUTHORIZATION;
            if !is_reserved(name) && !is_authorization && !names.custom.contains(&normalized) {
                names.lengths |= length_bit(normalized.len());
                names.custom.push(normalized);
            }
        }
        let custom = names.custom.iter();
        let custom = custom.filter_map(|name| HeaderName::from_bytes(name).ok());
        let mut all = BUILT_IN.map(HeaderName::from_static).to_vec();
        for name in custom {
            if !all.contains(&name) {
                all.push(name);
            }
        }
        names.all = all;
        Self(Arc::new(names))
    }

    /// The configured cookie name, if it is not the default.
    pub(super) fn configured_cookie_name(&self) -> Option<&CookieName> {
        self.0.cookie_name.as_ref()
    }

    /// The prefixes of the values of the site's session cookies.
    pub(super) fn session_cookie_prefixes(&self) -> &SignedPrefixes {
        &self.0.session_cookie_prefixes
    }

    /// The built-in and custom names, each in one spelling.
    pub(super) fn all(&self) -> &[HeaderName] {
        &self.0.all
    }

    /// Whether only menshen may set a header with this name, in any spelling.
    pub fn includes(&self, name: &HeaderName) -> bool {
        self.0.includes(name.as_str().as_bytes()) || is_identity(name.as_str().as_bytes())
    }

    /// Whether a header may be a trailer: it is forwarded, and affects nothing that was decided
    /// before it arrived (RFC 9110 6.5.1).
    pub(super) fn allows_trailer(&self, name: &HeaderName) -> bool {
        let bytes = name.as_str().as_bytes();
        let is_forbidden = FORBIDDEN_TRAILERS
            .iter()
            .any(|forbidden| is_alias(bytes, forbidden));
        self.disposition(name) == Disposition::Pass && !is_forbidden
    }

    pub fn remove_forbidden_trailers(&self, trailers: &mut HeaderMap) {
        let unwanted: Vec<_> = trailers
            .keys()
            .filter(|name| !self.allows_trailer(name))
            .cloned()
            .collect();
        for name in unwanted {
            trailers.remove(name);
        }
    }

    /// What is done with a client's header.
    pub(super) fn disposition(&self, name: &HeaderName) -> Disposition {
        let bytes = name.as_str().as_bytes();
        if self.0.includes(bytes) {
            Disposition::Drop
        } else {
            disposition(bytes)
        }
    }
}

/// Whether no route may set a header: it routes or frames the message, is hop-by-hop, or carries cookies.
pub fn is_reserved(name: &HeaderName) -> bool {
    let bytes = name.as_str().as_bytes();
    let end_to_end = ["host", "content-length", "expect", "cookie", "set-cookie"];
    end_to_end.iter().any(|known| is_alias(bytes, known)) || is_hop_by_hop(bytes)
}

/// Whether two names are aliases of each other.
pub(super) fn are_aliases(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(a, b)| normalize_byte(*a) == normalize_byte(*b))
}

impl SiteNames {
    fn includes(&self, name: &[u8]) -> bool {
        self.lengths & length_bit(name.len()) != 0
            && self.custom.iter().any(|custom| {
                custom.len() == name.len()
                    && custom
                        .iter()
                        .zip(name)
                        .all(|(normalized, byte)| *normalized == normalize_byte(*byte))
            })
    }
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

fn normalize(name: &HeaderName) -> Box<[u8]> {
    name.as_str().bytes().map(normalize_byte).collect()
}

fn normalize_byte(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() {
        byte.to_ascii_lowercase()
    } else {
        b'-'
    }
}

fn is_alias(name: &[u8], known: &str) -> bool {
    name.len() == known.len() && starts_with_alias(name, known)
}

fn starts_with_alias(name: &[u8], known: &str) -> bool {
    name.len() >= known.len()
        && name
            .iter()
            .zip(known.as_bytes())
            .all(|(byte, known)| normalize_byte(*byte) == *known)
}

/// The disposition by built-in names. Most names are decided by their first letter.
fn disposition(name: &[u8]) -> Disposition {
    match name.first().map(|byte| byte.to_ascii_lowercase()) {
        Some(b'x') => disposition_of_x(name),
        Some(b'c' | b'h' | b'k' | b't' | b'u') if is_hop_by_hop(name) => Disposition::Drop,
        // A lenient server might take it for the real framing.
        Some(b'c') if name != b"content-length" && is_alias(name, "content-length") => {
            Disposition::Drop
        }
        // `Expect: 100-continue` is answered by menshen.
        Some(b'e') if is_alias(name, "expect") => Disposition::Drop,
        Some(b'p') if is_hop_by_hop(name) => Disposition::Drop,
        // httpoxy: CGI passes it to programs as their HTTP proxy.
        Some(b'p') if is_alias(name, "proxy") => Disposition::Untrusted,
        Some(b'f') if is_alias(name, "forwarded") => Disposition::Untrusted,
        _ => Disposition::Pass,
    }
}

fn disposition_of_x(name: &[u8]) -> Disposition {
    let untrusted = [
        "x-real-ip",
        "x-original-url",
        "x-original-uri",
        "x-original-host",
        "x-original-method",
        "x-rewrite-url",
        "x-request-id",
    ];
    if is_identity(name) {
        Disposition::Drop
    } else if starts_with_alias(name, "x-forwarded-")
        || untrusted.iter().any(|known| is_alias(name, known))
    {
        Disposition::Untrusted
    } else if METHOD_OVERRIDES.iter().any(|known| is_alias(name, known)) {
        Disposition::MethodOverride
    } else {
        Disposition::Pass
    }
}

fn is_identity(name: &[u8]) -> bool {
    const FORWARDED: usize = "x-forwarded-".len();
    if starts_with_alias(name, "x-forwarded-") {
        let known = [
            "user",
            "preferred-username",
            "name",
            "email",
            "groups",
            "access-token",
        ];
        return known
            .iter()
            .any(|known| is_alias(&name[FORWARDED..], known));
    }
    starts_with_alias(name, "x-auth-request-") || starts_with_alias(name, "x-menshen-")
}

/// Whether a header is hop-by-hop (RFC 9110 7.6.1), or was in older software.
pub(super) fn is_hop_by_hop(name: &[u8]) -> bool {
    let known: &[&str] = match name.first() {
        Some(b'c') => &["connection"],
        Some(b'h') => &["http2-settings"],
        Some(b'k') => &["keep-alive"],
        Some(b'p') => &[
            "proxy-connection",
            "proxy-authenticate",
            "proxy-authorization",
        ],
        Some(b't') => &["te", "trailer", "transfer-encoding"],
        Some(b'u') => &["upgrade"],
        _ => &[],
    };
    known.iter().any(|known| is_alias(name, known))
}
