//! What happens once: a key ring is made, something is spent, a lease is held, a leftover swept.

use std::time::Duration;

use sqlx::{Row as _, SqliteConnection};

use super::{Sqlite, Trouble};
use crate::clock::Timestamp;
use crate::secret::Secret;

/// How long the log remembers. A process that lost sight of it for longer must forget what it
/// cached and read the numbers anew.
const LOG_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// How many marks of logouts at providers are kept; of more, those that are over first give way.
const LOGOUT_MARKS_MAX: i64 = 1_000_000;

pub(super) async fn ping(db: &Sqlite) -> Result<(), Trouble> {
    // Reads a page of the file; `SELECT 1` alone would not.
    sqlx::query("SELECT count(*) FROM key_ring")
        .fetch_one(&mut *db.read().await?)
        .await?;
    Ok(())
}

/// The lease that nobody holds: a row that is only there to be written.
pub(super) async fn try_write(db: &Sqlite) -> Result<(), Trouble> {
    let sql = "INSERT INTO lease (name, holder, until) VALUES ('try_write', '', ?1) \
               ON CONFLICT DO UPDATE SET until = excluded.until";
    let mut tx = db.write().await?;
    sqlx::query(sql).bind(i64::MAX).execute(&mut *tx).await?;
    tx.commit().await
}

pub(super) async fn keys(
    db: &Sqlite,
    candidate: &Secret<String>,
) -> Result<Vec<Secret<String>>, Trouble> {
    // Who only reads them needs no room on the disk.
    let kept = kept_keys(&mut *db.read().await?).await?;
    if !kept.is_empty() {
        return Ok(kept);
    }
    let mut tx = db.write().await?;
    let kept = kept_keys(&mut tx).await?;
    if !kept.is_empty() {
        tx.leave().await?;
        return Ok(kept);
    }
    sqlx::query("INSERT INTO key_ring (position, text) VALUES (0, ?1)")
        .bind(candidate.expose())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(vec![candidate.clone()])
}

async fn kept_keys(db: &mut SqliteConnection) -> Result<Vec<Secret<String>>, Trouble> {
    let sql = "SELECT text FROM key_ring ORDER BY position";
    let rows = sqlx::query(sql).fetch_all(db).await?;
    let key = |found: &sqlx::sqlite::SqliteRow| Ok(Secret::new(found.try_get("text")?));
    rows.iter().map(key).collect()
}

pub(super) async fn spend_alone(
    db: &Sqlite,
    what: &[u8; 32],
    until: Timestamp,
) -> Result<bool, Trouble> {
    let mut tx = db.write().await?;
    let first = spend(&mut tx, what, until).await?;
    tx.commit().await?;
    Ok(first)
}

pub(super) async fn spend(
    tx: &mut SqliteConnection,
    what: &[u8; 32],
    until: Timestamp,
) -> Result<bool, Trouble> {
    let sql = "INSERT INTO spent (what, until) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let spent = sqlx::query(sql)
        .bind(what.as_slice())
        .bind(until.unix_ms())
        .execute(tx)
        .await?;
    Ok(spent.rows_affected() == 1)
}

pub(super) async fn lease(
    db: &Sqlite,
    name: &str,
    holder: &str,
    at: Timestamp,
    until: Timestamp,
) -> Result<bool, Trouble> {
    let sql = "INSERT INTO lease (name, holder, until) VALUES (?1, ?2, ?4) \
               ON CONFLICT DO UPDATE SET holder = excluded.holder, until = excluded.until \
               WHERE lease.holder = excluded.holder OR lease.until <= ?3";
    let mut tx = db.write().await?;
    let taken = sqlx::query(sql)
        .bind(name)
        .bind(holder)
        .bind(at.unix_ms())
        .bind(until.unix_ms())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(taken.rows_affected() == 1)
}

pub(super) async fn sweep(
    db: &Sqlite,
    at: Timestamp,
    idle_before: Timestamp,
    max: u32,
) -> Result<u64, Trouble> {
    let now = at.unix_ms();
    let log_before = now.saturating_sub(i64::try_from(LOG_KEPT.as_millis()).unwrap_or(i64::MAX));
    // The newest entry stays, so that the log always knows its last number.
    let leftovers = [
        (
            "DELETE FROM session WHERE rowid IN \
          (SELECT rowid FROM session WHERE expires_at <= ?1 LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM session WHERE rowid IN \
          (SELECT rowid FROM session WHERE used_at < ?1 LIMIT ?2)",
            idle_before.unix_ms(),
        ),
        (
            "DELETE FROM spent WHERE what IN \
          (SELECT what FROM spent WHERE until < ?1 LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM logout_mark WHERE (connector, kind, what) IN \
          (SELECT connector, kind, what FROM logout_mark WHERE until < ?1 LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM front_channel_mark WHERE number IN \
          (SELECT number FROM front_channel_mark WHERE until < ?1 LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM logout_mark WHERE (connector, kind, what) IN \
          (SELECT connector, kind, what FROM logout_mark ORDER BY until DESC LIMIT ?2 OFFSET ?1)",
            LOGOUT_MARKS_MAX,
        ),
        (
            "DELETE FROM lease WHERE name IN \
          (SELECT name FROM lease WHERE until < ?1 LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM revocation WHERE number IN (SELECT number FROM revocation WHERE at < ?1 \
          AND number < (SELECT max(number) FROM revocation) ORDER BY number LIMIT ?2)",
            log_before,
        ),
    ];
    let mut tx = db.write().await?;
    let mut deleted = 0;
    for (sql, before) in leftovers {
        let done = sqlx::query(sql)
            .bind(before)
            .bind(max)
            .execute(&mut *tx)
            .await?;
        deleted += done.rows_affected();
    }
    tx.commit().await?;
    Ok(deleted)
}
