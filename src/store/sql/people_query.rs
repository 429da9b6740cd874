//! Finds people by a [`PeopleQuery`].

use sqlx::AssertSqlSafe;

use super::super::{AccountId, PeopleQuery, PersonRecord};
use super::statement::Statement;
use super::{Database, QueryError, row, values};

/// The columns of a person, for `row::person`.
const PERSON_COLUMNS: &str = "id, login, name, email, mobile, created_at, seen_at, \
     closed, closed_at, closed_by, closed_reason, local_department, local_groups";

/// The greatest character. All texts with a prefix are between the prefix and the prefix with this behind
/// it.
const LAST_CHAR: char = '\u{10ffff}';

/// The people that match, in the order of their login names.
pub(super) async fn people<D: Database>(
    db: &D,
    query: &PeopleQuery,
) -> Result<Vec<PersonRecord>, QueryError> {
    let Statement { sql, values } = statement(query, D::POSITION_FUNCTION);
    // Only constants and the numbers of values are in the text.
    let rows = db.read_rows(AssertSqlSafe(sql), &values).await?;
    rows.iter().map(row::person).collect()
}

/// The person with this account.
pub(super) async fn person(
    db: &impl Database,
    account: &AccountId,
) -> Result<Option<PersonRecord>, QueryError> {
    let sql = format!("SELECT {PERSON_COLUMNS} FROM menshen_account WHERE id = $1");
    let found = db.read_row(AssertSqlSafe(sql), values![account]).await?;
    found.as_ref().map(row::person).transpose()
}

fn statement<'a>(query: &'a PeopleQuery, position_function: &str) -> Statement<'a> {
    let mut statement = Statement::new(&format!(
        "SELECT {PERSON_COLUMNS} FROM menshen_account AS a WHERE 1 = 1"
    ));
    if let Some(after) = &query.after {
        let after = statement.value(after.folded());
        statement.push(&format!(" AND a.login_folded > {after}"));
    }
    let folded = |text: &Option<String>| text.as_deref().map(str::to_lowercase);
    for (column, prefix) in [
        ("login_folded", folded(&query.login)),
        ("name_folded", folded(&query.name)),
        ("email_folded", folded(&query.email)),
        ("mobile", query.mobile.clone()),
    ] {
        let Some(prefix) = prefix else { continue };
        let end = statement.value(format!("{prefix}{LAST_CHAR}"));
        let begin = statement.value(prefix);
        statement.push(&format!(
            " AND a.{column} >= {begin} AND a.{column} < {end}"
        ));
    }
    if let Some(text) = &query.text {
        let text = statement.value(text.to_lowercase());
        let found = ["login_folded", "name_folded", "email_folded", "mobile"]
            .map(|column| format!("{position_function}(a.{column}, {text}) > 0"));
        statement.push(&format!(" AND ({})", found.join(" OR ")));
    }
    if let Some(closed) = query.closed {
        let closed = statement.value(closed);
        statement.push(&format!(" AND a.closed = {closed}"));
    }
    if let Some(connector) = &query.connector {
        let connector = statement.value(connector);
        statement.push(&format!(
            " AND (EXISTS (SELECT 1 FROM menshen_identity AS i \
                 WHERE i.account = a.id AND i.connector = {connector}) \
                 OR EXISTS (SELECT 1 FROM menshen_expected_identity AS e \
                 WHERE e.account = a.id AND e.connector = {connector}))"
        ));
    }
    if let Some(department) = &query.department {
        let department = statement.value(department);
        statement.push(&in_department(&department, position_function));
    }
    let max = statement.value(query.max);
    statement.push(&format!(" ORDER BY a.login_folded LIMIT {max}"));
    statement
}

/// The condition that a person belongs to a department or to one below it; a department that menshen
/// itself gives is found by its path. UNION drops rows that were found before, so the recursion ends even
/// if the parents form a circle.
fn in_department(department: &str, position_function: &str) -> String {
    format!(
        " AND (a.local_department = {department} \
         OR {position_function}(a.local_department, {department} || '/') = 1 \
         OR a.id IN (WITH RECURSIVE below (connector, id) AS \
         (SELECT connector, id FROM menshen_department \
         WHERE id = {department} OR name = {department} \
         UNION SELECT d.connector, d.id FROM menshen_department AS d \
         JOIN below AS b ON d.connector = b.connector AND d.parent = b.id) \
         SELECT i.account FROM below AS b \
         JOIN menshen_membership AS m ON m.connector = b.connector AND m.department = b.id \
         JOIN menshen_identity AS i ON i.connector = m.connector AND i.subject = m.subject))"
    )
}
