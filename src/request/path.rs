//! `Path`: the path of a request as sent, and its *readings*. A reading is a path that an application may
//! decode or normalize the sent path to.

use crate::wording::{Text, error_of_text};
use std::borrow::Cow;

mod readings;

pub use readings::ReadingBudget;

/// The maximum length in bytes of a path that is not plain, because all its readings are computed.
const NOT_PLAIN_BYTES_MAX: usize = 8192;

/// The path and query of a request as sent. The same bytes are judged and forwarded.
#[derive(Clone, Debug)]
pub struct Path<'a> {
    raw: &'a str,
    query: Option<&'a str>,
    /// Every reading, the path as sent first; empty for a plain path.
    readings: Vec<Vec<u8>>,
}

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    NoSlash,
    /// NUL, CR or LF, as sent or encoded, or a backslash that is not encoded.
    Control,
    /// A `%` without two hexadecimal digits.
    InvalidEscape,
    /// Computing its readings would cost too much.
    TooManyReadings,
    /// In some reading it has a `.` or `..` segment.
    DotSegment,
}

impl PathError {
    fn text(&self) -> Text {
        match self {
            Self::NoSlash => {
                Text::fixed("the path does not start with a slash", "路径不以斜杠开头")
            }
            Self::Control => Text::fixed(
                "the path contains a control character or a backslash",
                "路径含有控制字符或反斜杠",
            ),
            Self::InvalidEscape => {
                Text::fixed("the path contains a broken escape", "路径含有不完整的转义")
            }
            Self::TooManyReadings => Text::fixed(
                "the path is too long, or can be decoded in too many ways",
                "路径过长，或解码方式过多",
            ),
            Self::DotSegment => Text::fixed(
                "the path contains a dot segment (`.` or `..`), perhaps encoded",
                "路径含有点段（`.` 或 `..`），可能经过编码",
            ),
        }
    }
}

error_of_text!(PathError);

impl<'a> Path<'a> {
    /// Parses the path. The query is kept but not judged.
    pub fn parse(raw: &'a str, query: Option<&'a str>) -> Result<Self, PathError> {
        Self::parse_within(raw, query, &mut ReadingBudget::default())
    }

    /// Like [`Self::parse`], for one of several paths of a request that share a [`ReadingBudget`].
    pub fn parse_within(
        raw: &'a str,
        query: Option<&'a str>,
        budget: &mut ReadingBudget,
    ) -> Result<Self, PathError> {
        if !raw.starts_with('/') {
            return Err(PathError::NoSlash);
        }
        let readings = match is_plain(raw.as_bytes()) {
            true => Vec::new(),
            false => readings_of(raw, budget)?,
        };
        Ok(Self {
            raw,
            query,
            readings,
        })
    }

    /// The path as sent.
    pub fn as_str(&self) -> &'a str {
        self.raw
    }

    /// The query as sent, without its `?`.
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// Whether it has only one reading: no escape, `;`, double slash, dot segment, or other byte
    /// sequence that some parsers treat specially.
    pub fn is_plain(&self) -> bool {
        self.readings.is_empty()
    }

    /// Every reading, without duplicates, the path as sent first; also in lower case if the
    /// application compares paths case-insensitively.
    pub fn readings(&self, ignores_case: bool) -> Vec<Cow<'_, [u8]>> {
        let mut readings = self.readings_as_sent();
        if ignores_case {
            add_lower_case(&mut readings);
        }
        readings
    }

    /// Like [`Self::readings`], for an upstream that receives the path without this prefix. The readings
    /// of the rest are included, with the prefix before them: an upstream may read the rest of
    /// `/app//host/admin` as `/admin`, so `/app/admin` is included.
    pub fn readings_below(
        &self,
        prefix: &str,
        ignores_case: bool,
    ) -> Result<Vec<Cow<'_, [u8]>>, PathError> {
        let mut readings = self.readings_as_sent();
        if !self.is_plain()
            && let Some((start, rest)) = self.raw.split_at_checked(prefix.len())
            && start.eq_ignore_ascii_case(prefix)
            && rest.starts_with('/')
        {
            for reading in readings_of(rest, &mut ReadingBudget::default())? {
                let with_prefix = [start.as_bytes(), &reading].concat();
                add_if_new(&mut readings, with_prefix);
            }
        }
        if ignores_case {
            add_lower_case(&mut readings);
        }
        Ok(readings)
    }

    fn readings_as_sent(&self) -> Vec<Cow<'_, [u8]>> {
        match self.readings.as_slice() {
            [] => vec![Cow::Borrowed(self.raw.as_bytes())],
            readings => readings
                .iter()
                .map(|reading| Cow::Borrowed(reading.as_slice()))
                .collect(),
        }
    }
}

fn add_if_new(readings: &mut Vec<Cow<'_, [u8]>>, reading: Vec<u8>) {
    if !readings.iter().any(|known| **known == *reading) {
        readings.push(Cow::Owned(reading));
    }
}

fn add_lower_case(readings: &mut Vec<Cow<'_, [u8]>>) {
    for index in 0..readings.len() {
        let lower = readings::ascii_lower_case(&readings[index]);
        let others = readings::unicode_lower_cases(&lower);
        add_if_new(readings, lower);
        for other in others.into_iter().flatten() {
            add_if_new(readings, other.into_bytes());
        }
    }
}

/// The readings of a path that is not plain.
fn readings_of(raw: &str, budget: &mut ReadingBudget) -> Result<Vec<Vec<u8>>, PathError> {
    if raw.len() > NOT_PLAIN_BYTES_MAX {
        return Err(PathError::TooManyReadings);
    }
    if raw.contains('\\') {
        return Err(PathError::Control);
    }
    if has_invalid_escape(raw.as_bytes()) {
        return Err(PathError::InvalidEscape);
    }
    readings::all(raw.as_bytes(), budget)
}

/// Whether no parser treats part of the path specially, in one pass. A segment that ends in a dot
/// may be a dot segment, or a name that Windows shortens.
fn is_plain(path: &[u8]) -> bool {
    let mut previous = 0;
    for byte in path {
        match (previous, *byte) {
            (_, b'%' | b'\\' | b';' | 0..=0x20 | 0x7f..) | (b'/' | b'.', b'/') | (b':', b'$') => {
                return false;
            }
            _ => previous = *byte,
        }
    }
    previous != b'.'
}

fn has_invalid_escape(path: &[u8]) -> bool {
    let is_digit = |index: usize| path.get(index).is_some_and(u8::is_ascii_hexdigit);
    (0..path.len())
        .any(|index| path[index] == b'%' && !(is_digit(index + 1) && is_digit(index + 2)))
}

#[cfg(test)]
mod tests;
