//! Accounts and their identities, in SQLite.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::super::{
    Account, AccountChange, AccountChangeKind, AccountId, AccountStore, Admission,
    AdmissionOutcome, Closing, ConnectorId, LinkField, LoginName, Reopening, Revocation,
    StoreError, Subject, SubjectRename, SubjectRenameOutcome,
};
use super::{
    QueryError, Sqlite, account_changes, closing, departments, people_changes, person_fields, row,
    run, subject_rename,
};
use crate::clock::Timestamp;
use crate::keys;

#[async_trait]
impl AccountStore for Sqlite {
    async fn admit(&self, admission: &Admission) -> Result<AdmissionOutcome, StoreError> {
        run("admit a person", async {
            let mut tx = self.begin_write().await?;
            let known = find_by_identity(&mut tx, admission).await?;
            let is_new = known.is_none();
            let vouches = is_new || admission.is_login;
            let admitted = match known {
                Some((account, sets_login)) => {
                    update_known_identity(&mut tx, admission, account, sets_login).await?
                }
                None => admit_unknown_identity(&mut tx, admission).await?,
            };
            if let AdmissionOutcome::Account(account) = &admitted {
                update_directory(&mut tx, admission, &account.id, is_new).await?;
                if vouches {
                    let Admission {
                        connector, subject, ..
                    } = admission;
                    replace_vouched_fields(&mut tx, connector, subject, &admission.vouched).await?;
                }
                tx.commit().await?;
            } else {
                tx.roll_back().await?;
            }
            Ok(admitted)
        })
        .await
    }

    async fn account_by_login(&self, login: &LoginName) -> Result<Option<Account>, StoreError> {
        run("find an account by its login", async {
            by_login(&mut *self.reader().await?, login).await
        })
        .await
    }

    async fn identities(
        &self,
        account: &AccountId,
    ) -> Result<Vec<(ConnectorId, Subject, String)>, StoreError> {
        run("read an account's identities", async {
            let sql = "SELECT connector, subject, entitlements FROM menshen_identity WHERE account = ?1 \
                       ORDER BY used_at DESC, connector, subject";
            let id = account.as_bytes().as_slice();
            let mut db = self.reader().await?;
            let rows = sqlx::query(sql).bind(id).fetch_all(&mut *db).await?;
            let identity = |found: &SqliteRow| {
                let connector = row::parsed(found, "connector", "identity")?;
                let subject = row::parsed(found, "subject", "identity")?;
                Ok((connector, subject, found.try_get("entitlements")?))
            };
            rows.iter().map(identity).collect()
        })
        .await
    }

    async fn account_by_identity(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
    ) -> Result<Option<Account>, StoreError> {
        run("find an account by its identity", async {
            let mut db = self.reader().await?;
            account_of(&mut db, connector, subject).await
        })
        .await
    }

    async fn close_account(
        &self,
        account: &AccountId,
        closing: &Closing,
        at: Timestamp,
    ) -> Result<Option<Revocation>, StoreError> {
        closing::close(self, account, closing, at).await
    }

    async fn reopen_account(
        &self,
        account: &AccountId,
        by: &str,
        at: Timestamp,
    ) -> Result<Option<Reopening>, StoreError> {
        closing::reopen(self, account, by, at).await
    }

    async fn rename_subject(
        &self,
        rename: &SubjectRename,
        at: Timestamp,
    ) -> Result<SubjectRenameOutcome, StoreError> {
        subject_rename::rename(self, rename, at).await
    }

    async fn account_changes(
        &self,
        account: &AccountId,
        before: Option<i64>,
        max: u32,
    ) -> Result<Vec<AccountChange>, StoreError> {
        account_changes::read(self, account, before, max).await
    }
}

/// The account with this login name.
pub(super) async fn by_login(
    db: &mut SqliteConnection,
    login: &LoginName,
) -> Result<Option<Account>, QueryError> {
    let sql = "SELECT id, login, epoch, closed FROM menshen_account WHERE login_folded = ?1";
    let found = sqlx::query(sql)
        .bind(login.folded())
        .fetch_optional(db)
        .await?;
    found.as_ref().map(row::account).transpose()
}

/// The account of an identity.
pub(super) async fn account_of(
    db: &mut SqliteConnection,
    connector: &ConnectorId,
    subject: &Subject,
) -> Result<Option<Account>, QueryError> {
    let sql = "SELECT a.id, a.login, a.epoch, a.closed \
               FROM menshen_identity AS i JOIN menshen_account AS a ON a.id = i.account \
               WHERE i.connector = ?1 AND i.subject = ?2";
    let found = sqlx::query(sql)
        .bind(connector.as_str())
        .bind(subject.as_str())
        .fetch_optional(db)
        .await?;
    found.as_ref().map(row::account).transpose()
}

/// The account of a known identity, and whether this identity sets the account's login name.
async fn find_by_identity(
    tx: &mut SqliteConnection,
    admission: &Admission,
) -> Result<Option<(Account, bool)>, QueryError> {
    let sql = "SELECT a.id, a.login, a.epoch, a.closed, i.names \
               FROM menshen_identity AS i JOIN menshen_account AS a ON a.id = i.account \
               WHERE i.connector = ?1 AND i.subject = ?2";
    let found = sqlx::query(sql)
        .bind(admission.connector.as_str())
        .bind(admission.subject.as_str())
        .fetch_optional(tx)
        .await?;
    found
        .map(|found| Ok((row::account(&found)?, found.try_get("names")?)))
        .transpose()
}

async fn update_known_identity(
    tx: &mut SqliteConnection,
    admission: &Admission,
    mut account: Account,
    sets_login: bool,
) -> Result<AdmissionOutcome, QueryError> {
    if account.closed {
        return Ok(AdmissionOutcome::Closed(account.id));
    }
    let sql = "UPDATE menshen_identity SET used_at = ?3, \
               entitlements = CASE WHEN ?5 THEN ?4 ELSE entitlements END, \
               entitlements_epoch = entitlements_epoch + (?5 AND entitlements <> ?4) \
               WHERE connector = ?1 AND subject = ?2";
    sqlx::query(sql)
        .bind(admission.connector.as_str())
        .bind(admission.subject.as_str())
        .bind(admission.at.unix_ms())
        .bind(&admission.entitlements)
        .bind(admission.sync)
        .execute(&mut *tx)
        .await?;
    // Only the identity that created the account renames it: two identities with different mappings would
    // otherwise rename it in turns, and each time free a login name for another person.
    let sets_login = sets_login && admission.sync;
    if sets_login
        && account.login != admission.login
        && rename(tx, &account, &admission.login, by(admission)).await?
    {
        account.login = admission.login.clone();
    }
    Ok(AdmissionOutcome::Account(account))
}

/// Renames an account; false if another account has the login name.
pub(super) async fn rename(
    tx: &mut SqliteConnection,
    account: &Account,
    login: &LoginName,
    by: (Timestamp, &str),
) -> Result<bool, QueryError> {
    let sql = "UPDATE menshen_account SET login = ?2, login_folded = ?3 WHERE id = ?1 AND NOT EXISTS \
               (SELECT 1 FROM menshen_account WHERE login_folded = ?3 AND id <> ?1)";
    let renamed = sqlx::query(sql)
        .bind(account.id.as_bytes().as_slice())
        .bind(login.as_str())
        .bind(login.folded())
        .execute(&mut *tx)
        .await?;
    if renamed.rows_affected() != 1 {
        return Ok(false);
    }
    let detail = format!("{} → {login}", account.login);
    let kind = AccountChangeKind::LoginChanged;
    account_changes::append(tx, &account.id, by, kind, &detail).await?;
    Ok(true)
}

/// Who changes an account at a login: the connector.
fn by(admission: &Admission) -> (Timestamp, &str) {
    (admission.at, admission.connector.as_str())
}

/// Finds the account that expects the identity or is linked to it, or creates one.
async fn admit_unknown_identity(
    tx: &mut SqliteConnection,
    admission: &Admission,
) -> Result<AdmissionOutcome, QueryError> {
    let Admission {
        connector,
        subject,
        login,
        ..
    } = admission;
    let expected = people_changes::take_expected(tx, connector, subject, login).await?;
    if let Some((account, sets_login)) = expected {
        return link(tx, admission, account, sets_login).await;
    }
    match find_linked(tx, &admission.links).await? {
        LinkMatch::One(account) => link(tx, admission, account, false).await,
        LinkMatch::Several(field) => Ok(AdmissionOutcome::AmbiguousLink { field }),
        LinkMatch::None => admit_new(tx, admission).await,
    }
}

/// Stores what the login tells of the person.
async fn update_directory(
    tx: &mut SqliteConnection,
    admission: &Admission,
    account: &AccountId,
    is_new: bool,
) -> Result<(), QueryError> {
    let Admission {
        connector,
        subject,
        fields,
        ..
    } = admission;
    if admission.is_login {
        person_fields::set_seen(tx, account, admission.at).await?;
    }
    if !is_new && !admission.sync {
        return Ok(());
    }
    let sql = "SELECT names FROM menshen_identity WHERE connector = ?1 AND subject = ?2";
    let names = sqlx::query_scalar(sql)
        .bind(connector.as_str())
        .bind(subject.as_str())
        .fetch_one(&mut *tx)
        .await?;
    person_fields::write_from_source(tx, account, (fields, names), by(admission)).await?;
    departments::write_of_identity(tx, connector, subject, fields).await
}

/// The accounts that have a link value.
enum LinkMatch {
    None,
    One(Account),
    Several(LinkField),
}

/// The account of the first link field whose value an account has.
async fn find_linked(
    tx: &mut SqliteConnection,
    links: &[(LinkField, String)],
) -> Result<LinkMatch, QueryError> {
    let sql = "SELECT DISTINCT a.id, a.login, a.epoch, a.closed FROM \
               (SELECT i.account FROM menshen_vouched AS v \
               JOIN menshen_identity AS i ON i.connector = v.connector AND i.subject = v.subject \
               WHERE v.field = ?1 AND v.value = ?2 \
               UNION SELECT account FROM menshen_account_vouched WHERE field = ?1 AND value = ?2) AS l \
               JOIN menshen_account AS a ON a.id = l.account LIMIT 2";
    for (field, value) in links {
        let rows = sqlx::query(sql)
            .bind(field.as_str())
            .bind(value)
            .fetch_all(&mut *tx)
            .await?;
        match rows.as_slice() {
            [] => {}
            [only] => return row::account(only).map(LinkMatch::One),
            _ => return Ok(LinkMatch::Several(*field)),
        }
    }
    Ok(LinkMatch::None)
}

async fn link(
    tx: &mut SqliteConnection,
    admission: &Admission,
    account: Account,
    sets_login: bool,
) -> Result<AdmissionOutcome, QueryError> {
    if account.closed {
        return Ok(AdmissionOutcome::Closed(account.id));
    }
    add_identity(tx, admission, &account.id, sets_login).await?;
    let detail = format!("{}: {}", admission.connector, admission.subject);
    let kind = AccountChangeKind::Linked;
    account_changes::append(tx, &account.id, by(admission), kind, &detail).await?;
    Ok(AdmissionOutcome::Account(account))
}

async fn admit_new(
    tx: &mut SqliteConnection,
    admission: &Admission,
) -> Result<AdmissionOutcome, QueryError> {
    if let Some(taken) = by_login(tx, &admission.login).await? {
        return Ok(AdmissionOutcome::LoginTaken { by: taken.id });
    }
    if !admission.create {
        return Ok(AdmissionOutcome::Unknown);
    }
    let id = insert(tx, &admission.login, admission.at).await?;
    add_identity(tx, admission, &id, true).await?;
    let detail = format!("{}: {}", admission.connector, admission.subject);
    let kind = AccountChangeKind::Created;
    account_changes::append(tx, &id, by(admission), kind, &detail).await?;
    let login = admission.login.clone();
    Ok(AdmissionOutcome::Account(Account {
        id,
        login,
        epoch: 0,
        closed: false,
    }))
}

/// Inserts an account whose login name is free.
pub(super) async fn insert(
    tx: &mut SqliteConnection,
    login: &LoginName,
    at: Timestamp,
) -> Result<AccountId, QueryError> {
    let id = AccountId::new(keys::random());
    let sql =
        "INSERT INTO menshen_account (id, login, login_folded, created_at) VALUES (?1, ?2, ?3, ?4)";
    sqlx::query(sql)
        .bind(id.as_bytes().as_slice())
        .bind(login.as_str())
        .bind(login.folded())
        .bind(at.unix_ms())
        .execute(tx)
        .await?;
    Ok(id)
}

async fn add_identity(
    tx: &mut SqliteConnection,
    admission: &Admission,
    account: &AccountId,
    sets_login: bool,
) -> Result<(), QueryError> {
    // Cached entitlements of the subject's former person have a lower epoch, so these replace them.
    let sql = "INSERT INTO menshen_identity \
               (connector, subject, account, names, entitlements, used_at, entitlements_epoch) \
               SELECT ?1, ?2, ?3, ?4, ?5, ?6, coalesce(max(entitlements_epoch) + 1, 0) \
               FROM menshen_former_identity WHERE connector = ?1 AND subject = ?2";
    sqlx::query(sql)
        .bind(admission.connector.as_str())
        .bind(admission.subject.as_str())
        .bind(account.as_bytes().as_slice())
        .bind(sets_login)
        .bind(&admission.entitlements)
        .bind(admission.at.unix_ms())
        .execute(tx)
        .await?;
    Ok(())
}

/// Replaces the vouched fields of an identity.
pub(super) async fn replace_vouched_fields(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    subject: &Subject,
    vouched: &[(LinkField, String)],
) -> Result<(), QueryError> {
    sqlx::query("DELETE FROM menshen_vouched WHERE connector = ?1 AND subject = ?2")
        .bind(connector.as_str())
        .bind(subject.as_str())
        .execute(&mut *tx)
        .await?;
    let sql = "INSERT INTO menshen_vouched (connector, subject, field, value) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT DO NOTHING";
    for (field, value) in vouched {
        sqlx::query(sql)
            .bind(connector.as_str())
            .bind(subject.as_str())
            .bind(field.as_str())
            .bind(value)
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}
