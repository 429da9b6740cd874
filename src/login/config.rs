//! `[login]` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::setting::Period;

/// `[login]`: how many logins are begun and finished.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoginConfig {
    /// Begins in a minute, from one client address.
    pub begins_per_client_per_minute: u32,
    /// Begins in a minute, in all.
    pub begins_per_minute: u32,
    /// Finishes in a minute, from one client address; so many tickets to other hosts besides, and so
    /// many front-channel logouts of sessions that are not known here.
    pub finishes_per_client_per_minute: u32,
    /// Finishes in a minute, in all; so many tickets besides, and of each connector so many of those
    /// logouts, but never more than 4,000.
    pub finishes_per_minute: u32,
    /// After so many codes in a row that a source does not take, whoever sent one is refused for a
    /// while, and the others are asked about a few at a time. At most five of one client's count, and
    /// of an IPv6 /48 as many as leave some to others.
    pub bad_codes_max: u32,
    /// How long that while is.
    pub bad_codes_pause: Period,
    /// Origins of own front ends that may call `/login-config` and `/login` with `fetch`, and read
    /// why they get no answer of an application.
    pub origins: Vec<Url>,
}

impl Default for LoginConfig {
    fn default() -> Self {
        Self {
            begins_per_client_per_minute: 60,
            begins_per_minute: 6_000,
            finishes_per_client_per_minute: 60,
            finishes_per_minute: 6_000,
            bad_codes_max: 20,
            bad_codes_pause: Period::s(10),
            origins: Vec::new(),
        }
    }
}
