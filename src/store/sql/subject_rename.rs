//! Gives an identity the new subject of the same person.

use super::super::{AccountChangeKind, RevocationScope, SubjectRename, SubjectRenameOutcome};
use super::{
    Begin, Database, QueryError, Transaction, account_changes, accounts, revocations, values,
};
use crate::clock::Timestamp;

pub(super) async fn rename(
    db: &impl Database,
    rename: &SubjectRename,
    at: Timestamp,
) -> Result<SubjectRenameOutcome, QueryError> {
    let SubjectRename {
        connector,
        from,
        to,
        by,
    } = rename;
    let mut tx = db.begin(Begin::Revoking).await?;
    tx.lock_directory().await?;
    let Some(account) = accounts::by_identity(&mut tx, connector, from).await? else {
        tx.roll_back().await?;
        return Ok(SubjectRenameOutcome::Unknown);
    };
    let owner = accounts::by_identity(&mut tx, connector, to).await?;
    if let Some(owner) = owner.as_ref().filter(|owner| owner.id != account.id) {
        tx.roll_back().await?;
        return Ok(SubjectRenameOutcome::Taken { by: owner.id });
    }
    if from != to {
        move_identity(&mut tx, rename, owner.is_some()).await?;
        // As when an identity is added: one with this subject may have been taken off its account.
        let sql = "UPDATE menshen_identity SET entitlements_epoch = $3 \
                   WHERE connector = $1 AND subject = $2 AND entitlements_epoch < $3";
        tx.execute(sql, values![connector, to, at]).await?;
        let detail = format!("{connector}: {from} → {to}");
        let kind = AccountChangeKind::SubjectRenamed;
        account_changes::append(&mut tx, &account.id, (at, by), kind, &detail).await?;
    }
    let scope = RevocationScope::Account(account.id);
    let log_position = revocations::append_log(&mut tx, scope, account.epoch, at).await?;
    tx.commit().await?;
    Ok(SubjectRenameOutcome::Renamed {
        account,
        log_position,
    })
}

/// Moves the identity with its sessions, access tokens and verified fields. If the account has an identity
/// with the new subject already, the two become one.
async fn move_identity(
    tx: &mut impl Transaction,
    rename: &SubjectRename,
    account_has_new_subject: bool,
) -> Result<(), QueryError> {
    const MERGE_IDENTITIES: [&str; 1] = [
        "UPDATE menshen_identity SET names = names OR (SELECT names \
         FROM menshen_identity WHERE connector = $1 AND subject = $2) \
         WHERE connector = $1 AND subject = $3",
    ];
    // Cached entitlements of a former person with this subject have a lower epoch.
    const COPY_IDENTITY: [&str; 4] = [
        "INSERT INTO menshen_identity (connector, subject, account, names, entitlements, \
         entitlements_epoch, used_at) \
         SELECT connector, $3, account, names, entitlements, (SELECT 1 + max(epoch) FROM \
         (SELECT i.entitlements_epoch AS epoch UNION ALL \
         SELECT entitlements_epoch FROM menshen_former_identity \
         WHERE connector = $1 AND subject = $3) AS known), used_at \
         FROM menshen_identity AS i WHERE connector = $1 AND subject = $2",
        "UPDATE menshen_vouched SET subject = $3 WHERE connector = $1 AND subject = $2",
        "UPDATE menshen_membership SET subject = $3 WHERE connector = $1 AND subject = $2",
        "UPDATE menshen_tag SET subject = $3 WHERE connector = $1 AND subject = $2",
    ];
    const MOVE_CREDENTIALS: [&str; 2] = [
        "UPDATE menshen_session SET subject = $3 WHERE connector = $1 AND subject = $2",
        "UPDATE menshen_access_token SET subject = $3 WHERE connector = $1 AND subject = $2",
    ];
    let SubjectRename {
        connector,
        from,
        to,
        ..
    } = rename;
    let first: &[&'static str] = match account_has_new_subject {
        true => &MERGE_IDENTITIES,
        false => &COPY_IDENTITY,
    };
    for sql in first.iter().copied().chain(MOVE_CREDENTIALS) {
        tx.execute(sql, values![connector, from, to]).await?;
    }
    let sql = "DELETE FROM menshen_identity WHERE connector = $1 AND subject = $2";
    tx.execute(sql, values![connector, from]).await?;
    Ok(())
}
