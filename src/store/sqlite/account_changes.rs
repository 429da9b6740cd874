//! The history of accounts, in SQLite.

use sqlx::SqliteConnection;

use super::super::{AccountChange, AccountChangeKind, AccountId, StoreError};
use super::{QueryError, Sqlite, row, run};
use crate::clock::Timestamp;

/// Adds an entry to the history of an account.
pub(super) async fn append(
    tx: &mut SqliteConnection,
    account: &AccountId,
    (at, by): (Timestamp, &str),
    kind: AccountChangeKind,
    detail: &str,
) -> Result<(), QueryError> {
    let sql = "INSERT INTO menshen_account_change (account, at, actor, kind, detail) \
               VALUES (?1, ?2, ?3, ?4, ?5)";
    sqlx::query(sql)
        .bind(account.as_bytes().as_slice())
        .bind(at.unix_ms())
        .bind(by)
        .bind(kind.as_str())
        .bind(detail)
        .execute(tx)
        .await?;
    Ok(())
}

/// The newest entries of an account's history before the entry `before`.
pub(super) async fn read(
    store: &Sqlite,
    account: &AccountId,
    before: Option<i64>,
    max: u32,
) -> Result<Vec<AccountChange>, StoreError> {
    run("read the history of an account", async {
        let sql = "SELECT number, at, actor, kind, detail FROM menshen_account_change \
                   WHERE account = ?1 AND number < ?2 ORDER BY number DESC LIMIT ?3";
        let rows = sqlx::query(sql)
            .bind(account.as_bytes().as_slice())
            .bind(before.unwrap_or(i64::MAX))
            .bind(max)
            .fetch_all(&mut *store.reader().await?)
            .await?;
        rows.iter().map(row::account_change).collect()
    })
    .await
}
