//! The schema version, and the migrations of older databases.

use std::path::Path;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _, SqliteConnection, SqlitePool};

use super::super::StoreError;
use super::SqliteUrl;
use super::open::{BUSY_TIMEOUT, failed};

/// SQLite's `application_id` of menshen's databases; the first migration writes it.
const APPLICATION_ID: i64 = 0x6d65_6e73;

/// The schema version of this program.
pub(super) fn latest_version() -> i64 {
    let versions = migrator().iter().map(|migration| migration.version).max();
    versions.unwrap_or(0)
}

/// Opens the file read-only and checks that it belongs to menshen and its schema is not newer than this
/// program. Returns the schema version, if it has tables.
pub(super) async fn check_file(url: &SqliteUrl, path: &Path) -> Result<Option<i64>, StoreError> {
    let empty = tokio::fs::metadata(path)
        .await
        .is_ok_and(|file| file.len() == 0);
    if empty {
        return Ok(None);
    }
    let mut db = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .connect()
        .await
        .map_err(failed(url))?;
    let found = application_and_version(&mut db).await;
    db.close().await.map_err(failed(url))?;
    let (application, tables) = found.map_err(failed(url))?;
    let supported = latest_version();
    match (application, tables) {
        (_, None) if application == 0 => Ok(None),
        (APPLICATION_ID, Some(found)) if found > supported => Err(StoreError::NewerSchema {
            url: url.to_string(),
            found,
            supported,
        }),
        (APPLICATION_ID, found) => Ok(found),
        (_, _) => Err(StoreError::OtherProgram {
            url: url.to_string(),
        }),
    }
}

/// The application ID and, if the database has tables, the schema version; 0 for another program's.
async fn application_and_version(db: &mut SqliteConnection) -> sqlx::Result<(i64, Option<i64>)> {
    let sql = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = sqlx::query_scalar(sql).fetch_one(&mut *db).await?;
    let application = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *db)
        .await?;
    if tables == 0 || application != APPLICATION_ID {
        return Ok((application, (tables > 0).then_some(0)));
    }
    let sql = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
    Ok((
        application,
        Some(sqlx::query_scalar(sql).fetch_one(db).await?),
    ))
}

/// Runs the migrations in one transaction, in one process at a time.
pub(super) async fn migrate(writer: &SqlitePool) -> sqlx::Result<()> {
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    migrator().run_direct(None, &mut *tx, false).await?;
    tx.commit().await
}

/// All migrations. A released one must not change, not even in a comment: every database stores its
/// checksum.
fn migrator() -> Migrator {
    let migration = |version, description: &'static str, sql: &'static str| {
        let kind = MigrationType::Simple;
        Migration::new(version, description.into(), kind, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![
        migration(1, "first tables", include_str!("0001_first_tables.sql")),
        migration(2, "tokens", include_str!("0002_tokens.sql")),
        migration(3, "provider", include_str!("0003_provider.sql")),
        migration(4, "unnamed", include_str!("0004_unnamed.sql")),
        migration(5, "raised", include_str!("0005_raised.sql")),
        migration(6, "front_channel", include_str!("0006_front_channel.sql")),
        migration(
            7,
            "marks_by_connector",
            include_str!("0007_marks_by_connector.sql"),
        ),
        migration(
            8,
            "closed_accounts",
            include_str!("0008_closed_accounts.sql"),
        ),
        migration(9, "directory", include_str!("0009_directory.sql")),
        migration(10, "table_names", include_str!("0010_table_names.sql")),
        migration(
            11,
            "closed_by_sync",
            include_str!("0011_closed_by_sync.sql"),
        ),
        migration(
            12,
            "session_origin",
            include_str!("0012_session_origin.sql"),
        ),
        migration(13, "access_tokens", include_str!("0013_access_tokens.sql")),
        migration(
            14,
            "local_entitlements",
            include_str!("0014_local_entitlements.sql"),
        ),
        migration(
            15,
            "access_token_sessions",
            include_str!("0015_access_token_sessions.sql"),
        ),
        migration(
            16,
            "access_token_provider_sid",
            include_str!("0016_access_token_provider_sid.sql"),
        ),
        migration(17, "local_people", include_str!("0017_local_people.sql")),
        migration(
            18,
            "managed_settings",
            include_str!("0018_managed_settings.sql"),
        ),
        migration(19, "console", include_str!("0019_console.sql")),
        migration(20, "audit_log", include_str!("0020_audit_log.sql")),
        migration(21, "nodes", include_str!("0021_nodes.sql")),
        migration(22, "audit_cause", include_str!("0022_audit_cause.sql")),
    ])
}
