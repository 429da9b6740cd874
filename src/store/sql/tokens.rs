//! [`TokenStore`]: the tokens of sessions, replaced only by a refresh that began with the stored version.

use async_trait::async_trait;

use super::super::{
    AccountId, ConnectorId, IdentityUpdate, RevocationScope, SessionKey, StoreError, Subject,
    TokenStore, TokenUpdate, TokenUpdateOutcome,
};
use super::row::Columns;
use super::{
    Begin, Database, QueryError, Transaction, departments, person_fields, revocations, row, run,
    values, vouched_fields,
};
use crate::clock::Timestamp;

#[async_trait]
impl<D: Database> TokenStore for D {
    async fn update_tokens(&self, update: &TokenUpdate) -> Result<TokenUpdateOutcome, StoreError> {
        run("keep refreshed tokens", update_tokens(self, update)).await
    }
}

async fn update_tokens(
    db: &impl Database,
    update: &TokenUpdate,
) -> Result<TokenUpdateOutcome, QueryError> {
    // Most refreshes change no field, and need not wait for each other.
    let mut begin = Begin::BesideRevocations;
    loop {
        if let Some(outcome) = update_tokens_once(db, update, begin).await? {
            return Ok(outcome);
        }
        begin = Begin::Revoking;
    }
}

/// `None` if the fields change, of which other processes learn only from a transaction that began as
/// [`Begin::Revoking`].
async fn update_tokens_once(
    db: &impl Database,
    update: &TokenUpdate,
    begin: Begin,
) -> Result<Option<TokenUpdateOutcome>, QueryError> {
    let TokenUpdate {
        session,
        version,
        sealed,
        identity,
        at,
    } = update;
    let mut tx = db.begin(begin).await?;
    let sql = "SELECT s.account, s.connector, s.subject, s.entitlements_epoch, i.names, \
               i.entitlements FROM menshen_standing_session AS s JOIN menshen_identity AS i \
               ON i.connector = s.connector AND i.subject = s.subject \
               WHERE s.key = $1 AND s.expires_at > $2 AND NOT s.closed";
    let Some(standing) = tx.row(sql, values![session, *at]).await? else {
        tx.roll_back().await?;
        return Ok(Some(TokenUpdateOutcome::SessionGone));
    };
    let known = standing.text("entitlements")?;
    let is_changed = identity.as_ref().is_some_and(|it| it.entitlements != known);
    if is_changed && begin != Begin::Revoking {
        tx.roll_back().await?;
        return Ok(None);
    }
    let sql = "UPDATE menshen_session_tokens SET version = version + 1, sealed = $3 \
               WHERE session_key = $1 AND version = $2 RETURNING version";
    let values = values![session, *version, sealed];
    let Some(updated) = tx.row(sql, values).await? else {
        tx.roll_back().await?;
        return Ok(Some(TokenUpdateOutcome::VersionConflict));
    };
    let entitlements_epoch = match identity {
        Some(identity) => update_identity(&mut tx, &standing, identity, *at).await?,
        None => row::number(&standing, "entitlements_epoch", "identity")?,
    };
    if is_changed {
        let account = AccountId::new(row::bytes(&standing, "account", "session")?);
        revocations::announce_change(&mut tx, &account, *at).await?;
    }
    tx.commit().await?;
    Ok(Some(TokenUpdateOutcome::Stored {
        version: row::number(&updated, "version", "session's tokens")?,
        entitlements_epoch,
    }))
}

pub(super) async fn insert(
    tx: &mut impl Transaction,
    session: &SessionKey,
    sealed: &str,
) -> Result<(), QueryError> {
    let sql =
        "INSERT INTO menshen_session_tokens (session_key, version, sealed) VALUES ($1, 1, $2)";
    tx.execute(sql, values![session, sealed]).await?;
    Ok(())
}

/// Deletes the tokens of all sessions in the scope. The tokens of a single session are deleted with it.
pub(super) async fn delete_for_scope(
    tx: &mut impl Transaction,
    scope: &RevocationScope,
) -> Result<(), QueryError> {
    match scope {
        RevocationScope::Session(_) => return Ok(()),
        RevocationScope::Account(account) => {
            let sql = "DELETE FROM menshen_session_tokens WHERE session_key IN \
                       (SELECT key FROM menshen_session WHERE account = $1)";
            tx.execute(sql, values![account]).await?
        }
        RevocationScope::Connector(connector) => {
            let sql = "DELETE FROM menshen_session_tokens WHERE session_key IN \
                       (SELECT key FROM menshen_session WHERE connector = $1)";
            tx.execute(sql, values![connector]).await?
        }
        RevocationScope::Everyone => {
            tx.execute("DELETE FROM menshen_session_tokens", values![])
                .await?
        }
    };
    Ok(())
}

/// Sets the entitlements and the verified fields of a session's identity; returns the epoch of the
/// entitlements.
async fn update_identity<T: Transaction>(
    tx: &mut T,
    session: &T::Row,
    update: &IdentityUpdate,
    at: Timestamp,
) -> Result<u64, QueryError> {
    let account = AccountId::new(row::bytes(session, "account", "session")?);
    let connector: ConnectorId = row::parsed(session, "connector", "session")?;
    let subject: Subject = row::parsed(session, "subject", "session")?;
    tx.lock_account(&account).await?;
    let from_source = (&update.fields, session.boolean("names")?);
    let by = (at, connector.as_str());
    person_fields::write_from_source(tx, &account, from_source, by).await?;
    let sql = "UPDATE menshen_identity SET entitlements = $3, entitlements_epoch = \
               CASE WHEN entitlements <> $3 THEN entitlements_epoch + 1 \
               ELSE entitlements_epoch END \
               WHERE connector = $1 AND subject = $2 RETURNING entitlements_epoch";
    let values = values![&connector, &subject, &update.entitlements];
    let updated = tx.only_row(sql, values).await?;
    departments::write_of_identity(tx, &connector, &subject, &update.fields).await?;
    vouched_fields::write(tx, &connector, &subject, &update.vouched).await?;
    row::number(&updated, "entitlements_epoch", "identity")
}
