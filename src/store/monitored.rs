//! `MonitoredStore`: wraps a store with timeouts, a failure counter and a write probe.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::{MaintenanceStore, Store, StoreError};
use crate::clock::Timestamp;
use crate::telemetry::Telemetry;
use crate::wording::Text;
use write_evidence::WriteEvidence;

mod operations;
mod write_evidence;

/// The timeout of an operation: longer than the waits for a connection and for a lock, and short enough for
/// a response within 15 s.
const QUERY_TIMEOUT: Duration = Duration::from_secs(12);
/// The timeout of an import, which may bring 20,000 people in one transaction.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(120);
/// The timeout of a probe.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// For how long the result of the last write is valid; a failure is rechecked sooner.
const SUCCESS_VALID_FOR: Duration = Duration::from_secs(5);
const FAILURE_VALID_FOR: Duration = Duration::from_secs(1);

/// A store that counts its failures and remembers whether writes work.
#[derive(Debug)]
pub struct MonitoredStore {
    inner: Arc<dyn Store>,
    telemetry: Telemetry,
    last_write: Mutex<Option<LastWrite>>,
    /// Held by the one caller that probes.
    probe_lock: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct LastWrite {
    at: Instant,
    failed: Option<Text>,
}

impl MonitoredStore {
    /// Counts the failures of `inner` in `telemetry`.
    pub fn new(inner: Arc<dyn Store>, telemetry: Telemetry) -> Arc<Self> {
        Arc::new(Self {
            inner,
            telemetry,
            last_write: Mutex::default(),
            probe_lock: tokio::sync::Mutex::default(),
        })
    }

    async fn read<T>(
        &self,
        operation: &'static str,
        query: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.run(operation, QUERY_TIMEOUT, query).await
    }

    async fn write<T: WriteEvidence>(
        &self,
        operation: &'static str,
        query: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let limit = match operation {
            "import_people" => IMPORT_TIMEOUT,
            _ => QUERY_TIMEOUT,
        };
        let answer = self.run(operation, limit, query).await;
        if answer.as_ref().map_or(true, T::shows_a_write) {
            self.record_write(&answer);
        }
        answer
    }

    async fn run<T>(
        &self,
        operation: &'static str,
        limit: Duration,
        query: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = tokio::time::timeout(limit, query).await;
        let answer = answer.unwrap_or(Err(StoreError::TimedOut { operation }));
        if answer.as_ref().is_err_and(|error| !error.is_definitive()) {
            self.telemetry.count_store_error();
        }
        answer
    }

    fn record_write<T>(&self, answer: &Result<T, StoreError>) {
        let last = LastWrite {
            at: Instant::now(),
            failed: answer
                .as_ref()
                .err()
                .filter(|error| !error.is_definitive())
                .map(StoreError::cause),
        };
        *self
            .last_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// The result of the last write, if it is recent.
    fn recent_write_result(&self) -> Option<Result<(), StoreError>> {
        let last = self
            .last_write
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let last = last?;
        let counts_for = match last.failed {
            None => SUCCESS_VALID_FOR,
            Some(_) => FAILURE_VALID_FOR,
        };
        let fresh = last.at.elapsed() < counts_for;
        fresh.then(|| match last.failed {
            None => Ok(()),
            Some(cause) => Err(StoreError::WritesFail { cause }),
        })
    }
}

#[async_trait]
impl MaintenanceStore for MonitoredStore {
    async fn ping(&self) -> Result<(), StoreError> {
        self.run("ping", PROBE_TIMEOUT, self.inner.ping()).await
    }

    /// Returns the result of the last write if it is recent. Otherwise one caller tries a write, and the
    /// others wait for its result. `Cached` does not fit: here every write sets the result, not only the
    /// caller that tries.
    async fn probe_write(&self) -> Result<(), StoreError> {
        let _guard = self.probe_lock.lock().await;
        if let Some(known) = self.recent_write_result() {
            return known;
        }
        let tried = self.inner.probe_write();
        let tried = self.run("probe_write", PROBE_TIMEOUT, tried).await;
        self.record_write(&tried);
        tried
    }

    async fn database_time(&self) -> Result<Option<Timestamp>, StoreError> {
        let read = self.inner.database_time();
        self.run("database_time", PROBE_TIMEOUT, read).await
    }

    async fn log_announced(&self) {
        self.inner.log_announced().await;
    }

    fn report_damaged(&self, record: &'static str) -> StoreError {
        self.telemetry.count_store_error();
        self.inner.report_damaged(record)
    }

    async fn delete_expired(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError> {
        let deleted = self.inner.delete_expired(at, idle_before, max);
        self.write("delete_expired", deleted).await
    }
}
