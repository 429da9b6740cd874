//! `Refresher`: tokens are renewed ahead of their end, once for all who ask, whoever goes away.
//!
//! Three things keep a refresh token from being spent twice: the flight, which everybody in this
//! process who stands on the session shares; the store's lease, which other processes ask for; and
//! the version, under which the store takes the new tokens only once.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::tokens::{Boarding, Due};
use super::{Person, Sessions};
use crate::clock::Clock;
use crate::keys::KeyRing;
use crate::people::Admittance;
use crate::people::source::Source;
use crate::store::ConnectorId;
use crate::telemetry::Telemetry;

mod flight;

use flight::Flying;

/// How many refreshes are under way at a time, in all.
pub(super) const REFRESHES_MAX: usize = 64;

/// Renews the tokens of people who are here. One per site; what it holds on to outlives it.
pub struct Refresher {
    sessions: Arc<Sessions>,
    ring: Arc<KeyRing>,
    clock: Clock,
    telemetry: Telemetry,
    sources: HashMap<ConnectorId, Known>,
    pace: Pace,
}

/// How the people of one connector are asked for again.
#[derive(Clone, Debug)]
pub struct SourceTerms {
    /// Whom to ask.
    pub source: Arc<dyn Source>,
    /// What becomes of the answer.
    pub admittance: Admittance,
}

/// A source, and whether it failed the last time it was asked.
#[derive(Debug)]
struct Known {
    terms: SourceTerms,
    failing: AtomicBool,
}

/// How long a refresh may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long a request waits for the refresh of tokens that have ended, and a refresh for its
    /// turn.
    pub wait: Duration,
    /// How long a source may think.
    pub source: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(10),
            source: Duration::from_secs(60),
        }
    }
}

/// What a request does after it saw to a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attended {
    /// Go on as it is: the refresh goes on behind.
    GoOn,
    /// Look again who it is: something may have changed.
    LookAgain,
}

impl fmt::Debug for Refresher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresher")
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

impl Sessions {
    /// Waits until no refresh of tokens is under way, but no longer than `patience`: a refresh token
    /// that was on its way is spent.
    pub async fn refreshes_end(&self, patience: Duration) {
        let all = u32::try_from(REFRESHES_MAX).unwrap_or(u32::MAX);
        let ended = self.refresh_permits.acquire_many(all);
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!("a refresh of tokens was given up");
        }
    }
}

impl Refresher {
    /// Over the sources of a site's connectors. New tokens are sealed by `ring`.
    pub fn new(
        sessions: Arc<Sessions>,
        ring: Arc<KeyRing>,
        telemetry: Telemetry,
        sources: impl IntoIterator<Item = SourceTerms>,
        pace: Pace,
    ) -> Arc<Self> {
        let known = |terms: SourceTerms| {
            let known = Known {
                failing: AtomicBool::new(false),
                terms,
            };
            (known.terms.admittance.connector.clone(), known)
        };
        Arc::new(Self {
            clock: sessions.clock().clone(),
            sessions,
            ring,
            telemetry,
            sources: sources.into_iter().map(known).collect(),
            pace,
        })
    }

    /// Sees to what is due for a person: joins the refresh of their session or begins it, and waits
    /// for its end when their access token is over, but no longer than [`Pace::wait`] after it began.
    /// Cancel-safe: the refresh goes on for the others, and for whoever comes next.
    pub async fn attend(self: &Arc<Self>, person: &Person) -> Attended {
        let Some(cell) = person
            .tokens
            .as_ref()
            .filter(|_| person.due != Due::Nothing)
        else {
            return Attended::GoOn;
        };
        let flight = match cell.board(self.clock.now()) {
            Boarding::NotDue => return Attended::LookAgain,
            Boarding::Joined(flight) => flight,
            Boarding::Begun(flight, landing) => {
                let flying = Flying {
                    refresher: Arc::clone(self),
                    session: Arc::clone(&person.session),
                    cell: Arc::clone(cell),
                };
                tokio::spawn(flying.fly(landing));
                flight
            }
        };
        if person.due == Due::Soon {
            return Attended::GoOn;
        }
        let patience = flight.began + self.pace.wait;
        // Whoever runs out of it goes on as after a refresh that failed.
        let _ = tokio::time::timeout_at(patience, flight.ended()).await;
        Attended::LookAgain
    }
}
