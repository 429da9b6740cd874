//! [`ManagedSettingsStore`]: reads and adds versions of the managed settings.

use async_trait::async_trait;

use super::super::{
    ConnectorId, ManagedSettingsStore, ManagedVersion, ManagedVersionRecord, NewManagedVersion,
    Revocation, RevocationScope, StoreError,
};
use super::row::Columns;
use super::{
    Begin, Database, QueryError, Transaction, audit_log, revocations, row, run, tokens, values,
};

#[async_trait]
impl<D: Database> ManagedSettingsStore for D {
    async fn newest_managed_version(&self) -> Result<u64, StoreError> {
        run("read the number of the managed settings", async {
            let found = self.read_row(NEWEST_NUMBER, values![]).await?;
            let number = found.map(|found| row::number(&found, "number", RECORD));
            Ok(number.transpose()?.unwrap_or(0))
        })
        .await
    }

    async fn managed_version(
        &self,
        number: Option<u64>,
    ) -> Result<Option<ManagedVersion>, StoreError> {
        run("read the managed settings", async {
            let found = match number {
                Some(number) => {
                    let sql = "SELECT * FROM menshen_managed_version WHERE number = $1";
                    self.read_row(sql, values![number]).await?
                }
                None => {
                    let sql = "SELECT * FROM menshen_managed_version WHERE number = \
                               (SELECT max(number) FROM menshen_managed_version)";
                    self.read_row(sql, values![]).await?
                }
            };
            found.as_ref().map(row::managed_version).transpose()
        })
        .await
    }

    async fn managed_versions(
        &self,
        before: Option<u64>,
        max: u32,
    ) -> Result<Vec<ManagedVersionRecord>, StoreError> {
        run("list the versions of the managed settings", async {
            let sql = "SELECT number, made_at, author, means, fields \
                       FROM menshen_managed_version WHERE number < $1 \
                       ORDER BY number DESC LIMIT $2";
            let before = before.and_then(|number| i64::try_from(number).ok());
            let before = before.unwrap_or(i64::MAX);
            let rows = self.read_rows(sql, values![before, max]).await?;
            rows.iter().map(row::managed_version_record).collect()
        })
        .await
    }

    async fn add_managed_version(
        &self,
        new: &NewManagedVersion<'_>,
    ) -> Result<Option<Vec<Revocation>>, StoreError> {
        run("change the managed settings", add(self, new)).await
    }

    async fn connector_kinds(&self) -> Result<Vec<(ConnectorId, String)>, StoreError> {
        run("read the kinds of connectors", async {
            let sql = "SELECT connector, kind FROM menshen_connector_kind ORDER BY connector";
            let rows = self.read_rows(sql, values![]).await?;
            rows.iter().map(connector_kind).collect()
        })
        .await
    }

    async fn note_connector_kinds(
        &self,
        kinds: &[(ConnectorId, String)],
    ) -> Result<(), StoreError> {
        run("write the kinds of connectors", async {
            let sql = "INSERT INTO menshen_connector_kind (connector, kind) VALUES ($1, $2) \
                       ON CONFLICT (connector) DO UPDATE SET kind = excluded.kind";
            let mut tx = self.begin(Begin::Writing).await?;
            for (id, kind) in kinds {
                tx.execute(sql, values![id, kind]).await?;
            }
            tx.commit().await
        })
        .await
    }

    async fn reseal_managed_version(
        &self,
        number: u64,
        before: &str,
        after: &str,
    ) -> Result<bool, StoreError> {
        run("seal the managed settings again", async {
            let sql = "UPDATE menshen_managed_version SET document = $3 \
                       WHERE number = $1 AND document = $2";
            let mut tx = self.begin(Begin::Writing).await?;
            let resealed = tx.execute(sql, values![number, before, after]).await?;
            tx.commit().await?;
            Ok(resealed == 1)
        })
        .await
    }
}

fn connector_kind(found: &impl Columns) -> Result<(ConnectorId, String), QueryError> {
    let id = row::parsed(found, "connector", "kind of a connector")?;
    Ok((id, found.text("kind")?.to_owned()))
}

const RECORD: &str = "version of the managed settings";

const NEWEST_NUMBER: &str =
    "SELECT coalesce(max(number), 0) AS number FROM menshen_managed_version";

/// No other transaction adds a version meanwhile, because each begins as [`Begin::Revoking`].
async fn add(
    db: &impl Database,
    new: &NewManagedVersion<'_>,
) -> Result<Option<Vec<Revocation>>, QueryError> {
    let mut tx = db.begin(Begin::Revoking).await?;
    let newest = tx.only_row(NEWEST_NUMBER, values![]).await?;
    if row::number(&newest, "number", RECORD)? != new.after {
        tx.roll_back().await?;
        return Ok(None);
    }
    let number = new.after + 1;
    let sql = "INSERT INTO menshen_managed_version \
               (number, made_at, author, means, fields, document) VALUES ($1, $2, $3, $4, $5, $6)";
    let fields = row::json_list(Some(new.fields));
    let (at, by) = (new.made_at, new.author);
    let values = values![number, at, by, new.means, fields, new.document];
    tx.execute(sql, values).await?;
    let sql = "DELETE FROM menshen_managed_version WHERE number <= $1";
    let last_deleted = number.saturating_sub(u64::from(new.versions_kept));
    tx.execute(sql, values![last_deleted]).await?;
    let mut entries = Vec::new();
    for connector in new.ended {
        let scope = RevocationScope::Connector(connector.clone());
        let epoch = revocations::raise_epoch(&mut tx, &scope, at).await?;
        tokens::delete_for_scope(&mut tx, &scope).await?;
        entries.push(revocations::append_log(&mut tx, scope, epoch, at).await?);
    }
    // The epoch after a revocation is at least 1, so this entry ends no session.
    let announced = revocations::append_log(&mut tx, RevocationScope::Everyone, 0, at).await?;
    entries.push(announced);
    if let Some(line) = new.audit {
        audit_log::insert(&mut tx, line).await?;
    }
    tx.commit().await?;
    Ok(Some(entries))
}
