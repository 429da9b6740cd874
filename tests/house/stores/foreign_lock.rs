//! `Meddler`: somebody with a connection of their own to the file of a store.

use sqlx::{Connection as _, Row as _, SqliteConnection};

/// Somebody with a connection of their own to the file of a store.
pub(crate) struct Meddler(SqliteConnection);

impl Meddler {
    pub(crate) async fn at(url: &str) -> Self {
        Self(SqliteConnection::connect(url).await.unwrap())
    }

    pub(crate) async fn run(&mut self, sql: &str) {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql).execute(&mut self.0).await.unwrap();
    }

    /// The only value of a query.
    pub(crate) async fn text(&mut self, sql: &str) -> String {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        let found = sqlx::query_scalar(sql).fetch_one(&mut self.0).await;
        found.unwrap()
    }

    /// The tables of menshen.
    pub(crate) async fn tables(&mut self) -> Vec<String> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' \
                   AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_%' ESCAPE '\\' \
                   AND name NOT LIKE 'meddler%' ORDER BY name";
        sqlx::query_scalar(sql)
            .fetch_all(&mut self.0)
            .await
            .unwrap()
    }

    /// Everything that is written there, in an order of its own.
    pub(crate) async fn content(&mut self) -> Vec<String> {
        let mut content = Vec::new();
        for table in self.tables().await {
            let sql = format!("SELECT name FROM pragma_table_info('{table}')");
            let columns = sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(sql));
            let columns = columns.fetch_all(&mut self.0).await.unwrap();
            let quoted: Vec<_> = columns.iter().map(|it| format!("quote({it})")).collect();
            let row = quoted.join(" || ', ' || ");
            let sql = format!("SELECT '{table}: ' || {row} AS text FROM {table} ORDER BY text");
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql));
            let rows = rows.fetch_all(&mut self.0).await.unwrap();
            content.extend(rows.iter().map(|row| row.get::<String, _>("text")));
        }
        content
    }

    /// Lets everything that changes a row of menshen's do `what` first; answers how to end it.
    pub(crate) async fn fail_all(&mut self, what: &str) -> String {
        self.meddle("BEFORE", what).await
    }

    /// Lets everything that changes a row of menshen's do `what`; answers how to end it.
    pub(crate) async fn meddle(&mut self, when: &str, what: &str) -> String {
        let mut end = String::new();
        for table in self.tables().await {
            for event in ["INSERT", "UPDATE", "DELETE"] {
                let name = format!("meddler_{table}_{event}");
                let on = format!("{when} {event} ON {table}");
                self.run(&format!("CREATE TRIGGER {name} {on} BEGIN {what}; END;"))
                    .await;
                end.push_str(&format!("DROP TRIGGER {name};"));
            }
        }
        end
    }
}
