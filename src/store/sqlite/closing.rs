//! Closes and reopens accounts, in SQLite.

use sqlx::{Row as _, SqliteConnection};

use super::super::{
    AccountChangeKind, AccountId, Closing, ConnectorId, Reopening, Revocation, RevocationScope,
    StoreError, Subject,
};
use super::{QueryError, Sqlite, account_changes, accounts, revocations, row, run, tokens};
use crate::clock::Timestamp;

pub(super) async fn close(
    store: &Sqlite,
    account: &AccountId,
    closing: &Closing,
    at: Timestamp,
) -> Result<Option<Revocation>, StoreError> {
    run("close an account", async {
        let mut tx = store.begin_write().await?;
        let sql = "SELECT closed FROM menshen_account WHERE id = ?1";
        let was_closed: Option<bool> = sqlx::query_scalar(sql)
            .bind(account.as_bytes().as_slice())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(was_closed) = was_closed else {
            tx.roll_back().await?;
            return Ok(None);
        };
        if !was_closed {
            mark_closed(&mut tx, account, closing, at).await?;
        }
        if let Some((connector, subject)) = &closing.gone {
            detach(&mut tx, account, (connector, subject), at).await?;
        }
        let scope = RevocationScope::Account(*account);
        let epoch = revocations::raise_account_epoch(&mut tx, account, at).await?;
        tokens::delete_for_scope(&mut tx, &scope).await?;
        let entry = revocations::append_log(&mut tx, scope, epoch, at).await?;
        tx.commit().await?;
        Ok(Some(entry))
    })
    .await
}

pub(super) async fn reopen(
    store: &Sqlite,
    account: &AccountId,
    by: &str,
    at: Timestamp,
) -> Result<Option<Reopening>, StoreError> {
    run("reopen an account", async {
        let mut tx = store.begin_write().await?;
        let sql = "SELECT epoch, closed FROM menshen_account WHERE id = ?1";
        let found = sqlx::query(sql)
            .bind(account.as_bytes().as_slice())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(found) = found else {
            tx.roll_back().await?;
            return Ok(None);
        };
        let epoch = row::number(&found, "epoch", "account")?;
        let mut taken = Vec::new();
        if found.try_get("closed")? {
            let sql = "UPDATE menshen_account SET closed = 0, closed_at = NULL, closed_by = NULL, \
                       closed_reason = NULL WHERE id = ?1";
            sqlx::query(sql)
                .bind(account.as_bytes().as_slice())
                .execute(&mut *tx)
                .await?;
            taken = restore(&mut tx, account).await?;
            let kind = AccountChangeKind::Reopened;
            account_changes::append(&mut tx, account, (at, by), kind, "").await?;
        }
        let sql = "SELECT coalesce(max(number), 0) FROM menshen_revocation";
        let number = sqlx::query_scalar(sql).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        let scope = RevocationScope::Account(*account);
        let current = Revocation {
            number,
            scope,
            epoch,
        };
        Ok(Some(Reopening { current, taken }))
    })
    .await
}

async fn mark_closed(
    tx: &mut SqliteConnection,
    account: &AccountId,
    closing: &Closing,
    at: Timestamp,
) -> Result<(), QueryError> {
    let sql = "UPDATE menshen_account SET closed = 1, closed_at = ?2, closed_by = ?3, closed_reason = ?4 \
               WHERE id = ?1";
    sqlx::query(sql)
        .bind(account.as_bytes().as_slice())
        .bind(at.unix_ms())
        .bind(&closing.by)
        .bind(&closing.reason)
        .execute(&mut *tx)
        .await?;
    let (by, kind) = (closing.by.as_str(), AccountChangeKind::Closed);
    account_changes::append(tx, account, (at, by), kind, &closing.reason).await
}

/// Moves an identity of the account to the former ones. Its sessions are deleted: the account is closed.
async fn detach(
    tx: &mut SqliteConnection,
    account: &AccountId,
    (connector, subject): (&ConnectorId, &Subject),
    at: Timestamp,
) -> Result<(), QueryError> {
    let owner = accounts::account_of(tx, connector, subject).await?;
    if owner.is_none_or(|owner| owner.id != *account) {
        return Ok(());
    }
    let sql = "INSERT OR REPLACE INTO menshen_former_identity (account, connector, subject, names, \
               entitlements, entitlements_epoch, used_at, gone_at) \
               SELECT account, connector, subject, names, entitlements, entitlements_epoch, \
               used_at, ?3 FROM menshen_identity WHERE connector = ?1 AND subject = ?2";
    sqlx::query(sql)
        .bind(connector.as_str())
        .bind(subject.as_str())
        .bind(at.unix_ms())
        .execute(&mut *tx)
        .await?;
    for sql in [
        "DELETE FROM menshen_session WHERE connector = ?1 AND subject = ?2",
        "DELETE FROM menshen_identity WHERE connector = ?1 AND subject = ?2",
    ] {
        sqlx::query(sql)
            .bind(connector.as_str())
            .bind(subject.as_str())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Restores the former identities of an account; returns those that belong to another account now.
async fn restore(
    tx: &mut SqliteConnection,
    account: &AccountId,
) -> Result<Vec<(ConnectorId, Subject)>, QueryError> {
    // The epoch grows, so that the restored entitlements replace cached ones of the subject.
    let sql = "INSERT INTO menshen_identity (connector, subject, account, names, entitlements, \
               entitlements_epoch, used_at) \
               SELECT f.connector, f.subject, f.account, f.names, f.entitlements, \
               (SELECT max(entitlements_epoch) + 1 FROM menshen_former_identity AS o \
               WHERE o.connector = f.connector AND o.subject = f.subject), f.used_at \
               FROM menshen_former_identity AS f WHERE f.account = ?1 AND NOT EXISTS (SELECT 1 \
               FROM menshen_identity AS i WHERE i.connector = f.connector AND i.subject = f.subject)";
    sqlx::query(sql)
        .bind(account.as_bytes().as_slice())
        .execute(&mut *tx)
        .await?;
    let sql = "DELETE FROM menshen_former_identity WHERE account = ?1 AND EXISTS (SELECT 1 \
               FROM menshen_identity AS i WHERE i.connector = menshen_former_identity.connector \
               AND i.subject = menshen_former_identity.subject AND i.account = ?1)";
    sqlx::query(sql)
        .bind(account.as_bytes().as_slice())
        .execute(&mut *tx)
        .await?;
    let sql = "SELECT connector, subject FROM menshen_former_identity WHERE account = ?1";
    let rows = sqlx::query(sql)
        .bind(account.as_bytes().as_slice())
        .fetch_all(tx)
        .await?;
    let identity = |found: &_| {
        let connector = row::parsed(found, "connector", "former identity")?;
        Ok((connector, row::parsed(found, "subject", "former identity")?))
    };
    rows.iter().map(identity).collect()
}
