//! Copies a site from SQLite to PostgreSQL, whole or not at all.

use super::postgres::{self, PostgresUrl};
use super::sqlite::{self, SqliteUrl};
use super::{StoreError, StoreOptions};

/// The tables without the prefix `menshen_`, each after those to which its rows refer.
pub(super) const TABLES: [&str; 27] = [
    "key_ring",
    "account",
    "account_change",
    "account_vouched",
    "expected_identity",
    "identity",
    "former_identity",
    "vouched",
    "department",
    "membership",
    "tag",
    "epoch",
    "session",
    "session_tokens",
    "access_token",
    "local_person",
    "administrator",
    "console_session",
    "managed_version",
    "connector_kind",
    "revocation",
    "logout_mark",
    "front_channel_mark",
    "spent",
    "lease",
    "audit_line",
    "node",
];

/// The maximum number of rows that are in memory at once.
pub(super) const BATCH_ROWS: usize = 1_000;

/// Why a site was not copied. The target is unchanged, except that it may have new, empty tables.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    #[error("read the store to copy")]
    Source(#[source] StoreError),
    #[error("open the new store")]
    Target(#[source] StoreError),
    #[error("the store {url} is not empty: its table menshen_{table} has rows. Use a new database")]
    NotEmpty {
        /// Without credentials.
        url: String,
        table: &'static str,
    },
    /// The two databases have different columns: a defect of this program.
    #[error("the table {table} has other columns in the new store")]
    Columns { table: &'static str },
    #[error("copy the table {table}")]
    Copy {
        table: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("commit the copy")]
    Commit(#[source] sqlx::Error),
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: ColumnKind,
}

/// The type of a column, as PostgreSQL has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    Bytes,
    Text,
    Number,
    Boolean,
}

/// The values of one column in a batch of rows.
#[derive(Debug)]
pub(super) enum Values {
    Bytes(Vec<Option<Vec<u8>>>),
    Text(Vec<Option<String>>),
    Number(Vec<Option<i64>>),
    Boolean(Vec<Option<bool>>),
}

impl Values {
    pub(super) fn new(kind: ColumnKind) -> Self {
        match kind {
            ColumnKind::Bytes => Self::Bytes(Vec::new()),
            ColumnKind::Text => Self::Text(Vec::new()),
            ColumnKind::Number => Self::Number(Vec::new()),
            ColumnKind::Boolean => Self::Boolean(Vec::new()),
        }
    }
}

/// Copies every table. The target must have no rows; the source must not be in use, or what is written
/// meanwhile is missing in the copy. `progress` is called with each table and the number of its rows so
/// far, at least once for each table. Returns the number of all rows.
pub async fn migrate(
    from: &SqliteUrl,
    to: &PostgresUrl,
    options: &StoreOptions,
    mut progress: impl FnMut(&'static str, u64),
) -> Result<u64, MigrateError> {
    let mut source = sqlite::Export::begin(from)
        .await
        .map_err(MigrateError::Source)?;
    let mut target = postgres::Import::begin(to, options).await?;
    let mut total = 0;
    for table in TABLES {
        let failed = |source| MigrateError::Copy { table, source };
        let columns = target.columns(table).await.map_err(failed)?;
        let mut names: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        names.sort();
        if source.columns(table).await.map_err(failed)? != names {
            return Err(MigrateError::Columns { table });
        }
        let mut rows = source.rows(table, &columns);
        let mut copied = 0;
        progress(table, copied);
        while let Some((count, values)) = rows.next_batch().await.map_err(failed)? {
            target
                .insert(table, &columns, values)
                .await
                .map_err(failed)?;
            copied += count;
            progress(table, copied);
        }
        total += copied;
    }
    target.commit().await.map_err(MigrateError::Commit)?;
    Ok(total)
}
