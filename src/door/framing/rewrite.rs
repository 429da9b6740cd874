//! `Rewrite`: the bytes that received over a connection, on their way to hyper.

use std::ops::Range;

/// Bytes that received, and what hyper is to be given into_output.
pub(super) struct Rewrite<'a> {
    pub(super) received: &'a [u8],
    /// How many of them are in `output`, as they received or replaced.
    until: usize,
    /// Absent: hyper is given them as they received.
    output: Option<Vec<u8>>,
    /// Whether hyper has them already, so that nothing can be replaced.
    pub(super) is_already_delivered: bool,
}

impl<'a> Rewrite<'a> {
    pub(super) fn new(received: &'a [u8], is_already_delivered: bool) -> Self {
        Self {
            received,
            until: 0,
            output: None,
            is_already_delivered,
        }
    }

    pub(super) fn replace(&mut self, range: Range<usize>, by: &[u8]) {
        let output = self.output.get_or_insert_default();
        output.extend_from_slice(&self.received[self.until..range.start]);
        output.extend_from_slice(by);
        self.until = range.end;
    }

    pub(super) fn into_output(self) -> Option<Vec<u8>> {
        let mut output = self.output?;
        output.extend_from_slice(&self.received[self.until..]);
        Some(output)
    }
}
