//! The list of sessions: who, from where, and with which device.

use serde_json::{Value, json};

use super::{call_api, list_sessions, setup};
use crate::browser::Browser;
use crate::setup::SSO_URL;

const WINDOWS_CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                              (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36";

#[tokio::test]
async fn a_session_shows_its_person_its_address_and_its_device() {
    let menshen = setup().start().await;
    let long = format!("curl/8.9.1 {}", "x".repeat(400));
    for user_agent in [WINDOWS_CHROME, &long] {
        let mut browser = Browser::new(&menshen).with_user_agent(user_agent);
        let page = browser
            .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
            .await;
        assert_eq!(page.answer.status, 200);
        // The list is sorted by the second in which a session began.
        menshen.advance(std::time::Duration::from_secs(1));
    }
    let sessions = list_sessions(&menshen, "zhangsan").await;
    let [by_curl, by_chrome] = &sessions[..] else {
        panic!("{sessions:?}");
    };
    assert_eq!(
        (&by_chrome["login"], &by_chrome["name"]),
        (&json!("zhangsan"), &json!("张三"))
    );
    assert_eq!(by_chrome["address"], "127.0.0.1");
    assert_eq!(by_chrome["device"], "Chrome on Windows");
    assert_eq!(by_chrome["user_agent"], WINDOWS_CHROME);
    assert_eq!(by_curl["device"], "curl");
    assert_eq!(by_curl["user_agent"].as_str().unwrap().len(), 256);
}

#[tokio::test]
async fn sessions_are_listed_by_connector() {
    let menshen = setup().start().await;
    super::sign_in_as(&menshen, "zhangsan").await;
    for (query, expected) in [
        ("connector=corp", 1),
        ("connector=other", 0),
        ("connector=corp&login=zhangsan", 1),
        ("connector=other&login=zhangsan", 0),
    ] {
        let path = format!("/api/sessions?{query}");
        let answer = call_api(&menshen, "GET", &path, &Value::Null).await;
        let sessions = answer.json()["sessions"].as_array().unwrap().len();
        assert_eq!(sessions, expected, "{query}");
    }
}
