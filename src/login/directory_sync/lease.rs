//! The lease in the store that lets only one process at a time sync a connector.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::{Clock, Timestamp};
use crate::keys;
use crate::people::People;
use crate::store::{ConnectorId, StoreError};
use crate::wording::{Text, error_of_text};

/// How long a process that dies keeps the lease.
const LEASE_PERIOD: Duration = Duration::from_secs(60);
/// How often the lease is renewed.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// A process that could not renew the lease for so long gives up its sync.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(45);

/// The lease of one sync.
#[derive(Debug)]
pub(super) struct SyncLease<'a> {
    people: &'a People,
    clock: &'a Clock,
    name: String,
    holder: String,
}

impl<'a> SyncLease<'a> {
    /// Takes the lease; `None` while another process has it.
    pub(super) async fn take(
        people: &'a People,
        clock: &'a Clock,
        connector: &ConnectorId,
    ) -> Result<Option<Self>, StoreError> {
        let random: [u8; 16] = keys::random();
        let lease = Self {
            people,
            clock,
            name: format!("directory sync/{connector}"),
            holder: hex(&random),
        };
        Ok(lease.renew(LEASE_PERIOD).await?.then_some(lease))
    }

    /// Renews the lease until another process has it or the store has failed for too long.
    pub(super) async fn keep(&self) -> LeaseLost {
        let mut renewed_at = Instant::now();
        loop {
            sleep(RENEW_EVERY).await;
            match self.renew(LEASE_PERIOD).await {
                Ok(true) => renewed_at = Instant::now(),
                Ok(false) => return LeaseLost::Taken,
                Err(_) if renewed_at.elapsed() < RENEWAL_PATIENCE => {}
                Err(error) => return LeaseLost::Store(error),
            }
        }
    }

    /// Lets another process sync at once. If this fails, the lease ends by itself.
    pub(super) async fn release(self) {
        let _ = self.renew(Duration::ZERO).await;
    }

    async fn renew(&self, period: Duration) -> Result<bool, StoreError> {
        let until = self.clock.now().plus(period);
        self.people.lease(&self.name, &self.holder, until).await
    }
}

/// Why a sync lost its lease.
#[derive(Debug)]
pub(super) enum LeaseLost {
    Taken,
    Store(StoreError),
}

impl LeaseLost {
    fn text(&self) -> Text {
        match self {
            Self::Taken => Text::fixed(
                "another process syncs this connector",
                "另一个进程正在同步此认证源",
            ),
            Self::Store(_) => Text::fixed("renew the lease of the sync", "无法延长同步的租约"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(source) => Some(source),
            Self::Taken => None,
        }
    }
}

error_of_text!(LeaseLost, caused);

/// A mark in the store that everything was synced, which ends when the next sync is due.
#[derive(Debug)]
pub(super) struct ScheduleMark<'a> {
    pub(super) people: &'a People,
    pub(super) clock: &'a Clock,
    pub(super) connector: &'a ConnectorId,
}

impl ScheduleMark<'_> {
    /// Whether no process has synced within the interval.
    pub(super) async fn is_due(&self) -> Result<bool, StoreError> {
        // A mark without a duration ends at once.
        self.set(Duration::ZERO).await
    }

    /// Marks that nothing is due for so long.
    pub(super) async fn set(&self, period: Duration) -> Result<bool, StoreError> {
        let random: [u8; 16] = keys::random();
        let until = self.clock.now().plus(period);
        self.people.lease(&self.name(), &hex(&random), until).await
    }

    /// When the next sync is due; `None`: now.
    pub(super) async fn next(&self) -> Result<Option<Timestamp>, StoreError> {
        self.people.lease_end(&self.name()).await
    }

    fn name(&self) -> String {
        format!("directory sync schedule/{}", self.connector)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
