//! [`DirectoryStore`] in PostgreSQL.

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::super::people_query::{Dialect, people_sql, person_sql};
use super::super::query_error::run;
use super::super::{
    AccountId, ConnectorId, Department, DepartmentChanges, DirectoryStore, EditOutcome,
    IdentityRecord, IdentityState, ImportOutcome, ImportedPerson, Membership, PeopleQuery,
    PersonEdit, PersonRecord, StoreError, row,
};
use super::{Begin, Postgres, QueryError, Transaction, departments, people_changes};
use crate::clock::Timestamp;

const DIALECT: Dialect = Dialect {
    prefix: "menshen_",
    position: "strpos",
};

#[async_trait]
impl DirectoryStore for Postgres {
    async fn people(&self, query: &PeopleQuery) -> Result<Vec<PersonRecord>, StoreError> {
        run("list people", async {
            let mut sql = people_sql::<sqlx::Postgres>(query, DIALECT);
            let query = sql.build().persistent(self.named_statements);
            self.rows(query).await?.iter().map(row::person).collect()
        })
        .await
    }

    async fn person(&self, account: &AccountId) -> Result<Option<PersonRecord>, StoreError> {
        run("read a person", async {
            let id = account.as_bytes().to_vec();
            let mut sql = person_sql::<sqlx::Postgres>(id, DIALECT);
            let query = sql.build().persistent(self.named_statements);
            let found = self.row(query).await?;
            found.as_ref().map(row::person).transpose()
        })
        .await
    }

    async fn identity_records(
        &self,
        account: &AccountId,
    ) -> Result<Vec<IdentityRecord>, StoreError> {
        run("read the identities of a person", async {
            let mut tx = self.begin(Begin::Reading).await?;
            let records = identity_records(&mut tx, account).await?;
            tx.commit().await?;
            Ok(records)
        })
        .await
    }

    async fn import_people(
        &self,
        people: &[ImportedPerson],
        by: &str,
        at: Timestamp,
    ) -> Result<ImportOutcome, StoreError> {
        people_changes::import(self, people, (at, by)).await
    }

    async fn edit_person(
        &self,
        account: &AccountId,
        edit: &PersonEdit,
        by: &str,
        at: Timestamp,
    ) -> Result<EditOutcome, StoreError> {
        people_changes::edit(self, account, edit, (at, by)).await
    }

    async fn replace_departments(
        &self,
        connector: &ConnectorId,
        departments: &[Department],
    ) -> Result<DepartmentChanges, StoreError> {
        departments::replace(self, connector, departments).await
    }

    async fn departments(
        &self,
        connector: &ConnectorId,
        after: Option<&str>,
        max: u32,
    ) -> Result<Vec<Department>, StoreError> {
        departments::list(self, connector, after, max).await
    }
}

async fn identity_records(
    tx: &mut Transaction,
    account: &AccountId,
) -> Result<Vec<IdentityRecord>, QueryError> {
    let sql = "SELECT connector, subject, entitlements, used_at, 0::bigint AS state \
               FROM menshen_identity WHERE account = $1 UNION ALL \
               SELECT connector, subject, '', NULL, 1 FROM menshen_expected_identity \
               WHERE account = $1 UNION ALL \
               SELECT connector, subject, entitlements, used_at, 2 \
               FROM menshen_former_identity WHERE account = $1 \
               ORDER BY state, used_at DESC, connector, subject";
    let query = tx.query(sql).bind(account.as_bytes().as_slice());
    let rows = query.fetch_all(&mut **tx).await?;
    let mut records = Vec::with_capacity(rows.len());
    for found in &rows {
        let mut record = identity_record(found)?;
        if let (IdentityState::Known, Some(subject)) = (record.state, &record.subject) {
            let key = (record.connector.as_str(), subject.as_str());
            record.memberships = memberships(tx, key).await?;
            record.tags = tags(tx, key).await?;
        }
        records.push(record);
    }
    Ok(records)
}

fn identity_record(found: &PgRow) -> Result<IdentityRecord, QueryError> {
    const RECORD: &str = "identity";
    let subject: Option<String> = found.try_get("subject")?;
    let subject = subject.map(|text| text.parse()).transpose();
    let used_at: Option<i64> = found.try_get("used_at")?;
    Ok(IdentityRecord {
        connector: row::parsed(found, "connector", RECORD)?,
        subject: subject.map_err(|_| QueryError::Damaged(RECORD))?,
        state: match found.try_get::<i64, _>("state")? {
            0 => IdentityState::Known,
            1 => IdentityState::Expected,
            _ => IdentityState::Gone,
        },
        fields: found.try_get("entitlements")?,
        used_at: used_at.map(Timestamp::from_unix_ms),
        memberships: Vec::new(),
        tags: Vec::new(),
    })
}

/// The departments of an identity, in the order of ids.
pub(super) async fn memberships(
    tx: &mut Transaction,
    (connector, subject): (&str, &str),
) -> Result<Vec<Membership>, QueryError> {
    let sql = "SELECT department, leads FROM menshen_membership \
               WHERE connector = $1 AND subject = $2 ORDER BY department";
    let query = tx.query(sql).bind(connector).bind(subject);
    let rows = query.fetch_all(&mut **tx).await?;
    let membership = |found: &PgRow| {
        Ok(Membership {
            department: found.try_get("department")?,
            leads: found.try_get("leads")?,
        })
    };
    rows.iter().map(membership).collect()
}

/// The tags of an identity, in their order.
pub(super) async fn tags(
    tx: &mut Transaction,
    (connector, subject): (&str, &str),
) -> Result<Vec<String>, QueryError> {
    let sql = "SELECT tag FROM menshen_tag WHERE connector = $1 AND subject = $2 ORDER BY tag";
    let query = tx.query(sql).bind(connector).bind(subject);
    let rows = query.fetch_all(&mut **tx).await?;
    rows.iter().map(|found| Ok(found.try_get("tag")?)).collect()
}
