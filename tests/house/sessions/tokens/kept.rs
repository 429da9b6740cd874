//! Tokens at rest: sealed for one session, kept across a restart, gone with a key.

use menshen::keys;
use sqlx::{Connection as _, Row as _};

use super::*;
use crate::stores::TempDir;

async fn rows(dir: &TempDir) -> Vec<(Vec<u8>, String)> {
    let mut db = sqlx::SqliteConnection::connect(&dir.url()).await.unwrap();
    let rows = sqlx::query("SELECT session_key, sealed FROM session_tokens ORDER BY session_key")
        .fetch_all(&mut db)
        .await
        .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

async fn write(dir: &TempDir, key: &[u8], sealed: &str) {
    let mut db = sqlx::SqliteConnection::connect(&dir.url()).await.unwrap();
    sqlx::query("UPDATE session_tokens SET sealed = ?2 WHERE session_key = ?1")
        .bind(key)
        .bind(sealed)
        .execute(&mut db)
        .await
        .unwrap();
}

/// An instance of menshen over a file, by the keys in `keys`.
async fn start_menshen(
    dir: &TempDir,
    provider: &Arc<Provider>,
    keys: &[&Secret<String>],
) -> TokenHouse {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| format!("'{}'", key.expose()))
        .collect();
    let setup = setup()
        .store(&dir.url())
        .session(&format!("keys = [{}]", keys.join(", ")));
    TokenHouse::with(provider, setup, RefreshTimeouts::default()).await
}

#[tokio::test]
async fn tokens_survive_a_restart_and_lie_sealed_meanwhile() {
    let (dir, provider, key) = (TempDir::new(), Provider::new(), keys::generate());
    let before = start_menshen(&dir, &provider, &[&key]).await;
    let cookie = before.signed_in().await;
    assert_eq!(before.access(&cookie).await, name(1));
    before.advance(LIFETIME);
    assert_eq!(before.access(&cookie).await, name(2));
    drop(before);
    for file in std::fs::read_dir(dir.file().parent().unwrap()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("access-") && !text.contains("refresh-"));
    }
    let after = start_menshen(&dir, &provider, &[&key]).await;
    after.menshen.clock.advance(LIFETIME);
    assert_eq!(after.access(&cookie).await, name(2));
    after.advance(LIFETIME);
    assert_eq!(after.access(&cookie).await, name(3));
    assert_eq!(provider.reused(), 0);
}

#[tokio::test]
async fn what_is_sealed_for_one_session_opens_for_no_other() {
    let (dir, provider, key) = (TempDir::new(), Provider::new(), keys::generate());
    let before = start_menshen(&dir, &provider, &[&key]).await;
    let cookies = [before.signed_in().await, before.signed_in().await];
    drop(before);
    let rows = rows(&dir).await;
    write(&dir, &rows[0].0, &rows[1].1).await;
    write(&dir, &rows[1].0, &rows[0].1).await;
    let after = start_menshen(&dir, &provider, &[&key]).await;
    for cookie in cookies {
        assert_eq!(after.access(&cookie).await, None);
    }
    after.advance(LIFETIME);
    assert_eq!(provider.asked(), 0);
}

#[tokio::test]
async fn a_row_that_was_tampered_with_means_no_tokens_and_no_error() {
    let (dir, provider, key) = (TempDir::new(), Provider::new(), keys::generate());
    let before = start_menshen(&dir, &provider, &[&key]).await;
    let cookie = before.signed_in().await;
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
        assert_eq!(after.access(&cookie).await, None, "{sealed}");
        after.advance(LIFETIME);
        assert_eq!(after.access(&cookie).await, None, "{sealed}");
    }
    assert_eq!(provider.asked(), 0);
}

#[tokio::test]
async fn tokens_sealed_by_a_key_that_was_removed_are_gone_and_the_session_goes_on() {
    let (dir, provider) = (TempDir::new(), Provider::new());
    let (old, new) = (keys::generate(), keys::generate());
    let before = start_menshen(&dir, &provider, &[&old]).await;
    let cookie = before.signed_in().await;
    drop(before);
    let both = start_menshen(&dir, &provider, &[&new, &old]).await;
    let answer = both.ask("/echo", &cookie).await;
    assert_eq!(access(&answer), name(1));
    let renewed = answer.header("set-cookie").unwrap();
    let renewed = renewed.split(['=', ';']).nth(1).unwrap().to_owned();
    drop(both);
    let without = start_menshen(&dir, &provider, &[&new]).await;
    assert_eq!(without.ask("/echo", &cookie).await.status, 401);
    assert_eq!(without.access(&renewed).await, None);
}

#[tokio::test]
async fn a_crash_between_source_and_store_loses_that_session_only() {
    let (dir, provider, key) = (TempDir::new(), Provider::new(), keys::generate());
    let before = start_menshen(&dir, &provider, &[&key]).await;
    let (lost, kept) = (before.signed_in().await, before.signed_in().await);
    before.access(&lost).await;
    before.advance(LIFETIME);
    before
        .menshen
        .store
        .hold("update_tokens", crate::sessions::watched::When::Before);
    let crowd = before.crowd(1, "/echo", &lost);
    before.menshen.store.holds(1).await;
    // The source has spent the token; the store never hears of it. The next process starts over.
    let after = start_menshen(&dir, &provider, &[&key]).await;
    after.menshen.clock.advance(LIFETIME + 100 * SECOND);
    assert_eq!(after.ask("/echo", &lost).await.status, 401);
    assert_eq!(after.access(&kept).await, name(4));
    assert_eq!(provider.reused(), 1);
    crowd.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn tokens_too_large_to_be_kept_are_left_out() {
    let menshen = TokenHouse::new().await;
    let huge = ProviderTokens {
        access: Some(Secret::new("x".repeat(200_000))),
        ..menshen.provider.issue()
    };
    let cookie = menshen.signed_in_with(Some(huge)).await;
    assert_eq!(menshen.access(&cookie).await, None);
}

#[tokio::test]
async fn a_session_without_a_refresh_token_loses_its_access_token_at_the_end_and_goes_on() {
    let menshen = TokenHouse::new().await;
    let bare = ProviderTokens {
        refresh: None,
        ..menshen.provider.issue()
    };
    let cookie = menshen.signed_in_with(Some(bare)).await;
    menshen.advance(LIFETIME - SECOND);
    assert_eq!(menshen.access(&cookie).await, name(1));
    menshen.advance(SECOND);
    assert_eq!(menshen.access(&cookie).await, None);
    assert_eq!(menshen.provider.asked(), 0);
}
