//! `Kept`: a document of the issuer: asked for once for all who wait, kept while it is down.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{IssuerError, IssuerName};
use crate::clock::{Clock, Timestamp};

/// How long nobody asks again after asking in vain.
const PAUSE: Duration = Duration::from_secs(2);
/// How often one may ask again although the document is fresh, before the throttle closes.
const AGAIN_MAX: u32 = 3;
/// How long until the throttle lets one more through.
const AGAIN_EVERY: Duration = Duration::from_secs(30);

pub(super) struct Kept<T> {
    state: Mutex<State<T>>,
    turn: Arc<Semaphore>,
    fresh_for: Duration,
    clock: Clock,
}

struct State<T> {
    document: Option<(Arc<T>, Timestamp)>,
    /// When asking was last in vain, and why.
    failed: Option<(IssuerError, Timestamp)>,
    /// How many times one may ask again, and since when.
    again: (u32, Timestamp),
}

impl<T: Send + Sync + 'static> Kept<T> {
    pub(super) fn new(fresh_for: Duration, clock: Clock) -> Self {
        let state = State {
            document: None,
            failed: None,
            again: (AGAIN_MAX, clock.now()),
        };
        Self {
            state: Mutex::new(state),
            turn: Arc::new(Semaphore::new(1)),
            fresh_for,
            clock,
        }
    }

    /// The document as it is known.
    pub(super) fn known(&self) -> Option<Arc<T>> {
        let state = self.state();
        state
            .document
            .as_ref()
            .map(|(document, _)| Arc::clone(document))
    }

    /// The document: fresh, or stale while somebody asks behind us, or as `fetch` brings it.
    pub(super) async fn get<F>(
        self: &Arc<Self>,
        issuer: &IssuerName,
        fetch: F,
    ) -> Result<Arc<T>, IssuerError>
    where
        F: Future<Output = Result<T, IssuerError>> + Send + 'static,
    {
        let known = {
            let state = self.state();
            let known = state.document.as_ref();
            known.map(|(document, at)| (Arc::clone(document), self.is_fresh(*at)))
        };
        match known {
            Some((document, true)) => Ok(document),
            Some((document, false)) => {
                let (this, issuer) = (Arc::clone(self), issuer.clone());
                if !this.is_pausing() && this.turn.available_permits() > 0 {
                    tokio::spawn(async move {
                        if let Err(error) = this.ask(&issuer, fetch, Want::Fresh).await {
                            let error = crate::telemetry::chain(&error);
                            tracing::warn!(%issuer, %error, "what an issuer said before is used on");
                        }
                    });
                }
                Ok(document)
            }
            None => self.ask(issuer, fetch, Want::Any).await,
        }
    }

    /// The document, asked for now; another who asked meanwhile did it for us.
    pub(super) async fn renew<F>(
        self: &Arc<Self>,
        issuer: &IssuerName,
        fetch: F,
    ) -> Result<Arc<T>, IssuerError>
    where
        F: Future<Output = Result<T, IssuerError>> + Send + 'static,
    {
        let since = self.clock.now();
        self.ask(issuer, fetch, Want::Since(since)).await
    }

    /// The document, asked for again unless somebody brought it within this time.
    pub(super) async fn within<F>(
        self: &Arc<Self>,
        issuer: &IssuerName,
        age: Duration,
        fetch: F,
    ) -> Result<Arc<T>, IssuerError>
    where
        F: Future<Output = Result<T, IssuerError>> + Send + 'static,
    {
        self.ask(issuer, fetch, Want::Within(age)).await
    }

    /// Takes one from the throttle.
    pub(super) fn may_ask_again(&self) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let (left, since) = state.again;
        let grown = now.since(since).as_millis() / AGAIN_EVERY.as_millis();
        let grown = u32::try_from(grown).unwrap_or(AGAIN_MAX);
        let since = if grown == 0 { since } else { now };
        let left = left.saturating_add(grown).min(AGAIN_MAX);
        state.again = (left.saturating_sub(1), since);
        left > 0
    }

    async fn ask<F>(
        self: &Arc<Self>,
        issuer: &IssuerName,
        fetch: F,
        want: Want,
    ) -> Result<Arc<T>, IssuerError>
    where
        F: Future<Output = Result<T, IssuerError>> + Send + 'static,
    {
        let pausing = || IssuerError::Pausing {
            issuer: issuer.clone(),
        };
        // One asks, the others wait for its answer, also when whoever asks is gone by then.
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let turn = turn.map_err(|_| pausing())?;
        if let Some(outcome) = self.meanwhile(&want) {
            return outcome;
        }
        let this = Arc::clone(self);
        let asking = tokio::spawn(async move {
            let _turn = turn;
            this.keep(fetch.await.map(Arc::new))
        });
        asking.await.unwrap_or_else(|_| Err(pausing()))
    }

    fn keep(&self, outcome: Result<Arc<T>, IssuerError>) -> Result<Arc<T>, IssuerError> {
        let now = self.clock.now();
        let mut state = self.state();
        match &outcome {
            Ok(document) => {
                state.document = Some((Arc::clone(document), now));
                state.failed = None;
            }
            Err(error) => state.failed = Some((error.clone(), now)),
        }
        outcome
    }

    /// What another brought while we waited for our turn.
    fn meanwhile(&self, want: &Want) -> Option<Result<Arc<T>, IssuerError>> {
        let state = self.state();
        if let Some((error, _)) = state.failed.as_ref().filter(|_| self.pauses(&state)) {
            return Some(Err(error.clone()));
        }
        let (document, at) = state.document.as_ref()?;
        let good = match want {
            Want::Any => true,
            Want::Fresh => self.is_fresh(*at),
            Want::Since(since) => at > since,
            Want::Within(age) => self.clock.now().since(*at) < *age,
        };
        good.then(|| Ok(Arc::clone(document)))
    }

    fn is_fresh(&self, at: Timestamp) -> bool {
        self.clock.now().since(at) < self.fresh_for
    }

    fn is_pausing(&self) -> bool {
        self.pauses(&self.state())
    }

    fn pauses(&self, state: &State<T>) -> bool {
        let failed = state.failed.as_ref();
        failed.is_some_and(|(_, at)| self.clock.now().since(*at) < PAUSE)
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How new the document must be.
enum Want {
    Any,
    Fresh,
    Since(Timestamp),
    Within(Duration),
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Desk {
        kept: Arc<Kept<usize>>,
        clock: Clock,
        asked: Arc<AtomicUsize>,
    }

    impl Desk {
        fn open() -> Self {
            let clock = Clock::by_hand(Timestamp::from_unix_s(1_000));
            Self {
                kept: Arc::new(Kept::new(Duration::from_secs(600), clock.clone())),
                clock,
                asked: Arc::default(),
            }
        }

        fn issuer() -> IssuerName {
            IssuerName::try_from("https://id.corp.example".to_owned()).unwrap()
        }

        fn brings(&self) -> impl Future<Output = Result<usize, IssuerError>> + Send + use<> {
            let asked = Arc::clone(&self.asked);
            async move {
                tokio::task::yield_now().await;
                Ok(asked.fetch_add(1, Ordering::SeqCst))
            }
        }

        fn fails(&self) -> impl Future<Output = Result<usize, IssuerError>> + Send + use<> {
            let asked = Arc::clone(&self.asked);
            async move {
                asked.fetch_add(1, Ordering::SeqCst);
                Err(IssuerError::Pausing {
                    issuer: Self::issuer(),
                })
            }
        }

        async fn get(&self) -> Result<usize, IssuerError> {
            let document = self.kept.get(&Self::issuer(), self.brings()).await;
            document.map(|document| *document)
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn one_asks_for_all_who_wait() {
        let desk = Desk::open();
        let all = futures_util::future::join_all((0..20).map(|_| desk.get())).await;
        assert!(all.into_iter().all(|document| document.unwrap() == 0));
        assert_eq!(desk.asked(), 1);
    }

    #[tokio::test]
    async fn an_old_document_serves_while_somebody_asks_behind() {
        let desk = Desk::open();
        desk.get().await.unwrap();
        desk.clock.advance(Duration::from_secs(601));
        assert_eq!(desk.get().await.unwrap(), 0);
        while desk.asked() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(desk.get().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn who_gives_no_answer_is_left_alone_for_a_moment_and_then_asked_again() {
        let desk = Desk::open();
        for _ in 0..5 {
            assert!(desk.kept.get(&Desk::issuer(), desk.fails()).await.is_err());
        }
        assert_eq!(desk.asked(), 1);
        desk.clock.advance(PAUSE);
        assert_eq!(desk.get().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_failure_takes_nothing_away_that_was_known() {
        let desk = Desk::open();
        desk.get().await.unwrap();
        assert!(
            desk.kept
                .renew(&Desk::issuer(), desk.fails())
                .await
                .is_err()
        );
        assert_eq!(desk.get().await.unwrap(), 0);
    }

    #[test]
    fn asking_again_is_throttled() {
        let desk = Desk::open();
        let burst = (0..10).filter(|_| desk.kept.may_ask_again()).count();
        assert_eq!(burst, 3);
        desk.clock.advance(Duration::from_secs(29));
        assert!(!desk.kept.may_ask_again());
        desk.clock.advance(Duration::from_secs(1));
        assert!(desk.kept.may_ask_again() && !desk.kept.may_ask_again());
    }
}
