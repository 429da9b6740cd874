//! Writes that fail in the middle, at their end, or because somebody else holds the file: nothing of
//! them stays, and the next one works.

use std::sync::Arc;
use std::time::Duration;

use menshen::store::{
    self, AccountId, AccountStore as _, Admission, AdmissionOutcome, LogoutTarget,
    MaintenanceStore as _, MonitoredStore, RevocationScope, RevocationStore as _,
    SessionStore as _,
};
use menshen::telemetry::Telemetry;

use super::writes::{Prepared, Write, writes_work};
use super::{Backend, Meddler, TempDir, admission, at, backends, closing, corp, has_session};

/// What a full disk, a broken disk and a broken rule each leave of a transaction: SQLite ends it by
/// itself, takes back one statement of it, or keeps what the statement did so far.
const RAISES: [&str; 3] = [
    "RAISE(ROLLBACK, 'disk full')",
    "RAISE(ABORT, 'broken')",
    "RAISE(FAIL, 'half done')",
];

async fn on_file() -> (Backend, Meddler) {
    let dir = TempDir::new();
    let store = store::open(&dir.store_url(), &store::StoreOptions::default())
        .await
        .unwrap();
    let meddler = Meddler::at(&dir.url()).await;
    let backend = Backend {
        name: "a SQLite file",
        store,
        _dir: Some(dir),
    };
    (backend, meddler)
}

#[tokio::test]
async fn a_write_that_fails_in_the_middle_leaves_nothing_and_the_next_one_works() {
    for write in Write::all() {
        let (backend, mut meddler) = on_file().await;
        let prepared = Prepared::on(&*backend.store).await;
        for raise in RAISES {
            let what = format!("{}, {raise}", write.name);
            let end = meddler.fail_all(&format!("SELECT {raise}")).await;
            let before = meddler.content().await;
            let failed = write.ask(&*backend.store, &prepared).await;
            assert!(failed.is_err(), "{what}");
            assert_eq!(meddler.content().await, before, "{what}");
            assert!(
                has_session(&*backend.store, &prepared.session).await,
                "{what}"
            );
            meddler.run(&end).await;
            writes_work(&backend, &what).await;
        }
        write.ask(&*backend.store, &prepared).await.unwrap();
    }
}

#[tokio::test]
async fn a_write_that_fails_at_its_commit_leaves_nothing_and_the_next_one_works() {
    for write in Write::all() {
        let (backend, mut meddler) = on_file().await;
        let prepared = Prepared::on(&*backend.store).await;
        meddler
            .run(
                "CREATE TABLE meddler (id INTEGER PRIMARY KEY); CREATE TABLE meddlers \
                 (id INTEGER REFERENCES meddler (id) DEFERRABLE INITIALLY DEFERRED);",
            )
            .await;
        let end = meddler
            .meddle("AFTER", "INSERT INTO meddlers (id) VALUES (1)")
            .await;
        let before = meddler.content().await;
        let failed = write.ask(&*backend.store, &prepared).await;
        assert!(failed.is_err(), "{}", write.name);
        assert_eq!(meddler.content().await, before, "{}", write.name);
        meddler.run(&end).await;
        writes_work(&backend, write.name).await;
        write.ask(&*backend.store, &prepared).await.unwrap();
    }
}

#[tokio::test]
async fn a_write_waits_for_the_lock_of_another_process_but_not_for_ever() {
    let (backend, mut meddler) = on_file().await;
    let prepared = Prepared::on(&*backend.store).await;
    meddler.run("BEGIN IMMEDIATE").await;
    let scope = RevocationScope::Session(prepared.session.record.key);
    let refused =
        tokio::time::timeout(Duration::from_secs(60), backend.store.revoke(&scope, at(1)));
    assert!(refused.await.expect("it ends").is_err());
    // Whoever only looks waits for nobody.
    assert!(has_session(&*backend.store, &prepared.session).await);
    meddler.run("ROLLBACK").await;
    writes_work(&backend, "a lock").await;
    backend.store.revoke(&scope, at(1)).await.unwrap();
    assert!(!has_session(&*backend.store, &prepared.session).await);
}

/// Polls a future so many times and gives it up, unless it ends before.
async fn given_up_after<T>(
    mut future: futures_util::future::BoxFuture<'_, T>,
    polls: usize,
) -> bool {
    let mut left = polls;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        std::task::Poll::Ready(_) => std::task::Poll::Ready(false),
        std::task::Poll::Pending if left == 0 => std::task::Poll::Ready(true),
        std::task::Poll::Pending => {
            left -= 1;
            std::task::Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn a_write_that_is_given_up_at_any_moment_happens_whole_or_not_at_all() {
    for write in Write::all() {
        let (done, mut meddler) = on_file().await;
        let prepared = Prepared::on(&*done.store).await;
        let nothing = anonymous(meddler.content().await);
        write.ask(&*done.store, &prepared).await.unwrap();
        let whole = anonymous(meddler.content().await);
        assert_ne!(nothing, whole, "{}", write.name);
        for polls in 0.. {
            let what = format!("{} given up after {polls} polls", write.name);
            let (backend, mut meddler) = on_file().await;
            let prepared = Prepared::on(&*backend.store).await;
            let asked = write.ask(&*backend.store, &prepared);
            let given_up = given_up_after(asked, polls).await;
            // Whoever writes next waits until the one before is done with.
            writes_work(&backend, &what).await;
            let epochs = "DELETE FROM menshen_epoch WHERE name = 'connector:github'; \
                          DELETE FROM menshen_spent WHERE until = 1800000062000; \
                          DELETE FROM menshen_revocation WHERE CAST(what AS TEXT) = 'github'";
            meddler.run(epochs).await;
            let after = anonymous(meddler.content().await);
            assert!(
                after == whole || (given_up && after == nothing),
                "{what}: {after:#?} is neither {nothing:#?} nor {whole:#?}"
            );
            if !given_up {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_store_in_memory_outlives_a_write_that_is_given_up() {
    for write in Write::all() {
        for polls in 0.. {
            let what = format!("{} given up after {polls} polls", write.name);
            let backend = backends().await.remove(1);
            let prepared = Prepared::on(&*backend.store).await;
            let asked = write.ask(&*backend.store, &prepared);
            let given_up = given_up_after(asked, polls).await;
            writes_work(&backend, &what).await;
            if !given_up {
                break;
            }
        }
    }
}

/// What is written, without what is drawn by lot.
fn anonymous(content: Vec<String>) -> Vec<String> {
    let blob = regex::Regex::new("X'[0-9A-F]*'").unwrap();
    let rows = content
        .iter()
        .map(|row| blob.replace_all(row, "X").into_owned());
    let mut rows: Vec<_> = rows.collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn an_operation_that_writes_nothing_does_not_show_that_writes_work() {
    let (backend, mut meddler) = on_file().await;
    let prepared = Prepared::on(&*backend.store).await;
    let (corp, key) = (corp(), prepared.session.record.key);
    let log = menshen::telemetry::LogConfig::default();
    let telemetry = Telemetry::writing_to(&log, Box::new(std::io::sink()));
    let store = MonitoredStore::new(Arc::clone(&backend.store), telemetry);
    let end = meddler.fail_all("SELECT RAISE(ABORT, 'disk full')").await;
    let unknown = LogoutTarget::Session("no session came from it".to_owned());
    let stranger = Admission {
        create: false,
        ..admission("wangwu")
    };
    assert!(store.probe_write().await.is_err());
    store.touch(&[]).await.unwrap();
    assert!(store.probe_write().await.is_err(), "touch");
    assert_eq!(store.delete_expired(at(1), at(0), 10).await.unwrap(), 0);
    assert!(store.probe_write().await.is_err(), "delete_expired");
    let none = AccountId::new([9; 16]);
    let closed = store
        .close_account(&none, &closing("left"), at(1))
        .await
        .unwrap();
    assert_eq!(closed, None);
    assert!(store.probe_write().await.is_err(), "close_account");
    let admitted = store.admit(&stranger).await.unwrap();
    assert_eq!(admitted, AdmissionOutcome::Unknown);
    assert!(store.probe_write().await.is_err(), "admit");
    let logout = store.apply_provider_logout(&corp, &unknown, None, at(1), at(1));
    assert_eq!(logout.await.unwrap(), Some(Vec::new()));
    assert!(
        store.probe_write().await.is_err(),
        "a logout that leaves no mark"
    );
    meddler.run(&end).await;
    store
        .revoke(&RevocationScope::Session(key), at(1))
        .await
        .unwrap();
    store.probe_write().await.unwrap();
}
