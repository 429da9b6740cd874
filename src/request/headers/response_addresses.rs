//! Rewrites the URLs and cookies in a response: the upstream's host becomes the host that the
//! client used, and a removed path prefix is added again.

use http::header::{CONTENT_LOCATION, LINK, LOCATION, REFRESH, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::cookies;

/// The pages of menshen to which applications redirect.
const LINKED_PAGES: [&[u8]; 4] = [b"sign_in", b"sign_out", b"start", b"tokens"];

/// The address of an upstream.
#[derive(Clone, Copy, Debug)]
pub struct UpstreamOrigin<'a> {
    /// `host[:port]`, without the default port of its scheme.
    pub authority: &'a HeaderValue,
    /// Whether it is reached over TLS.
    pub tls: bool,
}

/// The addresses on both sides of the proxy.
pub(super) struct AddressRewrite<'a> {
    /// `https` or `http`, as the client sees it.
    pub(super) scheme: &'static str,
    /// `host[:port]` as the client sent it.
    pub(super) authority: &'a HeaderValue,
    pub(super) upstream: &'a UpstreamOrigin<'a>,
    /// The fixed `Host` header of the route, if it has one.
    pub(super) fixed_host: Option<&'a HeaderValue>,
    /// The removed path prefix; may be empty.
    pub(super) prefix: &'a str,
    /// The prefix of menshen's own paths.
    pub(super) own_prefix: &'a str,
}

struct AbsoluteUrl<'a> {
    https: bool,
    host: &'a [u8],
    port: Option<&'a [u8]>,
    rest: &'a [u8],
}

impl AddressRewrite<'_> {
    /// Rewrites every header that contains addresses.
    pub(super) fn rewrite_addresses(&self, headers: &mut HeaderMap) {
        replace(headers, &LOCATION, |value| self.rewrite_url(value));
        replace(headers, &CONTENT_LOCATION, |value| self.rewrite_url(value));
        replace(headers, &REFRESH, |value| self.rewrite_refresh(value));
        replace(headers, &LINK, |value| self.rewrite_links(value));
    }

    /// Rewrites the domain and path of cookies.
    pub(super) fn rewrite_cookies(&self, headers: &mut HeaderMap) {
        replace(headers, &SET_COOKIE, |value| self.rewrite_cookie(value));
    }

    /// The URL for the client; `None` if it needs no change.
    fn rewrite_url(&self, text: &[u8]) -> Option<Vec<u8>> {
        let Some(url) = AbsoluteUrl::parse(text) else {
            let is_path = text.first() == Some(&b'/') && !starts_with_host(text);
            return (is_path && !self.keeps_path(text)).then(|| self.with_prefix(text));
        };
        let path: Vec<u8> = match url.rest.first() {
            Some(b'/') => url.rest.to_vec(),
            _ => [b"/", url.rest].concat(),
        };
        let path = if self.keeps_path(&path) {
            path
        } else {
            self.with_prefix(&path)
        };
        if self.is_upstream(&url) {
            // A path is enough, unless a browser would parse its beginning as a host.
            return Some(match starts_with_host(&path) {
                false => path,
                true => [&self.origin(), &path[..]].concat(),
            });
        }
        let (host, port) = host_port(self.authority.as_bytes());
        if !url.host.eq_ignore_ascii_case(host) {
            return None;
        }
        let is_downgrade = self.scheme == "https" && !url.https;
        let is_same_port = url.port == port
            || port_or_default(url.port, url.https)
                == port_or_default(port, self.scheme == "https");
        if !is_downgrade && !is_same_port {
            // It names another service on this host.
            return None;
        }
        let rewritten = match is_downgrade {
            true => [&self.origin(), &path[..]].concat(),
            false if self.prefix.is_empty() => return None,
            false => {
                let origin_bytes = text.len() - url.rest.len();
                [&text[..origin_bytes], &path[..]].concat()
            }
        };
        (rewritten != text).then_some(rewritten)
    }

    /// `5; url=http://...`, as browsers parse it.
    fn rewrite_refresh(&self, text: &[u8]) -> Option<Vec<u8>> {
        let index = text
            .windows(4)
            .position(|part| part.eq_ignore_ascii_case(b"url="))?;
        let start = index + 4;
        let (start, end) = match text.get(start) {
            Some(quote @ (b'"' | b'\'')) => {
                let quoted = &text[start + 1..];
                let length = quoted.iter().position(|byte| byte == quote);
                (start + 1, start + 1 + length.unwrap_or(quoted.len()))
            }
            _ => (start, text.len()),
        };
        let rewritten = self.rewrite_url(text[start..end].trim_ascii())?;
        Some([&text[..start], &rewritten, &text[end..]].concat())
    }

    /// `<http://...>; rel=next, <...>` (RFC 8288).
    fn rewrite_links(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut rewritten = Vec::with_capacity(text.len());
        let (mut rest, mut is_quoted, mut is_changed) = (text, false, false);
        while let Some((byte, after)) = rest.split_first() {
            rewritten.push(*byte);
            rest = after;
            match byte {
                b'"' => is_quoted = !is_quoted,
                b'<' if !is_quoted => {
                    let end = rest.iter().position(|byte| *byte == b'>')?;
                    let url = self.rewrite_url(&rest[..end]);
                    is_changed |= url.is_some();
                    rewritten.extend_from_slice(url.as_deref().unwrap_or(&rest[..end]));
                    rest = &rest[end..];
                }
                _ => {}
            }
        }
        is_changed.then_some(rewritten)
    }

    /// A cookie with the prefix before its path, and without the upstream's domain.
    fn rewrite_cookie(&self, cookie: &[u8]) -> Option<Vec<u8>> {
        let host_only = b"__Host-";
        let start = cookies::set_cookie_name(cookie).get(..host_only.len());
        // Browsers accept such a cookie only with `Path=/`.
        let keeps_path = start.is_some_and(|start| start.eq_ignore_ascii_case(host_only));
        let mut rewritten = Vec::with_capacity(cookie.len() + self.prefix.len());
        let mut is_changed = false;
        for (index, attribute) in cookie.split(|byte| *byte == b';').enumerate() {
            if index == 0 {
                rewritten.extend_from_slice(attribute);
                continue;
            }
            let domain = attribute_value(attribute, b"domain");
            if domain.is_some_and(|domain| self.is_upstream_domain(domain)) {
                // A cookie without a domain belongs to the host that the browser requested.
                is_changed = true;
                continue;
            }
            rewritten.push(b';');
            let path =
                attribute_value(attribute, b"path").filter(|path| path.first() == Some(&b'/'));
            match path.filter(|path| !keeps_path && !self.has_prefix(path)) {
                Some(path) => {
                    is_changed = true;
                    rewritten.extend_from_slice(b" Path=");
                    rewritten.extend_from_slice(self.prefix.as_bytes());
                    rewritten.extend_from_slice(if path == b"/" { b"" } else { path });
                }
                None => rewritten.extend_from_slice(attribute),
            }
        }
        is_changed.then_some(rewritten)
    }

    /// `https://host:port` as the client sees it.
    fn origin(&self) -> Vec<u8> {
        [self.scheme.as_bytes(), b"://", self.authority.as_bytes()].concat()
    }

    /// Whether a URL is the upstream's own.
    fn is_upstream(&self, url: &AbsoluteUrl<'_>) -> bool {
        let (host, port) = host_port(self.upstream.authority.as_bytes());
        let has_upstream_address = url.host.eq_ignore_ascii_case(host)
            && port_or_default(url.port, url.https) == port_or_default(port, self.upstream.tls);
        let has_fixed_host = || {
            let Some(fixed_host) = self.fixed_host else {
                return false;
            };
            let (host, port) = host_port(fixed_host.as_bytes());
            let default_port = port_or_default(None, url.https);
            url.host.eq_ignore_ascii_case(host)
                && match port {
                    Some(_) => url.port == port,
                    None => port_or_default(url.port, url.https) == default_port,
                }
        };
        has_upstream_address || has_fixed_host()
    }

    /// Whether a cookie's domain is the upstream's or a parent of it, and does not cover the
    /// client's host.
    fn is_upstream_domain(&self, domain: &[u8]) -> bool {
        let domain = domain.strip_prefix(b".").unwrap_or(domain);
        let covers = |authority: &HeaderValue| {
            let (host, _) = host_port(authority.as_bytes());
            is_same_or_subdomain(host, domain)
        };
        let covers_upstream =
            covers(self.upstream.authority) || self.fixed_host.is_some_and(covers);
        !domain.is_empty() && covers_upstream && !covers(self.authority)
    }

    /// Whether a URL's path needs no prefix.
    fn keeps_path(&self, path: &[u8]) -> bool {
        self.has_prefix(path) || self.is_page_of_menshen(path)
    }

    /// Whether a path is a page of menshen that an application links to. With the prefix `/oauth2` an application
    /// may have other pages below a path of the same name.
    fn is_page_of_menshen(&self, path: &[u8]) -> bool {
        let below = path.strip_prefix(self.own_prefix.as_bytes());
        let page = below.and_then(|below| below.strip_prefix(b"/"));
        page.is_some_and(|page| {
            let end = page.iter().position(|byte| matches!(byte, b'?' | b'#'));
            let name = &page[..end.unwrap_or(page.len())];
            LINKED_PAGES.contains(&name)
        })
    }

    /// Whether a path has the prefix already, or needs none. An upstream that supports `X-Forwarded-Prefix` has added it
    /// already.
    fn has_prefix(&self, path: &[u8]) -> bool {
        let rest = path.strip_prefix(self.prefix.as_bytes());
        self.prefix.is_empty()
            || rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'/' | b'?' | b'#')))
    }

    fn with_prefix(&self, path: &[u8]) -> Vec<u8> {
        [self.prefix.as_bytes(), path].concat()
    }
}

impl<'a> AbsoluteUrl<'a> {
    /// Splits an absolute http or https URL.
    fn parse(text: &'a [u8]) -> Option<Self> {
        let index = text.windows(3).position(|part| part == b"://")?;
        let https = match &text[..index] {
            scheme if scheme.eq_ignore_ascii_case(b"https") => true,
            scheme if scheme.eq_ignore_ascii_case(b"http") => false,
            _ => return None,
        };
        let after_scheme = &text[index + 3..];
        let end = after_scheme
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'\\'));
        let (authority, rest) = after_scheme.split_at(end.unwrap_or(after_scheme.len()));
        let (host, port) = host_port(authority);
        Some(Self {
            https,
            host,
            port,
            rest,
        })
    }
}

/// Splits `host[:port]`. An IPv6 address keeps its brackets.
fn host_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let colon = authority.iter().rposition(|byte| *byte == b':');
    match colon.map(|index| (&authority[..index], &authority[index + 1..])) {
        Some((host, port)) if port.iter().all(u8::is_ascii_digit) => {
            (host, Some(port).filter(|port| !port.is_empty()))
        }
        _ => (authority, None),
    }
}

fn port_or_default(port: Option<&[u8]>, https: bool) -> &[u8] {
    port.unwrap_or(if https { b"443" } else { b"80" })
}

/// Whether a host equals a domain or is a subdomain of it.
fn is_same_or_subdomain(host: &[u8], domain: &[u8]) -> bool {
    let Some(prefix_bytes) = host.len().checked_sub(domain.len()) else {
        return false;
    };
    host[prefix_bytes..].eq_ignore_ascii_case(domain)
        && (prefix_bytes == 0 || host[prefix_bytes - 1] == b'.')
}

/// Whether a browser parses the beginning of a path as a host.
fn starts_with_host(path: &[u8]) -> bool {
    matches!(path.get(1), Some(b'/' | b'\\' | b'\t'))
}

/// The value of a cookie attribute (RFC 6265 5.2).
fn attribute_value<'a>(attribute: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let index = attribute.iter().position(|byte| *byte == b'=')?;
    let has_name = attribute[..index].trim_ascii().eq_ignore_ascii_case(name);
    has_name.then(|| attribute[index + 1..].trim_ascii())
}

/// Replaces the values of a header for which `rewrite` returns a new one.
fn replace(headers: &mut HeaderMap, name: &HeaderName, rewrite: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    if let http::header::Entry::Occupied(mut entry) = headers.entry(name) {
        for value in entry.iter_mut() {
            let rewritten = rewrite(value.as_bytes());
            if let Some(rewritten) = rewritten.and_then(|text| HeaderValue::from_bytes(&text).ok())
            {
                *value = rewritten;
            }
        }
    }
}
