use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// An error code of the source: -1 is transient, 42001 rejects the token.
#[derive(Debug)]
struct TestError(SourceRefusal);

impl From<SourceRefusal> for TestError {
    fn from(refusal: SourceRefusal) -> Self {
        Self(refusal)
    }
}

impl From<OutboundError> for TestError {
    fn from(error: OutboundError) -> Self {
        refused(-1, &error.to_string())
    }
}

impl CallError for TestError {
    fn is_token_refused(&self) -> bool {
        self.0.code == 42001
    }

    fn lasting_refusal(&self) -> Option<&SourceRefusal> {
        Some(&self.0).filter(|refusal| refusal.code != -1)
    }
}

fn refused(code: i64, message: &str) -> TestError {
    TestError(SourceRefusal {
        call: "gettoken",
        code,
        message: message.to_owned(),
    })
}

struct TestSource {
    token: AppToken,
    clock: Clock,
    requests: AtomicUsize,
}

impl TestSource {
    fn new() -> Self {
        let clock = Clock::manual(Timestamp::from_unix_s(1_000));
        Self {
            token: AppToken::new("the source", "gettoken", clock.clone()),
            clock,
            requests: AtomicUsize::new(0),
        }
    }

    /// Issues the next token, which lives for two hours: `token-0`, `token-1` …
    async fn issue(&self) -> Result<IssuedToken, TestError> {
        tokio::task::yield_now().await;
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        Ok(IssuedToken {
            token: Secret::new(format!("token-{number}")),
            lifetime: Duration::from_secs(7200),
        })
    }

    async fn token(&self) -> String {
        let token = self.token.get(|| self.issue()).await;
        token.unwrap().expose().clone()
    }

    /// Requests the token and refuses to issue one; returns the refusal that the caller gets.
    async fn refuse(&self, code: i64) -> SourceRefusal {
        let request = || async {
            self.requests.fetch_add(1, Ordering::Relaxed);
            Err(refused(code, "no"))
        };
        let TestError(refusal) = self.token.get(request).await.unwrap_err();
        refusal
    }

    fn request_count(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn concurrent_callers_share_one_token_request() {
    let source = TestSource::new();
    let tokens = futures_util::future::join_all((0..50).map(|_| source.token())).await;
    assert!(tokens.iter().all(|token| token == "token-0"));
    assert_eq!(source.request_count(), 1);
}

#[tokio::test]
async fn a_token_is_replaced_five_minutes_before_it_expires() {
    let source = TestSource::new();
    source.token().await;
    source.clock.advance(Duration::from_secs(6899));
    assert_eq!(source.token().await, "token-0");
    source.clock.advance(Duration::from_secs(1));
    assert_eq!(source.token().await, "token-1");
}

#[tokio::test]
async fn the_lifetime_of_a_token_starts_at_its_request() {
    let source = TestSource::new();
    let request_of_100_s = || async {
        source.clock.advance(Duration::from_secs(100));
        source.issue().await
    };
    assert!(source.token.get(request_of_100_s).await.is_ok());
    source.clock.advance(Duration::from_secs(6799));
    assert_eq!(source.token().await, "token-0");
    source.clock.advance(Duration::from_secs(1));
    assert_eq!(source.token().await, "token-1");
}

#[tokio::test]
async fn a_rejected_token_is_discarded_but_not_its_successor() {
    let source = TestSource::new();
    let first = source.token.get(|| source.issue()).await.unwrap();
    assert!(source.token.may_replace(&first));
    assert_eq!(source.token().await, "token-1");
    assert!(source.token.may_replace(&first));
    assert_eq!(source.token().await, "token-1");
}

#[tokio::test]
async fn a_token_is_replaced_at_most_every_ten_seconds() {
    let source = TestSource::new();
    for (advance_s, requests) in [(0, 2), (0, 2), (9, 2), (1, 3), (0, 3), (10, 4)] {
        source.clock.advance(Duration::from_secs(advance_s));
        let rejected = source.token.call(
            || source.issue(),
            |_| async { Err::<(), _>(refused(42001, "old")) },
        );
        assert_eq!(rejected.await.unwrap_err().0.code, 42001);
        assert_eq!(source.request_count(), requests, "{advance_s}");
    }
}

#[tokio::test]
async fn a_call_with_a_rejected_token_is_repeated_once_with_a_new_token() {
    let source = TestSource::new();
    let calls = AtomicUsize::new(0);
    let call = async |accepted_token: &str| {
        let call = |token: Arc<Secret<String>>| {
            calls.fetch_add(1, Ordering::Relaxed);
            let is_accepted = token.expose() == accepted_token;
            async move {
                if is_accepted {
                    Ok(())
                } else {
                    Err(refused(42001, "old"))
                }
            }
        };
        source.token.call(|| source.issue(), call).await
    };
    assert!(call("token-1").await.is_ok());
    assert_eq!(
        (calls.load(Ordering::Relaxed), source.request_count()),
        (2, 2)
    );
    source.clock.advance(REPLACE_PAUSE);
    let Err(TestError(refusal)) = call("none").await else {
        panic!("the source must reject every token");
    };
    assert_eq!(refusal.code, 42001);
    assert_eq!(
        (calls.load(Ordering::Relaxed), source.request_count()),
        (4, 3)
    );
}

#[tokio::test]
async fn a_wrong_secret_is_not_retried_for_a_minute() {
    let source = TestSource::new();
    assert_eq!(source.refuse(40001).await.code, 40001);
    source.clock.advance(Duration::from_secs(59));
    let refusal = source.refuse(0).await;
    assert_eq!((refusal.code, source.request_count()), (40001, 1));
    let expected = "no, and no new request before 1970-01-01T00:17:40.000Z";
    assert_eq!(refusal.message, expected);
    source.clock.advance(Duration::from_secs(1));
    assert_eq!(source.token().await, "token-1");
}

#[tokio::test]
async fn a_transient_error_is_retried_at_once() {
    let source = TestSource::new();
    assert_eq!(source.refuse(-1).await.code, -1);
    assert_eq!(source.token().await, "token-1");
}

#[tokio::test]
async fn a_dropped_request_is_taken_over_by_the_next_caller() {
    let source = TestSource::new();
    let never = std::future::pending::<Result<IssuedToken, TestError>>;
    let mut dropped = Box::pin(source.token.get(never));
    assert!(futures_util::poll!(&mut dropped).is_pending());
    drop(dropped);
    assert_eq!(source.token().await, "token-0");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_another_request_times_out() {
    let source = TestSource::new();
    let never = std::future::pending::<Result<IssuedToken, TestError>>;
    let requesting = timeout(CALL_TIMEOUT * 2, source.token.get(never));
    let waiting = source.token.get(|| source.issue());
    let (requesting, waiting) = futures_util::future::join(requesting, waiting).await;
    assert!(requesting.is_err());
    let TestError(refusal) = waiting.unwrap_err();
    assert_eq!(refusal.message, "gettoken was not answered in time");
}

#[test]
fn a_short_lived_token_is_used_for_half_its_lifetime() {
    let usable_lifetime = |s| usable_lifetime(Duration::from_secs(s)).as_secs();
    assert_eq!(
        (
            usable_lifetime(7200),
            usable_lifetime(300),
            usable_lifetime(60),
            usable_lifetime(0)
        ),
        (6900, 150, 30, 0)
    );
}
