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
        write_time(buffer, at);
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

/// RFC 3339, UTC, to the millisecond.
fn write_time(buffer: &mut Vec<u8>, at: Timestamp) {
    let (days, second) = (
        at.unix_s().div_euclid(86_400),
        at.unix_s().rem_euclid(86_400),
    );
    let (year, month, day) = date(days);
    let _ = write!(
        buffer,
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
        second / 3600,
        second / 60 % 60,
        second % 60,
        at.unix_ms().rem_euclid(1000),
    );
}

/// The Gregorian date so many days after 1970-01-01. Years are counted from March, so that the day
/// that comes and goes is their last.
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_400_YEARS: i64 = 146_097;
    let since_march_0 = days + 719_468;
    let (era, day) = (
        since_march_0.div_euclid(DAYS_PER_400_YEARS),
        since_march_0.rem_euclid(DAYS_PER_400_YEARS),
    );
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5 + 1;
    let january_or_later = month >= 10;
    let month = if january_or_later {
        month - 9
    } else {
        month + 3
    };
    (
        era * 400 + year + i64::from(january_or_later),
        month,
        day_of_month,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(at: Timestamp) -> String {
        let mut buffer = Vec::new();
        write_time(&mut buffer, at);
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn a_moment_is_written_as_rfc_3339() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_735_689_599_001, "2024-12-31T23:59:59.001Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(shown(Timestamp::from_unix_ms(ms)), text);
        }
    }

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
