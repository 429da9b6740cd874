//! Sessions survive a reload unless their key or their connector is removed.

use menshen::keys;

use super::status;
use crate::browser::Browser;
use crate::passing::guest_connector;
use crate::setup::{SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_after, session_cookie_of};
use crate::wecom::OTHER_AGENT_ID;

fn with_keys(keys: &[&str]) -> Setup {
    Setup::default().session(&format!("keys = {keys:?}"))
}

#[tokio::test]
async fn a_key_rotation_ends_no_session() {
    let (old, new) = (keys::generate(), keys::generate());
    let (old, new) = (old.expose().as_str(), new.expose().as_str());
    let menshen = with_keys(&[old]).start().await;
    let before = session_cookie_of(&menshen, "zhangsan").await;
    // A login is in progress during the reload.
    let mut under_way = Browser::new(&menshen);
    let source = under_way.open_login_page(&format!("{SSO_URL}/echo")).await;
    menshen.reload(&with_keys(&[new, old])).await.unwrap();
    let answer = TestRequest::get("/echo")
        .session(&before)
        .send(&menshen)
        .await;
    assert_eq!(answer.status, 200);
    let set: Vec<_> = answer.header_values("set-cookie").collect();
    assert_eq!(set.len(), 1, "{set:?}");
    // A shared cache must not store the cookie.
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    let (pair, flags) = set[0].split_once("; ").unwrap();
    assert_eq!(flags, "HttpOnly; SameSite=Lax; Path=/; Max-Age=43200");
    let after = pair.strip_prefix("menshen=").unwrap();
    assert_ne!(after, before);
    assert!(after.len() <= 300);
    let again = TestRequest::get("/echo")
        .session(after)
        .send(&menshen)
        .await;
    assert_eq!(again.status, 200);
    assert_eq!(
        again.header_values("set-cookie").count(),
        0,
        "the cookie is signed again only once"
    );
    let back = under_way.choose_person(&source, "lisi").await;
    let page = under_way.follow(&back).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    // A forged cookie is not signed again.
    let stranger = TestRequest::get("/echo")
        .session(&format!("{before}x"))
        .send(&menshen)
        .await;
    assert_eq!(
        (
            stranger.status,
            stranger.header_values("set-cookie").count()
        ),
        (401, 0)
    );
    menshen.reload(&with_keys(&[new])).await.unwrap();
    assert_eq!(status(&menshen, &before).await, 401, "its key is removed");
    assert_eq!(status(&menshen, after).await, 200);
}

#[tokio::test]
async fn a_new_signature_does_not_extend_a_session() {
    let (old, new) = (keys::generate(), keys::generate());
    let (old, new) = (old.expose().as_str(), new.expose().as_str());
    let menshen = with_keys(&[old]).start().await;
    let before = session_cookie_of(&menshen, "zhangsan").await;
    menshen.reload(&with_keys(&[new, old])).await.unwrap();
    menshen.advance(super::HOUR);
    let answer = TestRequest::get("/echo")
        .session(&before)
        .send(&menshen)
        .await;
    let line = answer.header("set-cookie").unwrap();
    assert!(line.ends_with("Max-Age=39600"), "{line}");
    let after = line.split(['=', ';']).nth(1).unwrap().to_owned();
    for _ in 0..10 {
        menshen.advance(super::HOUR);
        assert_eq!(status(&menshen, &after).await, 200);
    }
    menshen.advance(super::HOUR);
    assert_eq!(status(&menshen, &after).await, 401);
}

#[tokio::test]
async fn keys_that_are_replaced_at_once_end_every_session() {
    let (old, new) = (keys::generate(), keys::generate());
    let menshen = with_keys(&[old.expose()]).start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, &cookie).await, 200);
    menshen.reload(&with_keys(&[new.expose()])).await.unwrap();
    assert_eq!(status(&menshen, &cookie).await, 401);
}

#[tokio::test]
async fn a_reload_keeps_sessions_and_a_failed_reload_changes_nothing() {
    let menshen = Setup::default().start().await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    let closed = "[[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{app}']\n\
                  allow = \"'人事部' in user.departments\"\n";
    let setup = Setup::default();
    menshen.reload(&setup).await.unwrap();
    assert_eq!(status(&menshen, &cookie).await, 200);
    let broken = Setup::default().routes("[[route]]\nname = 'x'\nallow = '('\n");
    assert!(menshen.reload(&broken).await.is_err());
    assert_eq!(status(&menshen, &cookie).await, 200);
    // The rules of the new configuration apply at once.
    menshen
        .reload(&Setup::default().routes(closed))
        .await
        .unwrap();
    assert_eq!(status(&menshen, &cookie).await, 403);
    menshen.reload(&setup).await.unwrap();
    assert_eq!(status(&menshen, &cookie).await, 200);
}

#[tokio::test]
async fn a_shorter_idle_timeout_applies_to_existing_sessions() {
    let menshen = Setup::default().start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, &cookie).await, 200);
    let strict = Setup::default().session("idle_timeout = \"10m\"");
    menshen.reload(&strict).await.unwrap();
    menshen.advance(super::HOUR / 4);
    assert_eq!(status(&menshen, &cookie).await, 401);
}

#[tokio::test]
async fn a_removed_connector_ends_its_sessions() {
    let both = Setup::default().tables(&guest_connector());
    let menshen = both.clone().start().await;
    menshen
        .wecom
        .set_agent_domains(OTHER_AGENT_ID, &["sso.test"]);
    let start = "/.menshen/start?connector=guests&rd=%2Fecho";
    let guest = session_cookie_after(&menshen, start, "zhangsan").await;
    let member = session_cookie_of(&menshen, "zhangsan").await;
    assert_eq!(status(&menshen, &guest).await, 200);
    menshen.reload(&Setup::default()).await.unwrap();
    assert_eq!(status(&menshen, &guest).await, 401);
    assert_eq!(status(&menshen, &member).await, 200);
    // The session is not accepted on own paths and public routes, either.
    let userinfo = TestRequest::get("/.menshen/userinfo").session(&guest);
    assert_eq!(userinfo.send(&menshen).await.status, 401);
    let public = TestRequest::get("/public")
        .session(&guest)
        .send(&menshen)
        .await;
    assert_eq!(public.status, 200);
    assert!(!public.text().contains("guest-zhangsan"));
}
