//! The fields of an account, in PostgreSQL.

use sqlx::Row as _;

use super::super::person_fields::PersonFields;
use super::super::{AccountChangeKind, AccountId, DirectoryFields};
use super::{QueryError, Transaction, account_changes};
use crate::clock::Timestamp;

/// Locks an account before its identities, so that no two transactions wait for each other.
pub(super) async fn lock(tx: &mut Transaction, account: &AccountId) -> Result<(), QueryError> {
    let sql = "SELECT id FROM menshen_account WHERE id = $1 FOR NO KEY UPDATE";
    let query = tx.query(sql).bind(account.as_bytes().as_slice());
    query.execute(&mut **tx).await?;
    Ok(())
}

pub(super) async fn read(
    tx: &mut Transaction,
    account: &AccountId,
) -> Result<PersonFields, QueryError> {
    let query = tx.query("SELECT name, email, mobile FROM menshen_account WHERE id = $1");
    let query = query.bind(account.as_bytes().as_slice());
    let found = query.fetch_one(&mut **tx).await?;
    Ok(PersonFields {
        name: found.try_get("name")?,
        email: found.try_get("email")?,
        mobile: found.try_get("mobile")?,
    })
}

/// Stores fields that differ from `old`, with an entry in the history; whether any did.
pub(super) async fn write(
    tx: &mut Transaction,
    account: &AccountId,
    (old, new): (&PersonFields, &PersonFields),
    by: (Timestamp, &str),
) -> Result<bool, QueryError> {
    let changed = old.differences(new);
    if changed.is_empty() {
        return Ok(false);
    }
    let folded = |text: &Option<String>| text.as_deref().map(str::to_lowercase);
    let sql = "UPDATE menshen_account SET name = $2, name_folded = $3, email = $4, \
               email_folded = $5, mobile = $6 WHERE id = $1";
    let query = tx.query(sql).bind(account.as_bytes().as_slice());
    let query = query.bind(&new.name).bind(folded(&new.name));
    let query = query.bind(&new.email).bind(folded(&new.email));
    query.bind(&new.mobile).execute(&mut **tx).await?;
    let kind = AccountChangeKind::FieldsChanged;
    account_changes::append(tx, account, by, kind, &changed.join(", ")).await?;
    Ok(true)
}

/// Stores what a source tells of a person; see [`PersonFields::merged`].
pub(super) async fn write_from_source(
    tx: &mut Transaction,
    account: &AccountId,
    (fields, replace): (&DirectoryFields, bool),
    by: (Timestamp, &str),
) -> Result<(), QueryError> {
    let old = read(tx, account).await?;
    let new = old.merged(fields, replace);
    write(tx, account, (&old, &new), by).await?;
    Ok(())
}

/// Records that the person was here; never sets an earlier time.
pub(super) async fn set_seen(
    tx: &mut Transaction,
    account: &AccountId,
    at: Timestamp,
) -> Result<(), QueryError> {
    let sql = "UPDATE menshen_account SET seen_at = greatest(seen_at, $2) WHERE id = $1";
    let query = tx.query(sql).bind(account.as_bytes().as_slice());
    query.bind(at.unix_ms()).execute(&mut **tx).await?;
    Ok(())
}
