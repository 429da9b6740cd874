//! Takes an identity off an account.

use super::super::{
    AccountChangeKind, AccountId, ConnectorId, Revocation, RevocationScope, SessionKey, Subject,
};
use super::{
    Begin, Database, QueryError, Transaction, account_changes, accounts, revocations, row, values,
};
use crate::clock::Timestamp;

/// An identity, as its connector and its subject.
type Identity<'a> = (&'a ConnectorId, &'a Subject);

pub(super) async fn remove(
    db: &impl Database,
    account: &AccountId,
    identity: Identity<'_>,
    by: (Timestamp, &str),
) -> Result<Option<Vec<Revocation>>, QueryError> {
    let (connector, subject) = identity;
    let mut tx = db.begin(Begin::Revoking).await?;
    tx.lock_directory().await?;
    let ended = end_credentials(&mut tx, account, identity, by.0).await?;
    if !delete(&mut tx, account, identity).await? {
        tx.roll_back().await?;
        return Ok(None);
    }
    let mut entries = Vec::with_capacity(ended.len());
    for key in ended {
        let scope = RevocationScope::Session(key);
        entries.push(revocations::append_log(&mut tx, scope, 0, by.0).await?);
    }
    let detail = format!("{connector}: {subject}");
    let kind = AccountChangeKind::IdentityRemoved;
    account_changes::append(&mut tx, account, by, kind, &detail).await?;
    tx.commit().await?;
    Ok(Some(entries))
}

/// Ends the sessions and access tokens of the account that came through the identity; returns their keys.
async fn end_credentials<T: Transaction>(
    tx: &mut T,
    account: &AccountId,
    (connector, subject): Identity<'_>,
    at: Timestamp,
) -> Result<Vec<SessionKey>, QueryError> {
    let owner = accounts::by_identity(tx, connector, subject).await?;
    let mut ended = Vec::new();
    // Sessions refer to their identity. One that the account had before belongs to another account now, or
    // has no sessions.
    if owner.is_some_and(|owner| owner.id == *account) {
        // Without an ID of a session at the provider, all sessions of the subject.
        let values = values![connector, None::<&str>, subject];
        ended = tx.rows(T::DELETE_LOGGED_OUT_SESSIONS, values).await?;
    }
    let sql = "UPDATE menshen_access_token SET revoked_at = $4 WHERE connector = $1 \
               AND subject = $2 AND account = $3 AND revoked_at IS NULL RETURNING key";
    let values = values![connector, subject, account, at];
    ended.extend(tx.rows(sql, values).await?);
    let key = |found: &T::Row| Ok(SessionKey::new(row::bytes(found, "key", "session")?));
    ended.iter().map(key).collect()
}

/// Deletes the identity and everything by which a login would get it back; false if the account neither
/// has, had nor expects it.
async fn delete(
    tx: &mut impl Transaction,
    account: &AccountId,
    (connector, subject): Identity<'_>,
) -> Result<bool, QueryError> {
    let mut deleted = 0;
    for sql in [
        "DELETE FROM menshen_identity WHERE connector = $1 AND subject = $2 AND account = $3",
        "DELETE FROM menshen_former_identity \
         WHERE connector = $1 AND subject = $2 AND account = $3",
        "DELETE FROM menshen_expected_identity \
         WHERE connector = $1 AND subject = $2 AND account = $3",
    ] {
        deleted += tx
            .execute(sql, values![connector, subject, account])
            .await?;
    }
    // The identity may have the login name of the account at its source.
    let sql = "DELETE FROM menshen_expected_identity \
               WHERE connector = $1 AND account = $2 AND subject IS NULL";
    tx.execute(sql, values![connector, account]).await?;
    Ok(deleted > 0)
}
