//! [`AuditLogStore`]: adds, finds and deletes lines of the audit trail.

use std::borrow::Cow;

use async_trait::async_trait;
use sqlx::AssertSqlSafe;

use super::super::{AuditLogStore, AuditOrder, AuditQuery, StoreError, StoredAuditLine};
use super::row::Columns as _;
use super::statement::Statement;
use super::{Begin, Database, QueryError, Transaction, row, run, values};
use crate::clock::Timestamp;
use crate::telemetry::{AuditCause, AuditLine};

/// The length to which a login is compared, in bytes: PostgreSQL has no index of long texts.
const LOGIN_BYTES_MAX: usize = 512;

#[async_trait]
impl<D: Database> AuditLogStore for D {
    async fn add_audit_lines(&self, lines: &[AuditLine]) -> Result<u64, StoreError> {
        run("store audit lines", async {
            let mut tx = self.begin(Begin::Writing).await?;
            let mut added = 0;
            for line in lines {
                added += insert(&mut tx, line).await?;
            }
            tx.commit().await?;
            Ok(added)
        })
        .await
    }

    async fn audit_lines(&self, query: &AuditQuery) -> Result<Vec<StoredAuditLine>, StoreError> {
        run("list audit lines", async {
            let Statement { sql, values } = statement(query);
            // Only constants and the numbers of values are in the text.
            let rows = self.read_rows(AssertSqlSafe(sql), &values).await?;
            rows.iter().map(row::audit_line).collect()
        })
        .await
    }

    async fn delete_audit_lines(&self, before: Timestamp, max: u32) -> Result<u64, StoreError> {
        let sql = "DELETE FROM menshen_audit_line WHERE number IN \
                   (SELECT number FROM menshen_audit_line WHERE at < $1 \
                   ORDER BY at, number LIMIT $2)";
        let deleted = delete(self, sql, before.unix_ms(), max);
        run("delete old audit lines", deleted).await
    }

    async fn excess_audit_lines(&self, kept: u32) -> Result<Vec<(AuditCause, u64)>, StoreError> {
        run("count the audit lines", excess(self, kept)).await
    }

    async fn delete_oldest_audit_lines(
        &self,
        cause: AuditCause,
        max: u32,
    ) -> Result<u64, StoreError> {
        let sql = "DELETE FROM menshen_audit_line WHERE number IN \
                   (SELECT number FROM menshen_audit_line WHERE cause = $1 \
                   ORDER BY number LIMIT $2)";
        let deleted = delete(self, sql, cause.number(), max);
        run("delete excess audit lines", deleted).await
    }
}

/// Counts lines only if there can be too many: numbers may be missing, but none is there twice.
async fn excess(db: &impl Database, kept: u32) -> Result<Vec<(AuditCause, u64)>, QueryError> {
    let sql = "SELECT coalesce(max(number) - min(number) + 1, 0) AS number FROM menshen_audit_line";
    let found = db.read_row(sql, values![]).await?;
    let span = found.map_or(Ok(0), |found| found.integer("number"))?;
    if span <= i64::from(kept) {
        return Ok(Vec::new());
    }
    let sql = "SELECT cause, count(*) AS number FROM menshen_audit_line GROUP BY cause";
    let mut counts = [0; AuditCause::ALL.len()];
    for found in &db.read_rows(sql, values![]).await? {
        let cause = found.integer("cause")?;
        let known = AuditCause::ALL.iter().zip(&mut counts);
        for (_, count) in known.filter(|(known, _)| known.number() == cause) {
            *count = row::number(found, "number", "audit line")?;
        }
    }
    let all: u64 = counts.iter().sum();
    let mut rest = all.saturating_sub(u64::from(kept));
    let mut excess = Vec::new();
    for (cause, count) in AuditCause::ALL.into_iter().zip(counts) {
        let deleted = count.min(rest);
        rest -= deleted;
        if deleted > 0 {
            excess.push((cause, deleted));
        }
    }
    Ok(excess)
}

/// Adds a line in a transaction, so that the line of a change is stored with the change or not at all.
/// Returns 0 if the line is there already.
pub(super) async fn insert(tx: &mut impl Transaction, line: &AuditLine) -> Result<u64, QueryError> {
    let sql = "INSERT INTO menshen_audit_line \
               (id, at, event, connector, login_folded, account, cause, json) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING";
    let values = values![
        &line.id,
        line.at,
        line.event.as_str(),
        &line.connector,
        line.login.as_deref().map(folded),
        &line.account,
        line.cause.number(),
        &line.json
    ];
    tx.execute(sql, values).await
}

async fn delete(
    db: &impl Database,
    sql: &'static str,
    first: i64,
    max: u32,
) -> Result<u64, QueryError> {
    let mut tx = db.begin(Begin::Writing).await?;
    let deleted = tx.execute(sql, values![first, max]).await?;
    tx.commit().await?;
    Ok(deleted)
}

/// The form in which logins are compared. PostgreSQL has no text with NUL.
fn folded(login: &str) -> String {
    let mut folded = login.to_lowercase();
    folded.truncate(folded.floor_char_boundary(LOGIN_BYTES_MAX));
    match folded.contains('\0') {
        true => folded.replace('\0', "\u{fffd}"),
        false => folded,
    }
}

/// The statement of a query. Each condition has an index that ends with the order, so that the rows of a page
/// are read in their order.
fn statement(query: &AuditQuery) -> Statement<'_> {
    let mut statement =
        Statement::new("SELECT at, number, json FROM menshen_audit_line WHERE 1 = 1");
    let equal: [(&str, Option<Cow<'_, str>>); 4] = [
        ("event", query.event.map(|event| event.as_str().into())),
        (
            "login_folded",
            query.login.as_deref().map(|login| folded(login).into()),
        ),
        (
            "account",
            query.account.map(|account| account.to_string().into()),
        ),
        (
            "connector",
            query.connector.as_ref().map(|id| id.as_str().into()),
        ),
    ];
    for (column, value) in equal {
        let Some(value) = value else { continue };
        let value = statement.value(value);
        statement.push(&format!(" AND {column} = {value}"));
    }
    for (comparison, at) in [(">=", query.since), ("<", query.until)] {
        let Some(at) = at else { continue };
        let at = statement.value(at);
        statement.push(&format!(" AND at {comparison} {at}"));
    }
    let (comparison, direction) = match query.order {
        AuditOrder::Newest => ("<", "DESC"),
        AuditOrder::Oldest => (">", "ASC"),
    };
    if let Some(after) = query.after {
        let (at, number) = (statement.value(after.at), statement.value(after.number));
        statement.push(&format!(" AND (at, number) {comparison} ({at}, {number})"));
    }
    let max = statement.value(query.max);
    statement.push(&format!(
        " ORDER BY at {direction}, number {direction} LIMIT {max}"
    ));
    statement
}
