//! Stored tokens: encrypted for one session, valid after a restart, lost with their key.

use menshen::keys;
use sqlx::{Connection as _, Row as _};

use super::*;
use crate::stores::TempDir;

async fn rows(dir: &TempDir) -> Vec<(Vec<u8>, String)> {
    let mut db = sqlx::SqliteConnection::connect(&dir.url()).await.unwrap();
    let rows =
        sqlx::query("SELECT session_key, sealed FROM menshen_session_tokens ORDER BY session_key")
            .fetch_all(&mut db)
            .await
            .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn write(dir: &TempDir, key: &[u8], sealed: &str) {
    let mut db = sqlx::SqliteConnection::connect(&dir.url()).await.unwrap();
    sqlx::query("UPDATE menshen_session_tokens SET sealed = ?2 WHERE session_key = ?1")
        .bind(key)
        .bind(sealed)
        .execute(&mut db)
        .await
        .unwrap();
}

/// An instance of menshen with this store file and these session keys.
async fn start_menshen(
    dir: &TempDir,
    provider: &Arc<Provider>,
    keys: &[&Secret<String>],
) -> TokenEnv {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| format!("'{}'", key.expose()))
        .collect();
    let setup = setup()
        .store(&dir.url())
        .session(&format!("keys = [{}]", keys.join(", ")));
    TokenEnv::with(provider, setup, RefreshTimeouts::default()).await
}

#[tokio::test]
async fn tokens_survive_a_restart_and_are_stored_encrypted() {
    let (dir, provider, key) = (TempDir::new(), Provider::new(), keys::generate());
    let before = start_menshen(&dir, &provider, &[&key]).await;
    let cookie = before.new_session_cookie().await;
    assert_eq!(
        before.forwarded_access_token(&cookie).await,
        access_token(1)
    );
    before.advance(LIFETIME);
    assert_eq!(
        before.forwarded_access_token(&cookie).await,
        access_token(2)
    );
    drop(before);
    for file in std::fs::read_dir(dir.file().parent().unwrap()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("access-") && !text.contains("refresh-"));
    }
    let after = start_menshen(&dir, &provider, &[&key]).await;
    after.menshen.clock.advance(LIFETIME);
    assert_eq!(after.forwarded_access_token(&cookie).await, access_token(2));
    after.advance(LIFETIME);
    assert_eq!(after.forwarded_access_token(&cookie).await, access_token(3));
    assert_eq!(provider.reused_refresh_tokens(), 0);
}

#[tokio::test]
async fn sealed_tokens_of_one_session_are_invalid_for_another() {
    let (dir, provider, key) = (TempDir::new(), Provider::new(), keys::generate());
    let before = start_menshen(&dir, &provider, &[&key]).await;
    let cookies = [
        before.new_session_cookie().await,
        before.new_session_cookie().await,
    ];
    drop(before);
    let rows = rows(&dir).await;
    write(&dir, &rows[0].0, &rows[1].1).await;
    write(&dir, &rows[1].0, &rows[0].1).await;
    let after = start_menshen(&dir, &provider, &[&key]).await;
    for cookie in cookies {
        assert_eq!(after.forwarded_access_token(&cookie).await, None);
    }
    after.advance(LIFETIME);
    assert_eq!(provider.refreshes(), 0);
}

#[tokio::test]
async fn a_tampered_row_yields_no_tokens_and_no_error() {
    let (dir, provider, key) = (TempDir::new(), Provider::new(), keys::generate());
    let before = start_menshen(&dir, &provider, &[&key]).await;
    let cookie = before.new_session_cookie().await;
    drop(before);
    let (session, good) = rows(&dir).await.remove(0);
    let last = if good.ends_with('A') { "B" } else { "A" };
    let ring = KeyRing::new(&[keys::generate()], None).unwrap();
    let foreign = ring.seal(keys::Purpose::Tokens, &session, br#"{"received_at":0}"#);
    let ring = KeyRing::new(std::slice::from_ref(&key), None).unwrap();
    let other_purpose = ring.seal(keys::Purpose::Ticket, &session, br#"{"received_at":0}"#);
    let no_tokens = ring.seal(keys::Purpose::Tokens, &session, b"[]");
    let tampered = [
        format!("{}{last}", &good[..good.len() - 1]),
        good[..good.len() / 2].to_owned(),
        String::new(),
        "%%%".to_owned(),
        foreign,
        other_purpose,
        no_tokens,
    ];
    for sealed in tampered {
        write(&dir, &session, &sealed).await;
        let after = start_menshen(&dir, &provider, &[&key]).await;
        assert_eq!(
            after.forwarded_access_token(&cookie).await,
            None,
            "{sealed}"
        );
        after.advance(LIFETIME);
        assert_eq!(
            after.forwarded_access_token(&cookie).await,
            None,
            "{sealed}"
        );
    }
    assert_eq!(provider.refreshes(), 0);
}

#[tokio::test]
async fn tokens_sealed_with_a_removed_key_are_lost_and_the_session_stays() {
    let (dir, provider) = (TempDir::new(), Provider::new());
    let (old, new) = (keys::generate(), keys::generate());
    let before = start_menshen(&dir, &provider, &[&old]).await;
    let cookie = before.new_session_cookie().await;
    drop(before);
    let both = start_menshen(&dir, &provider, &[&new, &old]).await;
    let answer = both.ask("/echo", &cookie).await;
    assert_eq!(access_token_in(&answer), access_token(1));
    let renewed = answer.header("set-cookie").unwrap();
    let renewed = renewed.split(['=', ';']).nth(1).unwrap().to_owned();
    drop(both);
    let without = start_menshen(&dir, &provider, &[&new]).await;
    assert_eq!(without.ask("/echo", &cookie).await.status, 401);
    assert_eq!(without.forwarded_access_token(&renewed).await, None);
}

#[tokio::test]
async fn a_crash_between_refresh_and_store_write_ends_that_session_only() {
    let (dir, provider, key) = (TempDir::new(), Provider::new(), keys::generate());
    let before = start_menshen(&dir, &provider, &[&key]).await;
    let (lost, kept) = (
        before.new_session_cookie().await,
        before.new_session_cookie().await,
    );
    before.forwarded_access_token(&lost).await;
    before.advance(LIFETIME);
    before
        .menshen
        .store
        .block("update_tokens", crate::sessions::watched::When::Before);
    let requests = before.concurrent_requests(1, "/echo", &lost);
    before.menshen.store.wait_until_blocked(1).await;
    // The provider has used up the refresh token, and the store has no new one. The next process refreshes
    // again after the lease of the first process has expired.
    let after = start_menshen(&dir, &provider, &[&key]).await;
    after.menshen.clock.advance(LIFETIME + 100 * SECOND);
    assert_eq!(after.ask("/echo", &lost).await.status, 401);
    assert_eq!(after.forwarded_access_token(&kept).await, access_token(4));
    assert_eq!(provider.reused_refresh_tokens(), 1);
    requests.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn tokens_over_the_size_limit_are_not_stored() {
    let menshen = TokenEnv::new().await;
    let huge = ProviderTokens {
        access: Some(Secret::new("x".repeat(200_000))),
        ..menshen.provider.issue()
    };
    let cookie = menshen.session_cookie_with_tokens(Some(huge)).await;
    assert_eq!(menshen.forwarded_access_token(&cookie).await, None);
}

#[tokio::test]
async fn a_session_without_a_refresh_token_outlives_its_access_token() {
    let menshen = TokenEnv::new().await;
    let bare = ProviderTokens {
        refresh: None,
        ..menshen.provider.issue()
    };
    let cookie = menshen.session_cookie_with_tokens(Some(bare)).await;
    menshen.advance(LIFETIME - SECOND);
    assert_eq!(
        menshen.forwarded_access_token(&cookie).await,
        access_token(1)
    );
    menshen.advance(SECOND);
    assert_eq!(menshen.forwarded_access_token(&cookie).await, None);
    assert_eq!(menshen.provider.refreshes(), 0);
}
