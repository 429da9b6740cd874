//! What happens once among all nodes, in PostgreSQL.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::super::query_error::run;
use super::super::{CoordinationStore, StoreError};
use super::{Begin, Postgres, QueryError, Transaction};
use crate::clock::Timestamp;
use crate::secret::Secret;

#[async_trait]
impl CoordinationStore for Postgres {
    async fn load_or_create_keys(
        &self,
        candidate: &Secret<String>,
    ) -> Result<Vec<Secret<String>>, StoreError> {
        run("read the key ring", async {
            let existing = self.select_keys().await?;
            if !existing.is_empty() {
                return Ok(existing);
            }
            let sql = "INSERT INTO menshen_key_ring (position, text) VALUES (0, $1) ON CONFLICT DO NOTHING";
            let mut tx = self.begin(Begin::Writing).await?;
            let query = tx.query(sql).bind(candidate.expose());
            query.execute(&mut *tx).await?;
            tx.commit().await?;
            // Another node may have been first: then its key counts.
            self.select_keys().await
        })
        .await
    }

    async fn spend(&self, value_hash: &[u8; 32], until: Timestamp) -> Result<bool, StoreError> {
        run("spend a ticket or a logout message", async {
            let mut tx = self.begin(Begin::Writing).await?;
            let is_first = spend(&mut tx, value_hash, until).await?;
            tx.commit().await?;
            Ok(is_first)
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
            let sql = "INSERT INTO menshen_lease (name, holder, until) VALUES ($1, $2, $4) \
                       ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until \
                       WHERE menshen_lease.holder = excluded.holder OR menshen_lease.until <= $3";
            let mut tx = self.begin(Begin::Writing).await?;
            let query = tx.query(sql).bind(name).bind(holder);
            let query = query.bind(at.unix_ms()).bind(until.unix_ms());
            let taken = query.execute(&mut *tx).await?;
            tx.commit().await?;
            Ok(taken.rows_affected() == 1)
        })
        .await
    }
}

impl Postgres {
    async fn select_keys(&self) -> Result<Vec<Secret<String>>, QueryError> {
        let sql = "SELECT text FROM menshen_key_ring ORDER BY position";
        let rows = self.rows(self.query(sql)).await?;
        let key = |found: &PgRow| Ok(Secret::new(found.try_get("text")?));
        rows.iter().map(key).collect()
    }
}

/// Spends a thing within a transaction: false when it was spent before.
pub(super) async fn spend(
    tx: &mut Transaction,
    value_hash: &[u8; 32],
    until: Timestamp,
) -> Result<bool, QueryError> {
    let sql = "INSERT INTO menshen_spent (what, until) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let query = tx
        .query(sql)
        .bind(value_hash.as_slice())
        .bind(until.unix_ms());
    let spent = query.execute(&mut **tx).await?;
    Ok(spent.rows_affected() == 1)
}
