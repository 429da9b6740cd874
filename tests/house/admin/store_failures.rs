//! A store that cannot be written to: everyone concerned gets an error, nothing is done in part, and
//! menshen recovers without a restart.

use serde_json::{Value, json};

use super::exposure::metric;
use super::{call_api, is_signed_in, send_request, setup, sign_in_as};
use crate::browser::Browser;
use crate::sessions::stored_sessions;
use crate::setup::{Menshen, SSO_URL};
use crate::stores::{Meddler, TempDir};
use crate::upstream::wait_until;
use menshen::face::page::Cause;
use menshen::store;

async fn start_with_store_file() -> (Menshen, Meddler, TempDir) {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    let meddler = Meddler::at(&dir.url()).await;
    (menshen, meddler, dir)
}

/// Waits until `/readyz` reports this state, and returns the report.
async fn wait_for_readiness(menshen: &Menshen, ready: bool) -> Value {
    for _ in 0..300 {
        let answer = send_request(menshen, "GET", "/readyz", "", "").await;
        if answer.json()["ready"] == ready {
            assert_eq!(answer.status, if ready { 200 } else { 503 });
            return answer.json();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("`ready` never became {ready}");
}

#[tokio::test]
async fn a_read_only_store_is_reported_and_recovers_without_a_restart() {
    let (menshen, mut meddler, dir) = start_with_store_file().await;
    let mut zhangs_browser = sign_in_as(&menshen, "zhangsan").await;
    let zhangs_session = zhangs_browser.cookie("menshen").unwrap().value.clone();
    let mut lis_browser = sign_in_as(&menshen, "lisi").await;
    let errors = metric(&menshen, "menshen_store_errors_total").await;
    let undo = meddler
        .fail_all("SELECT RAISE(ROLLBACK, 'disk full')")
        .await;

    // A login gets a problem page and leaves no session.
    for _ in 0..2 {
        let mut wangs_browser = Browser::new(&menshen);
        let page = wangs_browser
            .sign_in(&format!("{SSO_URL}/echo"), "wangfang")
            .await;
        assert_eq!(page.cause(), Some(Cause::StoreUnavailable));
        assert_eq!(page.answer.status, 503);
        assert_eq!(wangs_browser.cookie("menshen"), None);
    }
    let store = store::open(&dir.store_url(), &store::StoreOptions::default())
        .await
        .unwrap();
    let wangs_browser = "wangfang".parse().unwrap();
    assert_eq!(store.account_by_login(&wangs_browser).await.unwrap(), None);
    let readiness = wait_for_readiness(&menshen, false).await;
    let reason = readiness["reasons"][0].as_str().unwrap();
    assert!(
        reason.starts_with("the store cannot be written to: "),
        "{reason}"
    );
    assert!(metric(&menshen, "menshen_store_errors_total").await > errors);

    // A sign-out holds in this process, and the page says that it is not saved.
    let page = zhangs_browser
        .follow(&format!("{SSO_URL}/.menshen/sign_out"))
        .await;
    assert_eq!(page.cause(), Some(Cause::SignOutUnstored));
    assert_eq!(page.answer.status, 503);
    assert_eq!(zhangs_browser.cookie("menshen"), None);
    let old_cookie = crate::test_request::TestRequest::get("/echo").session(&zhangs_session);
    assert_eq!(old_cookie.send(&menshen).await.status, 401);
    // The same holds for a session that an administrator ends; other sessions continue.
    assert!(is_signed_in(&mut lis_browser).await);
    let ended = call_api(&menshen, "POST", "/api/revoke", &json!({"login": "lisi"})).await;
    assert_eq!(ended.status, 503, "{}", ended.text());
    assert!(
        ended.text().contains("holds in this process"),
        "{}",
        ended.text()
    );
    assert!(!is_signed_in(&mut lis_browser).await);

    meddler.run(&undo).await;
    wait_for_readiness(&menshen, true).await;
    wait_until("the pending revocations are stored", || {
        let sessions = &menshen.running.live().services().sessions;
        futures_util::FutureExt::now_or_never(sessions.retry_pending(0)) == Some(0)
    })
    .await;
    assert_eq!(stored_sessions(&*store).await, []);
    assert_eq!(old_cookie.send(&menshen).await.status, 401);
    menshen.advance(std::time::Duration::from_secs(1));
    for who in ["zhangsan", "lisi", "wangfang"] {
        let mut browser = sign_in_as(&menshen, who).await;
        assert!(is_signed_in(&mut browser).await, "{who}");
    }
    let audit = menshen.audit();
    let is_unstored = |line: &&Value| {
        let reason = line["reason"].as_str().unwrap_or_default();
        reason.contains("not stored yet")
    };
    assert_eq!(audit.iter().filter(is_unstored).count(), 2, "{audit:?}");
}

#[tokio::test]
async fn a_store_whose_file_is_removed_or_replaced_is_not_written_to() {
    let (menshen, _, dir) = start_with_store_file().await;
    let mut zhangs_browser = sign_in_as(&menshen, "zhangsan").await;
    let away = dir.file().with_extension("away");
    std::fs::rename(dir.file(), &away).unwrap();
    for is_replaced in [false, true] {
        if is_replaced {
            std::fs::write(dir.file(), b"").unwrap();
        }
        let readiness = wait_for_readiness(&menshen, false).await;
        let reason = readiness["reasons"][0].as_str().unwrap();
        assert!(reason.contains("taken away or replaced"), "{reason}");
        let mut wangs_browser = Browser::new(&menshen);
        let page = wangs_browser
            .sign_in(&format!("{SSO_URL}/echo"), "wangfang")
            .await;
        assert_eq!(page.cause(), Some(Cause::StoreUnavailable));
        // Sessions continue for `store_outage_grace`.
        assert!(is_signed_in(&mut zhangs_browser).await);
    }
    assert_eq!(std::fs::metadata(dir.file()).unwrap().len(), 0);
    std::fs::rename(&away, dir.file()).unwrap();
    wait_for_readiness(&menshen, true).await;
    let mut wangs_browser = sign_in_as(&menshen, "wangfang").await;
    assert!(is_signed_in(&mut wangs_browser).await && is_signed_in(&mut zhangs_browser).await);
}

#[tokio::test]
async fn a_missing_account_is_not_a_store_failure() {
    let (menshen, _, _dir) = start_with_store_file().await;
    let errors = metric(&menshen, "menshen_store_errors_total").await;
    let unknown_account = json!({"account": "AAAAAAAAAAAAAAAAAAAAAA"});
    let answer = call_api(&menshen, "POST", "/api/revoke", &unknown_account).await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert_eq!(metric(&menshen, "menshen_store_errors_total").await, errors);
    wait_for_readiness(&menshen, true).await;
}
