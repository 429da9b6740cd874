//! `Monitored`: any store, with a time limit for every question, a count of the failures, and an
//! answer to whether it can be written to.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{
    Account, AccountId, Admission, Admitted, ConnectorId, EpochsNow, LogPart, LoginName,
    LogoutMark, Minted, NewSession, Renewal, Renewed, Revocation, Scope, SessionFound, SessionId,
    SessionKey, SessionRecord, Store, StoreError, Subject,
};
use crate::clock::Timestamp;
use crate::secret::Secret;
use crate::telemetry::Telemetry;

/// How long one question may take: longer than the waits for a connection and for a lock.
const ANSWERS_WITHIN: Duration = Duration::from_secs(15);
/// How long whoever asks whether the store is well waits.
const PROBE_WITHIN: Duration = Duration::from_secs(2);
/// For how long the last write says whether writes work. A failure is tried again sooner.
const WORKED_FOR: Duration = Duration::from_secs(5);
const FAILED_FOR: Duration = Duration::from_secs(1);

/// A store whose failures are counted, whoever asked.
#[derive(Debug)]
pub struct Monitored {
    inner: Arc<dyn Store>,
    telemetry: Telemetry,
    last_write: Mutex<Option<LastWrite>>,
    /// Held by the one who tries a write for all who want to know.
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
            self.telemetry.store_error();
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

/// Passes questions on by kind.
macro_rules! questions {
    (
        reads { $($read:ident($($read_part:ident: $read_kind:ty),*) -> $read_answer:ty;)* }
        writes { $($write:ident($($part:ident: $kind:ty),*) -> $answer:ty;)* }
    ) => {
        #[async_trait]
        impl Store for Monitored {
            $(async fn $read(&self, $($read_part: $read_kind),*) -> Result<$read_answer, StoreError> {
                self.read(stringify!($read), self.inner.$read($($read_part),*)).await
            })*

            $(async fn $write(&self, $($part: $kind),*) -> Result<$answer, StoreError> {
                self.write(stringify!($write), self.inner.$write($($part),*)).await
            })*

            async fn ping(&self) -> Result<(), StoreError> {
                self.answer("ping", PROBE_WITHIN, self.inner.ping()).await
            }

            /// One try serves all who ask within a moment, and so does any other write.
            async fn try_write(&self) -> Result<(), StoreError> {
                let _one_at_a_time = self.trying.lock().await;
                if let Some(known) = self.known() {
                    return known;
                }
                let tried = self.answer("try_write", PROBE_WITHIN, self.inner.try_write()).await;
                self.wrote(&tried);
                tried
            }

            fn damaged(&self, record: &'static str) -> StoreError {
                self.telemetry.store_error();
                self.inner.damaged(record)
            }
        }
    };
}

questions! {
    reads {
        keys(candidate: &Secret<String>) -> Vec<Secret<String>>;
        session(key: &SessionKey) -> Option<SessionFound>;
        session_key(public_id: &SessionId) -> Option<SessionKey>;
        sessions(account: Option<&AccountId>, max: u32) -> Vec<SessionRecord>;
        account_by_login(login: &LoginName) -> Option<Account>;
        identities(account: &AccountId) -> Vec<(ConnectorId, Subject, String)>;
        epochs() -> EpochsNow;
        revocations_after(number: i64, max: u32) -> LogPart;
    }
    writes {
        admit(admission: &Admission) -> Admitted;
        mint(new: &NewSession) -> Minted;
        renew(renewal: &Renewal) -> Renewed;
        touch(used: &[(SessionKey, Timestamp)]) -> ();
        revoke(scope: &Scope, at: Timestamp) -> Revocation;
        close_account(account: &AccountId, closed: bool, at: Timestamp) -> Option<Revocation>;
        end_at_provider(
            connector: &ConnectorId,
            mark: &LogoutMark,
            notice: Option<&[u8; 32]>,
            at: Timestamp,
            until: Timestamp
        ) -> Option<Vec<Revocation>>;
        spend(what: &[u8; 32], until: Timestamp) -> bool;
        lease(name: &str, holder: &str, at: Timestamp, until: Timestamp) -> bool;
        sweep(at: Timestamp, idle_before: Timestamp, max: u32) -> u64;
    }
}
