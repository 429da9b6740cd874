//! `Outbound::knock`, `Outbound::afresh`: whether anybody is there at all.

use std::time::Duration;

use url::Url;

use super::exchange::transport;
use super::{Call, Outbound, OutboundError};

/// How long a knock takes at most.
pub const KNOCK_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a connection may take to come about when somebody knocks. Less than the whole: who took
/// the connection and then thinks for long is slow, and who never took it is away.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_millis(2500);

/// The call, as errors name it.
const KNOCK: Call = Call::repeatable("a knock");

impl Outbound {
    /// The same road for whoever must know whether anybody is there: each call makes a connection of
    /// its own, and gives up early when none comes about. One that was kept from better days would
    /// make whoever is gone by now look slow.
    pub fn afresh(&self) -> Self {
        Self {
            kept: self.knocking.clone(),
            fresh: self.knocking.clone(),
            ..self.clone()
        }
    }

    /// Makes sure that there is anybody at the origin of this address: any HTTP answer will do, and
    /// so does somebody who took the connection and is slow. Asks for `/` there and for nothing
    /// else, sends nothing of ours, follows nothing and reads no body.
    ///
    /// Through a proxy an https origin is known to be away when the proxy builds no tunnel. What a
    /// proxy answers in place of a plain http origin is taken for the origin's own answer: proxies
    /// do not agree on how they say it.
    pub async fn knock(&self, url: &Url) -> Result<(), OutboundError> {
        let origin = url.join("/").unwrap_or_else(|_| url.clone());
        let knock = self.knocking.get(origin).timeout(KNOCK_TIMEOUT);
        match knock.send().await.map_err(|error| transport(error, KNOCK)) {
            Ok(_) => Ok(()),
            Err(error) if error.is_slowness() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
