//! `Rewrite`: replaces parts of the bytes received on a connection before hyper parses them.

use std::ops::Range;

/// The received bytes, and the bytes that hyper parses in their place.
pub(super) struct Rewrite<'a> {
    pub(super) received: &'a [u8],
    /// How many of the received bytes are in `output`, unchanged or replaced.
    until: usize,
    /// The bytes for hyper; absent while nothing is replaced.
    output: Option<Vec<u8>>,
    /// Whether hyper has the received bytes already, so that nothing can be replaced.
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
