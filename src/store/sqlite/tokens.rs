//! Tokens, in SQLite: replaced only by a refresh that began with the stored version.

use async_trait::async_trait;
use sqlx::{Row as _, SqliteConnection};

use super::super::{
    ConnectorId, IdentityUpdate, Renewal, Renewed, Scope, SessionKey, StoreError, Subject,
    TokenStore,
};
use super::{Failure, Sqlite, accounts, ask, row};

#[async_trait]
impl TokenStore for Sqlite {
    async fn renew(&self, renewal: &Renewal) -> Result<Renewed, StoreError> {
        ask("keep refreshed tokens", async {
            let mut tx = self.write().await?;
            let sql = "SELECT connector, subject, entitlements_epoch FROM standing_session \
                       WHERE key = ?1 AND expires_at > ?2 AND NOT closed";
            let standing = sqlx::query(sql)
                .bind(renewal.session.as_bytes().as_slice())
                .bind(renewal.at.unix_ms())
                .fetch_optional(&mut *tx)
                .await?;
            let Some(standing) = standing else {
                tx.roll_back().await?;
                return Ok(Renewed::SessionGone);
            };
            let sql = "UPDATE session_tokens SET version = version + 1, sealed = ?3 \
                       WHERE session_key = ?1 AND version = ?2 RETURNING version";
            let version = sqlx::query_scalar(sql)
                .bind(renewal.session.as_bytes().as_slice())
                .bind(renewal.version.cast_signed())
                .bind(&renewal.sealed)
                .fetch_optional(&mut *tx)
                .await?;
            let Some(version) = version else {
                tx.roll_back().await?;
                return Ok(Renewed::Overtaken);
            };
            let entitlements_epoch = match &renewal.identity {
                Some(update) => {
                    let connector = row::text(&standing, "connector", "session")?;
                    let subject = row::text(&standing, "subject", "session")?;
                    update_identity(&mut tx, &connector, &subject, update).await?
                }
                None => standing.try_get("entitlements_epoch")?,
            };
            tx.commit().await?;
            Ok(Renewed::Stored {
                version: row::unsigned(version, "session's tokens")?,
                entitlements_epoch: row::unsigned(entitlements_epoch, "identity")?,
            })
        })
        .await
    }
}

pub(super) async fn insert(
    tx: &mut SqliteConnection,
    session: &SessionKey,
    sealed: &str,
) -> Result<(), Failure> {
    let sql = "INSERT INTO session_tokens (session_key, version, sealed) VALUES (?1, 1, ?2)";
    sqlx::query(sql)
        .bind(session.as_bytes().as_slice())
        .bind(sealed)
        .execute(tx)
        .await?;
    Ok(())
}

/// Deletes the tokens of every session that a scope ends; those of one session go with it.
pub(super) async fn forget(tx: &mut SqliteConnection, scope: &Scope) -> Result<(), Failure> {
    let query = match scope {
        Scope::Session(_) => return Ok(()),
        Scope::Account(account) => sqlx::query(
            "DELETE FROM session_tokens WHERE session_key IN \
             (SELECT key FROM session WHERE account = ?1)",
        )
        .bind(account.as_bytes().as_slice()),
        Scope::Connector(connector) => sqlx::query(
            "DELETE FROM session_tokens WHERE session_key IN \
             (SELECT key FROM session WHERE connector = ?1)",
        )
        .bind(connector.as_str()),
        Scope::Everyone => sqlx::query("DELETE FROM session_tokens"),
    };
    query.execute(tx).await?;
    Ok(())
}

/// Sets the mapped and the vouched fields of an identity; answers the number of its mapped fields.
async fn update_identity(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    subject: &Subject,
    update: &IdentityUpdate,
) -> Result<i64, Failure> {
    let sql = "UPDATE identity SET entitlements = ?3, \
               entitlements_epoch = entitlements_epoch + (entitlements <> ?3) \
               WHERE connector = ?1 AND subject = ?2 RETURNING entitlements_epoch";
    let epoch = sqlx::query_scalar(sql)
        .bind(connector.as_str())
        .bind(subject.as_str())
        .bind(&update.entitlements)
        .fetch_one(&mut *tx)
        .await?;
    accounts::vouch(tx, connector, subject, &update.vouched).await?;
    Ok(epoch)
}
