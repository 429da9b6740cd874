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
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    let answer = menshen.ask("/echo", &cookie).await;
    assert_eq!(access(&answer), name(1));
    assert_eq!(bearer(&answer).unwrap()["n"], 1);
    let answer = menshen.ask("/finance/echo", &cookie).await;
    assert_eq!(access(&answer), None);
    assert_eq!(bearer(&answer), None);
}

#[tokio::test]
async fn a_client_never_brings_its_own() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    let without = menshen.signed_in_with(None).await;
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
            let ask = TestRequest::get(path)
                .session(cookie)
                .header(name, "Bearer forged");
            let answer = ask.send_to(menshen.menshen.address).await;
            assert_eq!(answer.status, 200, "{name} {path}");
            // Authorization is the application's own where no route writes it.
            let passes = name == "Authorization" && path != "/echo";
            assert_eq!(answer.text().contains("forged"), passes, "{name} {path}");
        }
    }
}

#[tokio::test]
async fn nobody_gets_no_token() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    assert_eq!(access(&menshen.ask("/public/echo", &cookie).await), name(1));
    assert_eq!(access(&menshen.ask("/public/echo", "").await), None);
    let without = menshen.signed_in_with(None).await;
    let answer = menshen.ask("/echo", &without).await;
    assert_eq!((access(&answer), bearer(&answer)), (None, None));
}

#[tokio::test]
async fn tokens_that_are_over_are_not_sent() {
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.provider.set(|state| state.mood = Mood::Unavailable);
    menshen.advance(LIFETIME);
    let answer = menshen.ask("/echo", &cookie).await;
    assert_eq!((access(&answer), bearer(&answer)), (None, None));
}

#[tokio::test]
async fn a_token_that_would_break_the_header_is_not_sent() {
    for bad in ["a\r\nX-Forwarded-User: root", "a b", "", "中"] {
        let menshen = TokenHouse::new().await;
        let tokens = ProviderTokens {
            access: Some(Secret::new(bad.to_owned())),
            ..menshen.provider.issue()
        };
        let cookie = menshen.signed_in_with(Some(tokens)).await;
        let answer = menshen.ask("/echo", &cookie).await;
        assert_eq!(access(&answer), None, "{bad:?}");
        assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"]);
    }
}

#[tokio::test]
async fn no_log_and_no_page_shows_a_token() {
    let log = Records::process_log();
    let menshen = TokenHouse::new().await;
    let cookie = menshen.signed_in().await;
    menshen.access(&cookie).await;
    for mood in [Mood::Good, Mood::Unavailable, Mood::Silent] {
        menshen.provider.set(|state| state.mood = mood);
        menshen.advance(LIFETIME);
        menshen.ask("/echo", &cookie).await;
    }
    let page = menshen.ask("/.menshen/userinfo", &cookie).await.text();
    menshen.provider.set(|state| state.mood = Mood::Gone);
    menshen.advance(LIFETIME);
    let refused = menshen.ask("/echo", &cookie).await.text();
    menshen.menshen.telemetry.flush();
    let all = [
        page,
        refused,
        log.text(),
        menshen.menshen.records.text(),
        menshen.menshen.telemetry.render(),
        format!("{:?}", menshen.menshen.sessions),
    ];
    for text in all {
        for secret in ["access-1", "access-2", "refresh-1", "refresh-2", "e30."] {
            assert!(!text.contains(secret), "{secret}");
        }
    }
}
