//! The SQLite file itself: kept, guarded, never spoiled.

use menshen::store::{
    CoordinationStore as _, MaintenanceStore as _, RevocationScope, RevocationStore as _,
    SessionStore as _, Sqlite, StoreError,
};

use super::*;

#[tokio::test]
async fn reopening_the_file_keeps_everything() {
    let dir = TempDir::new();
    let store = Sqlite::open(&dir.sqlite_url()).await.unwrap();
    let key = keys::generate();
    store.load_or_create_keys(&key).await.unwrap();
    let (account, new) = somebody(&store, "张三").await;
    let entry = store
        .revoke(&RevocationScope::Connector(github()), at(1))
        .await
        .unwrap();
    let ticket = keys::random();
    store.spend(&ticket, at(1)).await.unwrap();
    store.close().await;
    assert!(store.ping().await.is_err());

    let store = Sqlite::open(&dir.sqlite_url()).await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(
        store.load_or_create_keys(&keys::generate()).await.unwrap()[0].expose(),
        key.expose()
    );
    let found = store.session(&new.record.key).await.unwrap().unwrap();
    assert_eq!((found.session, found.account), (new.record, account));
    assert_eq!(
        store.revocations_after(0, 9).await.unwrap().entries,
        [entry]
    );
    assert_eq!(store.epochs().await.unwrap().connectors, [(github(), 1)]);
    assert!(!store.spend(&ticket, at(1)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_start_at_once_agree_on_one_key() {
    let dir = TempDir::new();
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let url = dir.sqlite_url();
        starts.spawn(async move {
            let store = Sqlite::open(&url).await.unwrap();
            let ring = store.load_or_create_keys(&keys::generate()).await.unwrap();
            ring.iter()
                .map(|key| key.expose().clone())
                .collect::<Vec<_>>()
        });
    }
    let rings = starts.join_all().await;
    assert_eq!(rings[0].len(), 1);
    assert!(rings.iter().all(|ring| *ring == rings[0]));
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TempDir::new();
    let store = Sqlite::open(&dir.sqlite_url()).await.unwrap();
    somebody(&store, "zhangsan").await;
    let mut files = 0;
    for entry in std::fs::read_dir(&dir.0).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        files += 1;
    }
    assert_eq!(files, 3, "the file, its log and the log's index");
}

#[tokio::test]
async fn a_missing_directory_is_named_and_not_made() {
    let dir = TempDir::new();
    let missing = dir.0.join("missing");
    let error = Sqlite::open(&SqliteUrl::File(missing.join("menshen.db")))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains(missing.to_str().unwrap()),
        "{error:?}"
    );
    assert!(!missing.exists());
}

#[test]
fn a_place_that_is_no_file_is_refused() {
    for url in [
        "sqlite:",
        "sqlite://",
        "sqlite:///x.db?mode=ro",
        "mysql://u:hunter2@db/m",
    ] {
        let error = url.parse::<StoreUrl>().unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let dir = TempDir::new();
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(200);
    refuses(&dir, text.as_bytes(), |error| {
        matches!(error, StoreError::Open { .. })
    })
    .await;
}

#[tokio::test]
async fn a_truncated_file_is_refused_and_left_alone() {
    let dir = TempDir::new();
    let bytes = an_old_file(&dir).await;
    refuses(&dir, &bytes[..10_000], |error| {
        matches!(error, StoreError::Open { .. })
    })
    .await;
}

#[tokio::test]
async fn a_newer_file_is_refused_and_left_alone() {
    let dir = TempDir::new();
    an_old_file(&dir).await;
    let later = "INSERT INTO _sqlx_migrations \
                 (version, description, success, checksum, execution_time) \
                 VALUES (999, 'later', TRUE, x'00', 0)";
    let bytes = changed(&dir, later).await;
    let newer = |error: &StoreError| matches!(error, StoreError::NewerSchema { found: 999, .. });
    refuses(&dir, &bytes, newer).await;
}

#[tokio::test]
async fn another_programs_file_is_refused_and_left_alone() {
    let dir = TempDir::new();
    std::fs::write(dir.file(), b"").unwrap();
    let bytes = changed(&dir, "CREATE TABLE theirs (id INTEGER PRIMARY KEY)").await;
    refuses(&dir, &bytes, |error| {
        matches!(error, StoreError::OtherProgram { .. })
    })
    .await;
}

/// Changes the file behind the store's back and answers what it then is.
async fn changed(dir: &TempDir, sql: &'static str) -> Vec<u8> {
    let pool = sqlx::SqlitePool::connect(&dir.url()).await.unwrap();
    sqlx::query(sql).execute(&pool).await.unwrap();
    pool.close().await;
    std::fs::read(dir.file()).unwrap()
}

/// A file that was in use and is now closed.
async fn an_old_file(dir: &TempDir) -> Vec<u8> {
    let store = Sqlite::open(&dir.sqlite_url()).await.unwrap();
    somebody(&store, "zhangsan").await;
    store.close().await;
    std::fs::read(dir.file()).unwrap()
}

/// Opening a file of these bytes is refused so, names the file, and changes no byte.
async fn refuses(dir: &TempDir, bytes: &[u8], so: impl Fn(&StoreError) -> bool) {
    std::fs::write(dir.file(), bytes).unwrap();
    let error = Sqlite::open(&dir.sqlite_url()).await.unwrap_err();
    assert!(so(&error), "{error:?}");
    assert!(
        error.to_string().contains(dir.file().to_str().unwrap()),
        "{error}"
    );
    assert!(
        std::fs::read(dir.file()).unwrap() == bytes,
        "the file was changed: {error}"
    );
}

#[test]
fn the_store_answers_while_everything_that_may_block_is_stuck() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build();
    runtime.unwrap().block_on(async {
        let dir = TempDir::new();
        let store = Sqlite::open(&dir.sqlite_url()).await.unwrap();
        let (account, new) = somebody(&store, "zhangsan").await;
        // As the lookup of a host name, when the name server does not answer.
        let (release, released) = std::sync::mpsc::channel::<()>();
        let stuck = tokio::task::spawn_blocking(move || released.recv());
        let asked = tokio::time::timeout(Duration::from_secs(60), async {
            assert!(has_session(&store, &new).await);
            let another = new_session(&account, at(1));
            assert_eq!(store.mint(&another).await.unwrap(), MintOutcome::Session);
        });
        let asked = asked.await;
        drop(release);
        assert!(stuck.await.unwrap().is_err());
        asked.expect("the store answers");
    });
}
