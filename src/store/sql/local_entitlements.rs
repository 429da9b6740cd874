//! The department and the groups that menshen itself gives a person.

use super::super::{AccountChangeKind, AccountId, DepartmentPath, GroupName, LocalEntitlements};
use super::{QueryError, Transaction, account_changes, values};
use crate::clock::Timestamp;

/// Stores them if they differ from `old`, with an entry in the history; whether they did.
pub(super) async fn write(
    tx: &mut impl Transaction,
    account: &AccountId,
    (old, new): (&LocalEntitlements, &LocalEntitlements),
    by: (Timestamp, &str),
) -> Result<bool, QueryError> {
    let mut changed = Vec::new();
    if old.department != new.department {
        changed.push("local_department");
    }
    if old.groups != new.groups {
        changed.push("local_groups");
    }
    if changed.is_empty() {
        return Ok(false);
    }
    let sql = "UPDATE menshen_account SET local_department = $2, local_groups = $3 WHERE id = $1";
    let department = new.department.as_ref().map(DepartmentPath::as_str);
    let groups: Vec<_> = new.groups.iter().map(GroupName::as_str).collect();
    let groups = (!groups.is_empty())
        .then(|| serde_json::to_string(&groups).expect("a list of texts is plain data"));
    tx.execute(sql, values![account, department, groups])
        .await?;
    let kind = AccountChangeKind::FieldsChanged;
    account_changes::append(tx, account, by, kind, &changed.join(", ")).await?;
    Ok(true)
}
