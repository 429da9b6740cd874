//! Sessions, in PostgreSQL.

use async_trait::async_trait;
use sqlx::Row as _;

use super::super::query_error::run;
use super::super::{
    AccountId, ConnectorId, MintOutcome, NewSession, RevocationScope, SessionId, SessionKey,
    SessionRecord, SessionStore, StoreError, StoredSession, row,
};
use super::{Begin, Postgres, QueryError, Transaction, coordination, revocations, tokens};
use crate::clock::Timestamp;

#[async_trait]
impl SessionStore for Postgres {
    async fn mint(&self, new: &NewSession) -> Result<MintOutcome, StoreError> {
        run("mint a session", async {
            let mut tx = self.begin(Begin::BesideRevocations).await?;
            if let Some(refused) = refusal(&mut tx, new).await? {
                tx.roll_back().await?;
                return Ok(refused);
            }
            if let Some((what, until)) = &new.spend_once
                && !coordination::spend(&mut tx, what, *until).await?
            {
                tx.roll_back().await?;
                return Ok(MintOutcome::Spent);
            }
            insert(&mut tx, new).await?;
            if let Some(sealed) = &new.tokens {
                tokens::insert(&mut tx, &new.record.key, sealed).await?;
            }
            tx.commit().await?;
            Ok(MintOutcome::Session)
        })
        .await
    }

    async fn session(&self, key: &SessionKey) -> Result<Option<StoredSession>, StoreError> {
        run("find a session", async {
            let sql = "SELECT s.*, t.version AS tokens_version, t.sealed AS tokens_sealed \
                       FROM menshen_standing_session AS s \
                       LEFT JOIN menshen_session_tokens AS t ON t.session_key = s.key \
                       WHERE s.key = $1";
            let query = self.query(sql).bind(key.as_bytes().as_slice());
            let found = self.row(query).await?;
            found.as_ref().map(row::stored_session).transpose()
        })
        .await
    }

    async fn session_key(&self, public_id: &SessionId) -> Result<Option<SessionKey>, StoreError> {
        run("find a session by its public id", async {
            let sql = "SELECT key FROM menshen_session WHERE public_id = $1";
            let query = self.query(sql).bind(public_id.as_bytes().as_slice());
            let found = self.row(query).await?;
            found
                .map(|found| Ok(SessionKey::new(row::bytes(&found, "key", "session")?)))
                .transpose()
        })
        .await
    }

    async fn has_provider_session(
        &self,
        connector: &ConnectorId,
        provider_sid: &str,
    ) -> Result<bool, StoreError> {
        run("look for a session of a provider", async {
            let sql = revocations::HAS_PROVIDER_SESSION;
            let query = self.query(sql).bind(connector.as_str());
            let found = self.row(query.bind(provider_sid)).await?;
            Ok(found.is_some())
        })
        .await
    }

    async fn sessions(
        &self,
        account: Option<&AccountId>,
        max: u32,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        run("list sessions", async {
            let query = match account {
                Some(account) => self
                    .query(
                        "SELECT * FROM menshen_standing_session WHERE account = $2 \
                         ORDER BY minted_at DESC LIMIT $1",
                    )
                    .bind(i64::from(max))
                    .bind(account.as_bytes().as_slice()),
                None => self
                    .query(
                        "SELECT * FROM menshen_standing_session ORDER BY minted_at DESC LIMIT $1",
                    )
                    .bind(i64::from(max)),
            };
            self.rows(query)
                .await?
                .iter()
                .map(row::session_record)
                .collect()
        })
        .await
    }

    /// Rows are locked in one order, so that two nodes that write at the same time never wait for each
    /// other in a circle.
    async fn touch(&self, used: &[(SessionKey, Timestamp)]) -> Result<(), StoreError> {
        run("write when sessions were used", async {
            if used.is_empty() {
                return Ok(());
            }
            let (keys, times): (Vec<&[u8]>, Vec<i64>) = used
                .iter()
                .map(|(key, at)| (key.as_bytes().as_slice(), at.unix_ms()))
                .unzip();
            let mut tx = self.begin(Begin::Writing).await?;
            let sql = "SELECT key FROM menshen_session WHERE key = ANY ($1) ORDER BY key \
                       FOR NO KEY UPDATE";
            tx.query(sql).bind(&keys).execute(&mut *tx).await?;
            let sql = "UPDATE menshen_session AS s SET used_at = u.at \
                       FROM (SELECT key, max(at) AS at FROM unnest($1::bytea[], $2::bigint[]) \
                       AS u (key, at) GROUP BY key) AS u WHERE s.key = u.key AND s.used_at < u.at";
            let query = tx.query(sql).bind(&keys).bind(&times);
            query.execute(&mut *tx).await?;
            tx.commit().await?;
            // By itself: whoever closes an account locks it before its sessions.
            let mut tx = self.begin(Begin::Writing).await?;
            let sql = "SELECT a.id FROM menshen_account AS a WHERE a.id IN \
                       (SELECT account FROM menshen_session WHERE key = ANY ($1)) \
                       ORDER BY a.id FOR NO KEY UPDATE";
            tx.query(sql).bind(&keys).execute(&mut *tx).await?;
            let sql = "UPDATE menshen_account AS a SET seen_at = greatest(a.seen_at, u.at) \
                       FROM (SELECT s.account, max(t.at) AS at \
                       FROM unnest($1::bytea[], $2::bigint[]) AS t (key, at) \
                       JOIN menshen_session AS s ON s.key = t.key GROUP BY s.account) AS u \
                       WHERE a.id = u.account AND a.seen_at IS DISTINCT FROM greatest(a.seen_at, u.at)";
            let query = tx.query(sql).bind(&keys).bind(&times);
            query.execute(&mut *tx).await?;
            tx.commit().await
        })
        .await
    }
}

/// Why the session may not be minted: what was closed, revoked or logged out since the login began.
async fn refusal(
    tx: &mut Transaction,
    new: &NewSession,
) -> Result<Option<MintOutcome>, QueryError> {
    let began_at = new.began_at.unix_ms();
    // The identity may have been detached, or renamed at its source, during the login.
    let sql = "SELECT closed, epoch, coalesce(epoch_raised_at >= $2, FALSE) AS raised_since, \
               EXISTS (SELECT 1 FROM menshen_identity WHERE connector = $3 AND subject = $4 \
               AND account = $1) AS has_identity \
               FROM menshen_account WHERE id = $1";
    let query = tx.query(sql);
    let query = query.bind(new.record.account.as_bytes().as_slice());
    let query = query.bind(began_at).bind(new.record.connector.as_str());
    let query = query.bind(new.record.subject.as_str());
    let found = query.fetch_optional(&mut **tx).await?;
    let Some(found) = found else {
        return Ok(Some(MintOutcome::AccountClosed));
    };
    if found.try_get("closed")? {
        return Ok(Some(MintOutcome::AccountClosed));
    }
    let connector = RevocationScope::Connector(new.record.connector.clone());
    let is_current = !found.try_get::<bool, _>("raised_since")?
        && row::number(&found, "epoch", "account")? == new.account_epoch
        && revocations::is_current(tx, &connector, new.connector_epoch, began_at).await?
        && revocations::is_current(tx, &RevocationScope::Everyone, new.everyone_epoch, began_at)
            .await?;
    if !is_current {
        return Ok(Some(MintOutcome::Revoked));
    }
    if is_marked(tx, &new.record, began_at).await? {
        return Ok(Some(MintOutcome::LoggedOut));
    }
    let has_identity: bool = found.try_get("has_identity")?;
    Ok((!has_identity).then_some(MintOutcome::Revoked))
}

/// Whether the provider ended this session, or all of this person's, since the login began.
async fn is_marked(
    tx: &mut Transaction,
    record: &SessionRecord,
    began_at: i64,
) -> Result<bool, QueryError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM menshen_logout_mark WHERE connector = $1 AND at >= $2 \
               AND ((kind = 'session' AND what = $3) OR (kind = 'subject' AND what = $4) \
               OR (kind = 'unnamed' AND what = $4 AND $3 IS NULL))) \
               OR EXISTS (SELECT 1 FROM menshen_front_channel_mark \
               WHERE connector = $1 AND sid = $3 AND at >= $2) AS is_marked";
    let query = tx.query(sql).bind(record.connector.as_str());
    let query = query.bind(began_at).bind(record.provider_sid.as_deref());
    let query = query.bind(record.subject.as_str());
    Ok(query.fetch_one(&mut **tx).await?.try_get("is_marked")?)
}

async fn insert(tx: &mut Transaction, new: &NewSession) -> Result<(), QueryError> {
    let sql = "INSERT INTO menshen_session (key, public_id, account, connector, subject, \
               provider_sid, facts, minted_at, expires_at, used_at, \
               account_epoch, connector_epoch, everyone_epoch) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let record = &new.record;
    let query = tx.query(sql).bind(record.key.as_bytes().as_slice());
    let query = query.bind(record.public_id.as_bytes().as_slice());
    let query = query.bind(record.account.as_bytes().as_slice());
    let query = query.bind(record.connector.as_str());
    let query = query.bind(record.subject.as_str());
    let query = query.bind(record.provider_sid.as_deref());
    let query = query.bind(&record.auth_context);
    let query = query.bind(record.minted_at.unix_ms());
    let query = query.bind(record.expires_at.unix_ms());
    let query = query.bind(record.used_at.unix_ms());
    let query = query.bind(new.account_epoch.cast_signed());
    let query = query.bind(new.connector_epoch.cast_signed());
    let query = query.bind(new.everyone_epoch.cast_signed());
    query.execute(&mut **tx).await?;
    Ok(())
}
