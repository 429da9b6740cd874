//! The requests of HENGSHI's manual, with its envelope.

use serde_json::{Value, json};

use super::{Call, data_of, envelope, get, put, setup, wecom_fields};

#[tokio::test]
async fn form_items_lists_the_twelve_kinds_with_their_names() {
    let menshen = setup().start().await;
    let items = get(&menshen, "form-items").await;
    let expected = [
        ("hengshi", "HENGSHI"),
        ("ldap", "LDAP"),
        ("cas", "CAS"),
        ("saml2", "SAML2"),
        ("oauth2", "OAUTH2"),
        ("dingtalk", "钉钉"),
        ("wechat-work", "企业微信"),
        ("ctr", "CTR"),
        ("yunzhijia", "云之家"),
        ("jwt-param", "JWT 请求参数"),
        ("lark", "飞书"),
        ("qince", "勤策"),
    ];
    let expected = expected.map(|(id, name)| json!({ "id": id, "name": name }));
    assert_eq!(items, Value::from(expected.to_vec()));
}

#[tokio::test]
async fn every_kind_is_empty_until_it_is_configured() {
    let menshen = setup().start().await;
    let items = get(&menshen, "form-items").await;
    for item in items.as_array().unwrap() {
        let kind = item["id"].as_str().unwrap();
        assert_eq!(get(&menshen, kind).await, json!({}), "{kind}");
    }
    let active = get(&menshen, "active-auth").await;
    assert_eq!(active, json!({ "authType": "hengshi" }));
}

#[tokio::test]
async fn active_auth_leads_strangers_to_a_kind_or_lets_them_choose() {
    let menshen = setup().start().await;
    put(&menshen, "wechat-work", &wecom_fields(&menshen)).await;
    let location = async || {
        let page = crate::test_request::TestRequest::get("/echo")
            .navigating()
            .send(&menshen)
            .await;
        page.header("location").unwrap_or_default().to_owned()
    };
    let choice = json!({ "authType": "wechat-work" });
    assert_eq!(put(&menshen, "active-auth", &choice).await, choice);
    assert_eq!(get(&menshen, "active-auth").await, choice);
    assert!(location().await.contains("/wwlogin/sso/login"));
    let none = json!({ "authType": "hengshi" });
    assert_eq!(put(&menshen, "active-auth", &none).await, none);
    assert_eq!(get(&menshen, "active-auth").await, none);
    assert!(!location().await.contains("/wwlogin/sso/login"));
}

#[tokio::test]
async fn hengshi_itself_has_no_settings() {
    let menshen = setup().start().await;
    assert_eq!(put(&menshen, "hengshi", &json!({})).await, json!({}));
    assert_eq!(
        put(&menshen, "hengshi", &json!({ "x": "" })).await,
        json!({})
    );
    let version = menshen.running.live().settings().version();
    assert_eq!(version, 0);
    let call = Call::put("hengshi", &json!({ "loginNameMapping": "x" }));
    let refused = super::refused(&menshen, &call, 40001).await;
    assert_eq!(super::problem_fields(&refused), ["loginNameMapping"]);
}

#[tokio::test]
async fn messages_are_in_the_language_of_the_request() {
    let menshen = setup().start().await;
    let message = async |language: &str| {
        let call = Call::put("wechat-work", &json!({}));
        let call = match language {
            "" => call,
            language => call.header(&format!("Accept-Language: {language}")),
        };
        let envelope = super::refused(&menshen, &call, 40001).await;
        let problem = &envelope["data"]["problems"][0];
        (
            envelope["msg"].as_str().unwrap().to_owned(),
            problem["message"].as_str().unwrap().to_owned(),
        )
    };
    for language in ["", "zh-CN", "zh;q=0.9, en;q=0.8"] {
        let (message, problem) = message(language).await;
        assert!(message.contains("字段有误"), "{language}: {message}");
        assert_eq!(problem, "必填", "{language}");
    }
    let (message, problem) = message("en").await;
    assert!(message.starts_with("some fields are wrong"), "{message}");
    assert_eq!(problem, "this field is required");
}

#[tokio::test]
async fn the_etag_is_the_version_of_the_last_change() {
    let menshen = setup().start().await;
    put(&menshen, "wechat-work", &wecom_fields(&menshen)).await;
    let got = Call::get("wechat-work").send(&menshen).await;
    envelope(&got);
    let etag = got.header("etag").unwrap();
    assert_eq!(etag, "\"1\"");
    let call = Call::put("wechat-work", &wecom_fields(&menshen)).header("If-Match: \"1\"");
    data_of(&menshen, &call).await;
    let got = Call::get("wechat-work").send(&menshen).await;
    assert_eq!(got.header("etag"), Some("\"2\""));
}

#[tokio::test]
async fn the_description_has_every_path() {
    let menshen = setup().start().await;
    let address = menshen.running.admin_address().unwrap();
    let request = "GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let description = crate::wire::send(address, request.as_bytes()).await.json();
    for (path, methods) in [
        ("form-items", &["get"][..]),
        ("active-auth", &["get", "put"]),
        ("{kind}", &["get", "put"]),
        ("dingtalk/sync", &["put"]),
        ("jwt-param/generate-key", &["put"]),
    ] {
        let path = format!("{}{path}", super::PREFIX);
        for method in methods {
            let operation = &description["paths"][&path][method];
            assert!(
                operation["summary"].is_string(),
                "{method} {path}: {operation}"
            );
        }
    }
}

/// The blocks of a guide in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(crate::conf::project_file(page)).unwrap();
    let start = format!("```{language}\n");
    let blocks = text.split(&start).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn both_guides_show_the_same_requests_and_they_work() {
    for language in ["toml", "sh", "json"] {
        let pages = ["docs/hengshi-api.md", "docs/zh/hengshi-api.md"];
        let [english, chinese] = pages.map(|page| blocks(page, language));
        assert_eq!(english, chinese, "{language}");
        assert_eq!(english.len(), 1, "{language}");
    }
    let menshen = setup().start().await;
    let shell = blocks("docs/hengshi-api.md", "sh").remove(0);
    let (_, body) = shell.split_once("$base/wechat-work -d '").unwrap();
    let body = body.split('\'').next().unwrap();
    let first: Value = serde_json::from_str(body).unwrap();
    put(&menshen, "wechat-work", &first).await;
    let json = blocks("docs/hengshi-api.md", "json").remove(0);
    let second: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(put(&menshen, "wechat-work", &second).await, second);
    put(
        &menshen,
        "active-auth",
        &json!({ "authType": "wechat-work" }),
    )
    .await;
}
