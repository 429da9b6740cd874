//! Header values are bytes: a value that is not UTF-8 hides neither the session cookie nor another header.

use crate::browser::Browser;
use crate::checking::{ACCEPT_HTML, TRUST_LOOPBACK};
use crate::logging_in::{OWN_PAGES, WECOM_PHONE_APP};
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};

/// A name as UTF-8, as Latin-1 and as GBK.
const NAMES: [&[u8]; 3] = ["张三".as_bytes(), b"Jos\xe9", b"\xd5\xc5\xc8\xfd"];

#[tokio::test]
async fn a_cookie_of_any_bytes_does_not_hide_the_session() {
    let menshen = Setup::default().server(TRUST_LOOPBACK).start().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    for name in NAMES {
        let session_cookie = format!("menshen={cookie}").into_bytes();
        for header_value in [
            [b"name=", name, b"; ", &session_cookie].concat(),
            [&session_cookie, &b"; name="[..], name].concat(),
            [name, b"=x; ", &session_cookie, b"; a=b"].concat(),
            [name, b"; ", &session_cookie].concat(),
        ] {
            let proxy = TestRequest::get("/echo").bytes("Cookie", &header_value);
            assert_eq!(proxy.send(&menshen).await.status, 200, "{header_value:?}");
            let auth = TestRequest::get("/.menshen/auth").header("X-Forwarded-Uri", "/echo");
            let auth = auth
                .header("X-Forwarded-Proto", "http")
                .bytes("Cookie", &header_value);
            assert_eq!(auth.send(&menshen).await.status, 202, "{header_value:?}");
            let envoy = TestRequest::get("/.menshen/ext_authz/echo").bytes("Cookie", &header_value);
            assert_eq!(envoy.send(&menshen).await.status, 200, "{header_value:?}");
        }
        // A session cookie with other bytes in it is invalid.
        let broken = [b"menshen=", name, b"; a=", cookie.as_bytes()].concat();
        let answer = TestRequest::get("/echo")
            .bytes("Cookie", &broken)
            .send(&menshen)
            .await;
        assert_eq!(answer.status, 401);
    }
}

#[tokio::test]
async fn a_person_with_non_ascii_cookies_signs_in() {
    let menshen = Menshen::new().await;
    for name in ["张三", "José"] {
        let mut browser = Browser::new(&menshen);
        browser.set_cookie("sso.test", "name", name);
        let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
        assert_eq!(page.answer.status, 200, "{name}");
    }
}

#[tokio::test]
async fn the_wecom_client_is_recognized_despite_a_non_ascii_phone_name() {
    let menshen = Menshen::new().await;
    for model in NAMES {
        let agent = [b"Mozilla/5.0 (Linux; Android 14; ", model, b") "].concat();
        let agent = [&agent, WECOM_PHONE_APP.as_bytes()].concat();
        let request = TestRequest::get("/.menshen/start?connector=corp").headers(&ACCEPT_HTML);
        let answer = request.bytes("User-Agent", &agent).send(&menshen).await;
        let to = answer.header("location").unwrap_or_default();
        assert!(to.contains("/connect/oauth2/authorize"), "{model:?}: {to}");
    }
}

#[tokio::test]
async fn an_old_browser_signs_out_from_a_page_with_a_non_ascii_referer() {
    let menshen = Menshen::new().await;
    for (name, status) in [(&b"/\xd5\xc5\xc8\xfd"[..], 200), (&b""[..], 200)] {
        let cookie = session_cookie_of(&menshen, "zhangsan").await;
        let request = TestRequest::get("/.menshen/sign_out")
            .method("POST")
            .session(&cookie);
        let referer = [SSO_URL.as_bytes(), name].concat();
        let request = request
            .bytes("Referer", &referer)
            .header("Content-Length", "0");
        assert_eq!(request.send(&menshen).await.status, status, "{name:?}");
        let foreign = [b"http://evil.test", name].concat();
        let request = TestRequest::get("/.menshen/sign_out")
            .method("POST")
            .session(&cookie);
        let request = request
            .bytes("Referer", &foreign)
            .header("Content-Length", "0");
        assert_eq!(request.send(&menshen).await.status, 403, "{name:?}");
    }
}

#[tokio::test]
async fn redirects_of_menshen_are_ascii() {
    let menshen = Setup::default().server(TRUST_LOOPBACK).start().await;
    for rd in [
        "%2F%E4%BD%A0%E5%A5%BD%3Fq=%E5%BC%A0%E4%B8%89",
        "/%E4%BD%A0%E5%A5%BD?q=%E5%BC%A0%E4%B8%89",
    ] {
        let mut browser = Browser::new(&menshen);
        let login_page = browser
            .open_login_page(&format!("{OWN_PAGES}/start?rd={rd}"))
            .await;
        let callback_url = browser.choose_person(&login_page, "lisi").await;
        let answer = browser.visit(&callback_url).await;
        let to = answer.header("location").unwrap();
        let expected = "/%E4%BD%A0%E5%A5%BD?q=%E5%BC%A0%E4%B8%89";
        assert_eq!(to.trim_start_matches(SSO_URL), expected, "{rd}");
        // With a session the redirect is immediate.
        let answer = browser.visit(&format!("{OWN_PAGES}/start?rd={rd}")).await;
        let to = answer.header("location").unwrap();
        assert_eq!(to.trim_start_matches(SSO_URL), expected, "{rd}");
    }
    // A proxy in front sends the header in GBK.
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let cookie = browser.cookie("menshen").unwrap().value.clone();
    let request = TestRequest::get("/.menshen/start")
        .headers(&ACCEPT_HTML)
        .session(&cookie);
    let request = request.bytes("X-Auth-Request-Redirect", b"/\xc4\xe3");
    let answer = request.send(&menshen).await;
    assert_eq!(answer.header("location"), Some("/%C4%E3"));
}
