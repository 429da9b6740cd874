//! The addresses that a request names besides its target: the `Destination` of WebDAV and Subversion,
//! and the tagged lists of `If` (RFC 4918 10.3, 10.4). The application acts on them as on the request
//! target, so each is judged for the same caller and rewritten like the request target.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, Method};

use super::head::{Head, Host, parse_host};
use super::path::{Path, ReadingBudget};
use super::route::Route;

pub(super) const DESTINATION: HeaderName = HeaderName::from_static("destination");
pub(super) const IF: HeaderName = HeaderName::from_static("if");

/// Headers that replace the method of the request line, such as POST by MOVE.
const METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

/// The maximum number of addresses in `If`. Clients name four at most: the resource, its destination and
/// the folders of both.
const ADDRESSES_MAX: usize = 8;

/// Why a request is refused because of an address besides its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It cannot be parsed unambiguously, or exceeds a limit.
    #[error(
        "`{0}` contains an address that is invalid or can be parsed in too many ways, or more than \
         {ADDRESSES_MAX} addresses"
    )]
    Unreadable(&'static str),
    /// It belongs to another application than the request target.
    #[error("`{0}` leads to another application")]
    OtherApplication(&'static str),
}

/// A header with addresses, split into pieces.
#[derive(Clone, Debug)]
pub(super) struct AddressHeader<'a> {
    pub(super) name: HeaderName,
    pub(super) pieces: Vec<HeaderPiece<'a>>,
}

/// A piece of a header with addresses.
#[derive(Clone, Debug)]
pub(super) enum HeaderPiece<'a> {
    /// Forwarded unchanged.
    Text(&'a str),
    Address(Address<'a>),
}

/// An address; a relative one is resolved.
#[derive(Clone, Debug)]
pub(super) struct Address<'a> {
    /// Absent if scheme, host and port are those of the request.
    pub(super) origin: Option<AddressOrigin<'a>>,
    /// Path and query.
    pub(super) target: Cow<'a, str>,
}

/// The origin of an absolute URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AddressOrigin<'a> {
    pub(super) is_https: bool,
    /// `host[:port]`.
    pub(super) authority: &'a str,
}

/// Whether a request may name addresses besides its target; a cheap check before they are parsed.
/// Applications ignore these headers in GET and HEAD requests, and no header overrides these methods.
pub(super) fn may_name_other_addresses(head: &Head<'_>) -> bool {
    let ignores_addresses =
        matches!(*head.method, Method::GET | Method::HEAD) && !head.unknown.method;
    !ignores_addresses && (head.headers.contains_key(IF) || has_destination(head))
}

/// Parses the headers of a request that contain addresses.
pub(super) fn read_headers<'a>(head: &Head<'a>) -> Result<Vec<AddressHeader<'a>>, AddressError> {
    let mut address_headers = Vec::new();
    let base = (!head.unknown.path).then(|| head.path.as_str());
    if has_destination(head) {
        let unreadable = AddressError::Unreadable("Destination");
        let value = single_value(head.headers, &DESTINATION).ok_or(unreadable)?;
        let address = Address::parse(value.trim_ascii(), base).ok_or(unreadable)?;
        address_headers.push(AddressHeader {
            name: DESTINATION,
            pieces: vec![HeaderPiece::Address(address)],
        });
    }
    if head.headers.contains_key(IF) {
        let unreadable = AddressError::Unreadable("If");
        let value = single_value(head.headers, &IF).ok_or(unreadable)?;
        let pieces = parse_tagged_lists(value, base).ok_or(unreadable)?;
        address_headers.push(AddressHeader { name: IF, pieces });
    }
    Ok(address_headers)
}

/// Whether `Destination` is an address in this request. The methods of HTTP itself have no destination:
/// some applications use the header name for something else.
fn has_destination(head: &Head<'_>) -> bool {
    let is_http_method = matches!(
        *head.method,
        Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::PATCH
            | Method::DELETE
            | Method::OPTIONS
    );
    let has_override = || {
        METHOD_OVERRIDES
            .iter()
            .any(|name| head.headers.contains_key(name))
    };
    head.headers.contains_key(DESTINATION)
        && (!is_http_method || head.unknown.method || has_override())
}

/// The value of a header that is not repeated, as text.
fn single_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    std::str::from_utf8(value.as_bytes()).ok()
}

/// Splits `<address> (list) (list) <address> (list)` into addresses and the text between them.
fn parse_tagged_lists<'a>(value: &'a str, base: Option<&str>) -> Option<Vec<HeaderPiece<'a>>> {
    let (mut pieces, mut addresses) = (Vec::new(), 0);
    // What is not parsed yet, and what is not yet part of a piece.
    let (mut rest, mut text) = (value, value);
    let text_up_to = |text: &'a str, rest: &'a str| &text[..text.len() - rest.len()];
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            pieces.push(HeaderPiece::Text(text));
            return Some(pieces);
        }
        if let Some(list) = rest.strip_prefix('(') {
            rest = after_list(list)?;
            continue;
        }
        let inner = rest.strip_prefix('<')?;
        let (address, after) = inner.split_once('>')?;
        addresses += 1;
        if addresses > ADDRESSES_MAX {
            return None;
        }
        pieces.push(HeaderPiece::Text(text_up_to(text, inner)));
        pieces.push(HeaderPiece::Address(Address::parse(address, base)?));
        text = &inner[address.len()..];
        rest = after;
    }
}

/// The text after a list of conditions whose `(` is already parsed. A condition is `<token>` or
/// `["entity tag"]`, with or without `Not`.
fn after_list(mut rest: &str) -> Option<&str> {
    loop {
        rest = rest.trim_ascii_start();
        rest = match *rest.as_bytes().first()? {
            b')' => return Some(&rest[1..]),
            b'<' => rest.split_once('>')?.1,
            b'[' => {
                let tag = rest[1..].trim_ascii_start();
                let tag = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?;
                let (_, after) = tag.split_once('"')?;
                after.trim_ascii_start().strip_prefix(']')?
            }
            _ => {
                let not = rest.get(..3)?;
                not.eq_ignore_ascii_case("not").then_some(&rest[3..])?
            }
        };
    }
}

impl<'a> Address<'a> {
    /// Parses an absolute URL, an absolute path, or a path relative to `base`. Text that two
    /// parsers may understand differently is refused.
    fn parse(text: &'a str, base: Option<&str>) -> Option<Self> {
        let is_forbidden =
            |byte: u8| matches!(byte, 0..=b' ' | 0x7f | b'#' | b'"' | b'<' | b'>' | b'\\');
        if text.is_empty() || text.bytes().any(is_forbidden) || text.starts_with("//") {
            return None;
        }
        if text.starts_with('/') {
            let target = Cow::Borrowed(text);
            let origin = None;
            return Some(Self { origin, target });
        }
        if let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| {
            let is_scheme_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
            scheme.bytes().all(is_scheme_byte)
        }) {
            let is_https = scheme.eq_ignore_ascii_case("https");
            if !is_https && !scheme.eq_ignore_ascii_case("http") {
                return None;
            }
            let (authority, target) = match rest.find(['/', '?']) {
                Some(index) if rest[index..].starts_with('?') => return None,
                Some(index) => rest.split_at(index),
                None => (rest, "/"),
            };
            return Some(Self {
                origin: Some(AddressOrigin {
                    is_https,
                    authority,
                }),
                target: Cow::Borrowed(target),
            });
        }
        // Before the first slash, a parser may take a colon for the end of a scheme.
        let first_segment = text.split(['/', '?']).next()?;
        if first_segment.is_empty() || first_segment.contains(':') {
            return None;
        }
        let base = base?;
        let folder = &base[..=base.rfind('/')?];
        Some(Self {
            origin: None,
            target: Cow::Owned(format!("{folder}{text}")),
        })
    }

    /// The head of the same request with this address as its target.
    pub(super) fn to_head<'b>(
        &'b self,
        head: &Head<'b>,
        reading_budget: &mut ReadingBudget,
    ) -> Option<Head<'b>>
    where
        'a: 'b,
    {
        let mut head = head.clone();
        let (path, query) = match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&*self.target, None),
        };
        head.path = Path::parse_within(path, query, reading_budget).ok()?;
        head.unknown.path = false;
        if let Some(origin) = self.origin {
            let (host, port): (Host<'b>, _) = parse_host(origin.authority).ok()?;
            (head.host, head.port, head.secure) = (host, port, origin.is_https);
            head.unknown.scheme = false;
        }
        Some(head)
    }
}

/// Whether two heads address the same host and the same port. Two absent ports count as the same,
/// whatever the scheme.
pub(super) fn is_same_host(one: &Head<'_>, other: &Head<'_>) -> bool {
    let have_no_port = one.port.is_none() && other.port.is_none();
    one.host == other.host && (have_no_port || one.effective_port() == other.effective_port())
}

/// Whether both routes lead to the same application, which sees the same host name and paths on both.
pub(super) fn is_same_application(one: &Route, other: &Route) -> bool {
    std::ptr::eq(one, other)
        || (one.upstream == other.upstream
            && one.host_header == other.host_header
            && !one.strip_path
            && !other.strip_path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_absolute_or_a_path_or_relative_to_the_request() {
        for (text, origin, target) in [
            ("https://a.test/b?c", Some((true, "a.test")), "/b?c"),
            ("HTTP://a.test:81/b", Some((false, "a.test:81")), "/b"),
            ("http://a.test", Some((false, "a.test")), "/"),
            ("/b/c", None, "/b/c"),
            ("c", None, "/a/c"),
            ("c/d?e=f:g", None, "/a/c/d?e=f:g"),
            ("c?u=http://x/", None, "/a/c?u=http://x/"),
        ] {
            let address = Address::parse(text, Some("/a/b"));
            let address = address.unwrap_or_else(|| panic!("{text}"));
            let origin = origin.map(|(is_https, authority)| AddressOrigin {
                is_https,
                authority,
            });
            assert_eq!(
                (address.origin, &*address.target),
                (origin, target),
                "{text}"
            );
        }
        for text in [
            "",
            " ",
            "//a.test/b",
            "/a b",
            "/a#b",
            "/a\\b",
            "?b",
            "a:b",
            "ftp://a/b",
            "http:/b",
            "http://a?b",
            "urn:uuid:x",
            "/a<b",
            "/\u{7f}",
        ] {
            assert!(Address::parse(text, Some("/a/b")).is_none(), "{text:?}");
        }
        assert!(Address::parse("c", None).is_none());
    }

    #[test]
    fn the_pieces_of_a_tagged_list_join_to_the_same_text() {
        for (value, addresses) in [
            ("(<urn:uuid:a>)", 0),
            ("(<urn:uuid:a> [\"b\"]) (Not <DAV:no-lock>)", 0),
            ("</a> (<urn:uuid:a>)", 1),
            (
                " <http://a.test/b> ([W/\"(<c>\"]) (<d>)\t</e>(Not [\"f\"])",
                2,
            ),
        ] {
            let pieces = parse_tagged_lists(value, Some("/")).unwrap_or_else(|| panic!("{value}"));
            let is_address = |piece: &&HeaderPiece<'_>| matches!(piece, HeaderPiece::Address(_));
            let count = pieces.iter().filter(is_address).count();
            assert_eq!(count, addresses, "{value}");
            let joined: String = pieces
                .iter()
                .map(|piece| match piece {
                    HeaderPiece::Text(text) => (*text).to_owned(),
                    HeaderPiece::Address(address) => match address.origin {
                        Some(origin) => format!("http://{}{}", origin.authority, address.target),
                        None => address.target.to_string(),
                    },
                })
                .collect();
            assert_eq!(joined, value);
        }
        let many = "</a> (<b>) ".repeat(ADDRESSES_MAX + 1);
        for value in [
            "<",
            "</a",
            "(<b>",
            "(",
            ")",
            "a",
            "</a b> (<c>)",
            "([b])",
            "(nor <b>)",
            &many,
        ] {
            assert!(parse_tagged_lists(value, Some("/")).is_none(), "{value:?}");
        }
    }
}
