//! Reads rows as records. A value that this program cannot have written is damage.

use std::str::FromStr;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::super::{
    Account, AccountId, SessionFound, SessionId, SessionKey, SessionRecord, StoredTokens,
};
use super::Failure;
use crate::clock::Timestamp;

/// An account from the columns `id`, `login`, `epoch`, `closed`.
pub(super) fn account(row: &SqliteRow) -> Result<Account, Failure> {
    Ok(Account {
        id: AccountId::new(bytes(row, "id", "account")?),
        login: text(row, "login", "account")?,
        epoch: number(row, "epoch", "account")?,
        closed: row.try_get("closed")?,
    })
}

/// A session from the columns of `standing_session`.
pub(super) fn session(row: &SqliteRow) -> Result<SessionRecord, Failure> {
    Ok(SessionRecord {
        key: SessionKey::new(bytes(row, "key", "session")?),
        public_id: SessionId::new(bytes(row, "public_id", "session")?),
        account: AccountId::new(bytes(row, "account", "session")?),
        connector: text(row, "connector", "session")?,
        subject: text(row, "subject", "session")?,
        provider_sid: row.try_get("provider_sid")?,
        facts: row.try_get("facts")?,
        minted_at: time(row, "minted_at")?,
        expires_at: time(row, "expires_at")?,
        used_at: time(row, "used_at")?,
    })
}

/// A session with its account and identity, from the columns of `standing_session`, `tokens_version` and
/// `tokens_sealed`.
pub(super) fn found(row: &SqliteRow) -> Result<SessionFound, Failure> {
    let session = session(row)?;
    let account = Account {
        id: session.account,
        login: text(row, "login", "account")?,
        epoch: number(row, "epoch", "account")?,
        closed: row.try_get("closed")?,
    };
    Ok(SessionFound {
        session,
        account,
        entitlements: row.try_get("entitlements")?,
        entitlements_epoch: number(row, "entitlements_epoch", "identity")?,
        connector_epoch: number(row, "connector_epoch", "session")?,
        everyone_epoch: number(row, "everyone_epoch", "session")?,
        tokens: tokens(row)?,
    })
}

fn tokens(row: &SqliteRow) -> Result<Option<StoredTokens>, Failure> {
    let Some(version) = row.try_get::<Option<i64>, _>("tokens_version")? else {
        return Ok(None);
    };
    Ok(Some(StoredTokens {
        version: unsigned(version, "session's tokens")?,
        sealed: row.try_get("tokens_sealed")?,
    }))
}

/// A text that must parse as a `T`.
pub(super) fn text<T: FromStr>(
    row: &SqliteRow,
    column: &str,
    record: &'static str,
) -> Result<T, Failure> {
    row.try_get::<&str, _>(column)?
        .parse()
        .map_err(|_| Failure::Damaged(record))
}

/// Exactly `N` bytes.
pub(super) fn bytes<const N: usize>(
    row: &SqliteRow,
    column: &str,
    record: &'static str,
) -> Result<[u8; N], Failure> {
    row.try_get::<&[u8], _>(column)?
        .try_into()
        .map_err(|_| Failure::Damaged(record))
}

/// A number that must not be negative.
pub(super) fn number(row: &SqliteRow, column: &str, record: &'static str) -> Result<u64, Failure> {
    unsigned(row.try_get(column)?, record)
}

/// A number that the database keeps signed, although it counts up from zero.
pub(super) fn unsigned(value: i64, record: &'static str) -> Result<u64, Failure> {
    u64::try_from(value).map_err(|_| Failure::Damaged(record))
}

fn time(row: &SqliteRow, column: &str) -> Result<Timestamp, Failure> {
    Ok(Timestamp::from_unix_ms(row.try_get(column)?))
}
