//! Applies a logout at a provider: ends sessions, and leaves marks for logins that are not finished.

use super::super::{ConnectorId, LogoutTarget, Revocation, RevocationScope, SessionKey, Subject};
use super::row::Columns;
use super::{Begin, Database, QueryError, Transaction, coordination, revocations, row, values};
use crate::clock::Timestamp;

/// Finds a row if a session here belongs to this session of the provider.
pub(super) const HAS_PROVIDER_SESSION: &str =
    "SELECT 1 AS one FROM menshen_session WHERE connector = $1 AND provider_sid = $2 LIMIT 1";

pub(super) async fn apply(
    db: &impl Database,
    connector: &ConnectorId,
    target: &LogoutTarget,
    message_id: Option<&[u8; 32]>,
    times: (Timestamp, Timestamp),
) -> Result<Option<Vec<Revocation>>, QueryError> {
    let (at, until) = times;
    let mut tx = db.begin(Begin::Revoking).await?;
    // A logout without a message is unauthenticated. If it ends no session, its mark goes into a table of
    // limited size. This is checked within the transaction, because a session that was minted before the
    // transaction began must be ended.
    if let (None, LogoutTarget::Session(sid)) = (message_id, target) {
        let found = tx
            .row(HAS_PROVIDER_SESSION, values![connector, sid])
            .await?;
        if found.is_none() {
            if at < until {
                insert_front_channel_mark(&mut tx, connector, sid, times).await?;
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
    insert_logout_marks(&mut tx, connector, target, times).await?;
    let mut entries = Vec::new();
    for key in delete_matching_sessions(&mut tx, connector, target).await? {
        let scope = RevocationScope::Session(key);
        entries.push(revocations::append_log(&mut tx, scope, 0, at).await?);
    }
    tx.commit().await?;
    Ok(Some(entries))
}

/// Deletes the sessions that the logout ends; returns their keys.
async fn delete_matching_sessions<T: Transaction>(
    tx: &mut T,
    connector: &ConnectorId,
    target: &LogoutTarget,
) -> Result<Vec<SessionKey>, QueryError> {
    let (sids, subject) = match target {
        LogoutTarget::Session(sid) => (vec![Some(sid.clone())], None),
        LogoutTarget::Sessions(sids) => (sids.iter().cloned().map(Some).collect(), None),
        LogoutTarget::SessionAndSubject { sid, subject } => {
            (vec![Some(sid.clone())], Some(subject))
        }
        LogoutTarget::Subject(subject) => (vec![None], Some(subject)),
        LogoutTarget::SessionGroup(group) => {
            let sids = sids_of_group(tx, connector, group).await?;
            (sids.into_iter().map(Some).collect(), None)
        }
    };
    let subject = subject.map(Subject::as_str);
    let mut keys = Vec::new();
    for sid in sids {
        let values = values![connector, sid.as_deref(), subject];
        for found in tx.rows(T::DELETE_LOGGED_OUT_SESSIONS, values).await? {
            keys.push(SessionKey::new(row::bytes(&found, "key", "session")?));
        }
    }
    Ok(keys)
}

/// The IDs of a group at the provider to which sessions belong, in order.
async fn sids_of_group<T: Transaction>(
    tx: &mut T,
    connector: &ConnectorId,
    group: &str,
) -> Result<Vec<String>, QueryError> {
    let prefix = format!("{group}.");
    let sql = "SELECT DISTINCT provider_sid FROM menshen_session \
               WHERE connector = $1 AND substr(provider_sid, 1, length($2)) = $2 ORDER BY provider_sid";
    let found = tx.rows(sql, values![connector, &prefix]).await?;
    let sid = |found: &T::Row| Ok(found.text("provider_sid")?.to_owned());
    found.iter().map(sid).collect()
}

/// The mark of a group looks like that of one session whose ID no provider uses.
pub(super) fn mark_of_group(group: &str) -> String {
    format!("{group}.*")
}

async fn insert_logout_marks(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    target: &LogoutTarget,
    (at, until): (Timestamp, Timestamp),
) -> Result<(), QueryError> {
    let group_mark;
    let marks = match target {
        LogoutTarget::Session(sid) => vec![("session", sid.as_str())],
        LogoutTarget::Sessions(sids) => {
            let sids = sids.iter();
            sids.map(|sid| ("session", sid.as_str())).collect()
        }
        LogoutTarget::SessionAndSubject { sid, subject } => vec![
            ("session", sid.as_str()),
            // For logins of this person that have no ID of a provider session.
            ("unnamed", subject.as_str()),
        ],
        LogoutTarget::Subject(subject) => vec![("subject", subject.as_str())],
        LogoutTarget::SessionGroup(group) => {
            group_mark = mark_of_group(group);
            vec![("session", group_mark.as_str())]
        }
    };
    // A repeated logout never shortens a mark.
    let sql = "INSERT INTO menshen_logout_mark AS m (connector, kind, what, at, until) \
               VALUES ($1, $2, $3, $4, $5) ON CONFLICT (connector, kind, what) DO UPDATE \
               SET at = CASE WHEN m.at > excluded.at THEN m.at ELSE excluded.at END, \
               until = CASE WHEN m.until > excluded.until THEN m.until ELSE excluded.until END";
    for (kind, what) in marks {
        tx.execute(sql, values![connector, kind, what, at, until])
            .await?;
    }
    Ok(())
}

/// Stores a mark for an unknown provider session: a pending login, or a bearer token that was not used
/// yet, may belong to it. The oldest marks are deleted by `delete_expired`.
async fn insert_front_channel_mark(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    sid: &str,
    (at, until): (Timestamp, Timestamp),
) -> Result<(), QueryError> {
    // A repeated mark gets a new number; otherwise it would be deleted first.
    let sql = "DELETE FROM menshen_front_channel_mark WHERE connector = $1 AND sid = $2 \
               RETURNING at, until";
    let (mut at, mut until) = (at.unix_ms(), until.unix_ms());
    if let Some(old) = tx.row(sql, values![connector, sid]).await? {
        at = at.max(old.integer("at")?);
        until = until.max(old.integer("until")?);
    }
    let sql = "INSERT INTO menshen_front_channel_mark (connector, sid, at, until) \
               VALUES ($1, $2, $3, $4)";
    tx.execute(sql, values![connector, sid, at, until]).await?;
    Ok(())
}
