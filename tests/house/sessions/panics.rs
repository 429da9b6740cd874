//! Background tasks of the sessions go on after a panic of the store.

use std::time::Duration;

use menshen::store::{AccountId, RevocationScope, SessionKey, SessionRecord, StoreError};

use super::watched::{Fault, WatchedMenshen};
use super::{account_and_sessions, eventually};
use crate::access_tokens::{basic, make_token};
use crate::browser::Browser;
use crate::people::closing;
use crate::setup::{SSO_URL, Setup};
use crate::test_request::{TestRequest, repeat_until};

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
access_tokens = true
"#;

/// More than the interval after which a use of a session or an access token is written again.
const UNTIL_NEXT_USE: Duration = Duration::from_secs(3_600 + 1);
/// More than the interval between two deletions of expired records.
const UNTIL_NEXT_DELETION: Duration = Duration::from_secs(301);

async fn start() -> WatchedMenshen {
    let setup = Setup::default().routes(ROUTES);
    WatchedMenshen::start(setup.session("idle_timeout = \"10h\"")).await
}

async fn account_of(menshen: &WatchedMenshen, login: &str) -> AccountId {
    account_and_sessions(&**menshen.store.unwatched(), login)
        .await
        .0
}

/// The newest session of a person.
async fn session_of(menshen: &WatchedMenshen, login: &str) -> SessionRecord {
    let (_, mut sessions) = account_and_sessions(&**menshen.store.unwatched(), login).await;
    sessions.remove(0)
}

async fn is_stored(menshen: &WatchedMenshen, key: &SessionKey) -> bool {
    let found = menshen.store.unwatched().session(key).await;
    found.unwrap().is_some()
}

/// Waits until an operation of the store was called again and panicked.
async fn wait_for_panic(menshen: &WatchedMenshen, operation: &'static str, calls_before: usize) {
    let what = format!("{operation} is called");
    eventually(&what, async || {
        menshen.store.calls(operation) > calls_before
    })
    .await;
}

/// Uses a session or an access token later, when its last use is written again.
async fn use_later(menshen: &WatchedMenshen, request: &TestRequest) {
    menshen.clock.advance(UNTIL_NEXT_USE);
    let answer = request.send_to(menshen.address).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn the_last_uses_of_sessions_are_written_after_a_panic() {
    let menshen = start().await;
    let cookie = menshen.session_cookie_of("lisi").await;
    let request = TestRequest::get("/echo").session(&cookie);
    let calls = menshen.store.calls("touch");
    menshen.store.fail_at("touch", Some(Fault::Panics));
    use_later(&menshen, &request).await;
    wait_for_panic(&menshen, "touch", calls).await;
    menshen.store.fail_at("touch", None);
    use_later(&menshen, &request).await;
    let now = menshen.clock.now();
    eventually("the last use of the session is stored", async || {
        session_of(&menshen, "lisi").await.used_at == now
    })
    .await;
}

#[tokio::test]
async fn the_last_uses_of_access_tokens_are_written_after_a_panic() {
    let menshen = start().await;
    let mut browser = Browser::at(menshen.address);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let token = make_token(&mut browser, "ci", &[]).await;
    let request = TestRequest::get("/echo").header("Authorization", &basic("lisi", &token));
    let calls = menshen.store.calls("touch_access_tokens");
    menshen
        .store
        .fail_at("touch_access_tokens", Some(Fault::Panics));
    use_later(&menshen, &request).await;
    wait_for_panic(&menshen, "touch_access_tokens", calls).await;
    menshen.store.fail_at("touch_access_tokens", None);
    use_later(&menshen, &request).await;
    let (now, account) = (menshen.clock.now(), account_of(&menshen, "lisi").await);
    eventually("the last use of the token is stored", async || {
        let store = menshen.store.unwatched();
        let tokens = store.access_tokens(&account, now, 1).await.unwrap();
        tokens[0].used_at == Some(now)
    })
    .await;
}

#[tokio::test]
async fn a_revocation_whose_write_panics_is_retried_and_blocks_no_other() {
    let menshen = start().await;
    for userid in ["zhangsan", "lisi", "wangfang"] {
        menshen.session_cookie_of(userid).await;
    }
    menshen.store.fail_at("revoke", Some(Fault::Failed));
    menshen.store.fail_at("close_account", Some(Fault::Failed));
    let mut keys = Vec::new();
    for login in ["lisi", "wangfang"] {
        let key = session_of(&menshen, login).await.key;
        let scope = RevocationScope::Session(key);
        let refused = menshen.sessions.revoke(&scope).await;
        assert!(matches!(refused, Err(StoreError::Failed { .. })));
        keys.push(key);
    }
    let account = account_of(&menshen, "zhangsan").await;
    let left = closing("left");
    let refused = menshen.people.close_account(&account, &left).await;
    assert!(matches!(refused, Err(StoreError::Failed { .. })));

    menshen.store.fail_at("revoke", Some(Fault::Panics));
    menshen.store.fail_at("close_account", None);
    eventually("the account is closed in the store", async || {
        let person = menshen.store.unwatched().person(&account).await;
        person.unwrap().unwrap().closed
    })
    .await;
    let calls = menshen.store.calls("revoke");
    wait_for_panic(&menshen, "revoke", calls).await;
    for key in &keys {
        assert!(is_stored(&menshen, key).await);
    }
    menshen.store.fail_at("revoke", None);
    for key in &keys {
        eventually("the session ends in the store", async || {
            !is_stored(&menshen, key).await
        })
        .await;
    }
}

#[tokio::test]
async fn expired_records_are_deleted_after_a_panic() {
    let menshen = start().await;
    menshen.session_cookie_of("lisi").await;
    let key = session_of(&menshen, "lisi").await.key;
    menshen.clock.advance(Duration::from_secs(2 * 86_400));
    menshen.store.fail_at("delete_expired", Some(Fault::Panics));
    eventually("expired records are deleted", async || {
        wait_for_deletion().await;
        menshen.store.calls("delete_expired") > 0
    })
    .await;
    assert!(is_stored(&menshen, &key).await);
    menshen.store.fail_at("delete_expired", None);
    eventually("the expired session is deleted", async || {
        wait_for_deletion().await;
        !is_stored(&menshen, &key).await
    })
    .await;
}

/// Lets the time pass for background tasks. No request is under way.
async fn wait_for_deletion() {
    tokio::time::pause();
    tokio::time::advance(UNTIL_NEXT_DELETION).await;
    tokio::time::resume();
}

#[tokio::test]
async fn the_log_of_revocations_is_read_again_after_a_panic() {
    let menshen = start().await;
    let mut requests = Vec::new();
    for userid in ["lisi", "wangfang"] {
        let cookie = menshen.session_cookie_of(userid).await;
        requests.push(TestRequest::get("/echo").session(&cookie));
    }
    for request in &requests {
        assert_eq!(request.send_to(menshen.address).await.status, 200);
    }
    menshen
        .store
        .fail_at("revocations_after", Some(Fault::Panics));
    // A revocation of another process would not be noticed.
    for request in &requests {
        repeat_until(request, menshen.address, |answer| answer.status == 503).await;
    }
    let key = session_of(&menshen, "lisi").await.key;
    let scope = RevocationScope::Session(key);
    let revoked = menshen
        .store
        .unwatched()
        .revoke(&scope, menshen.clock.now());
    revoked.await.unwrap();
    menshen.store.fail_at("revocations_after", None);
    for (request, status) in requests.iter().zip([401, 200]) {
        repeat_until(request, menshen.address, |answer| answer.status == status).await;
    }
}
