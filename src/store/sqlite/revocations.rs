//! Revocations, in SQLite: an epoch is raised or a session deleted, and an entry of the log tells the
//! other processes.

use std::borrow::Cow;
use std::iter;

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::super::{
    AccountId, ConnectorId, EpochsNow, LogPart, LogoutMark, Revocation, RevocationStore, Scope,
    SessionKey, StoreError, Subject,
};
use super::{Failure, Sqlite, ask, once, row, tokens};
use crate::clock::Timestamp;
use crate::telemetry::LogLimiter;

/// How many marks of a connector are kept for requests that anybody can send.
const FRONT_CHANNEL_MARKS_MAX: i64 = 50_000;

/// What precedes a connector's id in the name of its epoch.
const CONNECTOR: &str = "connector:";

#[async_trait]
impl RevocationStore for Sqlite {
    async fn revoke(&self, scope: &Scope, at: Timestamp) -> Result<Revocation, StoreError> {
        ask("revoke sessions", async {
            let mut tx = self.write().await?;
            let epoch = match scope {
                Scope::Session(key) => {
                    sqlx::query("DELETE FROM session WHERE key = ?1")
                        .bind(key.as_bytes().as_slice())
                        .execute(&mut *tx)
                        .await?;
                    0
                }
                Scope::Account(account) => raise_account(&mut tx, account, at).await?,
                Scope::Connector(_) | Scope::Everyone => raise(&mut tx, scope, at).await?,
            };
            tokens::forget(&mut tx, scope).await?;
            let entry = log(&mut tx, scope.clone(), epoch, at).await?;
            tx.commit().await?;
            Ok(entry)
        })
        .await
    }

    async fn end_at_provider(
        &self,
        connector: &ConnectorId,
        mark: &LogoutMark,
        notice: Option<&[u8; 32]>,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        ask("end the sessions that a provider ended", async {
            // Anybody can send this. When it ends no session here, its mark goes where few are kept.
            if let (None, LogoutMark::ProviderSession(sid)) = (notice, mark)
                && !came_from(self, connector, sid).await?
            {
                if at < until {
                    mark_unknown(self, connector, sid, (at, until)).await?;
                }
                return Ok(Some(Vec::new()));
            }
            let mut tx = self.write().await?;
            if let Some(notice) = notice
                && !once::spend(&mut tx, notice, until).await?
            {
                tx.roll_back().await?;
                return Ok(None);
            }
            mark_logout(&mut tx, connector, mark, (at, until)).await?;
            let mut entries = Vec::new();
            for key in delete_ended(&mut tx, connector, mark).await? {
                entries.push(log(&mut tx, Scope::Session(key), 0, at).await?);
            }
            tx.commit().await?;
            Ok(Some(entries))
        })
        .await
    }

    async fn epochs(&self) -> Result<EpochsNow, StoreError> {
        ask("read the epochs", async {
            // One statement reads one snapshot.
            let sql = "SELECT name, number FROM epoch UNION ALL \
                       SELECT 'log', coalesce(max(number), 0) FROM revocation";
            let mut now = EpochsNow::default();
            let mut db = self.read().await?;
            for found in sqlx::query(sql).fetch_all(&mut *db).await? {
                let number: i64 = found.try_get("number")?;
                match found.try_get("name")? {
                    "log" => now.log_number = number,
                    "everyone" => now.everyone = row::unsigned(number, "number")?,
                    name => {
                        let id = name.strip_prefix(CONNECTOR).and_then(|id| id.parse().ok());
                        let id = id.ok_or(Failure::Damaged("number"))?;
                        now.connectors.push((id, row::unsigned(number, "number")?));
                    }
                }
            }
            Ok(now)
        })
        .await
    }

    async fn revocations_after(&self, number: i64, max: u32) -> Result<LogPart, StoreError> {
        ask("read the log of revocations", async {
            let sql = "SELECT number, kind, what, epoch FROM revocation WHERE number > ?1 \
                       ORDER BY number LIMIT ?2";
            let rows = sqlx::query(sql)
                .bind(number)
                .bind(max)
                .fetch_all(&mut *self.read().await?)
                .await?;
            let mut part = LogPart::default();
            for row in &rows {
                match entry(row) {
                    Ok(entry) => part.entries.push(entry),
                    // The rows after it still count.
                    Err(Failure::Damaged(_)) => part.damaged.push(row.try_get("number")?),
                    Err(failure) => return Err(failure),
                }
            }
            Ok(part)
        })
        .await
    }
}

/// Whether a session here came from this session of the provider.
pub(super) async fn came_from(
    db: &Sqlite,
    connector: &ConnectorId,
    provider_sid: &str,
) -> Result<bool, Failure> {
    let sql = "SELECT EXISTS (SELECT 1 FROM session WHERE connector = ?1 AND provider_sid = ?2)";
    let stands = sqlx::query_scalar(sql)
        .bind(connector.as_str())
        .bind(provider_sid)
        .fetch_one(&mut *db.read().await?)
        .await?;
    Ok(stands)
}

/// Deletes the sessions that a provider ended; answers their keys.
async fn delete_ended(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    mark: &LogoutMark,
) -> Result<Vec<SessionKey>, Failure> {
    let (sql, sid, subject) = match mark {
        LogoutMark::ProviderSession(sid) => (
            "DELETE FROM session WHERE connector = ?1 AND provider_sid = ?2 RETURNING key",
            Some(sid),
            None,
        ),
        LogoutMark::SessionOf { sid, subject } => (
            "DELETE FROM session WHERE connector = ?1 AND (provider_sid = ?2 OR \
             (provider_sid IS NULL AND subject = ?3)) RETURNING key",
            Some(sid),
            Some(subject),
        ),
        LogoutMark::Subject(subject) => (
            "DELETE FROM session WHERE connector = ?1 AND subject = ?3 RETURNING key",
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

async fn mark_logout(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    mark: &LogoutMark,
    (at, until): (Timestamp, Timestamp),
) -> Result<(), Failure> {
    let (kind, what, unnamed) = match mark {
        LogoutMark::ProviderSession(sid) => ("session", sid.as_str(), None),
        LogoutMark::SessionOf { sid, subject } => ("session", sid.as_str(), Some(subject)),
        LogoutMark::Subject(subject) => ("subject", subject.as_str(), None),
    };
    let unnamed = unnamed.map(|subject| ("unnamed", subject.as_str()));
    let sql = "INSERT INTO logout_mark (connector, kind, what, at, until) \
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

/// Keeps a mark for a provider's session from which no session here came: a login under way, or a
/// token that was not seen yet, may still come from it.
async fn mark_unknown(
    db: &Sqlite,
    connector: &ConnectorId,
    sid: &str,
    (at, until): (Timestamp, Timestamp),
) -> Result<(), Failure> {
    // A mark that is repeated gets a new number, or it would be the first to be deleted.
    let sql = "INSERT OR REPLACE INTO front_channel_mark (connector, sid, at, until) \
               SELECT ?1, ?2, max(?3, coalesce(max(at), ?3)), max(?4, coalesce(max(until), ?4)) \
               FROM front_channel_mark WHERE connector = ?1 AND sid = ?2";
    let mut tx = db.write().await?;
    sqlx::query(sql)
        .bind(connector.as_str())
        .bind(sid)
        .bind(at.unix_ms())
        .bind(until.unix_ms())
        .execute(&mut *tx)
        .await?;
    let sql = "DELETE FROM front_channel_mark WHERE connector = ?1 AND number <= \
               (SELECT number FROM front_channel_mark WHERE connector = ?1 \
               ORDER BY number DESC LIMIT 1 OFFSET ?2) RETURNING until";
    let forgotten: Vec<i64> = sqlx::query_scalar(sql)
        .bind(connector.as_str())
        .bind(FRONT_CHANNEL_MARKS_MAX)
        .fetch_all(&mut *tx)
        .await?;
    tx.commit().await?;
    let early = forgotten.iter().filter(|until| **until > at.unix_ms());
    warn_of_forgotten(connector, early.count());
    Ok(())
}

/// Anybody may cause this line through a browser.
fn warn_of_forgotten(connector: &ConnectorId, logouts: usize) {
    static LOG_LIMITER: LogLimiter = LogLimiter::new();
    if logouts > 0 && LOG_LIMITER.allow() {
        tracing::warn!(
            %connector,
            logouts,
            kept = FRONT_CHANNEL_MARKS_MAX,
            "front-channel logouts of sessions that are not known here are forgotten before their \
             time, because too many came through this connector: tokens that they ended may count \
             again"
        );
    }
}

/// Whether the epoch of a connector or of everyone is still `number` and was not raised since
/// `since_ms`: a login that began then may have read the epoch later.
pub(super) async fn stands(
    tx: &mut SqliteConnection,
    scope: &Scope,
    number: u64,
    since_ms: i64,
) -> Result<bool, Failure> {
    let sql = "SELECT number, coalesce(raised_at >= ?2, FALSE) AS raised_since \
               FROM epoch WHERE name = ?1";
    let found = sqlx::query(sql)
        .bind(name(scope))
        .bind(since_ms)
        .fetch_optional(tx)
        .await?;
    let Some(found) = found else {
        return Ok(number == 0);
    };
    let raised: bool = found.try_get("raised_since")?;
    Ok(!raised && row::number(&found, "number", "number")? == number)
}

async fn raise(tx: &mut SqliteConnection, scope: &Scope, at: Timestamp) -> Result<u64, Failure> {
    let sql = "INSERT INTO epoch (name, number, raised_at) VALUES (?1, 1, ?2) \
               ON CONFLICT DO UPDATE SET number = number + 1, \
               raised_at = max(coalesce(raised_at, ?2), ?2) RETURNING number";
    row::unsigned(
        sqlx::query_scalar(sql)
            .bind(name(scope))
            .bind(at.unix_ms())
            .fetch_one(tx)
            .await?,
        "number",
    )
}

pub(super) async fn raise_account(
    tx: &mut SqliteConnection,
    account: &AccountId,
    at: Timestamp,
) -> Result<u64, Failure> {
    let sql = "UPDATE account SET epoch = epoch + 1, \
               epoch_raised_at = max(coalesce(epoch_raised_at, ?2), ?2) \
               WHERE id = ?1 RETURNING epoch";
    let epoch = sqlx::query_scalar(sql)
        .bind(account.as_bytes().as_slice())
        .bind(at.unix_ms())
        .fetch_optional(tx)
        .await?;
    row::unsigned(epoch.ok_or(Failure::NoAccount(*account))?, "account")
}

pub(super) async fn log(
    tx: &mut SqliteConnection,
    scope: Scope,
    epoch: u64,
    at: Timestamp,
) -> Result<Revocation, Failure> {
    let (kind, what): (_, &[u8]) = match &scope {
        Scope::Session(key) => ("session", key.as_bytes()),
        Scope::Account(account) => ("account", account.as_bytes()),
        Scope::Connector(connector) => ("connector", connector.as_str().as_bytes()),
        Scope::Everyone => ("everyone", &[]),
    };
    let sql = "INSERT INTO revocation (kind, what, epoch, at) VALUES (?1, ?2, ?3, ?4) \
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

fn entry(found: &SqliteRow) -> Result<Revocation, Failure> {
    const RECORD: &str = "revocation";
    let scope = match found.try_get("kind")? {
        "session" => Scope::Session(SessionKey::new(row::bytes(found, "what", RECORD)?)),
        "account" => Scope::Account(AccountId::new(row::bytes(found, "what", RECORD)?)),
        "connector" => {
            let id = std::str::from_utf8(found.try_get("what")?).ok();
            let id = id.and_then(|id| id.parse().ok());
            Scope::Connector(id.ok_or(Failure::Damaged(RECORD))?)
        }
        "everyone" => Scope::Everyone,
        _ => return Err(Failure::Damaged(RECORD)),
    };
    let epoch = row::number(found, "epoch", RECORD)?;
    Ok(Revocation {
        number: found.try_get("number")?,
        scope,
        epoch,
    })
}

/// The name under which the epoch of a connector or of everyone is kept.
fn name(scope: &Scope) -> Cow<'static, str> {
    match scope {
        Scope::Connector(connector) => format!("{CONNECTOR}{connector}").into(),
        Scope::Everyone | Scope::Account(_) | Scope::Session(_) => "everyone".into(),
    }
}
