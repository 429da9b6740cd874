//! Which header carries a token, and to whom; and that nothing else does.

use super::*;
use crate::records::Records;

fn bearer(answer: &Answer) -> Option<serde_json::Value> {
    let mut values = answer.echoed("authorization");
    assert!(values.len() < 2, "{values:?}");
    let token = values.pop()?.strip_prefix("Bearer ")?.to_owned();
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&claims).ok()
}

#[tokio::test]
async fn a_route_that_asks_gets_the_tokens_and_another_gets_none() {
    let house = TokenHouse::new().await;
    let cookie = house.signed_in().await;
    let answer = house.ask("/echo", &cookie).await;
    assert_eq!(access(&answer), name(1));
    assert_eq!(bearer(&answer).unwrap()["n"], 1);
    let answer = house.ask("/finance/echo", &cookie).await;
    assert_eq!(access(&answer), None);
    assert_eq!(bearer(&answer), None);
}

#[tokio::test]
async fn a_client_never_brings_its_own() {
    let house = TokenHouse::new().await;
    let cookie = house.signed_in().await;
    let without = house.signed_in_with(None).await;
    let names = [
        "X-Forwarded-Access-Token",
        "x_forwarded_access_token",
        "X-Forwarded_Access-Token",
        "Authorization",
    ];
    for name in names {
        for (path, cookie) in [
            ("/echo", cookie.as_str()),
            ("/echo", &without),
            ("/finance/echo", &cookie),
            ("/public/echo", &without),
            ("/public/echo", ""),
        ] {
            let ask = Ask::get(path).session(cookie).header(name, "Bearer forged");
            let answer = ask.at(house.house.address).await;
            assert_eq!(answer.status, 200, "{name} {path}");
            // Authorization is the application's own where no route writes it.
            let passes = name == "Authorization" && path != "/echo";
            assert_eq!(answer.text().contains("forged"), passes, "{name} {path}");
        }
    }
}

#[tokio::test]
async fn nobody_gets_no_token() {
    let house = TokenHouse::new().await;
    let cookie = house.signed_in().await;
    assert_eq!(access(&house.ask("/public/echo", &cookie).await), name(1));
    assert_eq!(access(&house.ask("/public/echo", "").await), None);
    let without = house.signed_in_with(None).await;
    let answer = house.ask("/echo", &without).await;
    assert_eq!((access(&answer), bearer(&answer)), (None, None));
}

#[tokio::test]
async fn tokens_that_are_over_are_not_sent() {
    let house = TokenHouse::new().await;
    let cookie = house.signed_in().await;
    house.provider.set(|state| state.mood = Mood::Unavailable);
    house.advance(LIFETIME);
    let answer = house.ask("/echo", &cookie).await;
    assert_eq!((access(&answer), bearer(&answer)), (None, None));
}

#[tokio::test]
async fn a_token_that_would_break_the_header_is_not_sent() {
    for bad in ["a\r\nX-Forwarded-User: root", "a b", "", "中"] {
        let house = TokenHouse::new().await;
        let tokens = Tokens {
            access: Some(Secret::new(bad.to_owned())),
            ..house.provider.issue()
        };
        let cookie = house.signed_in_with(Some(tokens)).await;
        let answer = house.ask("/echo", &cookie).await;
        assert_eq!(access(&answer), None, "{bad:?}");
        assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"]);
    }
}

#[tokio::test]
async fn no_log_and_no_page_shows_a_token() {
    let log = Records::of_the_log();
    let house = TokenHouse::new().await;
    let cookie = house.signed_in().await;
    house.access(&cookie).await;
    for mood in [Mood::Good, Mood::Unavailable, Mood::Silent] {
        house.provider.set(|state| state.mood = mood);
        house.advance(LIFETIME);
        house.ask("/echo", &cookie).await;
    }
    let page = house.ask("/.menshen/userinfo", &cookie).await.text();
    house.provider.set(|state| state.mood = Mood::Gone);
    house.advance(LIFETIME);
    let refused = house.ask("/echo", &cookie).await.text();
    house.house.telemetry.flush();
    let all = [
        page,
        refused,
        log.text(),
        house.house.records.text(),
        house.house.telemetry.render(),
        format!("{:?}", house.house.sessions),
    ];
    for text in all {
        for secret in ["access-1", "access-2", "refresh-1", "refresh-2", "e30."] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
}
