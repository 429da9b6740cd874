//! Probes: whether a server is reachable.

use std::time::Duration;

use url::Url;

use super::exchange::outbound_error;
use super::{Outbound, OutboundCall, OutboundError};

/// The time-out for a probe.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// The time-out for the connection of a probe. Shorter than [`PROBE_TIMEOUT`], to tell a server that is
/// slow (it accepts the connection and does not respond) from one that is down.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(2500);

const PROBE: OutboundCall = OutboundCall::repeatable("a probe");

impl Outbound {
    /// The same client for calls that check whether a server is reachable: each call opens a connection,
    /// with a short time-out. On an idle connection, a server that is down would look slow.
    pub fn for_probes(&self) -> Self {
        Self {
            pooled: self.probing.clone(),
            unpooled: self.probing.clone(),
            ..self.clone()
        }
    }

    /// Checks that the origin of this URL is reachable: any HTTP response counts, and so does a server that
    /// accepts the connection and is slow. Requests only `/`, without credentials, follows no redirect and
    /// reads no body.
    ///
    /// Behind a proxy, an https origin is down if the proxy opens no tunnel. For a plain http origin, an
    /// error response of the proxy counts as reachable, because it cannot be told from the origin's.
    pub async fn probe(&self, url: &Url) -> Result<(), OutboundError> {
        let origin = url.join("/").unwrap_or_else(|_| url.clone());
        self.check_reach(&origin, PROBE)?;
        let probe = self.probing.get(origin).timeout(PROBE_TIMEOUT);
        match probe
            .send()
            .await
            .map_err(|error| outbound_error(error, PROBE))
        {
            Ok(_) => Ok(()),
            Err(error) if error.is_timeout() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
