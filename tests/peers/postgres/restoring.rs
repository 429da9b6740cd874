//! A database that is replaced by an older copy.

use menshen::store::{RevocationPage, RevocationScope};
use sqlx::Executor as _;

use super::server;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_log_says_what_its_first_entry_is_now() {
    let database = server::shared().new_database().await;
    let store = open(&database.url(), true).await;
    for _ in 0..3 {
        store
            .revoke(&RevocationScope::Everyone, at(1))
            .await
            .unwrap();
    }
    let position = store.epochs().await.unwrap().log_position;
    let last = position.number;
    let page = store.revocations_after(last, 9).await.unwrap();
    assert_eq!(page.entries, []);
    assert_eq!(page.start, Some(position));
    let page = store.revocations_after(last - 2, 1).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    // As after the restore of a backup: the last entry was written later.
    let sql = "DELETE FROM menshen_revocation WHERE number = (SELECT max(number) FROM menshen_revocation)";
    database.connect().await.execute(sql).await.unwrap();
    let page = store.revocations_after(last, 9).await.unwrap();
    assert_eq!(page, RevocationPage::default());
    let page = store.revocations_after(last - 1, 9).await.unwrap();
    assert_eq!(page.entries, []);
    // Another entry has the number.
    let sql = "INSERT INTO menshen_revocation (number, kind, what, epoch, at) \
               OVERRIDING SYSTEM VALUE SELECT max(number) + 1, 'everyone', '', 3, 1 \
               FROM menshen_revocation";
    database.connect().await.execute(sql).await.unwrap();
    let page = store.revocations_after(last, 9).await.unwrap();
    let start = page.start.unwrap();
    assert_eq!(start.number, last);
    assert_ne!(start, position);
}
