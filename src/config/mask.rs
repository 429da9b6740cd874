//! `Masks`: the values in the lines of a configuration that errors do not show, because they may be secrets: those of
//! secrets, those of keys that do not exist, because the key may be a misspelt one of a secret, and all values of a
//! text that is not TOML.

use std::ops::Range;

use super::document::{Document, Leaf, OwnedStep};

mod by_name;
mod inside;
mod known;
mod not_toml;

use known::KnownKeys;

/// The parts of a configuration that errors do not show.
pub(super) struct Masks {
    known: KnownKeys,
    /// Absent: the text is not TOML.
    places: Option<Places>,
}

/// Byte ranges of a text that is TOML.
struct Places {
    masked: Vec<Range<usize>>,
    /// Keys and values that are shown.
    shown: Vec<Range<usize>>,
}

impl Masks {
    pub(super) fn of(text: &str) -> Self {
        let known = KnownKeys::of_config();
        let document = Document::parse(text).ok();
        let places = document.map(|document| Places::of(&document, &known, text));
        Self { known, places }
    }

    /// The ranges that are not shown of a line with this place, relative to it.
    pub(super) fn in_line(&self, text: &str, line: &Range<usize>) -> Vec<Range<usize>> {
        let up_to_end = &text[..line.end];
        match &self.places {
            Some(places) => {
                let mut ranges = by_name::secrets_in_last_line(up_to_end);
                ranges.extend(places.in_line(text, line));
                ranges
            }
            None => not_toml::values_in_last_line(up_to_end, &self.known),
        }
    }
}

impl Places {
    fn of(document: &Document, known: &KnownKeys, text: &str) -> Self {
        let found = document.leaves();
        let (shown, masked): (Vec<_>, Vec<_>) = found
            .leaves
            .into_iter()
            .partition(|leaf| known.are_harmless_at(&leaf.path));
        let inside = shown.iter().flat_map(|leaf| secrets_inside(leaf, text));
        let masked = masked.into_iter().map(|leaf| leaf.span);
        Self {
            masked: inside.chain(masked).collect(),
            shown: shown
                .iter()
                .map(|leaf| leaf.span.clone())
                .chain(found.key_spans)
                .collect(),
        }
    }

    fn in_line(&self, text: &str, line: &Range<usize>) -> Vec<Range<usize>> {
        let in_line = |range: &&Range<usize>| range.start < line.end && range.end > line.start;
        let masked = self.masked.iter().filter(in_line);
        let mut ranges: Vec<_> = masked
            .map(|range| range.start.saturating_sub(line.start)..range.end - line.start)
            .collect();
        // A comment is not read, so nothing is known of it.
        let known: Vec<_> = self.shown.iter().filter(in_line).collect();
        let is_comment = |at: &usize| {
            let is_known = known.iter().any(|range| range.contains(&(line.start + at)));
            !is_known && ranges.iter().all(|range| !range.contains(at))
        };
        let line = &text[line.clone()];
        let mut signs = line.match_indices('#').map(|(at, _)| at);
        if let Some(at) = signs.find(is_comment) {
            ranges.push(at + 1..line.len());
        }
        ranges
    }
}

/// The secrets inside of a value that is shown, as ranges of the text.
fn secrets_inside(leaf: &Leaf, text: &str) -> Vec<Range<usize>> {
    let Some(value) = text.get(leaf.span.clone()) else {
        return Vec::new();
    };
    let is_header = |step: &OwnedStep| matches!(step, OwnedStep::Key(key) if key == "headers");
    let mut found = inside::in_urls(value);
    if leaf.path.iter().any(is_header) {
        found.extend(inside::in_expression(value));
    }
    let start = leaf.span.start;
    let ranges = found.into_iter();
    ranges
        .map(|range| start + range.start..start + range.end)
        .collect()
}

/// The line with the characters of these ranges replaced by `*`, one for each byte, so that a caret below it
/// still points at the same column. Quotes and brackets around a value stay, and so does `shown`.
pub(super) fn mask(line: &str, ranges: &[Range<usize>], shown: Option<&Range<usize>>) -> String {
    let ranges: Vec<_> = ranges.iter().map(|range| inner(line, range)).collect();
    let mut masked = String::with_capacity(line.len());
    for (at, c) in line.char_indices() {
        let is_shown = shown.is_some_and(|shown| shown.contains(&at));
        match !is_shown && ranges.iter().any(|range| range.contains(&at)) {
            true => masked.extend(std::iter::repeat_n('*', c.len_utf8())),
            false => masked.push(c),
        }
    }
    masked
}

/// A range without white space, quotes and brackets at its ends.
fn inner(line: &str, range: &Range<usize>) -> Range<usize> {
    let start = line.ceil_char_boundary(range.start.min(line.len()));
    let end = line.floor_char_boundary(range.end.clamp(start, line.len()));
    let is_around = |c: char| c.is_whitespace() || "\"'[]{},".contains(c);
    let text = &line[start..end];
    let start = end - text.trim_start_matches(is_around).len();
    start..start + line[start..end].trim_end_matches(is_around).len()
}
