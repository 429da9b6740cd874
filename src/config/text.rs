//! `ConfigText`: the text of the configuration, and the position of each key and value in it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::document::{Document, Part};
use crate::setting::{KeyPath, line_column};

/// The text of the configuration, and its name in errors.
#[derive(Clone, Default)]
pub(super) struct ConfigText {
    pub(super) text: Arc<str>,
    pub(super) name: Arc<str>,
    /// Its values. A text that is not valid TOML has none.
    pub(super) document: Arc<Document>,
}

impl fmt::Debug for ConfigText {
    /// The text may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigText({})", self.name)
    }
}

impl ConfigText {
    /// A text whose values are those of `document`.
    pub(super) fn new(text: &str, name: &str, document: Document) -> Self {
        Self {
            text: text.into(),
            name: name.into(),
            document: Arc::new(document),
        }
    }

    pub(super) fn document_mut(&mut self) -> &mut Document {
        Arc::make_mut(&mut self.document)
    }

    /// The byte range of a value; if it is absent, that of the innermost table around it.
    pub(super) fn value_span(&self, key_path: &KeyPath<'_>) -> Range<usize> {
        self.find(key_path, Part::Value)
            .unwrap_or_else(|table| table)
    }

    /// Whether the text has this value.
    pub(super) fn contains(&self, key_path: &KeyPath<'_>) -> bool {
        self.find(key_path, Part::Value).is_ok()
    }

    /// The byte range of the key of a value; if it is absent, that of the innermost table around it.
    pub(super) fn key_span(&self, key_path: &KeyPath<'_>) -> Range<usize> {
        self.find(key_path, Part::Key).unwrap_or_else(|table| table)
    }

    /// The byte range of the word that is `offset` bytes into the string at `key_path`. A string with
    /// escapes yields its whole range.
    pub(super) fn span_in_string(
        &self,
        key_path: &KeyPath<'_>,
        value: &str,
        offset: usize,
    ) -> Range<usize> {
        let whole = self.value_span(key_path);
        let written = &self.text[whole.clone()];
        let opening_quotes = [
            "\"\"\"\r\n",
            "\"\"\"\n",
            "'''\r\n",
            "'''\n",
            "\"\"\"",
            "'''",
            "\"",
            "'",
        ]
        .into_iter()
        .find(|opening| written.starts_with(opening));
        let Some(opening) = opening_quotes else {
            return whole;
        };
        let has_no_escapes = written[opening.len()..].starts_with(value);
        if !has_no_escapes || !value.is_char_boundary(offset) {
            return whole;
        }
        let start = whole.start + opening.len() + offset;
        let rest = &value[offset..];
        let word = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let first = rest.chars().next().map_or(0, char::len_utf8);
        start..start + word.max(first)
    }

    /// The line and the column in characters of a byte offset, both from 1.
    pub(super) fn line_column(&self, offset: usize) -> (usize, usize) {
        line_column(&self.text, offset)
    }

    /// The byte range of a value or its key; the error is that of the innermost table around it.
    fn find(&self, key_path: &KeyPath<'_>, part: Part) -> Result<Range<usize>, Range<usize>> {
        self.document.find(key_path, part)
    }
}

/// The byte range of the line around a byte offset, without its line break.
pub(super) fn line_around(text: &str, offset: usize) -> Range<usize> {
    let (before, after) = text.split_at(text.floor_char_boundary(offset));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let end = after
        .find('\n')
        .map_or(text.len(), |length| before.len() + length);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "a = 'x'\n[[route]]\nname = '\u{5f20}'\n[[route]]\nallow = \"\"\"\none\ntwo\"\"\"\n";

    fn parsed(text: &str) -> ConfigText {
        ConfigText::new(text, "t", Document::parse(text).unwrap())
    }

    fn text_at(range: &Range<usize>) -> &'static str {
        &TEXT[range.clone()]
    }

    #[test]
    fn a_value_and_its_key_are_found() {
        let source = parsed(TEXT);
        let name = KeyPath::of(["route"]).item(0).key("name");
        assert_eq!(text_at(&source.value_span(&name)), "'\u{5f20}'");
        assert_eq!(text_at(&source.key_span(&name)), "name");
        assert_eq!(source.line_column(source.value_span(&name).end), (3, 11));
        assert_eq!(text_at(&source.value_span(&KeyPath::of(["a"]))), "'x'");
    }

    #[test]
    fn a_missing_value_is_reported_at_its_table() {
        let source = parsed(TEXT);
        let absent = KeyPath::of(["route"]).item(1).key("host");
        assert_eq!(text_at(&source.value_span(&absent)), "[[route]]");
        assert_eq!(source.line_column(source.value_span(&absent).start), (4, 1));
        assert_eq!(source.value_span(&KeyPath::of(["nothing"])), 0..0);
    }

    #[test]
    fn a_word_inside_a_string_is_found_unless_the_string_has_escapes() {
        let source = parsed(TEXT);
        let allow = KeyPath::of(["route"]).item(1).key("allow");
        let span = source.span_in_string(&allow, "one\ntwo", 4);
        assert_eq!(
            (text_at(&span), source.line_column(span.start)),
            ("two", (7, 1))
        );
        let source = parsed(r#"a = "x\u0041b""#);
        assert_eq!(
            source.span_in_string(&KeyPath::of(["a"]), "xAb", 1),
            4..source.text.len()
        );
    }
}
