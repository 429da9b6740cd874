//! Key ring, one-time values and leases, in SQLite.

use async_trait::async_trait;
use sqlx::{Row as _, SqliteConnection};

use super::super::{CoordinationStore, StoreError};
use super::{QueryError, Sqlite, run};
use crate::clock::Timestamp;
use crate::secret::Secret;

#[async_trait]
impl CoordinationStore for Sqlite {
    async fn load_or_create_keys(
        &self,
        candidate: &Secret<String>,
    ) -> Result<Vec<Secret<String>>, StoreError> {
        run("read the key ring", async {
            // Reading first needs no free disk space.
            let existing = select_keys(&mut *self.reader().await?).await?;
            if !existing.is_empty() {
                return Ok(existing);
            }
            let mut tx = self.begin_write().await?;
            let existing = select_keys(&mut tx).await?;
            if !existing.is_empty() {
                tx.roll_back().await?;
                return Ok(existing);
            }
            sqlx::query("INSERT INTO menshen_key_ring (position, text) VALUES (0, ?1)")
                .bind(candidate.expose())
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            Ok(vec![candidate.clone()])
        })
        .await
    }

    async fn spend(&self, value_hash: &[u8; 32], until: Timestamp) -> Result<bool, StoreError> {
        run("spend a ticket or a logout message", async {
            let mut tx = self.begin_write().await?;
            let first = spend(&mut tx, value_hash, until).await?;
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
        run("take a lease", async {
            let sql = "INSERT INTO menshen_lease (name, holder, until) VALUES (?1, ?2, ?4) \
                       ON CONFLICT DO UPDATE SET holder = excluded.holder, until = excluded.until \
                       WHERE menshen_lease.holder = excluded.holder OR menshen_lease.until <= ?3";
            let mut tx = self.begin_write().await?;
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

async fn select_keys(db: &mut SqliteConnection) -> Result<Vec<Secret<String>>, QueryError> {
    let sql = "SELECT text FROM menshen_key_ring ORDER BY position";
    let rows = sqlx::query(sql).fetch_all(db).await?;
    let key = |found: &sqlx::sqlite::SqliteRow| Ok(Secret::new(found.try_get("text")?));
    rows.iter().map(key).collect()
}

pub(super) async fn spend(
    tx: &mut SqliteConnection,
    value_hash: &[u8; 32],
    until: Timestamp,
) -> Result<bool, QueryError> {
    let sql = "INSERT INTO menshen_spent (what, until) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let spent = sqlx::query(sql)
        .bind(value_hash.as_slice())
        .bind(until.unix_ms())
        .execute(tx)
        .await?;
    Ok(spent.rows_affected() == 1)
}
