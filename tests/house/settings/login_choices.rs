//! The connector to which people are redirected who are not signed in, and the order of the sign-in page.

use super::*;

const SIGN_IN: &str = "http://sso.test/.menshen/sign_in";

fn oidc() -> Value {
    json!({ "oidc": { "issuer": "https://id.corp.example", "client_id": "a" } })
}

async fn site_with_three() -> ManagedSite {
    let site = ManagedSite::start().await;
    for id in ["aaa", "bbb"] {
        site.put(id, &oidc()).await;
    }
    site.put("corp", &site.wecom_table()).await;
    site
}

async fn set(site: &ManagedSite, choices: Value) -> Answer {
    site.api("PUT", "/api/login", &choices).await
}

/// The connectors on the sign-in page, in its order.
async fn shown(site: &ManagedSite) -> Vec<String> {
    let page = site.browser().visit(SIGN_IN).await.text();
    let ids = page.split("connector=").skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_lowercase()).unwrap();
        rest[..end].to_owned()
    });
    ids.collect()
}

async fn where_strangers_go(site: &ManagedSite) -> String {
    let mut browser = site.browser();
    let page = browser
        .follow_until(&format!("{SSO_URL}/echo"), |next| {
            !next.contains("sso.test/")
        })
        .await;
    page.url
}

#[tokio::test]
async fn strangers_are_led_to_the_default_and_the_page_shows_it_first() {
    let site = site_with_three().await;
    assert_eq!(shown(&site).await, ["aaa", "bbb", "corp"]);
    assert!(where_strangers_go(&site).await.contains("/sign_in"));
    let answer = set(&site, json!({ "default": "corp" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["default"], "corp");
    let login_url = site.wecom.login_url();
    assert!(where_strangers_go(&site).await.starts_with(&login_url));
    assert_eq!(shown(&site).await, ["corp", "aaa", "bbb"]);
    assert!(signs_in(site.browser()).await);

    // Disabled, it leads nowhere; enabled again, it counts as before.
    let path = "/api/connectors/corp/disable";
    site.api("POST", path, &Value::Null).await;
    assert!(where_strangers_go(&site).await.contains("/sign_in"));
    let path = "/api/connectors/corp/enable";
    site.api("POST", path, &Value::Null).await;
    assert!(where_strangers_go(&site).await.starts_with(&login_url));

    let answer = set(&site, json!({ "default": null })).await;
    assert_eq!(answer.json()["default"], Value::Null);
    assert!(where_strangers_go(&site).await.contains("/sign_in"));
}

#[tokio::test]
async fn strangers_of_a_route_that_does_not_take_the_default_choose() {
    let site = site_with_three().await;
    set(&site, json!({ "default": "corp" })).await;
    let route = format!(
        "[[route]]\nname = \"other\"\nhost = \"sso.test\"\npath = \"/other\"\n\
         connectors = [\"aaa\", \"bbb\"]\nupstream = [\"{}\"]\n",
        site.app.base_url()
    );
    site.reload(&route).await.unwrap();
    let mut browser = site.browser();
    let page = browser.follow(&format!("{SSO_URL}/other")).await;
    assert!(page.url.contains("/sign_in"), "{}", page.url);
    let login_url = site.wecom.login_url();
    assert!(where_strangers_go(&site).await.starts_with(&login_url));
}

#[tokio::test]
async fn the_order_is_that_of_the_sign_in_page() {
    let site = site_with_three().await;
    let answer = set(&site, json!({ "order": ["corp", "bbb"] })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(shown(&site).await, ["corp", "bbb", "aaa"]);
    let ids: Vec<_> = site
        .connectors()
        .await
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(ids, ["corp", "bbb", "aaa"]);
    // What is absent stays.
    let answer = set(&site, json!({ "default": "aaa" })).await;
    assert_eq!(answer.json()["order"], json!(["corp", "bbb"]));
    assert_eq!(shown(&site).await, ["aaa", "corp", "bbb"]);
    // A removed connector is no choice any more.
    site.api("DELETE", "/api/connectors/aaa", &Value::Null)
        .await;
    let answer = site.api("GET", "/api/login", &Value::Null).await;
    assert_eq!(answer.json()["default"], Value::Null);
}

#[tokio::test]
async fn only_known_connectors_can_be_chosen_each_once() {
    let site = site_with_three().await;
    let version = site.running.live().settings().version();
    for (choices, status) in [
        (json!({ "default": "none" }), 400),
        (json!({ "order": ["aaa", "none"] }), 400),
        (json!({ "order": ["aaa", "aaa"] }), 400),
        (json!({ "order": "aaa" }), 400),
        (json!({ "no_such_key": 1 }), 400),
    ] {
        let answer = set(&site, choices.clone()).await;
        assert_eq!(answer.status, status, "{choices}: {}", answer.text());
    }
    let stale = site
        .api_with(
            "If-Match: \"1\"\r\n",
            "PUT",
            "/api/login",
            &json!({ "default": "aaa" }),
        )
        .await;
    assert_eq!(stale.status, 412);
    assert_eq!(site.running.live().settings().version(), version);
}

#[tokio::test]
async fn choices_of_the_file_count() {
    let site = site_with_three().await;
    let toml = "[login]\ndefault = \"corp\"\norder = [\"bbb\"]\n";
    site.reload(toml).await.unwrap();
    let login_url = site.wecom.login_url();
    assert!(where_strangers_go(&site).await.starts_with(&login_url));
    assert_eq!(shown(&site).await, ["corp", "bbb", "aaa"]);
    let text = site.text(toml);
    for (choices, key) in [
        (json!({ "default": "aaa" }), "default"),
        (json!({ "order": ["aaa"] }), "order"),
    ] {
        let answer = set(&site, choices).await;
        assert_eq!(answer.status, 409, "{}", answer.text());
        let position = text.lines().position(|line| line.starts_with(key)).unwrap();
        let at = format!("menshen.toml:{}", position + 1);
        assert!(answer.text().contains(&at), "{}", answer.text());
    }
    site.reload("").await.unwrap();
    assert!(where_strangers_go(&site).await.contains("/sign_in"));
}
