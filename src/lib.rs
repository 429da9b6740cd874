//! menshen 门神: an authenticating reverse proxy.

pub mod expression;
