//! The tables: their version, and how those of an older menshen are brought up to date.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgPool, Row as _, SqlSafeStr as _};

use super::super::StoreError;
use super::open::failed;
use super::{PostgresUrl, SCHEMA, code};

/// The table that keeps the versions. Its name is ours, so that another program may share the database.
const VERSIONS: &str = "menshen_migration";

/// The version of the tables that this program requires.
pub(super) fn latest_version() -> i64 {
    let versions = migrator().iter().map(|migration| migration.version).max();
    versions.unwrap_or(0)
}

/// The version of the tables in the database; zero when there are none.
pub(super) async fn found(url: &PostgresUrl, pool: &PgPool) -> Result<i64, StoreError> {
    let found = async {
        let sql = "SELECT coalesce(max(version), 0) AS version FROM menshen_migration";
        let mut tx = pool.begin().await?;
        let query = sqlx::query(sql).persistent(false);
        let version = match query.fetch_one(&mut *tx).await {
            Ok(found) => found.try_get("version")?,
            Err(error) if code::is_undefined_table(&error) => 0,
            Err(error) => return Err(error),
        };
        tx.rollback().await?;
        Ok(version)
    };
    let found = found.await.map_err(failed(url))?;
    let supported = latest_version();
    if found > supported {
        return Err(StoreError::NewerSchema {
            url: url.to_string(),
            found,
            supported,
        });
    }
    Ok(found)
}

/// Brings the tables up to date, whole or not at all, one node at a time.
pub(super) async fn migrate(url: &PostgresUrl, pool: &PgPool) -> Result<(), StoreError> {
    if found(url, pool).await? == latest_version() {
        return Ok(());
    }
    let migrated = async {
        let mut tx = pool.begin().await?;
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").persistent(false);
        lock.bind(SCHEMA).execute(&mut *tx).await?;
        migrator().run_direct(None, &mut *tx, false).await?;
        tx.commit().await
    };
    migrated.await.map_err(failed(url))
}

/// The files may not be changed afterwards, not even a comment: every database keeps their checksums.
fn migrator() -> Migrator {
    let migration = |version, description: &'static str, sql: &'static str| {
        let kind = MigrationType::Simple;
        Migration::new(version, description.into(), kind, sql.into_sql_str(), false)
    };
    let mut migrator = Migrator::with_migrations(vec![
        migration(1, "tables", include_str!("0001_tables.sql")),
        migration(2, "directory", include_str!("0002_directory.sql")),
        migration(3, "closed_by_sync", include_str!("0003_closed_by_sync.sql")),
        migration(4, "session_origin", include_str!("0004_session_origin.sql")),
        migration(5, "access_tokens", include_str!("0005_access_tokens.sql")),
        migration(
            6,
            "local_entitlements",
            include_str!("0006_local_entitlements.sql"),
        ),
        migration(
            7,
            "access_token_sessions",
            include_str!("0007_access_token_sessions.sql"),
        ),
        migration(
            8,
            "access_token_provider_sid",
            include_str!("0008_access_token_provider_sid.sql"),
        ),
        migration(9, "local_people", include_str!("0009_local_people.sql")),
        migration(
            10,
            "managed_settings",
            include_str!("0010_managed_settings.sql"),
        ),
        migration(11, "console", include_str!("0011_console.sql")),
        migration(12, "audit_log", include_str!("0012_audit_log.sql")),
        migration(13, "nodes", include_str!("0013_nodes.sql")),
        migration(14, "audit_cause", include_str!("0014_audit_cause.sql")),
    ]);
    // The lock of the transaction does it: a lock of the connection is lost behind a pooler.
    migrator.set_locking(false);
    migrator.dangerous_set_table_name(VERSIONS);
    migrator
}
