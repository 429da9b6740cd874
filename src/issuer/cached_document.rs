//! `CachedDocument`: a document of the issuer, fetched once for all concurrent callers and kept while
//! the issuer cannot be reached.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{IssuerError, IssuerName};
use crate::client::{Client, Network};
use crate::clock::{Clock, Timestamp};
use crate::single_flight::{CacheLookup, Cached, CachedValue, LoadPermit};

/// The time after a failed request before the next one.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// How often tokens with an unknown `kid` may cause a refetch of the keys.
const REFETCH_RATE: RefetchRate = RefetchRate {
    burst: 3,
    interval: Duration::from_secs(30),
};
/// How much of that rate one client may use, so that its forged tokens leave some of it to others.
/// Clients of one IPv6 /48 share it.
const REFETCH_RATE_PER_CLIENT: RefetchRate = RefetchRate {
    burst: 2,
    interval: Duration::from_secs(60),
};

/// A request for the document.
pub(super) trait Fetch<T>: Future<Output = Result<T, IssuerError>> + Send + 'static {}

impl<T, F: Future<Output = Result<T, IssuerError>> + Send + 'static> Fetch<T> for F {}

/// Who sent the token that causes a refetch. The refetches are limited for each sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSender {
    /// The provider, over a connection that this process opened.
    Provider,
    /// A client, whose token may be forged; `None`: a trusted proxy that names no client.
    Client(Option<Client>),
}

/// The parameters of a token bucket.
#[derive(Clone, Copy)]
struct RefetchRate {
    burst: u32,
    /// The time after which one more refetch is allowed.
    interval: Duration,
}

/// A token bucket.
#[derive(Clone, Copy)]
struct Bucket {
    refetches_left: u32,
    refilled_at: Timestamp,
}

pub(super) struct CachedDocument<T> {
    issuer: IssuerName,
    document: Cached<Arc<T>, IssuerError>,
    refetches: Mutex<RefetchBuckets>,
    fresh_for: Duration,
    clock: Clock,
}

struct RefetchBuckets {
    provider: Bucket,
    all_clients: Bucket,
    /// By the /48 or address of the client. Full buckets are left out.
    by_client: HashMap<Network, Bucket>,
}

impl<T: Send + Sync + 'static> CachedDocument<T> {
    pub(super) fn new(issuer: IssuerName, fresh_for: Duration, clock: Clock) -> Self {
        let refetches = RefetchBuckets {
            provider: Bucket::full(REFETCH_RATE, clock.now()),
            all_clients: Bucket::full(REFETCH_RATE, clock.now()),
            by_client: HashMap::new(),
        };
        Self {
            issuer,
            document: Cached::new(clock.clone()),
            refetches: Mutex::new(refetches),
            fresh_for,
            clock,
        }
    }

    /// The cached document, however old it is.
    pub(super) fn cached(&self) -> Option<Arc<T>> {
        Some(self.document.latest()?.value)
    }

    /// The cached document. A stale one is refreshed in the background; the caller waits for `fetch`
    /// only if no document is cached.
    pub(super) async fn get(&self, fetch: impl Fetch<T>) -> Result<Arc<T>, IssuerError> {
        let Some(latest) = self.document.latest() else {
            return self.fetch_unless(fetch, |_| true).await;
        };
        if let Some(permit) = self.document.try_load_permit() {
            let refresh = fetch_and_store(permit, fetch, self.fresh_for);
            let issuer = self.issuer.clone();
            tokio::spawn(async move {
                if let Err(error) = refresh.await {
                    let error = crate::telemetry::error_chain(&error);
                    tracing::warn!(
                        %issuer,
                        %error,
                        "an issuer cannot be reached: its cached metadata and keys stay in use"
                    );
                }
            });
        }
        Ok(latest.value)
    }

    /// The document, fetched now or by another caller since this call began.
    pub(super) async fn refetch(&self, fetch: impl Fetch<T>) -> Result<Arc<T>, IssuerError> {
        let since = self.clock.now();
        self.fetch_unless(fetch, |latest| latest.stored_at > since)
            .await
    }

    /// The document, fetched again unless it is younger than `age`.
    pub(super) async fn get_newer_than(
        &self,
        age: Duration,
        fetch: impl Fetch<T>,
    ) -> Result<Arc<T>, IssuerError> {
        let is_young = |latest: &CachedValue<_>| self.clock.now().since(latest.stored_at) < age;
        self.fetch_unless(fetch, is_young).await
    }

    /// Takes one refetch from the sender's limit. Returns whether there was one left.
    pub(super) fn may_refetch(&self, sender: TokenSender) -> bool {
        let now = self.clock.now();
        let buckets = self.refetches.lock();
        let mut buckets = buckets.unwrap_or_else(PoisonError::into_inner);
        let TokenSender::Client(client) = sender else {
            return buckets.provider.take(REFETCH_RATE, now);
        };
        let Some(client) = client else {
            return buckets.all_clients.take(REFETCH_RATE, now);
        };
        let network = client.network48().unwrap_or_else(|| client.network());
        let full = Bucket::full(REFETCH_RATE_PER_CLIENT, now);
        let mut of_client = buckets.by_client.get(&network).copied().unwrap_or(full);
        if !of_client.take(REFETCH_RATE_PER_CLIENT, now)
            || !buckets.all_clients.take(REFETCH_RATE, now)
        {
            return false;
        }
        // Full buckets are dropped. The limit for all clients together keeps the others few.
        let full_after = REFETCH_RATE_PER_CLIENT.interval * REFETCH_RATE_PER_CLIENT.burst;
        let is_not_full = |bucket: &Bucket| now.since(bucket.refilled_at) < full_after;
        buckets.by_client.retain(|_, bucket| is_not_full(bucket));
        buckets.by_client.insert(network, of_client);
        true
    }

    async fn fetch_unless(
        &self,
        fetch: impl Fetch<T>,
        accepts: impl Fn(&CachedValue<Arc<T>>) -> bool,
    ) -> Result<Arc<T>, IssuerError> {
        let permit = match self.document.get_if(accepts).await {
            CacheLookup::Value(document) => return Ok(document),
            CacheLookup::RecentFailure(error) => return Err(error),
            CacheLookup::LoadPermit(permit) => permit,
        };
        // In a task, because other callers wait for the result even if this caller is cancelled.
        let request = tokio::spawn(fetch_and_store(permit, fetch, self.fresh_for));
        let issuer = || self.issuer.clone();
        let panicked = |_| IssuerError::RecentFailure { issuer: issuer() };
        request.await.map_err(panicked)?
    }
}

async fn fetch_and_store<T>(
    permit: LoadPermit<Arc<T>, IssuerError>,
    fetch: impl Fetch<T>,
    fresh_for: Duration,
) -> Result<Arc<T>, IssuerError> {
    match fetch.await {
        Ok(document) => Ok(permit.store(Arc::new(document), fresh_for)),
        Err(error) => Err(permit.fail(error, RETRY_PAUSE)),
    }
}

impl Bucket {
    fn full(rate: RefetchRate, now: Timestamp) -> Self {
        Self {
            refetches_left: rate.burst,
            refilled_at: now,
        }
    }

    fn take(&mut self, rate: RefetchRate, now: Timestamp) -> bool {
        let RefetchRate { burst, interval } = rate;
        let added = now.since(self.refilled_at).as_millis() / interval.as_millis();
        let added = u32::try_from(added).unwrap_or(burst);
        if added > 0 {
            self.refetches_left = self.refetches_left.saturating_add(added).min(burst);
            self.refilled_at = now;
        }
        let is_allowed = self.refetches_left > 0;
        self.refetches_left = self.refetches_left.saturating_sub(1);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A document whose value is the number of requests before it.
    struct Fixture {
        document: CachedDocument<usize>,
        clock: Clock,
        requests: Arc<AtomicUsize>,
    }

    impl Fixture {
        fn new() -> Self {
            let clock = Clock::manual(Timestamp::from_unix_s(1_000));
            let fresh_for = Duration::from_secs(600);
            Self {
                document: CachedDocument::new(Self::issuer(), fresh_for, clock.clone()),
                clock,
                requests: Arc::default(),
            }
        }

        fn issuer() -> IssuerName {
            IssuerName::try_from("https://id.corp.example".to_owned()).unwrap()
        }

        /// A request that returns the number of requests before it.
        fn succeeding(&self) -> impl Future<Output = Result<usize, IssuerError>> + Send + use<> {
            let requests = Arc::clone(&self.requests);
            async move {
                tokio::task::yield_now().await;
                Ok(requests.fetch_add(1, Ordering::SeqCst))
            }
        }

        /// A request that fails.
        fn failing(&self) -> impl Future<Output = Result<usize, IssuerError>> + Send + use<> {
            let requests = Arc::clone(&self.requests);
            async move {
                requests.fetch_add(1, Ordering::SeqCst);
                Err(IssuerError::RecentFailure {
                    issuer: Self::issuer(),
                })
            }
        }

        async fn get(&self) -> Result<usize, IssuerError> {
            let document = self.document.get(self.succeeding()).await;
            document.map(|document| *document)
        }

        fn requests(&self) -> usize {
            self.requests.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn concurrent_callers_share_one_request() {
        let fixture = Fixture::new();
        let documents = futures_util::future::join_all((0..20).map(|_| fixture.get())).await;
        assert!(documents.into_iter().all(|document| document.unwrap() == 0));
        assert_eq!(fixture.requests(), 1);
    }

    #[tokio::test]
    async fn a_stale_document_is_served_while_it_is_refreshed() {
        let fixture = Fixture::new();
        fixture.get().await.unwrap();
        fixture.clock.advance(Duration::from_secs(601));
        assert_eq!(fixture.get().await.unwrap(), 0);
        while fixture.requests() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(fixture.get().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_failed_request_is_repeated_after_a_pause_only() {
        let fixture = Fixture::new();
        for _ in 0..5 {
            assert!(fixture.document.get(fixture.failing()).await.is_err());
        }
        assert_eq!(fixture.requests(), 1);
        fixture.clock.advance(RETRY_PAUSE);
        assert_eq!(fixture.get().await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_failed_refetch_keeps_the_cached_document() {
        let fixture = Fixture::new();
        fixture.get().await.unwrap();
        assert!(fixture.document.refetch(fixture.failing()).await.is_err());
        assert_eq!(fixture.get().await.unwrap(), 0);
    }

    #[test]
    fn refetches_are_limited() {
        let fixture = Fixture::new();
        let may = || fixture.document.may_refetch(TokenSender::Provider);
        let burst = (0..10).filter(|_| may()).count();
        assert_eq!(burst, 3);
        fixture.clock.advance(Duration::from_secs(29));
        assert!(!may());
        fixture.clock.advance(Duration::from_secs(1));
        assert!(may() && !may());
    }

    #[test]
    fn one_client_leaves_refetches_to_others_and_clients_leave_them_to_the_provider() {
        let fixture = Fixture::new();
        let may = |sender| fixture.document.may_refetch(sender);
        let [one, two, three] =
            [1, 2, 3].map(|last| TokenSender::Client(Some(IpAddr::from([192, 0, 2, last]).into())));
        assert_eq!((0..10).filter(|_| may(one)).count(), 2);
        assert!(may(two));
        // The limit for all clients together is reached.
        assert!(!may(three));
        assert!(may(TokenSender::Provider));
        // Although the first client always asks first, it does not get every further refetch: in ten
        // minutes each client may cause 10 refetches, and all clients together 20.
        let (mut first, mut second) = (0, 0);
        for _ in 0..20 {
            fixture.clock.advance(Duration::from_secs(30));
            first += usize::from(may(one));
            second += usize::from(may(two));
        }
        assert!(first <= 11 && second >= 8, "{first} {second}");
    }
}
