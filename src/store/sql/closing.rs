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
    if !known.closed {
        mark_closed(&mut tx, account, closing, at).await?;
    }
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
               closed_reason = NULL WHERE id = $1 AND closed";
    let mut taken = Vec::new();
    if tx.execute(sql, values![account]).await? > 0 {
        taken = restore(&mut tx, account).await?;
        let kind = AccountChangeKind::Reopened;
        account_changes::append(&mut tx, account, (at, by), kind, "").await?;
    }
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

async fn mark_closed(
    tx: &mut impl Transaction,
    account: &AccountId,
    closing: &Closing,
    at: Timestamp,
) -> Result<(), QueryError> {
    let Closing { by, reason, .. } = closing;
    let sql = "UPDATE menshen_account SET closed = TRUE, closed_at = $2, closed_by = $3, \
               closed_reason = $4 WHERE id = $1";
    tx.execute(sql, values![account, at, by, reason]).await?;
    let kind = AccountChangeKind::Closed;
    account_changes::append(tx, account, (at, by), kind, reason).await
}

/// Moves an identity of the account to the former ones. Its sessions are deleted: the account is closed.
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

/// Restores the former identities of an account; returns those that belong to another account now.
async fn restore(
    tx: &mut impl Transaction,
    account: &AccountId,
) -> Result<Vec<(ConnectorId, Subject)>, QueryError> {
    // The epoch grows, so that the restored entitlements replace cached ones of the subject.
    let restored = "INSERT INTO menshen_identity (connector, subject, account, names, \
        entitlements, entitlements_epoch, used_at) \
        SELECT f.connector, f.subject, f.account, f.names, f.entitlements, \
        (SELECT max(entitlements_epoch) + 1 FROM menshen_former_identity AS o \
        WHERE o.connector = f.connector AND o.subject = f.subject), f.used_at \
        FROM menshen_former_identity AS f WHERE f.account = $1 AND NOT EXISTS (SELECT 1 \
        FROM menshen_identity AS i WHERE i.connector = f.connector AND i.subject = f.subject)";
    let deleted = "DELETE FROM menshen_former_identity AS f WHERE f.account = $1 AND EXISTS \
        (SELECT 1 FROM menshen_identity AS i WHERE i.connector = f.connector \
        AND i.subject = f.subject AND i.account = $1)";
    for sql in [restored, deleted] {
        tx.execute(sql, values![account]).await?;
    }
    let sql = "SELECT connector, subject FROM menshen_former_identity WHERE account = $1 \
               ORDER BY connector, subject";
    let rows = tx.rows(sql, values![account]).await?;
    let identity = |found: &_| {
        let connector = row::parsed(found, "connector", "former identity")?;
        Ok((connector, row::parsed(found, "subject", "former identity")?))
    };
    rows.iter().map(identity).collect()
}
