//! `Import`: writes every row of a copy in one transaction.

use sqlx::{AssertSqlSafe, PgPool, Postgres as Database, Row as _, Transaction};

use super::super::migrate::{Column, ColumnKind, MigrateError, TABLES, Values};
use super::super::{PostgresUrl, StoreOptions};
use super::open::{self, failed};

/// A transaction on a database whose tables are empty. Dropping it changes nothing.
#[derive(Debug)]
pub(in crate::store) struct Import {
    tx: Transaction<'static, Database>,
    _pool: PgPool,
}

impl Import {
    /// Creates the tables, and locks them until the end.
    pub(in crate::store) async fn begin(
        url: &PostgresUrl,
        options: &StoreOptions,
    ) -> Result<Self, MigrateError> {
        // No node is served from here: nothing listens, and statements are not named.
        let options = StoreOptions {
            notify: false,
            ..options.clone()
        };
        let store = open::open(url, &options).await;
        let pool = store.map_err(MigrateError::Target)?.pool;
        let target = |error| MigrateError::Target(failed(url)(error));
        let mut tx = pool.begin().await.map_err(target)?;
        let names = TABLES.map(|table| format!("menshen_{table}")).join(", ");
        let lock = format!("LOCK TABLE {names} IN EXCLUSIVE MODE");
        let lock = sqlx::query(AssertSqlSafe(lock)).persistent(false);
        lock.execute(&mut *tx).await.map_err(target)?;
        for table in TABLES {
            let sql = format!("SELECT EXISTS (SELECT 1 FROM menshen_{table}) AS has_rows");
            let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
            let found = query.fetch_one(&mut *tx).await.map_err(target)?;
            if found.try_get("has_rows").map_err(target)? {
                let url = url.to_string();
                return Err(MigrateError::NotEmpty { url, table });
            }
        }
        Ok(Self { tx, _pool: pool })
    }

    /// The columns of a table.
    pub(in crate::store) async fn columns(&mut self, table: &str) -> sqlx::Result<Vec<Column>> {
        let sql = "SELECT column_name::text AS name, data_type::text AS kind \
                   FROM information_schema.columns \
                   WHERE table_schema = current_schema() AND table_name = $1 \
                   ORDER BY ordinal_position";
        let query = sqlx::query(sql).persistent(false);
        let query = query.bind(format!("menshen_{table}"));
        let rows = query.fetch_all(&mut *self.tx).await?;
        let column = |row: &sqlx::postgres::PgRow| {
            Ok(Column {
                name: row.try_get("name")?,
                kind: match row.try_get("kind")? {
                    "bytea" => ColumnKind::Bytes,
                    "boolean" => ColumnKind::Boolean,
                    "bigint" => ColumnKind::Number,
                    _ => ColumnKind::Text,
                },
            })
        };
        rows.iter().map(column).collect()
    }

    pub(in crate::store) async fn insert(
        &mut self,
        table: &str,
        columns: &[Column],
        values: Vec<Values>,
    ) -> sqlx::Result<()> {
        let names: Vec<_> = columns.iter().map(|column| &*column.name).collect();
        let arrays = columns.iter().zip(1..).map(|(column, at)| {
            let kind = match column.kind {
                ColumnKind::Bytes => "bytea",
                ColumnKind::Text => "text",
                ColumnKind::Number => "bigint",
                ColumnKind::Boolean => "boolean",
            };
            format!("${at}::{kind}[]")
        });
        let arrays: Vec<_> = arrays.collect();
        // The numbers of the log stay the same.
        let sql = format!(
            "INSERT INTO menshen_{table} ({}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest({})",
            names.join(", "),
            arrays.join(", ")
        );
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
        for values in values {
            query = match values {
                Values::Bytes(values) => query.bind(values),
                Values::Text(values) => query.bind(values),
                Values::Number(values) => query.bind(values),
                Values::Boolean(values) => query.bind(values),
            };
        }
        query.execute(&mut *self.tx).await?;
        Ok(())
    }

    /// Continues the numbers of copied rows, and commits.
    pub(in crate::store) async fn commit(mut self) -> sqlx::Result<()> {
        for table in [
            "revocation",
            "front_channel_mark",
            "account_change",
            "audit_line",
        ] {
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence('menshen_{table}', 'number'), \
                 (SELECT max(number) FROM menshen_{table})) \
                 WHERE EXISTS (SELECT 1 FROM menshen_{table})"
            );
            let query = sqlx::query(AssertSqlSafe(sql)).persistent(false);
            query.execute(&mut *self.tx).await?;
        }
        self.tx.commit().await
    }
}
