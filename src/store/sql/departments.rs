//! Departments, and the memberships and tags that a source reports about a person.

use super::super::{ConnectorId, Department, DirectoryFields, Membership, Subject};
use super::row::Columns;
use super::{Database, QueryError, Transaction, values};

pub(super) async fn list(
    db: &impl Database,
    connector: &ConnectorId,
    after: Option<&str>,
    max: u32,
) -> Result<Vec<Department>, QueryError> {
    let sql = "SELECT id, name, parent FROM menshen_department \
               WHERE connector = $1 AND id > $2 ORDER BY id LIMIT $3";
    let values = values![connector, after.unwrap_or(""), max];
    let rows = db.read_rows(sql, values).await?;
    rows.iter().map(department).collect()
}

/// Stores departments, memberships and tags of an identity, as far as they changed. Departments that the
/// source does not name here stay.
pub(super) async fn write_of_identity(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    subject: &Subject,
    fields: &DirectoryFields,
) -> Result<(), QueryError> {
    // In the order of IDs, so that two logins do not wait for each other.
    let mut departments: Vec<_> = fields.departments.iter().collect();
    departments.sort_by(|one, other| one.id.cmp(&other.id));
    for department in departments {
        upsert(tx, connector, department).await?;
    }
    if memberships(tx, connector, subject).await? != fields.memberships {
        let sql = "DELETE FROM menshen_membership WHERE connector = $1 AND subject = $2";
        tx.execute(sql, values![connector, subject]).await?;
        let sql = "INSERT INTO menshen_membership (connector, subject, department, leads) \
                   VALUES ($1, $2, $3, $4)";
        for Membership { department, leads } in &fields.memberships {
            tx.execute(sql, values![connector, subject, department, *leads])
                .await?;
        }
    }
    if tags(tx, connector, subject).await? != fields.tags {
        let sql = "DELETE FROM menshen_tag WHERE connector = $1 AND subject = $2";
        tx.execute(sql, values![connector, subject]).await?;
        let sql = "INSERT INTO menshen_tag (connector, subject, tag) VALUES ($1, $2, $3)";
        for tag in &fields.tags {
            tx.execute(sql, values![connector, subject, tag]).await?;
        }
    }
    Ok(())
}

/// Stores a department; returns how many rows changed.
pub(super) async fn upsert(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    department: &Department,
) -> Result<u64, QueryError> {
    let sql = "INSERT INTO menshen_department AS d (connector, id, parent, name) \
               VALUES ($1, $2, $3, $4) ON CONFLICT (connector, id) \
               DO UPDATE SET parent = excluded.parent, name = excluded.name \
               WHERE d.parent IS DISTINCT FROM excluded.parent OR d.name <> excluded.name";
    let Department { id, name, parent } = department;
    tx.execute(sql, values![connector, id, parent, name]).await
}

fn department(found: &impl Columns) -> Result<Department, QueryError> {
    Ok(Department {
        id: found.text("id")?.to_owned(),
        name: found.text("name")?.to_owned(),
        parent: found.optional_text("parent")?,
    })
}

/// The departments of an identity, in the order of IDs.
pub(super) async fn memberships<T: Transaction>(
    tx: &mut T,
    connector: &ConnectorId,
    subject: &Subject,
) -> Result<Vec<Membership>, QueryError> {
    let sql = "SELECT department, leads FROM menshen_membership \
               WHERE connector = $1 AND subject = $2 ORDER BY department";
    let rows = tx.rows(sql, values![connector, subject]).await?;
    let membership = |found: &T::Row| {
        Ok(Membership {
            department: found.text("department")?.to_owned(),
            leads: found.boolean("leads")?,
        })
    };
    rows.iter().map(membership).collect()
}

/// The tags of an identity, in their order.
pub(super) async fn tags<T: Transaction>(
    tx: &mut T,
    connector: &ConnectorId,
    subject: &Subject,
) -> Result<Vec<String>, QueryError> {
    let sql = "SELECT tag FROM menshen_tag WHERE connector = $1 AND subject = $2 ORDER BY tag";
    let rows = tx.rows(sql, values![connector, subject]).await?;
    let tag = |found: &T::Row| Ok(found.text("tag")?.to_owned());
    rows.iter().map(tag).collect()
}
