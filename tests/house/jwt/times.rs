//! Hostile tokens whose times or ID are wrong. Beside each the last value that passes.

use jsonwebtoken::Algorithm;
use serde_json::json;

use super::hostile::{assert_all_refused, claims};
use super::portal::{NOW_S, Portal};
use super::{sign_in, start, with_claims};

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
