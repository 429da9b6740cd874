//! No secret, code, verifier or token is logged, shown or stored.

use super::{CONTACTS, TOKEN, USER_INFO, callback_url, setup};
use crate::browser::Browser;
use crate::lark::{APP_SECRET, ENCRYPT_KEY, Lark, VERIFICATION_TOKEN};
use crate::logging_in::query_parameter;
use crate::records::Records;
use crate::setup::NO_LOGIN_LIMITS;
use crate::stores::TempDir;

#[tokio::test]
async fn no_secret_is_logged_shown_or_stored() {
    let log = Records::process_log();
    let dir = TempDir::new();
    let lark = Lark::start().await.unwrap();
    let tables = lark.connector_toml("fs", CONTACTS) + &Lark::events_toml("fs");
    let setup = setup(&lark, "").tables(&format!("{tables}{NO_LOGIN_LIMITS}"));
    let menshen = setup.store(&dir.url()).access_log().start().await;
    let mut secrets = vec![
        APP_SECRET.to_owned(),
        ENCRYPT_KEY.to_owned(),
        VERIFICATION_TOKEN.to_owned(),
    ];
    let mut pages = Vec::new();
    for (path, answer) in [
        (TOKEN, None),
        (
            TOKEN,
            Some("the code CODE of APP_SECRET with VERIFIER is bad"),
        ),
        (USER_INFO, Some("the token is bad")),
        ("", None),
    ] {
        let mut browser = Browser::new(&menshen);
        let callback = callback_url(&lark, &mut browser, "zhangsan").await;
        let code = query_parameter(&callback, "code").unwrap();
        if let Some(answer) = answer {
            let message = answer
                .replace("CODE", &code)
                .replace("APP_SECRET", APP_SECRET);
            let body = serde_json::json!({ "code": 4711, "msg": message });
            lark.answer_with(path, 400, body.to_string(), 1);
        }
        let page = browser.follow(&callback).await;
        pages.push(page.answer.text());
        let request = lark.last_token_request();
        secrets.push(code);
        secrets.extend(request["code_verifier"].as_str().map(str::to_owned));
    }
    menshen.audit();
    let stored: Vec<u8> = std::fs::read_dir(dir.file().parent().unwrap())
        .unwrap()
        .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    let stored = String::from_utf8_lossy(&stored).into_owned();
    assert!(stored.contains("zhangsan"), "the store was written");
    let site = format!("{:?}", menshen.running.live().site());
    assert!(secrets.len() >= 6, "{}", secrets.len());
    for (name, output) in [
        ("records", menshen.records.text()),
        ("log", log.text()),
        ("pages", pages.concat()),
        ("site", site),
        ("store", stored),
    ] {
        for secret in &secrets {
            assert!(!output.contains(secret), "{name} has {secret}");
        }
    }
}
