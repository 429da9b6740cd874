//! menshen 门神: an authenticating reverse proxy.

pub mod clock;
pub mod config;
pub mod expression;
pub mod keys;
pub mod login;
pub mod people;
pub mod request;
pub mod secret;
pub mod setting;
pub mod site;
pub mod store;
pub mod telemetry;
