//! What is left in the tables of a SQLite file.

use menshen::store::{LogPosition, LogoutTarget, Revocation, RevocationPage, RevocationScope};
use sqlx::Connection as _;

use super::tokens::with_tokens;
use super::*;

#[tokio::test]
async fn what_strangers_say_fills_no_store() {
    let dir = TempDir::new();
    let store = store::open(&dir.store_url(), &store::StoreOptions::default())
        .await
        .unwrap();
    let mut meddler = Meddler::at(&dir.url()).await;
    meddler
        .run(
            "INSERT INTO menshen_front_channel_mark (connector, sid, at, until) \
             WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 50005) \
             SELECT 'corp', 'made up ' || n, 1, 9223372036854775807 FROM many",
        )
        .await;
    let account = admit(&*store, &admission("zhangsan")).await;
    let new = new_session(&account, at(5));
    let sid = LogoutTarget::Session(new.record.provider_sid.clone().unwrap());
    let corp = corp();
    let said = store.apply_provider_logout(&corp, &sid, None, at(10), at(600));
    said.await.unwrap();
    assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::LoggedOut);
    let count = |content: &[String]| {
        let marks = content
            .iter()
            .filter(|row| row.starts_with("menshen_front_channel_mark"));
        marks.count()
    };
    // A logout only adds its own mark; the oldest are deleted with what has expired.
    assert_eq!(count(&meddler.content().await), 50_006);
    let delete = || store.delete_expired(at(10), at(0), 4);
    assert_eq!(
        [delete().await.unwrap(), delete().await.unwrap()],
        [4, 2],
        "no more rows at once than it may delete"
    );
    assert_eq!(delete().await.unwrap(), 0);
    assert_eq!(count(&meddler.content().await), 50_000);
    assert_eq!(store.mint(&new).await.unwrap(), MintOutcome::LoggedOut);
    // The oldest that stands is said once more, and then the next to come pushes out another.
    for sid in ["made up 7", "new"] {
        let sid = LogoutTarget::Session(sid.to_owned());
        let said = store.apply_provider_logout(&corp, &sid, None, at(9), at(600));
        said.await.unwrap();
        while delete().await.unwrap() > 0 {}
    }
    let content = meddler.content().await;
    let renewed =
        |row: &&String| row.starts_with("menshen_front_channel_mark") && row.contains("made up 7'");
    assert_eq!(
        content.iter().filter(renewed).count(),
        1,
        "{:?}",
        content
            .iter()
            .find(|row| row.starts_with("menshen_front_channel_mark"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_file_see_each_others_revocations_in_order() {
    let dir = TempDir::new();
    let ours = store::open(&dir.store_url(), &store::StoreOptions::default())
        .await
        .unwrap();
    let theirs = store::open(&dir.store_url(), &store::StoreOptions::default())
        .await
        .unwrap();
    let (_, new) = somebody(&*ours, "zhangsan").await;
    assert!(has_session(&*theirs, &new).await);
    theirs
        .revoke(&RevocationScope::Session(new.record.key), at(1))
        .await
        .unwrap();
    assert!(!has_session(&*ours, &new).await);

    let mut writers = tokio::task::JoinSet::new();
    for store in [Arc::clone(&ours), Arc::clone(&theirs)] {
        writers.spawn(async move {
            for n in 0..50 {
                store
                    .revoke(&RevocationScope::Everyone, at(n))
                    .await
                    .unwrap();
            }
        });
    }
    // Whoever reads on from the last number misses nothing while both write.
    let mut read: Vec<Revocation> = Vec::new();
    while read.len() < 101 {
        let last = read.last().map_or(0, |entry| entry.number);
        read.extend(ours.revocations_after(last, 7).await.unwrap().entries);
    }
    writers.join_all().await;
    let epochs: Vec<_> = read.iter().map(|entry| entry.epoch).collect();
    assert_eq!(epochs, (0..=100).collect::<Vec<_>>());
    assert_eq!(theirs.epochs().await.unwrap(), ours.epochs().await.unwrap());
}

#[tokio::test]
async fn tokens_go_with_their_sessions_and_the_others_stay() {
    for at_scope in 0..6 {
        let dir = TempDir::new();
        let store = store::open(&dir.store_url(), &store::StoreOptions::default())
            .await
            .unwrap();
        let (account, new) = with_tokens(&*store, "zhangsan").await;
        let (_, other) = with_tokens(&*store, "lisi").await;
        let ended: u32 = match at_scope {
            0 => revoke(&*store, &RevocationScope::Session(new.record.key)).await,
            1 => revoke(&*store, &RevocationScope::Account(account.id)).await,
            2 => 1 + revoke(&*store, &RevocationScope::Connector(corp())).await,
            3 => 1 + revoke(&*store, &RevocationScope::Everyone).await,
            4 => {
                let closing = closing("left");
                store
                    .close_account(&account.id, &closing, at(1))
                    .await
                    .unwrap();
                1
            }
            _ => {
                store.touch(&[(other.record.key, at(100))]).await.unwrap();
                store.delete_expired(at(100), at(50), 10).await.unwrap();
                1
            }
        };
        let mut db = sqlx::SqliteConnection::connect(&dir.url()).await.unwrap();
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM menshen_session_tokens")
            .fetch_one(&mut db)
            .await
            .unwrap();
        assert_eq!(left, 2 - i64::from(ended), "{at_scope}");
    }
}

async fn revoke(store: &dyn Store, scope: &RevocationScope) -> u32 {
    store.revoke(scope, at(1)).await.unwrap();
    1
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_swept() {
    let dir = TempDir::new();
    let store = store::open(&dir.store_url(), &store::StoreOptions::default())
        .await
        .unwrap();
    assert!(store.lease("over", "a", at(0), at(0)).await.unwrap());
    assert!(store.lease("held", "a", at(0), at(90)).await.unwrap());
    store.delete_expired(at(60), at(0), 10).await.unwrap();
    let mut db = sqlx::SqliteConnection::connect(&dir.url()).await.unwrap();
    let left: Vec<String> = sqlx::query_scalar("SELECT name FROM menshen_lease")
        .fetch_all(&mut db)
        .await
        .unwrap();
    assert_eq!(left, ["held"]);
    assert!(!store.lease("held", "b", at(60), at(90)).await.unwrap());
}

#[tokio::test]
async fn a_page_of_the_log_says_what_its_first_entry_is_now() {
    let dir = TempDir::new();
    let store = store::open(&dir.store_url(), &store::StoreOptions::default())
        .await
        .unwrap();
    for _ in 0..3 {
        revoke(&*store, &RevocationScope::Everyone).await;
    }
    let position = store.epochs().await.unwrap().log_position;
    let last = position.number;
    let page = store.revocations_after(last, 9).await.unwrap();
    assert_eq!(page.entries, []);
    assert_eq!(page.start, Some(position));
    let page = store.revocations_after(last - 1, 9).await.unwrap();
    assert_eq!(page.end, Some(position));
    assert_ne!(page.start, Some(position));
    let from_the_start = store.revocations_after(0, 9).await.unwrap();
    assert_eq!(from_the_start.start, Some(LogPosition::default()));
    // As after the restore of a backup: the last entry was written later.
    let mut meddler = Meddler::at(&dir.url()).await;
    let sql = format!("DELETE FROM menshen_revocation WHERE number = {last}");
    meddler.run(&sql).await;
    let page = store.revocations_after(last, 9).await.unwrap();
    assert_eq!(page, RevocationPage::default());
    let page = store.revocations_after(last - 1, 9).await.unwrap();
    assert_eq!(page.entries, []);
    // Another entry has the number.
    let sql = format!(
        "INSERT INTO menshen_revocation (number, kind, what, epoch, at) \
         VALUES ({last}, 'everyone', x'', 3, 1)"
    );
    meddler.run(&sql).await;
    let page = store.revocations_after(last, 9).await.unwrap();
    let start = page.start.unwrap();
    assert_eq!(start.number, last);
    assert_ne!(start, position);
}
