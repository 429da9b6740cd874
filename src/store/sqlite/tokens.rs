//! Tokens, in SQLite.

use async_trait::async_trait;
use sqlx::{Row as _, SqliteConnection};

use super::super::{
    AccountId, ConnectorId, IdentityUpdate, RevocationScope, SessionKey, StoreError, Subject,
    TokenStore, TokenUpdate, TokenUpdateOutcome,
};
use super::{QueryError, Sqlite, accounts, departments, person_fields, row, run};
use crate::clock::Timestamp;

#[async_trait]
impl TokenStore for Sqlite {
    async fn update_tokens(&self, update: &TokenUpdate) -> Result<TokenUpdateOutcome, StoreError> {
        run("keep refreshed tokens", async {
            let mut tx = self.begin_write().await?;
            let sql = "SELECT connector, subject, entitlements_epoch FROM menshen_standing_session \
                       WHERE key = ?1 AND expires_at > ?2 AND NOT closed";
            let standing = sqlx::query(sql)
                .bind(update.session.as_bytes().as_slice())
                .bind(update.at.unix_ms())
                .fetch_optional(&mut *tx)
                .await?;
            let Some(standing) = standing else {
                tx.roll_back().await?;
                return Ok(TokenUpdateOutcome::SessionGone);
            };
            let sql = "UPDATE menshen_session_tokens SET version = version + 1, sealed = ?3 \
                       WHERE session_key = ?1 AND version = ?2 RETURNING version";
            let version = sqlx::query_scalar(sql)
                .bind(update.session.as_bytes().as_slice())
                .bind(update.version.cast_signed())
                .bind(&update.sealed)
                .fetch_optional(&mut *tx)
                .await?;
            let Some(version) = version else {
                tx.roll_back().await?;
                return Ok(TokenUpdateOutcome::VersionConflict);
            };
            let entitlements_epoch = match &update.identity {
                Some(identity) => {
                    let connector = row::parsed(&standing, "connector", "session")?;
                    let subject = row::parsed(&standing, "subject", "session")?;
                    update_identity(&mut tx, &connector, &subject, (identity, update.at)).await?
                }
                None => standing.try_get("entitlements_epoch")?,
            };
            tx.commit().await?;
            Ok(TokenUpdateOutcome::Stored {
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
) -> Result<(), QueryError> {
    let sql =
        "INSERT INTO menshen_session_tokens (session_key, version, sealed) VALUES (?1, 1, ?2)";
    sqlx::query(sql)
        .bind(session.as_bytes().as_slice())
        .bind(sealed)
        .execute(tx)
        .await?;
    Ok(())
}

/// Deletes the tokens of all sessions in the scope. The tokens of a single session are deleted with it.
pub(super) async fn delete_for_scope(
    tx: &mut SqliteConnection,
    scope: &RevocationScope,
) -> Result<(), QueryError> {
    let query = match scope {
        RevocationScope::Session(_) => return Ok(()),
        RevocationScope::Account(account) => sqlx::query(
            "DELETE FROM menshen_session_tokens WHERE session_key IN \
             (SELECT key FROM menshen_session WHERE account = ?1)",
        )
        .bind(account.as_bytes().as_slice()),
        RevocationScope::Connector(connector) => sqlx::query(
            "DELETE FROM menshen_session_tokens WHERE session_key IN \
             (SELECT key FROM menshen_session WHERE connector = ?1)",
        )
        .bind(connector.as_str()),
        RevocationScope::Everyone => sqlx::query("DELETE FROM menshen_session_tokens"),
    };
    query.execute(tx).await?;
    Ok(())
}

/// Sets the mapped and the verified fields of an identity; returns the version of the mapped fields.
async fn update_identity(
    tx: &mut SqliteConnection,
    connector: &ConnectorId,
    subject: &Subject,
    (update, at): (&IdentityUpdate, Timestamp),
) -> Result<i64, QueryError> {
    let sql = "UPDATE menshen_identity SET entitlements = ?3, \
               entitlements_epoch = entitlements_epoch + (entitlements <> ?3) \
               WHERE connector = ?1 AND subject = ?2 RETURNING entitlements_epoch, account, names";
    let found = sqlx::query(sql)
        .bind(connector.as_str())
        .bind(subject.as_str())
        .bind(&update.entitlements)
        .fetch_one(&mut *tx)
        .await?;
    let account = AccountId::new(row::bytes(&found, "account", "identity")?);
    let told = (&update.fields, found.try_get("names")?);
    person_fields::write_from_source(tx, &account, told, (at, connector.as_str())).await?;
    departments::write_of_identity(tx, connector, subject, &update.fields).await?;
    accounts::replace_vouched_fields(tx, connector, subject, &update.vouched).await?;
    Ok(found.try_get("entitlements_epoch")?)
}
