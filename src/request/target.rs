//! Request targets as bytes: which can be forwarded, how they are encoded, and which are refused.
//!
//! `http::Uri` accepts less than clients send: Internet Explorer and old applications send GBK,
//! others `"`, `<` or `>`. Such bytes are percent-encoded as browsers do it. The encoded target is
//! judged and forwarded.

use std::borrow::Cow;
use std::fmt::Write as _;

use http::Uri;
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

/// Bytes that clients send and that `http::Uri` accepts only in some parts of a target.
const ENCODED_IF_NEEDED: &AsciiSet = &AsciiSet::EMPTY.add(b'"').add(b'<').add(b'>').add(b'`');

/// Bytes that no request target may contain.
const NEVER_ALLOWED: &AsciiSet = &CONTROLS
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b' ')
    .add(b'#');

/// The scheme that marks a refused target: hyper must be able to parse the target of every request. A
/// client that sends this scheme itself is refused, too.
const REFUSED_SCHEME: &str = "refused-target";

/// How a refused target begins.
const REFUSED_PREFIX: &str = "refused-target://-/";

/// Parses a target. A `#` is an error. `http::Uri` would cut the target there, but proxies forward the
/// `#`, so the application might see another path than the one that was judged.
pub fn parse<T>(target: &[u8]) -> Option<T>
where
    T: for<'a> TryFrom<&'a [u8]>,
{
    if target.contains(&b'#') {
        return None;
    }
    let encoded = || T::try_from(&encode(target, ENCODED_IF_NEEDED)).ok();
    T::try_from(target).ok().or_else(encoded)
}

/// Encodes a target so that `http::Uri` accepts it; a target that cannot be encoded is replaced by
/// a refused one.
pub fn normalize(target: &[u8]) -> Cow<'_, [u8]> {
    let parses = |target: &[u8]| Uri::try_from(target).is_ok();
    if target.contains(&b'#') {
        return Cow::Owned(refused_target(target));
    }
    if parses(target) {
        return Cow::Borrowed(target);
    }
    let encoded = encode(target, ENCODED_IF_NEEDED);
    Cow::Owned(if parses(&encoded) {
        encoded
    } else {
        refused_target(target)
    })
}

/// Whether the target was refused when the request head was read.
pub fn is_refused(uri: &Uri) -> bool {
    uri.scheme_str() == Some(REFUSED_SCHEME)
}

/// A target that marks the request as refused. It keeps the path for the log.
fn refused_target(target: &[u8]) -> Vec<u8> {
    let mut marked = REFUSED_PREFIX.as_bytes().to_vec();
    if let Some(path) = target.strip_prefix(b"/") {
        marked.extend(encode(path, NEVER_ALLOWED));
    }
    marked
}

fn encode(target: &[u8], set: &'static AsciiSet) -> Vec<u8> {
    let mut encoded = String::with_capacity(target.len() + 64);
    // Writing into a string does not fail.
    let _ = write!(encoded, "{}", percent_encode(target, set));
    encoded.into_bytes()
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;
    use proptest::prelude::*;

    use super::*;

    fn normalized(target: &[u8]) -> String {
        String::from_utf8(normalize(target).into_owned()).unwrap()
    }

    #[test]
    fn a_target_that_uri_accepts_is_unchanged() {
        for target in [
            "/",
            "*",
            "/a?b",
            "/%zz",
            "/你好?q=张三",
            "/{\"a\":1}|^",
            "/a?b={c}|^`\\",
            "http://h/a",
            "h:443",
            "/a\\b",
        ] {
            assert_eq!(normalized(target.as_bytes()), target);
        }
    }

    #[test]
    fn other_bytes_are_percent_encoded() {
        for (target, expected) in [
            (&b"/q?query=a>1"[..], "/q?query=a%3E1"),
            (b"/q?key=\"a\"<", "/q?key=%22a%22%3C"),
            (b"/<`>\"/x", "/%3C%60%3E%22/x"),
            (b"/\xb2\xc6?\xce\xf1=%B2", "/%B2%C6?%CE%F1=%B2"),
            (b"/100%?a>1&b=50%", "/100%?a%3E1&b=50%"),
            (b"http://h/\xb2?<", "http://h/%B2?%3C"),
            ("/财/\u{80}?>".as_bytes(), "/%E8%B4%A2/%C2%80?%3E"),
        ] {
            assert_eq!(normalized(target), expected);
        }
    }

    #[test]
    fn an_invalid_target_is_marked_as_refused() {
        for (target, expected) in [
            (&b"/a#b"[..], "refused-target://-/a%23b"),
            (b"/a?b#", "refused-target://-/a?b%23"),
            (b"/#", "refused-target://-/%23"),
            (b"/a b\x7f\x01\xb2", "refused-target://-/a%20b%7F%01%B2"),
            (b"http://h/#x", "refused-target://-/"),
            (b"http://\xb2/", "refused-target://-/"),
            (b"a/b", "refused-target://-/"),
            (b"?q", "refused-target://-/"),
            (b"", "refused-target://-/"),
        ] {
            assert_eq!(normalized(target), expected);
            assert!(is_refused(&Uri::try_from(expected).unwrap()));
            assert_eq!(parse::<Uri>(target), None);
        }
        assert!(!is_refused(&Uri::from_static("http://h/")));
        assert!(!is_refused(&Uri::from_static("/refused-target://-/")));
    }

    proptest! {
        #[test]
        fn every_normalized_target_parses(target in proptest::collection::vec(any::<u8>(), 0..40)) {
            let uri = Uri::try_from(&*normalize(&target)).unwrap();
            let parsed = parse::<Uri>(&target);
            prop_assert_eq!(is_refused(&uri), parsed.is_none());
            prop_assert!(parsed.is_none_or(|parsed| parsed == uri));
        }

        #[test]
        fn a_decoded_path_equals_the_path_as_sent(rest in "[a-z\"<>`\u{80}-\u{ff}?]{0,20}") {
            let bytes: Vec<u8> = rest.chars().map(|char| char as u8).collect();
            let target = [b"/", &bytes[..]].concat();
            let parsed: PathAndQuery = parse(&target).unwrap();
            let decoded: Vec<u8> = percent_encoding::percent_decode_str(parsed.as_str()).collect();
            prop_assert_eq!(decoded, target);
        }
    }
}
