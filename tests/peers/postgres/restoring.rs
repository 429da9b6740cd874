//! A database that is replaced by an older copy.

use menshen::store::{RevocationScope, StoreError};
use sqlx::Executor as _;

use super::server;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_ends_before_what_was_read_is_an_error() {
    let database = server::shared().new_database().await;
    let store = open(&database.url(), true).await;
    for _ in 0..3 {
        store
            .revoke(&RevocationScope::Everyone, at(1))
            .await
            .unwrap();
    }
    let last = store.epochs().await.unwrap().log_number;
    let page = store.revocations_after(last, 9).await.unwrap();
    assert_eq!(page.entries, []);
    let page = store.revocations_after(last - 2, 1).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    // As after the restore of a backup: the last entry was written later.
    let sql = "DELETE FROM menshen_revocation WHERE number = (SELECT max(number) FROM menshen_revocation)";
    database.connect().await.execute(sql).await.unwrap();
    let error = store.revocations_after(last, 9).await.unwrap_err();
    assert!(
        matches!(error, StoreError::LogSetBack { number } if number == last),
        "{error:?}"
    );
    let page = store.revocations_after(last - 1, 9).await.unwrap();
    assert_eq!(page.entries, []);
}
