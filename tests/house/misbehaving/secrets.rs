//! Whatever a provider answers, no page and no log line contains a code, a token, a nonce, a verifier
//! or a secret.

use serde_json::json;

use crate::browser::Browser;
use crate::logging_in::query_parameter;
use crate::provider::{CLIENT_SECRET, EndpointFault, Misbehavior, Provider};
use crate::records::Records;

#[tokio::test]
async fn no_secret_appears_in_pages_or_logs_whatever_the_provider_does() {
    let log = Records::process_log();
    let provider = Provider::new().await;
    provider.set(|settings| settings.access_token_is_jwt = true);
    let menshen = provider.setup("").access_log().start().await;
    let mut pages = Vec::new();
    let mut cookies = Vec::new();
    for round in 0..12 {
        let mut browser = Browser::new(&menshen);
        let back = provider
            .callback_url(&mut browser, "keycloak", "zhangsan")
            .await;
        let code = query_parameter(&back, "code").expect("a code");
        if let Some(misbehavior) = misbehavior(round, &code) {
            provider.misbehave(misbehavior);
        }
        let page = browser.follow(&back).await;
        let succeeds = round == 0;
        assert_eq!(
            page.answer.status == 200,
            succeeds,
            "{round}: {}",
            page.answer.text()
        );
        cookies.extend(browser.cookie("menshen").map(|cookie| cookie.value.clone()));
        pages.push(page.answer.text());
        provider.behave();
        menshen.advance(std::time::Duration::from_secs(3));
    }
    menshen.audit();
    let logs = [menshen.records.text(), log.text()];
    assert!(
        logs[1].contains("hyper"),
        "the process log has lines of libraries, too"
    );
    assert!(logs[0].contains("menshen::access") && logs[0].contains("/callback/keycloak"));
    let mut hidden = provider.secrets();
    hidden.extend(cookies);
    assert!(
        hidden.len() > 40,
        "every round has a code, a nonce, a verifier and tokens"
    );
    for secret in &hidden {
        for text in logs.iter().chain(&pages) {
            assert!(
                !text.contains(secret),
                "{secret} appears in a page or a log"
            );
        }
    }
}

/// The misbehavior of a round; none in the first.
fn misbehavior(round: usize, code: &str) -> Option<Misbehavior> {
    // The provider repeats a secret that it received.
    let error_with_secrets = |endpoint, status: u16| {
        let description = format!("{code} {CLIENT_SECRET}");
        let body = json!({ "error": "invalid_client", "error_description": description });
        Misbehavior::Fault(endpoint, EndpointFault::Json(status, body.to_string()))
    };
    Some(match round {
        0 => return None,
        1 => error_with_secrets("token", 400),
        2 => error_with_secrets("userinfo", 401),
        3 => Misbehavior::claims(|claims| {
            claims["nonce"] = format!("{}x", claims["nonce"].as_str().unwrap()).into();
        }),
        4 => Misbehavior::token_header(|head| head["kid"] = "ghost".into()),
        5 => Misbehavior::Fault("token", EndpointFault::Html),
        6 => Misbehavior::Fault("userinfo", EndpointFault::Disconnect),
        7 => Misbehavior::json("token", |response| response["token_type"] = 7.into()),
        8 => Misbehavior::json("userinfo", |claims| claims["sub"] = "x".into()),
        9 => Misbehavior::token(|claims, key| format!("{}x", key.sign(claims, &json!({})))),
        10 => Misbehavior::Fault("token", EndpointFault::Redirect(307)),
        _ => Misbehavior::Fault("token", EndpointFault::Endless),
    })
}
