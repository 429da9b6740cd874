//! `Login::begin / finish`: state, binding to the browser, return address.

pub mod config;
pub mod connector;
pub mod fields;
pub mod pending;
pub mod return_to;
