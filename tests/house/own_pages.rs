//! The pages that menshen itself serves: self-contained, bilingual, without secrets, and safe from injection.

use menshen::face::page::Cause;

use crate::browser::{Browser, navigation_headers};
use crate::logging_in::{OWN_PAGES, query_parameter};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, Setup};
use crate::wecom::SECRET;
use crate::wire::Answer;

/// Text that no page may repeat unescaped.
const HOSTILE: &str = "<i>\"'`&{{1009*1013}}";

/// Every page that menshen itself serves, requested with these additional headers.
async fn pages(menshen: &Menshen, extra: &[(&str, &str)]) -> Vec<(&'static str, Answer)> {
    let new_browser = || {
        let mut browser = Browser::new(menshen);
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        browser.extra_headers.extend(extra.iter().map(owned));
        browser
    };
    let mut pages = Vec::new();
    for (what, path) in [
        (
            "chooser for an application",
            "/.menshen/sign_in?rd=/x%3Fi%3D%253Ci%253E&why=expired",
        ),
        ("sign_in", "/.menshen/sign_in?rd=/%3Ci%3E&x=%3Ci%3E%22%27"),
        ("no own path", "/.menshen/%3Ci%3E"),
        ("no host", "http://nowhere.test/"),
        (
            "bad callback",
            "/.menshen/callback/corp?code=%3Ci%3E&state=%3Ci%3E",
        ),
        (
            "lost callback",
            "/.menshen/callback/corp?code=1&state=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        ("no connector", "/.menshen/start?connector=%3Ci%3E"),
        ("bad ticket", "/.menshen/ticket?t=%3Ci%3E"),
        ("signed out", "/.menshen/sign_out?rd=/%3Ci%3E"),
        ("ambiguous", "/a/..;/b"),
    ] {
        let url = if path.starts_with('/') {
            format!("{SSO_URL}{path}")
        } else {
            path.to_owned()
        };
        pages.push((what, new_browser().visit(&url).await));
    }
    let mut framed = navigation_headers();
    framed[2].1 = "iframe";
    let answer = new_browser()
        .send("GET", &format!("{SSO_URL}/x"), &framed, b"")
        .await;
    pages.push(("framed", answer));
    let mut signed_in = new_browser();
    signed_in
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    pages.push((
        "forbidden",
        signed_in.visit(&format!("{SSO_URL}/finance?%3Ci%3E")).await,
    ));
    pages.push((
        "sign_in with a session",
        signed_in.visit(&format!("{OWN_PAGES}/sign_in?rd=/x")).await,
    ));
    pages.push((
        "signed out of a session",
        signed_in.visit(&format!("{OWN_PAGES}/sign_out")).await,
    ));
    let mut refused = new_browser();
    let login_page = refused.open_login_page(&format!("{SSO_URL}/x")).await;
    let back = refused.choose_person(&login_page, "zhaomin").await;
    pages.push(("refused", refused.visit(&back).await));
    pages
}

#[tokio::test]
async fn every_page_is_self_contained_and_cannot_be_framed() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for (what, page) in pages(&menshen, &[]).await {
        let html = page.text();
        assert!(html.starts_with("<!doctype html>"), "{what}: {html}");
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{what}"
        );
        assert_eq!(page.header("cache-control"), Some("no-store"), "{what}");
        assert_eq!(
            page.header("x-content-type-options"),
            Some("nosniff"),
            "{what}"
        );
        let policy = page.header("content-security-policy").unwrap_or_default();
        assert!(
            policy.starts_with("default-src 'none';"),
            "{what}: {policy}"
        );
        assert!(
            !policy.contains("unsafe") && !policy.contains("script-src"),
            "{what}: {policy}"
        );
        assert!(policy.contains("base-uri 'none'"), "{what}: {policy}");
        let framed = what == "framed";
        assert_eq!(page.header("x-frame-options").is_none(), framed, "{what}");
        assert_eq!(policy.contains("frame-ancestors 'none'"), !framed, "{what}");
        // Pages load nothing and run nothing.
        for part in [
            "<script", "<iframe", "<object", "<embed", "<img", "@import", "url(", " on",
        ] {
            let found = html.split("<style").next().unwrap().contains(part)
                || html.split("</style>").nth(1).unwrap().contains(part);
            let attribute =
                part == " on" && !html.contains(" onclick") && !html.contains(" onload");
            assert!(!found || attribute, "{what}: {part}");
        }
        assert!(
            !html.contains("src=\"http") && !html.contains("<link rel=\"stylesheet"),
            "{what}"
        );
        let request_id = html.split("<code>").nth(1);
        let request_id = request_id.and_then(|rest| rest.split('<').next());
        let nothing_is_wrong = [
            "chooser for an application",
            "sign_in",
            "signed out",
            "sign_in with a session",
            "signed out of a session",
        ];
        match nothing_is_wrong.contains(&what) {
            true => assert_eq!(request_id, None, "{what}"),
            false => assert!(request_id.is_some_and(|id| id.len() >= 16), "{what}"),
        }
    }
}

#[tokio::test]
async fn every_page_follows_accept_language() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    for (accept, lang) in [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        ("en-GB,en;q=0.9", "en"),
        ("en;q=0.3,zh;q=0.7", "zh-CN"),
        ("de-DE,de;q=0.9", "en"),
    ] {
        for (what, page) in pages(&menshen, &[("Accept-Language", accept)]).await {
            let html = page.text();
            assert!(
                html.contains(&format!("<html lang=\"{lang}\">")),
                "{what} {accept}"
            );
            assert_eq!(
                page.header("content-language"),
                Some(lang),
                "{what} {accept}"
            );
            let chinese = html
                .chars()
                .filter(|c| ('\u{4e00}'..='\u{9fff}').contains(c))
                .count();
            assert_eq!(chinese > 20, lang == "zh-CN", "{what} {accept}: {chinese}");
        }
    }
    let page = Browser::new(&menshen)
        .visit(&format!("{OWN_PAGES}/sign_in"))
        .await;
    assert_eq!(
        page.header("content-language"),
        Some("zh-CN"),
        "the default without Accept-Language"
    );
}

#[tokio::test]
async fn untrusted_text_is_never_markup() {
    let name = format!(
        "[connector.other]\ndisplay_name = '''{}'''",
        HOSTILE.replace('\'', "")
    );
    let connector = SECOND_CONNECTOR.replace("[connector.other]", &name);
    let setup = Setup::default()
        .server("trusted_proxies = ['127.0.0.1']")
        .tables(&format!("{connector}{NO_LOGIN_LIMITS}"));
    let menshen = setup.start().await;
    menshen
        .wecom
        .member("zhangsan", |one| one.name = HOSTILE.to_owned());
    let extra = [
        ("X-Request-Id", HOSTILE),
        ("Accept-Language", "<i>"),
        ("Referer", "http://sso.test/<i>"),
    ];
    let mut pages_with_name = 0;
    for (what, page) in pages(&menshen, &extra).await {
        let html = page.text();
        assert!(
            !html.contains("<i>") && !html.contains("1022117"),
            "{what}: {html}"
        );
        assert!(!html.contains("\"'`"), "{what}: {html}");
        pages_with_name += usize::from(html.contains("&#60;i&#62;") || html.contains("&lt;i&gt;"));
        for (name, value) in &page.headers {
            assert!(!value.contains("<i>"), "{what} {name}: {value}");
        }
    }
    assert!(
        pages_with_name >= 3,
        "names are shown, escaped: {pages_with_name}"
    );
    // The user agent and the host are untrusted, too.
    let mut browser = Browser::new(&menshen).with_user_agent("MicroMessenger/8 <i>\"");
    let page = browser.visit(&format!("{OWN_PAGES}/sign_in")).await;
    assert!(!page.text().contains("<i>"));
    for host in ["<i>", "sso.test<i>", "sso.test\"", "sso.test:80<i>"] {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
        );
        let answer = crate::wire::send(menshen.address(), head.as_bytes()).await;
        assert_eq!(answer.status, 400, "{host}");
        assert!(!answer.text().contains("<i>"), "{host}");
    }
}

#[tokio::test]
async fn no_page_repeats_credentials() {
    let menshen = Setup::default().tables(NO_LOGIN_LIMITS).start().await;
    let mut browser = Browser::new(&menshen);
    let login_page = browser.open_login_page(&format!("{SSO_URL}/finance")).await;
    let flow_cookie = browser.cookies()[0].value.clone();
    let back = browser.choose_person(&login_page, "zhangsan").await;
    let code = query_parameter(&back, "code").unwrap();
    let forbidden = browser.follow(&back).await.answer;
    assert_eq!(forbidden.status, 403);
    let session = browser.cookie("menshen").unwrap().value.clone();
    let query = menshen.wecom.last_query("/cgi-bin/user/get").unwrap();
    let token = query_parameter(&format!("http://x/?{query}"), "access_token").unwrap();
    let mut answers = vec![forbidden];
    for path in [
        "/.menshen/userinfo",
        "/.menshen/sign_in?rd=/x",
        "/.menshen/login-config/corp",
        "/.menshen/nothing",
        "/.menshen/ticket?t=x",
        "/.menshen/callback/corp?code=x&state=y",
        "/a/..;/b",
    ] {
        answers.push(browser.visit(&format!("{SSO_URL}{path}")).await);
    }
    // The code is only in the URL of the callback, also for repeated and broken requests.
    answers.push(browser.visit(&back).await);
    answers.push(Browser::new(&menshen).visit(&back).await);
    answers.push(
        Browser::new(&menshen)
            .visit(&format!("{back}&code=2"))
            .await,
    );
    answers.push(browser.visit(&format!("{OWN_PAGES}/sign_out")).await);
    for answer in &answers {
        let text = format!("{:?} {}", answer.headers, answer.text());
        for secret in [&flow_cookie, &code, &session, &token, &SECRET.to_owned()] {
            assert!(!text.contains(secret.as_str()), "{text}");
        }
    }
    // The application sees no credentials, either.
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await.text();
    assert!(
        !echo.contains("menshen=") && !echo.contains("menshen-flow"),
        "{echo}"
    );
}

#[tokio::test]
async fn a_domain_verification_file_is_served_without_login() {
    let files = "files = { '/WW_verify_abcdefghijklmnop.txt' = 'abcdefghijklmnop' }";
    let menshen = Setup::default().server(files).start().await;
    let mut browser = Browser::new(&menshen);
    for host in ["http://sso.test", "http://oa.test"] {
        let url = format!("{host}/WW_verify_abcdefghijklmnop.txt");
        let answer = browser.send("GET", &url, &[], b"").await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "abcdefghijklmnop"),
            "{host}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        let head = browser.send("HEAD", &url, &[], b"").await;
        assert_eq!((head.status, head.body.len()), (200, 0));
    }
    for path in [
        "/WW_verify_abcdefghijklmnop.txt/",
        "/WW_verify_abcdefghijklmnop.txtx",
        "/ww_verify_abcdefghijklmnop.txt",
        "/x/WW_verify_abcdefghijklmnop.txt",
    ] {
        let answer = browser
            .send("GET", &format!("{SSO_URL}{path}"), &[], b"")
            .await;
        assert_eq!(answer.status, 401, "{path}");
    }
    assert_eq!(menshen.app.requests(), 0);
}

#[tokio::test]
async fn own_paths_are_never_forwarded() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let requests_before = menshen.app.requests();
    for path in [
        "",
        "/",
        "/nothing",
        "/sign_in/x",
        "/start/x",
        "/userinfo/",
        "/ping/x",
        "/login",
        "/login-config",
        "/callback/corp/x",
        "/callback/no_id!",
    ] {
        for host in ["http://sso.test", "http://oa.test"] {
            let answer = browser.visit(&format!("{host}/.menshen{path}")).await;
            assert_eq!(
                (answer.status, answer.cause()),
                (404, Some(Cause::NotFound)),
                "{host} {path}"
            );
        }
    }
    assert_eq!(menshen.app.requests(), requests_before);
    // Paths that only share a prefix belong to the application.
    assert_eq!(
        browser.visit(&format!("{SSO_URL}/.menshenx")).await.status,
        200
    );
    assert_eq!(menshen.app.requests(), requests_before + 1);
}

#[tokio::test]
async fn ping_is_answered_on_every_host() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    for host in ["http://sso.test", "http://oa.test", "http://unknown.test"] {
        let url = format!("{host}/.menshen/ping");
        let answer = browser.send("GET", &url, &[], b"").await;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "OK\n"),
            "{host}"
        );
        assert_eq!(browser.send("HEAD", &url, &[], b"").await.status, 200);
    }
    let menshen = Setup::default().server("prefix = '/oauth2'").start().await;
    let mut browser = Browser::new(&menshen);
    let answer = browser
        .send("GET", &format!("{SSO_URL}/oauth2/ping"), &[], b"")
        .await;
    assert_eq!(answer.status, 200);
    let page = browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    assert_eq!(page.answer.status, 200);
    assert!(
        browser
            .visited
            .iter()
            .any(|url| url.contains("/oauth2/callback/corp?code="))
    );
}

#[tokio::test]
async fn too_many_parameters_are_refused() {
    let menshen = Menshen::new().await;
    for (count, status) in [(64, 200), (65, 400), (2000, 400)] {
        let query = "a=1&".repeat(count - 1);
        let url = format!("{OWN_PAGES}/sign_in?{query}rd=/x");
        let answer = Browser::new(&menshen).visit(&url).await;
        assert_eq!(answer.status, status, "{count}");
    }
}
