//! Builds the SQL of a [`PeopleQuery`], the same for every database.

use sqlx::{Database, Encode, QueryBuilder, Type};

use super::PeopleQuery;

/// What differs between the databases.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    /// The prefix of table names.
    pub(super) prefix: &'static str,
    /// The function that finds a text in another one; 0 if it is not there.
    pub(super) position: &'static str,
}

/// The columns of a person, for `row::person`.
const PERSON_COLUMNS: &str = "id, login, name, email, mobile, created_at, seen_at, \
     closed, closed_at, closed_by, closed_reason";

/// Greater than every character, so that `prefix` and this are the bounds of all texts with a prefix.
const LAST_CHAR: char = '\u{10ffff}';

/// The statement for a query.
pub(super) fn people_sql<DB>(query: &PeopleQuery, dialect: Dialect) -> QueryBuilder<DB>
where
    DB: Database,
    DB::Arguments: Default,
    String: for<'q> Encode<'q, DB> + Type<DB>,
    i64: for<'q> Encode<'q, DB> + Type<DB>,
    bool: for<'q> Encode<'q, DB> + Type<DB>,
{
    let Dialect { prefix, position } = dialect;
    let mut sql = QueryBuilder::new(format!(
        "SELECT {PERSON_COLUMNS} FROM {prefix}account AS a WHERE 1 = 1"
    ));
    if let Some(after) = &query.after {
        sql.push(" AND a.login_folded > ").push_bind(after.folded());
    }
    let prefixes = [
        (
            "login_folded",
            query.login.as_deref().map(str::to_lowercase),
        ),
        ("name_folded", query.name.as_deref().map(str::to_lowercase)),
        (
            "email_folded",
            query.email.as_deref().map(str::to_lowercase),
        ),
        ("mobile", query.mobile.clone()),
    ];
    for (column, begins) in prefixes {
        let Some(begins) = begins else { continue };
        let end = format!("{begins}{LAST_CHAR}");
        sql.push(format!(" AND a.{column} >= "))
            .push_bind(begins)
            .push(format!(" AND a.{column} < "))
            .push_bind(end);
    }
    if let Some(text) = &query.text {
        let text = text.to_lowercase();
        sql.push(" AND (1 = 0");
        for column in ["login_folded", "name_folded", "email_folded", "mobile"] {
            sql.push(format!(" OR {position}(a.{column}, "))
                .push_bind(text.clone())
                .push(") > 0");
        }
        sql.push(")");
    }
    if let Some(closed) = query.closed {
        sql.push(" AND a.closed = ").push_bind(closed);
    }
    if let Some(connector) = &query.connector {
        sql.push(format!(
            " AND (EXISTS (SELECT 1 FROM {prefix}identity AS i WHERE i.account = a.id AND i.connector = "
        ))
        .push_bind(connector.as_str().to_owned())
        .push(format!(
            ") OR EXISTS (SELECT 1 FROM {prefix}expected_identity AS e \
             WHERE e.account = a.id AND e.connector = "
        ))
        .push_bind(connector.as_str().to_owned())
        .push("))");
    }
    if let Some(department) = &query.department {
        push_department(&mut sql, prefix, department);
    }
    sql.push(" ORDER BY a.login_folded LIMIT ")
        .push_bind(i64::from(query.max));
    sql
}

/// The statement for one person by the bytes of their account's id.
pub(super) fn person_sql<DB>(id: Vec<u8>, dialect: Dialect) -> QueryBuilder<DB>
where
    DB: Database,
    DB::Arguments: Default,
    Vec<u8>: for<'q> Encode<'q, DB> + Type<DB>,
{
    let prefix = dialect.prefix;
    let start = format!("SELECT {PERSON_COLUMNS} FROM {prefix}account WHERE id = ");
    let mut sql = QueryBuilder::new(start);
    sql.push_bind(id);
    sql
}

/// The members of a department and of all below it. UNION drops what was found already, so a circle of
/// parents ends.
fn push_department<DB>(sql: &mut QueryBuilder<DB>, prefix: &str, department: &str)
where
    DB: Database,
    String: for<'q> Encode<'q, DB> + Type<DB>,
{
    sql.push(format!(
        " AND a.id IN (WITH RECURSIVE below (connector, id) AS \
         (SELECT connector, id FROM {prefix}department WHERE id = "
    ))
    .push_bind(department.to_owned())
    .push(" OR name = ")
    .push_bind(department.to_owned())
    .push(format!(
        " UNION SELECT d.connector, d.id FROM {prefix}department AS d \
         JOIN below AS b ON d.connector = b.connector AND d.parent = b.id) \
         SELECT i.account FROM below AS b \
         JOIN {prefix}membership AS m ON m.connector = b.connector AND m.department = b.id \
         JOIN {prefix}identity AS i ON i.connector = m.connector AND i.subject = m.subject)"
    ));
}
