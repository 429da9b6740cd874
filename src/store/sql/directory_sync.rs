//! [`DirectorySyncStore`]: reads and writes many people of one connector.

use std::collections::HashMap;

use async_trait::async_trait;

use super::super::{
    AccountId, Admission, AdmissionOutcome, ConnectorId, Department, DirectorySyncStore, LinkField,
    Reopening, SourceIdentity, StoreError, Subject,
};
use super::row::Columns;
use super::{
    Begin, Database, QueryError, Transaction, admission, closing, departments, row, run, values,
};
use crate::clock::Timestamp;

#[async_trait]
impl<D: Database> DirectorySyncStore for D {
    async fn source_identities(
        &self,
        connector: &ConnectorId,
        after: Option<&Subject>,
        max: u32,
    ) -> Result<Vec<SourceIdentity>, StoreError> {
        let read = source_identities(self, connector, after, max);
        run("read the people of a connector", read).await
    }

    async fn source_identity(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
    ) -> Result<Option<SourceIdentity>, StoreError> {
        run("read a person of a connector", async {
            let sql = "SELECT i.subject, i.account, i.names, i.entitlements, a.login, a.closed, \
                       a.closed_by_sync FROM menshen_identity AS i \
                       JOIN menshen_account AS a ON a.id = i.account \
                       WHERE i.connector = $1 AND i.subject = $2";
            let found = self.read_row(sql, values![connector, subject]).await?;
            let Some(found) = &found else {
                return Ok(None);
            };
            let sql = "SELECT subject, field, value FROM menshen_vouched \
                       WHERE connector = $1 AND subject = $2";
            let vouched = self.read_rows(sql, values![connector, subject]).await?;
            let identity = source_identity(found, connector, &mut vouched_fields(&vouched)?)?;
            Ok(Some(identity))
        })
        .await
    }

    async fn admit_listed(
        &self,
        admissions: &[Admission],
    ) -> Result<Vec<AdmissionOutcome>, StoreError> {
        let admitted = admission::admit_listed(self, admissions);
        run("admit listed people", admitted).await
    }

    async fn change_departments(
        &self,
        connector: &ConnectorId,
        changed: &[Department],
        removed: &[String],
    ) -> Result<u64, StoreError> {
        let changes = change_departments(self, connector, changed, removed);
        run("change departments", changes).await
    }

    async fn reopen_after_sync(
        &self,
        account: &AccountId,
        connector: &ConnectorId,
        by: &str,
        at: Timestamp,
    ) -> Result<Option<Reopening>, StoreError> {
        let reopened = closing::reopen_after_sync(self, account, connector, (at, by));
        run("reopen an account after a sync", reopened).await
    }
}

async fn source_identities(
    db: &impl Database,
    connector: &ConnectorId,
    after: Option<&Subject>,
    max: u32,
) -> Result<Vec<SourceIdentity>, QueryError> {
    let sql = "SELECT i.subject, i.account, i.names, i.entitlements, a.login, a.closed, \
               a.closed_by_sync FROM menshen_identity AS i \
               JOIN menshen_account AS a ON a.id = i.account \
               WHERE i.connector = $1 AND i.subject > $2 ORDER BY i.subject LIMIT $3";
    let after = after.map_or("", Subject::as_str);
    let rows = db.read_rows(sql, values![connector, after, max]).await?;
    let Some(last) = rows.last() else {
        return Ok(Vec::new());
    };
    let sql = "SELECT subject, field, value FROM menshen_vouched \
               WHERE connector = $1 AND subject > $2 AND subject <= $3";
    let values = values![connector, after, last.text("subject")?];
    let vouched = db.read_rows(sql, values).await?;
    let mut vouched = vouched_fields(&vouched)?;
    let identity = |found: &_| source_identity(found, connector, &mut vouched);
    rows.iter().map(identity).collect()
}

/// The verified fields of identities, by their subjects.
type VouchedFields = HashMap<String, Vec<(LinkField, String)>>;

fn vouched_fields(rows: &[impl Columns]) -> Result<VouchedFields, QueryError> {
    let mut vouched = VouchedFields::new();
    for found in rows {
        let field = match found.text("field")? {
            "mobile" => LinkField::Mobile,
            "email" => LinkField::Email,
            _ => return Err(QueryError::Damaged("verified field")),
        };
        let of_subject = vouched.entry(found.text("subject")?.to_owned());
        of_subject
            .or_default()
            .push((field, found.text("value")?.to_owned()));
    }
    Ok(vouched)
}

async fn change_departments(
    db: &impl Database,
    connector: &ConnectorId,
    changed: &[Department],
    removed: &[String],
) -> Result<u64, QueryError> {
    let mut tx = db.begin(Begin::Writing).await?;
    tx.lock_directory().await?;
    let mut count = 0;
    for department in changed {
        count += departments::upsert(&mut tx, connector, department).await?;
    }
    for id in removed {
        let sql = "DELETE FROM menshen_department WHERE connector = $1 AND id = $2";
        count += tx.execute(sql, values![connector, id]).await?;
    }
    tx.commit().await?;
    Ok(count)
}

fn source_identity(
    found: &impl Columns,
    connector: &ConnectorId,
    vouched: &mut VouchedFields,
) -> Result<SourceIdentity, QueryError> {
    const RECORD: &str = "identity";
    let vouched = vouched.remove(found.text("subject")?).unwrap_or_default();
    let closed_by_sync = found.optional_text("closed_by_sync")?;
    Ok(SourceIdentity {
        subject: row::parsed(found, "subject", RECORD)?,
        account: AccountId::new(row::bytes(found, "account", RECORD)?),
        login: row::parsed(found, "login", "account")?,
        sets_login: found.boolean("names")?,
        fields: found.text("entitlements")?.to_owned(),
        vouched,
        closed: found.boolean("closed")?,
        closed_by_sync: closed_by_sync.as_deref() == Some(connector.as_str()),
    })
}
