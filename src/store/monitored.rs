//! `Monitored`: any store, with a time limit for every question, a counter of failures, and an answer
//! to whether it can be written to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{
    Account, AccountId, AccountStore, Admission, Admitted, ConnectorId, EpochsNow, LogPart,
    LoginName, LogoutMark, Maintenance, Minted, NewSession, OnceStore, Renewal, Renewed,
    Revocation, RevocationStore, Scope, SessionFound, SessionId, SessionKey, SessionRecord,
    SessionStore, Store, StoreError, Subject, TokenStore,
};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::telemetry::Telemetry;

/// How long one question may take: longer than the waits for a connection and for a lock.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// How long a probe of the store may take.
const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// For how long the result of the last write counts. After a failure a new try comes sooner.
const WORKED_FOR: Duration = Duration::from_secs(5);
const FAILED_FOR: Duration = Duration::from_secs(1);

/// A store that counts its failures.
#[derive(Debug)]
pub struct Monitored {
    inner: Arc<dyn Store>,
    telemetry: Telemetry,
    last_write: Mutex<Option<LastWrite>>,
    /// Held while one caller tries a write for all who ask.
    trying: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct LastWrite {
    at: Instant,
    failed: Option<&'static str>,
}

impl Monitored {
    /// Counts the failures of `inner` in `telemetry`.
    pub fn new(inner: Arc<dyn Store>, telemetry: Telemetry) -> Arc<Self> {
        Arc::new(Self {
            inner,
            telemetry,
            last_write: Mutex::default(),
            trying: tokio::sync::Mutex::default(),
        })
    }

    async fn read<T>(
        &self,
        question: &'static str,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.answer(question, ANSWERS_WITHIN, asked).await
    }

    async fn write<T>(
        &self,
        question: &'static str,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = self.answer(question, ANSWERS_WITHIN, asked).await;
        self.wrote(&answer);
        answer
    }

    async fn answer<T>(
        &self,
        question: &'static str,
        limit: Duration,
        asked: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = tokio::time::timeout(limit, asked).await;
        let answer = answer.unwrap_or(Err(StoreError::Late { question }));
        if answer.as_ref().is_err_and(|error| !error.is_an_answer()) {
            self.telemetry.count_store_error();
        }
        answer
    }

    fn wrote<T>(&self, answer: &Result<T, StoreError>) {
        let last = LastWrite {
            at: Instant::now(),
            failed: answer
                .as_ref()
                .err()
                .filter(|error| !error.is_an_answer())
                .map(StoreError::cause),
        };
        *self
            .last_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// Whether writes work, when one was tried a moment ago.
    fn known(&self) -> Option<Result<(), StoreError>> {
        let last = *self
            .last_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last = last?;
        let counts_for = match last.failed {
            None => WORKED_FOR,
            Some(_) => FAILED_FOR,
        };
        let fresh = last.at.elapsed() < counts_for;
        fresh.then(|| match last.failed {
            None => Ok(()),
            Some(cause) => Err(StoreError::Unwritable { cause }),
        })
    }
}

/// Passes on the questions of each subject.
macro_rules! pass_on {
    ($($subject:ident {
        reads { $($read:ident($($read_part:ident: $read_kind:ty),*) -> $read_answer:ty;)* }
        writes { $($write:ident($($part:ident: $kind:ty),*) -> $answer:ty;)* }
    })*) => {$(
        #[async_trait]
        impl $subject for Monitored {
            $(async fn $read(&self, $($read_part: $read_kind),*) -> Result<$read_answer, StoreError> {
                self.read(stringify!($read), self.inner.$read($($read_part),*)).await
            })*

            $(async fn $write(&self, $($part: $kind),*) -> Result<$answer, StoreError> {
                self.write(stringify!($write), self.inner.$write($($part),*)).await
            })*
        }
    )*};
}

pass_on! {
    AccountStore {
        reads {
            account_by_login(login: &LoginName) -> Option<Account>;
            identities(account: &AccountId) -> Vec<(ConnectorId, Subject, String)>;
        }
        writes {
            admit(admission: &Admission) -> Admitted;
            close_account(account: &AccountId, closed: bool, at: Timestamp) -> Option<Revocation>;
        }
    }
    SessionStore {
        reads {
            session(key: &SessionKey) -> Option<SessionFound>;
            session_key(public_id: &SessionId) -> Option<SessionKey>;
            came_from(connector: &ConnectorId, provider_sid: &str) -> bool;
            sessions(account: Option<&AccountId>, max: u32) -> Vec<SessionRecord>;
        }
        writes {
            mint(new: &NewSession) -> Minted;
            touch(used: &[(SessionKey, Timestamp)]) -> ();
        }
    }
    RevocationStore {
        reads {
            epochs() -> EpochsNow;
            revocations_after(number: i64, max: u32) -> LogPart;
        }
        writes {
            revoke(scope: &Scope, at: Timestamp) -> Revocation;
            end_at_provider(
                connector: &ConnectorId,
                mark: &LogoutMark,
                notice: Option<&[u8; 32]>,
                at: Timestamp,
                until: Timestamp
            ) -> Option<Vec<Revocation>>;
        }
    }
    TokenStore {
        reads {}
        writes {
            renew(renewal: &Renewal) -> Renewed;
        }
    }
    OnceStore {
        reads {
            keys(candidate: &Secret<String>) -> Vec<Secret<String>>;
        }
        writes {
            spend(what: &[u8; 32], until: Timestamp) -> bool;
            lease(name: &str, holder: &str, at: Timestamp, until: Timestamp) -> bool;
        }
    }
}

#[async_trait]
impl Maintenance for Monitored {
    async fn ping(&self) -> Result<(), StoreError> {
        self.answer("ping", PROBE_WITHIN, self.inner.ping()).await
    }

    /// The result of a recent write, of any kind, is the answer; without one, a single caller tries for
    /// all who ask.
    async fn try_write(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.trying.lock().await;
        if let Some(known) = self.known() {
            return known;
        }
        let tried = self.inner.try_write();
        let tried = self.answer("try_write", PROBE_WITHIN, tried).await;
        self.wrote(&tried);
        tried
    }

    async fn log_announced(&self) {
        self.inner.log_announced().await;
    }

    fn damaged(&self, record: &'static str) -> StoreError {
        self.telemetry.count_store_error();
        self.inner.damaged(record)
    }

    async fn sweep(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError> {
        let swept = self.inner.sweep(at, idle_before, max);
        self.write("sweep", swept).await
    }
}
