//! `Presence`: whether a provider is there, made sure of before a browser is led to it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use url::Url;

use crate::clock::{Clock, Timestamp};
use crate::outbound::{Outbound, OutboundError};

/// How long an answer counts before a login that begins makes sure of it.
pub(super) const ANSWER_COUNTS_FOR: Duration = Duration::from_secs(10);

/// How long nobody asks again after asking in vain.
const PAUSE: Duration = Duration::from_secs(2);

/// Whether anybody is there at an address that we need ourselves: without it no login comes to its
/// end. Clones know the same.
#[derive(Clone, Debug)]
pub(super) struct Presence {
    door: Arc<Door>,
    outbound: Outbound,
    clock: Clock,
}

#[derive(Debug)]
struct Door {
    url: Url,
    last: Mutex<Last>,
    turn: Arc<Semaphore>,
}

/// What was last heard.
#[derive(Clone, Copy, Debug)]
enum Last {
    /// Nobody asked, or it fell silent amid other calls.
    Unknown,
    /// An answer.
    Answer(Timestamp),
    /// Nothing.
    Silence(Timestamp),
}

impl Presence {
    /// Asks nobody yet.
    pub(super) fn at(url: &Url, outbound: Outbound, clock: Clock) -> Self {
        Self {
            door: Arc::new(Door {
                url: url.clone(),
                last: Mutex::new(Last::Unknown),
                turn: Arc::new(Semaphore::new(1)),
            }),
            outbound,
            clock,
        }
    }

    /// Makes sure of it: one asks for all who wait, and one who is gone by then asks for the others.
    pub(super) async fn make_sure(&self) -> Result<(), OutboundError> {
        if let Some(known) = self.known() {
            return known;
        }
        // Never closed; were it, nobody would be kept from logging in by it.
        let Ok(turn) = Arc::clone(&self.door.turn).acquire_owned().await else {
            return Ok(());
        };
        if let Some(known) = self.known() {
            return known;
        }
        let this = self.clone();
        let asking = tokio::spawn(async move {
            let _turn = turn;
            this.ask().await
        });
        asking.await.unwrap_or(Ok(()))
    }

    /// Another call was answered.
    pub(super) fn note_answer(&self) {
        *self.last() = Last::Answer(self.clock.now());
    }

    /// Another call was not: whoever comes next makes sure.
    pub(super) fn note_silence(&self) {
        let mut last = self.last();
        if let Last::Answer(_) = *last {
            *last = Last::Unknown;
        }
    }

    /// Whether nobody was there when it was last asked.
    pub(super) fn is_silent(&self) -> bool {
        matches!(*self.last(), Last::Silence(_))
    }

    async fn ask(&self) -> Result<(), OutboundError> {
        let asked = self.outbound.knock(&self.door.url).await;
        let now = self.clock.now();
        *self.last() = match &asked {
            Ok(()) => Last::Answer(now),
            Err(error) => {
                let origin = self.door.url.origin().ascii_serialization();
                let error = crate::telemetry::chain(error);
                tracing::warn!(origin, %error, "a provider gives no answer: nobody is led to it");
                Last::Silence(now)
            }
        };
        asked
    }

    /// What is known well enough not to ask.
    fn known(&self) -> Option<Result<(), OutboundError>> {
        let now = self.clock.now();
        match *self.last() {
            Last::Answer(at) if now.since(at) < ANSWER_COUNTS_FOR => Some(Ok(())),
            Last::Silence(at) if now.since(at) < PAUSE => {
                Some(Err(OutboundError::Pausing { call: "a knock" }))
            }
            Last::Unknown | Last::Answer(_) | Last::Silence(_) => None,
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.door
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
