//! Converts a reading of a path to the text of `request.path` in a rule.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::expression::Expression;

/// The text of a reading. `None` if the rule contains non-ASCII letters and the bytes may be those
/// letters in another encoding (GBK, Big5), which applications on Windows accept: the rule could
/// not recognize them.
pub fn path_text<'r>(rule: &Expression, reading: &'r [u8]) -> Option<Cow<'r, str>> {
    let literals = rule.literal_chars();
    if !literals.has_non_ascii() {
        return Some(String::from_utf8_lossy(reading));
    }
    // A rule that contains percent escapes expects them in the path.
    let bytes = match literals.has_percent {
        true => Cow::Borrowed(reading),
        false => decode_non_ascii_escapes(reading),
    };
    let text = match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
    };
    // `通知` in GBK is also valid UTF-8: two letters of two bytes each.
    let has_two_bytes = |letter: char| letter.len_utf8() == 2;
    let may_be_gbk =
        literals.has_longer && !literals.has_two_byte && text.chars().any(has_two_bytes);
    (!may_be_gbk).then_some(text)
}

/// Decodes the escapes of non-ASCII bytes. Browsers send these letters only escaped, so decoding
/// them changes no meaning, unlike `%2f`.
fn decode_non_ascii_escapes(path: &[u8]) -> Cow<'_, [u8]> {
    let is_non_ascii_escape = |three: &[u8]| {
        three[0] == b'%'
            && matches!(three[1], b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F')
            && three[2].is_ascii_hexdigit()
    };
    if !path.windows(3).any(is_non_ascii_escape) {
        return Cow::Borrowed(path);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        match rest.split_at_checked(3) {
            Some((three, after)) if is_non_ascii_escape(three) => {
                decoded.extend(percent_decode(three));
                rest = after;
            }
            _ => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::Scope;

    #[test]
    fn a_rule_gets_the_path_as_text_that_it_can_recognize() {
        let chinese = "!request.path.startsWith('/财务')";
        let escaped = r"!request.path.startsWith('/\u8d22')";
        let pattern = r"!request.path.matches('^/\\p{Han}')";
        let with_escapes = "request.path == '/财' || request.path == '/%E8%B4%A2'";
        let ascii = "!request.path.startsWith('/admin')";
        for (rule, reading, text) in [
            (chinese, &b"/%E8%b4%A2/%2f"[..], Some("/财/%2f")),
            (escaped, b"/%E8%B4%A2", Some("/财")),
            (pattern, b"/%E8%B4%A2", Some("/财")),
            (with_escapes, b"/%E8%B4%A2", Some("/%E8%B4%A2")),
            (ascii, b"/%E8%B4%A2", Some("/%E8%B4%A2")),
            (chinese, b"/x%", Some("/x%")),
            (chinese, b"/\xb2\xc6", None),
            (chinese, b"/%B2%C6", None),
            (escaped, b"/%B2%C6", None),
            (pattern, b"/%B2%C6", None),
            (with_escapes, b"/\xb2\xc6", None),
            (ascii, b"/\xb2", Some("/\u{fffd}")),
            // 通知 in GBK.
            (chinese, b"/%CD%A8%D6%AA", None),
            ("request.path == '/é'", b"/%C3%A9", Some("/é")),
            ("request.path == '/é'", b"/%E9", None),
            (ascii, b"/\xcd\xa8\xd6\xaa", Some("/\u{368}\u{5aa}")),
        ] {
            let rule = Expression::compile(rule, Scope::Rule).unwrap();
            let result = path_text(&rule, reading);
            assert_eq!(result.as_deref(), text, "{rule:?} {reading:?}");
        }
    }
}
