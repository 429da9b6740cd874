//! Closes and reopens accounts, in PostgreSQL.

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::super::query_error::run;
use super::super::{
    AccountChangeKind, AccountId, Closing, ConnectorId, Reopening, Revocation, RevocationScope,
    StoreError, Subject, row,
};
use super::{
    Begin, Postgres, QueryError, Transaction, account_changes, accounts, revocations, tokens,
};
use crate::clock::Timestamp;

pub(super) async fn close(
    store: &Postgres,
    account: &AccountId,
    closing: &Closing,
    at: Timestamp,
) -> Result<Option<Revocation>, StoreError> {
    run("close an account", async {
        let mut tx = store.begin(Begin::Revoking).await?;
        tx.lock_directory().await?;
        let Some(found) = select_account(&mut tx, account).await? else {
            tx.roll_back().await?;
            return Ok(None);
        };
        if !found.try_get::<bool, _>("closed")? {
            mark_closed(&mut tx, account, closing, at).await?;
        }
        if let Some((connector, subject)) = &closing.gone {
            detach(&mut tx, account, (connector, subject), at).await?;
        }
        let scope = RevocationScope::Account(*account);
        let epoch = revocations::raise_account(&mut tx, account, at).await?;
        tokens::forget(&mut tx, &scope).await?;
        let entry = revocations::log(&mut tx, store.notify, scope, epoch, at).await?;
        tx.commit().await?;
        Ok(Some(entry))
    })
    .await
}

pub(super) async fn reopen(
    store: &Postgres,
    account: &AccountId,
    by: &str,
    at: Timestamp,
) -> Result<Option<Reopening>, StoreError> {
    run("reopen an account", async {
        let mut tx = store.begin(Begin::Revoking).await?;
        tx.lock_directory().await?;
        let Some(found) = select_account(&mut tx, account).await? else {
            tx.roll_back().await?;
            return Ok(None);
        };
        let mut taken = Vec::new();
        if found.try_get("closed")? {
            let sql = "UPDATE menshen_account SET closed = FALSE, closed_at = NULL, \
                       closed_by = NULL, closed_reason = NULL WHERE id = $1";
            let query = tx.query(sql).bind(account.as_bytes().as_slice());
            query.execute(&mut *tx).await?;
            taken = restore(&mut tx, account).await?;
            let kind = AccountChangeKind::Reopened;
            account_changes::append(&mut tx, account, (at, by), kind, "").await?;
        }
        let sql = "SELECT coalesce(max(number), 0) AS number FROM menshen_revocation";
        let last = tx.query(sql).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        let current = Revocation {
            number: last.try_get("number")?,
            scope: RevocationScope::Account(*account),
            epoch: row::number(&found, "epoch", "account")?,
        };
        Ok(Some(Reopening { current, taken }))
    })
    .await
}

async fn select_account(
    tx: &mut Transaction,
    account: &AccountId,
) -> Result<Option<PgRow>, QueryError> {
    let sql = "SELECT epoch, closed FROM menshen_account WHERE id = $1 FOR NO KEY UPDATE";
    let query = tx.query(sql).bind(account.as_bytes().as_slice());
    Ok(query.fetch_optional(&mut **tx).await?)
}

async fn mark_closed(
    tx: &mut Transaction,
    account: &AccountId,
    closing: &Closing,
    at: Timestamp,
) -> Result<(), QueryError> {
    let sql = "UPDATE menshen_account SET closed = TRUE, closed_at = $2, closed_by = $3, \
               closed_reason = $4 WHERE id = $1";
    let query = tx.query(sql).bind(account.as_bytes().as_slice());
    let query = query.bind(at.unix_ms()).bind(&closing.by);
    query.bind(&closing.reason).execute(&mut **tx).await?;
    let (by, kind) = (closing.by.as_str(), AccountChangeKind::Closed);
    account_changes::append(tx, account, (at, by), kind, &closing.reason).await
}

/// Moves an identity of the account to the former ones. Its sessions are deleted: the account is closed.
async fn detach(
    tx: &mut Transaction,
    account: &AccountId,
    (connector, subject): (&ConnectorId, &Subject),
    at: Timestamp,
) -> Result<(), QueryError> {
    let owner = accounts::account_of(tx, connector, subject).await?;
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
    let query = tx.query(sql).bind(connector.as_str());
    let query = query.bind(subject.as_str()).bind(at.unix_ms());
    query.execute(&mut **tx).await?;
    for sql in [
        "DELETE FROM menshen_session WHERE connector = $1 AND subject = $2",
        "DELETE FROM menshen_identity WHERE connector = $1 AND subject = $2",
    ] {
        let query = tx.query(sql).bind(connector.as_str());
        query.bind(subject.as_str()).execute(&mut **tx).await?;
    }
    Ok(())
}

/// Restores the former identities of an account; returns those that belong to another account now.
async fn restore(
    tx: &mut Transaction,
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
        let query = tx.query(sql).bind(account.as_bytes().as_slice());
        query.execute(&mut **tx).await?;
    }
    let sql = "SELECT connector, subject FROM menshen_former_identity WHERE account = $1 \
               ORDER BY connector, subject";
    let query = tx.query(sql).bind(account.as_bytes().as_slice());
    let identity = |found: &PgRow| {
        let connector = row::parsed(found, "connector", "former identity")?;
        Ok((connector, row::parsed(found, "subject", "former identity")?))
    };
    let rows = query.fetch_all(&mut **tx).await?;
    rows.iter().map(identity).collect()
}
