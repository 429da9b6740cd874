//! [`CoordinationStore`]: what happens once among all processes that share a database.

use async_trait::async_trait;

use super::super::{CoordinationStore, StoreError};
use super::row::Columns;
use super::{Begin, Database, QueryError, Row, Transaction, run, values};
use crate::clock::Timestamp;
use crate::secret::Secret;

#[async_trait]
impl<D: Database> CoordinationStore for D {
    async fn load_or_create_keys(
        &self,
        candidate: &Secret<String>,
    ) -> Result<Vec<Secret<String>>, StoreError> {
        run("read the key ring", async {
            // Reading first needs no free disk space.
            let existing = select_keys(self).await?;
            if !existing.is_empty() {
                return Ok(existing);
            }
            let sql = "INSERT INTO menshen_key_ring (position, text) VALUES (0, $1) \
                       ON CONFLICT DO NOTHING";
            let mut tx = self.begin(Begin::Writing).await?;
            tx.execute(sql, values![candidate.expose()]).await?;
            tx.commit().await?;
            // Another process may have inserted its key first: then that key is used.
            select_keys(self).await
        })
        .await
    }

    async fn spend(&self, value_hash: &[u8; 32], until: Timestamp) -> Result<bool, StoreError> {
        run("spend a one-time value", async {
            let mut tx = self.begin(Begin::Writing).await?;
            let is_first = spend(&mut tx, value_hash, until).await?;
            tx.commit().await?;
            Ok(is_first)
        })
        .await
    }

    async fn is_spent(&self, value_hash: &[u8; 32]) -> Result<bool, StoreError> {
        run("find a spent value", async {
            let sql = "SELECT 1 AS one FROM menshen_spent WHERE what = $1";
            let found = self.read_row(sql, values![value_hash]).await?;
            Ok(found.is_some())
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
            let sql = "INSERT INTO menshen_lease AS l (name, holder, until) VALUES ($1, $2, $4) \
                       ON CONFLICT (name) \
                       DO UPDATE SET holder = excluded.holder, until = excluded.until \
                       WHERE l.holder = excluded.holder OR l.until <= $3";
            let mut tx = self.begin(Begin::Writing).await?;
            let taken = tx.execute(sql, values![name, holder, at, until]).await?;
            tx.commit().await?;
            Ok(taken == 1)
        })
        .await
    }

    async fn lease_end(&self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        run("read the end of a lease", async {
            let sql = "SELECT until FROM menshen_lease WHERE name = $1";
            let found = self.read_row(sql, values![name]).await?;
            let until = found.map(|found| found.integer("until")).transpose()?;
            Ok(until.map(Timestamp::from_unix_ms))
        })
        .await
    }
}

async fn select_keys<D: Database>(db: &D) -> Result<Vec<Secret<String>>, QueryError> {
    let sql = "SELECT text FROM menshen_key_ring ORDER BY position";
    let key = |found: &Row<D>| Ok(Secret::new(found.text("text")?.to_owned()));
    db.read_rows(sql, values![])
        .await?
        .iter()
        .map(key)
        .collect()
}

/// Spends a one-time value; false if it was spent before.
pub(super) async fn spend(
    tx: &mut impl Transaction,
    value_hash: &[u8; 32],
    until: Timestamp,
) -> Result<bool, QueryError> {
    let sql = "INSERT INTO menshen_spent (what, until) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, values![value_hash, until]).await? == 1)
}
