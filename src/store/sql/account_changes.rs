//! The history of accounts.

use super::super::{AccountChange, AccountChangeKind, AccountId};
use super::{Database, QueryError, Transaction, row, values};
use crate::clock::Timestamp;

/// Adds an entry to the history of an account.
pub(super) async fn append(
    tx: &mut impl Transaction,
    account: &AccountId,
    (at, by): (Timestamp, &str),
    kind: AccountChangeKind,
    detail: &str,
) -> Result<(), QueryError> {
    let sql = "INSERT INTO menshen_account_change (account, at, actor, kind, detail) \
               VALUES ($1, $2, $3, $4, $5)";
    tx.execute(sql, values![account, at, by, kind.as_str(), detail])
        .await?;
    Ok(())
}

/// The newest entries of an account's history whose number is below `before_number`.
pub(super) async fn read(
    db: &impl Database,
    account: &AccountId,
    before_number: Option<i64>,
    max: u32,
) -> Result<Vec<AccountChange>, QueryError> {
    let sql = "SELECT number, at, actor, kind, detail FROM menshen_account_change \
               WHERE account = $1 AND number < $2 ORDER BY number DESC LIMIT $3";
    let before = before_number.unwrap_or(i64::MAX);
    let rows = db.read_rows(sql, values![account, before, max]).await?;
    rows.iter().map(row::account_change).collect()
}
