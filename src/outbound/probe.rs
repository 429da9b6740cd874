//! `Outbound::probe`, `Outbound::for_probes`: check whether a server can be reached.

use std::time::Duration;

use url::Url;

use super::exchange::transport;
use super::{Outbound, OutboundCall, OutboundError};

/// The time limit of a probe.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// The time limit for the connection of a probe. It is shorter than that of the probe: a server that
/// accepts the connection and does not respond is slow, one that does not accept it is down.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(2500);

const PROBE: OutboundCall = OutboundCall::repeatable("a probe");

impl Outbound {
    /// The same client with a new connection and a short connect time-out for every call. On a
    /// connection that was kept open, a server that is down would look slow.
    pub fn for_probes(&self) -> Self {
        Self {
            kept: self.probing.clone(),
            fresh: self.probing.clone(),
            ..self.clone()
        }
    }

    /// Checks that the origin of this URL can be reached: it accepts the connection, and sends any
    /// HTTP response or is slow. Sends `GET /` without credentials, follows no redirect and reads no
    /// body.
    ///
    /// Through a proxy, an https origin is down if the proxy opens no tunnel. For a plain http origin,
    /// an error response of the proxy counts as a response of the origin: proxies have no common form
    /// for it.
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
