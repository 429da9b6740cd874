//! `on_routes`: a token in the URL of an application.

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;

use super::portal::Portal;
use super::{ID, LINK_HEADERS, sets_session, setup, sign_in, start};
use crate::browser::Browser;
use crate::checking::TRUST_LOOPBACK;
use crate::checking::faces::{Face, OriginalRequest, Verdict};
use crate::ext_authz::GRPC_ON_MAIN;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, ROUTES, SSO_URL, Setup};
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
    for value in ["reset-123", "1.2.3", "", "e.f", "e.f.g&token=h", "eyJ9.x"] {
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

/// The headers of requests that are no link: in a frame of the same site, ahead of time, by a script, as an
/// image, by a form, and by a program.
fn no_links() -> Vec<(&'static str, Vec<(&'static str, &'static str)>)> {
    let fetch = |mode, dest| {
        vec![
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", dest),
            ("Sec-Fetch-Site", "same-site"),
            ("Referer", "https://portal.test/home"),
        ]
    };
    let mut ahead = LINK_HEADERS.to_vec();
    ahead.push(("Sec-Purpose", "prefetch"));
    vec![
        ("GET", fetch("navigate", "iframe")),
        ("GET", ahead),
        ("GET", fetch("cors", "empty")),
        ("HEAD", fetch("navigate", "document")),
        ("GET", fetch("no-cors", "image")),
        ("POST", fetch("navigate", "document")),
        ("PUT", fetch("cors", "empty")),
        ("GET", vec![("Accept", "*/*")]),
    ]
}

#[tokio::test]
async fn no_application_sees_an_unused_token_whichever_way_the_request_comes() {
    let (menshen, portal) = menshen_on_routes().await;
    let token = portal.sign(&portal.claims());
    let mut person = Browser::new(&menshen);
    person.sign_in(&format!("{SSO_URL}/echo"), "zhangsan").await;
    let many: String = (0..80).map(|n| format!("p{n}=x&")).collect();
    let queries = [
        format!("token={token}"),
        format!("a=1&token=reset-1&token={token}"),
        format!("token={token}&token={token}"),
        format!("{many}token={token}"),
        format!("%74oken={token}"),
        format!("token={token}.AA.AA"),
        // White space before the header of a token that another library wrote.
        format!(
            "token=IHsiYWxnIjoiSFMyNTYifQ.{}",
            &token[token.find('.').unwrap() + 1..]
        ),
    ];
    let requests = menshen.app.requests();
    for (method, headers) in no_links() {
        for query in &queries {
            for (is_signed_in, path) in [(true, "/echo"), (true, "/public/x"), (false, "/public/x")]
            {
                let mut browser = match is_signed_in {
                    true => person.clone(),
                    false => Browser::new(&menshen),
                };
                let url = format!("{SSO_URL}{path}?{query}");
                let answer = browser.send(method, &url, &headers, b"").await;
                let what = format!("{method} {headers:?} {url} {is_signed_in}");
                assert!(!sets_session(&answer), "{what}");
                assert_eq!(
                    answer.header("referrer-policy"),
                    Some("no-referrer"),
                    "{what}"
                );
                let is_ahead = headers.iter().any(|(name, _)| *name == "Sec-Purpose");
                if is_ahead && !is_signed_in {
                    assert_eq!(answer.status, 401, "{what}");
                    continue;
                }
                let status = if matches!(method, "GET" | "HEAD") {
                    303
                } else {
                    307
                };
                assert_eq!(answer.status, status, "{what}: {}", answer.text());
                let to = answer.header("location").unwrap();
                assert!(
                    to.starts_with(path) && !to.contains("oken="),
                    "{what}: {to}"
                );
            }
        }
    }
    assert_eq!(
        menshen.app.requests(),
        requests,
        "the application saw a token"
    );
    // Nothing of this used the token.
    sign_in(&menshen, &token).await;
}

#[tokio::test]
async fn a_link_with_more_than_64_parameters_signs_in() {
    let (menshen, portal) = menshen_on_routes().await;
    let many: String = (0..80).map(|n| format!("p{n}=x&")).collect();
    let url = format!(
        "{SSO_URL}/echo?{many}token={}",
        portal.sign(&portal.claims())
    );
    let answer = follow_link_to(&mut Browser::new(&menshen), &url).await;
    assert!(sets_session(&answer), "{}", answer.text());
    let to = answer.header("location").unwrap();
    assert_eq!(to, format!("/echo?{}", many.trim_end_matches('&')));
}

#[tokio::test]
async fn a_route_for_other_connectors_never_gets_the_token() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let token = portal.sign(&portal.claims());
    let routes = ROUTES.replace(
        "host = \"oa.test\"",
        "host = \"oa.test\"\nconnectors = [\"corp\"]",
    );
    let menshen = setup(&portal, ON_ROUTES).routes(&routes).start().await;
    let url = format!("http://oa.test/echo?a=b&token={token}");
    // Before the login and after it, which leads back to the address.
    let mut browser = Browser::new(&menshen);
    let answer = follow_link_to(&mut browser, &url).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("http://oa.test/echo?a=b"))
    );
    assert!(!sets_session(&answer));
    browser.sign_in("http://oa.test/echo?a=b", "zhangsan").await;
    let requests = menshen.app.requests();
    let answer = follow_link_to(&mut browser, &url).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("http://oa.test/echo?a=b"))
    );
    assert_eq!(menshen.app.requests(), requests);
    sign_in(&menshen, &token).await;
}

#[tokio::test]
async fn a_check_lets_no_token_pass_to_the_application_of_another_proxy() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let tables = portal.connector_toml(ID, ON_ROUTES);
    let setup = Setup::default().server(TRUST_LOOPBACK);
    let setup = setup.tables(&format!("{NO_LOGIN_LIMITS}\n{tables}\n{GRPC_ON_MAIN}"));
    let menshen = setup.start().await;
    let token = portal.sign(&portal.claims());
    let mut person = Browser::new(&menshen);
    person.sign_in(&format!("{SSO_URL}/echo"), "zhangsan").await;
    let cookie = format!("menshen={}", person.cookie("menshen").unwrap().value);
    for face in Face::ALL.into_iter().filter(|face| *face != Face::Proxy) {
        for (method, path) in [("GET", "/echo"), ("GET", "/public/x"), ("POST", "/echo")] {
            let ask = async |query: &str| {
                let request = OriginalRequest::get(&format!("{path}?a=b{query}"));
                let request = request.method(method).header("Cookie", &cookie);
                request
                    .header("Accept", "text/html")
                    .send_to(face, menshen.address())
                    .await
            };
            let what = format!("{face:?} {method} {path}");
            assert_eq!(
                ask("&token=reset-1").await.verdict,
                Verdict::Allow,
                "{what}"
            );
            let answer = ask(&format!("&token={token}")).await.answer;
            assert_eq!(
                answer.header("x-menshen-reason"),
                Some("unused-token"),
                "{what}"
            );
            match (face, method) {
                (Face::Auth, _) => assert_eq!(answer.status, 403, "{what}"),
                (_, "GET") => assert!(matches!(answer.status, 302 | 303), "{what}"),
                _ => assert_eq!(answer.status, 307, "{what}"),
            }
            if face.can_redirect() {
                let to = answer.header("location").unwrap_or_default();
                assert_eq!(to, format!("{path}?a=b"), "{what}");
            }
        }
    }
    sign_in(&menshen, &token).await;
}
