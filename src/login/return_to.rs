//! `ReturnTo`: the return address of a login, which is always on this site.

use serde::{Deserialize, Serialize};
use url::Url;

use crate::telemetry::LogLimiter;

/// The longest return address that is parsed, in bytes.
const INPUT_BYTES_MAX: usize = 64 * 1024;

/// The longest return address that is kept whole, in bytes; a longer one loses its query, then its path.
pub const RETURN_TO_BYTES_MAX: usize = 4_000;

/// Logs that a return address was shortened. Rate-limited, since any client can cause it.
pub(super) fn log_shortened(bytes: usize) {
    static LOG_LIMITER: LogLimiter = LogLimiter::new();
    if LOG_LIMITER.allow() {
        tracing::warn!(
            bytes,
            bytes_max = RETURN_TO_BYTES_MAX,
            "a return address is too long for the flow cookie: it is shortened"
        );
    }
}

/// A return address, without its query if it is too long.
pub fn without_long_query(text: &str) -> &str {
    if text.len() <= RETURN_TO_BYTES_MAX {
        return text;
    }
    log_shortened(text.len());
    &text[..text.find(['?', '#']).unwrap_or(text.len())]
}

/// A URL of this site: a path, on the login host or on another host that a route serves.
///
/// The path keeps its original bytes, unless it has dot segments: those are
/// resolved as browsers do, so that the checks see the path that a browser will request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnTo {
    /// Another host: `https://oa.corp.example`; absent: the login host.
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    /// Path, query and fragment.
    #[serde(rename = "p")]
    path: String,
}

/// Which URLs belong to this site.
pub trait Destinations: Send + Sync {
    /// Whether a route serves this origin, or the console this page of it. `origin` has no path of its own.
    fn serves(&self, origin: &Url, path: &str) -> bool;

    /// The base URL of the login host.
    fn login_url(&self) -> &Url;

    /// Whether an application may read this path as an own path, which cannot be a return address. True for
    /// an invalid path, too.
    fn may_be_own_path(&self, path: &str) -> bool;
}

impl ReturnTo {
    /// The root of the login host.
    pub fn login_host_root() -> Self {
        Self {
            origin: None,
            path: "/".to_owned(),
        }
    }

    /// A path on the login host; `None` if it could lead to another site.
    pub fn on_login_host(text: &str) -> Option<Self> {
        Some(Self {
            origin: None,
            path: resolved_path(text)?,
        })
    }

    /// Parses a return address from a request; `None` if it is not on this site.
    pub fn parse(text: &str, destinations: &dyn Destinations) -> Option<Self> {
        if text.len() > INPUT_BYTES_MAX || text.bytes().any(is_unsafe) {
            return None;
        }
        let parsed = if text.starts_with('/') {
            Self::on_login_host(text)?
        } else {
            Self::parse_absolute(text, destinations)?
        };
        let (path, _) = split_path(&parsed.path);
        (!destinations.may_be_own_path(path)).then(|| parsed.shortened())
    }

    fn parse_absolute(text: &str, destinations: &dyn Destinations) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || ".-:[]".contains(c);
        if authority.is_empty() || !authority.chars().all(is_allowed) {
            return None;
        }
        let origin = Url::parse(&format!("{scheme}://{authority}/")).ok()?;
        // Both parsers must agree on the origin: ours, and that of the whole URL.
        let whole = Url::parse(text).ok()?;
        if whole.origin() != origin.origin() || !origin.origin().is_tuple() {
            return None;
        }
        let path = if path.starts_with('/') {
            resolved_path(path)?
        } else {
            resolved_path(&format!("/{path}"))?
        };
        if origin.origin() == destinations.login_url().origin() {
            return Some(Self { origin: None, path });
        }
        if !destinations.serves(&origin, &path) {
            return None;
        }
        Some(Self {
            origin: Some(origin.origin().ascii_serialization()),
            path,
        })
    }

    /// The origin, if it is not the login host.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Path, query and fragment.
    pub fn path_query_fragment(&self) -> &str {
        &self.path
    }

    /// The value of a `Location` header: relative on the login host, absolute on another.
    pub fn location(&self) -> String {
        format!("{}{}", self.origin.as_deref().unwrap_or(""), self.path)
    }

    /// The absolute URL, given the URL of the login host.
    pub fn absolute(&self, login_url: &Url) -> String {
        let login_origin = login_url.origin().ascii_serialization();
        let origin = self.origin.as_deref().unwrap_or(&login_origin);
        format!("{origin}{}", self.path)
    }

    /// The address, without its query or its path if it is too long.
    fn shortened(self) -> Self {
        let length =
            |address: &Self| address.origin.as_deref().map_or(0, str::len) + address.path.len();
        let bytes = length(&self);
        if bytes <= RETURN_TO_BYTES_MAX {
            return self;
        }
        log_shortened(bytes);
        let without_query = self.without_query();
        if length(&without_query) <= RETURN_TO_BYTES_MAX {
            without_query
        } else {
            without_query.root()
        }
    }

    pub(super) fn without_query(&self) -> Self {
        Self {
            origin: self.origin.clone(),
            path: split_path(&self.path).0.to_owned(),
        }
    }

    pub(super) fn root(&self) -> Self {
        Self {
            origin: self.origin.clone(),
            path: "/".to_owned(),
        }
    }
}

/// Bytes that browsers remove or replace before they parse a URL.
fn is_unsafe(byte: u8) -> bool {
    byte.is_ascii_control() || byte == b'\\' || byte == b' '
}

/// Splits off query and fragment.
fn split_path(text: &str) -> (&str, &str) {
    text.split_at(text.find(['?', '#']).unwrap_or(text.len()))
}

/// A path, query and fragment with resolved dot segments; `None` if they could lead to another
/// site.
fn resolved_path(text: &str) -> Option<String> {
    if !stays_on_host(text) {
        return None;
    }
    let (path, rest) = split_path(text);
    if !path.split('/').any(is_dot_segment) {
        return Some(text.to_owned());
    }
    let resolved = Url::parse(&format!("http://host{path}")).ok()?;
    let resolved = format!("{}{rest}", resolved.path());
    stays_on_host(&resolved).then_some(resolved)
}

/// Whether browsers treat a segment as `.` or `..` (URL Standard, "double-dot URL path segment").
fn is_dot_segment(segment: &str) -> bool {
    let dots = segment.to_ascii_lowercase().replace("%2e", ".");
    matches!(dots.as_str(), "." | "..")
}

/// Whether a browser stays on the same host when it follows this path, even if proxies decode the
/// path or resolve its dot segments.
fn stays_on_host(text: &str) -> bool {
    if !text.starts_with('/') || text.bytes().any(is_unsafe) {
        return false;
    }
    let mut decoded_path = split_path(text).0.as_bytes().to_vec();
    // As sent, decoded once and decoded twice.
    for _ in 0..3 {
        if leads_to_other_host(&decoded_path) {
            return false;
        }
        let decoded: Vec<u8> = percent_encoding::percent_decode(&decoded_path).collect();
        if decoded == decoded_path {
            break;
        }
        decoded_path = decoded;
    }
    true
}

fn leads_to_other_host(path: &[u8]) -> bool {
    // Browsers and proxies remove control characters, spaces and dot segments.
    let mut rest: Vec<u8> = path
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_control() && *byte != b' ')
        .collect();
    for byte in &mut rest {
        if *byte == b'\\' {
            *byte = b'/';
        }
    }
    let mut rest = rest.as_slice();
    loop {
        let Some(inner) = rest.strip_prefix(b"/") else {
            return false;
        };
        match inner {
            [b'/', ..] => return true,
            [b'.', b'/', ..] => rest = &inner[1..],
            [b'.', b'.', b'/', ..] => rest = &inner[2..],
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Site;

    impl Destinations for Site {
        fn serves(&self, origin: &Url, _path: &str) -> bool {
            origin.scheme() == "https"
                && origin.port_or_known_default() == Some(443)
                && origin.host_str() == Some("oa.corp.example")
        }

        fn login_url(&self) -> &Url {
            static LOGIN_URL: std::sync::LazyLock<Url> =
                std::sync::LazyLock::new(|| Url::parse("https://sso.corp.example").unwrap());
            &LOGIN_URL
        }

        fn may_be_own_path(&self, path: &str) -> bool {
            path == "/.menshen" || path.starts_with("/.menshen/")
        }
    }

    fn location_of(text: &str) -> Option<String> {
        ReturnTo::parse(text, &Site).map(|address| address.location())
    }

    #[test]
    fn a_url_of_this_site_keeps_its_bytes() {
        for text in [
            "/",
            "/a/b?c=%E8%B4%A2%20x&d=1+2",
            "/%B2%C6%CE%F1?q=%5c%2f",
            "/a?next=https://evil.example/",
            "/a//b",
            "/a#/deep/link",
            "https://oa.corp.example/x?y=z#w",
            "/.menshenx",
        ] {
            assert_eq!(location_of(text).as_deref(), Some(text));
        }
        assert_eq!(
            location_of("https://sso.corp.example/x").as_deref(),
            Some("/x")
        );
        assert_eq!(
            location_of("https://OA.corp.example:443").as_deref(),
            Some("https://oa.corp.example/")
        );
    }

    #[test]
    fn dot_segments_are_resolved_as_browsers_do() {
        for (text, resolved) in [
            ("/a/../b?c=/../d#/../e", "/b?c=/../d#/../e"),
            ("/a/%2e%2E/b", "/b"),
            ("/a/.%2e", "/"),
            ("/./a/.", "/a/"),
            ("/../..", "/"),
            ("/a/..b/...", "/a/..b/..."),
        ] {
            assert_eq!(location_of(text).as_deref(), Some(resolved), "{text}");
        }
    }

    #[test]
    fn an_address_that_could_lead_to_another_site_is_refused() {
        for text in [
            "",
            "a",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/ /evil.example",
            " //evil.example",
            "/%09/evil.example",
            "/%0a/evil.example",
            "/%20/evil.example",
            "/%2fevil.example",
            "/%2Fevil.example",
            "/%5cevil.example",
            "/%252fevil.example",
            "/%255cevil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/x/..//evil.example",
            "/x/%2e%2e//evil.example",
            "/.%2f/evil.example",
            "/%2e%2e//evil.example",
            "/./\\evil.example",
            "http://oa.corp.example/",
            "https://oa.corp.example:8443/",
            "https://evil.example",
            "https:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "https://oa.corp.example.evil.example/",
            "https://oa.corp.example@evil.example/",
            "https://evil.example@oa.corp.example/",
            "https://evil.example#@oa.corp.example/",
            "https://evil.example?oa.corp.example",
            "https://evil.example\\@oa.corp.example/",
            "https://oa.corp.example%2eevil.example/",
            "https://oa.corp.example%00.evil.example/",
            "https://oa。corp.example/",
            "https://xoa.corp.example/",
            "https://corp.example/",
            "https://oa.corp.example//evil.example/",
            "javascript:alert(1)",
            "javascript://oa.corp.example/%0aalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "HTTPS://evil.example",
            "//oa.corp.example/",
            "/\u{0}",
            "/\r\nSet-Cookie: a=b",
        ] {
            assert_eq!(location_of(text), None, "{text:?}");
        }
    }

    #[test]
    fn an_own_page_is_no_return_address() {
        for text in [
            "/.menshen",
            "/.menshen/sign_out",
            "/.menshen?x",
            "https://sso.corp.example/.menshen/start",
            "/x/../.menshen/sign_out",
            "/x/%2E%2e/.menshen",
            "https://sso.corp.example/./.menshen/start",
        ] {
            assert_eq!(location_of(text), None, "{text}");
        }
    }
}
