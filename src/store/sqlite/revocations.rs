//! [`RevocationStore`] in SQLite.

use std::borrow::Cow;
use std::iter;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::super::maintenance::FRONT_CHANNEL_MARKS_MAX;
use super::super::{
    AccountId, ConnectorId, CurrentEpochs, LogoutTarget, Revocation, RevocationPage,
    RevocationScope, RevocationStore, SessionKey, StoreError, Subject,
};
use super::{QueryError, Sqlite, coordination, row, run, tokens};
use crate::clock::Timestamp;
use crate::telemetry::LogLimiter;

/// The prefix of a connector's id in the name of its epoch.
const CONNECTOR_PREFIX: &str = "connector:";

#[async_trait]
impl RevocationStore for Sqlite {
    async fn revoke(
        &self,
        scope: &RevocationScope,
        at: Timestamp,
    ) -> Result<Revocation, StoreError> {
        run("revoke sessions", async {
            let mut tx = self.begin_write().await?;
            let epoch = match scope {
                RevocationScope::Session(key) => {
                    sqlx::query("DELETE FROM menshen_session WHERE key = ?1")
                        .bind(key.as_bytes().as_slice())
                        .execute(&mut *tx)
                        .await?;
                    0
                }
                RevocationScope::Account(account) => {
                    raise_account_epoch(&mut tx, account, at).await?
                }
                RevocationScope::Connector(_) | RevocationScope::Everyone => {
                    raise_epoch(&mut tx, scope, at).await?
                }
            };
            tokens::delete_for_scope(&mut tx, scope).await?;
            let entry = append_log(&mut tx, scope.clone(), epoch, at).await?;
            tx.commit().await?;
            Ok(entry)
        })
        .await
    }

    async fn apply_provider_logout(
        &self,
        connector: &ConnectorId,
        target: &LogoutTarget,
        message_id: Option<&[u8; 32]>,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        run("end the sessions that a provider ended", async {
            let mut tx = self.begin_write().await?;
            // The request is unauthenticated. If it ends no session, its mark goes to the bounded table.
            // Only within the transaction: a session that is minted before it begins must be ended.
            if let (None, LogoutTarget::Session(sid)) = (message_id, target)
                && !has_provider_session(&mut tx, connector, sid).await?
            {
                if at < until {
                    insert_front_channel_mark(&mut tx, connector, sid, (at, until)).await?;
                }
                tx.commit().await?;
                return Ok(Some(Vec::new()));
            }
            if let Some(message_id) = message_id
                && !coordination::spend(&mut tx, message_id, until).await?
            {
                tx.roll_back().await?;
                return Ok(None);
            }
            insert_logout_marks(&mut tx, connector, target, (at, until)).await?;
            let mut entries = Vec::new();
            for key in delete_matching_sessions(&mut tx, connector, target).await? {
                entries.push(append_log(&mut tx, RevocationScope::Session(key), 0, at).await?);
            }
            tx.commit().await?;
            Ok(Some(entries))
        })
        .await
    }

    async fn epochs(&self) -> Result<CurrentEpochs, StoreError> {
        run("read the epochs", async {
            // One statement reads one snapshot.
            let sql = "SELECT name, number FROM menshen_epoch UNION ALL \
                       SELECT 'log', coalesce(max(number), 0) FROM menshen_revocation";
            let mut now = CurrentEpochs::default();
            let mut db = self.reader().await?;
            for found in sqlx::query(sql).fetch_all(&mut *db).await? {
                let number: i64 = found.try_get("number")?;
                match found.try_get("name")? {
                    "log" => now.log_number = number,
                    "everyone" => now.everyone = row::unsigned(number, "number")?,
                    name => {
                        let id = name
                            .strip_prefix(CONNECTOR_PREFIX)
                            .and_then(|id| id.parse().ok());
                        let id = id.ok_or(QueryError::Damaged("number"))?;
                        now.connectors.push((id, row::unsigned(number, "number")?));
                    }
                }
            }
            Ok(now)
        })
        .await
    }

    async fn revocations_after(&self, number: i64, max: u32) -> Result<RevocationPage, StoreError> {
        run("read the log of revocations", async {
            let sql = "SELECT number, kind, what, epoch FROM menshen_revocation WHERE number > ?1 \
                       ORDER BY number LIMIT ?2";
            let rows = sqlx::query(sql)
                .bind(number)
                .bind(max)
                .fetch_all(&mut *self.reader().await?)
                .await?;
            let mut part = RevocationPage::default();
            for row in &rows {
                match log_entry(row) {
                    Ok(entry) => part.entries.push(entry),
                    // A damaged row must not hide the rows after it.
                    Err(QueryError::Damaged(_)) => part.damaged.push(row.try_get("number")?),
                    Err(error) => return Err(error),
                }
            }
            Ok(part)
        })
        .await
    }
}

/// Whether a session of ours belongs to this session of the provider.
pub(super) async fn has_provider_session(
    db: &mut SqliteConnection,
    connector: &ConnectorId,
    provider_sid: &str,
) -> Result<bool, QueryError> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM menshen_session WHERE connector = ?1 AND provider_sid = ?2)";
    let exists = sqlx::query_scalar(sql)
        .bind(connector.as_str())
        .bind(provider_sid)
        .fetch_one(db)
        .await?;
    Ok(exists)
}

/// Deletes the sessions that the provider's logout ends; returns their keys.
async fn delete_matching_sessions(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    target: &LogoutTarget,
) -> Result<Vec<SessionKey>, QueryError> {
    let (sql, sid, subject) = match target {
        LogoutTarget::Session(sid) => (
            "DELETE FROM menshen_session WHERE connector = ?1 AND provider_sid = ?2 RETURNING key",
            Some(sid),
            None,
        ),
        LogoutTarget::SessionAndSubject { sid, subject } => (
            "DELETE FROM menshen_session WHERE connector = ?1 AND (provider_sid = ?2 OR \
             (provider_sid IS NULL AND subject = ?3)) RETURNING key",
            Some(sid),
            Some(subject),
        ),
        LogoutTarget::Subject(subject) => (
            "DELETE FROM menshen_session WHERE connector = ?1 AND subject = ?3 RETURNING key",
            None,
            Some(subject),
        ),
    };
    let gone = sqlx::query(sql)
        .bind(connector.as_str())
        .bind(sid)
        .bind(subject.map(Subject::as_str))
        .fetch_all(tx)
        .await?;
    let key = |row: &_| Ok(SessionKey::new(row::bytes(row, "key", "session")?));
    gone.iter().map(key).collect()
}

async fn insert_logout_marks(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    target: &LogoutTarget,
    (at, until): (Timestamp, Timestamp),
) -> Result<(), QueryError> {
    let (kind, what, unnamed) = match target {
        LogoutTarget::Session(sid) => ("session", sid.as_str(), None),
        LogoutTarget::SessionAndSubject { sid, subject } => {
            ("session", sid.as_str(), Some(subject))
        }
        LogoutTarget::Subject(subject) => ("subject", subject.as_str(), None),
    };
    let unnamed = unnamed.map(|subject| ("unnamed", subject.as_str()));
    let sql = "INSERT INTO menshen_logout_mark (connector, kind, what, at, until) \
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE \
               SET at = max(at, excluded.at), until = max(until, excluded.until)";
    for (kind, what) in iter::once((kind, what)).chain(unnamed) {
        sqlx::query(sql)
            .bind(connector.as_str())
            .bind(kind)
            .bind(what)
            .bind(at.unix_ms())
            .bind(until.unix_ms())
            .execute(&mut *tx)
            .await?;
    }
    Ok(())
}

/// Stores a mark for an unknown provider session: a pending login, or a bearer token that was not used
/// yet, may belong to it.
async fn insert_front_channel_mark(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    sid: &str,
    (at, until): (Timestamp, Timestamp),
) -> Result<(), QueryError> {
    // A repeated mark gets a new number; otherwise it would be deleted first.
    let sql = "INSERT OR REPLACE INTO menshen_front_channel_mark (connector, sid, at, until) \
               SELECT ?1, ?2, max(?3, coalesce(max(at), ?3)), max(?4, coalesce(max(until), ?4)) \
               FROM menshen_front_channel_mark WHERE connector = ?1 AND sid = ?2";
    sqlx::query(sql)
        .bind(connector.as_str())
        .bind(sid)
        .bind(at.unix_ms())
        .bind(until.unix_ms())
        .execute(tx)
        .await?;
    Ok(())
}

/// Deletes the oldest front-channel marks of every connector that has too many, at most `max` rows;
/// returns how many it deleted. Runs at intervals, because finding the oldest mark to keep reads all the
/// others.
pub(super) async fn delete_oldest_marks(
    tx: &mut SqliteConnection,
    at: Timestamp,
    max: u32,
) -> Result<u64, QueryError> {
    let sql =
        "SELECT connector FROM menshen_front_channel_mark GROUP BY connector HAVING count(*) > ?1";
    let rows = sqlx::query(sql)
        .bind(FRONT_CHANNEL_MARKS_MAX)
        .fetch_all(&mut *tx)
        .await?;
    let mut deleted = 0;
    for found in &rows {
        let connector: ConnectorId = row::parsed(found, "connector", "logout mark")?;
        let sql = "DELETE FROM menshen_front_channel_mark WHERE number IN \
                   (SELECT number FROM menshen_front_channel_mark WHERE connector = ?1 \
                   ORDER BY number DESC LIMIT ?3 OFFSET ?2) RETURNING until";
        let dropped: Vec<i64> = sqlx::query_scalar(sql)
            .bind(connector.as_str())
            .bind(FRONT_CHANNEL_MARKS_MAX)
            .bind(max)
            .fetch_all(&mut *tx)
            .await?;
        let early = dropped.iter().filter(|until| **until > at.unix_ms());
        warn_of_dropped_marks(&connector, early.count());
        deleted += u64::try_from(dropped.len()).unwrap_or(u64::MAX);
    }
    Ok(deleted)
}

/// Logs that marks were evicted before they expired. Rate-limited, because unauthenticated requests
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

/// Whether the epoch of a connector or of everyone is still `number` and was not raised since `since_ms`,
/// the start of the login.
pub(super) async fn is_epoch_current(
    tx: &mut SqliteConnection,
    scope: &RevocationScope,
    number: u64,
    since_ms: i64,
) -> Result<bool, QueryError> {
    let sql = "SELECT number, coalesce(raised_at >= ?2, FALSE) AS raised_since \
               FROM menshen_epoch WHERE name = ?1";
    let found = sqlx::query(sql)
        .bind(epoch_name(scope))
        .bind(since_ms)
        .fetch_optional(tx)
        .await?;
    let Some(found) = found else {
        return Ok(number == 0);
    };
    let raised: bool = found.try_get("raised_since")?;
    Ok(!raised && row::number(&found, "number", "number")? == number)
}

async fn raise_epoch(
    tx: &mut SqliteConnection,
    scope: &RevocationScope,
    at: Timestamp,
) -> Result<u64, QueryError> {
    let sql = "INSERT INTO menshen_epoch (name, number, raised_at) VALUES (?1, 1, ?2) \
               ON CONFLICT DO UPDATE SET number = number + 1, \
               raised_at = max(coalesce(raised_at, ?2), ?2) RETURNING number";
    row::unsigned(
        sqlx::query_scalar(sql)
            .bind(epoch_name(scope))
            .bind(at.unix_ms())
            .fetch_one(tx)
            .await?,
        "number",
    )
}

pub(super) async fn raise_account_epoch(
    tx: &mut SqliteConnection,
    account: &AccountId,
    at: Timestamp,
) -> Result<u64, QueryError> {
    let sql = "UPDATE menshen_account SET epoch = epoch + 1, \
               epoch_raised_at = max(coalesce(epoch_raised_at, ?2), ?2) \
               WHERE id = ?1 RETURNING epoch";
    let epoch = sqlx::query_scalar(sql)
        .bind(account.as_bytes().as_slice())
        .bind(at.unix_ms())
        .fetch_optional(tx)
        .await?;
    row::unsigned(epoch.ok_or(QueryError::NoAccount(*account))?, "account")
}

pub(super) async fn append_log(
    tx: &mut SqliteConnection,
    scope: RevocationScope,
    epoch: u64,
    at: Timestamp,
) -> Result<Revocation, QueryError> {
    let (kind, what): (_, &[u8]) = match &scope {
        RevocationScope::Session(key) => ("session", key.as_bytes()),
        RevocationScope::Account(account) => ("account", account.as_bytes()),
        RevocationScope::Connector(connector) => ("connector", connector.as_str().as_bytes()),
        RevocationScope::Everyone => ("everyone", &[]),
    };
    let sql = "INSERT INTO menshen_revocation (kind, what, epoch, at) VALUES (?1, ?2, ?3, ?4) \
               RETURNING number";
    let number = sqlx::query_scalar(sql)
        .bind(kind)
        .bind(what)
        .bind(epoch.cast_signed())
        .bind(at.unix_ms())
        .fetch_one(tx)
        .await?;
    Ok(Revocation {
        number,
        scope,
        epoch,
    })
}

fn log_entry(found: &SqliteRow) -> Result<Revocation, QueryError> {
    const RECORD: &str = "revocation";
    let scope = match found.try_get("kind")? {
        "session" => RevocationScope::Session(SessionKey::new(row::bytes(found, "what", RECORD)?)),
        "account" => RevocationScope::Account(AccountId::new(row::bytes(found, "what", RECORD)?)),
        "connector" => {
            let id = std::str::from_utf8(found.try_get("what")?).ok();
            let id = id.and_then(|id| id.parse().ok());
            RevocationScope::Connector(id.ok_or(QueryError::Damaged(RECORD))?)
        }
        "everyone" => RevocationScope::Everyone,
        _ => return Err(QueryError::Damaged(RECORD)),
    };
    let epoch = row::number(found, "epoch", RECORD)?;
    Ok(Revocation {
        number: found.try_get("number")?,
        scope,
        epoch,
    })
}

/// The primary key of the epoch of a connector or of everyone.
fn epoch_name(scope: &RevocationScope) -> Cow<'static, str> {
    match scope {
        RevocationScope::Connector(connector) => format!("{CONNECTOR_PREFIX}{connector}").into(),
        RevocationScope::Everyone | RevocationScope::Account(_) | RevocationScope::Session(_) => {
            "everyone".into()
        }
    }
}
