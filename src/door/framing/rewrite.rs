//! `Rewrite`: received bytes, with the replacements that hyper reads instead.

use std::ops::Range;

/// Received bytes and their replacements. Without a replacement nothing is copied.
pub(super) struct Rewrite<'a> {
    pub(super) received: &'a [u8],
    /// How many received bytes `output` accounts for.
    consumed: usize,
    /// Absent as long as nothing is replaced.
    output: Option<Vec<u8>>,
    /// Whether hyper has read the bytes, so that nothing can be replaced.
    pub(super) is_already_delivered: bool,
}

impl<'a> Rewrite<'a> {
    /// Bytes that hyper has not read yet.
    pub(super) fn new(received: &'a [u8]) -> Self {
        Self {
            received,
            consumed: 0,
            output: None,
            is_already_delivered: false,
        }
    }

    /// Bytes that hyper has read.
    pub(super) fn of_delivered(received: &'a [u8]) -> Self {
        Self {
            is_already_delivered: true,
            ..Self::new(received)
        }
    }

    /// Replaces a range of the received bytes. It must come after the ranges that were replaced before.
    pub(super) fn replace(&mut self, range: Range<usize>, replacement: &[u8]) {
        let output = self.output.get_or_insert_default();
        output.extend_from_slice(&self.received[self.consumed..range.start]);
        output.extend_from_slice(replacement);
        self.consumed = range.end;
    }

    /// All bytes with the replacements; `None` if nothing was replaced.
    pub(super) fn into_output(self) -> Option<Vec<u8>> {
        let mut output = self.output?;
        output.extend_from_slice(&self.received[self.consumed..]);
        Some(output)
    }
}
