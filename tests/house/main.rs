//! The house: one hermetic test binary, a module for each promise.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; its helpers are part of it"
)]

mod browser;
mod floors;
mod house;
mod smoke;
mod stores;
mod wire;

#[path = "../../examples/demo/legacy_app.rs"]
mod legacy_app;
#[path = "../../examples/demo/wecom.rs"]
mod wecom;
