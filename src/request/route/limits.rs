//! `[route.limits]` in the configuration file.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::setting::Period;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// To connect to an upstream.
    pub connect: Period,
    /// Until the upstream's response begins.
    pub response: Period,
    /// Between two pieces of a body, and how long a WebSocket may be silent.
    pub idle: Period,
    /// How long an idle connection to an upstream is kept, unless the upstream's responses ask for
    /// less (`Keep-Alive: timeout=5`): set it shorter than the upstream keeps connections open.
    pub keep_alive: Period,
    /// How long a request that its client gave up keeps its place among the concurrent requests to the
    /// upstream, unless the upstream answers or closes its connection before.
    pub abandoned: Period,
    /// The largest request body, in bytes; a larger one gets a 413.
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
