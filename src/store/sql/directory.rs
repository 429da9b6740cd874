//! [`DirectoryStore`]: people, their departments, and how they can sign in.

use async_trait::async_trait;

use super::super::{
    AccountId, ConnectorId, Department, DirectoryStore, EditOutcome, ExpectOutcome, IdentityRecord,
    IdentityState, ImportOutcome, ImportedPerson, PeopleQuery, PersonEdit, PersonRecord,
    Revocation, SessionKey, StoreError, Subject,
};
use super::row::Columns;
use super::{
    Begin, Database, QueryError, Transaction, departments, identity_removal, people_import,
    people_query, person_edit, row, run, values,
};
use crate::clock::Timestamp;

#[async_trait]
impl<D: Database> DirectoryStore for D {
    async fn people(&self, query: &PeopleQuery) -> Result<Vec<PersonRecord>, StoreError> {
        run("list people", people_query::people(self, query)).await
    }

    async fn person(&self, account: &AccountId) -> Result<Option<PersonRecord>, StoreError> {
        run("read a person", people_query::person(self, account)).await
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
        let imported = people_import::import(self, people, (at, by));
        run("import people", imported).await
    }

    async fn edit_person(
        &self,
        account: &AccountId,
        edit: &PersonEdit,
        by: &str,
        at: Timestamp,
    ) -> Result<EditOutcome, StoreError> {
        let edited = person_edit::edit(self, account, edit, (at, by));
        run("change a person", edited).await
    }

    async fn expect_identity(
        &self,
        session: &SessionKey,
        identity: (&ConnectorId, &Subject),
        by: &str,
        at: Timestamp,
    ) -> Result<ExpectOutcome, StoreError> {
        let expected = people_import::expect_identity(self, session, identity, (at, by));
        run("add an identity to an account", expected).await
    }

    async fn remove_identity(
        &self,
        account: &AccountId,
        identity: (&ConnectorId, &Subject),
        by: &str,
        at: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        let removed = identity_removal::remove(self, account, identity, (at, by));
        run("take an identity off an account", removed).await
    }

    async fn departments(
        &self,
        connector: &ConnectorId,
        after: Option<&str>,
        max: u32,
    ) -> Result<Vec<Department>, StoreError> {
        let listed = departments::list(self, connector, after, max);
        run("list departments", listed).await
    }
}

async fn identity_records(
    tx: &mut impl Transaction,
    account: &AccountId,
) -> Result<Vec<IdentityRecord>, QueryError> {
    let sql = "SELECT connector, subject, entitlements, used_at, CAST(0 AS bigint) AS state \
               FROM menshen_identity WHERE account = $1 UNION ALL \
               SELECT connector, subject, '', NULL, 1 FROM menshen_expected_identity \
               WHERE account = $1 UNION ALL \
               SELECT connector, subject, entitlements, used_at, 2 \
               FROM menshen_former_identity WHERE account = $1 \
               ORDER BY state, used_at DESC, connector, subject";
    let rows = tx.rows(sql, values![account]).await?;
    let mut records = Vec::with_capacity(rows.len());
    for found in &rows {
        let mut record = identity_record(found)?;
        if let (IdentityState::Known, Some(subject)) = (record.state, &record.subject) {
            record.memberships = departments::memberships(tx, &record.connector, subject).await?;
            record.tags = departments::tags(tx, &record.connector, subject).await?;
        }
        records.push(record);
    }
    Ok(records)
}

fn identity_record(found: &impl Columns) -> Result<IdentityRecord, QueryError> {
    const RECORD: &str = "identity";
    let subject = found.optional_text("subject")?;
    let subject = subject.map(|text| text.parse()).transpose();
    let used_at = found.optional_integer("used_at")?;
    Ok(IdentityRecord {
        connector: row::parsed(found, "connector", RECORD)?,
        subject: subject.map_err(|_| QueryError::Damaged(RECORD))?,
        state: match found.integer("state")? {
            0 => IdentityState::Known,
            1 => IdentityState::Expected,
            _ => IdentityState::Gone,
        },
        fields: found.text("entitlements")?.to_owned(),
        used_at: used_at.map(Timestamp::from_unix_ms),
        memberships: Vec::new(),
        tags: Vec::new(),
    })
}
