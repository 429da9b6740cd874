//! The house: one hermetic test binary, a module for each promise.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; its helpers are part of it"
)]

mod app_token;
mod asking;
mod browser;
mod callbacks;
mod command;
mod conf;
mod floors;
mod forwarding;
mod house;
mod identity;
mod line;
mod listening;
mod logging_in;
mod members;
mod mirror;
mod passing;
mod paths;
mod people;
mod records;
mod reloading;
mod restraint;
mod return_addresses;
mod sessions;
mod smoke;
mod stores;
mod tls;
mod troubles;
mod upstream;
mod wire;

#[path = "../../examples/demo/legacy_app.rs"]
mod legacy_app;
#[path = "../../examples/demo/wecom.rs"]
mod wecom;
