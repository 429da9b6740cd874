//! Checks that other proxies send: over every protocol the verdict is the same as for a proxied request.

mod addresses;
pub(crate) mod faces;
mod secrets;
mod table;
mod targets;

use crate::browser::Browser;
use crate::ext_authz::GRPC_ON_MAIN;
use crate::mirror::Mirror;
use crate::records::Records;
use crate::setup::{Menshen, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wire::Answer;

/// A line of `[server]`: the test client is a trusted proxy.
pub(crate) const TRUST_LOOPBACK: &str = "trusted_proxies = [\"127.0.0.1\"]";

pub(crate) const ACCEPT_HTML: [(&str, &str); 1] = [("Accept", "text/html")];

fn auth(uri: &str) -> TestRequest {
    TestRequest::get("/.menshen/auth")
        .header("X-Forwarded-Uri", uri)
        .header("X-Original-Method", "GET")
        .header("X-Forwarded-Proto", "http")
        .header("X-Forwarded-For", "192.0.2.7")
}

fn forward_auth(uri: &str) -> TestRequest {
    TestRequest::get("/.menshen/forward-auth")
        .host("menshen.internal")
        .header("X-Forwarded-Method", "GET")
        .header("X-Forwarded-Proto", "http")
        .header("X-Forwarded-Host", "sso.test")
        .header("X-Forwarded-Uri", uri)
        .header("X-Forwarded-For", "192.0.2.7")
}

fn envoy(uri: &str) -> TestRequest {
    TestRequest::get(&format!("/.menshen/ext_authz{uri}")).header("X-Forwarded-For", "192.0.2.7")
}

async fn start_menshen() -> Menshen {
    Setup::default().server(TRUST_LOOPBACK).start().await
}

/// Starts menshen with these routes, a mirror as their upstream, and all check endpoints.
async fn menshen_with(routes: &str, mirror: &Mirror) -> Menshen {
    let routes = routes.replace("{mirror}", &mirror.base_url());
    let setup = Setup::default()
        .server(TRUST_LOOPBACK)
        .tables(GRPC_ON_MAIN)
        .routes(&routes);
    setup.start().await
}

fn reason(answer: &Answer) -> &str {
    answer.header("x-menshen-reason").unwrap_or("")
}

#[tokio::test]
async fn every_check_protocol_allows_a_member_and_names_them() {
    let menshen = start_menshen().await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    let answer = auth("/finance?x=1").session(&cookie).send(&menshen).await;
    assert_eq!(
        (answer.status, answer.header("x-auth-request-user")),
        (202, Some("lisi"))
    );
    let answer = forward_auth("/finance?x=1")
        .session(&cookie)
        .send(&menshen)
        .await;
    assert_eq!(
        (answer.status, answer.header("x-auth-request-user")),
        (200, Some("lisi"))
    );
    let answer = envoy("/finance?x=1")
        .header("Cookie", &format!("a=b; menshen={cookie}"))
        .header("X_Forwarded_User", "boss")
        .send(&menshen)
        .await;
    assert_eq!(
        (answer.status, answer.header("x-forwarded-user")),
        (200, Some("lisi"))
    );
    assert_eq!(answer.header("cookie"), Some("a=b"));
    let removed = answer.header("x-envoy-auth-headers-to-remove").unwrap();
    let removed: Vec<_> = removed.split(',').collect();
    assert!(removed.contains(&"x_forwarded_user") && removed.contains(&"x-auth-request-user"));
    assert!(!removed.contains(&"x-forwarded-user") && !removed.contains(&"cookie"));
}

#[tokio::test]
async fn envoy_removes_headers_that_override_the_method() {
    let route = |name: &str, more: &str| {
        format!(
            "[[route]]\nname = '{name}'\nhost = 'sso.test'\npath = '/{name}'\n\
             upstream = ['{{app}}']\n{more}\n"
        )
    };
    let routes = route(
        "reads",
        "allow = \"user != null && request.method == 'GET'\"",
    ) + &route("works", "allow = 'user != null'");
    let menshen = Setup::default()
        .server(TRUST_LOOPBACK)
        .routes(&routes)
        .start()
        .await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/.menshen/start?connector=corp"), "lisi")
        .await;
    let cookie = browser.cookie("menshen").unwrap().value.clone();
    for (path, taken) in [("/reads", true), ("/works", false)] {
        // Envoy itself decides which headers it sends to menshen.
        let answer = envoy(path).session(&cookie).send(&menshen).await;
        let removed = answer.header("x-envoy-auth-headers-to-remove").unwrap();
        for name in [
            "x-http-method-override",
            "x-http-method",
            "x-method-override",
        ] {
            let found = removed.split(',').any(|one| one == name);
            assert_eq!((answer.status, found), (200, taken), "{path} {name}");
        }
    }
}

#[tokio::test]
async fn every_check_protocol_refuses_with_its_own_status() {
    let menshen = start_menshen().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let at = menshen.address();
    for (request, status_of_page, status_of_program) in [
        (auth as fn(&str) -> TestRequest, 401, 401),
        (forward_auth, 303, 401),
        (envoy, 302, 401),
    ] {
        let answer = request("/deep?x=1&y=%2f")
            .headers(&ACCEPT_HTML)
            .send_to(at)
            .await;
        assert_eq!((answer.status, reason(&answer)), (status_of_page, "nobody"));
        let location = answer.header("location");
        let start =
            "http://sso.test/.menshen/start?rd=http%3A//sso.test/deep%3Fx%3D1%26y%3D%252f&n=1";
        assert_eq!(location, (status_of_page != 401).then_some(start));
        let answer = request("/deep").send_to(at).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (status_of_program, None)
        );
        let answer = request("/finance").session(&cookie).send_to(at).await;
        assert_eq!((answer.status, reason(&answer)), (403, "forbidden"));
        let answer = request("/a/%2e%2e/b").session(&cookie).send_to(at).await;
        assert_eq!(answer.status, 403);
        let answer = request("/deep").host("nowhere.test").session(&cookie);
        let answer = answer.send_to(at).await;
        let expected = if status_of_page == 303 { 200 } else { 403 };
        assert_eq!(
            answer.status, expected,
            "forward-auth ignores Host; the others refuse the unknown host"
        );
    }
}

#[tokio::test]
async fn a_check_from_an_untrusted_peer_is_refused() {
    let menshen = Setup::default().start().await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    for request in [auth("/"), forward_auth("/"), envoy("/")] {
        let answer = request.session(&cookie).send(&menshen).await;
        assert_eq!((answer.status, reason(&answer)), (403, "not-trusted"));
        assert_eq!(answer.header("x-auth-request-user"), None);
    }
}

/// One route for each part of a request that a rule may need, and one with its own port.
const ROUTES_NEEDING_PARTS: &str = r#"
[[route]]
name = "method"
host = "sso.test"
path = "/method"
access = "rule"
allow = "request.method == 'GET'"
[[route]]
name = "unsaid"
host = "sso.test"
path = "/unsaid"
access = "rule"
allow = "!has(request.method)"
[[route]]
name = "ip"
host = "sso.test"
path = "/ip"
access = "rule"
allow = "request.ip == '192.0.2.7' || request.ip == '127.0.0.1'"
[[route]]
name = "board"
host = "board.test"
access = "public"
[[route]]
name = "secure board"
host = "board.test:443"
"#;

#[tokio::test]
async fn parts_of_a_request_that_a_check_omits_are_never_guessed() {
    let log = Records::process_log();
    let menshen = Setup::default()
        .server(TRUST_LOOPBACK)
        .routes(ROUTES_NEEDING_PARTS)
        .start()
        .await;
    let request = |uri: &str| TestRequest::get("/.menshen/auth").header("X-Forwarded-Uri", uri);
    let with_all_parts = |uri: &str| {
        request(uri)
            .header("X-Original-Method", "GET")
            .header("X-Forwarded-For", "192.0.2.7")
    };
    for (uri, status) in [("/method", 202), ("/unsaid", 401), ("/ip", 202)] {
        assert_eq!(
            with_all_parts(uri).send(&menshen).await.status,
            status,
            "{uri}"
        );
        let answer = request(uri).send(&menshen).await;
        assert_eq!((answer.status, reason(&answer)), (403, "untold"), "{uri}");
    }
    let board = |proto: Option<&str>| {
        let request = request("/x").host("board.test");
        match proto {
            Some(proto) => request.header("X-Forwarded-Proto", proto),
            None => request,
        }
    };
    assert_eq!(board(Some("http")).send(&menshen).await.status, 202);
    assert_eq!(board(Some("https")).send(&menshen).await.status, 401);
    let answer = board(None).send(&menshen).await;
    assert_eq!((answer.status, reason(&answer)), (403, "untold"));
    // The log names the header to send.
    let log_text = log.text();
    assert!(
        log_text.contains("send X-Original-Method at /auth"),
        "no remedy"
    );
}

#[tokio::test]
async fn a_check_about_a_client_without_an_address_is_answered() {
    let menshen = start_menshen().await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    for chain in ["unix:", "unknown", "", "203.0.113.9, unknown"] {
        let auth = TestRequest::get("/.menshen/auth").header("X-Forwarded-Uri", "/echo");
        let auth = auth.header("X-Forwarded-Proto", "https, http");
        let forward = TestRequest::get("/.menshen/forward-auth")
            .header("X-Forwarded-Host", "sso.test, sso.test")
            .header("X-Forwarded-Proto", "http, http")
            .header("X-Forwarded-Method", "GET")
            .header("X-Forwarded-Uri", "/echo");
        let envoy = TestRequest::get("/.menshen/ext_authz/echo");
        for (request, allowed) in [(auth, 202), (forward, 200), (envoy, 200)] {
            let request = request.header("X-Forwarded-For", chain);
            assert_eq!(
                request.send(&menshen).await.status,
                401,
                "{chain} {request:?}"
            );
            let answer = request.clone().session(&cookie).send(&menshen).await;
            assert_eq!(answer.status, allowed, "{chain} {request:?}");
        }
    }
}

#[tokio::test]
async fn a_check_about_a_page_of_menshen_is_refused_with_a_reason() {
    let log = Records::process_log();
    let menshen = start_menshen().await;
    for request in [auth as fn(&str) -> TestRequest, forward_auth, envoy] {
        let answer = request("/.menshen/start?rd=/")
            .headers(&ACCEPT_HTML)
            .send(&menshen)
            .await;
        assert_eq!((answer.status, reason(&answer)), (403, "own-page"));
        assert_eq!(
            reason(&request("/.menshenx").send(&menshen).await),
            "nobody"
        );
    }
    assert!(
        log.text()
            .contains("route /.menshen/ to menshen without a check")
    );
}

#[tokio::test]
async fn a_redirect_loop_is_detected_when_the_proxy_strips_the_cookie() {
    let log = Records::process_log();
    let menshen = start_menshen().await;
    for (home, at) in [("sso.test", SSO_URL), ("oa.test", "http://oa.test")] {
        let mut browser = Browser::new(&menshen);
        browser.sign_in(&format!("{at}/echo"), "lisi").await;
        // The proxy does not forward the cookie to the check.
        let check = forward_auth("/echo").headers(&ACCEPT_HTML);
        let check = match home {
            "sso.test" => check,
            _ => TestRequest::get("/.menshen/ext_authz/echo")
                .host(home)
                .headers(&ACCEPT_HTML),
        };
        let redirect = check.send(&menshen).await;
        let page = browser.follow(redirect.header("location").unwrap()).await;
        assert_eq!(page.answer.status, 200, "{}", page.url);
        assert!(page.url.contains("/.menshen/start?"), "{}", page.url);
        assert!(
            page.answer.text().contains("/start?"),
            "the page has a link that starts a login"
        );
    }
    assert!(
        log.text()
            .contains("the Cookie header and the requested host to the check")
    );
    // A person without a session signs in through the same URL.
    let redirect = forward_auth("/echo")
        .headers(&ACCEPT_HTML)
        .send(&menshen)
        .await;
    let mut browser = Browser::new(&menshen);
    let to = redirect.header("location").unwrap();
    let page = browser.sign_in(to, "lisi").await;
    assert_eq!(page.url, format!("{SSO_URL}/echo"));
}
