//! Probes and deletion of expired rows, in SQLite.

use async_trait::async_trait;

use super::super::maintenance::{HISTORY_RETENTION, LOG_RETENTION, LOGOUT_MARKS_MAX};
use super::super::{MaintenanceStore, StoreError};
use super::{Sqlite, revocations, run};
use crate::clock::Timestamp;

#[async_trait]
impl MaintenanceStore for Sqlite {
    async fn ping(&self) -> Result<(), StoreError> {
        run("read a row", async {
            // `SELECT 1` would not read the file.
            sqlx::query("SELECT count(*) FROM menshen_key_ring")
                .fetch_one(&mut *self.reader().await?)
                .await?;
            Ok(())
        })
        .await
    }

    async fn probe_write(&self) -> Result<(), StoreError> {
        run("try a write", async {
            let sql = "INSERT INTO menshen_lease (name, holder, until) VALUES ('try_write', '', ?1) \
                       ON CONFLICT DO UPDATE SET until = excluded.until";
            let mut tx = self.begin_write().await?;
            sqlx::query(sql).bind(i64::MAX).execute(&mut *tx).await?;
            tx.commit().await
        })
        .await
    }

    async fn delete_expired(
        &self,
        at: Timestamp,
        idle_before: Timestamp,
        max: u32,
    ) -> Result<u64, StoreError> {
        run("delete what has expired", async {
            let now = at.unix_ms();
            let mut tx = self.begin_write().await?;
            let mut deleted = 0;
            for (sql, before) in expired_rows(now, idle_before.unix_ms()) {
                let done = sqlx::query(sql)
                    .bind(before)
                    .bind(max)
                    .execute(&mut *tx)
                    .await?;
                deleted += done.rows_affected();
            }
            deleted += revocations::delete_oldest_marks(&mut tx, at, max).await?;
            tx.commit().await?;
            Ok(deleted)
        })
        .await
    }
}

/// The DELETE statements with their first parameter; the second is the maximum number of rows.
fn expired_rows(now: i64, idle_before: i64) -> [(&'static str, i64); 9] {
    let before = |retention: std::time::Duration| {
        let ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        now.saturating_sub(ms)
    };
    let (log_before, history_before) = (before(LOG_RETENTION), before(HISTORY_RETENTION));
    [
        (
            "DELETE FROM menshen_session WHERE rowid IN \
             (SELECT rowid FROM menshen_session WHERE expires_at <= ?1 LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM menshen_session WHERE rowid IN \
             (SELECT rowid FROM menshen_session WHERE used_at < ?1 LIMIT ?2)",
            idle_before,
        ),
        (
            "DELETE FROM menshen_spent WHERE what IN \
             (SELECT what FROM menshen_spent WHERE until < ?1 LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM menshen_logout_mark WHERE (connector, kind, what) IN \
             (SELECT connector, kind, what FROM menshen_logout_mark WHERE until < ?1 LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM menshen_front_channel_mark WHERE number IN \
             (SELECT number FROM menshen_front_channel_mark WHERE until < ?1 LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM menshen_logout_mark WHERE (connector, kind, what) IN \
             (SELECT connector, kind, what FROM menshen_logout_mark \
             ORDER BY until DESC LIMIT ?2 OFFSET ?1)",
            LOGOUT_MARKS_MAX,
        ),
        (
            "DELETE FROM menshen_lease WHERE name IN \
             (SELECT name FROM menshen_lease WHERE until < ?1 LIMIT ?2)",
            now,
        ),
        // The newest entry stays: its number is the last one of the log.
        (
            "DELETE FROM menshen_revocation WHERE number IN (SELECT number FROM menshen_revocation WHERE at < ?1 \
             AND number < (SELECT max(number) FROM menshen_revocation) ORDER BY number LIMIT ?2)",
            log_before,
        ),
        (
            "DELETE FROM menshen_account_change WHERE number IN \
             (SELECT number FROM menshen_account_change WHERE at < ?1 LIMIT ?2)",
            history_before,
        ),
    ]
}
