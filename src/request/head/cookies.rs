//! Parses the cookies of a request as bytes.

use http::HeaderMap;
use http::header::COOKIE;

/// The values of all cookies with this name, in order.
pub fn cookies<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| split_cookie_line(line.as_bytes()));
    pairs.filter_map(move |pair| {
        // Compares the prefix first, because most cookies have another name.
        let rest = pair.trim_ascii_start().strip_prefix(name.as_bytes())?;
        let value = rest.trim_ascii_start().strip_prefix(b"=")?;
        std::str::from_utf8(value.trim_ascii()).ok()
    })
}

/// Every cookie of a request that is valid UTF-8, as name and value.
pub fn cookie_pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let text = |bytes| std::str::from_utf8(bytes).ok();
    raw_cookies(headers).filter_map(move |(name, value)| Some((text(name)?, text(value)?)))
}

fn raw_cookies(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines = headers.get_all(COOKIE).iter();
    let pairs = lines.flat_map(|line| split_cookie_line(line.as_bytes()));
    pairs.filter_map(|pair| {
        let end = pair.iter().position(|byte| *byte == b'=')?;
        Some((pair[..end].trim_ascii(), pair[end + 1..].trim_ascii()))
    })
}

/// Splits a `Cookie` header at its semicolons, with a vectorized search because it runs on every request.
pub fn split_cookie_line(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let end = memchr::memchr(b';', line);
        rest = end.map(|end| &line[end + 1..]);
        Some(&line[..end.unwrap_or(line.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_full_name() {
        let mut headers = HeaderMap::new();
        for line in [
            "a=1; aa=2; =a=3; a ; a",
            " a = 4 ;a==5",
            "A=6; b=a=7; a=;\ta\t=8",
        ] {
            headers.append(COOKIE, line.parse().unwrap());
        }
        let found: Vec<_> = cookies(&headers, "a").collect();
        assert_eq!(found, ["1", "4", "=5", "", "8"]);
        let pairs = cookie_pairs(&headers).filter(|(name, _)| *name == "a");
        assert_eq!(pairs.map(|(_, value)| value).collect::<Vec<_>>(), found);
    }

    #[test]
    fn a_cookie_line_is_split_at_every_semicolon() {
        for line in ["", ";", "a=1", "a=1; b=2", ";a;;b=;", "a=;b; "] {
            let expected: Vec<_> = line.split(';').map(str::as_bytes).collect();
            let pairs: Vec<_> = split_cookie_line(line.as_bytes()).collect();
            assert_eq!(pairs, expected, "{line:?}");
        }
    }
}
