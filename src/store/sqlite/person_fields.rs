//! The fields of an account, in SQLite.

use sqlx::{Row as _, SqliteConnection};

use super::super::person_fields::PersonFields;
use super::super::{AccountChangeKind, AccountId, DirectoryFields};
use super::{QueryError, account_changes};
use crate::clock::Timestamp;

pub(super) async fn read(
    tx: &mut SqliteConnection,
    account: &AccountId,
) -> Result<PersonFields, QueryError> {
    let found = sqlx::query("SELECT name, email, mobile FROM menshen_account WHERE id = ?1")
        .bind(account.as_bytes().as_slice())
        .fetch_one(tx)
        .await?;
    Ok(PersonFields {
        name: found.try_get("name")?,
        email: found.try_get("email")?,
        mobile: found.try_get("mobile")?,
    })
}

/// Stores fields that differ from `old`, with an entry in the history; whether any did.
pub(super) async fn write(
    tx: &mut SqliteConnection,
    account: &AccountId,
    (old, new): (&PersonFields, &PersonFields),
    by: (Timestamp, &str),
) -> Result<bool, QueryError> {
    let changed = old.differences(new);
    if changed.is_empty() {
        return Ok(false);
    }
    let folded = |text: &Option<String>| text.as_deref().map(str::to_lowercase);
    let sql = "UPDATE menshen_account SET name = ?2, name_folded = ?3, email = ?4, email_folded = ?5, \
               mobile = ?6 WHERE id = ?1";
    sqlx::query(sql)
        .bind(account.as_bytes().as_slice())
        .bind(&new.name)
        .bind(folded(&new.name))
        .bind(&new.email)
        .bind(folded(&new.email))
        .bind(&new.mobile)
        .execute(&mut *tx)
        .await?;
    let kind = AccountChangeKind::FieldsChanged;
    account_changes::append(tx, account, by, kind, &changed.join(", ")).await?;
    Ok(true)
}

/// Stores what a source tells of a person; see [`PersonFields::merged`].
pub(super) async fn write_from_source(
    tx: &mut SqliteConnection,
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
    tx: &mut SqliteConnection,
    account: &AccountId,
    at: Timestamp,
) -> Result<(), QueryError> {
    let sql = "UPDATE menshen_account SET seen_at = max(coalesce(seen_at, ?2), ?2) WHERE id = ?1";
    sqlx::query(sql)
        .bind(account.as_bytes().as_slice())
        .bind(at.unix_ms())
        .execute(tx)
        .await?;
    Ok(())
}
