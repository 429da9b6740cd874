//! Requests without a session: people are redirected to the login and return, programs get 401.

use futures_util::future::join_all;

use super::client::Ask;
use super::{HOST, LI_SI, Stage, ZHANG_SAN, promised, sign_in};
use crate::visitor::Visitor;

promised! {
    a_login_returns_to_the_requested_url
    programs_get_401_and_a_forged_cookie_is_ignored
    the_decided_path_is_the_forwarded_path
    another_applications_host_name_does_not_reach_this_one
    without_menshen_every_request_is_refused
}

/// A URL with parts that proxies like to normalize.
const DEEP: &str = "/dept%20a/c%2fd//e;v=1?year=2026&q=%E5%BC%A0&r=%26";

/// Paths that some servers read as a path below /finance.
const TRICKS: [&str; 17] = [
    "//finance/ledger",
    "/finance//ledger",
    "/%66inance/ledger",
    "/%2566inance/ledger",
    "/finance%2fledger",
    "/finance;a=b/ledger",
    "/x/../finance/ledger",
    "/x/..%2ffinance/ledger",
    "/x/%2e%2e/finance/ledger",
    "/x/..;/finance/ledger",
    "/x%5c..%5cfinance/ledger",
    "/./finance/ledger",
    "/public/../finance/ledger",
    "/public/%2e%2e/finance/ledger",
    "/public/..%2ffinance/ledger",
    "/.menshen/../finance/ledger",
    "/%2emenshen/../finance/ledger",
];

async fn a_login_returns_to_the_requested_url(stage: Stage) {
    let mut visitor = Visitor::trusting(HOST);
    let page = sign_in(&mut visitor, &stage.at(DEEP), ZHANG_SAN).await;
    // Traefik writes percent-encodings in upper case.
    assert_eq!(
        page.url.as_str().to_lowercase(),
        stage.at(DEEP).to_lowercase()
    );
    assert_eq!(page.status, 200, "{page:?}");
    let said: serde_json::Value = serde_json::from_str(&page.body).unwrap();
    assert_eq!(
        said["target"].as_str().unwrap().to_lowercase(),
        DEEP.to_lowercase()
    );
    let own: Vec<_> = visitor.visited.iter().map(|url| url.path()).collect();
    assert!(own.contains(&"/.menshen/callback/corp"), "{own:?}");

    // HEAD, frames and prefetches begin no login.
    let before = stage.application.requests();
    let [mut head, mut frame, mut ahead] = [(); 3].map(|()| Ask::get("/page").navigating());
    head.method = "HEAD";
    frame.headers.retain(|(name, _)| *name != "sec-fetch-dest");
    frame.headers.push(("sec-fetch-dest", "iframe"));
    ahead.headers.push(("sec-purpose", "prefetch"));
    for ask in [head, frame, ahead] {
        let answer = stage.client.send(&ask).await;
        assert_ne!(answer.status, 200, "{ask:?} {answer:?}");
        assert_eq!(answer.header("set-cookie"), None, "{ask:?} {answer:?}");
    }
    assert_eq!(stage.application.requests(), before);
}

/// A session cookie with another signature.
pub(super) fn forged(cookie: &str) -> String {
    // The last base64 character may have unused bits, so an earlier one is changed.
    let at = cookie.len() - 8;
    let other = match cookie.as_bytes()[at] {
        b'A' => "B",
        _ => "A",
    };
    format!("{}{other}{}", &cookie[..at], &cookie[at + 1..])
}

async fn programs_get_401_and_a_forged_cookie_is_ignored(stage: Stage) {
    let (_, cookie) = stage.member(ZHANG_SAN).await;
    let passed = stage
        .client
        .send(&Ask::get("/data").with("cookie", &cookie))
        .await;
    assert_eq!(passed.status, 200, "{passed:?}");
    let before = stage.application.requests();
    let forged = forged(&cookie);
    let two = format!("__Host-menshen=x; {forged}");
    for cookie in [None, Some("__Host-menshen=x"), Some(&forged), Some(&two)] {
        for method in ["GET", "POST", "OPTIONS"] {
            let mut ask = Ask::get("/data?x=1").with("accept", "application/json");
            ask.method = method;
            if let Some(cookie) = cookie {
                ask = ask.with("cookie", cookie);
            }
            let answer = stage.client.send(&ask).await;
            assert_eq!(answer.status, 401, "{ask:?} {answer:?}");
            let problem: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            let kind = answer.header("content-type");
            assert_eq!(kind, Some("application/problem+json"), "{answer:?}");
            assert_eq!(problem["status"], 401, "{answer:?}");
            assert_eq!(answer.header("set-cookie"), None, "{answer:?}");
        }
        let mut page = Ask::get("/page?x=1").navigating();
        page.headers.extend(cookie.map(|cookie| ("cookie", cookie)));
        let answer = stage.client.send(&page).await;
        assert!((302..=303).contains(&answer.status), "{answer:?}");
        assert!(
            answer.header("location").unwrap().contains("/.menshen/"),
            "{answer:?}"
        );
    }
    assert_eq!(stage.application.requests(), before);
}

async fn the_decided_path_is_the_forwarded_path(stage: Stage) {
    let (_, cookie) = stage.member(ZHANG_SAN).await;
    let answer = stage
        .client
        .send(&Ask::get(DEEP).with("cookie", &cookie))
        .await;
    let target = answer.said()["target"].as_str().unwrap().to_owned();
    assert_eq!(target.to_lowercase(), DEEP.to_lowercase());
    for trick in TRICKS {
        let member = Ask::get(trick).with("cookie", &cookie);
        for ask in [Ask::get(trick), member] {
            let answer = stage.client.send(&ask).await;
            let told = answer.of_application();
            assert_eq!(told, None, "{trick}");
            assert!(answer.status >= 300, "{trick} {answer:?}");
        }
    }
    // A permitted person reaches it by the plain path.
    let (_, cookie) = stage.member(LI_SI).await;
    let ledger = Ask::get("/finance/ledger").with("cookie", &cookie);
    assert_eq!(
        stage.client.send(&ledger).await.said()["target"],
        "/finance/ledger"
    );
    // The check endpoints refuse clients.
    for target in ["/auth", "/forward-auth", "/ext_authz/", "/ext_authz/public"] {
        let target = format!("/.menshen{target}");
        let ask = Ask::get(&target).with("cookie", &cookie);
        let answer = stage
            .client
            .send(&ask.with("x-forwarded-uri", "/public"))
            .await;
        assert!(answer.status >= 400, "{target} {answer:?}");
    }
}

async fn another_applications_host_name_does_not_reach_this_one(stage: Stage) {
    let (_, cookie) = stage.member(ZHANG_SAN).await;
    let before = stage.application.requests();
    // For menshen the other application is public.
    let port = stage.url.rsplit(':').next().unwrap();
    let with_port = format!("elsewhere.corp.example:{port}");
    for host in [
        "elsewhere.corp.example",
        &with_port,
        "ELSEWHERE.corp.example",
    ] {
        for target in ["/data", "/finance/ledger", "/public"] {
            let stranger = Ask::get(target).with("host", host);
            let member = stranger.clone().with("cookie", &cookie);
            for ask in [stranger.clone().navigating(), stranger, member] {
                let answer = stage.client.send(&ask).await;
                assert_eq!(answer.of_application(), None, "{ask:?} {answer:?}");
            }
        }
    }
    assert_eq!(stage.application.requests(), before);
}

async fn without_menshen_every_request_is_refused(mut stage: Stage) {
    let (_, cookie) = stage.member(ZHANG_SAN).await;
    let before = stage.application.requests();
    stage.menshen = None;
    let targets = ["/data", "/public", "/.menshen/sign_in", "/.menshen/../data"];
    let asks = targets.map(|target| [Ask::get(target), Ask::get(target).navigating()]);
    // All requests at once, because HAProxy retries for seconds.
    let answers = asks.into_iter().flatten().map(async |ask| {
        let ask = ask.with("cookie", &cookie);
        (stage.client.send(&ask).await, ask)
    });
    for (answer, ask) in join_all(answers).await {
        assert!((500..=504).contains(&answer.status), "{ask:?} {answer:?}");
    }
    assert_eq!(stage.application.requests(), before);
}
