//! menshen replaces oauth2-proxy: it accepts the same paths, parameters and headers.

use std::time::Duration;

use crate::browser::{Browser, href};
use crate::checking::TRUST_LOOPBACK;
use crate::setup::{Menshen, SECOND_CONNECTOR, SSO_URL, Setup};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wire;

async fn start_menshen() -> Menshen {
    let server = format!("prefix = \"/oauth2\"\n{TRUST_LOOPBACK}");
    let mapping = "[connector.corp.mapping]\nemail = \"profile.userid + '@corp.example'\"\n\
                   groups = \"['engineers', 'night shift']\"\n";
    Setup::default()
        .server(&server)
        .tables(mapping)
        .start()
        .await
}

/// A check with the headers of the nginx configuration that oauth2-proxy documents.
fn auth(query: &str, uri: &str) -> TestRequest {
    TestRequest::get(&format!("/oauth2/auth{query}"))
        .header("X-Real-IP", "192.0.2.7")
        .header("X-Forwarded-Uri", uri)
}

#[tokio::test]
async fn the_nginx_configuration_that_oauth2_proxy_documents_works_unchanged() {
    let menshen = start_menshen().await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    let answer = auth("", "/deep?x=1").send(&menshen).await;
    assert_eq!((answer.status, answer.header("location")), (401, None));
    let answer = auth("", "/deep?x=1").session(&cookie).send(&menshen).await;
    assert_eq!(answer.status, 202);
    for (name, value) in [
        ("x-auth-request-user", Some("lisi")),
        ("x-auth-request-preferred-username", Some("lisi")),
        ("x-auth-request-email", Some("lisi@corp.example")),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let other = session_cookie_of(&menshen, "zhangsan").await;
    let answer = auth("", "/finance").session(&other).send(&menshen).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn without_an_original_uri_only_hosts_with_one_verdict_are_decided() {
    let menshen = start_menshen().await;
    let cookies = [
        session_cookie_of(&menshen, "zhangsan").await,
        session_cookie_of(&menshen, "lisi").await,
    ];
    let request = |host: &str, who: usize| {
        TestRequest::get("/oauth2/auth")
            .host(host)
            .session(&cookies[who])
    };
    // sso.test has routes with different rules; only 李四 passes all of them.
    assert_eq!(request("sso.test", 1).send(&menshen).await.status, 202);
    let answer = request("sso.test", 0).send(&menshen).await;
    assert_eq!(
        (answer.status, answer.header("x-menshen-reason")),
        (403, Some("untold"))
    );
    let answer = request("oa.test", 0).send(&menshen).await;
    assert_eq!(answer.status, 202);
    let answer = request("nowhere.test", 1).send(&menshen).await;
    assert_eq!(answer.status, 403);
}

/// A public route for `/`, and a route with these lines for `/part`.
fn routes_with_part(lines: &str) -> String {
    let route = "[[route]]\nname = 'NAME'\nhost = 'sso.test'\nupstream = ['{app}']\n";
    let (whole, part) = (
        route.replace("NAME", "whole"),
        route.replace("NAME", "part"),
    );
    format!("{whole}access = 'public'\n{part}path = '/part'\n{lines}\n")
}

#[tokio::test]
async fn without_an_original_uri_no_identity_is_sent_to_public_routes() {
    for (lines, status) in [
        ("access = 'public'", 202),
        ("access = 'public'\nconnectors = ['other']", 403),
    ] {
        let setup = Setup::default()
            .server(TRUST_LOOPBACK)
            .routes(&routes_with_part(lines));
        let menshen = setup.tables(SECOND_CONNECTOR).start().await;
        let mut browser = Browser::new(&menshen);
        browser
            .sign_in(&format!("{SSO_URL}/.menshen/start?connector=corp"), "lisi")
            .await;
        let cookie = browser.cookie("menshen").unwrap().value.clone();
        let request = |request: TestRequest| request.session(&cookie);
        let part = TestRequest::get("/.menshen/auth").header("X-Forwarded-Uri", "/part");
        let named = request(part).send(&menshen).await;
        assert_eq!(named.status, 202);
        let answer = request(TestRequest::get("/.menshen/auth"))
            .send(&menshen)
            .await;
        assert_eq!(answer.status, status, "{lines}");
        let name = answer.header("x-auth-request-user");
        assert_eq!(
            name,
            named
                .header("x-auth-request-user")
                .filter(|_| status == 202),
            "{lines}"
        );
    }
}

#[tokio::test]
async fn allowed_lists_apply_when_a_silent_recheck_is_due() {
    let route = "[[route]]\nname = 'app'\nhost = 'sso.test'\nupstream = ['{app}']\n\
                 reload_user = 'always'\n";
    let server = format!("prefix = \"/oauth2\"\n{TRUST_LOOPBACK}");
    let menshen = Setup::default().server(&server).routes(route).start().await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    for wait_s in [0, 60] {
        menshen.advance(Duration::from_secs(wait_s));
        for (query, status) in [("", 202), ("?allowed_groups=nobody", 403)] {
            let request = auth(query, "/deep").header("X-Original-Method", "GET");
            let answer = request.session(&cookie).navigating().send(&menshen).await;
            assert_eq!(answer.status, status, "{query}, after {wait_s} s");
        }
    }
}

#[tokio::test]
async fn allowed_lists_only_restrict() {
    let menshen = start_menshen().await;
    let cookie = session_cookie_of(&menshen, "lisi").await;
    for (query, status) in [
        ("?allowed_emails=lisi@corp.example", 202),
        ("?allowed_emails=boss@corp.example,LISI@corp.example", 202),
        ("?allowed_emails=boss@corp.example", 403),
        ("?allowed_emails=", 403),
        ("?allowed_email_domains=corp.example", 202),
        ("?allowed_email_domains=other.example,corp.example", 202),
        ("?allowed_email_domains=.corp.example", 403),
        ("?allowed_email_domains=example", 403),
        ("?allowed_groups=nobody", 403),
        ("?allowed_groups=nobody,engineers", 202),
        ("?allowed_groups=night%20shift", 202),
        ("?allowed_groups=Engineers", 403),
        (
            "?allowed_groups=engineers&allowed_emails=boss@corp.example",
            403,
        ),
        ("?allowed_groups=", 403),
        (
            "?allowed_emails=lisi@corp.example&allowed_groups=nobody",
            403,
        ),
        (
            "?allowed_emails=lisi@corp.example&allowed_emails=lisi@corp.example",
            403,
        ),
        ("?rd=/&other=1", 202),
    ] {
        let answer = auth(query, "/deep").session(&cookie).send(&menshen).await;
        assert_eq!(answer.status, status, "{query}");
        let answer = auth(query, "/deep").send(&menshen).await;
        let anonymous_status = if query.matches("allowed_emails").count() == 2 {
            403
        } else {
            401
        };
        assert_eq!(answer.status, anonymous_status, "nobody, {query}");
        let answer = auth(query, "/finance/x")
            .session("forged")
            .send(&menshen)
            .await;
        assert_ne!(answer.status, 202, "{query}");
    }
    // On a public route an anonymous caller is on no list.
    let answer = auth("?allowed_groups=a", "/public").send(&menshen).await;
    assert_eq!(answer.status, 401);
    assert_eq!(auth("", "/public").send(&menshen).await.status, 202);
}

#[tokio::test]
async fn an_unencoded_rd_keeps_its_query() {
    let menshen = start_menshen().await;
    for url in [
        "/oauth2/start?rd=http://sso.test/echo?x=1&y=%2f&connector=other",
        "/oauth2/sign_in?rd=http://sso.test/echo?x=1&y=%2f&connector=other",
        "/oauth2/start?rd=/echo?x=1&y=%2f&connector=other",
        "/oauth2/start?rd=http%3A%2F%2Fsso.test%2Fecho%3Fx%3D1%26y%3D%252f%26connector%3Dother",
    ] {
        let mut browser = Browser::new(&menshen);
        let page = browser.sign_in(&format!("{SSO_URL}{url}"), "lisi").await;
        let expected = format!("{SSO_URL}/echo?x=1&y=%2f&connector=other");
        assert_eq!((page.answer.status, page.url), (200, expected), "{url}");
    }
    // A URL of another site is ignored.
    for url in [
        "/oauth2/start?rd=http://evil.test/echo?x=1&y=2",
        "/oauth2/start?rd=//evil.test/echo?x=1&y=2",
    ] {
        let mut browser = Browser::new(&menshen);
        let page = browser.sign_in(&format!("{SSO_URL}{url}"), "lisi").await;
        assert!(page.url.starts_with(SSO_URL), "{url}: {}", page.url);
    }
}

#[tokio::test]
async fn a_trusted_proxys_headers_name_the_return_url_unless_rd_does() {
    let trusted = start_menshen().await;
    let sign_in = async |menshen: &Menshen, header: &str, url: &str| {
        let mut browser = Browser::new(menshen);
        let (name, value) = header
            .split_once(": ")
            .unwrap_or(("X-Auth-Request-Redirect", header));
        browser
            .extra_headers
            .push((name.to_owned(), value.to_owned()));
        browser
            .sign_in(&format!("{SSO_URL}{url}"), "lisi")
            .await
            .url
    };
    for (header, url, expected) in [
        ("/echo?a=1&b=2", "/oauth2/start?rd=/echo?c=3", "/echo?c=3"),
        ("/echo?a=1&b=2", "/oauth2/start", "/echo?a=1&b=2"),
        ("http://sso.test/echo?a=1", "/oauth2/start", "/echo?a=1"),
        // If a person opened the sign-in page itself, nginx's $request_uri is the URL of that page.
        (
            "/oauth2/start?rd=%2Fecho%3Fa=1",
            "/oauth2/start?rd=/echo%3Fa=1",
            "/echo?a=1",
        ),
        ("X-Forwarded-Uri: /echo?d=4", "/oauth2/start", "/echo?d=4"),
        ("X-Forwarded-Uri: /echo?d=4", "/oauth2/sign_in", "/echo?d=4"),
        (
            "X-Forwarded-Uri: /echo?d=4",
            "/oauth2/sign_in?rd=/echo",
            "/echo",
        ),
        ("http://evil.test/", "/oauth2/start?rd=/echo", "/echo"),
        ("//evil.test/", "/oauth2/start?rd=/echo", "/echo"),
    ] {
        let url = sign_in(&trusted, header, url).await;
        assert_eq!(url, format!("{SSO_URL}{expected}"), "{header}");
    }
    let without_trust = Setup::default()
        .server("prefix = \"/oauth2\"")
        .start()
        .await;
    let url = sign_in(&without_trust, "/other", "/oauth2/start?rd=/echo").await;
    assert_eq!(
        url,
        format!("{SSO_URL}/echo"),
        "the header of an untrusted client is ignored"
    );
}

#[tokio::test]
async fn sign_out_may_redirect_to_another_host_of_the_site() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let url = format!("{SSO_URL}/oauth2/sign_out?rd=http://oa.test/echo?a=1");
    let page = browser.visit(&url).await;
    let again = href(&page.text(), "/sign_in?").expect("a link to sign in");
    let again = url::Url::parse(SSO_URL).unwrap().join(&again).unwrap();
    let page = browser.sign_in(again.as_str(), "lisi").await;
    let expected = "http://oa.test/echo?a=1".to_owned();
    assert_eq!((page.answer.status, page.url), (200, expected));
    let url = format!("{SSO_URL}/oauth2/sign_out?rd=http://evil.test/echo");
    let page = browser.visit(&url).await;
    assert!(!page.text().contains("evil.test"), "{}", page.text());
}

#[tokio::test]
async fn a_health_check_without_a_host_is_answered() {
    let menshen = start_menshen().await;
    let hosts = ["", "Host:\r\n", "Host: \r\n"];
    for path in ["/ping", "/ready", "/oauth2/ping", "/oauth2/ready"] {
        for host in hosts {
            for version in ["1.0", "1.1"] {
                for method in ["GET", "HEAD"] {
                    let probe = format!(
                        "{method} {path} HTTP/{version}\r\n{host}Connection: close\r\n\r\n"
                    );
                    let answer = wire::send_for_status(menshen.address(), probe.as_bytes()).await;
                    assert_eq!(answer, 200, "{probe:?}");
                }
            }
        }
    }
    // Other paths need a host.
    for path in ["/", "/echo", "/oauth2/sign_in", "/oauth2/ping/x", "/pingx"] {
        let probe = format!("GET {path} HTTP/1.0\r\n\r\n");
        let answer = wire::send_for_status(menshen.address(), probe.as_bytes()).await;
        assert_eq!(answer, 400, "{path}");
    }
    let admin = Setup::default()
        .tables("[admin]\nlisten = '127.0.0.1:0'")
        .start()
        .await;
    let address = admin.running.admin_address().unwrap();
    let probe = b"GET /healthz HTTP/1.0\r\n\r\n";
    assert_eq!(wire::send_for_status(address, probe).await, 200);
}

#[tokio::test]
async fn ping_and_ready_are_answered_at_the_root() {
    let menshen = start_menshen().await;
    for path in ["/ping", "/ready", "/oauth2/ping", "/oauth2/ready"] {
        let answer = TestRequest::get(path).host("10.0.0.1").send(&menshen).await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "OK\n"),
            "{path}"
        );
    }
    let default_prefix = Menshen::new().await;
    for path in ["/ping", "/ready"] {
        let answer = TestRequest::get(path).send(&default_prefix).await;
        assert_eq!(
            answer.status, 401,
            "without /oauth2, {path} is the application's"
        );
    }
}

#[tokio::test]
async fn ingress_nginx_sends_the_original_url() {
    let menshen = Setup::default()
        .server(TRUST_LOOPBACK)
        .tables("[check]\noriginal = \"x-original-url\"\n")
        .start()
        .await;
    let cookie = session_cookie_of(&menshen, "zhangsan").await;
    let request = |url: &str| {
        TestRequest::get("/.menshen/auth")
            .host("menshen.default.svc.cluster.local")
            .header("X-Original-URL", url)
            .header("X-Original-Method", "GET")
            .session(&cookie)
    };
    for (url, status) in [
        ("http://sso.test/deep?x=1", 202),
        ("https://sso.test/deep", 202),
        ("http://sso.test/finance", 403),
        ("http://SSO.test:80/finance?/deep", 403),
        ("http://nowhere.test/deep", 403),
        ("http://sso.test/deep#/finance", 403),
        ("http://sso.test@nowhere.test/deep", 403),
        // nginx builds the URL with the client's `Host`, which must not change where the host ends.
        ("http://sso.test?.apps.test/deep", 403),
        ("http://sso.test", 403),
        ("//sso.test/deep", 403),
        ("sso.test/deep", 403),
        ("", 403),
    ] {
        assert_eq!(request(url).send(&menshen).await.status, status, "{url}");
    }
    // The other header names are not read.
    let answer = request("http://sso.test/finance").header("X-Forwarded-Uri", "/deep");
    assert_eq!(answer.send(&menshen).await.status, 403);
    let twice = request("http://sso.test/deep").header("X-Original-URL", "http://sso.test/finance");
    assert_eq!(twice.send(&menshen).await.status, 403);
}

/// Browsers follow the link if a proxy sends the redirect with a status that they do not follow.
#[tokio::test]
async fn a_redirect_sent_with_another_status_still_has_a_link() {
    let connector = "auto_login = \"always\"";
    let server = format!("prefix = \"/oauth2\"\n{TRUST_LOOPBACK}");
    let setup = Setup::default().server(&server).connector(connector);
    let menshen = setup.start().await;
    let forwarded = [
        ("X-Forwarded-Host", "sso.test"),
        ("X-Forwarded-Uri", "/a?b=1&c=%3C2%3E"),
    ];
    let requests = [
        TestRequest::get("/oauth2/sign_in?rd=%2Fa%3Fb%3D1%26c%3D%3C2%3E"),
        TestRequest::get("/oauth2/start?rd=%2Fa%3Fb%3D1"),
        TestRequest::get("/oauth2/forward-auth").headers(&forwarded),
        TestRequest::get("/app?b=1&c=2"),
    ];
    for request in requests {
        let answer = request.clone().navigating().send(&menshen).await;
        assert!((300..400).contains(&answer.status), "{request:?}");
        let text = answer.text();
        let link = text
            .split_once("href=\"")
            .and_then(|(_, rest)| rest.split_once('"'));
        let link_url = link.map(|(to, _)| to.replace("&amp;", "&"));
        assert!(link_url.is_some(), "no link: {request:?} {text}");
        assert_eq!(
            answer.header("location"),
            link_url.as_deref(),
            "{request:?}"
        );
    }
}
