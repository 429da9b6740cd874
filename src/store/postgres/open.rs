//! Opens a PostgreSQL store. A server that cannot keep the promises of the store is refused before
//! anything is written.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool, Row as _};

use super::super::{StoreError, StoreOptions};
use super::listen::Announcements;
use super::{Access, Postgres, PostgresUrl, SCHEMA, ServerError, ServerProblem, schema};
use crate::text;
use crate::wording::Text;

/// How long an operation waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout of the first connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(600);
/// The age at which a connection is replaced, so that every node moves to a server that took over.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(1800);
/// PostgreSQL 13.
const OLDEST_VERSION: i32 = 130_000;

pub(super) async fn open(
    url: &PostgresUrl,
    options: &StoreOptions,
) -> Result<Postgres, StoreError> {
    let pool = connect(url, options, Access::ReadWrite).await?;
    schema::migrate(url, &pool).await?;
    Ok(store(options, pool, Access::ReadWrite))
}

pub(super) async fn open_read_only(
    url: &PostgresUrl,
    options: &StoreOptions,
) -> Result<Postgres, StoreError> {
    let pool = connect(url, options, Access::ReadOnly).await?;
    let (found, supported) = (schema::found(url, &pool).await?, schema::latest_version());
    if found < supported {
        return Err(StoreError::OlderSchema {
            url: url.to_string(),
            found,
            supported,
        });
    }
    Ok(store(options, pool, Access::ReadOnly))
}

/// Connects as a node would, without writing; returns a sentence about the server and the tables.
pub(super) async fn examine(url: &PostgresUrl, options: &StoreOptions) -> Result<Text, StoreError> {
    let pool = connect(url, options, Access::ReadWrite).await?;
    let (found, latest) = (schema::found(url, &pool).await?, schema::latest_version());
    let version = async {
        let query = sqlx::query("SELECT current_setting('server_version') AS version");
        let mut tx = pool.begin().await?;
        let found = query.persistent(false).fetch_one(&mut *tx).await?;
        tx.rollback().await?;
        found.try_get::<String, _>("version")
    };
    let version = version.await.map_err(failed(url))?;
    pool.close().await;
    let tables = match found {
        0 => text!(
            "it has no tables yet: `menshen run` creates them",
            "还没有表：`menshen run` 会创建"
        ),
        _ if found < latest => text!(
            "`menshen run` migrates its tables from {found} to {latest}",
            "`menshen run` 会把表从版本 {found} 升级到 {latest}"
        ),
        _ => text!("its tables have version {found}", "表的版本是 {found}"),
    };
    Ok(text!(
        "PostgreSQL {version} answers; {tables}",
        "PostgreSQL {version} 有响应；{tables:#}"
    ))
}

fn store(options: &StoreOptions, pool: PgPool, access: Access) -> Postgres {
    let announcements = match access {
        Access::ReadWrite if options.notify => Announcements::start(pool.clone()),
        Access::ReadWrite | Access::ReadOnly => Arc::default(),
    };
    Postgres {
        pool,
        access,
        keeps_connections: options.notify,
        announcements,
    }
}

/// Checks the server with two connections, then returns a pool.
async fn connect(
    url: &PostgresUrl,
    options: &StoreOptions,
    access: Access,
) -> Result<PgPool, StoreError> {
    let connecting = url.connect_options(options.password.as_ref());
    // Statements are not logged: they would show who signs in.
    let connecting = connecting.map_err(failed(url))?.disable_statement_logging();
    // A pool retries a refused connection and in the end reports only that it took too long.
    let server = async { Checked::open(&connecting).await };
    let checked = tokio::time::timeout(CONNECT_TIMEOUT, server).await;
    let checked = checked.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    let problem = checked.map_err(failed(url))?.problem(access);
    if let Some(problem) = problem {
        return Err(unusable(url, problem, None));
    }
    let pool = PgPoolOptions::new()
        // One more than what operations may use: the connection that listens.
        .max_connections(options.connections_max + u32::from(options.notify))
        .min_connections(0)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        .max_lifetime(CONNECTION_LIFETIME);
    Ok(pool.connect_lazy_with(connecting))
}

/// What the store relies on.
struct Checked {
    version: i32,
    encoding: String,
    is_read_only: bool,
    /// Whether an advisory lock excludes other connections. Some databases that speak this protocol grant
    /// every lock to everybody.
    excludes_others: bool,
}

impl Checked {
    async fn open(connecting: &PgConnectOptions) -> sqlx::Result<Self> {
        let mut holder = connecting.connect().await?;
        let sql = "SELECT current_setting('server_version_num')::int AS version, \
                   current_setting('server_encoding') AS encoding, \
                   current_setting('transaction_read_only') = 'on' AS is_read_only";
        let query = sqlx::query(sql).persistent(false);
        // A pooler may give each statement outside of a transaction another connection.
        let mut tx = holder.begin().await?;
        let found = query.fetch_one(&mut *tx).await?;
        let lock = "SELECT pg_advisory_xact_lock($1)";
        let lock = sqlx::query(lock).persistent(false).bind(SCHEMA);
        lock.execute(&mut *tx).await?;
        let mut other = connecting.connect().await?;
        let mut other_tx = other.begin().await?;
        let sql = "SELECT pg_try_advisory_xact_lock($1) AS is_granted";
        let query = sqlx::query(sql).persistent(false).bind(SCHEMA);
        let lock = query.fetch_one(&mut *other_tx).await?;
        other_tx.rollback().await?;
        tx.rollback().await?;
        other.close().await?;
        holder.close().await?;
        Ok(Self {
            version: found.try_get("version")?,
            encoding: found.try_get("encoding")?,
            is_read_only: found.try_get("is_read_only")?,
            excludes_others: !lock.try_get::<bool, _>("is_granted")?,
        })
    }

    fn problem(self, access: Access) -> Option<ServerProblem> {
        if self.version < OLDEST_VERSION {
            return Some(ServerProblem::OldVersion(self.version / 10_000));
        }
        if self.encoding != "UTF8" {
            return Some(ServerProblem::Encoding(self.encoding));
        }
        if access == Access::ReadWrite && self.is_read_only {
            return Some(ServerProblem::ReadOnly);
        }
        (!self.excludes_others).then_some(ServerProblem::NoAdvisoryLocks)
    }
}

pub(super) fn failed(url: &PostgresUrl) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| match ServerProblem::of(&source) {
        Some(problem) => unusable(url, problem, Some(source)),
        None => StoreError::Open {
            url: url.to_string(),
            source,
        },
    }
}

fn unusable(url: &PostgresUrl, problem: ServerProblem, source: Option<sqlx::Error>) -> StoreError {
    StoreError::Server(Box::new(ServerError {
        url: url.to_string(),
        problem,
        source,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked() -> Checked {
        Checked {
            version: 130_000,
            encoding: "UTF8".to_owned(),
            is_read_only: false,
            excludes_others: true,
        }
    }

    #[test]
    fn a_server_that_cannot_keep_the_promises_of_a_store_is_refused() {
        let write = Access::ReadWrite;
        assert_eq!(checked().problem(write), None);
        let old = Checked {
            version: 120_022,
            ..checked()
        };
        assert_eq!(old.problem(write), Some(ServerProblem::OldVersion(12)));
        let latin = Checked {
            encoding: "LATIN1".to_owned(),
            ..checked()
        };
        let latin1 = ServerProblem::Encoding("LATIN1".to_owned());
        assert_eq!(latin.problem(write), Some(latin1));
        let replica = || Checked {
            is_read_only: true,
            ..checked()
        };
        assert_eq!(replica().problem(write), Some(ServerProblem::ReadOnly));
        assert_eq!(replica().problem(Access::ReadOnly), None);
        let lockless = Checked {
            excludes_others: false,
            ..checked()
        };
        assert_eq!(
            lockless.problem(write),
            Some(ServerProblem::NoAdvisoryLocks)
        );
    }
}
