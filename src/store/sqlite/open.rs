//! Opens the file: checks it read-only, then migrates its schema.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::super::{FileCreateError, StoreError};
use super::opened_file::OpenedFile;
use super::{Sqlite, SqliteUrl, result_code, schema};
use crate::wording::full_path;

const READERS_MAX: u32 = 4;
/// How long an operation waits for a pooled connection, and for the lock of another process.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A larger write-ahead log is truncated after its next checkpoint.
const WAL_BYTES_KEPT: &str = "67108864";
/// For how long opening is retried: SQLite does not always wait for the lock of another process that
/// creates the same file.
const RETRY_FOR: Duration = Duration::from_secs(10);
const RETRY_AFTER: Duration = Duration::from_millis(50);

pub(super) async fn open(url: &SqliteUrl) -> Result<Sqlite, StoreError> {
    let SqliteUrl::File(path) = url else {
        return open_memory().await.map_err(failed(url));
    };
    let started = Instant::now();
    loop {
        match open_file(url, path).await {
            Err(StoreError::Open { source, .. })
                if result_code::is_busy(&source) && started.elapsed() < RETRY_FOR =>
            {
                tokio::time::sleep(RETRY_AFTER).await;
            }
            opened => return opened,
        }
    }
}

pub(super) async fn open_read_only(url: &SqliteUrl) -> Result<Sqlite, StoreError> {
    let SqliteUrl::File(path) = url else {
        return open_memory().await.map_err(failed(url));
    };
    if !tokio::fs::try_exists(path).await.unwrap_or(true) {
        let why = format!(
            "there is no {}: nobody ever signed in here",
            full_path(path)
        );
        return Err(failed(url)(sqlx::Error::Configuration(why.into())));
    }
    let found = schema::check_file(url, path).await?.unwrap_or(0);
    let supported = schema::latest_version();
    if found < supported {
        return Err(StoreError::OlderSchema {
            url: url.to_string(),
            found,
            supported,
        });
    }
    let opened_file = opened_file(url, path)?;
    let reading = options(SqliteConnectOptions::new().filename(path))
        .read_only(true)
        .pragma("query_only", "ON");
    let readers = pool(1).connect_with(reading).await.map_err(failed(url))?;
    Ok(Sqlite {
        writer: readers.clone(),
        readers,
        opened_file,
        _memory: None,
    })
}

/// Opens one connection for reads and writes, and an idle one that keeps the database in memory alive.
async fn open_memory() -> sqlx::Result<Sqlite> {
    // Parsed from the URL, the options name a database that several connections share.
    let options = options("sqlite::memory:".parse()?);
    let memory = options.connect().await?;
    let pool = pool(1).connect_with(options).await?;
    schema::migrate(&pool).await?;
    Ok(Sqlite {
        writer: pool.clone(),
        readers: pool,
        opened_file: OpenedFile::MEMORY,
        _memory: Some(memory),
    })
}

async fn open_file(url: &SqliteUrl, path: &Path) -> Result<Sqlite, StoreError> {
    create(path).await?;
    schema::check_file(url, path).await?;
    let options = options(SqliteConnectOptions::new().filename(path));
    // The file stores the journal mode, so readers need not set it.
    let writing = options.clone().journal_mode(SqliteJournalMode::Wal);
    let writer = pool(1).connect_with(writing).await.map_err(failed(url))?;
    schema::migrate(&writer).await.map_err(failed(url))?;
    let reading = options.pragma("query_only", "ON");
    let readers = pool(READERS_MAX)
        .connect_with(reading)
        .await
        .map_err(failed(url))?;
    Ok(Sqlite {
        writer,
        readers,
        opened_file: opened_file(url, path)?,
        _memory: None,
    })
}

/// How every connection is opened.
fn options(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("journal_size_limit", WAL_BYTES_KEPT)
}

fn opened_file(url: &SqliteUrl, path: &Path) -> Result<OpenedFile, StoreError> {
    OpenedFile::at(path)
        .map_err(sqlx::Error::Io)
        .map_err(failed(url))
}

/// The pool opens connections only for a caller, which then checks that the file was not replaced.
fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .min_connections(0)
        .acquire_timeout(BUSY_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Creates an empty file with mode 0600 if there is none.
async fn create(path: &Path) -> Result<(), StoreError> {
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    match options.open(path).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Create(FileCreateError {
            path: path.to_owned(),
            error,
        })),
    }
}

pub(super) fn failed(url: &SqliteUrl) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Open {
        url: url.to_string(),
        source,
    }
}
