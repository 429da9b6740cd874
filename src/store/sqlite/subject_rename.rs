//! Gives an identity the new subject of the same person, in SQLite.

use super::super::{
    AccountChangeKind, RevocationScope, StoreError, SubjectRename, SubjectRenameOutcome,
};
use super::{QueryError, Sqlite, account_changes, accounts, revocations, run};
use crate::clock::Timestamp;
use sqlx::SqliteConnection;

pub(super) async fn rename(
    store: &Sqlite,
    rename: &SubjectRename,
    at: Timestamp,
) -> Result<SubjectRenameOutcome, StoreError> {
    run("rename a subject", async {
        let SubjectRename {
            connector,
            from,
            to,
            by,
        } = rename;
        let mut tx = store.begin_write().await?;
        let Some(account) = accounts::account_of(&mut tx, connector, from).await? else {
            tx.roll_back().await?;
            return Ok(SubjectRenameOutcome::Unknown);
        };
        let owner = accounts::account_of(&mut tx, connector, to).await?;
        if let Some(owner) = owner.as_ref().filter(|owner| owner.id != account.id) {
            tx.roll_back().await?;
            return Ok(SubjectRenameOutcome::Taken { by: owner.id });
        }
        if from != to {
            move_identity(&mut tx, rename, owner.is_some()).await?;
            let detail = format!("{connector}: {from} → {to}");
            let kind = AccountChangeKind::SubjectRenamed;
            account_changes::append(&mut tx, &account.id, (at, by), kind, &detail).await?;
        }
        let scope = RevocationScope::Account(account.id);
        let log = revocations::append_log(&mut tx, scope, account.epoch, at).await?;
        tx.commit().await?;
        Ok(SubjectRenameOutcome::Renamed { account, log })
    })
    .await
}

/// Moves the identity with its sessions and verified fields. If the account has an identity with the new
/// subject already, the two become one.
async fn move_identity(
    tx: &mut SqliteConnection,
    rename: &SubjectRename,
    exists: bool,
) -> Result<(), QueryError> {
    const MERGE: [&str; 1] = [
        "UPDATE menshen_identity SET names = max(names, (SELECT names \
         FROM menshen_identity WHERE connector = ?1 AND subject = ?2)) WHERE connector = ?1 AND subject = ?3",
    ];
    // Cached entitlements of a former person with this subject have a lower epoch.
    const COPY: [&str; 4] = [
        "INSERT INTO menshen_identity (connector, subject, account, names, entitlements, \
             entitlements_epoch, used_at) \
             SELECT connector, ?3, account, names, entitlements, 1 + max(entitlements_epoch, \
             coalesce((SELECT max(entitlements_epoch) FROM menshen_former_identity \
             WHERE connector = ?1 AND subject = ?3), 0)), used_at \
             FROM menshen_identity WHERE connector = ?1 AND subject = ?2",
        "UPDATE menshen_vouched SET subject = ?3 WHERE connector = ?1 AND subject = ?2",
        "UPDATE menshen_membership SET subject = ?3 WHERE connector = ?1 AND subject = ?2",
        "UPDATE menshen_tag SET subject = ?3 WHERE connector = ?1 AND subject = ?2",
    ];
    const MOVE: [&str; 2] = [
        "UPDATE menshen_session SET subject = ?3 WHERE connector = ?1 AND subject = ?2",
        "DELETE FROM menshen_identity WHERE connector = ?1 AND subject = ?2",
    ];
    let first: &[&str] = if exists { &MERGE } else { &COPY };
    for sql in first.iter().chain(&MOVE) {
        sqlx::query(*sql)
            .bind(rename.connector.as_str())
            .bind(rename.from.as_str())
            .bind(rename.to.as_str())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}
