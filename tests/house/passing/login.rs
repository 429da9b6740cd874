//! Only a top-level navigation is redirected to a login; other requests get 401.

use menshen::face::page::Cause;

use crate::setup::Setup;
use crate::test_request::TestRequest;
use crate::wire::Answer;

/// The response to a request without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoginResponse {
    /// 302 to the provider, with a flow cookie.
    Redirect,
    /// 401 with a page that links to the login, and no flow cookie.
    Page,
    /// 401 with JSON.
    Json,
}

fn login_response(answer: &Answer, what: &str) -> LoginResponse {
    let cookies = answer.header_values("set-cookie").count();
    let content_type = answer.header("content-type").unwrap_or("");
    match answer.status {
        302 => {
            assert_eq!(cookies, 1, "{what}");
            assert!(answer.header("location").is_some(), "{what}");
            return LoginResponse::Redirect;
        }
        401 => {}
        status => panic!("{what}: {status}"),
    }
    assert_eq!(cookies, 0, "{what}");
    assert_eq!(answer.header("location"), None, "{what}");
    let challenge = answer.header("www-authenticate").unwrap_or("");
    assert!(!challenge.to_lowercase().contains("basic"), "{what}");
    if content_type.starts_with("text/html") {
        assert!(
            answer.text().contains("/.menshen/sign_in?rd="),
            "{what}: {}",
            answer.text()
        );
        return LoginResponse::Page;
    }
    let json = answer.json();
    assert_eq!(json["status"], 401, "{what}");
    let login_url = json["login_url"].as_str().unwrap();
    assert!(
        login_url.starts_with("http://sso.test/.menshen/sign_in?rd="),
        "{login_url}"
    );
    LoginResponse::Json
}

/// Method, headers as `Name: value`, and the expected response.
const MATRIX: &[(&str, &str, LoginResponse)] = &[
    // With Fetch Metadata, `Accept` does not matter.
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document",
        LoginResponse::Redirect,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document|Sec-Fetch-Site: cross-site|Accept: */*",
        LoginResponse::Redirect,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document|Sec-Purpose: prefetch",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document|Sec-Purpose: prefetch;prerender",
        LoginResponse::Json,
    ),
    // Office programs check a link before they open its last address in the browser.
    (
        "GET",
        "User-Agent: Mozilla/4.0 (compatible; ms-office; MSOffice 16)|Accept: text/html, */*",
        LoginResponse::Json,
    ),
    (
        "GET",
        "User-Agent: Microsoft Office Existence Discovery|Accept: text/html, */*",
        LoginResponse::Json,
    ),
    (
        "GET",
        "User-Agent: Mozilla/4.0 (compatible; MSIE 8.0; Trident/4.0)|Accept: text/html, */*",
        LoginResponse::Redirect,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: iframe|Accept: text/html",
        LoginResponse::Page,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: frame|Accept: text/html",
        LoginResponse::Page,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: embed",
        LoginResponse::Page,
    ),
    (
        "POST",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document|Accept: text/html",
        LoginResponse::Page,
    ),
    // A service worker forwards page loads without their destination.
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: empty|Sec-Fetch-Site: same-origin|Accept: */*",
        LoginResponse::Redirect,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: empty|Sec-Fetch-Site: same-origin|Sec-Purpose: prefetch",
        LoginResponse::Json,
    ),
    (
        "POST",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: empty|Sec-Fetch-Site: same-origin|Accept: */*",
        LoginResponse::Page,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: empty|Sec-Fetch-Site: cross-site|Accept: text/html",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: empty|Sec-Fetch-Site: same-site|Accept: text/html",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: empty|Accept: text/html",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: cors|Sec-Fetch-Dest: empty|Accept: text/html",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: no-cors|Sec-Fetch-Dest: image|Accept: image/*",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: same-origin|Sec-Fetch-Dest: empty|Accept: */*",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: websocket|Sec-Fetch-Dest: websocket|Connection: Upgrade|Upgrade: websocket",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Sec-Fetch-Site: none|Accept: text/html",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Sec-Fetch-Mode: navigate|Sec-Fetch-Mode: cors|Sec-Fetch-Dest: document",
        LoginResponse::Json,
    ),
    // Without Fetch Metadata: old browsers and WebViews.
    (
        "GET",
        "Accept: text/html,application/xhtml+xml,*/*;q=0.8",
        LoginResponse::Redirect,
    ),
    ("GET", "Accept: application/json", LoginResponse::Json),
    ("GET", "Accept: */*", LoginResponse::Json),
    ("GET", "", LoginResponse::Json),
    (
        "GET",
        "Accept: text/html|X-Requested-With: XMLHttpRequest",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Accept: text/html|X-Requested-With: xmlhttprequest",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Accept: text/html|X-Requested-With: com.tencent.wework",
        LoginResponse::Redirect,
    ),
    (
        "GET",
        "Accept: text/html|X-Requested-With: com.tencent.mm",
        LoginResponse::Redirect,
    ),
    (
        "GET",
        "Accept: text/html|X-Requested-With: cn.corp.oa|X-Requested-With: XMLHttpRequest",
        LoginResponse::Json,
    ),
    (
        "GET",
        "Accept: text/html|Connection: Upgrade|Upgrade: websocket",
        LoginResponse::Json,
    ),
    ("POST", "Accept: text/html", LoginResponse::Page),
    ("PUT", "Accept: application/json", LoginResponse::Json),
    ("DELETE", "", LoginResponse::Json),
    (
        "OPTIONS",
        "Origin: http://evil.test|Access-Control-Request-Method: DELETE",
        LoginResponse::Json,
    ),
];

#[tokio::test]
async fn only_a_top_level_navigation_is_redirected_to_log_in() {
    let setup = Setup::default().connector("auto_login = \"always\"");
    let menshen = setup.start().await;
    for (method, lines, expected) in MATRIX {
        let lines = lines.split('|').filter(|line| !line.is_empty());
        let headers: Vec<_> = lines.map(|line| line.split_once(": ").unwrap()).collect();
        let request = TestRequest::get("/echo?a=b")
            .method(method)
            .headers(&headers);
        let what = format!("{method} {headers:?}");
        assert_eq!(
            login_response(&request.send(&menshen).await, &what),
            *expected,
            "{what}"
        );
    }
    assert_eq!(menshen.app.requests(), 0);
}

#[tokio::test]
async fn a_form_post_without_a_session_gets_a_page_that_explains_how_to_resend_it() {
    let menshen = Setup::default().start().await;
    let sec_fetch = |dest: &'static str| {
        vec![
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", dest),
            ("Sec-Fetch-Site", "same-origin"),
        ]
    };
    for (method, headers, cause) in [
        ("POST", sec_fetch("document"), Cause::FormNeedsLogin),
        ("POST", sec_fetch("empty"), Cause::FormNeedsLogin),
        ("POST", vec![("Accept", "text/html")], Cause::FormNeedsLogin),
        ("PUT", sec_fetch("document"), Cause::FormNeedsLogin),
        ("POST", sec_fetch("iframe"), Cause::FrameNeedsLogin),
        ("GET", sec_fetch("iframe"), Cause::FrameNeedsLogin),
    ] {
        for lang in ["zh-CN", "en"] {
            let request = TestRequest::get("/echo").method(method).headers(&headers);
            let request = request.header("Accept-Language", lang);
            let answer = request.send(&menshen).await;
            let what = format!("{method} {headers:?} {lang}");
            assert_eq!(
                (answer.status, answer.cause()),
                (401, Some(cause)),
                "{what}"
            );
            let page = answer.text();
            let sign_in_link = "/.menshen/sign_in?rd=";
            assert!(
                page.contains(sign_in_link) && page.contains("_blank"),
                "{page}"
            );
        }
    }
    assert_eq!(menshen.app.requests(), 0);
}

#[tokio::test]
async fn a_fetch_on_another_host_gets_neither_redirect_nor_cookie() {
    let menshen = Setup::default().start().await;
    let navigation = TestRequest::get("/echo").host("oa.test").navigating();
    let answer = navigation.send(&menshen).await;
    assert_eq!(answer.status, 302);
    let to = answer.header("location").unwrap();
    assert!(to.starts_with("http://sso.test/.menshen/start?rd="), "{to}");
    for headers in [
        vec![("Accept", "application/json")],
        vec![("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")],
        vec![("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")],
    ] {
        let request = TestRequest::get("/echo").host("oa.test").headers(&headers);
        let answer = request.send(&menshen).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        assert_eq!(answer.header_values("set-cookie").count(), 0, "{headers:?}");
    }
}

#[tokio::test]
async fn a_head_request_starts_no_login() {
    let setup = Setup::default().connector("auto_login = \"always\"");
    let menshen = setup.start().await;
    let answer = TestRequest::get("/echo")
        .method("HEAD")
        .navigating()
        .send(&menshen)
        .await;
    assert_eq!(answer.status, 302);
    assert_eq!(answer.header_values("set-cookie").count(), 0);
    let to = answer.header("location").unwrap();
    assert!(to.contains("/.menshen/sign_in"), "{to}");
}

#[tokio::test]
async fn a_preflight_passes_without_a_session_only_where_the_route_allows_it() {
    let routes = r#"
[[route]]
name = "deny"
host = "sso.test"
upstream = ["{app}"]
[[route]]
name = "pass"
host = "sso.test"
path = "/pass"
preflight = "pass"
strip_path = true
upstream = ["{app}"]
"#;
    let menshen = Setup::default().routes(routes).start().await;
    let cookie = crate::test_request::session_cookie_of(&menshen, "zhangsan").await;
    let preflight = |path: &str| {
        let request = TestRequest::get(path).method("OPTIONS");
        request
            .header("Origin", "http://other.test")
            .header("Access-Control-Request-Method", "PUT")
    };
    assert_eq!(preflight("/echo").send(&menshen).await.status, 401);
    for request in [
        preflight("/pass/echo"),
        preflight("/pass/echo").session(&cookie),
    ] {
        let answer = request
            .header("X-Forwarded-User", "boss")
            .header("X-HTTP-Method-Override", "DELETE")
            .send(&menshen)
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.echoed("x-forwarded-user"), [""; 0]);
        assert_eq!(answer.echoed("cookie"), [""; 0]);
        // The request is allowed because its method is OPTIONS, so no header may change the method.
        assert_eq!(answer.echoed("x-http-method-override"), [""; 0]);
    }
    // Requests that only resemble a preflight are decided like any other.
    let complete = preflight("/pass/echo");
    for not_a_preflight in [
        complete.clone().method("GET"),
        complete.method("POST").header("Content-Length", "0"),
        TestRequest::get("/pass/echo").method("OPTIONS"),
        TestRequest::get("/pass/echo")
            .method("OPTIONS")
            .header("Origin", "http://other.test"),
    ] {
        assert_eq!(
            not_a_preflight.send(&menshen).await.status,
            401,
            "{not_a_preflight:?}"
        );
    }
}
