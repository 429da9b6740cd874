//! A connector that is made, replaced and removed at run time.

use super::*;

#[tokio::test]
async fn a_menshen_without_a_connector_starts_and_says_so() {
    let site = ManagedSite::start().await;
    let page = site.browser().follow(&format!("{SSO_URL}/echo")).await;
    assert_eq!(page.answer.status, 200);
    assert!(page.url.contains("/sign_in"), "{}", page.url);
    let warned = || {
        let warnings = site.running.absent_caller_warnings().into_iter();
        warnings
            .map(|warning| (warning.key, warning.text.to_string()))
            .collect::<Vec<_>>()
    };
    let warnings = warned();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].1.contains("nobody can sign in"), "{warnings:?}");
    // One of the store is enough.
    site.put("corp", &site.wecom_table()).await;
    assert_eq!(warned(), []);
}

#[tokio::test]
async fn people_sign_in_with_a_connector_as_soon_as_it_is_made() {
    let site = ManagedSite::start().await;
    let answer = site.put("wechat-work", &site.wecom_table()).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("etag"), Some("\"1\""));
    assert!(signs_in(site.browser()).await);
    let shown = &site.connectors().await[0];
    assert_eq!(shown["id"], "wechat-work");
    assert_eq!(shown["kind"], "wecom");
    assert_eq!(shown["origin"], "managed");
    assert_eq!(shown["enabled"], true);
    assert_eq!(shown["etag"], "1");
}

#[tokio::test]
async fn a_replaced_connector_is_followed_at_once_and_sessions_stay() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let browser = signed_in(&site).await;
    let mut table = site.wecom_table();
    table["display_name"] = json!("总部");
    table["login_prefix"] = json!("hq-");
    let answer = site.put("corp", &table).await;
    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"2\"")));
    let page = site.browser().follow(&format!("{SSO_URL}/echo")).await;
    assert!(
        page.answer.text().contains("总部"),
        "{}",
        page.answer.text()
    );
    assert_eq!(status_with_session(&browser, site.address()).await, 200);
    // The login prefix holds for the next login.
    let mut other = site.browser();
    let page = other.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["hq-lisi"]);
}

#[tokio::test]
async fn what_was_put_is_what_get_shows() {
    let site = ManagedSite::start().await;
    let mut table = site.wecom_table();
    table["mapping"] = json!({ "login": "profile.userid", "badge": "profile.userid" });
    table["home"] = json!({ "desktop": "/portal" });
    table["link_by"] = json!(["mobile"]);
    table["enabled"] = json!(true);
    site.put("corp", &table).await;
    let shown = site.api("GET", "/api/connectors/corp", &Value::Null).await;
    let mut expected = table.clone();
    expected["wecom"]["secret"] = json!("********");
    assert_eq!(shown.json(), expected);
    // Putting what was shown changes nothing but the version.
    let again = site.put("corp", &shown.json()).await;
    assert_eq!(again.json(), expected);
    assert!(signs_in(site.browser()).await);
}

#[tokio::test]
async fn a_removed_connector_ends_its_sessions_and_its_id_keeps_its_kind() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let browser = signed_in(&site).await;
    let removed = site
        .api("DELETE", "/api/connectors/corp", &Value::Null)
        .await;
    assert_eq!(removed.status, 200, "{}", removed.text());
    assert_eq!(status_with_session(&browser, site.address()).await, 401);
    let start = format!("{SSO_URL}/.menshen/start?connector=corp");
    assert_eq!(site.browser().visit(&start).await.status, 404);
    let again = site
        .api("DELETE", "/api/connectors/corp", &Value::Null)
        .await;
    assert_eq!(again.status, 404);

    let cas = json!({ "cas": { "url": "https://cas.corp.example/cas" } });
    let other_kind = site.api("PUT", "/api/connectors/corp", &cas).await;
    assert_eq!(other_kind.status, 409, "{}", other_kind.text());
    assert!(other_kind.text().contains("wecom"), "{}", other_kind.text());
    // The same kind may come back, and finds the account again; the old session stays ended.
    site.put("corp", &site.wecom_table()).await;
    assert_eq!(status_with_session(&browser, site.address()).await, 401);
    site.advance();
    assert!(signs_in(site.browser()).await);
    let people = site.api("GET", "/api/people", &Value::Null).await;
    assert_eq!(people.json()["people"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn each_change_and_each_refusal_is_audited_without_values() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let mut table = site.wecom_table();
    table["wecom"]["secret"] = json!("another-secret-of-the-agent");
    site.put("corp", &table).await;
    table["wecom"]["agent_id"] = json!("no number");
    let refused = site.api("PUT", "/api/connectors/corp", &table).await;
    assert_eq!(refused.status, 400);
    let changes = site.changes();
    assert_eq!(changes.len(), 3, "{changes:?}");
    assert_eq!(changes[0]["by"], "token:admin");
    assert_eq!(changes[0]["connector"], "corp");
    assert_eq!(changes[0]["client"], "127.0.0.1");
    assert_eq!(changes[1]["version"], "2");
    assert_eq!(changes[1]["changed"], "connector.corp.wecom.secret");
    let reason = changes[2]["reason"].as_str().unwrap();
    assert!(
        reason.contains("refused") && reason.contains("wecom.agent_id"),
        "{reason}"
    );
    assert_eq!(changes[2]["version"], Value::Null);
    let text = site.records.text();
    assert!(!text.contains(SECRET) && !text.contains("another-secret"));
}

#[tokio::test]
async fn a_login_under_way_is_not_finished_with_other_settings() {
    let site = ManagedSite::start().await;
    site.put("corp", &site.wecom_table()).await;
    let begin = async || {
        let mut browser = site.browser();
        let login_page = browser.open_login_page(&format!("{SSO_URL}/echo")).await;
        let callback = browser.choose_person(&login_page, "zhangsan").await;
        (browser, callback)
    };
    // A change of another connector disturbs nobody.
    let (mut browser, callback) = begin().await;
    let cas = json!({ "cas": { "url": "https://cas.corp.example/cas" } });
    site.put("z-cas", &cas).await;
    let page = browser.follow(&callback).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());

    let (mut browser, callback) = begin().await;
    let calls = site.wecom.calls("/cgi-bin/auth/getuserinfo");
    let mut table = site.wecom_table();
    table["wecom"]["secret"] = json!("another-secret-of-the-agent");
    site.put("corp", &table).await;
    let page = browser.follow(&callback).await;
    assert_eq!(page.cause(), Some(menshen::face::page::Cause::LoginExpired));
    assert!(browser.cookie("menshen").is_none());
    // The code of the former settings was not sent anywhere.
    assert_eq!(site.wecom.calls("/cgi-bin/auth/getuserinfo"), calls);
}
