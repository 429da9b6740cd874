//! The readings of a path: the paths that different servers and libraries parse from the same
//! bytes.

use super::{Path, PathError};

/// How long all readings of the paths of one request may be together, in bytes, so that a request
/// costs little more than its length. Names in any script have two or three readings.
const READINGS_BYTES_MAX: usize = 64 * 1024;

/// How many readings the paths of one request may have together: a rule is evaluated for each.
/// Paths in real use have a dozen at most.
const READINGS_COUNT_MAX: usize = 128;

/// How many times a path may be percent-decoded: once by a proxy, once by the application.
const DECODINGS_MAX: usize = 2;

/// How many further readings the paths of a request may have, and how long they may be together.
#[derive(Clone, Copy, Debug)]
pub struct ReadingBudget {
    count: usize,
    bytes: usize,
}

impl Default for ReadingBudget {
    fn default() -> Self {
        Self {
            count: READINGS_COUNT_MAX,
            bytes: READINGS_BYTES_MAX,
        }
    }
}

impl ReadingBudget {
    /// What remains for the further paths of a request with this target.
    pub fn remaining_after(path: &Path<'_>) -> Self {
        let bytes: usize = path.readings.iter().map(Vec::len).sum();
        let left = Self::default();
        Self {
            count: left.count.saturating_sub(path.readings.len()),
            bytes: left.bytes.saturating_sub(bytes),
        }
    }

    fn take(&mut self, reading: &[u8]) -> Option<()> {
        let count = self.count.checked_sub(1)?;
        let bytes = self.bytes.checked_sub(reading.len())?;
        *self = Self { count, bytes };
        Some(())
    }
}

/// A change that a parser makes to a path; `None` if it changes nothing.
type Transformation = fn(&[u8]) -> Option<Vec<u8>>;

/// Every change that a parser may make to a path, except percent-decoding.
const TRANSFORMATIONS: [Transformation; 12] = [
    unfold_overlong,
    decode_utf16,
    turn_backslashes,
    cut_parameters,
    cut_at_semicolon,
    merge_slashes,
    drop_authority,
    cut_query,
    cut_blanks,
    cut_blanks_and_dots,
    cut_streams,
    drop_tabs,
];

/// Every reading of a path, without duplicates, the path as sent first: undecoded, decoded once and
/// twice, each with every combination of transformations.
pub(super) fn all(sent: &[u8], left: &mut ReadingBudget) -> Result<Vec<Vec<u8>>, PathError> {
    let known = Vec::new();
    let mut readings = Readings { known, left };
    readings.add(sent.to_vec())?;
    let mut stage = 0;
    for decodings in 0..=DECODINGS_MAX {
        let mut at = stage;
        while let Some(reading) = readings.known.get(at) {
            let changed = TRANSFORMATIONS.map(|change| change(reading));
            for reading in changed.into_iter().flatten() {
                readings.add(reading)?;
            }
            at += 1;
        }
        if decodings < DECODINGS_MAX {
            for at in std::mem::replace(&mut stage, at)..at {
                if let Some(decoded) = decode(&readings.known[at]) {
                    readings.add(decoded)?;
                }
            }
        }
    }
    Ok(readings.known)
}

/// The readings found so far, all of them harmless.
struct Readings<'a> {
    known: Vec<Vec<u8>>,
    left: &'a mut ReadingBudget,
}

impl Readings<'_> {
    fn add(&mut self, reading: Vec<u8>) -> Result<(), PathError> {
        if self.known.contains(&reading) {
            return Ok(());
        }
        if reading.iter().any(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            return Err(PathError::Control);
        }
        if has_dot_segment(&reading) {
            return Err(PathError::Dots);
        }
        self.left.take(&reading).ok_or(PathError::Long)?;
        self.known.push(reading);
        Ok(())
    }
}

fn has_dot_segment(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(is_dot_segment)
}

/// Whether a segment is `.` or `..`, or becomes one when blanks are removed.
fn is_dot_segment(segment: &[u8]) -> bool {
    let dots = segment.iter().filter(|byte| **byte == b'.').count();
    let blanks = segment.iter().filter(|byte| is_blank(**byte)).count();
    dots > 0 && dots + blanks == segment.len() && (dots <= 2 || blanks > 0)
}

/// Java trims all of these, Python most.
fn is_blank(byte: u8) -> bool {
    byte <= b' '
}

/// Decodes every escape once. Broken escapes stay, as lenient decoders leave them.
fn decode(path: &[u8]) -> Option<Vec<u8>> {
    let any = path.contains(&b'%');
    any.then(|| percent_encoding::percent_decode(path).collect())
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
        // The parser also accepts a sign.
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
pub(super) fn without_case(path: &[u8]) -> Vec<u8> {
    let mut lower = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        let (byte, left) = match rest {
            [0xc4, 0xb0 | 0xb1, left @ ..] => (b'i', left),
            [0xc5, 0xbf, left @ ..] => (b's', left),
            [0xe2, 0x84, 0xaa, left @ ..] => (b'k', left),
            _ => (first.to_ascii_lowercase(), tail),
        };
        lower.push(byte);
        rest = left;
    }
    lower
}

/// Other lower-case forms of a path with non-ASCII letters: lowered directly, and lowered after
/// raising (`ς` and `σ` become one letter). None for an ASCII path.
pub(super) fn other_lower_cases(lower: &[u8]) -> [Option<String>; 2] {
    match std::str::from_utf8(lower) {
        Ok(text) if !text.is_ascii() => {
            let capitals = text.to_uppercase();
            [Some(text.to_lowercase()), Some(capitals.to_lowercase())]
        }
        _ => [None, None],
    }
}

/// Decodes the two, three and four byte forms of ASCII that RFC 3629 forbids, as lenient decoders
/// do.
fn unfold_overlong(path: &[u8]) -> Option<Vec<u8>> {
    let begins = |byte: &u8| matches!(byte, 0xc0 | 0xc1 | 0xe0 | 0xf0);
    if !path.iter().any(begins) {
        return None;
    }
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
    (unfolded.len() < path.len()).then_some(unfolded)
}

fn turn_backslashes(path: &[u8]) -> Option<Vec<u8>> {
    let turn = |byte: &u8| if *byte == b'\\' { b'/' } else { *byte };
    path.contains(&b'\\')
        .then(|| path.iter().map(turn).collect())
}

/// Cuts every segment at its `;`. Some servers (Tomcat, Jetty) do so before decoding.
fn cut_parameters(path: &[u8]) -> Option<Vec<u8>> {
    path.contains(&b';').then(|| {
        let is_end = |byte: &u8| *byte == b';';
        each_segment(path, |segment| segment.split(is_end).next().unwrap_or(b""))
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

fn cut_blanks(path: &[u8]) -> Option<Vec<u8>> {
    trim_segment_ends(path, is_blank)
}

/// Windows does this to file names.
fn cut_blanks_and_dots(path: &[u8]) -> Option<Vec<u8>> {
    trim_segment_ends(path, |byte| is_blank(byte) || byte == b'.')
}

/// Reads `name::$DATA` and `name:$I30:$INDEX_ALLOCATION` as `name`, as NTFS does.
fn cut_streams(path: &[u8]) -> Option<Vec<u8>> {
    let names_stream = |segment: &[u8]| segment.windows(2).any(|two| two == b":$");
    path.split(|byte| *byte == b'/').any(names_stream).then(|| {
        each_segment(path, |segment| match names_stream(segment) {
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

fn each_segment<'a>(path: &'a [u8], change: impl Fn(&'a [u8]) -> &'a [u8]) -> Vec<u8> {
    let mut changed = Vec::with_capacity(path.len());
    for (at, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if at > 0 {
            changed.push(b'/');
        }
        changed.extend_from_slice(change(segment));
    }
    changed
}

/// Trims these bytes off the end of every segment.
fn trim_segment_ends(path: &[u8], is_cut: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    let ends = |at: usize| is_cut(path[at]) && matches!(path.get(at + 1), None | Some(b'/'));
    (0..path.len()).any(ends).then(|| {
        each_segment(path, |segment| {
            let last = segment.iter().rposition(|byte| !is_cut(*byte));
            &segment[..last.map_or(0, |last| last + 1)]
        })
    })
}
