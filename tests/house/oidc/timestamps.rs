//! Times from a provider that no clock shows: they are refused or bounded, and menshen goes on.

use serde_json::{Value, json};

use super::*;
use crate::logging_in::OWN_PAGES;
use crate::setup::{NO_LOGIN_LIMITS, Setup};

/// The default of `[session] lifetime`, in seconds.
const LIFETIME_S: i64 = 43_200;

/// Times after 2038, out of the range of 64 bits, before 1970, and no times at all.
fn times() -> [Value; 9] {
    [
        json!(2_147_483_648_i64),
        json!(253_402_300_800_i64),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(-1),
        json!(i64::MIN),
        json!(-1e300),
        json!("tomorrow"),
    ]
}

async fn start(provider: &Provider, mapping: &str) -> Menshen {
    let tables = format!(
        "{}[connector.keycloak.mapping]\n{mapping}\n{NO_LOGIN_LIMITS}",
        provider.toml("keycloak")
    );
    Setup::default()
        .clock(provider.clock())
        .tables(&tables)
        .start()
        .await
}

/// For how many seconds the person stays signed in; `None` if they are not.
async fn signed_in_for(browser: &mut Browser) -> Option<i64> {
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await;
    (info.status == 200).then(|| info.json()["expires_in"].as_i64().unwrap())
}

#[tokio::test]
async fn a_strange_time_in_the_profile_neither_prevents_nor_prolongs_a_session() {
    let provider = Provider::new().await;
    let menshen = start(&provider, "updated = 'profile.updated_at'").await;
    for claim in ["updated_at", "auth_time"] {
        for time in times() {
            provider.person("lisi").claim(claim, time.clone());
            let (mut browser, page) = sign_in(&provider, &menshen, "lisi").await;
            assert_signed_in_as(&page, "lisi");
            let expires_in = signed_in_for(&mut browser).await;
            assert_eq!(expires_in, Some(LIFETIME_S), "{claim}: {time}");
        }
        provider.person("lisi").claim(claim, Value::Null);
    }
}

#[tokio::test]
async fn a_session_ends_no_later_than_its_lifetime_whatever_end_the_provider_names() {
    let provider = Provider::new().await;
    let menshen = start(&provider, "session_expires = 'profile.until'").await;
    let now_s = provider.clock().now().unix_s();
    for (until, expected) in [
        (json!(now_s + 600), Some(600)),
        (json!(2_147_483_648_i64), Some(LIFETIME_S)),
        (json!(i64::MAX), Some(LIFETIME_S)),
        (json!(i64::MAX.to_string()), Some(LIFETIME_S)),
        (json!(1e300), Some(LIFETIME_S)),
        (json!(0), None),
        (json!(-1), None),
        (json!(i64::MIN), None),
        (json!(i64::MIN.to_string()), None),
        (json!(-1e300), None),
    ] {
        provider.person("lisi").claim("until", until.clone());
        let (mut browser, _) = sign_in(&provider, &menshen, "lisi").await;
        let expires_in = signed_in_for(&mut browser).await;
        assert_eq!(expires_in, expected, "{until}");
        // Others sign in as before.
        let (mut other, _) = sign_in(&provider, &menshen, "wangfang").await;
        assert!(signed_in_for(&mut other).await.is_some(), "{until}");
    }
}
