//! `AppToken`: the application's token: bought by one, kept for all until shortly before it ends.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::super::Refusal;
use super::errors::{Fault, GET_TOKEN, is_lasting};
use crate::clock::{Clock, Timestamp};
use crate::outbound::{CALL_TIMEOUT, OutboundError};
use crate::secret::Secret;

/// How long before its end a token is no longer used.
const MARGIN: Duration = Duration::from_secs(300);

/// How long a refusal that will not pass by itself is remembered instead of asking again.
const REFUSAL_AGE: Duration = Duration::from_secs(60);

/// A token and how long it lives.
pub(super) struct Bought {
    pub(super) token: Secret<String>,
    pub(super) lifetime: Duration,
}

/// The token of one application and secret.
pub(super) struct AppToken {
    kept: Mutex<Kept>,
    turn: Semaphore,
    clock: Clock,
}

#[derive(Default)]
enum Kept {
    #[default]
    Nothing,
    Token(Arc<Secret<String>>, Timestamp),
    Refused(Refusal, Timestamp),
}

impl fmt::Debug for AppToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppToken(…)")
    }
}

impl AppToken {
    /// None yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            kept: Mutex::default(),
            turn: Semaphore::new(1),
            clock,
        }
    }

    /// The token, bought by `buy` when there is none. One buys while the others wait for it, no
    /// longer than a call may take; when the buyer is dropped the next one buys.
    pub(super) async fn obtain<F>(
        &self,
        buy: impl FnOnce() -> F,
    ) -> Result<Arc<Secret<String>>, Fault>
    where
        F: Future<Output = Result<Bought, Fault>>,
    {
        if let Some(known) = self.known() {
            return known;
        }
        let turn = timeout(CALL_TIMEOUT, self.turn.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Fault::Unasked(OutboundError::Timeout { call: GET_TOKEN }));
        };
        if let Some(known) = self.known() {
            return known;
        }
        let asked_at = self.clock.now();
        match buy().await {
            Ok(bought) => {
                let token = Arc::new(bought.token);
                let until = asked_at.plus(usable(bought.lifetime));
                *self.kept() = Kept::Token(Arc::clone(&token), until);
                Ok(token)
            }
            Err(Fault::Said(refusal)) if is_lasting(refusal.code) => {
                let until = self.clock.now().plus(REFUSAL_AGE);
                let refusal = not_asked_again(refusal, until);
                tracing::warn!(
                    code = refusal.code,
                    %until,
                    "WeCom refuses the application's token; it is not asked again until then, \
                     whatever is mended meanwhile"
                );
                *self.kept() = Kept::Refused(refusal.clone(), until);
                Err(Fault::Said(refusal))
            }
            Err(fault) => Err(fault),
        }
    }

    /// Drops this token, unless another one has taken its place.
    pub(super) fn forget(&self, refused: &Secret<String>) {
        let mut kept = self.kept();
        if matches!(&*kept, Kept::Token(token, _) if token.expose() == refused.expose()) {
            *kept = Kept::Nothing;
        }
    }

    fn known(&self) -> Option<Result<Arc<Secret<String>>, Fault>> {
        let now = self.clock.now();
        match &*self.kept() {
            Kept::Token(token, until) if now < *until => Some(Ok(Arc::clone(token))),
            Kept::Refused(refusal, until) if now < *until => {
                Some(Err(Fault::Said(refusal.clone())))
            }
            Kept::Nothing | Kept::Token(..) | Kept::Refused(..) => None,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same refusal with how long it counts, for the records of everybody who meets it.
fn not_asked_again(refusal: Refusal, until: Timestamp) -> Refusal {
    let message = format!("{}, and is not asked again before {until}", refusal.message);
    Refusal { message, ..refusal }
}

/// A token that lives hardly longer than the margin is used for half its life.
fn usable(lifetime: Duration) -> Duration {
    lifetime
        .saturating_sub(MARGIN)
        .max(lifetime.min(MARGIN) / 2)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::errors::refusal;
    use super::*;

    struct Shop {
        token: AppToken,
        clock: Clock,
        sold: AtomicUsize,
    }

    impl Shop {
        fn open() -> Self {
            let clock = Clock::by_hand(Timestamp::from_unix_s(1_000));
            let token = AppToken::new(clock.clone());
            Self {
                token,
                clock,
                sold: AtomicUsize::new(0),
            }
        }

        async fn obtain(&self) -> Result<Arc<Secret<String>>, Fault> {
            let buy = || async {
                tokio::task::yield_now().await;
                let number = self.sold.fetch_add(1, Ordering::Relaxed);
                let token = Secret::new(format!("token-{number}"));
                Ok(Bought {
                    token,
                    lifetime: Duration::from_secs(7200),
                })
            };
            self.token.obtain(buy).await
        }

        async fn refuse(&self, code: i64) -> i64 {
            let buy = || async {
                self.sold.fetch_add(1, Ordering::Relaxed);
                Err(Fault::Said(refusal(GET_TOKEN, code, "no", &[])))
            };
            match self.token.obtain(buy).await {
                Err(Fault::Said(refusal)) => refusal.code,
                other => panic!("{other:?}"),
            }
        }

        fn sold(&self) -> usize {
            self.sold.load(Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn many_at_once_buy_one_token() {
        let shop = Shop::open();
        let all = futures_util::future::join_all((0..50).map(|_| shop.obtain())).await;
        assert!(
            all.iter()
                .all(|token| token.as_ref().unwrap().expose() == "token-0")
        );
        assert_eq!(shop.sold(), 1);
    }

    #[tokio::test]
    async fn a_token_is_renewed_five_minutes_before_its_end() {
        let shop = Shop::open();
        shop.obtain().await.unwrap();
        shop.clock.advance(Duration::from_secs(6899));
        assert_eq!(shop.obtain().await.unwrap().expose(), "token-0");
        shop.clock.advance(Duration::from_secs(1));
        assert_eq!(shop.obtain().await.unwrap().expose(), "token-1");
    }

    #[tokio::test]
    async fn a_refused_token_is_dropped_but_never_its_successor() {
        let shop = Shop::open();
        let first = shop.obtain().await.unwrap();
        shop.token.forget(&first);
        let second = shop.obtain().await.unwrap();
        assert_eq!(second.expose(), "token-1");
        shop.token.forget(&first);
        assert_eq!(shop.obtain().await.unwrap().expose(), "token-1");
    }

    #[tokio::test]
    async fn a_wrong_secret_is_not_tried_again_for_a_minute() {
        let shop = Shop::open();
        assert_eq!(shop.refuse(40001).await, 40001);
        shop.clock.advance(Duration::from_secs(59));
        assert_eq!(shop.refuse(0).await, 40001);
        assert_eq!(shop.sold(), 1);
        shop.clock.advance(Duration::from_secs(1));
        assert!(shop.obtain().await.is_ok());
    }

    #[tokio::test]
    async fn a_moment_of_weakness_is_not_remembered() {
        let shop = Shop::open();
        assert_eq!(shop.refuse(-1).await, -1);
        assert!(shop.obtain().await.is_ok());
        let shop = Shop::open();
        assert_eq!(shop.refuse(45009).await, 45009);
        assert_eq!(shop.refuse(-1).await, 45009);
    }

    #[tokio::test]
    async fn a_buyer_who_leaves_lets_the_next_one_buy() {
        let shop = Shop::open();
        let mut leaving = Box::pin(shop.token.obtain(std::future::pending));
        assert!(futures_util::poll!(&mut leaving).is_pending());
        drop(leaving);
        assert!(shop.obtain().await.is_ok());
    }

    #[test]
    fn a_short_lived_token_is_used_at_all() {
        let usable = |s| usable(Duration::from_secs(s)).as_secs();
        assert_eq!(
            (usable(7200), usable(300), usable(60), usable(0)),
            (6900, 150, 30, 0)
        );
    }
}
