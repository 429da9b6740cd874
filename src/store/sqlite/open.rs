//! Opening the file: refuse what is not ours before anything is written, then bring it up to date.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _, SqliteConnection, SqlitePool};

use super::super::StoreError;
use super::Sqlite;
use super::place::Place;

/// What marks our files, as the first migration writes it.
const APPLICATION_ID: i64 = 0x6d65_6e73;
const READERS_MAX: u32 = 4;
/// How long a question waits for a connection of ours, and for the lock of another process.
const WAIT: Duration = Duration::from_secs(5);
/// A WAL that has grown beyond this is cut after its next checkpoint.
const WAL_BYTES_KEPT: &str = "67108864";
/// For how long opening is tried again: SQLite does not always wait for the lock of another process
/// that makes the same new file.
const PATIENCE: Duration = Duration::from_secs(10);
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// Opens the store at `url`.
pub(super) async fn open(url: &str) -> Result<Sqlite, StoreError> {
    let failed = |source| StoreError::Open {
        url: url.to_owned(),
        source,
    };
    let options = options(url)?;
    if is_memory(url) {
        return open_memory(options).await.map_err(failed);
    }
    let started = Instant::now();
    loop {
        match open_file(url, &options).await {
            Err(StoreError::Open { source, .. })
                if is_busy(&source) && started.elapsed() < PATIENCE =>
            {
                tokio::time::sleep(TRY_AGAIN).await;
            }
            done => return done,
        }
    }
}

/// Opens the store at `url` without a right to write.
pub(super) async fn look(url: &str) -> Result<Sqlite, StoreError> {
    let failed = |source| StoreError::Open {
        url: url.to_owned(),
        source,
    };
    let options = options(url)?;
    if is_memory(url) {
        return open_memory(options).await.map_err(failed);
    }
    let path = options.get_filename();
    if !tokio::fs::try_exists(path).await.unwrap_or(true) {
        let why = format!("there is no {}: nobody ever signed in here", path.display());
        return Err(failed(sqlx::Error::Configuration(why.into())));
    }
    let found = inspect(url, &options).await?.unwrap_or(0);
    let known = known();
    if found < known {
        return Err(StoreError::Older {
            url: url.to_owned(),
            found,
            known,
        });
    }
    let place = place(url, path)?;
    let reading = options.read_only(true).pragma("query_only", "ON");
    let readers = pool(1).connect_with(reading).await.map_err(failed)?;
    Ok(Sqlite {
        writer: readers.clone(),
        readers,
        place,
        _memory: None,
    })
}

/// How the file at `url` is opened.
fn options(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    let place = url.strip_prefix("sqlite:").unwrap_or(url);
    let place = place.strip_prefix("//").unwrap_or(place);
    if place.is_empty() || place.contains('?') {
        return Err(StoreError::Unsupported {
            url: url.to_owned(),
        });
    }
    let failed = |source| StoreError::Open {
        url: url.to_owned(),
        source,
    };
    let options: SqliteConnectOptions = url.parse().map_err(failed)?;
    Ok(options
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(WAIT)
        .pragma("journal_size_limit", WAL_BYTES_KEPT))
}

fn is_memory(url: &str) -> bool {
    matches!(url, "sqlite::memory:" | "sqlite://:memory:")
}

/// One connection for both at a time, and one that keeps what is in memory while there is none.
async fn open_memory(options: SqliteConnectOptions) -> sqlx::Result<Sqlite> {
    let memory = options.connect().await?;
    let pool = pool(1).connect_with(options).await?;
    migrate(&pool).await?;
    Ok(Sqlite {
        writer: pool.clone(),
        readers: pool,
        place: Place::MEMORY,
        _memory: Some(memory),
    })
}

async fn open_file(url: &str, options: &SqliteConnectOptions) -> Result<Sqlite, StoreError> {
    let failed = |source| StoreError::Open {
        url: url.to_owned(),
        source,
    };
    let path = options.get_filename();
    create(path).await.map_err(failed)?;
    inspect(url, options).await?;
    // The journal's mode stays in the file, so readers need not set it.
    let writing = options.clone().journal_mode(SqliteJournalMode::Wal);
    let writer = pool(1).connect_with(writing).await.map_err(failed)?;
    migrate(&writer).await.map_err(failed)?;
    let reading = options.clone().pragma("query_only", "ON");
    let readers = pool(READERS_MAX)
        .connect_with(reading)
        .await
        .map_err(failed)?;
    Ok(Sqlite {
        writer,
        readers,
        place: place(url, path)?,
        _memory: None,
    })
}

fn place(url: &str, path: &Path) -> Result<Place, StoreError> {
    Place::of(path).map_err(|source| StoreError::Open {
        url: url.to_owned(),
        source: sqlx::Error::Io(source),
    })
}

/// Connections are opened by whoever needs one, never in the background: whoever needs one looks
/// whether it is to the right file.
fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .min_connections(0)
        .acquire_timeout(WAIT)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Makes an empty file that only we may read, unless there is one.
async fn create(path: &Path) -> sqlx::Result<()> {
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    match options.open(path).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            let why = format!("cannot create {}: {error}", path.display());
            Err(sqlx::Error::Configuration(why.into()))
        }
    }
}

/// Looks at the file without a right to write: is it a database, ours, and not newer than we are?
/// Answers the version of its tables, when it has any.
async fn inspect(url: &str, options: &SqliteConnectOptions) -> Result<Option<i64>, StoreError> {
    let failed = |source| StoreError::Open {
        url: url.to_owned(),
        source,
    };
    let empty = tokio::fs::metadata(options.get_filename())
        .await
        .is_ok_and(|file| file.len() == 0);
    if empty {
        return Ok(None);
    }
    let mut db = SqliteConnectOptions::new()
        .filename(options.get_filename())
        .read_only(true)
        .busy_timeout(WAIT)
        .connect()
        .await
        .map_err(failed)?;
    let found = versions(&mut db).await;
    db.close().await.map_err(failed)?;
    let (application, tables) = found.map_err(failed)?;
    let known = known();
    match (application, tables) {
        (_, None) if application == 0 => Ok(None),
        (APPLICATION_ID, Some(found)) if found > known => Err(StoreError::Newer {
            url: url.to_owned(),
            found,
            known,
        }),
        (APPLICATION_ID, found) => Ok(found),
        (_, _) => Err(StoreError::Foreign {
            url: url.to_owned(),
        }),
    }
}

/// The version of the tables this program asks.
fn known() -> i64 {
    let versions = migrator().iter().map(|migration| migration.version).max();
    versions.unwrap_or(0)
}

/// Whose file it is, and the version of its tables; no version when there are no tables at all.
async fn versions(db: &mut SqliteConnection) -> sqlx::Result<(i64, Option<i64>)> {
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

/// Brings the tables up to date, whole or not at all, one process at a time.
async fn migrate(writer: &SqlitePool) -> sqlx::Result<()> {
    let mut tx = writer.begin_with("BEGIN IMMEDIATE").await?;
    migrator().run_direct(None, &mut *tx, false).await?;
    tx.commit().await
}

fn migrator() -> Migrator {
    let migration = |version, description: &'static str, sql: &'static str| {
        let kind = MigrationType::Simple;
        Migration::new(version, description.into(), kind, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![
        migration(1, "house", include_str!("0001_house.sql")),
        migration(2, "tokens", include_str!("0002_tokens.sql")),
        migration(3, "provider", include_str!("0003_provider.sql")),
        migration(4, "unnamed", include_str!("0004_unnamed.sql")),
        migration(5, "raised", include_str!("0005_raised.sql")),
        migration(6, "front_channel", include_str!("0006_front_channel.sql")),
    ])
}

/// Whether another process holds the lock (SQLITE_BUSY, whatever its extended code).
fn is_busy(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else {
        return false;
    };
    error
        .code()
        .and_then(|code| code.parse::<i32>().ok())
        .is_some_and(|code| code & 0xff == 5)
}
