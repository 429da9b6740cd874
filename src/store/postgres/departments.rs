//! Departments, and what a source tells of a person at a login, in PostgreSQL.

use std::collections::BTreeMap;

use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::super::query_error::run;
use super::super::{
    ConnectorId, Department, DepartmentChanges, DirectoryFields, StoreError, Subject,
};
use super::{Begin, Postgres, QueryError, Transaction, directory};

pub(super) async fn replace(
    store: &Postgres,
    connector: &ConnectorId,
    departments: &[Department],
) -> Result<DepartmentChanges, StoreError> {
    run("replace departments", async {
        let mut tx = store.begin(Begin::Writing).await?;
        tx.lock_directory().await?;
        let sql = "SELECT id, name, parent FROM menshen_department WHERE connector = $1";
        let query = tx.query(sql).bind(connector.as_str());
        let mut known = BTreeMap::new();
        for found in &query.fetch_all(&mut *tx).await? {
            let known_one = department(found)?;
            known.insert(known_one.id.clone(), known_one);
        }
        let mut changes = DepartmentChanges::default();
        for new in departments {
            match known.remove(&new.id) {
                Some(old) if old == *new => continue,
                Some(_) => changes.updated += 1,
                None => changes.created += 1,
            }
            upsert(&mut tx, connector, new).await?;
        }
        for id in known.keys() {
            let sql = "DELETE FROM menshen_department WHERE connector = $1 AND id = $2";
            let query = tx.query(sql).bind(connector.as_str());
            query.bind(id).execute(&mut *tx).await?;
            changes.deleted += 1;
        }
        tx.commit().await?;
        Ok(changes)
    })
    .await
}

pub(super) async fn list(
    store: &Postgres,
    connector: &ConnectorId,
    after: Option<&str>,
    max: u32,
) -> Result<Vec<Department>, StoreError> {
    run("list departments", async {
        let sql = "SELECT id, name, parent FROM menshen_department \
                   WHERE connector = $1 AND id > $2 ORDER BY id LIMIT $3";
        let query = store.query(sql).bind(connector.as_str());
        let query = query.bind(after.unwrap_or("")).bind(i64::from(max));
        store.rows(query).await?.iter().map(department).collect()
    })
    .await
}

/// Stores departments, memberships and tags of an identity, as far as they changed. Departments that the
/// source does not name here stay.
pub(super) async fn write_of_identity(
    tx: &mut Transaction,
    connector: &ConnectorId,
    subject: &Subject,
    fields: &DirectoryFields,
) -> Result<(), QueryError> {
    // In the order of ids, so that two logins do not wait for each other.
    let mut departments: Vec<_> = fields.departments.iter().collect();
    departments.sort_by(|one, other| one.id.cmp(&other.id));
    for department in departments {
        upsert(tx, connector, department).await?;
    }
    let key = (connector.as_str(), subject.as_str());
    if directory::memberships(tx, key).await? != fields.memberships {
        let sql = "DELETE FROM menshen_membership WHERE connector = $1 AND subject = $2";
        let query = tx.query(sql).bind(key.0).bind(key.1);
        query.execute(&mut **tx).await?;
        let sql = "INSERT INTO menshen_membership (connector, subject, department, leads) \
                   VALUES ($1, $2, $3, $4)";
        for membership in &fields.memberships {
            let query = tx.query(sql).bind(key.0).bind(key.1);
            let query = query.bind(&membership.department).bind(membership.leads);
            query.execute(&mut **tx).await?;
        }
    }
    if directory::tags(tx, key).await? != fields.tags {
        let sql = "DELETE FROM menshen_tag WHERE connector = $1 AND subject = $2";
        let query = tx.query(sql).bind(key.0).bind(key.1);
        query.execute(&mut **tx).await?;
        let sql = "INSERT INTO menshen_tag (connector, subject, tag) VALUES ($1, $2, $3)";
        for tag in &fields.tags {
            let query = tx.query(sql).bind(key.0).bind(key.1).bind(tag);
            query.execute(&mut **tx).await?;
        }
    }
    Ok(())
}

async fn upsert(
    tx: &mut Transaction,
    connector: &ConnectorId,
    department: &Department,
) -> Result<(), QueryError> {
    let sql = "INSERT INTO menshen_department AS d (connector, id, parent, name) \
               VALUES ($1, $2, $3, $4) ON CONFLICT (connector, id) \
               DO UPDATE SET parent = excluded.parent, name = excluded.name \
               WHERE d.parent IS DISTINCT FROM excluded.parent OR d.name <> excluded.name";
    let query = tx.query(sql).bind(connector.as_str());
    let query = query.bind(&department.id).bind(&department.parent);
    query.bind(&department.name).execute(&mut **tx).await?;
    Ok(())
}

fn department(found: &PgRow) -> Result<Department, QueryError> {
    Ok(Department {
        id: found.try_get("id")?,
        name: found.try_get("name")?,
        parent: found.try_get("parent")?,
    })
}
