//! The sign-in page of somebody who is signed in: who they are, on, out, and as somebody else.

use crate::browser::{Browser, href};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::wire::Answer;

async fn signed_in(menshen: &Menshen) -> Browser {
    let mut browser = Browser::new(menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    browser
}

/// Presses the button of the form with this target.
async fn press(browser: &mut Browser, html: &str, target: &str) -> Answer {
    let html = html.replace("&#38;", "&");
    assert!(html.contains(&format!("action=\"{target}\"")), "{html}");
    let headers = [("Origin", SSO_URL), ("Accept", "text/html")];
    let url = format!("{SSO_URL}{target}");
    browser.send("POST", &url, &headers, b"").await
}

#[tokio::test]
async fn it_says_who_is_signed_in_and_offers_no_connector() {
    let menshen = Menshen::new().await;
    let mut browser = signed_in(&menshen).await;
    let html = browser.visit(&format!("{OWN_PAGES}/sign_in")).await.text();
    for part in [
        "您已登录",
        "张三",
        "zhangsan",
        "切换账号",
        "退出登录",
        "返回首页",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("connector="), "{html}");
    let stranger = Browser::new(&menshen)
        .visit(&format!("{OWN_PAGES}/sign_in"))
        .await;
    assert!(!stranger.text().contains("您已登录"));
    assert!(stranger.text().contains("connector=corp"));
}

#[tokio::test]
async fn it_leads_on_to_the_page_that_the_person_wanted() {
    let menshen = Menshen::new().await;
    let mut browser = signed_in(&menshen).await;
    let url = format!("{OWN_PAGES}/sign_in?rd=/echo%3Fx%3D1");
    let html = browser.visit(&url).await.text();
    let on = href(&html, "/start?").unwrap();
    let page = browser.follow(&format!("{SSO_URL}{on}")).await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?x=1"));
}

#[tokio::test]
async fn without_a_home_page_there_is_nothing_to_go_on_to() {
    let routes = "[[route]]\nname = \"only\"\nhost = \"sso.test\"\npath = \"/echo\"\nupstream = [\"{app}\"]\n";
    let menshen = Setup::default().routes(routes).start().await;
    let mut browser = signed_in(&menshen).await;
    let html = browser.visit(&format!("{OWN_PAGES}/sign_in")).await.text();
    assert!(
        html.contains("您已登录") && !html.contains("返回首页"),
        "{html}"
    );
}

#[tokio::test]
async fn its_buttons_end_the_session() {
    let menshen = Menshen::new().await;
    for (target, status) in [
        ("/.menshen/sign_out?switch=1&rd=/echo", 303),
        ("/.menshen/sign_out", 200),
    ] {
        let mut browser = signed_in(&menshen).await;
        let url = format!("{OWN_PAGES}/sign_in?rd=/echo");
        let html = browser.visit(&url).await.text();
        let answer = press(&mut browser, &html, target).await;
        assert_eq!(answer.status, status, "{target}");
        assert!(browser.cookie("menshen").is_none(), "{target}");
        let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(echo.status, 302, "{target}");
    }
}

#[tokio::test]
async fn somebody_else_finds_the_connectors_although_logins_start_by_themselves() {
    let menshen = Setup::default()
        .connector("auto_login = \"always\"")
        .start()
        .await;
    let mut browser = signed_in(&menshen).await;
    let url = format!("{OWN_PAGES}/sign_in?rd=/echo%3Fx%3D1");
    let html = browser.visit(&url).await.text();
    let target = "/.menshen/sign_out?switch=1&rd=/echo%3Fx%3D1";
    let answer = press(&mut browser, &html, target).await;
    let chooser = format!("{SSO_URL}{}", answer.header("location").unwrap());
    let page = browser.visit(&chooser).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("connector=corp"), "{}", page.text());
    let page = browser.sign_in(&chooser, "lisi").await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?x=1"));
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    // Whoever is not signed in is still led to the source at once.
    let stranger = Browser::new(&menshen)
        .visit(&format!("{OWN_PAGES}/sign_in"))
        .await;
    assert!((300..400).contains(&stranger.status), "{}", stranger.text());
}

#[tokio::test]
async fn the_page_of_a_signed_in_person_begins_no_automatic_login() {
    let menshen = Setup::default()
        .connector("auto_login = \"always\"")
        .start()
        .await;
    let mut browser = signed_in(&menshen).await;
    let logins = menshen.wecom.calls("/wwlogin/sso/login");
    for url in [
        format!("{OWN_PAGES}/sign_in"),
        format!("{OWN_PAGES}/sign_in?rd=/echo"),
        format!("{OWN_PAGES}/sign_in?rd=http://oa.test/echo"),
        format!("{OWN_PAGES}/sign_in?rd=http://evil.test/"),
        "http://oa.test/.menshen/sign_in".to_owned(),
        "http://oa.test/.menshen/sign_in?rd=/echo".to_owned(),
    ] {
        let page = browser.follow(&url).await;
        assert_eq!(page.answer.status, 200, "{url}");
        assert!(
            page.answer.text().contains("您已登录"),
            "{url}: {}",
            page.url
        );
        assert!(browser.cookie("menshen").is_some(), "{url}");
    }
    assert_eq!(menshen.wecom.calls("/wwlogin/sso/login"), logins);
}

#[tokio::test]
async fn another_site_cannot_press_the_buttons() {
    let menshen = Menshen::new().await;
    let mut browser = signed_in(&menshen).await;
    let headers = [("Origin", "http://evil.test"), ("Accept", "text/html")];
    let url = format!("{OWN_PAGES}/sign_out?switch=1");
    let answer = browser.send("POST", &url, &headers, b"").await;
    assert_eq!(answer.status, 403);
    assert!(browser.cookie("menshen").is_some());
}

#[tokio::test]
async fn start_leads_on_to_the_wanted_page_and_without_one_begins_another_login() {
    let menshen = Setup::default()
        .connector("auto_login = \"always\"")
        .start()
        .await;
    let mut browser = signed_in(&menshen).await;
    for (query, target) in [("?rd=/echo", "/echo"), ("", "/wwlogin/sso/login?")] {
        let answer = browser.visit(&format!("{OWN_PAGES}/start{query}")).await;
        assert!((300..400).contains(&answer.status), "{query}");
        let location = answer.header("location").unwrap();
        assert!(location.contains(target), "{query}: {location}");
    }
}
