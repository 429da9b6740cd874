//! The headers that carry tokens to applications; tokens appear nowhere else.

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
async fn only_routes_with_pass_access_token_receive_tokens() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    let answer = menshen.ask("/echo", &cookie).await;
    assert_eq!(access_token_in(&answer), access_token(1));
    assert_eq!(bearer(&answer).unwrap()["n"], 1);
    let answer = menshen.ask("/finance/echo", &cookie).await;
    assert_eq!(access_token_in(&answer), None);
    assert_eq!(bearer(&answer), None);
}

#[tokio::test]
async fn token_headers_of_a_client_are_removed() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    let without = menshen.session_cookie_with_tokens(None).await;
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
            // `Authorization` is forwarded where the route does not set it.
            let passes = name == "Authorization" && path != "/echo";
            assert_eq!(answer.text().contains("forged"), passes, "{name} {path}");
        }
    }
}

#[tokio::test]
async fn a_request_without_a_session_carries_no_token() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    assert_eq!(
        access_token_in(&menshen.ask("/public/echo", &cookie).await),
        access_token(1)
    );
    assert_eq!(
        access_token_in(&menshen.ask("/public/echo", "").await),
        None
    );
    let without = menshen.session_cookie_with_tokens(None).await;
    let answer = menshen.ask("/echo", &without).await;
    assert_eq!((access_token_in(&answer), bearer(&answer)), (None, None));
}

#[tokio::test]
async fn expired_tokens_are_not_sent() {
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Unavailable);
    menshen.advance(LIFETIME);
    let answer = menshen.ask("/echo", &cookie).await;
    assert_eq!((access_token_in(&answer), bearer(&answer)), (None, None));
}

#[tokio::test]
async fn a_token_that_is_not_a_valid_header_value_is_not_sent() {
    for bad in ["a\r\nX-Forwarded-User: root", "a b", "", "中"] {
        let menshen = TokenEnv::new().await;
        let tokens = ProviderTokens {
            access: Some(Secret::new(bad.to_owned())),
            ..menshen.provider.issue()
        };
        let cookie = menshen.session_cookie_with_tokens(Some(tokens)).await;
        let answer = menshen.ask("/echo", &cookie).await;
        assert_eq!(access_token_in(&answer), None, "{bad:?}");
        assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"]);
    }
}

#[tokio::test]
async fn no_log_and_no_page_shows_a_token() {
    let log = Records::process_log();
    let menshen = TokenEnv::new().await;
    let cookie = menshen.new_session_cookie().await;
    menshen.forwarded_access_token(&cookie).await;
    for mood in [
        ProviderMode::Good,
        ProviderMode::Unavailable,
        ProviderMode::Silent,
    ] {
        menshen.provider.set(|state| state.mood = mood);
        menshen.advance(LIFETIME);
        menshen.ask("/echo", &cookie).await;
    }
    let page = menshen.ask("/.menshen/userinfo", &cookie).await.text();
    menshen
        .provider
        .set(|state| state.mood = ProviderMode::Gone);
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
