//! The house: one hermetic test binary, a module for each promise.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed; its helpers are part of it"
)]

mod app_token;
mod browser;
mod callbacks;
mod cookie_domains;
mod floors;
mod front_end;
mod hosts;
mod house;
mod logging_in;
mod members;
mod own_pages;
mod people;
mod records;
mod restraint;
mod return_addresses;
mod signing_out;
mod smoke;
mod stores;
mod troubles;
mod wire;

#[path = "../../examples/demo/legacy_app.rs"]
mod legacy_app;
#[path = "../../examples/demo/wecom.rs"]
mod wecom;
