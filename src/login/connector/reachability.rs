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
    answer: Cached<(), ()>,
    outbound: Outbound,
}

impl Reachability {
    /// Starts without a result, and makes no network call.
    pub(super) fn at(url: &Url, outbound: Outbound, clock: Clock) -> Self {
        Self {
            url: url.clone(),
            answer: Cached::new(clock),
            outbound,
        }
    }

    /// Probes the server unless a recent result is known. Concurrent callers share one probe, which
    /// continues when its caller is dropped.
    pub(super) async fn check(&self) -> Result<(), OutboundError> {
        match self.answer.get().await {
            CacheLookup::Value(()) => Ok(()),
            CacheLookup::RecentFailure(()) => Err(OutboundError::Pausing { call: "a probe" }),
            // A task that failed proves nothing about the provider.
            CacheLookup::LoadPermit(permit) => tokio::spawn(self.clone().ask(permit))
                .await
                .unwrap_or(Ok(())),
        }
    }

    /// Records that another call got a response.
    pub(super) fn record_success(&self) {
        self.answer.set((), SUCCESS_TTL);
    }

    /// Records that another call got none, so that the next login probes.
    pub(super) fn record_failure(&self) {
        self.answer.remove_if(|()| true);
    }

    pub(super) fn is_down(&self) -> bool {
        self.answer.is_failing()
    }

    async fn ask(self, permit: LoadPermit<(), ()>) -> Result<(), OutboundError> {
        let asked = self.outbound.probe(&self.url).await;
        match &asked {
            Ok(()) => permit.store((), SUCCESS_TTL),
            Err(error) => {
                let origin = self.url.origin().ascii_serialization();
                let error = crate::telemetry::error_chain(error);
                tracing::warn!(origin, %error, "a provider does not respond: logins do not redirect to it");
                permit.fail((), FAILURE_TTL);
            }
        }
        asked
    }
}
