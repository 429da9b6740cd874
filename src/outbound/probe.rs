//! `Outbound::probe`, `Outbound::for_probes`: whether a server can be reached at all.

use std::time::Duration;

use url::Url;

use super::exchange::transport;
use super::{Outbound, OutboundCall, OutboundError};

/// How long a probe takes at most.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the connection of a probe may take. Less than the whole probe: a server that accepts the
/// connection and then does not answer is slow, one that never accepts it is down.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(2500);

/// The call, as errors name it.
const PROBE: OutboundCall = OutboundCall::repeatable("a probe");

impl Outbound {
    /// The same client for a call that must find out whether the server can be reached: each call
    /// opens a connection of its own and gives up early when that fails. On a connection that was
    /// kept open, a server that is down now would look slow.
    pub fn for_probes(&self) -> Self {
        Self {
            kept: self.probing.clone(),
            fresh: self.probing.clone(),
            ..self.clone()
        }
    }

    /// Checks that the server at the origin of this address can be reached: any HTTP answer will do,
    /// and so will a server that accepts the connection and is slow. Asks for `/` there and for
    /// nothing else, sends nothing of ours, follows nothing and reads no body.
    ///
    /// Through a proxy an https origin is known to be down when the proxy builds no tunnel. What a
    /// proxy answers in place of a plain http origin is taken for the origin's own answer: proxies
    /// do not agree on how they say it.
    pub async fn probe(&self, url: &Url) -> Result<(), OutboundError> {
        let origin = url.join("/").unwrap_or_else(|_| url.clone());
        let probe = self.probing.get(origin).timeout(PROBE_TIMEOUT);
        match probe.send().await.map_err(|error| transport(error, PROBE)) {
            Ok(_) => Ok(()),
            Err(error) if error.is_timeout() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
