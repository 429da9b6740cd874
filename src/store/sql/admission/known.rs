//! Identities that are known: what a login, or an answer of the source, changes of them, and what other
//! processes learn of it.

use super::super::super::{Account, AccountId, Admission, AdmissionOutcome, Revocation};
use super::super::row::Columns;
use super::super::{QueryError, Transaction, accounts, revocations, row, values, vouched_fields};
use super::{Occasion, admitted, by, update_directory};

/// An identity that is known.
pub(super) struct KnownIdentity {
    account: Account,
    /// Whether this identity sets the login name of the account.
    sets_login: bool,
    /// Its stored fields, and their version.
    entitlements: String,
    entitlements_epoch: u64,
}

/// Updates a known identity of an open account, and returns what tells other processes. The transaction began
/// as [`super::super::Begin::Revoking`], and no account is renamed.
pub(in crate::store::sql) async fn update_known(
    tx: &mut impl Transaction,
    admission: &Admission,
) -> Result<Option<Revocation>, QueryError> {
    let Some(known) = find(tx, admission).await? else {
        return Ok(None);
    };
    let occasion = (Occasion::SignIn, true);
    let updated = update(tx, admission, occasion, known).await?;
    let Some((AdmissionOutcome::Account(updated), announced)) = updated else {
        return Ok(None);
    };
    update_directory(tx, admission, &updated.account.id, false).await?;
    let Admission {
        connector,
        subject,
        vouched,
        ..
    } = admission;
    vouched_fields::write(tx, connector, subject, vouched).await?;
    Ok(announced)
}

/// The account of a known identity.
pub(in crate::store::sql) async fn account_of_known(
    tx: &mut impl Transaction,
    admission: &Admission,
) -> Result<Option<AccountId>, QueryError> {
    let known = find(tx, admission).await?;
    Ok(known.map(|known| known.account.id))
}

/// The identity, with its account.
pub(super) async fn find(
    tx: &mut impl Transaction,
    admission: &Admission,
) -> Result<Option<KnownIdentity>, QueryError> {
    let sql = "SELECT a.id, a.login, a.epoch, a.closed, a.local_department, a.local_groups, i.names, \
               i.entitlements, i.entitlements_epoch \
               FROM menshen_identity AS i JOIN menshen_account AS a ON a.id = i.account \
               WHERE i.connector = $1 AND i.subject = $2";
    let key = values![&admission.connector, &admission.subject];
    let Some(found) = tx.row(sql, key).await? else {
        return Ok(None);
    };
    Ok(Some(KnownIdentity {
        account: row::account(&found)?,
        sets_login: found.boolean("names")?,
        entitlements: found.text("entitlements")?.to_owned(),
        entitlements_epoch: row::number(&found, "entitlements_epoch", "identity")?,
    }))
}

/// Returns also what tells other processes of the change. `None` as for [`super::admit_one`].
pub(super) async fn update(
    tx: &mut impl Transaction,
    admission: &Admission,
    (occasion, may_announce): (Occasion, bool),
    known: KnownIdentity,
) -> Result<Option<(AdmissionOutcome, Option<Revocation>)>, QueryError> {
    let KnownIdentity {
        mut account,
        sets_login,
        entitlements: known_entitlements,
        entitlements_epoch: known_epoch,
    } = known;
    if account.closed {
        return Ok(Some((AdmissionOutcome::Closed(account.id), None)));
    }
    // Only the identity that created the account renames it: two identities with different mappings would
    // otherwise rename it in turns, and each time free a login name for another person.
    let may_rename = admission.is_login || occasion == Occasion::Listing;
    let has_other_login = sets_login && admission.sync && account.login != admission.login;
    let mut is_changed = admission.sync && known_entitlements != admission.entitlements;
    if may_rename && has_other_login {
        is_changed |= match may_announce {
            true => rename(tx, admission, &mut account).await?,
            false => is_free(tx, admission, &account).await?,
        };
    }
    if is_changed && !may_announce {
        return Ok(None);
    }
    tx.lock_account(&account.id).await?;
    let sql = "UPDATE menshen_identity SET used_at = CASE WHEN $6 THEN $3 ELSE used_at END, \
               entitlements = CASE WHEN $5 THEN $4 ELSE entitlements END, \
               entitlements_epoch = CASE WHEN $5 AND entitlements <> $4 \
               THEN entitlements_epoch + 1 ELSE entitlements_epoch END \
               WHERE connector = $1 AND subject = $2 RETURNING entitlements_epoch";
    let Admission {
        connector,
        subject,
        at,
        entitlements,
        sync,
        ..
    } = admission;
    let is_used = occasion != Occasion::Listing;
    let values = values![connector, subject, *at, entitlements, *sync, is_used];
    let Some(updated) = tx.row(sql, values).await? else {
        // The identity was detached from its account, or got another subject, after it was found.
        return Ok(Some((AdmissionOutcome::Unknown, None)));
    };
    let entitlements_epoch = row::number(&updated, "entitlements_epoch", "identity")?;
    // Another transaction may have changed the fields after they were read.
    is_changed |= entitlements_epoch != known_epoch;
    let announced = match (is_changed, may_announce) {
        (false, _) => None,
        (true, false) => return Ok(None),
        (true, true) => revocations::announce_change(tx, &account.id, *at).await?,
    };
    Ok(Some((admitted(account, entitlements_epoch), announced)))
}

/// Whether no other account has the login name of the admission.
async fn is_free(
    tx: &mut impl Transaction,
    admission: &Admission,
    account: &Account,
) -> Result<bool, QueryError> {
    let owner = accounts::by_login(tx, &admission.login).await?;
    Ok(owner.is_none_or(|owner| owner.id == account.id))
}

/// Gives the account the login name of the admission, if that is free; whether it has it now.
async fn rename(
    tx: &mut impl Transaction,
    admission: &Admission,
    account: &mut Account,
) -> Result<bool, QueryError> {
    // Before any row is locked: a transaction that creates accounts holds this lock first, too.
    tx.lock_directory().await?;
    if !accounts::rename(tx, account, &admission.login, by(admission)).await? {
        return Ok(false);
    }
    account.login = admission.login.clone();
    Ok(true)
}
