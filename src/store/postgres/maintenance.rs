//! Deletes expired rows, in PostgreSQL.

use super::super::maintenance::{
    FRONT_CHANNEL_MARKS_MAX, HISTORY_RETENTION, LOG_RETENTION, LOGOUT_MARKS_MAX, NODE_RETENTION,
};
use super::super::row::Columns as _;
use super::super::sql::{Begin, Database as _, Transaction as _, Value};
use super::{Postgres, QueryError};
use crate::clock::Timestamp;

/// Deletes sessions of the console that have expired; the parameters are those of [`expired_rows`].
const EXPIRED_CONSOLE_SESSIONS: &str = "DELETE FROM menshen_console_session WHERE key IN \
     (SELECT key FROM menshen_console_session WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// In one transaction for each kind of record. Rows that others have locked are left for the next time, so
/// that a login never waits for a deletion.
pub(super) async fn delete_expired_rows(
    db: &Postgres,
    at: Timestamp,
    idle_before: Timestamp,
    max: u32,
) -> Result<u64, QueryError> {
    let mut deleted = 0;
    let (now, idle_before) = (at.unix_ms(), idle_before.unix_ms());
    let rows = expired_rows(now, idle_before).into_iter();
    let rows = rows.chain(expired_access_tokens(now, idle_before));
    for (sql, first) in rows.chain([(EXPIRED_CONSOLE_SESSIONS, now)]) {
        let mut tx = db.begin(Begin::Writing).await?;
        let values = [Value::from(first), Value::from(max)];
        deleted += tx.execute(sql, &values).await?;
        tx.commit().await?;
    }
    Ok(deleted)
}

pub(super) async fn clock(db: &Postgres) -> Result<Timestamp, QueryError> {
    let sql = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS ms";
    let mut tx = db.begin(Begin::Reading).await?;
    let found = tx.only_row(sql, &[]).await?;
    tx.commit().await?;
    Ok(Timestamp::from_unix_ms(found.integer("ms")?))
}

/// The DELETE statements with their first parameter; the second is the maximum number of rows.
fn expired_rows(now: i64, idle_before: i64) -> [(&'static str, i64); 11] {
    let before = |retention: std::time::Duration| {
        let ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        now.saturating_sub(ms)
    };
    let (log_before, history_before) = (before(LOG_RETENTION), before(HISTORY_RETENTION));
    let nodes_before = before(NODE_RETENTION);
    [
        (
            "DELETE FROM menshen_session WHERE key IN (SELECT key FROM menshen_session \
             WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
        ),
        (
            "DELETE FROM menshen_session WHERE key IN (SELECT key FROM menshen_session \
             WHERE used_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            idle_before,
        ),
        (
            "DELETE FROM menshen_spent WHERE what IN (SELECT what FROM menshen_spent \
             WHERE until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
        ),
        (
            "DELETE FROM menshen_logout_mark WHERE (connector, kind, what) IN \
             (SELECT connector, kind, what FROM menshen_logout_mark \
             WHERE until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
        ),
        (
            "DELETE FROM menshen_front_channel_mark WHERE number IN \
             (SELECT number FROM menshen_front_channel_mark \
             WHERE until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
        ),
        (
            "DELETE FROM menshen_front_channel_mark WHERE number IN \
             (SELECT number FROM (SELECT number, row_number() OVER \
             (PARTITION BY connector ORDER BY number DESC) AS newer FROM menshen_front_channel_mark) \
             AS numbered WHERE newer > $1 LIMIT $2)",
            FRONT_CHANNEL_MARKS_MAX,
        ),
        (
            "DELETE FROM menshen_logout_mark WHERE (connector, kind, what) IN \
             (SELECT connector, kind, what FROM menshen_logout_mark \
             ORDER BY until DESC LIMIT $2 OFFSET $1)",
            LOGOUT_MARKS_MAX,
        ),
        (
            "DELETE FROM menshen_lease WHERE name IN (SELECT name FROM menshen_lease \
             WHERE until < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
        ),
        // The newest of the old entries stays: a process that has read it may not have read the next one.
        (
            "DELETE FROM menshen_revocation WHERE number IN (SELECT number FROM menshen_revocation \
             WHERE at < $1 AND number < (SELECT max(number) FROM menshen_revocation WHERE at < $1) \
             ORDER BY number LIMIT $2)",
            log_before,
        ),
        (
            "DELETE FROM menshen_account_change WHERE number IN \
             (SELECT number FROM menshen_account_change WHERE at < $1 LIMIT $2)",
            history_before,
        ),
        (
            "DELETE FROM menshen_node WHERE id IN \
             (SELECT id FROM menshen_node WHERE seen_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            nodes_before,
        ),
    ]
}

/// The same for access tokens: those that have expired, and those that were ended before `idle_before`.
fn expired_access_tokens(now: i64, idle_before: i64) -> [(&'static str, i64); 2] {
    [
        (
            "DELETE FROM menshen_access_token WHERE key IN (SELECT key FROM menshen_access_token \
             WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            now,
        ),
        (
            "DELETE FROM menshen_access_token WHERE key IN (SELECT key FROM menshen_access_token \
             WHERE revoked_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)",
            idle_before,
        ),
    ]
}
