//! An import of many people is stored in batches. SQLite only, because a trigger makes it fail.

use super::directory_import::{counts, import, imported};
use super::*;

#[tokio::test]
async fn an_import_that_fails_in_the_middle_is_completed_by_the_same_import() {
    let dir = TempDir::new();
    let store = store::open(&dir.store_url(), &store::StoreOptions::default())
        .await
        .unwrap();
    let people: Vec<_> = (0..450).map(|n| imported(&format!("person-{n}"))).collect();
    let mut meddler = Meddler::at(&dir.url()).await;
    let fail = "CREATE TRIGGER meddler_fail BEFORE INSERT ON menshen_account \
                WHEN NEW.login = 'person-300' BEGIN SELECT RAISE(ABORT, 'no'); END";
    meddler.run(fail).await;
    let failed = store.import_people(&people, "admin", at(1)).await;
    assert!(failed.is_err(), "{failed:?}");
    // Others did not have to wait for all of them.
    let first = store.account_by_login(&"person-0".parse().unwrap()).await;
    assert!(first.unwrap().is_some());
    meddler.run("DROP TRIGGER meddler_fail").await;
    assert_eq!(import(&*store, &people).await, counts(250, 0, 200));
    assert_eq!(import(&*store, &people).await, counts(0, 0, 450));
}
