//! The secrets inside of a value that is shown otherwise: the password and the parameters of a URL, and fixed texts of
//! an expression that look like a key.

use std::ops::Range;

use crate::setting::names_secret;

/// The shortest text that is taken for a key.
const KEY_BYTES_MIN: usize = 8;

/// The longest text that is taken for a mistyped port.
const PORT_BYTES_MAX: usize = 6;

/// The byte ranges of secrets in the URLs of a value, relative to it.
pub(super) fn in_urls(value: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (slashes, _) in value.match_indices("//") {
        let start = slashes + 2;
        let url = &value[start..end_of(value, start, |c| "'\", \t\r\n[]".contains(c))];
        let authority = &url[..url.find(['/', '?', '#']).unwrap_or(url.len())];
        // With an `@` the names of keys say what is masked.
        if let Some((host, port)) = authority.split_once(':')
            && !authority.contains('@')
            && !is_port(port)
        {
            let at = start + host.len() + 1;
            found.push(at..at + port.len());
        }
        found.extend(in_query(value, start, url));
    }
    found
}

/// The parameters of a URL that stands at `start` of a value.
fn in_query(value: &str, start: usize, url: &str) -> Vec<Range<usize>> {
    let Some((before, query)) = url.split_once('?') else {
        return Vec::new();
    };
    let query = &query[..query.find('#').unwrap_or(query.len())];
    let mut at = start + before.len() + 1;
    let mut found = Vec::new();
    for pair in query.split('&') {
        if let Some((name, content)) = pair.split_once('=')
            && (names_secret(name) || is_like_a_key(content))
        {
            let content_at = at + name.len() + 1;
            found.push(content_at..content_at + content.len());
        }
        at += pair.len() + 1;
    }
    found.retain(|range| !range.is_empty() && range.end <= value.len());
    found
}

/// The byte ranges of the fixed texts in an expression that look like keys. `value` has the quotes of TOML around it.
pub(super) fn in_expression(value: &str) -> Vec<Range<usize>> {
    let opening = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|quote| value.starts_with(quote));
    let mut at = opening.map_or(0, str::len);
    let mut found = Vec::new();
    while let Some(quote_at) = value[at..].find(['"', '\'']) {
        let quote = value.as_bytes().get(at + quote_at).copied();
        let start = at + quote_at + 1;
        let end = end_of(value, start, |c| quote.map(char::from) == Some(c));
        let text = &value[start..end];
        let text = text.trim_end_matches('\\');
        if text.split_whitespace().any(is_like_a_key) {
            found.push(start..start + text.len());
        }
        at = (end + 1).min(value.len());
    }
    found
}

fn end_of(value: &str, start: usize, is_end: impl Fn(char) -> bool) -> usize {
    value[start..]
        .find(is_end)
        .map_or(value.len(), |length| start + length)
}

/// Whether a text may be a port, also a mistyped one.
fn is_port(text: &str) -> bool {
    let begins_with_digit = text.starts_with(|c: char| c.is_ascii_digit());
    text.is_empty() || begins_with_digit && text.len() <= PORT_BYTES_MAX
}

/// Whether a text may be a key or a password: letters and digits together, and no path or host.
fn is_like_a_key(text: &str) -> bool {
    let has = |is_it: fn(&u8) -> bool| text.bytes().any(|byte| is_it(&byte));
    text.len() >= KEY_BYTES_MIN
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && !text.contains("//")
        && !text.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::super::mask;
    use super::*;

    #[test]
    fn passwords_and_keys_in_urls_are_found() {
        for (value, shown) in [
            ("'https://u:hunter2'", "'https://u:*******'"),
            ("'https://u:hunter2/p'", "'https://u:*******/p'"),
            ("'https://h:8o80/p'", "'https://h:8o80/p'"),
            ("'https://h:port1234'", "'https://h:********'"),
            ("'https://[::1]:8080/'", "'https://[::1]:8080/'"),
            (
                "['https://h/?sig=hunter2abc&x=1#a', 'https://u:hunter2']",
                "['https://h/?sig=**********&x=1#a', 'https://u:*******']",
            ),
            ("'https://h/?token=x&a=b'", "'https://h/?token=*&a=b'"),
            (
                "'postgres://h/d?sslmod=require'",
                "'postgres://h/d?sslmod=require'",
            ),
            ("'https://h/a1b2c3d4e5/x?'", "'https://h/a1b2c3d4e5/x?'"),
        ] {
            assert_eq!(mask(value, &in_urls(value), None), shown, "{value}");
        }
    }

    #[test]
    fn texts_like_keys_in_expressions_are_found() {
        for (value, shown) in [
            ("\"'hunter22' + user.lgin\"", "\"'********' + user.lgin\""),
            ("'\"hunter22\" + user.lgin'", "'\"********\" + user.lgin'"),
            ("\"'hunter22 + user.lgin\"", "\"'********************\""),
            ("\"'Bearer abc123def'\"", "\"'****************'\""),
            (
                "\"'运维部' in user.department\"",
                "\"'运维部' in user.department\"",
            ),
            ("\"'admin' + user.lgin\"", "\"'admin' + user.lgin\""),
            (
                "\"user.login == 'a1' ? 'x' : ''\"",
                "\"user.login == 'a1' ? 'x' : ''\"",
            ),
            ("\"\\\"hunter22\\\" + 1\"", "\"\\\"********\\\" + 1\""),
        ] {
            assert_eq!(mask(value, &in_expression(value), None), shown, "{value}");
        }
    }
}
