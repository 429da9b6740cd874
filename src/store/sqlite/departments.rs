//! Departments, and what a source tells of a person at a login, in SQLite.

use std::collections::BTreeMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::super::{
    ConnectorId, Department, DepartmentChanges, DirectoryFields, StoreError, Subject,
};
use super::{QueryError, Sqlite, directory, run};

pub(super) async fn replace(
    store: &Sqlite,
    connector: &ConnectorId,
    departments: &[Department],
) -> Result<DepartmentChanges, StoreError> {
    run("replace departments", async {
        let mut tx = store.begin_write().await?;
        let sql = "SELECT id, name, parent FROM menshen_department WHERE connector = ?1";
        let rows = sqlx::query(sql)
            .bind(connector.as_str())
            .fetch_all(&mut *tx)
            .await?;
        let mut known = BTreeMap::new();
        for found in &rows {
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
            sqlx::query("DELETE FROM menshen_department WHERE connector = ?1 AND id = ?2")
                .bind(connector.as_str())
                .bind(id)
                .execute(&mut *tx)
                .await?;
            changes.deleted += 1;
        }
        tx.commit().await?;
        Ok(changes)
    })
    .await
}

pub(super) async fn list(
    store: &Sqlite,
    connector: &ConnectorId,
    after: Option<&str>,
    max: u32,
) -> Result<Vec<Department>, StoreError> {
    run("list departments", async {
        let sql = "SELECT id, name, parent FROM menshen_department WHERE connector = ?1 AND id > ?2 \
                   ORDER BY id LIMIT ?3";
        let rows = sqlx::query(sql)
            .bind(connector.as_str())
            .bind(after.unwrap_or(""))
            .bind(max)
            .fetch_all(&mut *store.reader().await?)
            .await?;
        rows.iter().map(department).collect()
    })
    .await
}

/// Stores departments, memberships and tags of an identity, as far as they changed. Departments that the
/// source does not name here stay.
pub(super) async fn write_of_identity(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    subject: &Subject,
    fields: &DirectoryFields,
) -> Result<(), QueryError> {
    for department in &fields.departments {
        upsert(tx, connector, department).await?;
    }
    let key = (connector.as_str(), subject.as_str());
    if directory::memberships(tx, key).await? != fields.memberships {
        let sql = "DELETE FROM menshen_membership WHERE connector = ?1 AND subject = ?2";
        sqlx::query(sql)
            .bind(connector.as_str())
            .bind(subject.as_str())
            .execute(&mut *tx)
            .await?;
        let sql = "INSERT INTO menshen_membership (connector, subject, department, leads) \
                   VALUES (?1, ?2, ?3, ?4)";
        for membership in &fields.memberships {
            sqlx::query(sql)
                .bind(connector.as_str())
                .bind(subject.as_str())
                .bind(&membership.department)
                .bind(membership.leads)
                .execute(&mut *tx)
                .await?;
        }
    }
    if directory::tags(tx, key).await? != fields.tags {
        sqlx::query("DELETE FROM menshen_tag WHERE connector = ?1 AND subject = ?2")
            .bind(connector.as_str())
            .bind(subject.as_str())
            .execute(&mut *tx)
            .await?;
        for tag in &fields.tags {
            sqlx::query("INSERT INTO menshen_tag (connector, subject, tag) VALUES (?1, ?2, ?3)")
                .bind(connector.as_str())
                .bind(subject.as_str())
                .bind(tag)
                .execute(&mut *tx)
                .await?;
        }
    }
    Ok(())
}

async fn upsert(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    department: &Department,
) -> Result<(), QueryError> {
    let sql = "INSERT INTO menshen_department (connector, id, parent, name) VALUES (?1, ?2, ?3, ?4) \
               ON CONFLICT DO UPDATE SET parent = excluded.parent, name = excluded.name \
               WHERE parent IS NOT excluded.parent OR name <> excluded.name";
    sqlx::query(sql)
        .bind(connector.as_str())
        .bind(&department.id)
        .bind(&department.parent)
        .bind(&department.name)
        .execute(tx)
        .await?;
    Ok(())
}

fn department(found: &SqliteRow) -> Result<Department, QueryError> {
    Ok(Department {
        id: found.try_get("id")?,
        name: found.try_get("name")?,
        parent: found.try_get("parent")?,
    })
}
