//! Sessions, in SQLite.

use async_trait::async_trait;
use sqlx::{Row as _, SqliteConnection};

use super::super::{
    AccountId, ConnectorId, MintOutcome, NewSession, RevocationScope, SessionId, SessionKey,
    SessionRecord, SessionStore, StoreError, StoredSession,
};
use super::{QueryError, Sqlite, coordination, revocations, row, run, tokens};
use crate::clock::Timestamp;

#[async_trait]
impl SessionStore for Sqlite {
    async fn mint(&self, new: &NewSession) -> Result<MintOutcome, StoreError> {
        run("mint a session", async {
            let mut tx = self.begin_write().await?;
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
        })
        .await
    }

    async fn session(&self, key: &SessionKey) -> Result<Option<StoredSession>, StoreError> {
        run("find a session", async {
            let sql = "SELECT s.*, t.version AS tokens_version, t.sealed AS tokens_sealed \
                       FROM menshen_standing_session AS s LEFT JOIN menshen_session_tokens AS t ON t.session_key = s.key \
                       WHERE s.key = ?1";
            let key = key.as_bytes().as_slice();
            let found = sqlx::query(sql)
                .bind(key)
                .fetch_optional(&mut *self.reader().await?)
                .await?;
            found.as_ref().map(row::stored_session).transpose()
        })
        .await
    }

    async fn session_key(&self, public_id: &SessionId) -> Result<Option<SessionKey>, StoreError> {
        run("find a session by its public id", async {
            let sql = "SELECT key FROM menshen_session WHERE public_id = ?1";
            let id = public_id.as_bytes().as_slice();
            let found = sqlx::query(sql)
                .bind(id)
                .fetch_optional(&mut *self.reader().await?)
                .await?;
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
            let mut db = self.reader().await?;
            revocations::has_provider_session(&mut db, connector, provider_sid).await
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
                Some(account) => sqlx::query(
                    "SELECT * FROM menshen_standing_session WHERE account = ?1 ORDER BY minted_at DESC LIMIT ?2",
                )
                .bind(account.as_bytes().as_slice()),
                None => sqlx::query("SELECT * FROM menshen_standing_session ORDER BY minted_at DESC LIMIT ?1"),
            };
            let mut db = self.reader().await?;
            let rows = query.bind(max).fetch_all(&mut *db).await?;
            rows.iter().map(row::session_record).collect()
        })
        .await
    }

    async fn touch(&self, used: &[(SessionKey, Timestamp)]) -> Result<(), StoreError> {
        run("write when sessions were used", async {
            if used.is_empty() {
                return Ok(());
            }
            let mut tx = self.begin_write().await?;
            for (key, at) in used {
                for sql in [
                    "UPDATE menshen_session SET used_at = max(used_at, ?2) WHERE key = ?1",
                    "UPDATE menshen_account SET seen_at = max(coalesce(seen_at, ?2), ?2) \
                     WHERE id = (SELECT account FROM menshen_session WHERE key = ?1)",
                ] {
                    sqlx::query(sql)
                        .bind(key.as_bytes().as_slice())
                        .bind(at.unix_ms())
                        .execute(&mut *tx)
                        .await?;
                }
            }
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}

/// Why no session may be minted: an account that is closed, a revocation or a logout since the login began.
async fn find_refusal(
    tx: &mut SqliteConnection,
    new: &NewSession,
) -> Result<Option<MintOutcome>, QueryError> {
    let began_at = new.began_at.unix_ms();
    // The identity may have been detached, or renamed at its source, during the login.
    let sql = "SELECT closed, epoch, coalesce(epoch_raised_at >= ?2, FALSE) AS raised_since, \
               EXISTS (SELECT 1 FROM menshen_identity WHERE connector = ?3 AND subject = ?4 \
               AND account = ?1) AS has_identity \
               FROM menshen_account WHERE id = ?1";
    let found = sqlx::query(sql)
        .bind(new.record.account.as_bytes().as_slice())
        .bind(began_at)
        .bind(new.record.connector.as_str())
        .bind(new.record.subject.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(found) = found else {
        return Ok(Some(MintOutcome::AccountClosed));
    };
    if found.try_get("closed")? {
        return Ok(Some(MintOutcome::AccountClosed));
    }
    let connector = RevocationScope::Connector(new.record.connector.clone());
    let is_current = !found.try_get::<bool, _>("raised_since")?
        && row::number(&found, "epoch", "account")? == new.account_epoch
        && revocations::is_epoch_current(tx, &connector, new.connector_epoch, began_at).await?
        && revocations::is_epoch_current(
            tx,
            &RevocationScope::Everyone,
            new.everyone_epoch,
            began_at,
        )
        .await?;
    if !is_current {
        return Ok(Some(MintOutcome::Revoked));
    }
    if has_logout_mark(tx, &new.record, began_at).await? {
        return Ok(Some(MintOutcome::LoggedOut));
    }
    let has_identity: bool = found.try_get("has_identity")?;
    Ok((!has_identity).then_some(MintOutcome::Revoked))
}

/// Whether the provider logged out this session or person since the login began.
async fn has_logout_mark(
    tx: &mut SqliteConnection,
    record: &SessionRecord,
    began_at: i64,
) -> Result<bool, QueryError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM menshen_logout_mark WHERE connector = ?1 AND at >= ?2 AND \
               ((kind = 'session' AND what = ?3) OR (kind = 'subject' AND what = ?4) OR \
               (kind = 'unnamed' AND what = ?4 AND ?3 IS NULL))) \
               OR EXISTS (SELECT 1 FROM menshen_front_channel_mark \
               WHERE connector = ?1 AND sid = ?3 AND at >= ?2)";
    let marked = sqlx::query_scalar(sql)
        .bind(record.connector.as_str())
        .bind(began_at)
        .bind(record.provider_sid.as_deref())
        .bind(record.subject.as_str())
        .fetch_one(tx)
        .await?;
    Ok(marked)
}

async fn insert(tx: &mut SqliteConnection, new: &NewSession) -> Result<(), QueryError> {
    let sql = "INSERT INTO menshen_session (key, public_id, account, connector, subject, provider_sid, \
               facts, minted_at, expires_at, used_at, \
               account_epoch, connector_epoch, everyone_epoch) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    let record = &new.record;
    sqlx::query(sql)
        .bind(record.key.as_bytes().as_slice())
        .bind(record.public_id.as_bytes().as_slice())
        .bind(record.account.as_bytes().as_slice())
        .bind(record.connector.as_str())
        .bind(record.subject.as_str())
        .bind(record.provider_sid.as_deref())
        .bind(&record.auth_context)
        .bind(record.minted_at.unix_ms())
        .bind(record.expires_at.unix_ms())
        .bind(record.used_at.unix_ms())
        .bind(new.account_epoch.cast_signed())
        .bind(new.connector_epoch.cast_signed())
        .bind(new.everyone_epoch.cast_signed())
        .execute(tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::{
        AccountStore as _, Admission, AdmissionOutcome, CoordinationStore as _, SqliteUrl,
    };
    use super::*;
    use crate::keys;

    #[tokio::test]
    async fn a_mint_that_finds_its_token_spent_leaves_the_writer_open() {
        let db = Sqlite::open(&SqliteUrl::Memory).await.unwrap();
        let at = Timestamp::from_unix_s(1_800_000_000);
        let admission = Admission {
            connector: "corp".parse().unwrap(),
            subject: "zhangsan".parse().unwrap(),
            login: "zhangsan".parse().unwrap(),
            links: Vec::new(),
            vouched: Vec::new(),
            create: true,
            sync: true,
            is_login: true,
            entitlements: "{}".to_owned(),
            fields: super::super::super::DirectoryFields::default(),
            at,
        };
        let AdmissionOutcome::Account(account) = db.admit(&admission).await.unwrap() else {
            panic!("a stranger is admitted");
        };
        let end = at.plus(Duration::from_secs(60));
        let new = NewSession {
            record: SessionRecord {
                key: SessionKey::new(keys::random()),
                public_id: SessionId::new(keys::random()),
                account: account.id,
                connector: admission.connector,
                subject: admission.subject,
                provider_sid: None,
                auth_context: "{}".to_owned(),
                minted_at: at,
                expires_at: end,
                used_at: at,
            },
            account_epoch: account.epoch,
            connector_epoch: 0,
            everyone_epoch: 0,
            began_at: at,
            tokens: None,
            spend_once: Some((keys::random(), end)),
        };
        assert_eq!(db.mint(&new).await.unwrap(), MintOutcome::Session);
        // A temporary table is gone with its connection.
        let run = async |sql: &'static str| {
            let mut writer = db.writer.acquire().await.unwrap();
            sqlx::query(sql).execute(&mut *writer).await
        };
        run("CREATE TEMP TABLE mark (id INTEGER)").await.unwrap();
        assert_eq!(db.mint(&new).await.unwrap(), MintOutcome::Spent);
        run("INSERT INTO temp.mark (id) VALUES (1)").await.unwrap();
        assert!(db.spend(&keys::random(), end).await.unwrap());
    }
}
