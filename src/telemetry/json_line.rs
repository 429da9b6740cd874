//! `JsonLine`: writes a record as one line of JSON into a buffer.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use super::escape::{needs_escape, push_json_escape};
use crate::clock::Timestamp;

/// A line that is being written. All text is escaped, so that a value cannot forge another line or
/// change the display of a terminal.
#[derive(Debug)]
pub(super) struct JsonLine<'a> {
    buffer: &'a mut Vec<u8>,
    text_bytes_max: usize,
}

impl<'a> JsonLine<'a> {
    /// Begins a line with its timestamp and its target.
    pub(super) fn begin(buffer: &'a mut Vec<u8>, at: Timestamp, target: &str) -> Self {
        buffer.extend_from_slice(b"{\"timestamp\":\"");
        // Writing into memory cannot fail.
        let _ = write!(buffer, "{at}");
        buffer.extend_from_slice(b"\",\"target\":\"");
        buffer.extend_from_slice(target.as_bytes());
        buffer.push(b'"');
        Self {
            buffer,
            text_bytes_max: usize::MAX,
        }
    }

    /// From now on each longer text is truncated.
    pub(super) fn limit_texts(&mut self, bytes_max: usize) -> &mut Self {
        self.text_bytes_max = bytes_max;
        self
    }

    pub(super) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.push_key(name);
        self.buffer.push(b'"');
        push_escaped(self.buffer, truncate(value, self.text_bytes_max));
        self.buffer.push(b'"');
        self
    }

    pub(super) fn optional_text(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    pub(super) fn optional_display(
        &mut self,
        name: &str,
        value: Option<&dyn fmt::Display>,
    ) -> &mut Self {
        if let Some(value) = value {
            self.push_key(name);
            self.buffer.push(b'"');
            let mut writer = EscapingWriter {
                left: self.text_bytes_max,
                buffer: self.buffer,
            };
            // Writing text into memory cannot fail.
            let _ = fmt::Write::write_fmt(&mut writer, format_args!("{value}"));
            self.buffer.push(b'"');
        }
        self
    }

    pub(super) fn number(&mut self, name: &str, value: u64) -> &mut Self {
        self.push_key(name);
        let _ = write!(self.buffer, "{value}");
        self
    }

    /// A duration in milliseconds with three decimals.
    pub(super) fn milliseconds(&mut self, name: &str, value: Duration) -> &mut Self {
        self.push_key(name);
        let us = value.as_micros();
        let _ = write!(self.buffer, "{}.{:03}", us / 1000, us % 1000);
        self
    }

    pub(super) fn end(&mut self) {
        self.buffer.extend_from_slice(b"}\n");
    }

    fn push_key(&mut self, name: &str) {
        self.buffer.extend_from_slice(b",\"");
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\":");
    }
}

/// Escapes the output of `Display` implementations.
struct EscapingWriter<'a> {
    buffer: &'a mut Vec<u8>,
    /// How many more bytes of the text are written.
    left: usize,
}

impl fmt::Write for EscapingWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let written = truncate(text, self.left);
        push_escaped(self.buffer, written);
        self.left = match written.len() == text.len() {
            true => self.left - written.len(),
            false => 0,
        };
        Ok(())
    }
}

/// The first `bytes_max` bytes of a text, without splitting a character.
pub(super) fn truncate(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// Writes the content of a JSON string. Most text is plain ASCII and is copied unchanged.
fn push_escaped(buffer: &mut Vec<u8>, text: &str) {
    let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'"' && *byte != b'\\';
    if text.as_bytes().iter().all(is_plain) {
        buffer.extend_from_slice(text.as_bytes());
        return;
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            c if needs_escape(c) => push_json_escape(c, &mut escaped),
            c => escaped.push(c),
        }
    }
    buffer.extend_from_slice(escaped.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_cannot_break_out_of_its_line() {
        let text_with_controls = "x\"\\\r\n}\u{1b}\u{7f}\u{85}\u{2028}\u{202e}\u{200b}\u{e0041}财";
        let mut buffer = Vec::new();
        JsonLine::begin(&mut buffer, Timestamp::from_unix_s(0), "t")
            .text("a", text_with_controls)
            .optional_display(
                "b",
                Some(&format_args!("{text_with_controls}-{text_with_controls}")),
            )
            .end();
        let text = String::from_utf8(buffer).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        assert!(!text.trim_end().chars().any(needs_escape), "{text}");
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["a"], text_with_controls);
        assert_eq!(
            value["b"],
            format!("{text_with_controls}-{text_with_controls}")
        );
    }

    #[test]
    fn texts_over_the_limit_are_truncated_between_characters() {
        let mut buffer = Vec::new();
        JsonLine::begin(&mut buffer, Timestamp::from_unix_s(0), "t")
            .limit_texts(7)
            .text("a", "财务部门")
            .optional_display("b", Some(&format_args!("{}{}{}", "ab", "财务部门", "c")))
            .text("c", "seven b")
            .end();
        let value: serde_json::Value = serde_json::from_slice(&buffer).unwrap();
        assert_eq!(value["a"], "财务");
        assert_eq!(value["b"], "ab财");
        assert_eq!(value["c"], "seven b");
    }
}
