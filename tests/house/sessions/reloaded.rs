//! What a reload keeps and what it ends: sessions stay, unless their key or their connector goes.

use menshen::keys;

use super::status;
use crate::asking::{Ask, signed_in, signed_in_by};
use crate::browser::Browser;
use crate::house::{HOME, Plan};
use crate::passing::guests;
use crate::wecom::OTHER_AGENT_ID;

fn with_keys(keys: &[&str]) -> Plan {
    Plan::default().session(&format!("keys = {keys:?}"))
}

#[tokio::test]
async fn keys_rotate_without_signing_anybody_out() {
    let (old, new) = (keys::generate(), keys::generate());
    let (old, new) = (old.expose().as_str(), new.expose().as_str());
    let house = with_keys(&[old]).start().await;
    let before = signed_in(&house, "zhangsan").await;
    // Somebody is on their way to the source meanwhile.
    let mut under_way = Browser::new(&house);
    let source = under_way.to_source(&format!("{HOME}/echo")).await;
    house.reload(&with_keys(&[new, old])).await.unwrap();
    let answer = Ask::get("/echo").session(&before).of(&house).await;
    assert_eq!(answer.status, 200);
    let set: Vec<_> = answer.all("set-cookie").collect();
    assert_eq!(set.len(), 1, "{set:?}");
    // No cache between may hand the cookie to the next person.
    assert_eq!(answer.header("cache-control"), Some("private, no-cache"));
    let (pair, flags) = set[0].split_once("; ").unwrap();
    assert_eq!(flags, "HttpOnly; SameSite=Lax; Path=/; Max-Age=43200");
    let after = pair.strip_prefix("menshen=").unwrap();
    assert_ne!(after, before);
    assert!(after.len() <= 300);
    let again = Ask::get("/echo").session(after).of(&house).await;
    assert_eq!(again.status, 200);
    assert_eq!(
        again.all("set-cookie").count(),
        0,
        "it was signed again once"
    );
    let back = under_way.choose(&source, "lisi").await;
    let page = under_way.follow(&back).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    // A stranger's forged cookie is not signed by anybody.
    let stranger = Ask::get("/echo")
        .session(&format!("{before}x"))
        .of(&house)
        .await;
    assert_eq!(
        (stranger.status, stranger.all("set-cookie").count()),
        (401, 0)
    );
    house.reload(&with_keys(&[new])).await.unwrap();
    assert_eq!(status(&house, &before).await, 401, "its key is gone");
    assert_eq!(status(&house, after).await, 200);
}

#[tokio::test]
async fn a_session_signed_again_ends_when_it_would_have() {
    let (old, new) = (keys::generate(), keys::generate());
    let (old, new) = (old.expose().as_str(), new.expose().as_str());
    let house = with_keys(&[old]).start().await;
    let before = signed_in(&house, "zhangsan").await;
    house.reload(&with_keys(&[new, old])).await.unwrap();
    house.advance(super::HOUR);
    let answer = Ask::get("/echo").session(&before).of(&house).await;
    let line = answer.header("set-cookie").unwrap();
    assert!(line.ends_with("Max-Age=39600"), "{line}");
    let after = line.split(['=', ';']).nth(1).unwrap().to_owned();
    for _ in 0..10 {
        house.advance(super::HOUR);
        assert_eq!(status(&house, &after).await, 200);
    }
    house.advance(super::HOUR);
    assert_eq!(status(&house, &after).await, 401);
}

#[tokio::test]
async fn keys_that_are_replaced_at_once_end_every_session() {
    let (old, new) = (keys::generate(), keys::generate());
    let house = with_keys(&[old.expose()]).start().await;
    let cookie = signed_in(&house, "zhangsan").await;
    assert_eq!(status(&house, &cookie).await, 200);
    house.reload(&with_keys(&[new.expose()])).await.unwrap();
    assert_eq!(status(&house, &cookie).await, 401);
}

#[tokio::test]
async fn a_reload_keeps_sessions_and_a_refused_one_changes_nothing() {
    let house = Plan::default().start().await;
    let cookie = signed_in(&house, "lisi").await;
    let closed = "[[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{app}']\n\
                  allow = \"'人事部' in user.departments\"\n";
    let plan = Plan::default();
    house.reload(&plan).await.unwrap();
    assert_eq!(status(&house, &cookie).await, 200);
    let broken = Plan::default().routes("[[route]]\nname = 'x'\nallow = '('\n");
    assert!(house.reload(&broken).await.is_err());
    assert_eq!(status(&house, &cookie).await, 200);
    // The rules of the new configuration count at once.
    house.reload(&Plan::default().routes(closed)).await.unwrap();
    assert_eq!(status(&house, &cookie).await, 403);
    house.reload(&plan).await.unwrap();
    assert_eq!(status(&house, &cookie).await, 200);
}

#[tokio::test]
async fn a_shorter_idle_timeout_counts_for_those_who_are_here() {
    let house = Plan::default().start().await;
    let cookie = signed_in(&house, "zhangsan").await;
    assert_eq!(status(&house, &cookie).await, 200);
    let strict = Plan::default().session("idle_timeout = \"10m\"");
    house.reload(&strict).await.unwrap();
    house.advance(super::HOUR / 4);
    assert_eq!(status(&house, &cookie).await, 401);
}

#[tokio::test]
async fn a_connector_that_is_removed_takes_its_sessions_along() {
    let both = Plan::default().more(&guests());
    let house = both.clone().start().await;
    house.source.domains_of_agent(OTHER_AGENT_ID, &["sso.test"]);
    let start = "/.menshen/start?connector=guests&rd=%2Fecho";
    let guest = signed_in_by(&house, start, "zhangsan").await;
    let member = signed_in(&house, "zhangsan").await;
    assert_eq!(status(&house, &guest).await, 200);
    house.reload(&Plan::default()).await.unwrap();
    assert_eq!(status(&house, &guest).await, 401);
    assert_eq!(status(&house, &member).await, 200);
    // It is nobody on the own paths, too, and on public routes.
    let userinfo = Ask::get("/.menshen/userinfo").session(&guest);
    assert_eq!(userinfo.of(&house).await.status, 401);
    let public = Ask::get("/public").session(&guest).of(&house).await;
    assert_eq!(public.status, 200);
    assert!(!public.text().contains("guest-zhangsan"));
}
