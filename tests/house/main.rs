//! The house: one hermetic test binary, a module for each promise.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; its helpers are part of it"
)]

mod admin;
mod browser;
mod command;
mod conf;
mod floors;
mod forwarding;
mod hostile;
mod house;
mod line;
mod listening;
mod reloading;
mod smoke;
mod stores;
mod tls;
mod upstream;
mod wire;

#[path = "../../examples/demo/legacy_app.rs"]
mod legacy_app;
#[path = "../../examples/demo/wecom.rs"]
mod wecom;
