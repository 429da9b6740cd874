//! `Path`: a request's path as sent, and its *readings*: every path that an application may decode or
//! normalize it to.

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("the path does not start with a slash")]
    NoSlash,
    /// NUL, CR, LF or a backslash, as sent or in an escape.
    #[error("the path holds a control character or a backslash")]
    Control,
    /// A `%` without two hexadecimal digits.
    #[error("the path holds a broken escape")]
    Escape,
    /// Computing its readings would cost too much.
    #[error("the path is too long for the many ways to read it")]
    Long,
    /// In some reading it has a `.` or `..` segment.
    #[error("the path holds a dot segment, plain or hidden")]
    Dots,
}

impl<'a> Path<'a> {
    /// Parses the path. The query is kept but not judged.
    pub fn parse(raw: &'a str, query: Option<&'a str>) -> Result<Self, PathError> {
        Self::parse_within(raw, query, &mut ReadingBudget::default())
    }

    /// Like [`Self::parse`], for one of several paths of a request that share a budget of readings.
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

    /// Like [`Self::readings`], for an upstream that receives the path without this prefix: the
    /// readings of the rest are included with the prefix before them. An upstream may read the rest
    /// of `/app//host/admin` as `/admin`, so `/app/admin` is included.
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
                let below = [start.as_bytes(), &reading].concat();
                add(&mut readings, below);
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

fn add(readings: &mut Vec<Cow<'_, [u8]>>, reading: Vec<u8>) {
    if !readings.iter().any(|known| **known == *reading) {
        readings.push(Cow::Owned(reading));
    }
}

fn add_lower_case(readings: &mut Vec<Cow<'_, [u8]>>) {
    for at in 0..readings.len() {
        let lower = readings::without_case(&readings[at]);
        let others = readings::other_lower_cases(&lower);
        add(readings, lower);
        for other in others.into_iter().flatten() {
            add(readings, other.into_bytes());
        }
    }
}

/// The readings of a path that is not plain.
fn readings_of(raw: &str, budget: &mut ReadingBudget) -> Result<Vec<Vec<u8>>, PathError> {
    if raw.len() > NOT_PLAIN_BYTES_MAX {
        return Err(PathError::Long);
    }
    if raw.contains('\\') {
        return Err(PathError::Control);
    }
    if has_broken_escape(raw.as_bytes()) {
        return Err(PathError::Escape);
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

fn has_broken_escape(path: &[u8]) -> bool {
    let digit = |at: usize| path.get(at).is_some_and(u8::is_ascii_hexdigit);
    (0..path.len()).any(|at| path[at] == b'%' && !(digit(at + 1) && digit(at + 2)))
}

#[cfg(test)]
mod tests;
