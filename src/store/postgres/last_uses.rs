//! Sets the last use of sessions, in PostgreSQL.
//!
//! Rows are locked in one order, so that two nodes that write at the same time never wait for each other
//! in a circle.

use super::super::SessionKey;
use super::super::sql::{Begin, Database as _, Transaction as _};
use super::{Postgres, QueryError, Transaction};
use crate::clock::Timestamp;

pub(super) async fn set(db: &Postgres, used: &[(SessionKey, Timestamp)]) -> Result<(), QueryError> {
    let (keys, times): (Vec<&[u8]>, Vec<i64>) = used
        .iter()
        .map(|(key, at)| (key.as_bytes().as_slice(), at.unix_ms()))
        .unzip();
    let mut tx = db.begin(Begin::Writing).await?;
    let lock = "SELECT key FROM menshen_session WHERE key = ANY ($1) ORDER BY key \
                FOR NO KEY UPDATE";
    let update = "UPDATE menshen_session AS s SET used_at = u.at \
                  FROM (SELECT key, max(at) AS at FROM unnest($1::bytea[], $2::bigint[]) \
                  AS u (key, at) GROUP BY key) AS u WHERE s.key = u.key AND s.used_at < u.at";
    lock_and_update(&mut tx, [lock, update], (&keys, &times)).await?;
    tx.commit().await?;
    // By itself: a transaction that closes an account locks it before its sessions.
    let mut tx = db.begin(Begin::Writing).await?;
    let lock = "SELECT a.id FROM menshen_account AS a WHERE a.id IN \
                (SELECT account FROM menshen_session WHERE key = ANY ($1)) \
                ORDER BY a.id FOR NO KEY UPDATE";
    let update = "UPDATE menshen_account AS a SET seen_at = greatest(a.seen_at, u.at) \
                  FROM (SELECT s.account, max(t.at) AS at \
                  FROM unnest($1::bytea[], $2::bigint[]) AS t (key, at) \
                  JOIN menshen_session AS s ON s.key = t.key GROUP BY s.account) AS u \
                  WHERE a.id = u.account AND a.seen_at IS DISTINCT FROM greatest(a.seen_at, u.at)";
    lock_and_update(&mut tx, [lock, update], (&keys, &times)).await?;
    tx.commit().await
}

async fn lock_and_update(
    tx: &mut Transaction,
    [lock, update]: [&'static str; 2],
    (keys, times): (&[&[u8]], &[i64]),
) -> Result<(), QueryError> {
    let query = tx.query(lock).bind(keys);
    query.execute(tx.connection()).await?;
    let query = tx.query(update).bind(keys).bind(times);
    query.execute(tx.connection()).await?;
    Ok(())
}
