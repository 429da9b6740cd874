//! Hostile tokens whose times or ID are wrong. Beside each the last value that passes.

use std::time::Duration;

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::hostile::{assert_all_refused, claims};
use super::portal::{NOW_S, Portal};
use super::{follow_link, sets_session, setup, sign_in, start, with_claims};
use crate::browser::Browser;
use crate::setup::{ROUTES, SSO_URL};

#[tokio::test]
async fn the_times_of_a_token_are_checked() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let row = |what, more, logged_error| claims(&portal, what, more, logged_error);
    let rows = vec![
        row("no exp", json!({ "exp": null }), "the claim `exp`"),
        row(
            "exp as text",
            json!({ "exp": "1800000060" }),
            "the claim `exp`",
        ),
        row("a negative exp", json!({ "exp": -1 }), "the claim `exp`"),
        row(
            "exp as a huge number",
            json!({ "exp": 1e300 }),
            "the claim `exp`",
        ),
        row("exp as true", json!({ "exp": true }), "the claim `exp`"),
        row("expired", json!({ "exp": NOW_S - 30 }), "it has expired"),
        row(
            "a long lifetime",
            json!({ "exp": NOW_S + 301 }),
            "longer than `lifetime_max`",
        ),
        row(
            "a far exp",
            json!({ "exp": NOW_S + 315_360_000 }),
            "longer than `lifetime_max`",
        ),
        row(
            "an old token with a long lifetime",
            json!({ "iat": NOW_S - 250, "exp": NOW_S + 60 }),
            "longer than `lifetime_max`",
        ),
        row(
            "a long lifetime without iat",
            json!({ "iat": null, "exp": NOW_S + 331 }),
            "longer than `lifetime_max`",
        ),
        row(
            "iat in the future",
            json!({ "iat": NOW_S + 31 }),
            "not valid yet",
        ),
        row(
            "nbf in the future",
            json!({ "nbf": NOW_S + 31 }),
            "not valid yet",
        ),
        row("nbf as text", json!({ "nbf": "0" }), "the claim `nbf`"),
        row("iat as text", json!({ "iat": "0" }), "the claim `iat`"),
        row("jti as a number", json!({ "jti": 7 }), "the claim `jti`"),
        row("an empty jti", json!({ "jti": "" }), "the claim `jti`"),
    ];
    assert_all_refused(&portal, "", rows).await;
    // The last value that each of these checks accepts.
    let menshen = start(&portal, "").await;
    for more in [
        json!({ "exp": NOW_S - 29 }),
        json!({ "exp": NOW_S + 300 }),
        json!({ "exp": f64::from(1_800_000_060_u32) + 0.5 }),
        json!({ "iat": NOW_S - 240, "exp": NOW_S + 60 }),
        json!({ "iat": null, "exp": NOW_S + 330 }),
        json!({ "iat": NOW_S + 30 }),
        json!({ "nbf": NOW_S + 30 }),
    ] {
        let token = portal.sign(&with_claims(&portal, &more));
        sign_in(&menshen, &token).await;
    }
}

#[tokio::test]
async fn the_limits_of_the_times_can_be_set() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let lines = "lifetime_max = '1h'\nclock_skew = '0s'";
    let rows = vec![
        claims(&portal, "now", json!({ "exp": NOW_S }), "it has expired"),
        claims(
            &portal,
            "a second early",
            json!({ "iat": NOW_S + 1 }),
            "not valid yet",
        ),
        claims(
            &portal,
            "an hour and a second",
            json!({ "exp": NOW_S + 3_601 }),
            "longer than `lifetime_max`",
        ),
    ];
    assert_all_refused(&portal, lines, rows).await;
    let menshen = start(&portal, lines).await;
    let token = portal.sign(&with_claims(&portal, &json!({ "exp": NOW_S + 3_600 })));
    sign_in(&menshen, &token).await;
}

#[tokio::test]
async fn an_auth_time_that_cannot_be_is_refused() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let row = |what, more, logged_error| claims(&portal, what, more, logged_error);
    let rows = vec![
        row(
            "auth_time in the future",
            json!({ "auth_time": NOW_S + 31 }),
            "`auth_time` is in the future",
        ),
        row(
            "auth_time as text",
            json!({ "auth_time": "1799999990" }),
            "the claim `auth_time`",
        ),
    ];
    assert_all_refused(&portal, "", rows).await;
}

#[tokio::test]
async fn max_age_counts_from_the_auth_time_of_the_token() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let fresh = "[[route]]\nname = 'fresh'\nhost = 'sso.test'\npath = '/fresh'\n\
                 upstream = ['{app}']\nmax_age = '10m'\n";
    let routes = format!("{fresh}{ROUTES}");
    let fresh_url = format!("{SSO_URL}/fresh/echo");
    // With the seconds after the login at which the page no longer opens.
    for (auth_time, until_s) in [
        (json!(null), 600),
        (json!(NOW_S), 600),
        // The clock of the portal may be ahead, and nobody gains from it.
        (json!(NOW_S + 30), 600),
        (json!(NOW_S - 590), 10),
        (json!(NOW_S - 3600), 0),
        (json!(0), 0),
    ] {
        let menshen = setup(&portal, "").routes(&routes).start().await;
        let token = portal.sign(&with_claims(&portal, &json!({ "auth_time": auth_time })));
        let mut browser = Browser::new(&menshen);
        assert!(sets_session(&follow_link(&mut browser, &token).await));
        let opens = async || browser.clone().visit(&fresh_url).await.status == 200;
        if until_s > 0 {
            menshen.advance(Duration::from_secs(until_s));
            assert!(opens().await, "{auth_time}");
        }
        menshen.advance(Duration::from_secs(1));
        assert!(!opens().await, "{auth_time}");
        // The session itself goes on.
        let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(echo.status, 200, "{auth_time}");
    }
}
