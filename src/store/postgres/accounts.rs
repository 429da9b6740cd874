//! Accounts and their identities, in PostgreSQL.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::super::query_error::run;
use super::super::{
    Account, AccountChange, AccountChangeKind, AccountId, AccountStore, Admission,
    AdmissionOutcome, Closing, ConnectorId, LinkField, LoginName, Reopening, Revocation,
    StoreError, Subject, SubjectRename, SubjectRenameOutcome, row,
};
use super::{
    Begin, Postgres, QueryError, Transaction, account_changes, closing, departments,
    people_changes, person_fields, subject_rename,
};
use crate::clock::Timestamp;
use crate::keys;

#[async_trait]
impl AccountStore for Postgres {
    async fn admit(&self, admission: &Admission) -> Result<AdmissionOutcome, StoreError> {
        run("admit a person", async {
            let mut tx = self.begin(Begin::Writing).await?;
            let mut known = find_known(&mut tx, admission).await?;
            if known.is_none() {
                // Another login may make the same account in this moment.
                tx.lock_directory().await?;
                known = find_known(&mut tx, admission).await?;
            }
            let is_new = known.is_none();
            let vouches = is_new || admission.is_login;
            let admitted = match known {
                Some((account, names)) => admit_known(&mut tx, admission, account, names).await?,
                None => admit_unknown_identity(&mut tx, admission).await?,
            };
            if let AdmissionOutcome::Account(account) = &admitted {
                update_directory(&mut tx, admission, &account.id, is_new).await?;
                if vouches {
                    let Admission {
                        connector, subject, ..
                    } = admission;
                    vouch(&mut tx, connector, subject, &admission.vouched).await?;
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
            let sql =
                "SELECT id, login, epoch, closed FROM menshen_account WHERE login_folded = $1";
            let found = self.row(self.query(sql).bind(login.folded())).await?;
            found.as_ref().map(row::account).transpose()
        })
        .await
    }

    async fn identities(
        &self,
        account: &AccountId,
    ) -> Result<Vec<(ConnectorId, Subject, String)>, StoreError> {
        run("read an account's identities", async {
            let sql = "SELECT connector, subject, entitlements FROM menshen_identity \
                       WHERE account = $1 ORDER BY used_at DESC, connector, subject";
            let query = self.query(sql).bind(account.as_bytes().as_slice());
            let identity = |found: &PgRow| {
                let connector = row::parsed(found, "connector", "identity")?;
                let subject = row::parsed(found, "subject", "identity")?;
                Ok((connector, subject, found.try_get("entitlements")?))
            };
            self.rows(query).await?.iter().map(identity).collect()
        })
        .await
    }

    async fn account_by_identity(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
    ) -> Result<Option<Account>, StoreError> {
        run("find an account by its identity", async {
            let query = self.query(BY_IDENTITY).bind(connector.as_str());
            let found = self.row(query.bind(subject.as_str())).await?;
            found.as_ref().map(row::account).transpose()
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

const BY_IDENTITY: &str = "SELECT a.id, a.login, a.epoch, a.closed \
    FROM menshen_identity AS i JOIN menshen_account AS a ON a.id = i.account \
    WHERE i.connector = $1 AND i.subject = $2";

/// The account with this login name, within a transaction.
pub(super) async fn by_login(
    tx: &mut Transaction,
    login: &LoginName,
) -> Result<Option<Account>, QueryError> {
    let sql = "SELECT id, login, epoch, closed FROM menshen_account WHERE login_folded = $1";
    let query = tx.query(sql).bind(login.folded());
    let found = query.fetch_optional(&mut **tx).await?;
    found.as_ref().map(row::account).transpose()
}

/// The account of an identity, within a transaction.
pub(super) async fn account_of(
    tx: &mut Transaction,
    connector: &ConnectorId,
    subject: &Subject,
) -> Result<Option<Account>, QueryError> {
    let query = tx.query(BY_IDENTITY).bind(connector.as_str());
    let query = query.bind(subject.as_str());
    let found = query.fetch_optional(&mut **tx).await?;
    found.as_ref().map(row::account).transpose()
}

/// The account of an identity that is known, and whether its login follows this identity.
async fn find_known(
    tx: &mut Transaction,
    admission: &Admission,
) -> Result<Option<(Account, bool)>, QueryError> {
    let sql = "SELECT a.id, a.login, a.epoch, a.closed, i.names \
               FROM menshen_identity AS i JOIN menshen_account AS a ON a.id = i.account \
               WHERE i.connector = $1 AND i.subject = $2";
    let query = tx.query(sql).bind(admission.connector.as_str());
    let query = query.bind(admission.subject.as_str());
    let found = query.fetch_optional(&mut **tx).await?;
    found
        .map(|found| Ok((row::account(&found)?, found.try_get("names")?)))
        .transpose()
}

async fn admit_known(
    tx: &mut Transaction,
    admission: &Admission,
    mut account: Account,
    names: bool,
) -> Result<AdmissionOutcome, QueryError> {
    if account.closed {
        return Ok(AdmissionOutcome::Closed(account.id));
    }
    // Only the identity that made the account renames it: two that map differently would otherwise
    // take turns, and each turn would free a login for another person.
    let names = names && admission.sync;
    if names && account.login != admission.login {
        // Before any row is locked: whoever makes accounts holds this lock first, too.
        tx.lock_directory().await?;
        if rename(tx, &account, &admission.login, by(admission)).await? {
            account.login = admission.login.clone();
        }
    }
    person_fields::lock(tx, &account.id).await?;
    let sql = "UPDATE menshen_identity SET used_at = $3, \
               entitlements = CASE WHEN $5 THEN $4 ELSE entitlements END, \
               entitlements_epoch = entitlements_epoch + ($5 AND entitlements <> $4)::int \
               WHERE connector = $1 AND subject = $2";
    let query = tx.query(sql).bind(admission.connector.as_str());
    let query = query.bind(admission.subject.as_str());
    let query = query.bind(admission.at.unix_ms());
    let query = query.bind(&admission.entitlements).bind(admission.sync);
    query.execute(&mut **tx).await?;
    Ok(AdmissionOutcome::Account(account))
}

/// Gives an account another login; false when another account has it.
pub(super) async fn rename(
    tx: &mut Transaction,
    account: &Account,
    login: &LoginName,
    by: (Timestamp, &str),
) -> Result<bool, QueryError> {
    let sql = "UPDATE menshen_account SET login = $2, login_folded = $3 WHERE id = $1 AND NOT EXISTS \
               (SELECT 1 FROM menshen_account WHERE login_folded = $3 AND id <> $1)";
    let query = tx.query(sql).bind(account.id.as_bytes().as_slice());
    let query = query.bind(login.as_str()).bind(login.folded());
    let renamed = query.execute(&mut **tx).await?;
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
    tx: &mut Transaction,
    admission: &Admission,
) -> Result<AdmissionOutcome, QueryError> {
    let Admission {
        connector,
        subject,
        login,
        ..
    } = admission;
    let expected = people_changes::take_expected(tx, connector, subject, login).await?;
    if let Some((account, names)) = expected {
        return link(tx, admission, account, names).await;
    }
    match find_linked(tx, &admission.links).await? {
        LinkMatch::One(account) => link(tx, admission, account, false).await,
        LinkMatch::Several(field) => Ok(AdmissionOutcome::AmbiguousLink { field }),
        LinkMatch::None => admit_new(tx, admission).await,
    }
}

/// Stores what the login tells of the person.
async fn update_directory(
    tx: &mut Transaction,
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
    let sql = "SELECT names FROM menshen_identity WHERE connector = $1 AND subject = $2";
    let query = tx.query(sql).bind(connector.as_str());
    let found = query.bind(subject.as_str()).fetch_one(&mut **tx).await?;
    let told = (fields, found.try_get("names")?);
    person_fields::write_from_source(tx, account, told, by(admission)).await?;
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
    tx: &mut Transaction,
    links: &[(LinkField, String)],
) -> Result<LinkMatch, QueryError> {
    let sql = "SELECT DISTINCT a.id, a.login, a.epoch, a.closed FROM \
               (SELECT i.account FROM menshen_vouched AS v \
               JOIN menshen_identity AS i ON i.connector = v.connector AND i.subject = v.subject \
               WHERE v.field = $1 AND v.value = $2 \
               UNION SELECT account FROM menshen_account_vouched \
               WHERE field = $1 AND value = $2) AS l \
               JOIN menshen_account AS a ON a.id = l.account LIMIT 2";
    for (field, value) in links {
        let query = tx.query(sql).bind(field.as_str()).bind(value);
        let rows = query.fetch_all(&mut **tx).await?;
        match rows.as_slice() {
            [] => {}
            [only] => return row::account(only).map(LinkMatch::One),
            _ => return Ok(LinkMatch::Several(*field)),
        }
    }
    Ok(LinkMatch::None)
}

async fn link(
    tx: &mut Transaction,
    admission: &Admission,
    account: Account,
    names: bool,
) -> Result<AdmissionOutcome, QueryError> {
    if account.closed {
        return Ok(AdmissionOutcome::Closed(account.id));
    }
    add_identity(tx, admission, &account.id, names).await?;
    let detail = format!("{}: {}", admission.connector, admission.subject);
    let kind = AccountChangeKind::Linked;
    account_changes::append(tx, &account.id, by(admission), kind, &detail).await?;
    Ok(AdmissionOutcome::Account(account))
}

async fn admit_new(
    tx: &mut Transaction,
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
    tx: &mut Transaction,
    login: &LoginName,
    at: Timestamp,
) -> Result<AccountId, QueryError> {
    let id = AccountId::new(keys::random());
    let sql = "INSERT INTO menshen_account (id, login, login_folded, created_at) \
               VALUES ($1, $2, $3, $4)";
    let query = tx.query(sql).bind(id.as_bytes().as_slice());
    let query = query.bind(login.as_str()).bind(login.folded());
    query.bind(at.unix_ms()).execute(&mut **tx).await?;
    Ok(id)
}

async fn add_identity(
    tx: &mut Transaction,
    admission: &Admission,
    account: &AccountId,
    names: bool,
) -> Result<(), QueryError> {
    // Cached entitlements of the subject's former person have a lower epoch, so these replace them.
    let sql = "INSERT INTO menshen_identity \
               (connector, subject, account, names, entitlements, used_at, entitlements_epoch) \
               SELECT $1, $2, $3, $4, $5, $6, coalesce(max(entitlements_epoch) + 1, 0) \
               FROM menshen_former_identity WHERE connector = $1 AND subject = $2";
    let query = tx.query(sql).bind(admission.connector.as_str());
    let query = query.bind(admission.subject.as_str());
    let query = query.bind(account.as_bytes().as_slice()).bind(names);
    let query = query.bind(&admission.entitlements);
    let query = query.bind(admission.at.unix_ms());
    query.execute(&mut **tx).await?;
    Ok(())
}

/// Replaces the vouched fields of an identity.
pub(super) async fn vouch(
    tx: &mut Transaction,
    connector: &ConnectorId,
    subject: &Subject,
    vouched: &[(LinkField, String)],
) -> Result<(), QueryError> {
    let sql = "DELETE FROM menshen_vouched WHERE connector = $1 AND subject = $2";
    let query = tx
        .query(sql)
        .bind(connector.as_str())
        .bind(subject.as_str());
    query.execute(&mut **tx).await?;
    let sql = "INSERT INTO menshen_vouched (connector, subject, field, value) \
               VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    for (field, value) in vouched {
        let query = tx.query(sql).bind(connector.as_str());
        let query = query.bind(subject.as_str());
        let query = query.bind(field.as_str()).bind(value);
        query.execute(&mut **tx).await?;
    }
    Ok(())
}
