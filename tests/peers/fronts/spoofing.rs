//! Forged headers of every kind that an endpoint reads or an application trusts.

use super::client::Ask;
use super::members::login_header;
use super::{Stage, ZHANG_SAN, promised};
use std::net::Ipv4Addr;

promised! {
    spoofed_request_headers_change_no_verdict
    spoofed_identity_headers_reach_no_application
}

/// Headers that describe the original request in a favourable way.
const HELPFUL: [(&str, &str); 14] = [
    ("x-forwarded-uri", "/public"),
    ("x-original-uri", "/public"),
    ("x-original-url", "https://oa.corp.example/public"),
    ("x-rewrite-url", "/public"),
    ("x-forwarded-host", "elsewhere.corp.example"),
    ("x-original-host", "elsewhere.corp.example"),
    ("x-forwarded-method", "GET"),
    ("x-original-method", "GET"),
    ("x-http-method-override", "GET"),
    ("x-forwarded-for", "127.0.0.3"),
    ("x-real-ip", "127.0.0.3"),
    (
        "forwarded",
        "for=127.0.0.3;host=elsewhere.corp.example;proto=http",
    ),
    ("x-auth-request-redirect", "https://elsewhere.corp.example/"),
    ("x-envoy-original-path", "/public"),
];

/// The identity headers.
const IDENTITY: [&str; 13] = [
    "x-forwarded-user",
    "x-forwarded-preferred-username",
    "x-forwarded-name",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-access-token",
    "x-auth-request-user",
    "x-auth-request-preferred-username",
    "x-auth-request-name",
    "x-auth-request-email",
    "x-auth-request-groups",
    "x-auth-request-access-token",
    "x-menshen-assertion",
];

/// A value that only the client sends.
const MADE_UP: &str = "made-up-by-a-client";

async fn spoofed_request_headers_change_no_verdict(stage: Stage) {
    let (_, cookie) = stage.member(ZHANG_SAN).await;
    let member = |method, target| {
        let mut ask = Ask::get(target).with("cookie", &cookie);
        ask.method = method;
        ask
    };
    let cases = [
        (Ask::get("/data"), 401),
        (member("GET", "/finance/ledger"), 403),
        (member("POST", "/reading"), 403),
        (member("GET", "/office"), 403),
        (member("GET", "/data"), 200),
        (member("GET", "/reading"), 200),
    ];
    for (plain, status) in cases {
        assert_eq!(stage.client.send(&plain).await.status, status, "{plain:?}");
        let each = HELPFUL.iter().map(|one| vec![*one]);
        let twice = HELPFUL.iter().map(|one| vec![*one, *one]);
        let all = [HELPFUL.to_vec()];
        for made_up in each.chain(twice).chain(all) {
            let mut ask = plain.clone();
            ask.headers.extend(&made_up);
            let answer = stage.client.send(&ask).await;
            assert_eq!(answer.status, status, "{ask:?} {answer:?}");
        }
    }
    // A client with the permitted address passes.
    let mut inside = member("GET", "/office");
    inside.from = Ipv4Addr::new(127, 0, 0, 3);
    assert_eq!(stage.client.send(&inside).await.status, 200);
    // The login returns to the requested URL over https.
    let mut ask = Ask::get("/page?x=1").navigating();
    let plain = stage.client.send(&ask).await;
    ask.headers.extend(HELPFUL);
    ask.headers.push(("x-forwarded-proto", "http"));
    ask.headers.push(("x-forwarded-port", "1"));
    let answer = stage.client.send(&ask).await;
    assert_eq!(answer.status, plain.status);
    assert_eq!(answer.header("location"), plain.header("location"));
    // The application does not receive the forged headers, either.
    let mut ask = member("GET", "/data");
    ask.headers.extend(HELPFUL);
    let said = stage.client.send(&ask).await.said().to_string();
    for untrue in ["/public", "127.0.0.3", "elsewhere"] {
        let methods_and_envoys = said.matches("x-envoy-original-path").count();
        let allowed = if untrue == "/public" {
            methods_and_envoys
        } else {
            0
        };
        assert_eq!(said.matches(untrue).count(), allowed, "{untrue}: {said}");
    }
}

async fn spoofed_identity_headers_reach_no_application(stage: Stage) {
    let (_, cookie) = stage.member(ZHANG_SAN).await;
    let login = login_header(stage.front);
    for name in IDENTITY {
        let upper = name.to_uppercase();
        let first_only = name.replacen('-', "_", 1);
        for spelt in [
            vec![name.to_owned()],
            vec![name.to_owned(), name.to_owned()],
            vec![upper],
            vec![name.replace('-', "_")],
            vec![first_only.clone()],
            vec![name.replace('-', "_"), name.to_owned(), first_only],
            vec![name.replace('-', ".")],
        ] {
            let made_up = spelt.iter().map(|name| (name.as_str(), MADE_UP));
            for (target, cookie, who) in [
                ("/data", Some(&cookie), &[ZHANG_SAN][..]),
                ("/public", Some(&cookie), &[ZHANG_SAN]),
                ("/public", None, &[]),
            ] {
                let mut ask = Ask::get(target);
                ask.headers
                    .extend(cookie.map(|cookie| ("cookie", cookie.as_str())));
                ask.headers.extend(made_up.clone());
                let answer = stage.client.send(&ask).await;
                // A proxy may refuse an invalid header name.
                if answer.status == 400 {
                    continue;
                }
                assert_eq!(answer.status, 200, "{ask:?} {answer:?}");
                assert_eq!(answer.told(login), who, "{ask:?} {answer:?}");
                assert!(!answer.body.contains(MADE_UP), "{ask:?} {answer:?}");
            }
        }
    }
}
