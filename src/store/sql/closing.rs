//! Closes and reopens accounts.

use super::super::{
    AccountChangeKind, AccountId, Closing, ConnectorId, Reopening, Revocation, RevocationScope,
    Subject,
};
use super::row::Columns;
use super::{
    Begin, Database, QueryError, Transaction, account_changes, accounts, revocations, row, tokens,
    values,
};
use crate::clock::Timestamp;

pub(super) async fn close(
    db: &impl Database,
    account: &AccountId,
    closing: &Closing,
    at: Timestamp,
) -> Result<Option<Revocation>, QueryError> {
    let mut tx = db.begin(Begin::Revoking).await?;
    tx.lock_directory().await?;
    let raised = revocations::raise_account_epoch(&mut tx, account, at).await?;
    let Some(known) = raised else {
        tx.roll_back().await?;
        return Ok(None);
    };
    mark_closed(&mut tx, account, closing, at).await?;
    if let Some((connector, subject)) = &closing.gone {
        detach(&mut tx, account, (connector, subject), at).await?;
    }
    let scope = RevocationScope::Account(*account);
    tokens::delete_for_scope(&mut tx, &scope).await?;
    let entry = revocations::append_log(&mut tx, scope, known.epoch, at).await?;
    tx.commit().await?;
    Ok(Some(entry))
}

pub(super) async fn reopen(
    db: &impl Database,
    account: &AccountId,
    by: &str,
    at: Timestamp,
) -> Result<Option<Reopening>, QueryError> {
    let mut tx = db.begin(Begin::Revoking).await?;
    tx.lock_directory().await?;
    let sql = "UPDATE menshen_account SET closed = FALSE, closed_at = NULL, closed_by = NULL, \
               closed_reason = NULL, closed_by_sync = NULL WHERE id = $1 AND closed";
    let mut taken = Vec::new();
    if tx.execute(sql, values![account]).await? > 0 {
        taken = restore_reopened(&mut tx, account, (at, by)).await?;
    }
    commit_reopening(tx, account, taken).await
}

/// Reopens an account that a sync of this connector closed.
pub(super) async fn reopen_after_sync(
    db: &impl Database,
    account: &AccountId,
    connector: &ConnectorId,
    by: (Timestamp, &str),
) -> Result<Option<Reopening>, QueryError> {
    let mut tx = db.begin(Begin::Revoking).await?;
    tx.lock_directory().await?;
    let sql = "UPDATE menshen_account SET closed = FALSE, closed_at = NULL, closed_by = NULL, \
               closed_reason = NULL, closed_by_sync = NULL \
               WHERE id = $1 AND closed AND closed_by_sync = $2";
    if tx.execute(sql, values![account, connector]).await? == 0 {
        tx.roll_back().await?;
        return Ok(None);
    }
    let taken = restore_reopened(&mut tx, account, by).await?;
    commit_reopening(tx, account, taken).await
}

async fn restore_reopened(
    tx: &mut impl Transaction,
    account: &AccountId,
    by: (Timestamp, &str),
) -> Result<Vec<(ConnectorId, Subject)>, QueryError> {
    let taken = restore_identities(tx, account, by.0).await?;
    let kind = AccountChangeKind::Reopened;
    account_changes::append(tx, account, by, kind, "").await?;
    Ok(taken)
}

/// Ends the transaction; `None` if the account does not exist.
async fn commit_reopening(
    mut tx: impl Transaction,
    account: &AccountId,
    taken: Vec<(ConnectorId, Subject)>,
) -> Result<Option<Reopening>, QueryError> {
    let sql = "SELECT epoch, (SELECT coalesce(max(number), 0) FROM menshen_revocation) AS number \
               FROM menshen_account WHERE id = $1";
    let Some(found) = tx.row(sql, values![account]).await? else {
        tx.roll_back().await?;
        return Ok(None);
    };
    tx.commit().await?;
    let log_position = Revocation {
        number: found.integer("number")?,
        scope: RevocationScope::Account(*account),
        epoch: row::number(&found, "epoch", "account")?,
    };
    Ok(Some(Reopening {
        log_position,
        taken,
    }))
}

/// Records who closed the account, and why.
async fn mark_closed(
    tx: &mut impl Transaction,
    account: &AccountId,
    closing: &Closing,
    at: Timestamp,
) -> Result<(), QueryError> {
    let Closing { by, reason, .. } = closing;
    let by_sync_of = closing.by_sync_of.as_ref().map(ConnectorId::as_str);
    // The record of the first closing stays. Only if a sync closed the account, another closing replaces
    // it: otherwise the next sync would reopen the account.
    let sql = "UPDATE menshen_account SET closed = TRUE, closed_at = $2, closed_by = $3, \
               closed_reason = $4, closed_by_sync = CAST($5 AS text) WHERE id = $1 AND \
               (NOT closed OR (closed_by_sync IS NOT NULL AND CAST($5 AS text) IS NULL))";
    let values = values![account, at, by, reason, by_sync_of];
    if tx.execute(sql, values).await? == 0 {
        return Ok(());
    }
    let kind = AccountChangeKind::Closed;
    account_changes::append(tx, account, (at, by), kind, reason).await
}

/// Moves an identity of the account, which is closed, to the former ones, and deletes its sessions.
async fn detach(
    tx: &mut impl Transaction,
    account: &AccountId,
    (connector, subject): (&ConnectorId, &Subject),
    at: Timestamp,
) -> Result<(), QueryError> {
    let owner = accounts::by_identity(tx, connector, subject).await?;
    if owner.is_none_or(|owner| owner.id != *account) {
        return Ok(());
    }
    let sql = "INSERT INTO menshen_former_identity (account, connector, subject, names, \
               entitlements, entitlements_epoch, used_at, gone_at) \
               SELECT account, connector, subject, names, entitlements, entitlements_epoch, \
               used_at, $3 FROM menshen_identity WHERE connector = $1 AND subject = $2 \
               ON CONFLICT (account, connector, subject) DO UPDATE SET names = excluded.names, \
               entitlements = excluded.entitlements, \
               entitlements_epoch = excluded.entitlements_epoch, used_at = excluded.used_at, \
               gone_at = excluded.gone_at";
    tx.execute(sql, values![connector, subject, at]).await?;
    for sql in [
        "DELETE FROM menshen_session WHERE connector = $1 AND subject = $2",
        "DELETE FROM menshen_identity WHERE connector = $1 AND subject = $2",
    ] {
        tx.execute(sql, values![connector, subject]).await?;
    }
    Ok(())
}

/// Restores the former identities of an account; returns those that another account has or expects now.
async fn restore_identities(
    tx: &mut impl Transaction,
    account: &AccountId,
    at: Timestamp,
) -> Result<Vec<(ConnectorId, Subject)>, QueryError> {
    // The epoch grows, so that the restored entitlements replace cached ones of the subject.
    let restored = "INSERT INTO menshen_identity (connector, subject, account, names, \
        entitlements, entitlements_epoch, used_at) \
        SELECT f.connector, f.subject, f.account, f.names, f.entitlements, \
        (SELECT max(epoch) FROM (SELECT CAST($2 AS bigint) AS epoch UNION ALL \
        SELECT entitlements_epoch + 1 FROM menshen_former_identity AS o \
        WHERE o.connector = f.connector AND o.subject = f.subject) AS known), f.used_at \
        FROM menshen_former_identity AS f WHERE f.account = $1 AND NOT EXISTS (SELECT 1 \
        FROM menshen_identity AS i WHERE i.connector = f.connector AND i.subject = f.subject \
        UNION ALL SELECT 1 FROM menshen_expected_identity AS e WHERE e.connector = f.connector \
        AND e.subject = f.subject AND e.account <> f.account)";
    let deleted = "DELETE FROM menshen_former_identity AS f WHERE f.account = $1 AND EXISTS \
        (SELECT 1 FROM menshen_identity AS i WHERE i.connector = f.connector \
        AND i.subject = f.subject AND i.account = $1)";
    tx.execute(restored, values![account, at]).await?;
    tx.execute(deleted, values![account]).await?;
    let sql = "SELECT connector, subject FROM menshen_former_identity WHERE account = $1 \
               ORDER BY connector, subject";
    let rows = tx.rows(sql, values![account]).await?;
    let identity = |found: &_| {
        let connector = row::parsed(found, "connector", "former identity")?;
        Ok((connector, row::parsed(found, "subject", "former identity")?))
    };
    rows.iter().map(identity).collect()
}
