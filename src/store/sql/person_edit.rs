//! Applies changes of a person by an administrator.

use super::super::{
    AccountChangeKind, AccountId, EditOutcome, LocalEntitlements, PersonEdit, RevocationScope,
};
use super::person_fields::PersonFields;
use super::{
    Begin, Database, QueryError, Transaction, account_changes, accounts, local_entitlements,
    person_fields, revocations, row, values,
};
use crate::clock::Timestamp;

pub(super) async fn edit(
    db: &impl Database,
    account: &AccountId,
    edit: &PersonEdit,
    (at, by): (Timestamp, &str),
) -> Result<EditOutcome, QueryError> {
    let mut tx = db.begin(Begin::Revoking).await?;
    tx.lock_directory().await?;
    let sql = "SELECT id, login, epoch, closed, local_department, local_groups \
               FROM menshen_account WHERE id = $1";
    let found = tx.row(sql, values![account]).await?;
    let Some(known) = found.as_ref().map(row::account).transpose()? else {
        tx.roll_back().await?;
        return Ok(EditOutcome::Unknown);
    };
    let mut is_logged = false;
    if let Some(login) = edit.login.as_ref().filter(|login| **login != known.login) {
        if !accounts::rename(&mut tx, &known, login, (at, by)).await? {
            let owner = accounts::by_login(&mut tx, login).await?;
            tx.roll_back().await?;
            let by = owner.ok_or(QueryError::Damaged("account"))?.id;
            return Ok(EditOutcome::LoginTaken { by });
        }
        // The login name given by hand stays: no identity changes it at the next login.
        let sql = "UPDATE menshen_identity SET names = FALSE WHERE account = $1";
        tx.execute(sql, values![account]).await?;
        // Also one that returns when the account is reopened.
        let sql = "UPDATE menshen_former_identity SET names = FALSE WHERE account = $1";
        tx.execute(sql, values![account]).await?;
        is_logged = true;
    }
    let old = known.local.as_deref().cloned().unwrap_or_default();
    let new = LocalEntitlements {
        department: edit
            .local_department
            .clone()
            .unwrap_or_else(|| old.department.clone()),
        groups: edit
            .local_groups
            .clone()
            .unwrap_or_else(|| old.groups.clone()),
    };
    is_logged |= local_entitlements::write(&mut tx, account, (&old, &new), (at, by)).await?;
    let old = person_fields::read(&mut tx, account).await?;
    let new = PersonFields {
        name: edit.name.clone().unwrap_or_else(|| old.name.clone()),
        email: edit.email.clone().unwrap_or_else(|| old.email.clone()),
        mobile: edit.mobile.clone().unwrap_or_else(|| old.mobile.clone()),
    };
    person_fields::write(&mut tx, account, (&old, &new), (at, by)).await?;
    for (field, value) in &edit.vouched {
        let changed = person_fields::set_vouched(&mut tx, account, *field, value.as_deref());
        if changed.await? {
            let kind = AccountChangeKind::Vouched;
            let detail = field.as_str();
            account_changes::append(&mut tx, account, (at, by), kind, detail).await?;
        }
    }
    let log_position = match is_logged {
        true => {
            let scope = RevocationScope::Account(*account);
            Some(revocations::append_log(&mut tx, scope, known.epoch, at).await?)
        }
        false => None,
    };
    tx.commit().await?;
    Ok(EditOutcome::Stored { log_position })
}
