//! The verified fields of identities, by which later identities are linked.

use super::super::{ConnectorId, LinkField, Subject};
use super::row::Columns;
use super::{Begin, Database, QueryError, Transaction, accounts, values};

/// Replaces the verified fields of a known identity; whether it had others.
pub(super) async fn replace(
    db: &impl Database,
    connector: &ConnectorId,
    subject: &Subject,
    vouched: &[(LinkField, String)],
) -> Result<bool, QueryError> {
    // Read first: they rarely change, and a source is asked about everybody every few minutes.
    let sql = "SELECT field, value FROM menshen_vouched WHERE connector = $1 AND subject = $2";
    let rows = db.read_rows(sql, values![connector, subject]).await?;
    let mut known = Vec::new();
    for found in &rows {
        known.push((found.text("field")?, found.text("value")?));
    }
    let is_known =
        |(field, value): &(LinkField, String)| known.contains(&(field.as_str(), value.as_str()));
    if known.len() == vouched.len() && vouched.iter().all(is_known) {
        return Ok(false);
    }
    let mut tx = db.begin(Begin::Writing).await?;
    let Some(account) = accounts::by_identity(&mut tx, connector, subject).await? else {
        tx.roll_back().await?;
        return Ok(false);
    };
    tx.lock_account(&account.id).await?;
    // The identity may have been detached meanwhile.
    let owner = accounts::by_identity(&mut tx, connector, subject).await?;
    if owner.is_none_or(|owner| owner.id != account.id) {
        tx.roll_back().await?;
        return Ok(false);
    }
    write(&mut tx, connector, subject, vouched).await?;
    tx.commit().await?;
    Ok(true)
}

/// Replaces the verified fields of an identity.
pub(super) async fn write(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    subject: &Subject,
    vouched: &[(LinkField, String)],
) -> Result<(), QueryError> {
    let sql = "DELETE FROM menshen_vouched WHERE connector = $1 AND subject = $2";
    tx.execute(sql, values![connector, subject]).await?;
    let sql = "INSERT INTO menshen_vouched (connector, subject, field, value) \
               VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    for (field, value) in vouched {
        tx.execute(sql, values![connector, subject, *field, value])
            .await?;
    }
    Ok(())
}

/// Replaces those verified fields of an identity that the source lists; the others stay.
pub(super) async fn write_listed(
    tx: &mut impl Transaction,
    connector: &ConnectorId,
    subject: &Subject,
    vouched: &[(LinkField, String)],
) -> Result<(), QueryError> {
    for (field, value) in vouched {
        let sql = "DELETE FROM menshen_vouched \
                   WHERE connector = $1 AND subject = $2 AND field = $3 AND value <> $4";
        let values = values![connector, subject, *field, value];
        tx.execute(sql, values).await?;
        let sql = "INSERT INTO menshen_vouched (connector, subject, field, value) \
                   VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        tx.execute(sql, values![connector, subject, *field, value])
            .await?;
    }
    Ok(())
}
