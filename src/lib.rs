//! menshen 门神: an authenticating reverse proxy.
pub mod clock;
pub mod keys;
pub mod secret;
pub mod store;
