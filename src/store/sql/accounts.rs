//! [`AccountStore`], and the steps that find, create and rename an account.

use async_trait::async_trait;

use super::super::{
    Account, AccountChange, AccountChangeKind, AccountId, AccountStore, Admission,
    AdmissionOutcome, Closing, ConnectorId, LinkField, LoginName, Reopening, Revocation,
    StoreError, Subject, SubjectRename, SubjectRenameOutcome,
};
use super::row::Columns;
use super::{
    Database, QueryError, Row, Transaction, account_changes, admission, closing, row, run,
    subject_rename, values, vouched_fields,
};
use crate::clock::Timestamp;
use crate::keys;

#[async_trait]
impl<D: Database> AccountStore for D {
    async fn admit(&self, admission: &Admission) -> Result<AdmissionOutcome, StoreError> {
        run("admit a person", admission::admit(self, admission)).await
    }

    async fn admit_once(
        &self,
        admission: &Admission,
        value_hash: &[u8; 32],
        until: Timestamp,
    ) -> Result<Option<AdmissionOutcome>, StoreError> {
        let admitted = admission::admit_once(self, admission, (value_hash, until));
        run("admit a person once", admitted).await
    }

    async fn replace_vouched_fields(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
        vouched: &[(LinkField, String)],
    ) -> Result<bool, StoreError> {
        let replaced = vouched_fields::replace(self, connector, subject, vouched);
        run("replace the verified fields of an identity", replaced).await
    }

    async fn account_by_login(&self, login: &LoginName) -> Result<Option<Account>, StoreError> {
        run("find an account by its login", async {
            let found = self.read_row(BY_LOGIN, values![login.folded()]).await?;
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
            let identity = |found: &Row<D>| {
                let connector = row::parsed(found, "connector", "identity")?;
                let subject = row::parsed(found, "subject", "identity")?;
                Ok((connector, subject, found.text("entitlements")?.to_owned()))
            };
            let rows = self.read_rows(sql, values![account]).await?;
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
            let key = values![connector, subject];
            let found = self.read_row(BY_IDENTITY, key).await?;
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
        let closed = closing::close(self, account, closing, at);
        run("close an account", closed).await
    }

    async fn reopen_account(
        &self,
        account: &AccountId,
        by: &str,
        at: Timestamp,
    ) -> Result<Option<Reopening>, StoreError> {
        let reopened = closing::reopen(self, account, by, at);
        run("reopen an account", reopened).await
    }

    async fn rename_subject(
        &self,
        rename: &SubjectRename,
        at: Timestamp,
    ) -> Result<SubjectRenameOutcome, StoreError> {
        let renamed = subject_rename::rename(self, rename, at);
        run("rename a subject", renamed).await
    }

    async fn account_changes(
        &self,
        account: &AccountId,
        before_number: Option<i64>,
        max: u32,
    ) -> Result<Vec<AccountChange>, StoreError> {
        let changes = account_changes::read(self, account, before_number, max);
        run("read the history of an account", changes).await
    }
}

const BY_LOGIN: &str = "SELECT id, login, epoch, closed, local_department, local_groups \
    FROM menshen_account WHERE login_folded = $1";

const BY_IDENTITY: &str = "SELECT a.id, a.login, a.epoch, a.closed, a.local_department, \
    a.local_groups \
    FROM menshen_identity AS i JOIN menshen_account AS a ON a.id = i.account \
    WHERE i.connector = $1 AND i.subject = $2";

/// The account with this login name.
pub(super) async fn by_login(
    tx: &mut impl Transaction,
    login: &LoginName,
) -> Result<Option<Account>, QueryError> {
    let found = tx.row(BY_LOGIN, values![login.folded()]).await?;
    found.as_ref().map(row::account).transpose()
}

/// The account of an identity.
pub(super) async fn by_identity(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    subject: &Subject,
) -> Result<Option<Account>, QueryError> {
    let found = tx.row(BY_IDENTITY, values![connector, subject]).await?;
    found.as_ref().map(row::account).transpose()
}

/// Inserts an account whose login name is free.
pub(super) async fn insert(
    tx: &mut impl Transaction,
    login: &LoginName,
    at: Timestamp,
) -> Result<AccountId, QueryError> {
    let id = AccountId::new(keys::random());
    let sql = "INSERT INTO menshen_account (id, login, login_folded, created_at) \
               VALUES ($1, $2, $3, $4)";
    tx.execute(sql, values![&id, login, login.folded(), at])
        .await?;
    Ok(id)
}

/// Renames an account; false if another account has the login name.
pub(super) async fn rename(
    tx: &mut impl Transaction,
    account: &Account,
    login: &LoginName,
    by: (Timestamp, &str),
) -> Result<bool, QueryError> {
    let sql = "UPDATE menshen_account SET login = $2, login_folded = $3 WHERE id = $1 \
               AND NOT EXISTS (SELECT 1 FROM menshen_account WHERE login_folded = $3 AND id <> $1)";
    let values = values![&account.id, login, login.folded()];
    if tx.execute(sql, values).await? != 1 {
        return Ok(false);
    }
    let detail = format!("{} → {login}", account.login);
    let kind = AccountChangeKind::LoginChanged;
    account_changes::append(tx, &account.id, by, kind, &detail).await?;
    Ok(true)
}
