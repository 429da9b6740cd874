//! `Path`: the bytes of a request's path, and every way somebody behind us might read them.

use std::borrow::Cow;

/// The longest path that is not plain, in bytes: every reading of it is worked out.
const TRICKY_BYTES_MAX: usize = 8192;

/// How long all readings of one path may be together, in bytes: a stranger's request must not cost
/// much more than its length. Names in any script have two or three readings.
const READINGS_BYTES_MAX: usize = 64 * 1024;

/// The path and query of a request as they were sent; the bytes that are judged are the bytes that
/// are sent on.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    raw: &'a str,
    query: Option<&'a str>,
    plain: bool,
}

/// A path nobody should be asked to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not start with `/`.
    #[error("the path does not start with a slash")]
    NoSlash,
    /// NUL, CR, LF or a backslash, as sent or hidden in an escape.
    #[error("the path holds a control character or a backslash")]
    Control,
    /// A `%` that is not followed by two hexadecimal digits.
    #[error("the path holds a broken escape")]
    Escape,
    /// So long that working out how it may be read would cost too much.
    #[error("the path is too long for the many ways to read it")]
    Long,
    /// Some reader would see a `.` or `..` segment.
    #[error("the path holds a dot segment, plain or hidden")]
    Dots,
}

impl<'a> Path<'a> {
    /// Parses the path and takes the query along, which no decision looks at.
    pub fn parse(raw: &'a str, query: Option<&'a str>) -> Result<Self, PathError> {
        if !raw.starts_with('/') {
            return Err(PathError::NoSlash);
        }
        let plain = is_plain(raw.as_bytes());
        let path = Self { raw, query, plain };
        if !plain {
            if raw.len() > TRICKY_BYTES_MAX {
                return Err(PathError::Long);
            }
            if raw
                .bytes()
                .any(|byte| matches!(byte, 0 | b'\r' | b'\n' | b'\\'))
            {
                return Err(PathError::Control);
            }
            if has_broken_escape(raw.as_bytes()) {
                return Err(PathError::Escape);
            }
            let readings = path.readings_within(READINGS_BYTES_MAX);
            for reading in readings.ok_or(PathError::Long)? {
                if reading.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
                    return Err(PathError::Control);
                }
                if has_dots(&reading) {
                    return Err(PathError::Dots);
                }
            }
        }
        Ok(path)
    }

    /// The path as sent.
    pub fn as_str(&self) -> &'a str {
        self.raw
    }

    /// The query as sent, without its `?`.
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// Whether everybody reads it alike: no escape, `;`, doubled slash or dot segment.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Every reading, without repetition, the path as sent first.
    ///
    /// As sent, decoded once and twice, before and after segments were cut at `;`; each with `\` as
    /// `/`, with segments cut at `;`, with slashes merged, with overlong UTF-8 read as the ASCII it
    /// hides, and in every combination of these; each also in lower case when somebody behind
    /// compares so.
    pub fn readings(&self, any_case: bool) -> Vec<Cow<'a, [u8]>> {
        // A path was parsed within its limit.
        let mut readings = self.readings_within(usize::MAX).unwrap_or_default();
        if any_case {
            for at in 0..readings.len() {
                let lower = readings[at].to_ascii_lowercase();
                insert(&mut readings, lower);
            }
        }
        readings
    }

    /// The same without case, unless they are longer than so many bytes together.
    fn readings_within(&self, bytes_max: usize) -> Option<Vec<Cow<'a, [u8]>>> {
        let mut readings = vec![Cow::Borrowed(self.raw.as_bytes())];
        if self.plain {
            return Some(readings);
        }
        let mut left = bytes_max;
        for base in &bases(self.raw.as_bytes()) {
            for choice in 0..16u8 {
                let reading = read(base, choice);
                let bytes = reading.len();
                if insert(&mut readings, reading) {
                    left = left.checked_sub(bytes)?;
                }
            }
        }
        Some(readings)
    }
}

/// Adds a reading that is not there yet; says whether it was added.
fn insert(readings: &mut Vec<Cow<'_, [u8]>>, reading: Vec<u8>) -> bool {
    let new = !readings.iter().any(|known| **known == *reading);
    if new {
        readings.push(Cow::Owned(reading));
    }
    new
}

/// The path as sent, decoded once and twice; each as it is and with its parameters cut, because some
/// servers (Tomcat, Jetty) cut before they decode, and the slash that ends a parameter may be hidden.
fn bases(sent: &[u8]) -> Vec<Vec<u8>> {
    let mut bases: Vec<Vec<u8>> = Vec::new();
    let mut stage = vec![sent.to_vec()];
    for _ in 0..3 {
        let cut: Vec<_> = stage.iter().map(|base| cut_parameters(base)).collect();
        stage.extend(cut);
        let decoded = stage.iter().filter_map(|base| decode(base)).collect();
        for base in std::mem::replace(&mut stage, decoded) {
            if !bases.contains(&base) {
                bases.push(base);
            }
        }
    }
    bases
}

/// One pass over a path, with the tricks that `choice` has bits for.
fn read(base: &[u8], choice: u8) -> Vec<u8> {
    let mut path = base.to_vec();
    if choice & 1 != 0 {
        path = unfold_overlong(&path);
    }
    if choice & 2 != 0 {
        path.iter_mut()
            .filter(|byte| **byte == b'\\')
            .for_each(|byte| *byte = b'/');
    }
    if choice & 4 != 0 {
        path = cut_parameters(&path);
    }
    if choice & 8 != 0 {
        path.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
    }
    path
}

fn is_plain(path: &[u8]) -> bool {
    let mut previous = 0;
    for byte in path {
        match (previous, *byte) {
            (_, b'%' | b'\\' | b';' | 0..=0x20 | 0x7f..) | (b'/', b'/') => return false,
            _ => previous = *byte,
        }
    }
    !has_dots(path)
}

fn has_dots(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/')
        .any(|segment| matches!(segment, b"." | b".."))
}

fn has_broken_escape(path: &[u8]) -> bool {
    let digit = |at: usize| path.get(at).is_some_and(u8::is_ascii_hexdigit);
    (0..path.len()).any(|at| path[at] == b'%' && !(digit(at + 1) && digit(at + 2)))
}

/// Decodes every escape once, as lenient decoders do: what is broken stays. Nothing without any.
fn decode(path: &[u8]) -> Option<Vec<u8>> {
    let any = path.contains(&b'%');
    any.then(|| percent_encoding::percent_decode(path).collect())
}

fn cut_parameters(path: &[u8]) -> Vec<u8> {
    let mut cut = Vec::with_capacity(path.len());
    let mut inside = false;
    for byte in path {
        inside = *byte != b'/' && (inside || *byte == b';');
        if !inside {
            cut.push(*byte);
        }
    }
    cut
}

/// Reads two, three and four byte forms of ASCII (RFC 3629 forbids them) as lenient decoders do.
fn unfold_overlong(path: &[u8]) -> Vec<u8> {
    let mut unfolded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, length) = match rest {
            [a @ 0xc0..=0xc1, b @ 0x80..=0xbf, ..] => ((a & 1) << 6 | (b & 0x3f), 2),
            [0xe0, b @ 0x80..=0x81, c @ 0x80..=0xbf, ..] => ((b & 1) << 6 | (c & 0x3f), 3),
            [0xf0, 0x80, c @ 0x80..=0x81, d @ 0x80..=0xbf, ..] => ((c & 1) << 6 | (d & 0x3f), 4),
            _ => (*first, 1),
        };
        unfolded.push(byte);
        rest = if length == 1 { tail } else { &rest[length..] };
    }
    unfolded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(path: &str) -> Result<(), PathError> {
        Path::parse(path, None).map(drop)
    }

    #[test]
    fn ordinary_paths_take_the_fast_way() {
        for path in ["/", "/a/b.c", "/a/..b", "/a/...", "/~x/@y/:z", "/a-b_c/%"] {
            let parsed = Path::parse(path, None);
            assert_eq!(
                parsed.is_ok_and(|p| p.is_plain()),
                !path.contains('%'),
                "{path}"
            );
        }
    }

    #[test]
    fn harmless_escapes_slashes_and_parameters_are_kept() {
        for path in [
            "/group%2fproject",
            "/@scope%2Fname",
            "/a//b",
            "/job;jsessionid=1/x",
            "/%B2%C6%CE%F1",
            "/100%25",
            "/a/..b/c",
            "/%D5%5C",
        ] {
            assert_eq!(parse(path), Ok(()), "{path}");
        }
    }

    #[test]
    fn dot_segments_are_refused_however_they_are_hidden() {
        for path in [
            "/.",
            "/..",
            "/a/../b",
            "/a/./b",
            "/%2e%2e/a",
            "/.%2E/a",
            "/%252e%252e/a",
            "/..;/a",
            "/..;x=y/a",
            "/%2e%2e;a/b",
            "/a%2f..%2fb",
            "/a%5c..%5cb",
            "/a/%c0%ae%c0%ae/b",
            "/a/%e0%80%ae./b",
            "/a%c0%af../b",
            "/a/%25c0%25ae./b",
            "/..%3b/a",
            "/a/..%5c",
            "/a/.;x%2f./b",
            "/%252e%252e/100%25",
        ] {
            assert_eq!(parse(path), Err(PathError::Dots), "{path}");
        }
    }

    #[test]
    fn controls_backslashes_and_broken_escapes_are_refused() {
        for path in ["/a%00", "/a%0d%0a", "/a\\b", "/%2500", "/a\nb"] {
            assert_eq!(parse(path), Err(PathError::Control), "{path:?}");
        }
        for path in ["/%", "/%2", "/%zz", "/a%2gb"] {
            assert_eq!(parse(path), Err(PathError::Escape), "{path}");
        }
        assert_eq!(parse("*"), Err(PathError::NoSlash));
        let escaped = |n: usize| format!("/{}", "%41".repeat(n));
        assert_eq!(parse(&escaped(2_700)), Ok(()));
        assert_eq!(parse(&escaped(2_800)), Err(PathError::Long));
        assert_eq!(parse(&format!("/{}", "a".repeat(20_000))), Ok(()));
    }

    #[test]
    fn readings_are_what_servers_behind_us_see() {
        let path = Path::parse("/A%2fb;c//d", None).unwrap();
        let readings = path.readings(true);
        for seen in [
            &b"/A%2fb;c//d"[..],
            b"/A/b;c//d",
            b"/A/b/d",
            b"/a/b/d",
            b"/A%2fb/d",
        ] {
            assert!(
                readings.iter().any(|reading| **reading == *seen),
                "{seen:?}"
            );
        }
        let path = Path::parse("/%61;x%2fy/b", None).unwrap();
        assert!(path.readings(false).iter().any(|seen| **seen == *b"/a/b"));
        assert_eq!(
            Path::parse("/plain", None).unwrap().readings(false).len(),
            1
        );
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,40}") {
            let _ = Path::parse(&text, None);
        }

        #[test]
        fn any_accepted_path_has_no_reading_with_dots(text in "/[a./%25cC0aefE2;\\\\-]{0,24}") {
            if let Ok(path) = Path::parse(&text, None) {
                for reading in path.readings(true) {
                    prop_assert!(!has_dots(&reading));
                }
            }
        }
    }

    #[test]
    fn a_long_path_with_very_many_readings_is_refused_and_a_long_name_is_not() {
        let tricks = "a;%253bc%3b%252fB%2f/x//y%5cz%255c%c1%81%25c1%2581";
        let path = format!("/{}{tricks}", "x/".repeat(3_900));
        assert_eq!(parse(&path), Err(PathError::Long));
        assert_eq!(parse(&format!("/{tricks}")), Ok(()));
        let name = "/%E6%96%87;v=1//".repeat(500);
        assert_eq!(parse(&name), Ok(()));
    }
}
