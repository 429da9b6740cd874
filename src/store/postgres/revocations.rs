//! Revocations, in PostgreSQL: an epoch is raised or a session deleted, an entry of the log says it to
//! the other nodes, and NOTIFY tells them that the log has grown.

use std::borrow::Cow;
use std::iter;

use async_trait::async_trait;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::super::query_error::run;
use super::super::{
    AccountId, ConnectorId, CurrentEpochs, LogoutTarget, Revocation, RevocationPage,
    RevocationScope, RevocationStore, SessionKey, StoreError, Subject, row,
};
use super::{Begin, Postgres, QueryError, Transaction, coordination, listen, tokens};
use crate::clock::Timestamp;

/// What precedes a connector's id in the name of its epoch.
const CONNECTOR: &str = "connector:";

/// Finds a row when a session here came from this session of the provider.
pub(super) const HAS_PROVIDER_SESSION: &str =
    "SELECT 1 AS one FROM menshen_session WHERE connector = $1 AND provider_sid = $2 LIMIT 1";

#[async_trait]
impl RevocationStore for Postgres {
    async fn revoke(
        &self,
        scope: &RevocationScope,
        at: Timestamp,
    ) -> Result<Revocation, StoreError> {
        run("revoke sessions", async {
            let mut tx = self.begin(Begin::Revoking).await?;
            let epoch = match scope {
                RevocationScope::Session(key) => {
                    let query = tx.query("DELETE FROM menshen_session WHERE key = $1");
                    let query = query.bind(key.as_bytes().as_slice());
                    query.execute(&mut *tx).await?;
                    0
                }
                RevocationScope::Account(account) => raise_account(&mut tx, account, at).await?,
                RevocationScope::Connector(_) | RevocationScope::Everyone => {
                    raise(&mut tx, scope, at).await?
                }
            };
            tokens::forget(&mut tx, scope).await?;
            let entry = log(&mut tx, self.notify, scope.clone(), epoch, at).await?;
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
            let mut tx = self.begin(Begin::Revoking).await?;
            // Anybody can send this. When it ends no session here, its mark goes where few are kept.
            if let (None, LogoutTarget::Session(sid)) = (message_id, target) {
                let query = tx
                    .query(HAS_PROVIDER_SESSION)
                    .bind(connector.as_str())
                    .bind(sid);
                if query.fetch_optional(&mut *tx).await?.is_none() {
                    if at < until {
                        mark_unknown(&mut tx, connector, sid, (at, until)).await?;
                    }
                    tx.commit().await?;
                    return Ok(Some(Vec::new()));
                }
            }
            if let Some(message_id) = message_id
                && !coordination::spend(&mut tx, message_id, until).await?
            {
                tx.roll_back().await?;
                return Ok(None);
            }
            mark_logout(&mut tx, connector, target, (at, until)).await?;
            let mut entries = Vec::new();
            for key in delete_ended(&mut tx, connector, target).await? {
                let scope = RevocationScope::Session(key);
                entries.push(log(&mut tx, self.notify, scope, 0, at).await?);
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
            for found in self.rows(self.query(sql)).await? {
                let number: i64 = found.try_get("number")?;
                match found.try_get("name")? {
                    "log" => now.log_number = number,
                    "everyone" => now.everyone = row::unsigned(number, "epoch")?,
                    name => {
                        let id = name.strip_prefix(CONNECTOR).and_then(|id| id.parse().ok());
                        let id = id.ok_or(QueryError::Damaged("epoch"))?;
                        now.connectors.push((id, row::unsigned(number, "epoch")?));
                    }
                }
            }
            Ok(now)
        })
        .await
    }

    async fn revocations_after(&self, number: i64, max: u32) -> Result<RevocationPage, StoreError> {
        run("read the log of revocations", async {
            // The last entry is never deleted. If there is none from `number` on, the database is an
            // older copy of the one in which it was read.
            let sql = "SELECT number, kind, what, epoch FROM menshen_revocation WHERE number >= $1 \
                       ORDER BY number LIMIT $2";
            let query = self.query(sql).bind(number).bind(i64::from(max) + 1);
            let rows = self.rows(query).await?;
            if number > 0 && rows.is_empty() {
                return Err(QueryError::LogSetBack(number));
            }
            let mut part = RevocationPage::default();
            for row in &rows {
                if row.try_get::<i64, _>("number")? == number {
                    continue;
                }
                match entry(row) {
                    Ok(entry) => part.entries.push(entry),
                    // A damaged row must not hide the rows after it.
                    Err(QueryError::Damaged(_)) => part.damaged.push(row.try_get("number")?),
                    Err(query_error) => return Err(query_error),
                }
            }
            Ok(part)
        })
        .await
    }
}

/// Deletes the sessions that a provider ended; returns their keys.
async fn delete_ended(
    tx: &mut Transaction,
    connector: &ConnectorId,
    target: &LogoutTarget,
) -> Result<Vec<SessionKey>, QueryError> {
    // Rows are locked in one order, as in `touch`.
    const SELECTED: &str = "DELETE FROM menshen_session WHERE key IN (SELECT key FROM menshen_session \
                            WHERE connector = $1 AND (provider_sid = $2 OR (subject = $3 \
                            AND ($2 IS NULL OR provider_sid IS NULL))) \
                            ORDER BY key FOR UPDATE) RETURNING key";
    let (sid, subject) = match target {
        LogoutTarget::Session(sid) => (Some(sid), None),
        LogoutTarget::SessionAndSubject { sid, subject } => (Some(sid), Some(subject)),
        LogoutTarget::Subject(subject) => (None, Some(subject)),
    };
    let query = tx.query(SELECTED).bind(connector.as_str());
    let query = query.bind(sid).bind(subject.map(Subject::as_str));
    let deleted = query.fetch_all(&mut **tx).await?;
    let key = |row: &PgRow| Ok(SessionKey::new(row::bytes(row, "key", "session")?));
    deleted.iter().map(key).collect()
}

async fn mark_logout(
    tx: &mut Transaction,
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
    let sql = "INSERT INTO menshen_logout_mark AS m (connector, kind, what, at, until) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (connector, kind, what) DO UPDATE \
               SET at = greatest(m.at, excluded.at), until = greatest(m.until, excluded.until)";
    for (kind, what) in iter::once((kind, what)).chain(unnamed) {
        let query = tx.query(sql).bind(connector.as_str());
        let query = query.bind(kind).bind(what);
        let query = query.bind(at.unix_ms()).bind(until.unix_ms());
        query.execute(&mut **tx).await?;
    }
    Ok(())
}

/// Keeps a mark for a provider's session from which no session here came: a login under way, or a
/// token that was not seen yet, may still come from it. The oldest marks are deleted by `delete_expired`.
async fn mark_unknown(
    tx: &mut Transaction,
    connector: &ConnectorId,
    sid: &str,
    (at, until): (Timestamp, Timestamp),
) -> Result<(), QueryError> {
    // A mark that is repeated gets a new number, or it would be the first to be deleted.
    let sql = "WITH old AS (DELETE FROM menshen_front_channel_mark \
               WHERE connector = $1 AND sid = $2 RETURNING at, until) \
               SELECT coalesce(max(at), $3) AS at, coalesce(max(until), $4) AS until FROM old";
    let query = tx.query(sql).bind(connector.as_str()).bind(sid);
    let query = query.bind(at.unix_ms()).bind(until.unix_ms());
    let old = query.fetch_one(&mut **tx).await?;
    let (old_at, old_until): (i64, i64) = (old.try_get("at")?, old.try_get("until")?);
    let sql = "INSERT INTO menshen_front_channel_mark (connector, sid, at, until) \
               VALUES ($1, $2, $3, $4)";
    let query = tx.query(sql).bind(connector.as_str()).bind(sid);
    let query = query.bind(at.unix_ms().max(old_at));
    let query = query.bind(until.unix_ms().max(old_until));
    query.execute(&mut **tx).await?;
    Ok(())
}

/// Whether the epoch of a connector or of everyone is still `number` and was not raised since
/// `since_ms`: a login that began then may have read the epoch later.
pub(super) async fn is_current(
    tx: &mut Transaction,
    scope: &RevocationScope,
    number: u64,
    since_ms: i64,
) -> Result<bool, QueryError> {
    let sql = "SELECT number, coalesce(raised_at >= $2, FALSE) AS raised_since \
               FROM menshen_epoch WHERE name = $1";
    let query = tx.query(sql).bind(epoch_name(scope)).bind(since_ms);
    let Some(found) = query.fetch_optional(&mut **tx).await? else {
        return Ok(number == 0);
    };
    let raised: bool = found.try_get("raised_since")?;
    Ok(!raised && row::number(&found, "number", "epoch")? == number)
}

async fn raise(
    tx: &mut Transaction,
    scope: &RevocationScope,
    at: Timestamp,
) -> Result<u64, QueryError> {
    let sql = "INSERT INTO menshen_epoch AS e (name, number, raised_at) VALUES ($1, 1, $2) \
               ON CONFLICT (name) DO UPDATE SET number = e.number + 1, \
               raised_at = greatest(e.raised_at, $2) RETURNING number";
    let query = tx.query(sql).bind(epoch_name(scope)).bind(at.unix_ms());
    row::number(&query.fetch_one(&mut **tx).await?, "number", "epoch")
}

pub(super) async fn raise_account(
    tx: &mut Transaction,
    account: &AccountId,
    at: Timestamp,
) -> Result<u64, QueryError> {
    let sql = "UPDATE menshen_account SET epoch = epoch + 1, \
               epoch_raised_at = greatest(epoch_raised_at, $2) WHERE id = $1 RETURNING epoch";
    let query = tx.query(sql).bind(account.as_bytes().as_slice());
    let found = query.bind(at.unix_ms()).fetch_optional(&mut **tx).await?;
    let found = found.ok_or(QueryError::NoAccount(*account))?;
    row::number(&found, "epoch", "account")
}

/// Writes an entry. The transaction holds the exclusive lock, so numbers are drawn in commit order.
pub(super) async fn log(
    tx: &mut Transaction,
    notify: bool,
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
    let sql = "INSERT INTO menshen_revocation (kind, what, epoch, at) VALUES ($1, $2, $3, $4) \
               RETURNING number";
    let query = tx.query(sql).bind(kind).bind(what);
    let query = query.bind(epoch.cast_signed()).bind(at.unix_ms());
    let number = query.fetch_one(&mut **tx).await?.try_get("number")?;
    if notify {
        let query = tx.query("SELECT pg_notify($1, '')").bind(listen::CHANNEL);
        query.execute(&mut **tx).await?;
    }
    Ok(Revocation {
        number,
        scope,
        epoch,
    })
}

fn entry(found: &PgRow) -> Result<Revocation, QueryError> {
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

/// The name under which the epoch of a connector or of everyone is kept.
fn epoch_name(scope: &RevocationScope) -> Cow<'static, str> {
    match scope {
        RevocationScope::Connector(connector) => format!("{CONNECTOR}{connector}").into(),
        RevocationScope::Everyone | RevocationScope::Account(_) | RevocationScope::Session(_) => {
            "everyone".into()
        }
    }
}
