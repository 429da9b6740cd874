//! SQLite files that an earlier menshen wrote: they are migrated at the start, and nothing is lost.

use std::path::Path;

use menshen::store::{
    AccountStore as _, DirectoryStore as _, RevocationScope, RevocationStore as _,
    SessionStore as _, Sqlite,
};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqlSafeStr as _, SqliteConnection};

use super::*;

/// The migrations of the versions before the tables had the names that they have today.
const MIGRATIONS: [&str; 9] = [
    include_str!("../../../src/store/sqlite/0001_first_tables.sql"),
    include_str!("../../../src/store/sqlite/0002_tokens.sql"),
    include_str!("../../../src/store/sqlite/0003_provider.sql"),
    include_str!("../../../src/store/sqlite/0004_unnamed.sql"),
    include_str!("../../../src/store/sqlite/0005_raised.sql"),
    include_str!("../../../src/store/sqlite/0006_front_channel.sql"),
    include_str!("../../../src/store/sqlite/0007_marks_by_connector.sql"),
    include_str!("../../../src/store/sqlite/0008_closed_accounts.sql"),
    include_str!("../../../src/store/sqlite/0009_directory.sql"),
];

/// Creates a file as the menshen of this version did; returns a connection to it.
async fn file_of_version(version: usize, path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    let mut db = options.create_if_missing(true).connect().await.unwrap();
    let migrations = MIGRATIONS.iter().take(version).zip(1..);
    let migrations = migrations.map(|(sql, number)| {
        let kind = MigrationType::Simple;
        Migration::new(number, "earlier".into(), kind, sql.into_sql_str(), false)
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator.run_direct(None, &mut db, false).await.unwrap();
    db
}

#[tokio::test]
async fn a_file_of_each_earlier_version_is_brought_up_to_date() {
    for version in 1..=MIGRATIONS.len() {
        let dir = TempDir::new();
        let db = file_of_version(version, &dir.file()).await;
        db.close().await.unwrap();
        let store = Sqlite::open(&dir.sqlite_url()).await.unwrap();
        let (account, mut new) = somebody(&store, "zhangsan").await;
        new = NewSession {
            tokens: Some("sealed".to_owned()),
            ..new_session(&account, new.began_at)
        };
        let minted = store.mint(&new).await.unwrap();
        assert_eq!(minted, MintOutcome::Session, "version {version}");
        assert!(has_session(&store, &new).await, "version {version}");
    }
}

#[tokio::test]
async fn people_sessions_and_the_log_of_an_older_file_stay() {
    let dir = TempDir::new();
    let mut db = file_of_version(9, &dir.file()).await;
    let written = "INSERT INTO account (id, login, login_folded, created_at, name, name_folded) \
             VALUES (x'000102030405060708090a0b0c0d0e0f', '张三', '张三', 1, '张三', '张三'); \
         INSERT INTO identity (connector, subject, account, names, entitlements, used_at) \
             VALUES ('corp', 'zhangsan', x'000102030405060708090a0b0c0d0e0f', 1, '{}', 1); \
         INSERT INTO vouched VALUES ('corp', 'zhangsan', 'mobile', '13800000000'); \
         INSERT INTO membership VALUES ('corp', 'zhangsan', '2', 1); \
         INSERT INTO session VALUES (zeroblob(32), zeroblob(16), \
             x'000102030405060708090a0b0c0d0e0f', 'corp', 'zhangsan', NULL, '{}', 1, \
             9000000000000, 1, 0, 0, 0); \
         INSERT INTO session_tokens VALUES (zeroblob(32), 3, 'sealed'); \
         INSERT INTO revocation (number, kind, what, epoch, at) \
             VALUES (41, 'everyone', x'', 1, 1), (42, 'everyone', x'', 2, 1); \
         DELETE FROM revocation WHERE number = 42";
    sqlx::raw_sql(written).execute(&mut db).await.unwrap();
    db.close().await.unwrap();

    let store = Sqlite::open(&dir.sqlite_url()).await.unwrap();
    let key = SessionKey::new([0; 32]);
    let session = store.session(&key).await.unwrap().unwrap();
    assert_eq!(session.account.login.as_str(), "张三");
    assert_eq!(session.tokens.unwrap().version, 3);
    let account = session.account.id;
    let person = store.person(&account).await.unwrap().unwrap();
    assert_eq!(person.name.as_deref(), Some("张三"));
    let identities = store.identity_records(&account).await.unwrap();
    assert_eq!(identities[0].memberships[0].department, "2");
    // Another identity is still linked by the verified number.
    let mut linked = admission("zhangsan");
    linked.connector = github();
    linked.links = mobile("13800000000");
    assert_eq!(admit(&store, &linked).await.id, account);
    // A number of the log is never given twice, and tokens are deleted with their session.
    let ended = store.revoke(&RevocationScope::Session(key), at(1)).await;
    assert_eq!(ended.unwrap().number, 43);
    assert_eq!(store.session(&key).await.unwrap(), None);
    let mut meddler = Meddler::at(&dir.url()).await;
    let content = meddler.content().await;
    let has_tokens = content
        .iter()
        .any(|row| row.starts_with("menshen_session_tokens"));
    assert!(!has_tokens, "{content:?}");
    let owner = store.account_by_login(&"张三".parse().unwrap()).await;
    assert_eq!(owner.unwrap().unwrap().id, account);
}

#[tokio::test]
async fn a_new_file_and_a_migrated_one_have_the_same_tables() {
    let (dir, new_dir) = (TempDir::new(), TempDir::new());
    let db = file_of_version(9, &dir.file()).await;
    db.close().await.unwrap();
    for dir in [&dir, &new_dir] {
        let store = Sqlite::open(&dir.sqlite_url()).await.unwrap();
        store.close().await;
    }
    let mut tables = Meddler::at(&dir.url()).await.tables().await;
    assert_eq!(tables, Meddler::at(&new_dir.url()).await.tables().await);
    tables.retain(|table| !table.starts_with("menshen_"));
    assert!(tables.is_empty(), "{tables:?}");
}
