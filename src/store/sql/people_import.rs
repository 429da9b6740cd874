//! Imports people who may not have signed in yet, and finds them when they do.

use std::collections::HashMap;

use super::super::{
    Account, AccountChangeKind, AccountId, ConnectorId, ExpectOutcome, ImportConflict,
    ImportCounts, ImportOutcome, ImportedPerson, LoginName, SessionKey, Subject,
};
use super::person_fields::PersonFields;
use super::row::Columns;
use super::{
    Begin, Database, QueryError, Transaction, account_changes, accounts, person_fields, row, values,
};
use crate::clock::Timestamp;

/// The most people of one transaction. Others that change the directory wait for it, and in PostgreSQL every
/// login waits for a closing that waits.
const BATCH_MAX: usize = 200;

pub(super) async fn import(
    db: &impl Database,
    people: &[ImportedPerson],
    by: (Timestamp, &str),
) -> Result<ImportOutcome, QueryError> {
    let conflicts = find_conflicts(db, people).await?;
    if !conflicts.is_empty() {
        return Ok(ImportOutcome::Refused(conflicts));
    }
    let mut counts = ImportCounts::default();
    for (batch, first) in people.chunks(BATCH_MAX).zip((0..).step_by(BATCH_MAX)) {
        // Somebody may have got the subject after the search for conflicts.
        let found = import_batch(db, (batch, first), by, &mut counts).await?;
        match found {
            Some(conflict) if first == 0 => return Ok(ImportOutcome::Refused(vec![conflict])),
            Some(conflict) => return Ok(ImportOutcome::Interrupted { counts, conflict }),
            None => {}
        }
    }
    Ok(ImportOutcome::Imported(counts))
}

/// Imports a batch in one transaction; if there is a conflict, nothing of it. `first` is the index of its
/// first person.
async fn import_batch(
    db: &impl Database,
    (batch, first): (&[ImportedPerson], usize),
    by: (Timestamp, &str),
    counts: &mut ImportCounts,
) -> Result<Option<ImportConflict>, QueryError> {
    let mut tx = db.begin(Begin::Writing).await?;
    tx.lock_directory().await?;
    let mut with_batch = *counts;
    for (person, index) in batch.iter().zip(first..) {
        match import_one(&mut tx, person, by).await? {
            Imported::Created => with_batch.created += 1,
            Imported::Updated => with_batch.updated += 1,
            Imported::Unchanged => with_batch.unchanged += 1,
            Imported::SubjectTaken(taken_by) => {
                tx.roll_back().await?;
                return Ok(Some(ImportConflict { index, taken_by }));
            }
        }
    }
    tx.commit().await?;
    *counts = with_batch;
    Ok(None)
}

/// The people whose subject belongs to somebody else, now or after an earlier person of the same import.
/// Takes no lock.
async fn find_conflicts(
    db: &impl Database,
    people: &[ImportedPerson],
) -> Result<Vec<ImportConflict>, QueryError> {
    let mut tx = db.begin(Begin::Reading).await?;
    let mut conflicts = Vec::new();
    // To whom the import gives a subject, and which subject it expects of whom.
    let mut given: HashMap<(&ConnectorId, &Subject), &LoginName> = HashMap::new();
    let mut expected: HashMap<(&ConnectorId, String), &Subject> = HashMap::new();
    for (index, person) in people.iter().enumerate() {
        let Some((connector, Some(subject))) = &person.expected else {
            continue;
        };
        let login = person.login.folded();
        let (taken_by, is_identity) = match given.get(&(connector, subject)) {
            Some(login) => (Some((*login).clone()), false),
            None => match owner(&mut tx, connector, subject).await? {
                Some((owner, is_identity)) => {
                    let now = expected.get(&(connector, owner.login.folded()));
                    let is_replaced = !is_identity && now.is_some_and(|now| *now != subject);
                    ((!is_replaced).then_some(owner.login), is_identity)
                }
                None => (None, false),
            },
        };
        match taken_by {
            Some(taken_by) if taken_by.folded() != login => {
                conflicts.push(ImportConflict { index, taken_by });
            }
            Some(_) if is_identity => {}
            _ => {
                let before = expected.insert((connector, login), subject);
                if let Some(before) = before.filter(|before| *before != subject) {
                    given.remove(&(connector, before));
                }
                given.insert((connector, subject), &person.login);
            }
        }
    }
    tx.commit().await?;
    Ok(conflicts)
}

enum Imported {
    Created,
    Updated,
    Unchanged,
    SubjectTaken(LoginName),
}

async fn import_one(
    tx: &mut impl Transaction,
    person: &ImportedPerson,
    by: (Timestamp, &str),
) -> Result<Imported, QueryError> {
    let found = accounts::by_login(tx, &person.login).await?;
    let is_new = found.is_none();
    let is_closed = found.as_ref().is_some_and(|account| account.closed);
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
        if person_fields::set_vouched(tx, &id, *field, Some(value)).await? {
            let kind = AccountChangeKind::Vouched;
            account_changes::append(tx, &id, by, kind, field.as_str()).await?;
            changed = true;
        }
    }
    // Nobody is expected for a closed account: the source may have given the subject to another person.
    if let Some((connector, subject)) = person.expected.as_ref().filter(|_| !is_closed) {
        match expect(tx, &id, connector, subject.as_ref()).await? {
            Expectation::Stored => {
                let detail = match subject {
                    Some(subject) => format!("{connector}: {subject}"),
                    None => connector.to_string(),
                };
                let kind = AccountChangeKind::IdentityExpected;
                account_changes::append(tx, &id, by, kind, &detail).await?;
                changed = true;
            }
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
    tx: &mut impl Transaction,
    login: &LoginName,
    (at, by): (Timestamp, &str),
) -> Result<AccountId, QueryError> {
    let id = accounts::insert(tx, login, at).await?;
    let kind = AccountChangeKind::Created;
    account_changes::append(tx, &id, (at, by), kind, "").await?;
    Ok(id)
}

/// Lets the account of a session sign in with an identity that its source has confirmed.
pub(super) async fn expect_identity(
    db: &impl Database,
    session: &SessionKey,
    (connector, subject): (&ConnectorId, &Subject),
    by: (Timestamp, &str),
) -> Result<ExpectOutcome, QueryError> {
    let mut tx = db.begin(Begin::BesideRevocations).await?;
    tx.lock_directory().await?;
    let sql = "SELECT account FROM menshen_standing_session \
               WHERE key = $1 AND NOT closed AND expires_at > $2";
    let Some(found) = tx.row(sql, values![session, by.0]).await? else {
        tx.roll_back().await?;
        return Ok(ExpectOutcome::SessionEnded);
    };
    let account = AccountId::new(row::bytes(&found, "account", "session")?);
    match expect(&mut tx, &account, connector, Some(subject)).await? {
        Expectation::Taken(by) => {
            tx.roll_back().await?;
            return Ok(ExpectOutcome::Taken { by });
        }
        Expectation::Unchanged => {}
        Expectation::Stored => {
            let detail = format!("{connector}: {subject}");
            let kind = AccountChangeKind::IdentityExpected;
            account_changes::append(&mut tx, &account, by, kind, &detail).await?;
        }
    }
    tx.commit().await?;
    Ok(ExpectOutcome::Expected)
}

enum Expectation {
    Stored,
    Unchanged,
    Taken(LoginName),
}

/// Expects the person from a connector.
async fn expect(
    tx: &mut impl Transaction,
    account: &AccountId,
    connector: &ConnectorId,
    subject: Option<&Subject>,
) -> Result<Expectation, QueryError> {
    if let Some(subject) = subject
        && let Some((owner, _)) = owner(tx, connector, subject).await?
    {
        return Ok(match owner.id == *account {
            true => Expectation::Unchanged,
            false => Expectation::Taken(owner.login),
        });
    }
    // Whoever signed in through this connector before is not expected by login name: the source may have
    // given it to another person.
    let sql = "INSERT INTO menshen_expected_identity AS e (account, connector, subject) \
               SELECT $1, $2, CAST($3 AS text) WHERE CAST($3 AS text) IS NOT NULL OR NOT EXISTS \
               (SELECT 1 FROM menshen_identity WHERE account = $1 AND connector = $2 UNION ALL \
               SELECT 1 FROM menshen_former_identity WHERE account = $1 AND connector = $2) \
               ON CONFLICT (account, connector) DO UPDATE SET subject = excluded.subject \
               WHERE excluded.subject IS NOT NULL \
               AND e.subject IS DISTINCT FROM excluded.subject";
    let subject = subject.map(Subject::as_str);
    let stored = tx
        .execute(sql, values![account, connector, subject])
        .await?;
    Ok(match stored {
        0 => Expectation::Unchanged,
        _ => Expectation::Stored,
    })
}

/// The account that has this identity or is expected with it, and whether it has it.
async fn owner(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    subject: &Subject,
) -> Result<Option<(Account, bool)>, QueryError> {
    if let Some(known) = accounts::by_identity(tx, connector, subject).await? {
        return Ok(Some((known, true)));
    }
    let sql = "SELECT a.id, a.login, a.epoch, a.closed, a.local_department, a.local_groups \
               FROM menshen_expected_identity AS e JOIN menshen_account AS a ON a.id = e.account \
               WHERE e.connector = $1 AND e.subject = $2";
    let found = tx.row(sql, values![connector, subject]).await?;
    let account = found.as_ref().map(row::account).transpose()?;
    Ok(account.map(|account| (account, false)))
}

/// The account that expects this identity, and whether the identity sets its login name from now on.
pub(super) async fn find_expected(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    subject: &Subject,
    login: &LoginName,
) -> Result<Option<(Account, bool)>, QueryError> {
    // An account that has or had an identity may have a login name that an administrator chose: only the
    // first identity sets it.
    let sql = "SELECT a.id, a.login, a.epoch, a.closed, a.local_department, a.local_groups, \
               a.login_folded = $3 AND \
               NOT EXISTS (SELECT 1 FROM menshen_identity AS i WHERE i.account = a.id UNION ALL \
               SELECT 1 FROM menshen_former_identity AS f WHERE f.account = a.id) AS sets_login \
               FROM menshen_expected_identity AS e JOIN menshen_account AS a ON a.id = e.account \
               WHERE e.connector = $1 AND (e.subject = $2 \
               OR (e.subject IS NULL AND a.login_folded = $3 AND NOT EXISTS (SELECT 1 \
               FROM menshen_identity AS i WHERE i.account = a.id AND i.connector = $1 UNION ALL \
               SELECT 1 FROM menshen_former_identity AS f \
               WHERE f.account = a.id AND f.connector = $1))) \
               ORDER BY e.subject IS NULL LIMIT 1";
    let values = values![connector, subject, login.folded()];
    let Some(found) = tx.row(sql, values).await? else {
        return Ok(None);
    };
    let account = row::account(&found)?;
    let sets_login = found.boolean("sets_login")?;
    Ok(Some((account, sets_login)))
}

/// Deletes the expectation of an account that has the identity now.
pub(super) async fn delete_expectation(
    tx: &mut impl Transaction,
    account: &AccountId,
    connector: &ConnectorId,
) -> Result<(), QueryError> {
    let sql = "DELETE FROM menshen_expected_identity WHERE account = $1 AND connector = $2";
    tx.execute(sql, values![account, connector]).await?;
    Ok(())
}
