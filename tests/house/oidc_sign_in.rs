//! The spine of OpenID Connect: a stranger comes, is proved at the issuer, and reaches the
//! application.

use menshen::face::page::Cause;

use crate::browser::Browser;
use crate::provider::{CLIENT_ID, Provider, start};

#[tokio::test]
async fn a_stranger_signs_in_with_openid_connect_and_reaches_what_they_asked_for() {
    let provider = Provider::new().await;
    let house = provider.plan("").start().await;
    assert_eq!(provider.calls("discovery"), 0, "start-up asks nobody");
    let mut browser = Browser::new(&house);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    for (header, value) in [
        ("x-forwarded-user", "zhangsan"),
        ("x-forwarded-name", "%E5%BC%A0%E4%B8%89"),
        ("x-forwarded-email", "zhangsan@corp.example"),
        (
            "x-forwarded-groups",
            "%E8%B4%A2%E5%8A%A1%E9%83%A8,%E5%B9%B3%E5%8F%B0%E9%83%A8",
        ),
    ] {
        assert_eq!(page.answer.echoed(header), [value], "{header}");
    }
    let asked = provider.last("authorize");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(asked.one(name), Some(value), "{name}");
    }
    assert!(asked.one("nonce").is_some() && asked.one("response_mode").is_none());
    let log = house.records.text();
    for secret in provider.secrets() {
        assert!(!log.contains(&secret), "the log says {secret}");
    }
}

#[tokio::test]
async fn nobody_signs_in_while_the_issuer_is_away_and_everybody_again_when_it_is_back() {
    let provider = Provider::new().await;
    provider.down();
    let house = provider.plan("").start().await;
    let mut browser = Browser::new(&house);
    let page = browser.follow(&start("keycloak")).await;
    assert_eq!(page.cause(), Some(Cause::SourceUnreachable));
    let audit = house.audit();
    let refused = audit.iter().any(|entry| {
        entry["event"] == "refused" && entry["error"].to_string().contains("ask the issuer")
    });
    assert!(refused, "{audit:?}");
    provider.up();
    house.advance(std::time::Duration::from_secs(3));
    let page = provider.sign_in(&mut browser, "keycloak", "lisi").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}
