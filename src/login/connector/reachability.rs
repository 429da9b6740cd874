//! `Reachability`: whether a provider can be reached, checked before a browser is sent to it.

use std::time::Duration;

use url::Url;

use crate::clock::Clock;
use crate::outbound::{Outbound, OutboundError};
use crate::single_flight::{CacheLookup, Cached, LoadPermit};

/// How long an answer counts before a login that begins checks again.
pub(super) const SUCCESS_TTL: Duration = Duration::from_secs(10);

/// How long nobody asks again after a probe that failed.
const FAILURE_TTL: Duration = Duration::from_secs(2);

/// Whether the server of an address that we need ourselves can be reached: without it no login comes
/// to its end. Clones share what is known.
#[derive(Clone, Debug)]
pub(super) struct Reachability {
    url: Url,
    answer: Cached<(), ()>,
    outbound: Outbound,
}

impl Reachability {
    /// Asks nobody yet.
    pub(super) fn at(url: &Url, outbound: Outbound, clock: Clock) -> Self {
        Self {
            url: url.clone(),
            answer: Cached::new(clock),
            outbound,
        }
    }

    /// Checks it: one caller asks for all who wait, also when that caller goes away meanwhile.
    pub(super) async fn check(&self) -> Result<(), OutboundError> {
        match self.answer.get().await {
            CacheLookup::Value(()) => Ok(()),
            CacheLookup::Pausing(()) => Err(OutboundError::Pausing { call: "a probe" }),
            // Nobody is kept from logging in because the task failed.
            CacheLookup::LoadPermit(turn) => {
                tokio::spawn(self.clone().ask(turn)).await.unwrap_or(Ok(()))
            }
        }
    }

    /// Another call was answered.
    pub(super) fn record_success(&self) {
        self.answer.put((), SUCCESS_TTL);
    }

    /// Another call was not: the next login checks.
    pub(super) fn record_failure(&self) {
        self.answer.forget_if(|()| true);
    }

    /// Whether the last probe failed.
    pub(super) fn is_down(&self) -> bool {
        self.answer.is_failing()
    }

    async fn ask(self, turn: LoadPermit<(), ()>) -> Result<(), OutboundError> {
        let asked = self.outbound.probe(&self.url).await;
        match &asked {
            Ok(()) => turn.keep((), SUCCESS_TTL),
            Err(error) => {
                let origin = self.url.origin().ascii_serialization();
                let error = crate::telemetry::error_chain(error);
                tracing::warn!(origin, %error, "a provider gives no answer: nobody is led to it");
                turn.fail((), FAILURE_TTL);
            }
        }
        asked
    }
}
