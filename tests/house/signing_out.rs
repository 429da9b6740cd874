//! Sign-out: by a navigation or menshen's own page, in one browser or everywhere, and never by
//! another site.

use std::time::Duration;

use serde_json::json;

use crate::browser::{Browser, navigation_headers};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, SSO_URL};

#[tokio::test]
async fn only_a_navigation_or_an_own_page_signs_out() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let url = format!("{OWN_PAGES}/sign_out");
    let fetch = |mode, dest, site| {
        vec![
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", dest),
            ("Sec-Fetch-Site", site),
        ]
    };
    for (method, headers, ends) in [
        ("GET", fetch("no-cors", "image", "cross-site"), false),
        ("GET", fetch("cors", "empty", "same-origin"), false),
        ("GET", fetch("navigate", "iframe", "cross-site"), false),
        ("GET", fetch("navigate", "empty", "cross-site"), false),
        ("GET", fetch("navigate", "empty", "same-site"), false),
        ("POST", fetch("navigate", "empty", "cross-site"), false),
        ("GET", vec![("Accept", "image/*")], false),
        (
            "GET",
            vec![
                ("Accept", "text/html"),
                ("X-Requested-With", "XMLHttpRequest"),
            ],
            false,
        ),
        ("POST", vec![], false),
        ("POST", vec![("Origin", "http://evil.test")], false),
        ("POST", vec![("Origin", "null")], false),
        ("POST", vec![("Origin", "http://oa.test")], false),
        ("POST", vec![("Sec-Fetch-Site", "cross-site")], false),
        ("POST", vec![("Sec-Fetch-Site", "same-site")], false),
        (
            "POST",
            vec![("Referer", "http://evil.test/sso.test")],
            false,
        ),
        ("DELETE", vec![("Origin", SSO_URL)], false),
        ("POST", vec![("Origin", SSO_URL)], true),
        ("POST", vec![("Sec-Fetch-Site", "same-origin")], true),
        ("POST", vec![("Referer", "http://sso.test/page")], true),
        ("GET", navigation_headers().to_vec(), true),
        // Requests that a service worker forwards.
        ("GET", fetch("navigate", "empty", "same-origin"), true),
        ("POST", fetch("navigate", "empty", "same-origin"), true),
        ("GET", vec![("Accept", "text/html")], true),
    ] {
        let mut tab = Browser::new(&menshen);
        tab.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
        let kept = tab.clone();
        let answer = tab.send(method, &url, &headers, b"").await;
        let what = format!("{method} {headers:?}");
        assert_eq!(answer.status == 200, ends, "{what}");
        assert_eq!(tab.cookie("menshen").is_none(), ends, "{what}");
        // The browser's cookie is cleared, and a copy of it is invalid.
        for mut tab in [tab, kept] {
            let gone = tab.visit(&format!("{OWN_PAGES}/userinfo")).await.status == 401;
            assert_eq!(gone, ends, "{what}");
        }
    }
    let still = browser.visit(&format!("{OWN_PAGES}/userinfo")).await;
    assert_eq!(still.status, 200, "other sessions stay");
}

/// A browser sends both headers, so both must say so.
#[tokio::test]
async fn a_form_signs_out_only_if_origin_and_site_agree() {
    let menshen = Menshen::new().await;
    let url = format!("{OWN_PAGES}/sign_out");
    for (origin, sites, ends) in [
        (SSO_URL, &["cross-site"][..], false),
        (SSO_URL, &["same-site"], false),
        (SSO_URL, &["same-origin", "cross-site"], false),
        ("null", &["same-origin"], false),
        ("http://evil.test", &["none"], false),
        (SSO_URL, &["same-origin"], true),
        (SSO_URL, &["none"], true),
    ] {
        let mut tab = Browser::new(&menshen);
        tab.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
        let sites = sites.iter().map(|site| ("Sec-Fetch-Site", *site));
        let headers: Vec<_> = [("Origin", origin)].into_iter().chain(sites).collect();
        let answer = tab.send("POST", &url, &headers, b"").await;
        assert_eq!(answer.status == 200, ends, "{headers:?}");
        assert_eq!(tab.cookie("menshen").is_none(), ends, "{headers:?}");
    }
}

#[tokio::test]
async fn sign_in_and_sign_out_work_behind_a_service_worker_on_every_host() {
    let menshen = Menshen::new().await;
    for start in [format!("{SSO_URL}/echo"), "http://oa.test/echo".to_owned()] {
        let mut browser = Browser::new(&menshen).behind_a_service_worker();
        let page = browser.sign_in(&start, "lisi").await;
        assert_eq!((page.answer.status, &page.url), (200, &start));
        let host = start.strip_suffix("/echo").unwrap();
        let page = browser.visit(&format!("{host}/.menshen/sign_out")).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let gone = browser.visit(&format!("{host}/.menshen/userinfo")).await;
        assert_eq!(gone.status, 401);
    }
}

#[tokio::test]
async fn sign_out_everywhere_ends_all_sessions_of_that_person_only() {
    let menshen = Menshen::new().await;
    let mut all = Vec::new();
    for who in ["lisi", "lisi", "lisi", "zhangsan"] {
        let mut browser = Browser::new(&menshen);
        browser.sign_in(&format!("{SSO_URL}/echo"), who).await;
        all.push(browser);
    }
    let url = format!("{OWN_PAGES}/sign_out?everywhere=1");
    // A link ends only the session of this browser.
    assert_eq!(all[2].visit(&url).await.status, 200);
    let here = async |browser: &mut Browser| {
        browser.visit(&format!("{OWN_PAGES}/userinfo")).await.status == 200
    };
    assert!(!here(&mut all[2]).await && here(&mut all[1]).await);
    let answer = all[0]
        .send(
            "POST",
            &url,
            &[("Origin", SSO_URL), ("Accept", "text/html")],
            b"",
        )
        .await;
    assert_eq!(answer.status, 200);
    assert!(!here(&mut all[0]).await && !here(&mut all[1]).await);
    assert!(here(&mut all[3]).await);
    let left = menshen.audit().pop().unwrap();
    assert_eq!(
        (&left["event"], &left["reason"]),
        (&json!("sign-out"), &json!("everywhere"))
    );
    // A new login succeeds at once; a login that started earlier would be refused.
    menshen.advance(Duration::from_millis(1));
    let page = all[0].sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    assert_eq!(page.answer.status, 200);
}
