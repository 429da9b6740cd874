//! `Export`: reads every row of a SQLite database, to copy it to another database.

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::super::migrate::{BATCH_ROWS, Column, Values};
use super::super::{SqliteUrl, StoreError};
use super::Sqlite;
use super::open::failed;

/// One state of the database, read in one transaction.
#[derive(Debug)]
pub(in crate::store) struct Export {
    connection: PoolConnection<sqlx::Sqlite>,
    _store: Sqlite,
}

/// The rows of one table.
pub(in crate::store) struct Rows<'a> {
    columns: &'a [Column],
    rows: BoxStream<'a, sqlx::Result<SqliteRow>>,
}

impl Export {
    /// Opens the file read-only; it must have the tables of this version.
    pub(in crate::store) async fn begin(url: &SqliteUrl) -> Result<Self, StoreError> {
        let store = Sqlite::open_read_only(url).await?;
        let begun = async {
            let mut connection = store.readers.acquire().await?;
            sqlx::query("BEGIN").execute(&mut *connection).await?;
            Ok(connection)
        };
        let connection = begun.await.map_err(failed(url))?;
        Ok(Self {
            connection,
            _store: store,
        })
    }

    /// The names of the columns of a table, sorted.
    pub(in crate::store) async fn columns(&mut self, table: &str) -> sqlx::Result<Vec<String>> {
        let sql = "SELECT name FROM pragma_table_info(?1) ORDER BY name";
        let names = sqlx::query_scalar(sql).bind(format!("menshen_{table}"));
        names.fetch_all(&mut *self.connection).await
    }

    pub(in crate::store) fn rows<'a>(&'a mut self, table: &str, columns: &'a [Column]) -> Rows<'a> {
        let names: Vec<_> = columns.iter().map(|column| &*column.name).collect();
        let sql = format!("SELECT {} FROM menshen_{table}", names.join(", "));
        // The names of tables and columns are those of our own schema.
        let query = sqlx::query(AssertSqlSafe(sql));
        Rows {
            columns,
            rows: query.fetch(&mut *self.connection),
        }
    }
}

impl Rows<'_> {
    /// The next rows, by column, and their number; `None` after the last one.
    pub(in crate::store) async fn next_batch(
        &mut self,
    ) -> sqlx::Result<Option<(u64, Vec<Values>)>> {
        let kinds = self.columns.iter().map(|column| column.kind);
        let mut values: Vec<_> = kinds.map(Values::new).collect();
        let mut count = 0;
        while let Some(row) = self.rows.next().await {
            let row = row?;
            for (at, values) in values.iter_mut().enumerate() {
                match values {
                    Values::Bytes(values) => values.push(row.try_get(at)?),
                    Values::Text(values) => values.push(row.try_get(at)?),
                    Values::Number(values) => values.push(row.try_get(at)?),
                    Values::Boolean(values) => values.push(row.try_get(at)?),
                }
            }
            count += 1;
            if count == BATCH_ROWS {
                break;
            }
        }
        let rows = u64::try_from(count).unwrap_or(u64::MAX);
        Ok((count > 0).then_some((rows, values)))
    }
}
