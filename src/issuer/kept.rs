//! `Kept`: a document of the issuer: asked for once for all who wait, kept while it is down.

use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{IssuerError, IssuerName};
use crate::client::Network;
use crate::clock::{Clock, Timestamp};

/// How long nobody asks again after asking in vain.
const PAUSE: Duration = Duration::from_secs(2);
/// How often the document is asked for again although it is fresh: three times at once, and then
/// every 30 s.
const AGAIN: Allowance = Allowance {
    at_once: 3,
    every: Duration::from_secs(30),
};
/// How much of that one client may use up, so that its made-up tokens leave something for others. Two
/// of three are the share of a whole /48, too.
const AGAIN_PER_CLIENT: Allowance = Allowance {
    at_once: 2,
    every: Duration::from_secs(60),
};

/// On whose account a document is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The source itself sent the token, over a connection that we opened to it.
    Source,
    /// This client sent the token, which may be made up; absent: a proxy that names nobody.
    Client(Option<IpAddr>),
}

#[derive(Clone, Copy)]
struct Allowance {
    at_once: u32,
    every: Duration,
}

/// What is left of an allowance, and since when.
#[derive(Clone, Copy)]
struct Left(u32, Timestamp);

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
    /// What the source's own tokens may still ask for.
    source: Left,
    /// What the tokens of all clients together may still ask for.
    clients: Left,
    /// What each of those clients may still ask for that did so lately.
    client: HashMap<Network, Left>,
}

impl<T: Send + Sync + 'static> Kept<T> {
    pub(super) fn new(fresh_for: Duration, clock: Clock) -> Self {
        let state = State {
            document: None,
            failed: None,
            source: Left(AGAIN.at_once, clock.now()),
            clients: Left(AGAIN.at_once, clock.now()),
            client: HashMap::new(),
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

    /// Whether the document may be asked for again although it is fresh; counts it.
    pub(super) fn may_ask_again(&self, asker: Asker) -> bool {
        let now = self.clock.now();
        let mut state = self.state();
        let Asker::Client(client) = asker else {
            return state.source.take(AGAIN, now);
        };
        let Some(client) = client else {
            return state.clients.take(AGAIN, now);
        };
        let client = Network::of_site(client).unwrap_or_else(|| Network::of_client(client));
        let unused = Left(AGAIN_PER_CLIENT.at_once, now);
        let mut own = state.client.get(&client).copied().unwrap_or(unused);
        if !own.take(AGAIN_PER_CLIENT, now) || !state.clients.take(AGAIN, now) {
            return false;
        }
        // Only those are kept whose allowance is not whole again: few, as all together are limited.
        let whole_after = AGAIN_PER_CLIENT.every * AGAIN_PER_CLIENT.at_once;
        let lately = |left: &Left| now.since(left.1) < whole_after;
        state.client.retain(|_, left| lately(left));
        state.client.insert(client, own);
        true
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

impl Left {
    fn take(&mut self, allowance: Allowance, now: Timestamp) -> bool {
        let Allowance { at_once, every } = allowance;
        let grown = now.since(self.1).as_millis() / every.as_millis();
        let grown = u32::try_from(grown).unwrap_or(at_once);
        if grown > 0 {
            *self = Self(self.0.saturating_add(grown).min(at_once), now);
        }
        let good = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        good
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
        let may = || desk.kept.may_ask_again(Asker::Source);
        let burst = (0..10).filter(|_| may()).count();
        assert_eq!(burst, 3);
        desk.clock.advance(Duration::from_secs(29));
        assert!(!may());
        desk.clock.advance(Duration::from_secs(1));
        assert!(may() && !may());
    }

    #[test]
    fn one_client_leaves_something_for_another_and_clients_for_the_source() {
        let desk = Desk::open();
        let may = |asker| desk.kept.may_ask_again(asker);
        let [one, two, three] =
            [1, 2, 3].map(|last| Asker::Client(Some(IpAddr::from([192, 0, 2, last]))));
        assert_eq!((0..10).filter(|_| may(one)).count(), 2);
        assert!(may(two));
        // All that clients may ask for together is used up.
        assert!(!may(three));
        assert!(may(Asker::Source));
        // What grows again is not all the first one's, who is always quicker.
        let (mut first, mut second) = (0, 0);
        for _ in 0..20 {
            desk.clock.advance(Duration::from_secs(30));
            first += usize::from(may(one));
            second += usize::from(may(two));
        }
        assert!(first <= 11 && second >= 8, "{first} {second}");
    }
}
