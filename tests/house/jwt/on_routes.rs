//! `on_routes`: a token in the URL of an application.

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;

use super::portal::Portal;
use super::{ID, LINK_HEADERS, sets_session, setup, sign_in, start};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, ROUTES, SSO_URL};
use crate::wire::Answer;

const ON_ROUTES: &str = "on_routes = true";

async fn menshen_on_routes() -> (Menshen, Portal) {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    (start(&portal, ON_ROUTES).await, portal)
}

/// Follows a link of the portal to an application.
async fn follow_link_to(browser: &mut Browser, url: &str) -> Answer {
    browser.send("GET", url, &LINK_HEADERS, b"").await
}

/// The login name that an application on this host learns.
async fn user_at(browser: &Browser, url: &str) -> Option<String> {
    let answer = browser.clone().visit(url).await;
    (answer.status == 200).then(|| answer.echoed("x-forwarded-user").join(","))
}

#[tokio::test]
async fn a_token_in_the_url_of_an_application_signs_its_person_in() {
    let (menshen, portal) = menshen_on_routes().await;
    let sign = || portal.sign(&portal.claims());
    for (before, after, to) in [
        (format!("{SSO_URL}/echo?token="), "", "/echo"),
        (
            format!("{SSO_URL}/echo?a=%E8%b4%A2+x&token="),
            "&token2=b&&c",
            "/echo?a=%E8%b4%A2+x&token2=b&&c",
        ),
        (format!("{SSO_URL}/echo?%74oken="), "&a", "/echo?a"),
        (format!("{SSO_URL}/public/x?token="), "", "/public/x"),
        (
            "http://oa.test/echo?token=".to_owned(),
            "&a=b",
            "http://oa.test/echo?a=b",
        ),
    ] {
        let mut browser = Browser::new(&menshen);
        let requests = menshen.app.requests();
        let url = format!("{before}{}{after}", sign());
        let answer = follow_link_to(&mut browser, &url).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some(to)),
            "{before}: {}",
            answer.text()
        );
        assert!(sets_session(&answer), "{before}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(
            menshen.app.requests(),
            requests,
            "{before}: the application saw it"
        );
        let host = if to.starts_with("http://oa.test") {
            "http://oa.test"
        } else {
            SSO_URL
        };
        let user = user_at(&browser, &format!("{host}/echo")).await;
        assert_eq!(user.as_deref(), Some("lisi"), "{before}");
        assert_eq!(menshen.app.requests(), requests + 1);
        // A person who repeats the request does not show the token to the application either.
        let again = follow_link_to(&mut browser, &url).await;
        assert_eq!((again.status, again.header("location")), (303, Some(to)));
        assert!(!sets_session(&again), "{before}");
        assert_eq!(
            menshen.app.requests(),
            requests + 1,
            "{before}: the application saw it"
        );
    }
}

#[tokio::test]
async fn a_session_on_another_host_counts_there_only() {
    let (menshen, portal) = menshen_on_routes().await;
    let mut browser = Browser::new(&menshen);
    let url = format!(
        "http://oa.test/echo?token={}",
        portal.sign(&portal.claims())
    );
    assert!(sets_session(&follow_link_to(&mut browser, &url).await));
    assert_eq!(
        user_at(&browser, "http://oa.test/echo").await.as_deref(),
        Some("lisi")
    );
    assert_eq!(user_at(&browser, "http://hr.test/echo").await, None);
    let stolen = browser.cookie("menshen").unwrap().value.clone();
    for host in ["hr.test", "sso.test"] {
        let mut other = Browser::new(&menshen);
        other.set_cookie(host, "menshen", &stolen);
        assert_eq!(
            user_at(&other, &format!("http://{host}/echo")).await,
            None,
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_bad_token_gets_the_page_of_all_refusals() {
    let (menshen, portal) = menshen_on_routes().await;
    let stranger = Portal::with_algorithm(Algorithm::HS256);
    let forged = stranger.sign(&portal.claims());
    let used = portal.sign(&portal.claims());
    sign_in(&menshen, &used).await;
    let requests = menshen.app.requests();
    for url in [
        format!("{SSO_URL}/echo?token={forged}"),
        format!("{SSO_URL}/echo?token={used}"),
        format!("{SSO_URL}/echo?token=x"),
        format!("http://oa.test/echo?token={forged}"),
        format!("{SSO_URL}/public/x?token={forged}"),
    ] {
        let answer = follow_link_to(&mut Browser::new(&menshen), &url).await;
        assert_eq!(answer.cause(), Some(Cause::EntryTokenRefused), "{url}");
        assert_eq!(
            (answer.status, sets_session(&answer)),
            (403, false),
            "{url}"
        );
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    for query in ["token=", "token=a&token=b"] {
        let url = format!("{SSO_URL}/echo?{query}");
        let answer = follow_link_to(&mut Browser::new(&menshen), &url).await;
        assert_eq!(
            (answer.status, answer.cause()),
            (400, Some(Cause::BadRequest)),
            "{query}"
        );
    }
    let foreign: Vec<_> = LINK_HEADERS
        .into_iter()
        .filter(|(name, _)| *name != "Referer")
        .collect();
    let url = format!("{SSO_URL}/echo?token={}", portal.sign(&portal.claims()));
    let answer = Browser::new(&menshen)
        .send("GET", &url, &foreign, b"")
        .await;
    assert_eq!(
        answer.cause(),
        Some(Cause::EntryTokenRefused),
        "from elsewhere"
    );
    assert_eq!(menshen.app.requests(), requests);
}

#[tokio::test]
async fn only_a_navigation_of_nobody_redeems_a_token() {
    let (menshen, portal) = menshen_on_routes().await;
    let token = portal.sign(&portal.claims());
    let url = format!("{SSO_URL}/echo?token={token}");
    let fetch = |mode, dest| {
        vec![
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", dest),
            ("Sec-Fetch-Site", "cross-site"),
            ("Referer", "https://portal.test/home"),
        ]
    };
    for headers in [
        fetch("cors", "empty"),
        fetch("no-cors", "image"),
        fetch("navigate", "iframe"),
        vec![("Accept", "*/*"), ("Referer", "https://portal.test/home")],
    ] {
        let answer = Browser::new(&menshen)
            .send("GET", &url, &headers, b"")
            .await;
        assert_eq!(
            (answer.status, sets_session(&answer)),
            (401, false),
            "{headers:?}"
        );
    }
    for method in ["HEAD", "POST", "PUT"] {
        let answer = Browser::new(&menshen)
            .send(method, &url, &LINK_HEADERS, b"")
            .await;
        assert!(!sets_session(&answer), "{method}");
    }
    // Nothing of this used the token.
    sign_in(&menshen, &token).await;
}

#[tokio::test]
async fn a_person_who_is_signed_in_stays_who_they_are_and_the_application_sees_no_token() {
    let (menshen, portal) = menshen_on_routes().await;
    let token = portal.sign(&portal.claims());
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    let requests = menshen.app.requests();
    for encrypted in [false, true] {
        let end = if encrypted { ".AA.AA" } else { "" };
        let url = format!("{SSO_URL}/echo?a=b&token={token}{end}");
        let answer = follow_link_to(&mut browser, &url).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some("/echo?a=b")),
            "{}",
            answer.text()
        );
        assert!(!sets_session(&answer));
        assert_eq!(menshen.app.requests(), requests);
    }
    let user = user_at(&browser, &format!("{SSO_URL}/echo")).await;
    assert_eq!(user.as_deref(), Some("zhangsan"));
    // A value that is no token belongs to the application.
    for value in ["reset-123", "1.2.3", "", "e.f", "e.f.g&token=h"] {
        let url = format!("{SSO_URL}/echo?token={value}");
        let answer = follow_link_to(&mut browser, &url).await;
        assert_eq!(answer.status, 200, "{value}: {}", answer.text());
        assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"], "{value}");
    }
    // Nothing of this used the token.
    sign_in(&menshen, &token).await;
}

#[tokio::test]
async fn a_route_for_other_connectors_and_a_connector_without_on_routes_redeem_nothing() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let token = portal.sign(&portal.claims());
    let routes = ROUTES.replace(
        "host = \"oa.test\"",
        "host = \"oa.test\"\nconnectors = [\"corp\"]",
    );
    let menshen = setup(&portal, ON_ROUTES).routes(&routes).start().await;
    let without = start(&portal, "").await;
    for (menshen, url) in [
        (&menshen, format!("http://oa.test/echo?token={token}")),
        (&menshen, format!("{SSO_URL}/echo?ticket={token}")),
        (&without, format!("{SSO_URL}/echo?token={token}")),
    ] {
        let answer = follow_link_to(&mut Browser::new(menshen), &url).await;
        assert!(!sets_session(&answer), "{url}");
        assert_ne!(answer.cause(), Some(Cause::EntryTokenRefused), "{url}");
    }
    sign_in(&menshen, &token).await;
    sign_in(&without, &token).await;
}

#[tokio::test]
async fn a_path_that_looks_like_a_host_leads_nowhere_else() {
    let (menshen, portal) = menshen_on_routes().await;
    for path in ["//evil.test/x", "/%2F/evil.test", "/\\evil.test"] {
        let url = format!("{SSO_URL}{path}?token={}", portal.sign(&portal.claims()));
        let answer = follow_link_to(&mut Browser::new(&menshen), &url).await;
        let location = answer.header("location").unwrap_or("/");
        let is_here = location.starts_with(SSO_URL)
            || (location.starts_with('/') && !location.starts_with("//"));
        assert!(is_here && !location.contains('\\'), "{path}: {location}");
    }
    // The entry point works as without `on_routes`.
    let url = format!(
        "{OWN_PAGES}/enter/{ID}?token={}",
        portal.sign(&portal.claims())
    );
    assert!(sets_session(
        &follow_link_to(&mut Browser::new(&menshen), &url).await
    ));
}
