//! A front end on one origin that calls an application on another.

use crate::browser::Browser;
use crate::setup::{SSO_URL, Setup};

#[tokio::test]
async fn a_cross_origin_front_end_can_read_that_login_is_needed() {
    let more = "[login]\norigins = ['https://portal.test']";
    let menshen = Setup::default().tables(more).start().await;
    let mut zhang = Browser::new(&menshen);
    zhang.sign_in(&format!("{SSO_URL}/echo"), "zhangsan").await;
    for (origin, allowed) in [
        ("https://portal.test", true),
        ("https://portal.test.evil.test", false),
        ("https://evil.test", false),
        ("null", false),
    ] {
        let from = [
            ("Origin", origin),
            ("Sec-Fetch-Site", "same-site"),
            ("Sec-Fetch-Mode", "cors"),
        ];
        // Without a session, and with a session that the rule refuses.
        let mut nobody = Browser::new(&menshen);
        for (method, signed_in, target, status) in [
            ("GET", false, "/echo", 401),
            ("POST", false, "/finance/x", 401),
            ("GET", true, "/finance/x", 403),
        ] {
            let browser = if signed_in { &mut zhang } else { &mut nobody };
            let url = format!("{SSO_URL}{target}");
            let answer = browser.send(method, &url, &from, b"").await;
            let what = format!("{origin} {method} {target}");
            assert_eq!(answer.status, status, "{what}");
            let granted = answer.header("access-control-allow-origin");
            assert_eq!(granted, allowed.then_some(origin), "{what}");
            let cookies = answer.header("access-control-allow-credentials");
            assert_eq!(cookies, allowed.then_some("true"), "{what}");
            let mut vary = answer.header_values("vary");
            assert!(vary.any(|vary| vary.contains("origin")), "{what}");
        }
        // Responses of the application are not changed.
        let answer = zhang
            .send("GET", &format!("{SSO_URL}/echo"), &from, b"")
            .await;
        assert_eq!(answer.status, 200, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}
