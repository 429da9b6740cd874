//! [`AccessTokenStore`]: makes, finds and lists access tokens.

use async_trait::async_trait;

use super::super::{
    AccessTokenOutcome, AccessTokenOwner, AccessTokenRecord, AccessTokenStore, AccountId,
    ConnectorId, NewAccessToken, Revocation, RevocationScope, SessionKey, StoreError,
    StoredAccessToken, Subject,
};
use super::row::Columns;
use super::{Begin, Database, QueryError, Transaction, revocations, row, run, values};
use crate::clock::Timestamp;

#[async_trait]
impl<D: Database> AccessTokenStore for D {
    async fn create_access_token(
        &self,
        new: &NewAccessToken,
        max: u32,
    ) -> Result<AccessTokenOutcome, StoreError> {
        run("create an access token", create(self, new, max)).await
    }

    async fn access_token(
        &self,
        key: &SessionKey,
    ) -> Result<Option<StoredAccessToken>, StoreError> {
        run("find an access token", async {
            let sql = "SELECT t.*, a.local_department, a.local_groups \
                       FROM menshen_standing_access_token AS t \
                       JOIN menshen_account AS a ON a.id = t.account WHERE t.key = $1";
            let found = self.read_row(sql, values![key]).await?;
            found.as_ref().map(row::stored_access_token).transpose()
        })
        .await
    }

    async fn access_tokens(
        &self,
        account: &AccountId,
        at: Timestamp,
        max: u32,
    ) -> Result<Vec<AccessTokenRecord>, StoreError> {
        run("list access tokens", async {
            let sql = "SELECT * FROM menshen_standing_access_token \
                       WHERE account = $1 AND expires_at > $2 \
                       ORDER BY created_at DESC, public_id LIMIT $3";
            let rows = self.read_rows(sql, values![account, at, max]).await?;
            rows.iter().map(row::access_token_record).collect()
        })
        .await
    }

    async fn access_token_owners(
        &self,
        connector: &ConnectorId,
    ) -> Result<Vec<AccessTokenOwner>, StoreError> {
        run("find the people with access tokens", async {
            let sql = "SELECT key, subject, provider_sid FROM menshen_access_token \
                       WHERE connector = $1 AND revoked_at IS NULL ORDER BY subject, key";
            let rows = self.read_rows(sql, values![connector]).await?;
            rows.iter().map(owner).collect()
        })
        .await
    }

    async fn end_access_tokens(
        &self,
        connector: &ConnectorId,
        subject: &Subject,
        at: Timestamp,
    ) -> Result<Vec<Revocation>, StoreError> {
        let ended = end_of_identity(self, connector, subject, at);
        run("end the access tokens of a person", ended).await
    }

    async fn touch_access_tokens(
        &self,
        used: &[(SessionKey, Timestamp)],
    ) -> Result<(), StoreError> {
        run("write when access tokens were used", touch(self, used)).await
    }
}

fn owner(found: &impl Columns) -> Result<AccessTokenOwner, QueryError> {
    Ok(AccessTokenOwner {
        key: SessionKey::new(row::bytes(found, "key", "access token")?),
        subject: row::parsed(found, "subject", "access token")?,
        provider_sid: found.optional_text("provider_sid")?,
    })
}

async fn create(
    db: &impl Database,
    new: &NewAccessToken,
    max: u32,
) -> Result<AccessTokenOutcome, QueryError> {
    let mut tx = db.begin(Begin::BesideRevocations).await?;
    let sql = "SELECT account FROM menshen_standing_session \
               WHERE key = $1 AND NOT closed AND expires_at > $2";
    let Some(found) = tx.row(sql, values![&new.session, new.created_at]).await? else {
        tx.roll_back().await?;
        return Ok(AccessTokenOutcome::SessionEnded);
    };
    let account = AccountId::new(row::bytes(&found, "account", "session")?);
    // Two requests of one person are counted one after the other.
    tx.lock_account(&account).await?;
    let sql = "SELECT count(*) AS number FROM menshen_standing_access_token \
               WHERE account = $1 AND expires_at > $2";
    let counted = tx.only_row(sql, values![&account, new.created_at]).await?;
    if counted.integer("number")? >= i64::from(max) {
        tx.roll_back().await?;
        return Ok(AccessTokenOutcome::TooMany);
    }
    let sql = "INSERT INTO menshen_access_token (key, public_id, account, connector, subject, name, \
               routes, created_at, expires_at, session_minted_at, provider_sid, account_epoch, \
               connector_epoch, everyone_epoch) \
               SELECT $2, $3, account, connector, subject, $4, $5, $6, $7, minted_at, provider_sid, epoch, \
               connector_epoch, everyone_epoch FROM menshen_standing_session WHERE key = $1";
    let routes = row::json_list(new.routes.as_deref());
    let values = values![
        &new.session,
        &new.key,
        &new.public_id,
        &new.name,
        &routes,
        new.created_at,
        new.expires_at
    ];
    let inserted = tx.execute(sql, values).await?;
    tx.commit().await?;
    Ok(match inserted {
        0 => AccessTokenOutcome::SessionEnded,
        _ => AccessTokenOutcome::Created,
    })
}

/// Rows are written in the order of their keys, so that two nodes that write at the same time never wait
/// for each other in a circle.
async fn touch(db: &impl Database, used: &[(SessionKey, Timestamp)]) -> Result<(), QueryError> {
    let mut used = used.to_vec();
    used.sort_unstable_by_key(|(key, _)| *key.as_bytes());
    if used.is_empty() {
        return Ok(());
    }
    let mut tx = db.begin(Begin::Writing).await?;
    for (key, at) in &used {
        let sql = "UPDATE menshen_access_token SET used_at = $2 \
                   WHERE key = $1 AND (used_at IS NULL OR used_at < $2)";
        tx.execute(sql, values![key, *at]).await?;
    }
    tx.commit().await
}

async fn end_of_identity(
    db: &impl Database,
    connector: &ConnectorId,
    subject: &Subject,
    at: Timestamp,
) -> Result<Vec<Revocation>, QueryError> {
    let mut tx = db.begin(Begin::Revoking).await?;
    let sql = "UPDATE menshen_access_token SET revoked_at = $3 \
               WHERE connector = $1 AND subject = $2 AND revoked_at IS NULL RETURNING key";
    let ended = tx.rows(sql, values![connector, subject, at]).await?;
    let mut entries = Vec::new();
    for found in &ended {
        let key = SessionKey::new(row::bytes(found, "key", "access token")?);
        let scope = RevocationScope::Session(key);
        entries.push(revocations::append_log(&mut tx, scope, 0, at).await?);
    }
    tx.commit().await?;
    Ok(entries)
}

/// Marks the token with this key as ended, if there is one.
pub(super) async fn end(
    tx: &mut impl Transaction,
    key: &SessionKey,
    at: Timestamp,
) -> Result<(), QueryError> {
    let sql = "UPDATE menshen_access_token SET revoked_at = $2 \
               WHERE key = $1 AND revoked_at IS NULL";
    tx.execute(sql, values![key, at]).await?;
    Ok(())
}
