//! `Line`: one record as one line of JSON, written straight into a buffer.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use serde::Serializer as _;

use crate::clock::Timestamp;

/// A line that is being written. Every text is escaped, so a record cannot break out of its line.
#[derive(Debug)]
pub(super) struct Line<'a>(&'a mut Vec<u8>);

impl<'a> Line<'a> {
    /// Begins with when and what.
    pub(super) fn begin(buffer: &'a mut Vec<u8>, at: Timestamp, target: &str) -> Self {
        buffer.extend_from_slice(b"{\"timestamp\":\"");
        // Writing into memory cannot fail.
        let _ = write!(buffer, "{at}");
        buffer.extend_from_slice(b"\",\"target\":\"");
        buffer.extend_from_slice(target.as_bytes());
        buffer.push(b'"');
        Self(buffer)
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        // Writing text into memory cannot fail.
        let _ = serde_json::to_writer(&mut *self.0, value);
        self
    }

    /// A text that may be missing.
    pub(super) fn maybe(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.text(name, value);
        }
        self
    }

    /// Something that shows itself: an id, an address, an error.
    pub(super) fn shown(&mut self, name: &str, value: Option<&dyn fmt::Display>) -> &mut Self {
        if let Some(value) = value {
            self.name(name);
            let _ = serde_json::Serializer::new(&mut *self.0).collect_str(value);
        }
        self
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str, value: u64) -> &mut Self {
        self.name(name);
        let _ = write!(self.0, "{value}");
        self
    }

    /// A time in milliseconds, to the microsecond.
    pub(super) fn ms(&mut self, name: &str, value: Duration) -> &mut Self {
        self.name(name);
        let us = value.as_micros();
        let _ = write!(self.0, "{}.{:03}", us / 1000, us % 1000);
        self
    }

    /// Ends the line.
    pub(super) fn end(&mut self) {
        self.0.extend_from_slice(b"}\n");
    }

    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(b",\"");
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_break_out_of_its_line() {
        let mut buffer = Vec::new();
        Line::begin(&mut buffer, Timestamp::from_unix_s(0), "t")
            .text("a", "x\"\r\n}\u{1b}")
            .end();
        let text = String::from_utf8(buffer).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["a"], "x\"\r\n}\u{1b}");
    }
}
