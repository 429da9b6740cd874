//! [`RevocationStore`]: raises epochs, ends sessions, and writes the log from which other processes learn
//! them.

use std::borrow::Cow;

use async_trait::async_trait;

use super::super::{
    Account, AccountId, ConnectorId, CurrentEpochs, LogPosition, LogoutTarget, Revocation,
    RevocationPage, RevocationScope, RevocationStore, SessionKey, StoreError,
};
use super::row::Columns;
use super::{
    Begin, Database, QueryError, Transaction, access_tokens, provider_logout, row, run, tokens,
    values,
};
use crate::clock::Timestamp;
use crate::keys;

/// The prefix of a connector's ID in the name of its epoch.
const CONNECTOR_PREFIX: &str = "connector:";

#[async_trait]
impl<D: Database> RevocationStore for D {
    async fn revoke(
        &self,
        scope: &RevocationScope,
        at: Timestamp,
    ) -> Result<Revocation, StoreError> {
        run("revoke sessions", revoke(self, scope, at)).await
    }

    async fn apply_provider_logout(
        &self,
        connector: &ConnectorId,
        target: &LogoutTarget,
        message_id: Option<&[u8; 32]>,
        at: Timestamp,
        until: Timestamp,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        let applied = provider_logout::apply(self, connector, target, message_id, (at, until));
        run("end the sessions that a provider ended", applied).await
    }

    async fn log_department_change(
        &self,
        connector: &ConnectorId,
        at: Timestamp,
    ) -> Result<Revocation, StoreError> {
        run("write that departments changed", async {
            let mut tx = self.begin(Begin::Revoking).await?;
            let scope = RevocationScope::Connector(connector.clone());
            let entry = append_log(&mut tx, scope, 0, at).await?;
            tx.commit().await?;
            Ok(entry)
        })
        .await
    }

    async fn epochs(&self) -> Result<CurrentEpochs, StoreError> {
        run("read the epochs", epochs(self)).await
    }

    async fn revocations_after(&self, number: i64, max: u32) -> Result<RevocationPage, StoreError> {
        let page = revocations_after(self, number, max);
        run("read the log of revocations", page).await
    }
}

async fn revoke(
    db: &impl Database,
    scope: &RevocationScope,
    at: Timestamp,
) -> Result<Revocation, QueryError> {
    let mut tx = db.begin(Begin::Revoking).await?;
    let epoch = match scope {
        RevocationScope::Session(key) => {
            let sql = "DELETE FROM menshen_session WHERE key = $1";
            tx.execute(sql, values![key]).await?;
            access_tokens::end(&mut tx, key, at).await?;
            0
        }
        RevocationScope::Account(account) => {
            let raised = raise_account_epoch(&mut tx, account, at).await?;
            raised.ok_or(QueryError::NoAccount(*account))?.epoch
        }
        RevocationScope::Connector(_) | RevocationScope::Everyone => {
            raise_epoch(&mut tx, scope, at).await?
        }
    };
    tokens::delete_for_scope(&mut tx, scope).await?;
    let entry = append_log(&mut tx, scope.clone(), epoch, at).await?;
    tx.commit().await?;
    Ok(entry)
}

async fn epochs(db: &impl Database) -> Result<CurrentEpochs, QueryError> {
    // One statement reads one snapshot.
    let sql = "SELECT name, number, NULL AS kind, NULL AS what, NULL AS epoch, NULL AS at \
               FROM menshen_epoch UNION ALL \
               SELECT 'log', number, kind, what, epoch, at FROM menshen_revocation \
               WHERE number = (SELECT max(number) FROM menshen_revocation)";
    let mut now = CurrentEpochs::default();
    for found in db.read_rows(sql, values![]).await? {
        let number = found.integer("number")?;
        match found.text("name")? {
            "log" => now.log_position = log_position(&found)?,
            "everyone" => now.everyone = row::unsigned(number, "epoch")?,
            name => {
                let id = name.strip_prefix(CONNECTOR_PREFIX);
                let id = id.and_then(|id| id.parse().ok());
                let id = id.ok_or(QueryError::Damaged("epoch"))?;
                now.connectors.push((id, row::unsigned(number, "epoch")?));
            }
        }
    }
    Ok(now)
}

async fn revocations_after(
    db: &impl Database,
    number: i64,
    max: u32,
) -> Result<RevocationPage, QueryError> {
    let sql = "SELECT number, kind, what, epoch, at FROM menshen_revocation WHERE number >= $1 \
               ORDER BY number LIMIT $2";
    let rows = db
        .read_rows(sql, values![number, i64::from(max) + 1])
        .await?;
    let mut page = RevocationPage {
        start: (number == 0).then(LogPosition::default),
        ..RevocationPage::default()
    };
    for found in &rows {
        let position = log_position(found)?;
        if position.number == number {
            page.start = Some(position);
            continue;
        }
        page.end = Some(position);
        match log_entry(found) {
            Ok(entry) => page.entries.push(entry),
            // A damaged row must not hide the rows after it.
            Err(QueryError::Damaged(_)) => page.damaged.push(position.number),
            Err(error) => return Err(error),
        }
    }
    Ok(page)
}

/// Whether the epoch of a connector or of everyone is still `number` and was not raised since `since`, the
/// start of the login.
pub(super) async fn is_epoch_current(
    tx: &mut impl Transaction,
    scope: &RevocationScope,
    number: u64,
    since: Timestamp,
) -> Result<bool, QueryError> {
    let sql = "SELECT number, coalesce(raised_at >= $2, FALSE) AS raised_since \
               FROM menshen_epoch WHERE name = $1";
    let Some(found) = tx.row(sql, values![epoch_name(scope), since]).await? else {
        return Ok(number == 0);
    };
    Ok(!found.boolean("raised_since")? && row::number(&found, "number", "epoch")? == number)
}

/// Raises the epoch of a connector or of everyone.
pub(super) async fn raise_epoch(
    tx: &mut impl Transaction,
    scope: &RevocationScope,
    at: Timestamp,
) -> Result<u64, QueryError> {
    let sql = "INSERT INTO menshen_epoch AS e (name, number, raised_at) VALUES ($1, 1, $2) \
               ON CONFLICT (name) DO UPDATE SET number = e.number + 1, \
               raised_at = CASE WHEN e.raised_at > $2 THEN e.raised_at ELSE $2 END \
               RETURNING number";
    let raised = tx.only_row(sql, values![epoch_name(scope), at]).await?;
    row::number(&raised, "number", "epoch")
}

/// Raises the epoch of an account, which locks the account; returns the account with its new epoch.
pub(super) async fn raise_account_epoch(
    tx: &mut impl Transaction,
    account: &AccountId,
    at: Timestamp,
) -> Result<Option<Account>, QueryError> {
    let sql = "UPDATE menshen_account SET epoch = epoch + 1, epoch_raised_at = \
               CASE WHEN epoch_raised_at > $2 THEN epoch_raised_at ELSE $2 END \
               WHERE id = $1 RETURNING id, login, epoch, closed, local_department, local_groups";
    let raised = tx.row(sql, values![account, at]).await?;
    raised.as_ref().map(row::account).transpose()
}

/// Tells other processes that an account changed: they load its sessions and access tokens again. `None` if it
/// has none. The transaction began as [`Begin::Revoking`].
pub(super) async fn announce_change(
    tx: &mut impl Transaction,
    account: &AccountId,
    at: Timestamp,
) -> Result<Option<Revocation>, QueryError> {
    let sql = "SELECT epoch FROM menshen_account WHERE id = $1 \
               AND (EXISTS (SELECT 1 FROM menshen_session WHERE account = $1) \
               OR EXISTS (SELECT 1 FROM menshen_access_token \
               WHERE account = $1 AND revoked_at IS NULL))";
    let Some(found) = tx.row(sql, values![account]).await? else {
        return Ok(None);
    };
    let epoch = row::number(&found, "epoch", "account")?;
    let scope = RevocationScope::Account(*account);
    append_log(tx, scope, epoch, at).await.map(Some)
}

/// Writes an entry of the log. The transaction began as [`Begin::Revoking`], so numbers are in the order
/// of commits.
pub(super) async fn append_log(
    tx: &mut impl Transaction,
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
    let inserted = tx.only_row(sql, values![kind, what, epoch, at]).await?;
    let number = inserted.integer("number")?;
    tx.announce_revocation().await?;
    Ok(Revocation {
        number,
        scope,
        epoch,
    })
}

fn log_position(found: &impl Columns) -> Result<LogPosition, QueryError> {
    let number = found.integer("number")?;
    let [epoch, at] = [found.integer("epoch")?, found.integer("at")?].map(i64::to_be_bytes);
    let content = [
        found.text("kind")?.as_bytes(),
        found.bytes("what")?,
        &epoch,
        &at,
    ];
    Ok(LogPosition {
        number,
        fingerprint: keys::fingerprint(&content),
    })
}

fn log_entry(found: &impl Columns) -> Result<Revocation, QueryError> {
    const RECORD: &str = "revocation";
    let scope = match found.text("kind")? {
        "session" => RevocationScope::Session(SessionKey::new(row::bytes(found, "what", RECORD)?)),
        "account" => RevocationScope::Account(AccountId::new(row::bytes(found, "what", RECORD)?)),
        "connector" => {
            let id = std::str::from_utf8(found.bytes("what")?).ok();
            let id = id.and_then(|id| id.parse().ok());
            RevocationScope::Connector(id.ok_or(QueryError::Damaged(RECORD))?)
        }
        "everyone" => RevocationScope::Everyone,
        _ => return Err(QueryError::Damaged(RECORD)),
    };
    Ok(Revocation {
        number: found.integer("number")?,
        scope,
        epoch: row::number(found, "epoch", RECORD)?,
    })
}

/// The primary key of the epoch of a connector or of everyone.
fn epoch_name(scope: &RevocationScope) -> Cow<'static, str> {
    match scope {
        RevocationScope::Connector(connector) => format!("{CONNECTOR_PREFIX}{connector}").into(),
        RevocationScope::Everyone | RevocationScope::Account(_) | RevocationScope::Session(_) => {
            "everyone".into()
        }
    }
}
