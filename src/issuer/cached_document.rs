//! `CachedDocument`: a document of the issuer: asked for once for all who wait, kept while it is down.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{IssuerError, IssuerName};
use crate::client::{Client, Network};
use crate::clock::{Clock, Timestamp};
use crate::single_flight::{CacheLookup, Cached, CachedValue, LoadPermit};

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

/// Asks the issuer for a document.
pub(super) trait Fetch<T>: Future<Output = Result<T, IssuerError>> + Send + 'static {}

impl<T, F: Future<Output = Result<T, IssuerError>> + Send + 'static> Fetch<T> for F {}

/// On whose account a document is asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSender {
    /// The source itself sent the token, over a connection that we opened to it.
    Provider,
    /// This client sent the token, which may be made up; absent: a proxy that names nobody.
    Client(Option<Client>),
}

#[derive(Clone, Copy)]
struct Allowance {
    at_once: u32,
    every: Duration,
}

/// What is left of an allowance, and since when.
#[derive(Clone, Copy)]
struct Left(u32, Timestamp);

pub(super) struct CachedDocument<T> {
    issuer: IssuerName,
    document: Cached<Arc<T>, IssuerError>,
    again: Mutex<Again>,
    fresh_for: Duration,
    clock: Clock,
}

/// What is left of the allowances for asking again.
struct Again {
    /// What the source's own tokens may still ask for.
    source: Left,
    /// What the tokens of all clients together may still ask for.
    clients: Left,
    /// What each of those clients may still ask for that did so lately.
    client: HashMap<Network, Left>,
}

impl<T: Send + Sync + 'static> CachedDocument<T> {
    pub(super) fn new(issuer: IssuerName, fresh_for: Duration, clock: Clock) -> Self {
        let again = Again {
            source: Left(AGAIN.at_once, clock.now()),
            clients: Left(AGAIN.at_once, clock.now()),
            client: HashMap::new(),
        };
        Self {
            issuer,
            document: Cached::new(clock.clone()),
            again: Mutex::new(again),
            fresh_for,
            clock,
        }
    }

    /// The document as it is known.
    pub(super) fn cached(&self) -> Option<Arc<T>> {
        Some(self.document.latest()?.value)
    }

    /// The document: fresh, or stale while somebody asks behind us, or as `fetch` brings it.
    pub(super) async fn get(&self, fetch: impl Fetch<T>) -> Result<Arc<T>, IssuerError> {
        let Some(latest) = self.document.latest() else {
            return self.ask(fetch, |_| true).await;
        };
        if let Some(turn) = self.document.try_load_permit() {
            let asking = bring(turn, fetch, self.fresh_for);
            let issuer = self.issuer.clone();
            tokio::spawn(async move {
                if let Err(error) = asking.await {
                    let error = crate::telemetry::error_chain(&error);
                    tracing::warn!(%issuer, %error, "what an issuer said before is used on");
                }
            });
        }
        Ok(latest.value)
    }

    /// The document, asked for now; another who asked meanwhile did it for us.
    pub(super) async fn refetch(&self, fetch: impl Fetch<T>) -> Result<Arc<T>, IssuerError> {
        let since = self.clock.now();
        self.ask(fetch, |latest| latest.kept_at > since).await
    }

    /// The document, asked for again unless somebody brought it within this time.
    pub(super) async fn get_newer_than(
        &self,
        age: Duration,
        fetch: impl Fetch<T>,
    ) -> Result<Arc<T>, IssuerError> {
        let young = |latest: &CachedValue<_>| self.clock.now().since(latest.kept_at) < age;
        self.ask(fetch, young).await
    }

    /// Whether the document may be asked for again although it is fresh; counts it.
    pub(super) fn may_refetch(&self, sender: TokenSender) -> bool {
        let now = self.clock.now();
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        let TokenSender::Client(client) = sender else {
            return again.source.take(AGAIN, now);
        };
        let Some(client) = client else {
            return again.clients.take(AGAIN, now);
        };
        let client = client.site().unwrap_or_else(|| client.network());
        let unused = Left(AGAIN_PER_CLIENT.at_once, now);
        let mut own = again.client.get(&client).copied().unwrap_or(unused);
        if !own.take(AGAIN_PER_CLIENT, now) || !again.clients.take(AGAIN, now) {
            return false;
        }
        // Only those are kept whose allowance is not whole again: few, as all together are limited.
        let whole_after = AGAIN_PER_CLIENT.every * AGAIN_PER_CLIENT.at_once;
        let lately = |left: &Left| now.since(left.1) < whole_after;
        again.client.retain(|_, left| lately(left));
        again.client.insert(client, own);
        true
    }

    async fn ask(
        &self,
        fetch: impl Fetch<T>,
        enough: impl Fn(&CachedValue<Arc<T>>) -> bool,
    ) -> Result<Arc<T>, IssuerError> {
        let turn = match self.document.get_if(enough).await {
            CacheLookup::Value(document) => return Ok(document),
            CacheLookup::Pausing(error) => return Err(error),
            CacheLookup::LoadPermit(turn) => turn,
        };
        // In a task: the others wait for its answer, also when whoever asks is gone by then.
        let asking = tokio::spawn(bring(turn, fetch, self.fresh_for));
        let issuer = || self.issuer.clone();
        let pausing = |_| IssuerError::RecentFailure { issuer: issuer() };
        asking.await.map_err(pausing)?
    }
}

async fn bring<T>(
    turn: LoadPermit<Arc<T>, IssuerError>,
    fetch: impl Fetch<T>,
    fresh_for: Duration,
) -> Result<Arc<T>, IssuerError> {
    match fetch.await {
        Ok(document) => Ok(turn.keep(Arc::new(document), fresh_for)),
        Err(error) => Err(turn.fail(error, PAUSE)),
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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Desk {
        kept: CachedDocument<usize>,
        clock: Clock,
        asked: Arc<AtomicUsize>,
    }

    impl Desk {
        fn open() -> Self {
            let clock = Clock::manual(Timestamp::from_unix_s(1_000));
            Self {
                kept: CachedDocument::new(Self::issuer(), Duration::from_secs(600), clock.clone()),
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
                Err(IssuerError::RecentFailure {
                    issuer: Self::issuer(),
                })
            }
        }

        async fn get(&self) -> Result<usize, IssuerError> {
            let document = self.kept.get(self.brings()).await;
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
            assert!(desk.kept.get(desk.fails()).await.is_err());
        }
        assert_eq!(desk.asked(), 1);
        desk.clock.advance(PAUSE);
        assert_eq!(desk.get().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_failure_takes_nothing_away_that_was_known() {
        let desk = Desk::open();
        desk.get().await.unwrap();
        assert!(desk.kept.refetch(desk.fails()).await.is_err());
        assert_eq!(desk.get().await.unwrap(), 0);
    }

    #[test]
    fn asking_again_is_throttled() {
        let desk = Desk::open();
        let may = || desk.kept.may_refetch(TokenSender::Provider);
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
        let may = |sender| desk.kept.may_refetch(sender);
        let [one, two, three] =
            [1, 2, 3].map(|last| TokenSender::Client(Some(IpAddr::from([192, 0, 2, last]).into())));
        assert_eq!((0..10).filter(|_| may(one)).count(), 2);
        assert!(may(two));
        // All that clients may ask for together is used up.
        assert!(!may(three));
        assert!(may(TokenSender::Provider));
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
