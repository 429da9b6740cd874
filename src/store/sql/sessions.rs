//! [`SessionStore`]: mints and finds sessions.

use async_trait::async_trait;

use super::super::{
    ConnectorId, ListedSession, MintOutcome, NewSession, RevocationScope, SessionId, SessionKey,
    SessionRecord, SessionStore, SessionsQuery, StoreError, StoredSession, Subject, session_group,
};
use super::provider_logout::{HAS_PROVIDER_SESSION, mark_of_group};
use super::row::Columns;
use super::{
    Begin, Database, QueryError, Transaction, coordination, local_people, revocations, row, run,
    tokens, values,
};
use crate::clock::Timestamp;

/// The columns of a listed session, without conditions and order.
macro_rules! list_sql {
    () => {
        "SELECT s.*, o.origin_address, o.origin_user_agent, a.name \
         FROM menshen_standing_session AS s \
         JOIN menshen_session AS o ON o.key = s.key \
         JOIN menshen_account AS a ON a.id = s.account"
    };
}

#[async_trait]
impl<D: Database> SessionStore for D {
    async fn mint(&self, new: &NewSession) -> Result<MintOutcome, StoreError> {
        run("mint a session", mint(self, new)).await
    }

    async fn session(&self, key: &SessionKey) -> Result<Option<StoredSession>, StoreError> {
        run("find a session", async {
            let sql = "SELECT s.*, a.local_department, a.local_groups, \
                       t.version AS tokens_version, t.sealed AS tokens_sealed \
                       FROM menshen_standing_session AS s \
                       JOIN menshen_account AS a ON a.id = s.account \
                       LEFT JOIN menshen_session_tokens AS t ON t.session_key = s.key \
                       WHERE s.key = $1";
            let found = self.read_row(sql, values![key]).await?;
            found.as_ref().map(row::stored_session).transpose()
        })
        .await
    }

    async fn session_key(&self, public_id: &SessionId) -> Result<Option<SessionKey>, StoreError> {
        run("find a session by its public ID", async {
            let sql = "SELECT key FROM menshen_session WHERE public_id = $1";
            let found = self.read_row(sql, values![public_id]).await?;
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
            let values = values![connector, provider_sid];
            let found = self.read_row(HAS_PROVIDER_SESSION, values).await?;
            Ok(found.is_some())
        })
        .await
    }

    async fn subjects_with_sessions(
        &self,
        connector: &ConnectorId,
    ) -> Result<Vec<(Subject, Option<String>)>, StoreError> {
        run("find the subjects with sessions", async {
            let sql = "SELECT DISTINCT subject, provider_sid FROM menshen_session \
                       WHERE connector = $1 ORDER BY subject, provider_sid";
            let rows = self.read_rows(sql, values![connector]).await?;
            rows.iter().map(subject_and_provider_sid).collect()
        })
        .await
    }

    async fn sessions(&self, query: &SessionsQuery) -> Result<Vec<ListedSession>, StoreError> {
        run("list sessions", async {
            // Statements without conditions that always hold, so that the database uses its indexes.
            let rows = match (&query.account, &query.connector) {
                (None, None) => {
                    let sql = concat!(list_sql!(), " ORDER BY s.minted_at DESC LIMIT $1");
                    self.read_rows(sql, values![query.max]).await?
                }
                (Some(account), None) => {
                    let sql = concat!(
                        list_sql!(),
                        " WHERE s.account = $2 ORDER BY s.minted_at DESC LIMIT $1"
                    );
                    self.read_rows(sql, values![query.max, account]).await?
                }
                (None, Some(connector)) => {
                    let sql = concat!(
                        list_sql!(),
                        " WHERE s.connector = $2 ORDER BY s.minted_at DESC LIMIT $1"
                    );
                    self.read_rows(sql, values![query.max, connector]).await?
                }
                (Some(account), Some(connector)) => {
                    let sql = concat!(
                        list_sql!(),
                        " WHERE s.account = $2 AND s.connector = $3 \
                         ORDER BY s.minted_at DESC LIMIT $1"
                    );
                    let values = values![query.max, account, connector];
                    self.read_rows(sql, values).await?
                }
            };
            rows.iter().map(row::listed_session).collect()
        })
        .await
    }

    async fn touch(&self, used: &[(SessionKey, Timestamp)]) -> Result<(), StoreError> {
        run("write when sessions were used", async {
            match used {
                [] => Ok(()),
                used => self.set_last_uses(used).await,
            }
        })
        .await
    }
}

fn subject_and_provider_sid(found: &impl Columns) -> Result<(Subject, Option<String>), QueryError> {
    let subject = row::parsed(found, "subject", "session")?;
    Ok((subject, found.optional_text("provider_sid")?))
}

async fn mint(db: &impl Database, new: &NewSession) -> Result<MintOutcome, QueryError> {
    let mut tx = db.begin(Begin::BesideRevocations).await?;
    if let Some(refused) = find_refusal(&mut tx, new).await? {
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
}

/// Why no session may be minted: an account that is closed, a revocation or a logout since the login began.
async fn find_refusal(
    tx: &mut impl Transaction,
    new: &NewSession,
) -> Result<Option<MintOutcome>, QueryError> {
    let SessionRecord {
        account,
        connector,
        subject,
        ..
    } = &new.record;
    // The identity may have been detached, or renamed at its source, during the login.
    let sql = "SELECT closed, epoch, coalesce(epoch_raised_at >= $2, FALSE) AS raised_since, \
               EXISTS (SELECT 1 FROM menshen_identity WHERE connector = $3 AND subject = $4 \
               AND account = $1) AS has_identity \
               FROM menshen_account WHERE id = $1";
    let values = values![account, new.began_at, connector, subject];
    let Some(found) = tx.row(sql, values).await? else {
        return Ok(Some(MintOutcome::AccountClosed));
    };
    if found.boolean("closed")? {
        return Ok(Some(MintOutcome::AccountClosed));
    }
    if found.boolean("raised_since")?
        || row::number(&found, "epoch", "account")? != new.account_epoch
        || !are_epochs_current(tx, new).await?
    {
        return Ok(Some(MintOutcome::Revoked));
    }
    if has_logout_mark(tx, &new.record, new.began_at).await? {
        return Ok(Some(MintOutcome::LoggedOut));
    }
    if new.needs_current_password && !local_people::has_current_password(tx, &new.record).await? {
        return Ok(Some(MintOutcome::LoggedOut));
    }
    let has_identity = found.boolean("has_identity")?;
    Ok((!has_identity).then_some(MintOutcome::Revoked))
}

/// Whether neither the connector nor everyone was revoked since the login began.
async fn are_epochs_current(
    tx: &mut impl Transaction,
    new: &NewSession,
) -> Result<bool, QueryError> {
    let connector = RevocationScope::Connector(new.record.connector.clone());
    for (scope, epoch) in [
        (connector, new.connector_epoch),
        (RevocationScope::Everyone, new.everyone_epoch),
    ] {
        if !revocations::is_epoch_current(tx, &scope, epoch, new.began_at).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the provider logged out this session or person since the login began.
async fn has_logout_mark(
    tx: &mut impl Transaction,
    record: &SessionRecord,
    began_at: Timestamp,
) -> Result<bool, QueryError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM menshen_logout_mark WHERE connector = $1 AND at >= $2 \
               AND ((kind = 'session' AND what IN ($3, $5)) OR (kind = 'subject' AND what = $4) \
               OR (kind = 'unnamed' AND what = $4 AND $3 IS NULL))) \
               OR EXISTS (SELECT 1 FROM menshen_front_channel_mark \
               WHERE connector = $1 AND sid = $3 AND at >= $2) AS is_marked";
    let SessionRecord {
        connector,
        provider_sid,
        subject,
        ..
    } = record;
    let group = provider_sid.as_deref().and_then(session_group);
    let group = group.map(mark_of_group);
    let values = values![connector, began_at, provider_sid, subject, &group];
    Ok(tx.only_row(sql, values).await?.boolean("is_marked")?)
}

async fn insert(tx: &mut impl Transaction, new: &NewSession) -> Result<(), QueryError> {
    let sql = "INSERT INTO menshen_session (key, public_id, account, connector, subject, \
               provider_sid, facts, minted_at, expires_at, used_at, \
               account_epoch, connector_epoch, everyone_epoch, \
               origin_address, origin_user_agent) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    let record = &new.record;
    let values = values![
        &record.key,
        &record.public_id,
        &record.account,
        &record.connector,
        &record.subject,
        &record.provider_sid,
        &record.auth_context,
        record.minted_at,
        record.expires_at,
        record.used_at,
        new.account_epoch,
        new.connector_epoch,
        new.everyone_epoch,
        new.origin.address.map(|address| address.to_string()),
        &new.origin.user_agent
    ];
    tx.execute(sql, values).await?;
    Ok(())
}
