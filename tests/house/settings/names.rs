//! The name of a connector in each language, over the admin API.

use serde_json::json;

use super::ManagedSite;

#[tokio::test]
async fn the_admin_api_takes_and_shows_a_name_in_each_language() {
    let site = ManagedSite::start().await;
    let mut table = site.wecom_table();
    let name = json!({ "zh": "企业微信", "en": "WeCom" });
    table["display_name"] = name.clone();
    site.put("sso", &table).await;
    assert_eq!(site.connectors().await[0]["display_name"], name);
    let shown = site.api("GET", "/api/connectors/sso", &json!(null)).await;
    assert_eq!(shown.json()["display_name"], name);
    for bad in [json!({ "zh": "企业微信" }), json!(""), json!(["企业微信"])] {
        table["display_name"] = bad.clone();
        let refused = site.api("PUT", "/api/connectors/other", &table).await;
        assert_eq!(refused.status, 400, "{bad} {}", refused.text());
        assert!(
            refused.text().contains("display_name"),
            "{}",
            refused.text()
        );
    }
}
