//! What happens once, in SQLite.

use async_trait::async_trait;
use sqlx::{Row as _, SqliteConnection};

use super::super::{OnceStore, StoreError};
use super::{Failure, Sqlite, ask};
use crate::clock::Timestamp;
use crate::secret::Secret;

#[async_trait]
impl OnceStore for Sqlite {
    async fn keys(&self, candidate: &Secret<String>) -> Result<Vec<Secret<String>>, StoreError> {
        ask("read the key ring", async {
            // Who only reads them needs no room on the disk.
            let kept = kept_keys(&mut *self.read().await?).await?;
            if !kept.is_empty() {
                return Ok(kept);
            }
            let mut tx = self.write().await?;
            let kept = kept_keys(&mut tx).await?;
            if !kept.is_empty() {
                tx.roll_back().await?;
                return Ok(kept);
            }
            sqlx::query("INSERT INTO key_ring (position, text) VALUES (0, ?1)")
                .bind(candidate.expose())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(vec![candidate.clone()])
        })
        .await
    }

    async fn spend(&self, what: &[u8; 32], until: Timestamp) -> Result<bool, StoreError> {
        ask("spend a ticket or a notice", async {
            let mut tx = self.write().await?;
            let first = spend(&mut tx, what, until).await?;
            tx.commit().await?;
            Ok(first)
        })
        .await
    }

    async fn lease(
        &self,
        name: &str,
        holder: &str,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        ask("take a lease", async {
            let sql = "INSERT INTO lease (name, holder, until) VALUES (?1, ?2, ?4) \
                       ON CONFLICT DO UPDATE SET holder = excluded.holder, until = excluded.until \
                       WHERE lease.holder = excluded.holder OR lease.until <= ?3";
            let mut tx = self.write().await?;
            let taken = sqlx::query(sql)
                .bind(name)
                .bind(holder)
                .bind(at.unix_ms())
                .bind(until.unix_ms())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(taken.rows_affected() == 1)
        })
        .await
    }
}

async fn kept_keys(db: &mut SqliteConnection) -> Result<Vec<Secret<String>>, Failure> {
    let sql = "SELECT text FROM key_ring ORDER BY position";
    let rows = sqlx::query(sql).fetch_all(db).await?;
    let key = |found: &sqlx::sqlite::SqliteRow| Ok(Secret::new(found.try_get("text")?));
    rows.iter().map(key).collect()
}

pub(super) async fn spend(
    tx: &mut SqliteConnection,
    what: &[u8; 32],
    until: Timestamp,
) -> Result<bool, Failure> {
    let sql = "INSERT INTO spent (what, until) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let spent = sqlx::query(sql)
        .bind(what.as_slice())
        .bind(until.unix_ms())
        .execute(tx)
        .await?;
    Ok(spent.rows_affected() == 1)
}
