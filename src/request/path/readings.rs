//! Computes the readings of a path: what different servers and libraries parse from the same bytes.

use super::{Path, PathError};

/// The maximum total length in bytes of the readings of all paths of one request. It bounds the work
/// that a request can cause; a percent-encoded name has two or three readings.
const READINGS_BYTES_MAX: usize = 64 * 1024;

/// The maximum number of readings of all paths of one request, because a rule is evaluated for each.
/// Paths in real use have a dozen at most.
const READINGS_COUNT_MAX: usize = 128;

/// How many times a path may be percent-decoded: once by a proxy, once by the application.
const DECODINGS_MAX: usize = 2;

/// The readings that the paths of a request may still have. A reading is a path that an application may
/// decode or normalize a sent path to.
#[derive(Clone, Copy, Debug)]
pub struct ReadingBudget {
    count_left: usize,
    bytes_left: usize,
}

impl Default for ReadingBudget {
    fn default() -> Self {
        Self {
            count_left: READINGS_COUNT_MAX,
            bytes_left: READINGS_BYTES_MAX,
        }
    }
}

impl ReadingBudget {
    /// What is left for the other paths of a request with this target.
    pub fn remaining_after(target: &Path<'_>) -> Self {
        let bytes: usize = target.readings.iter().map(Vec::len).sum();
        Self {
            count_left: READINGS_COUNT_MAX.saturating_sub(target.readings.len()),
            bytes_left: READINGS_BYTES_MAX.saturating_sub(bytes),
        }
    }

    fn take(&mut self, reading: &[u8]) -> Option<()> {
        let count_left = self.count_left.checked_sub(1)?;
        let bytes_left = self.bytes_left.checked_sub(reading.len())?;
        *self = Self {
            count_left,
            bytes_left,
        };
        Some(())
    }
}

/// A change that a parser makes to a path; `None` if it changes nothing.
type Transformation = fn(&[u8]) -> Option<Vec<u8>>;

/// Every change that a parser may make to a path, except percent-decoding.
const TRANSFORMATIONS: [Transformation; 12] = [
    decode_overlong,
    decode_utf16,
    replace_backslashes,
    cut_parameters,
    cut_at_semicolon,
    merge_slashes,
    drop_authority,
    cut_query,
    cut_spaces,
    cut_spaces_and_dots,
    cut_ntfs_streams,
    drop_tabs,
];

/// Every reading of a path, without duplicates, the path as sent first: undecoded, decoded once and
/// twice, each with every combination of transformations.
pub(super) fn all(sent: &[u8], budget: &mut ReadingBudget) -> Result<Vec<Vec<u8>>, PathError> {
    let mut readings = Readings {
        found: Vec::new(),
        budget,
    };
    readings.add(sent.to_vec())?;
    // The index of the first reading that was decoded `decodings` times.
    let mut stage_start = 0;
    for decodings in 0..=DECODINGS_MAX {
        let mut index = stage_start;
        while let Some(reading) = readings.found.get(index) {
            let transformed = TRANSFORMATIONS.map(|transform| transform(reading));
            for reading in transformed.into_iter().flatten() {
                readings.add(reading)?;
            }
            index += 1;
        }
        if decodings < DECODINGS_MAX {
            for index in std::mem::replace(&mut stage_start, index)..index {
                if let Some(decoded) = decode(&readings.found[index]) {
                    readings.add(decoded)?;
                }
            }
        }
    }
    Ok(readings.found)
}

/// The readings found so far; none contains NUL, CR, LF or a dot segment.
struct Readings<'a> {
    found: Vec<Vec<u8>>,
    budget: &'a mut ReadingBudget,
}

impl Readings<'_> {
    fn add(&mut self, reading: Vec<u8>) -> Result<(), PathError> {
        if self.found.contains(&reading) {
            return Ok(());
        }
        if reading.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err(PathError::Control);
        }
        if has_dot_segment(&reading) {
            return Err(PathError::DotSegment);
        }
        self.budget
            .take(&reading)
            .ok_or(PathError::TooManyReadings)?;
        self.found.push(reading);
        Ok(())
    }
}

fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(is_dot_segment)
}

/// Whether a segment is `.` or `..`, or consists of dots and of spaces or control characters, which a
/// server may remove.
fn is_dot_segment(segment: &[u8]) -> bool {
    let dots = segment.iter().filter(|byte| **byte == b'.').count();
    let spaces = segment.iter().filter(|byte| is_space(**byte)).count();
    dots > 0 && dots + spaces == segment.len() && (dots <= 2 || spaces > 0)
}

/// Whether a byte is a space or a control character. Java trims all of these, Python most.
fn is_space(byte: u8) -> bool {
    byte <= b' '
}

/// Decodes every percent escape once. Invalid escapes stay, as lenient decoders leave them.
fn decode(path: &[u8]) -> Option<Vec<u8>> {
    let has_escape = path.contains(&b'%');
    has_escape.then(|| percent_encoding::percent_decode(path).collect())
}

/// Decodes `%u0061` as IIS does. It is not valid in a request, but may be what remains after an
/// escaped `%` was decoded.
fn decode_utf16(path: &[u8]) -> Option<Vec<u8>> {
    if !path.contains(&b'%') {
        return None;
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        let digits = match rest {
            [b'%', b'u' | b'U', digits @ ..] => digits.first_chunk::<4>(),
            _ => None,
        };
        let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        // `from_str_radix` would also accept a sign.
        let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = text.and_then(|text| u16::from_str_radix(text, 16).ok());
        match unit.and_then(|unit| char::from_u32(u32::from(unit))) {
            Some(char) => {
                decoded.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[6..];
            }
            None => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    (decoded.len() < path.len()).then_some(decoded)
}

/// A path in lower case. Non-ASCII letters whose other case is ASCII become ASCII: `ı` and `İ` are
/// forms of `I`, `ſ` of `S`, and the kelvin sign of `K`.
pub(super) fn ascii_lower_case(path: &[u8]) -> Vec<u8> {
    let mut lower = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, after) = match rest {
            [0xc4, 0xb0 | 0xb1, after @ ..] => (b'i', after),
            [0xc5, 0xbf, after @ ..] => (b's', after),
            [0xe2, 0x84, 0xaa, after @ ..] => (b'k', after),
            _ => (first.to_ascii_lowercase(), tail),
        };
        lower.push(byte);
        rest = after;
    }
    lower
}

/// Other lower-case forms of a path with non-ASCII letters: converted directly, and converted to upper
/// case first, so that `ς` and `σ` become one letter. None for an ASCII path.
pub(super) fn unicode_lower_cases(lower: &[u8]) -> [Option<String>; 2] {
    match std::str::from_utf8(lower) {
        Ok(text) if !text.is_ascii() => {
            let upper = text.to_uppercase();
            [Some(text.to_lowercase()), Some(upper.to_lowercase())]
        }
        _ => [None, None],
    }
}

/// Decodes the two, three and four byte forms of ASCII that RFC 3629 forbids, as lenient decoders
/// do.
fn decode_overlong(path: &[u8]) -> Option<Vec<u8>> {
    let starts_overlong = |byte: &u8| matches!(byte, 0xc0 | 0xc1 | 0xe0 | 0xf0);
    if !path.iter().any(starts_overlong) {
        return None;
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, length) = match rest {
            [a @ 0xc0..=0xc1, b @ 0x80..=0xbf, ..] => ((a & 1) << 6 | (b & 0x3f), 2),
            [0xe0, b @ 0x80..=0x81, c @ 0x80..=0xbf, ..] => ((b & 1) << 6 | (c & 0x3f), 3),
            [0xf0, 0x80, c @ 0x80..=0x81, d @ 0x80..=0xbf, ..] => ((c & 1) << 6 | (d & 0x3f), 4),
            _ => (*first, 1),
        };
        decoded.push(byte);
        rest = if length == 1 { tail } else { &rest[length..] };
    }
    (decoded.len() < path.len()).then_some(decoded)
}

fn replace_backslashes(path: &[u8]) -> Option<Vec<u8>> {
    let replace = |byte: &u8| if *byte == b'\\' { b'/' } else { *byte };
    path.contains(&b'\\')
        .then(|| path.iter().map(replace).collect())
}

/// Cuts every segment at its `;`. Some servers (Tomcat, Jetty) do so before decoding.
fn cut_parameters(path: &[u8]) -> Option<Vec<u8>> {
    path.contains(&b';').then(|| {
        let is_end = |byte: &u8| *byte == b';';
        map_segments(path, |segment| segment.split(is_end).next().unwrap_or(b""))
    })
}

/// Cuts a path at its first `;`, as Struts 2 does to find the action.
fn cut_at_semicolon(path: &[u8]) -> Option<Vec<u8>> {
    let end = path.iter().position(|byte| *byte == b';')?;
    Some(path[..end].to_vec())
}

fn merge_slashes(path: &[u8]) -> Option<Vec<u8>> {
    path.windows(2).any(|two| two == b"//").then(|| {
        let mut merged = path.to_vec();
        merged.dedup_by(|next, previous| *next == b'/' && *previous == b'/');
        merged
    })
}

/// Reads `//host/path` as a reference with a host (RFC 3986 4.2), as Node's `URL`, the JDK's `URI`
/// and Python's `urlsplit` do; browsers skip further slashes.
fn drop_authority(path: &[u8]) -> Option<Vec<u8>> {
    let start = path.iter().position(|byte| *byte != b'/');
    let authority = &path[start.unwrap_or(path.len())..];
    (path.len() - authority.len() > 1).then(|| {
        let end = authority.iter().position(|byte| *byte == b'/');
        end.map_or(&b"/"[..], |end| &authority[end..]).to_vec()
    })
}

/// Cuts a path at a decoded `?` or `#`, as a server does that receives it decoded.
fn cut_query(path: &[u8]) -> Option<Vec<u8>> {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'))?;
    Some(path[..end].to_vec())
}

fn cut_spaces(path: &[u8]) -> Option<Vec<u8>> {
    trim_segment_ends(path, is_space)
}

/// Removes spaces and dots at the end of segments, as Windows does with file names.
fn cut_spaces_and_dots(path: &[u8]) -> Option<Vec<u8>> {
    trim_segment_ends(path, |byte| is_space(byte) || byte == b'.')
}

/// Reads `name::$DATA` and `name:$I30:$INDEX_ALLOCATION` as `name`, as NTFS does.
fn cut_ntfs_streams(path: &[u8]) -> Option<Vec<u8>> {
    let names_stream = |segment: &[u8]| segment.windows(2).any(|two| two == b":$");
    path.split(|byte| *byte == b'/').any(names_stream).then(|| {
        map_segments(path, |segment| match names_stream(segment) {
            true => segment.split(|byte| *byte == b':').next().unwrap_or(b""),
            false => segment,
        })
    })
}

/// Removes tabs, as the URL parsers of browsers and Python do.
fn drop_tabs(path: &[u8]) -> Option<Vec<u8>> {
    let is_kept = |byte: &u8| *byte != b'\t';
    path.contains(&b'\t')
        .then(|| path.iter().copied().filter(is_kept).collect())
}

fn map_segments<'a>(path: &'a [u8], change: impl Fn(&'a [u8]) -> &'a [u8]) -> Vec<u8> {
    let mut changed = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            changed.push(b'/');
        }
        changed.extend_from_slice(change(segment));
    }
    changed
}

/// Trims these bytes off the end of every segment.
fn trim_segment_ends(path: &[u8], is_cut: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    let is_cut_at_end =
        |index: usize| is_cut(path[index]) && matches!(path.get(index + 1), None | Some(b'/'));
    (0..path.len()).any(is_cut_at_end).then(|| {
        map_segments(path, |segment| {
            let last = segment.iter().rposition(|byte| !is_cut(*byte));
            &segment[..last.map_or(0, |last| last + 1)]
        })
    })
}
