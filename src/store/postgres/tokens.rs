//! Tokens, in PostgreSQL: replaced only by a refresh that began with the stored version.

use async_trait::async_trait;
use sqlx::Row as _;

use super::super::query_error::run;
use super::super::{
    AccountId, ConnectorId, IdentityUpdate, RevocationScope, SessionKey, StoreError, Subject,
    TokenStore, TokenUpdate, TokenUpdateOutcome, row,
};
use super::{Begin, Postgres, QueryError, Transaction, accounts, departments, person_fields};
use crate::clock::Timestamp;

#[async_trait]
impl TokenStore for Postgres {
    async fn update_tokens(&self, update: &TokenUpdate) -> Result<TokenUpdateOutcome, StoreError> {
        run("keep refreshed tokens", async {
            let mut tx = self.begin(Begin::BesideRevocations).await?;
            let sql = "SELECT connector, subject, entitlements_epoch FROM menshen_standing_session \
                       WHERE key = $1 AND expires_at > $2 AND NOT closed";
            let key = update.session.as_bytes().as_slice();
            let query = tx.query(sql).bind(key).bind(update.at.unix_ms());
            let Some(standing) = query.fetch_optional(&mut *tx).await? else {
                tx.roll_back().await?;
                return Ok(TokenUpdateOutcome::SessionGone);
            };
            let sql = "UPDATE menshen_session_tokens SET version = version + 1, sealed = $3 \
                       WHERE session_key = $1 AND version = $2 RETURNING version";
            let query = tx.query(sql).bind(key).bind(update.version.cast_signed());
            let updated = query.bind(&update.sealed).fetch_optional(&mut *tx).await?;
            let Some(updated) = updated else {
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
                version: row::number(&updated, "version", "session's tokens")?,
                entitlements_epoch: row::unsigned(entitlements_epoch, "identity")?,
            })
        })
        .await
    }
}

pub(super) async fn insert(
    tx: &mut Transaction,
    session: &SessionKey,
    sealed: &str,
) -> Result<(), QueryError> {
    let sql =
        "INSERT INTO menshen_session_tokens (session_key, version, sealed) VALUES ($1, 1, $2)";
    let query = tx
        .query(sql)
        .bind(session.as_bytes().as_slice())
        .bind(sealed);
    query.execute(&mut **tx).await?;
    Ok(())
}

/// Deletes the tokens of every session that a scope ends; those of a single session are deleted with it.
pub(super) async fn forget(
    tx: &mut Transaction,
    scope: &RevocationScope,
) -> Result<(), QueryError> {
    let query = match scope {
        RevocationScope::Session(_) => return Ok(()),
        RevocationScope::Account(account) => tx
            .query(
                "DELETE FROM menshen_session_tokens USING menshen_session \
                 WHERE session_key = key AND account = $1",
            )
            .bind(account.as_bytes().as_slice()),
        RevocationScope::Connector(connector) => tx
            .query(
                "DELETE FROM menshen_session_tokens USING menshen_session \
                 WHERE session_key = key AND connector = $1",
            )
            .bind(connector.as_str()),
        RevocationScope::Everyone => tx.query("DELETE FROM menshen_session_tokens"),
    };
    query.execute(&mut **tx).await?;
    Ok(())
}

/// Sets the mapped and the vouched fields of an identity; returns the version of its mapped fields.
async fn update_identity(
    tx: &mut Transaction,
    connector: &ConnectorId,
    subject: &Subject,
    (update, at): (&IdentityUpdate, Timestamp),
) -> Result<i64, QueryError> {
    let sql = "SELECT account, names FROM menshen_identity WHERE connector = $1 AND subject = $2";
    let query = tx
        .query(sql)
        .bind(connector.as_str())
        .bind(subject.as_str());
    let known = query.fetch_one(&mut **tx).await?;
    let account = AccountId::new(row::bytes(&known, "account", "identity")?);
    person_fields::lock(tx, &account).await?;
    let told = (&update.fields, known.try_get("names")?);
    person_fields::write_from_source(tx, &account, told, (at, connector.as_str())).await?;
    let sql = "UPDATE menshen_identity SET entitlements = $3, \
               entitlements_epoch = entitlements_epoch + (entitlements <> $3)::int \
               WHERE connector = $1 AND subject = $2 RETURNING entitlements_epoch";
    let query = tx
        .query(sql)
        .bind(connector.as_str())
        .bind(subject.as_str());
    let updated = query
        .bind(&update.entitlements)
        .fetch_one(&mut **tx)
        .await?;
    departments::write_of_identity(tx, connector, subject, &update.fields).await?;
    accounts::vouch(tx, connector, subject, &update.vouched).await?;
    Ok(updated.try_get("entitlements_epoch")?)
}
