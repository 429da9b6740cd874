//! [`MaintenanceStore`]: probes, and deletion of expired rows.

use async_trait::async_trait;

use super::super::{MaintenanceStore, StoreError};
use super::{Begin, Database, Transaction, run, values};
use crate::clock::Timestamp;

#[async_trait]
impl<D: Database> MaintenanceStore for D {
    async fn ping(&self) -> Result<(), StoreError> {
        run("read a row", async {
            // `SELECT 1` would not read a file.
            let sql = "SELECT count(*) FROM menshen_key_ring";
            self.read_row(sql, values![]).await.map(drop)
        })
        .await
    }

    /// Writes a lease that nobody holds: a row that exists only to be written.
    async fn probe_write(&self) -> Result<(), StoreError> {
        run("try a write", async {
            let sql = "INSERT INTO menshen_lease (name, holder, until) VALUES ('try_write', '', $1) \
                       ON CONFLICT (name) DO UPDATE SET until = excluded.until";
            let mut tx = self.begin(Begin::Writing).await?;
            tx.execute(sql, values![i64::MAX]).await?;
            tx.commit().await
        })
        .await
    }

    async fn log_announced(&self) {
        self.next_announcement().await;
    }

    async fn database_time(&self) -> Result<Option<Timestamp>, StoreError> {
        run("read the clock", self.clock()).await
    }

    async fn delete_expired(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError> {
        let deleted = self.delete_expired_rows(at, idle_before, max);
        run("delete what has expired", deleted).await
    }
}
