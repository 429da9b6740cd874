//! Imports people and applies changes by an administrator, in SQLite.

use sqlx::{Row as _, SqliteConnection};

use super::super::person_fields::PersonFields;
use super::super::{
    Account, AccountChangeKind, AccountId, ConnectorId, EditOutcome, ImportConflict, ImportCounts,
    ImportOutcome, ImportedPerson, LinkField, LoginName, PersonEdit, RevocationScope, StoreError,
    Subject,
};
use super::{QueryError, Sqlite, account_changes, accounts, person_fields, revocations, row, run};
use crate::clock::Timestamp;

pub(super) async fn import(
    store: &Sqlite,
    people: &[ImportedPerson],
    by: (Timestamp, &str),
) -> Result<ImportOutcome, StoreError> {
    run("import people", async {
        let mut tx = store.begin_write().await?;
        let mut counts = ImportCounts::default();
        let mut conflicts = Vec::new();
        for (index, person) in people.iter().enumerate() {
            match import_one(&mut tx, person, by).await? {
                Imported::Created => counts.created += 1,
                Imported::Updated => counts.updated += 1,
                Imported::Unchanged => counts.unchanged += 1,
                Imported::SubjectTaken(taken_by) => {
                    conflicts.push(ImportConflict { index, taken_by });
                }
            }
        }
        if conflicts.is_empty() {
            tx.commit().await?;
            return Ok(ImportOutcome::Imported(counts));
        }
        tx.roll_back().await?;
        Ok(ImportOutcome::Refused(conflicts))
    })
    .await
}

enum Imported {
    Created,
    Updated,
    Unchanged,
    SubjectTaken(LoginName),
}

async fn import_one(
    tx: &mut SqliteConnection,
    person: &ImportedPerson,
    by: (Timestamp, &str),
) -> Result<Imported, QueryError> {
    let found = accounts::by_login(tx, &person.login).await?;
    let is_new = found.is_none();
    let id = match found {
        Some(account) => account.id,
        None => create(tx, &person.login, by).await?,
    };
    let old = person_fields::read(tx, &id).await?;
    let new = PersonFields {
        name: person.name.clone().or_else(|| old.name.clone()),
        email: person.email.clone().or_else(|| old.email.clone()),
        mobile: person.mobile.clone().or_else(|| old.mobile.clone()),
    };
    let mut changed = person_fields::write(tx, &id, (&old, &new), by).await?;
    for (field, value) in &person.vouched {
        changed |= set_vouched(tx, &id, *field, Some(value)).await?;
    }
    if let Some((connector, subject)) = &person.expected {
        match expect(tx, &id, connector, subject.as_ref()).await? {
            Expectation::Stored => changed = true,
            Expectation::Unchanged => {}
            Expectation::Taken(by) => return Ok(Imported::SubjectTaken(by)),
        }
    }
    Ok(match (is_new, changed) {
        (true, _) => Imported::Created,
        (false, true) => Imported::Updated,
        (false, false) => Imported::Unchanged,
    })
}

async fn create(
    tx: &mut SqliteConnection,
    login: &LoginName,
    (at, by): (Timestamp, &str),
) -> Result<AccountId, QueryError> {
    let id = accounts::insert(tx, login, at).await?;
    let kind = AccountChangeKind::Created;
    account_changes::append(tx, &id, (at, by), kind, "").await?;
    Ok(id)
}

enum Expectation {
    Stored,
    Unchanged,
    Taken(LoginName),
}

/// Expects the person from a connector.
async fn expect(
    tx: &mut SqliteConnection,
    account: &AccountId,
    connector: &ConnectorId,
    subject: Option<&Subject>,
) -> Result<Expectation, QueryError> {
    if let Some(subject) = subject
        && let Some(owner) = owner(tx, connector, subject).await?
    {
        return Ok(match owner.id == *account {
            true => Expectation::Unchanged,
            false => Expectation::Taken(owner.login),
        });
    }
    // Whoever signed in through this connector before needs no expectation by login name.
    let sql = "INSERT INTO menshen_expected_identity (account, connector, subject) \
               SELECT ?1, ?2, ?3 WHERE ?3 IS NOT NULL OR NOT EXISTS \
               (SELECT 1 FROM menshen_identity WHERE account = ?1 AND connector = ?2) \
               ON CONFLICT (account, connector) DO UPDATE SET subject = excluded.subject \
               WHERE excluded.subject IS NOT NULL AND subject IS NOT excluded.subject";
    let stored = sqlx::query(sql)
        .bind(account.as_bytes().as_slice())
        .bind(connector.as_str())
        .bind(subject.map(Subject::as_str))
        .execute(tx)
        .await?;
    Ok(match stored.rows_affected() {
        0 => Expectation::Unchanged,
        _ => Expectation::Stored,
    })
}

/// The account that has this identity or is expected with it.
async fn owner(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    subject: &Subject,
) -> Result<Option<Account>, QueryError> {
    let known = accounts::account_of(tx, connector, subject).await?;
    if known.is_some() {
        return Ok(known);
    }
    let sql = "SELECT a.id, a.login, a.epoch, a.closed \
               FROM menshen_expected_identity AS e JOIN menshen_account AS a ON a.id = e.account \
               WHERE e.connector = ?1 AND e.subject = ?2";
    let found = sqlx::query(sql)
        .bind(connector.as_str())
        .bind(subject.as_str())
        .fetch_optional(tx)
        .await?;
    found.as_ref().map(row::account).transpose()
}

/// Sets or removes what an administrator vouches for; whether it changed.
async fn set_vouched(
    tx: &mut SqliteConnection,
    account: &AccountId,
    field: LinkField,
    value: Option<&str>,
) -> Result<bool, QueryError> {
    let sql = match value {
        Some(_) => {
            "INSERT INTO menshen_account_vouched (account, field, value) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET value = excluded.value WHERE value <> excluded.value"
        }
        None => "DELETE FROM menshen_account_vouched WHERE account = ?1 AND field = ?2",
    };
    let changed = sqlx::query(sql)
        .bind(account.as_bytes().as_slice())
        .bind(field.as_str())
        .bind(value)
        .execute(tx)
        .await?;
    Ok(changed.rows_affected() > 0)
}

pub(super) async fn edit(
    store: &Sqlite,
    account: &AccountId,
    edit: &PersonEdit,
    (at, by): (Timestamp, &str),
) -> Result<EditOutcome, StoreError> {
    run("change a person", async {
        let mut tx = store.begin_write().await?;
        let sql = "SELECT id, login, epoch, closed FROM menshen_account WHERE id = ?1";
        let found = sqlx::query(sql)
            .bind(account.as_bytes().as_slice())
            .fetch_optional(&mut *tx)
            .await?;
        let Some(known) = found.as_ref().map(row::account).transpose()? else {
            tx.roll_back().await?;
            return Ok(EditOutcome::Unknown);
        };
        let mut log = None;
        if let Some(login) = edit.login.as_ref().filter(|login| **login != known.login) {
            if !accounts::rename(&mut tx, &known, login, (at, by)).await? {
                let owner = accounts::by_login(&mut tx, login).await?;
                tx.roll_back().await?;
                let by = owner.ok_or(QueryError::Damaged("account"))?.id;
                return Ok(EditOutcome::LoginTaken { by });
            }
            // The login name given by hand stays: no identity changes it at the next login.
            sqlx::query("UPDATE menshen_identity SET names = 0 WHERE account = ?1")
                .bind(account.as_bytes().as_slice())
                .execute(&mut *tx)
                .await?;
            let scope = RevocationScope::Account(*account);
            log = Some(revocations::append_log(&mut tx, scope, known.epoch, at).await?);
        }
        let old = person_fields::read(&mut tx, account).await?;
        let new = PersonFields {
            name: edit.name.clone().unwrap_or_else(|| old.name.clone()),
            email: edit.email.clone().unwrap_or_else(|| old.email.clone()),
            mobile: edit.mobile.clone().unwrap_or_else(|| old.mobile.clone()),
        };
        person_fields::write(&mut tx, account, (&old, &new), (at, by)).await?;
        for (field, value) in &edit.vouched {
            set_vouched(&mut tx, account, *field, value.as_deref()).await?;
        }
        tx.commit().await?;
        Ok(EditOutcome::Stored { log })
    })
    .await
}

/// The account that expects this identity, and whether the identity names it from now on. The
/// expectation is used up.
pub(super) async fn take_expected(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    subject: &Subject,
    login: &LoginName,
) -> Result<Option<(Account, bool)>, QueryError> {
    let sql = "SELECT a.id, a.login, a.epoch, a.closed, a.login_folded = ?3 AS same_login, \
               NOT EXISTS (SELECT 1 FROM menshen_identity AS i WHERE i.account = a.id AND i.names) \
               AS is_unnamed \
               FROM menshen_expected_identity AS e JOIN menshen_account AS a ON a.id = e.account \
               WHERE e.connector = ?1 AND (e.subject = ?2 \
               OR (e.subject IS NULL AND a.login_folded = ?3)) \
               ORDER BY e.subject IS NULL LIMIT 1";
    let found = sqlx::query(sql)
        .bind(connector.as_str())
        .bind(subject.as_str())
        .bind(login.folded())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(found) = found else {
        return Ok(None);
    };
    let account = row::account(&found)?;
    let names: bool = found.try_get("same_login")?;
    let names = names && found.try_get("is_unnamed")?;
    sqlx::query("DELETE FROM menshen_expected_identity WHERE account = ?1 AND connector = ?2")
        .bind(account.id.as_bytes().as_slice())
        .bind(connector.as_str())
        .execute(tx)
        .await?;
    Ok(Some((account, names)))
}
