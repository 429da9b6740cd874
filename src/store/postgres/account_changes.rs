//! The history of accounts, in PostgreSQL.

use super::super::query_error::run;
use super::super::{AccountChange, AccountChangeKind, AccountId, StoreError, row};
use super::{Postgres, QueryError, Transaction};
use crate::clock::Timestamp;

/// Adds an entry to the history of an account.
pub(super) async fn append(
    tx: &mut Transaction,
    account: &AccountId,
    (at, by): (Timestamp, &str),
    kind: AccountChangeKind,
    detail: &str,
) -> Result<(), QueryError> {
    let sql = "INSERT INTO menshen_account_change (account, at, actor, kind, detail) \
               VALUES ($1, $2, $3, $4, $5)";
    let query = tx.query(sql).bind(account.as_bytes().as_slice());
    let query = query.bind(at.unix_ms()).bind(by);
    let query = query.bind(kind.as_str()).bind(detail);
    query.execute(&mut **tx).await?;
    Ok(())
}

/// The newest entries of an account's history before the entry `before`.
pub(super) async fn read(
    store: &Postgres,
    account: &AccountId,
    before: Option<i64>,
    max: u32,
) -> Result<Vec<AccountChange>, StoreError> {
    run("read the history of an account", async {
        let sql = "SELECT number, at, actor, kind, detail FROM menshen_account_change \
                   WHERE account = $1 AND number < $2 ORDER BY number DESC LIMIT $3";
        let query = store.query(sql).bind(account.as_bytes().as_slice());
        let query = query.bind(before.unwrap_or(i64::MAX)).bind(i64::from(max));
        let rows = store.rows(query).await?;
        rows.iter().map(row::account_change).collect()
    })
    .await
}
