//! Logins and addresses that look like others: each person stays who they are, in headers and in rules.

use serde_json::json;

use crate::browser::{Browser, Page};
use crate::checking::TRUST_LOOPBACK;
use crate::logging_in::OWN_PAGES;
use crate::oauth2::provider::Provider;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::test_request::TestRequest;

const ROUTES: &str = r#"
[[route]]
name = "app"
upstream = ["{app}"]

[[route]]
name = "admin"
path = "/admin"
upstream = ["{app}"]
allow = "user.login == 'admin'"
"#;

async fn start(provider: &Provider) -> Menshen {
    let table = provider.connector_toml("gh", "", "");
    Setup::default()
        .server(TRUST_LOOPBACK)
        .routes(ROUTES)
        .tables(&format!("{table}{NO_LOGIN_LIMITS}"))
        .start()
        .await
}

async fn sign_in(menshen: &Menshen) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let start = format!("{OWN_PAGES}/start?connector=gh&rd=/echo");
    let page = browser.follow(&start).await;
    (browser, page)
}

#[tokio::test]
async fn a_login_that_looks_like_another_is_another_person() {
    let provider = Provider::start().await;
    let menshen = start(&provider).await;
    for (id, (login, header, is_admin)) in [
        ("admin", "admin", true),
        // Fullwidth, Cyrillic а, a zero-width space, and a combining accent.
        (
            "ａｄｍｉｎ",
            "%EF%BD%81%EF%BD%84%EF%BD%8D%EF%BD%89%EF%BD%8E",
            false,
        ),
        ("аdmin", "%D0%B0dmin", false),
        ("admin\u{200b}", "admin%E2%80%8B", false),
        ("admin\u{301}", "admin%CC%81", false),
        ("admİn", "adm%C4%B0n", false),
        ("张三", "%E5%BC%A0%E4%B8%89", false),
        ("admin@evil@corp.example", "admin@evil@corp.example", false),
        ("admin,other", "admin%2Cother", false),
        ("admin%00", "admin%2500", false),
    ]
    .into_iter()
    .enumerate()
    {
        provider.person(json!({ "id": id, "login": login }));
        let (mut browser, page) = sign_in(&menshen).await;
        assert_eq!(page.answer.status, 200, "{login}: {}", page.answer.text());
        assert_eq!(page.answer.echoed("x-forwarded-user"), [header], "{login}");
        let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
        assert_eq!(info["login"], login);
        let admin = browser.visit(&format!("{SSO_URL}/admin")).await.status;
        assert_eq!(admin == 200, is_admin, "{login}: {admin}");
    }
    // The same letters in another case are the same login, which its first holder keeps.
    for (id, login) in ["ADMIN", "Admin", "张三"].into_iter().enumerate() {
        provider.person(json!({ "id": 1_000 + id, "login": login }));
        let (browser, page) = sign_in(&menshen).await;
        assert_eq!(page.answer.status, 403, "{login}");
        assert!(browser.cookie("menshen").is_none(), "{login}");
    }
}

#[tokio::test]
async fn an_address_with_two_ats_belongs_to_no_domain() {
    let provider = Provider::start().await;
    let menshen = start(&provider).await;
    for (id, (email, is_allowed)) in [
        ("a@corp.example", true),
        ("a@CORP.example", true),
        ("a@evil.example@corp.example", false),
        ("a@corp.example@evil.example", false),
        ("\"a@evil.example\"@corp.example", false),
        ("a@evilcorp.example", false),
        ("a@corp.example.evil.example", false),
        ("corp.example", false),
    ]
    .into_iter()
    .enumerate()
    {
        let login = format!("person-{id}");
        provider.person(json!({ "id": id, "login": login, "email": email }));
        let (browser, page) = sign_in(&menshen).await;
        assert_eq!(page.answer.status, 200, "{email}");
        let cookie = browser.cookie("menshen").expect("a session").value.clone();
        let path = "/.menshen/auth?allowed_email_domains=corp.example";
        let ask = TestRequest::get(path)
            .header("X-Forwarded-Uri", "/echo")
            .session(&cookie);
        let expected = if is_allowed { 202 } else { 403 };
        assert_eq!(ask.send(&menshen).await.status, expected, "{email}");
    }
}
