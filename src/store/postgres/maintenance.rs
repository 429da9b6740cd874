//! MaintenanceStore, in PostgreSQL.

use async_trait::async_trait;

use super::super::maintenance::{
    FRONT_CHANNEL_MARKS_MAX, HISTORY_RETENTION, LOG_RETENTION, LOGOUT_MARKS_MAX,
};
use super::super::query_error::run;
use super::super::{MaintenanceStore, StoreError};
use super::{Begin, Postgres};
use crate::clock::Timestamp;

#[async_trait]
impl MaintenanceStore for Postgres {
    async fn ping(&self) -> Result<(), StoreError> {
        run("read a row", async {
            let query = self.query("SELECT count(*) FROM menshen_key_ring");
            self.rows(query).await.map(drop)
        })
        .await
    }

    /// Writes a lease that nobody holds: a row that exists only to be written.
    async fn probe_write(&self) -> Result<(), StoreError> {
        run("try a write", async {
            let sql = "INSERT INTO menshen_lease (name, holder, until) VALUES ('try_write', '', $1) \
                       ON CONFLICT (name) DO UPDATE SET until = excluded.until";
            let mut tx = self.begin(Begin::Writing).await?;
            let query = tx.query(sql).bind(i64::MAX);
            query.execute(&mut *tx).await?;
            tx.commit().await
        })
        .await
    }

    async fn log_announced(&self) {
        if self.notify {
            self.announcements.next().await;
        } else {
            std::future::pending().await
        }
    }

    /// A transaction for each kind of record. Rows that others have locked are left for the next round,
    /// so that a login never waits for a delete_expired.
    async fn delete_expired(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError> {
        run("delete what has expired", async {
            let now = at.unix_ms();
            let mut deleted = 0;
            for (sql, first) in leftovers(now, idle_before.unix_ms()) {
                let mut tx = self.begin(Begin::Writing).await?;
                let query = tx.query(sql).bind(first).bind(i64::from(max));
                deleted += query.execute(&mut *tx).await?.rows_affected();
                tx.commit().await?;
            }
            Ok(deleted)
        })
        .await
    }
}

/// What is deleted: statements whose first parameter is given here, and whose second one is the most
/// rows to delete.
fn leftovers(now: i64, idle_before: i64) -> [(&'static str, i64); 10] {
    let before = |retention: std::time::Duration| {
        let ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        now.saturating_sub(ms)
    };
    let (log_before, history_before) = (before(LOG_RETENTION), before(HISTORY_RETENTION));
    [
        (
            "DELETE FROM menshen_session WHERE key IN (SELECT key FROM menshen_session \
             WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
        ),
        (
            "DELETE FROM menshen_session WHERE key IN (SELECT key FROM menshen_session \
             WHERE used_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            idle_before,
        ),
        (
            "DELETE FROM menshen_spent WHERE what IN (SELECT what FROM menshen_spent \
             WHERE until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
        ),
        (
            "DELETE FROM menshen_logout_mark WHERE (connector, kind, what) IN \
             (SELECT connector, kind, what FROM menshen_logout_mark \
             WHERE until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
        ),
        (
            "DELETE FROM menshen_front_channel_mark WHERE number IN \
             (SELECT number FROM menshen_front_channel_mark \
             WHERE until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
        ),
        (
            "DELETE FROM menshen_front_channel_mark WHERE number IN \
             (SELECT number FROM (SELECT number, row_number() OVER \
             (PARTITION BY connector ORDER BY number DESC) AS newer FROM menshen_front_channel_mark) \
             AS numbered WHERE newer > $1 LIMIT $2)",
            FRONT_CHANNEL_MARKS_MAX,
        ),
        (
            "DELETE FROM menshen_logout_mark WHERE (connector, kind, what) IN \
             (SELECT connector, kind, what FROM menshen_logout_mark \
             ORDER BY until DESC LIMIT $2 OFFSET $1)",
            LOGOUT_MARKS_MAX,
        ),
        (
            "DELETE FROM menshen_lease WHERE name IN (SELECT name FROM menshen_lease \
             WHERE until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
        ),
        // The newest entry stays: its number is the last one of the log.
        (
            "DELETE FROM menshen_revocation WHERE number IN (SELECT number FROM menshen_revocation \
             WHERE at < $1 AND number < (SELECT max(number) FROM menshen_revocation) \
             ORDER BY number LIMIT $2)",
            log_before,
        ),
        (
            "DELETE FROM menshen_account_change WHERE number IN \
             (SELECT number FROM menshen_account_change WHERE at < $1 LIMIT $2)",
            history_before,
        ),
    ]
}
