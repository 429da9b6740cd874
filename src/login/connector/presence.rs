//! `Presence`: whether a provider is there, made sure of before a browser is led to it.

use std::time::Duration;

use url::Url;

use crate::clock::Clock;
use crate::outbound::{Outbound, OutboundError};
use crate::single_flight::{Cached, Get, Turn};

/// How long an answer counts before a login that begins makes sure of it.
pub(super) const ANSWER_COUNTS_FOR: Duration = Duration::from_secs(10);

/// How long nobody asks again after asking in vain.
const PAUSE: Duration = Duration::from_secs(2);

/// Whether anybody is there at an address that we need ourselves: without it no login comes to its
/// end. Clones know the same.
#[derive(Clone, Debug)]
pub(super) struct Presence {
    url: Url,
    answer: Cached<(), ()>,
    outbound: Outbound,
}

impl Presence {
    /// Asks nobody yet.
    pub(super) fn at(url: &Url, outbound: Outbound, clock: Clock) -> Self {
        Self {
            url: url.clone(),
            answer: Cached::new(clock),
            outbound,
        }
    }

    /// Makes sure of it: one asks for all who wait, and one who is gone by then asks for the others.
    pub(super) async fn make_sure(&self) -> Result<(), OutboundError> {
        match self.answer.get().await {
            Get::Value(()) => Ok(()),
            Get::Pausing(()) => Err(OutboundError::Pausing { call: "a knock" }),
            // Nobody is kept from logging in because the task failed.
            Get::Turn(turn) => tokio::spawn(self.clone().ask(turn)).await.unwrap_or(Ok(())),
        }
    }

    /// Another call was answered.
    pub(super) fn note_answer(&self) {
        self.answer.put((), ANSWER_COUNTS_FOR);
    }

    /// Another call was not: whoever comes next makes sure.
    pub(super) fn note_silence(&self) {
        self.answer.forget_if(|()| true);
    }

    /// Whether nobody was there when it was last asked.
    pub(super) fn is_silent(&self) -> bool {
        self.answer.is_failing()
    }

    async fn ask(self, turn: Turn<(), ()>) -> Result<(), OutboundError> {
        let asked = self.outbound.knock(&self.url).await;
        match &asked {
            Ok(()) => turn.keep((), ANSWER_COUNTS_FOR),
            Err(error) => {
                let origin = self.url.origin().ascii_serialization();
                let error = crate::telemetry::chain(error);
                tracing::warn!(origin, %error, "a provider gives no answer: nobody is led to it");
                turn.fail((), PAUSE);
            }
        }
        asked
    }
}
