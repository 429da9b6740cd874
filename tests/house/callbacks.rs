//! Callbacks that are repeated, late, malformed, or opened in another browser.

use std::time::Duration;

use menshen::face::page::Cause;

use crate::browser::{Browser, href, navigation_headers};
use crate::logging_in::{OWN_PAGES, query_parameter};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, Setup};
use crate::wecom::WeCom;

const REDEEM: &str = "/cgi-bin/auth/getuserinfo";

/// A browser in which a person was chosen on the login page, and the callback URL that it got.
async fn browser_and_callback_url(menshen: &Menshen) -> (Browser, String) {
    let mut browser = Browser::new(menshen);
    let page = browser
        .open_login_page(&format!("{SSO_URL}/echo?way=back"))
        .await;
    let callback_url = browser.choose_person(&page, "zhangsan").await;
    (browser, callback_url)
}

fn session_cookie(browser: &Browser) -> Option<String> {
    browser.cookie("menshen").map(|cookie| cookie.value.clone())
}

#[tokio::test]
async fn a_repeated_callback_does_no_harm() {
    let menshen = Menshen::new().await;
    let (mut browser, callback_url) = browser_and_callback_url(&menshen).await;
    assert_eq!(browser.follow(&callback_url).await.answer.status, 200);
    let first = session_cookie(&browser);
    for second_login_page in 0..3 {
        let page = browser.follow(&callback_url).await;
        assert_eq!(
            page.url,
            format!("{SSO_URL}/echo?way=back"),
            "time {second_login_page}"
        );
        assert_eq!(page.answer.status, 200);
        menshen.advance(Duration::from_secs(60));
    }
    assert_eq!(session_cookie(&browser), first);
    assert_eq!(menshen.wecom.calls(REDEEM), 1);
}

#[tokio::test]
async fn concurrent_callbacks_redeem_the_code_once() {
    let menshen = Menshen::new().await;
    let (browser, callback_url) = browser_and_callback_url(&menshen).await;
    let mut tabs: Vec<_> = (0..8).map(|_| browser.clone()).collect();
    let visits = tabs.iter_mut().map(|tab| tab.visit(&callback_url));
    let answers = futures_util::future::join_all(visits).await;
    for answer in &answers {
        assert_eq!(answer.status, 302);
        assert_eq!(answer.header("location"), Some("/echo?way=back"));
    }
    let sessions: Vec<_> = tabs.iter().map(session_cookie).collect();
    assert!(sessions[0].is_some());
    assert!(sessions.iter().all(|one| *one == sessions[0]));
    assert_eq!(menshen.wecom.calls(REDEEM), 1);
}

#[tokio::test]
async fn a_callback_in_another_browser_is_refused_and_redeems_no_code() {
    let menshen = Menshen::new().await;
    let (mut owner, callback_url) = browser_and_callback_url(&menshen).await;
    let mut other = Browser::new(&menshen);
    for _ in 0..2 {
        let page = other.follow(&callback_url).await;
        assert_eq!(
            (page.answer.status, page.cause()),
            (400, Some(Cause::FlowCookieMissing))
        );
        assert_eq!(other.cookies(), []);
    }
    assert_eq!(menshen.wecom.calls(REDEEM), 0);
    assert_eq!(owner.follow(&callback_url).await.answer.status, 200);
    // The outcome of the login is remembered, for its own browser only.
    let page = other.follow(&callback_url).await;
    assert_eq!(page.cause(), Some(Cause::FlowCookieMissing));
    assert_eq!(other.cookies(), []);
    assert_eq!(menshen.wecom.calls(REDEEM), 1);
}

#[tokio::test]
async fn the_callback_of_another_person_does_not_change_the_session() {
    let menshen = Menshen::new().await;
    let (mut attacker, attackers_url) = browser_and_callback_url(&menshen).await;
    let mut victim = Browser::new(&menshen);
    victim.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    for is_redeemed in [false, true] {
        if is_redeemed {
            attacker.follow(&attackers_url).await;
        }
        let before = session_cookie(&victim);
        let page = victim.follow(&attackers_url).await;
        assert_eq!(session_cookie(&victim), before);
        // The return address of the other login is not disclosed.
        assert_eq!(page.url, format!("{SSO_URL}/"));
        let echo = victim.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(echo.echoed("x-forwarded-user"), ["lisi"]);
    }
}

#[tokio::test]
async fn a_late_callback_gets_an_error_page() {
    let menshen = Menshen::new().await;
    let (mut browser, callback_url) = browser_and_callback_url(&menshen).await;
    menshen.advance(Duration::from_secs(601));
    let page = browser.follow(&callback_url).await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (400, Some(Cause::LoginExpired))
    );
    assert_eq!(
        browser.cookies(),
        [],
        "the cookie of the late login is deleted"
    );
    assert_eq!(menshen.wecom.calls(REDEEM), 0);
    // Within the five minutes in which the code is valid, the callback is accepted.
    let (mut browser, callback_url) = browser_and_callback_url(&menshen).await;
    menshen.advance(Duration::from_secs(299));
    assert_eq!(browser.follow(&callback_url).await.answer.status, 200);
}

#[tokio::test]
async fn a_declined_login_gets_a_page_and_can_be_repeated() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let page = browser
        .open_login_page(&format!("{SSO_URL}/echo?x=1"))
        .await;
    let page = browser.follow(&WeCom::refuse(&page)).await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (403, Some(Cause::LoginDeclined))
    );
    assert_eq!(browser.cookies(), []);
    assert_eq!(menshen.wecom.calls(REDEEM), 0);
    let second_login_page = href(&page.answer.text(), "/sign_in").unwrap();
    let page = browser
        .sign_in(&format!("{SSO_URL}{second_login_page}"), "lisi")
        .await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?x=1"));
}

#[tokio::test]
async fn a_signed_in_person_may_sign_in_as_another_person() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    let before = session_cookie(&browser);
    let start = format!("{OWN_PAGES}/start?connector=corp&rd=/echo");
    let page = browser.sign_in(&start, "lisi").await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    assert_ne!(session_cookie(&browser), before);
    // The same person gets a new session, too.
    let before = session_cookie(&browser);
    browser.sign_in(&start, "lisi").await;
    assert_ne!(session_cookie(&browser), before);
}

#[tokio::test]
async fn a_malformed_callback_gets_an_error_page_without_a_call_to_the_provider() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for (broken, cause) in [
        ("", Cause::InvalidProviderResponse),
        ("?code=C", Cause::InvalidProviderResponse),
        ("?code=C&state=", Cause::InvalidProviderResponse),
        ("?code=C&state=short", Cause::InvalidProviderResponse),
        ("?code=C&state=S&state=S", Cause::InvalidProviderResponse),
        (
            "?code=C&state=S&state=other",
            Cause::InvalidProviderResponse,
        ),
        ("?code=C&state=S%00", Cause::InvalidProviderResponse),
        ("?code=C&state=../../x", Cause::InvalidProviderResponse),
        ("?code=C&code=C&state=S", Cause::InvalidProviderResponse),
        ("?code=&state=S", Cause::InvalidProviderResponse),
        ("?code=%0d%0aX&state=S", Cause::InvalidProviderResponse),
        ("?code=LONG&state=S", Cause::InvalidProviderResponse),
        ("?state=S", Cause::LoginDeclined),
        (
            "?code=C&state=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            Cause::FlowCookieMissing,
        ),
    ] {
        let (mut browser, callback_url) = browser_and_callback_url(&menshen).await;
        let (code, state) = (
            query_parameter(&callback_url, "code"),
            query_parameter(&callback_url, "state"),
        );
        let query = broken
            .replace("=LONG", &format!("={}", "x".repeat(513)))
            .replace("=S", &format!("={}", state.unwrap()))
            .replace("=C", &format!("={}", code.unwrap()));
        let page = browser
            .follow(&format!("{OWN_PAGES}/callback/corp{query}"))
            .await;
        assert_eq!(page.cause(), Some(cause), "{broken}");
        assert!(session_cookie(&browser).is_none(), "{broken}");
        assert!(href(&page.answer.text(), "/sign_in").is_some(), "{broken}");
    }
    assert_eq!(menshen.wecom.calls(REDEEM), 0);
    // Other parameters do not matter.
    let (mut browser, callback_url) = browser_and_callback_url(&menshen).await;
    let page = browser
        .follow(&format!("{callback_url}&appid=ww1&appid=ww2&x"))
        .await;
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn a_forged_login_cookie_is_refused() {
    let menshen = Menshen::new().await;
    let (mut victim, _) = browser_and_callback_url(&menshen).await;
    let (attacker, attackers_url) = browser_and_callback_url(&menshen).await;
    let attackers_cookie = attacker.cookies()[0].clone();
    let victims_cookie = victim.cookies()[0].clone();
    // The callback of another login with the cookie of this browser's login.
    for value in [
        victims_cookie.value.as_str(),
        "x",
        "",
        &attackers_cookie.value[1..],
    ] {
        victim.set_cookie("sso.test", &attackers_cookie.name, value);
        let page = victim.follow(&attackers_url).await;
        assert_eq!(page.cause(), Some(Cause::FlowCookieForged), "{value}");
        assert!(session_cookie(&victim).is_none());
        assert!(
            victim.cookie(&attackers_cookie.name).is_none(),
            "the forged cookie is deleted"
        );
    }
    assert!(
        victim.cookie(&victims_cookie.name).is_some(),
        "the cookie of the real login stays"
    );
    assert_eq!(menshen.wecom.calls(REDEEM), 0);
}

#[tokio::test]
async fn a_callback_is_accepted_only_by_the_connector_that_began_the_login() {
    let menshen = Setup::default().tables(SECOND_CONNECTOR).start().await;
    for (path, accepted) in [
        ("/callback/other", false),
        ("/callback/nobody", false),
        ("/callback/corp", true),
        ("/callback", true),
    ] {
        let mut browser = Browser::new(&menshen);
        let start = format!("{OWN_PAGES}/start?connector=corp&rd=/echo");
        let page = browser.open_login_page(&start).await;
        let callback_url = browser.choose_person(&page, "zhangsan").await;
        let calls_before = menshen.wecom.calls(REDEEM);
        let page = browser
            .follow(&callback_url.replace("/callback/corp", path))
            .await;
        assert_eq!(session_cookie(&browser).is_some(), accepted, "{path}");
        if !accepted {
            assert_eq!(page.cause(), Some(Cause::FlowCookieForged), "{path}");
            assert_eq!(menshen.wecom.calls(REDEEM), calls_before, "{path}");
        }
    }
    let mut browser = Browser::new(&menshen);
    let answer = browser
        .visit(&format!("{OWN_PAGES}/callback/no%20id?code=1&state=2"))
        .await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn the_back_button_after_a_login_does_no_harm() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    let login_page = browser
        .open_login_page(&format!("{SSO_URL}/echo?x=1"))
        .await;
    let callback_url = browser.choose_person(&login_page, "zhangsan").await;
    browser.follow(&callback_url).await;
    let before = session_cookie(&browser);
    // On the login page of the finished login, the provider issues a new code for the old state.
    let second_login_page = browser.choose_person(&login_page, "zhangsan").await;
    let page = browser.follow(&second_login_page).await;
    assert_eq!(page.answer.status, 200);
    assert_eq!(session_cookie(&browser), before);
    assert_eq!(menshen.wecom.calls(REDEEM), 1);
    // The sign-in page has a link for the person who is signed in.
    let page = browser
        .follow(&format!("{OWN_PAGES}/sign_in?rd=/echo?x=1"))
        .await;
    assert_eq!(page.answer.status, 200);
    let continue_link = href(&page.answer.text(), "/start?rd=").unwrap();
    let page = browser.follow(&format!("{SSO_URL}{continue_link}")).await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?x=1"));
}

#[tokio::test]
async fn a_used_code_retries_the_login_once_and_then_stops() {
    for errcode in [40029, 42003, 42022] {
        let menshen = Menshen::new().await;
        let (mut browser, callback_url) = browser_and_callback_url(&menshen).await;
        menshen.wecom.fail(REDEEM, errcode, 1);
        let second_login_page = browser.open_login_page(&callback_url).await;
        assert_ne!(
            query_parameter(&second_login_page, "state"),
            query_parameter(&callback_url, "state")
        );
        let callback_url = browser.choose_person(&second_login_page, "zhangsan").await;
        let page = browser.follow(&callback_url).await;
        assert_eq!(page.url, format!("{SSO_URL}/echo?way=back"), "{errcode}");

        let (mut browser, callback_url) = browser_and_callback_url(&menshen).await;
        menshen.wecom.fail(REDEEM, errcode, 2);
        let second_login_page = browser.open_login_page(&callback_url).await;
        let callback_url = browser.choose_person(&second_login_page, "zhangsan").await;
        let page = browser.follow(&callback_url).await;
        assert_eq!(
            (page.answer.status, page.cause()),
            (400, Some(Cause::CodeRejectedTwice))
        );
        assert!(browser.cookies().is_empty());
        let sign_in_link = href(&page.answer.text(), "/sign_in").unwrap();
        let page = browser
            .sign_in(&format!("{SSO_URL}{sign_in_link}"), "zhangsan")
            .await;
        assert_eq!(page.url, format!("{SSO_URL}/echo?way=back"), "{errcode}");
    }
}

#[tokio::test]
async fn only_get_redeems_a_code() {
    let menshen = Menshen::new().await;
    let (mut browser, callback_url) = browser_and_callback_url(&menshen).await;
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = browser
            .send(method, &callback_url, &navigation_headers(), b"")
            .await;
        assert_eq!(answer.status, 405, "{method}");
        assert!(session_cookie(&browser).is_none(), "{method}");
    }
    assert_eq!(menshen.wecom.calls(REDEEM), 0);
    assert_eq!(browser.follow(&callback_url).await.answer.status, 200);
}
