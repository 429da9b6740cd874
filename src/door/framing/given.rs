//! `Given`: the bytes that came over a connection, on their way to hyper.

use std::ops::Range;

/// Bytes that came, and what hyper is to be given instead.
pub(super) struct Given<'a> {
    pub(super) came: &'a [u8],
    /// How many of them are in `written`, as they came or replaced.
    until: usize,
    /// Absent: hyper is given them as they came.
    written: Option<Vec<u8>>,
    /// Whether hyper has them already, so that nothing can be replaced.
    pub(super) is_over: bool,
}

impl<'a> Given<'a> {
    pub(super) fn new(came: &'a [u8], is_over: bool) -> Self {
        Self {
            came,
            until: 0,
            written: None,
            is_over,
        }
    }

    pub(super) fn replace(&mut self, range: Range<usize>, by: &[u8]) {
        let written = self.written.get_or_insert_default();
        written.extend_from_slice(&self.came[self.until..range.start]);
        written.extend_from_slice(by);
        self.until = range.end;
    }

    pub(super) fn instead(self) -> Option<Vec<u8>> {
        let mut written = self.written?;
        written.extend_from_slice(&self.came[self.until..]);
        Some(written)
    }
}
