//! Deletes expired rows, in SQLite.

use super::super::ConnectorId;
use super::super::maintenance::{
    FRONT_CHANNEL_MARKS_MAX, HISTORY_RETENTION, LOG_RETENTION, LOGOUT_MARKS_MAX, NODE_RETENTION,
};
use super::super::row::{self, Columns as _};
use super::super::sql::{Begin, Database as _, Transaction as _, Value};
use super::{QueryError, Sqlite, Transaction};
use crate::clock::Timestamp;
use crate::telemetry::LogLimiter;

/// Deletes sessions of the console that have expired; the parameters are those of [`expired_rows`].
const EXPIRED_CONSOLE_SESSIONS: &str = "DELETE FROM menshen_console_session WHERE key IN \
     (SELECT key FROM menshen_console_session WHERE expires_at <= $1 LIMIT $2)";

/// In one transaction.
pub(super) async fn delete_expired_rows(
    db: &Sqlite,
    at: Timestamp,
    idle_before: Timestamp,
    max: u32,
) -> Result<u64, QueryError> {
    let mut tx = db.begin(Begin::Writing).await?;
    let mut deleted = 0;
    let (now, idle_before) = (at.unix_ms(), idle_before.unix_ms());
    let rows = expired_rows(now, idle_before).into_iter();
    let rows = rows.chain(expired_access_tokens(now, idle_before));
    for (sql, before) in rows.chain([(EXPIRED_CONSOLE_SESSIONS, now)]) {
        let values = [Value::from(before), Value::from(max)];
        deleted += tx.execute(sql, &values).await?;
    }
    deleted += delete_oldest_marks(&mut tx, at, max).await?;
    tx.commit().await?;
    Ok(deleted)
}

/// The DELETE statements with their first parameter; the second is the maximum number of rows.
fn expired_rows(now: i64, idle_before: i64) -> [(&'static str, i64); 10] {
    let before = |retention: std::time::Duration| {
        let ms = i64::try_from(retention.as_millis()).unwrap_or(i64::MAX);
        now.saturating_sub(ms)
    };
    let (log_before, history_before) = (before(LOG_RETENTION), before(HISTORY_RETENTION));
    let nodes_before = before(NODE_RETENTION);
    [
        (
            "DELETE FROM menshen_session WHERE rowid IN \
             (SELECT rowid FROM menshen_session WHERE expires_at <= $1 LIMIT $2)",
            now,
        ),
        (
            "DELETE FROM menshen_session WHERE rowid IN \
             (SELECT rowid FROM menshen_session WHERE used_at < $1 LIMIT $2)",
            idle_before,
        ),
        (
            "DELETE FROM menshen_spent WHERE what IN \
             (SELECT what FROM menshen_spent WHERE until < $1 LIMIT $2)",
            now,
        ),
        (
            "DELETE FROM menshen_logout_mark WHERE (connector, kind, what) IN \
             (SELECT connector, kind, what FROM menshen_logout_mark WHERE until < $1 LIMIT $2)",
            now,
        ),
        (
            "DELETE FROM menshen_front_channel_mark WHERE number IN \
             (SELECT number FROM menshen_front_channel_mark WHERE until < $1 LIMIT $2)",
            now,
        ),
        (
            "DELETE FROM menshen_logout_mark WHERE (connector, kind, what) IN \
             (SELECT connector, kind, what FROM menshen_logout_mark \
             ORDER BY until DESC LIMIT $2 OFFSET $1)",
            LOGOUT_MARKS_MAX,
        ),
        (
            "DELETE FROM menshen_lease WHERE name IN \
             (SELECT name FROM menshen_lease WHERE until < $1 LIMIT $2)",
            now,
        ),
        // The newest of the old entries stays: a process that has read it may not have read the next one.
        (
            "DELETE FROM menshen_revocation WHERE number IN (SELECT number FROM menshen_revocation WHERE at < $1 \
             AND number < (SELECT max(number) FROM menshen_revocation WHERE at < $1) ORDER BY number LIMIT $2)",
            log_before,
        ),
        (
            "DELETE FROM menshen_account_change WHERE number IN \
             (SELECT number FROM menshen_account_change WHERE at < $1 LIMIT $2)",
            history_before,
        ),
        (
            "DELETE FROM menshen_node WHERE id IN \
             (SELECT id FROM menshen_node WHERE seen_at < $1 LIMIT $2)",
            nodes_before,
        ),
    ]
}

/// The same for access tokens: those that have expired, and those that were ended before `idle_before`.
fn expired_access_tokens(now: i64, idle_before: i64) -> [(&'static str, i64); 2] {
    [
        (
            "DELETE FROM menshen_access_token WHERE key IN (SELECT key FROM menshen_access_token \
             WHERE expires_at <= $1 LIMIT $2)",
            now,
        ),
        (
            "DELETE FROM menshen_access_token WHERE key IN (SELECT key FROM menshen_access_token \
             WHERE revoked_at < $1 LIMIT $2)",
            idle_before,
        ),
    ]
}

/// Deletes the oldest front-channel marks of every connector that has too many, at most `max` rows;
/// returns how many it deleted. Runs at intervals, because finding the oldest mark to keep reads all the
/// others.
async fn delete_oldest_marks(
    tx: &mut Transaction,
    at: Timestamp,
    max: u32,
) -> Result<u64, QueryError> {
    let sql = "SELECT connector FROM menshen_front_channel_mark \
               GROUP BY connector HAVING count(*) > $1";
    let rows = tx.rows(sql, &[FRONT_CHANNEL_MARKS_MAX.into()]).await?;
    let mut deleted = 0;
    for found in &rows {
        let connector: ConnectorId = row::parsed(found, "connector", "logout mark")?;
        let sql = "DELETE FROM menshen_front_channel_mark WHERE number IN \
                   (SELECT number FROM menshen_front_channel_mark WHERE connector = $1 \
                   ORDER BY number DESC LIMIT $3 OFFSET $2) RETURNING until > $4 AS is_early";
        let values = [
            Value::from(&connector),
            FRONT_CHANNEL_MARKS_MAX.into(),
            max.into(),
            at.into(),
        ];
        let dropped = tx.rows(sql, &values).await?;
        let mut early = 0;
        for mark in &dropped {
            early += usize::from(mark.boolean("is_early")?);
        }
        warn_of_dropped_marks(&connector, early);
        deleted += u64::try_from(dropped.len()).unwrap_or(u64::MAX);
    }
    Ok(deleted)
}

/// Logs that marks were deleted before they expired. Rate-limited, because unauthenticated requests
/// cause this line.
fn warn_of_dropped_marks(connector: &ConnectorId, logouts: usize) {
    static LOG_LIMITER: LogLimiter = LogLimiter::new();
    if logouts > 0 && LOG_LIMITER.allow() {
        tracing::warn!(
            %connector,
            logouts,
            kept = FRONT_CHANNEL_MARKS_MAX,
            "front-channel logouts of sessions that are not known here are dropped before their \
             time, because too many came through this connector: tokens that they ended may count \
             again"
        );
    }
}
