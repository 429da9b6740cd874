//! The house: one hermetic test binary, a module for each promise.

#![expect(
    clippy::unwrap_used,
    reason = "what a test builds on must be there, or it fails"
)]

mod conf;
mod stores;
