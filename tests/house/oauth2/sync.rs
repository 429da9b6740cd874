//! `sync`: later logins update the profile, or the profile of the first login is kept.

use serde_json::{Value, json};

use super::provider::Provider;
use super::{account_id, log_in_with};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]

[[route]]
name = "ops"
host = "sso.test"
path = "/ops"
upstream = ["{app}"]
allow = "'ops' in user.groups"
"#;

fn person(login: &str, groups: Value) -> Value {
    json!({ "id": 7, "login": login, "name": login, "email": "z@corp.example", "groups": groups })
}

async fn start_menshen(provider: &Provider, connector: &str) -> Menshen {
    let tables = provider.connector_toml("gh", connector, "");
    let setup = Setup::default().routes(ROUTES);
    setup
        .tables(&format!("{tables}{NO_LOGIN_LIMITS}"))
        .start()
        .await
}

async fn may_open_ops(browser: &mut Browser) -> bool {
    browser.visit(&format!("{SSO_URL}/ops")).await.status == 200
}

#[tokio::test]
async fn a_later_login_updates_the_profile() {
    for setting in ["", "sync = true"] {
        let provider = Provider::start().await;
        let menshen = start_menshen(&provider, setting).await;
        provider.person(person("zhangsan", json!(["ops"])));
        let (mut before, _) = log_in_with(&menshen, "gh").await;
        assert!(may_open_ops(&mut before).await);
        provider.person(person("zhang", json!([])));
        let (mut after, page) = log_in_with(&menshen, "gh").await;
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhang"]);
        // The older session of the same person changes at once.
        assert!(!may_open_ops(&mut after).await && !may_open_ops(&mut before).await);
    }
}

#[tokio::test]
async fn without_sync_the_profile_of_the_first_login_is_kept() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "sync = false").await;
    provider.person(person("zhangsan", json!(["ops"])));
    let (mut before, _) = log_in_with(&menshen, "gh").await;
    assert!(may_open_ops(&mut before).await);
    provider.person(person("zhang", json!(["other"])));
    let (mut after, page) = log_in_with(&menshen, "gh").await;
    assert_eq!(account_id(&mut after).await, account_id(&mut before).await);
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(page.answer.echoed("x-forwarded-groups"), ["ops"]);
    assert!(may_open_ops(&mut after).await && may_open_ops(&mut before).await);
    let info = after.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(
        (&info["login"], &info["name"]),
        (&json!("zhangsan"), &json!("zhangsan"))
    );
    // A new account gets its profile.
    provider.person(json!({ "id": 8, "login": "lisi", "groups": [] }));
    let (mut new, _) = log_in_with(&menshen, "gh").await;
    assert!(!may_open_ops(&mut new).await);
    // With `sync` enabled again, the next login updates the profile.
    let tables = provider.connector_toml("gh", "", "");
    let setup = Setup::default()
        .routes(ROUTES)
        .tables(&format!("{tables}{NO_LOGIN_LIMITS}"));
    menshen.reload(&setup).await.unwrap();
    provider.person(person("zhang", json!(["other"])));
    let (mut synced, page) = log_in_with(&menshen, "gh").await;
    assert_eq!(page.answer.echoed("x-forwarded-groups"), ["other"]);
    assert!(!may_open_ops(&mut synced).await && !may_open_ops(&mut before).await);
}
