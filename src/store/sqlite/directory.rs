//! [`DirectoryStore`] in SQLite.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::super::people_query::{Dialect, people_sql, person_sql};
use super::super::{
    AccountId, ConnectorId, Department, DepartmentChanges, DirectoryStore, EditOutcome,
    IdentityRecord, IdentityState, ImportOutcome, ImportedPerson, Membership, PeopleQuery,
    PersonEdit, PersonRecord, StoreError,
};
use super::{QueryError, Sqlite, departments, people_changes, row, run};
use crate::clock::Timestamp;

const DIALECT: Dialect = Dialect {
    prefix: "menshen_",
    position: "instr",
};

#[async_trait]
impl DirectoryStore for Sqlite {
    async fn people(&self, query: &PeopleQuery) -> Result<Vec<PersonRecord>, StoreError> {
        run("list people", async {
            let mut sql = people_sql::<sqlx::Sqlite>(query, DIALECT);
            let mut db = self.reader().await?;
            let rows = sql.build().fetch_all(&mut *db).await?;
            rows.iter().map(row::person).collect()
        })
        .await
    }

    async fn person(&self, account: &AccountId) -> Result<Option<PersonRecord>, StoreError> {
        run("read a person", async {
            let mut sql = person_sql::<sqlx::Sqlite>(account.as_bytes().to_vec(), DIALECT);
            let mut db = self.reader().await?;
            let found = sql.build().fetch_optional(&mut *db).await?;
            found.as_ref().map(row::person).transpose()
        })
        .await
    }

    async fn identity_records(
        &self,
        account: &AccountId,
    ) -> Result<Vec<IdentityRecord>, StoreError> {
        run("read the identities of a person", async {
            let mut db = self.reader().await?;
            identity_records(&mut db, account).await
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
    db: &mut SqliteConnection,
    account: &AccountId,
) -> Result<Vec<IdentityRecord>, QueryError> {
    let sql = "SELECT connector, subject, entitlements, used_at, 0 AS state FROM menshen_identity \
               WHERE account = ?1 UNION ALL \
               SELECT connector, subject, '', NULL, 1 FROM menshen_expected_identity WHERE account = ?1 \
               UNION ALL SELECT connector, subject, entitlements, used_at, 2 \
               FROM menshen_former_identity WHERE account = ?1 \
               ORDER BY state, used_at DESC, connector, subject";
    let rows = sqlx::query(sql)
        .bind(account.as_bytes().as_slice())
        .fetch_all(&mut *db)
        .await?;
    let mut records = Vec::with_capacity(rows.len());
    for found in &rows {
        let mut record = identity_record(found)?;
        if let (IdentityState::Known, Some(subject)) = (record.state, &record.subject) {
            let key = (record.connector.as_str(), subject.as_str());
            record.memberships = memberships(db, key).await?;
            record.tags = tags(db, key).await?;
        }
        records.push(record);
    }
    Ok(records)
}

fn identity_record(found: &SqliteRow) -> Result<IdentityRecord, QueryError> {
    const RECORD: &str = "identity";
    let subject: Option<String> = found.try_get("subject")?;
    let subject = subject.map(|text| text.parse()).transpose();
    let used_at: Option<i64> = found.try_get("used_at")?;
    Ok(IdentityRecord {
        connector: row::parsed(found, "connector", RECORD)?,
        subject: subject.map_err(|_| QueryError::Damaged(RECORD))?,
        state: match found.try_get("state")? {
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
    db: &mut SqliteConnection,
    (connector, subject): (&str, &str),
) -> Result<Vec<Membership>, QueryError> {
    let sql = "SELECT department, leads FROM menshen_membership WHERE connector = ?1 AND subject = ?2 \
               ORDER BY department";
    let rows = sqlx::query(sql)
        .bind(connector)
        .bind(subject)
        .fetch_all(db)
        .await?;
    let membership = |found: &SqliteRow| {
        Ok(Membership {
            department: found.try_get("department")?,
            leads: found.try_get("leads")?,
        })
    };
    rows.iter().map(membership).collect()
}

/// The tags of an identity, in their order.
pub(super) async fn tags(
    db: &mut SqliteConnection,
    (connector, subject): (&str, &str),
) -> Result<Vec<String>, QueryError> {
    let sql = "SELECT tag FROM menshen_tag WHERE connector = ?1 AND subject = ?2 ORDER BY tag";
    Ok(sqlx::query_scalar(sql)
        .bind(connector)
        .bind(subject)
        .fetch_all(db)
        .await?)
}
