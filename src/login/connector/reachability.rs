//! `Reachability`: checks that a provider can be reached before a browser is sent there.

use std::time::Duration;

use url::Url;

use crate::clock::Clock;
use crate::outbound::{Outbound, OutboundError};
use crate::single_flight::{CacheLookup, Cached, LoadPermit};

/// How long a success is valid.
pub(super) const SUCCESS_TTL: Duration = Duration::from_secs(10);

/// How long no probe runs after a failure.
const FAILURE_TTL: Duration = Duration::from_secs(2);

/// Whether the server of a URL that every login needs can be reached. Clones share the state.
#[derive(Clone, Debug)]
pub(super) struct Reachability {
    url: Url,
    result: Cached<(), ()>,
    outbound: Outbound,
}

impl Reachability {
    /// Starts without a result, and makes no network call.
    pub(super) fn at(url: &Url, outbound: Outbound, clock: Clock) -> Self {
        Self {
            url: url.clone(),
            result: Cached::new(clock),
            outbound,
        }
    }

    /// Probes the server unless a recent result is known. Concurrent callers share one probe, which
    /// continues when its caller is dropped.
    pub(super) async fn check(&self) -> Result<(), OutboundError> {
        match self.result.get().await {
            CacheLookup::Value(()) => Ok(()),
            CacheLookup::RecentFailure(()) => Err(OutboundError::Pausing { call: "a probe" }),
            // A task that panicked says nothing about the provider.
            CacheLookup::LoadPermit(permit) => tokio::spawn(self.clone().probe(permit))
                .await
                .unwrap_or(Ok(())),
        }
    }

    /// Records that another request to the server got a response.
    pub(super) fn record_success(&self) {
        self.result.set((), SUCCESS_TTL);
    }

    /// Records that another request got no response, so that the next login probes.
    pub(super) fn record_failure(&self) {
        self.result.remove_if(|()| true);
    }

    /// Whether the last probe failed, however long ago, and no request has succeeded since.
    pub(super) fn is_down(&self) -> bool {
        self.result.is_failing()
    }

    async fn probe(self, permit: LoadPermit<(), ()>) -> Result<(), OutboundError> {
        let result = self.outbound.probe(&self.url).await;
        match &result {
            Ok(()) => permit.store((), SUCCESS_TTL),
            Err(error) => {
                let origin = self.url.origin().ascii_serialization();
                let error = crate::telemetry::error_chain(error);
                tracing::warn!(origin, %error, "a provider does not respond: logins do not redirect to it");
                permit.fail((), FAILURE_TTL);
            }
        }
        result
    }
}
