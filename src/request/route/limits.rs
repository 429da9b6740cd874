//! `[route.limits]` in the configuration file.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::setting::Period;

/// `[route.limits]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// To connect to an upstream.
    pub connect: Period,
    /// Until the upstream's response begins.
    pub response: Period,
    /// Between two pieces of a body, and how long a WebSocket may be silent.
    pub idle: Period,
    /// How long a connection to an upstream may wait for the next request, where the upstream's answers
    /// do not say less (`Keep-Alive: timeout=5`): shorter than the upstream keeps it open.
    pub keep_alive: Period,
    /// How long a request that its client gave up still counts as one that is under way, unless the
    /// upstream answers or closes its connection before.
    pub abandoned: Period,
    /// The largest request body, in bytes; more is a 413.
    pub body_bytes_max: u64,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connect: Period::s(5),
            response: Period::s(60),
            idle: Period::s(60),
            keep_alive: Period::s(30),
            abandoned: Period::s(10),
            body_bytes_max: 1 << 30,
        }
    }
}
