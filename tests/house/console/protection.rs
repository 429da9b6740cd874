//! What protects the console from other sites: CSRF tokens, the origin, host names, headers, cookies.

use super::*;
use crate::stores::{Meddler, TempDir};
use crate::wire;

const ALL: [(&str, &str); 3] = [
    ("action", "end-all"),
    ("everyone", "yes"),
    ("confirm", "yes"),
];

#[tokio::test]
async fn a_form_without_the_token_of_its_session_changes_nothing() {
    let menshen = setup().start().await;
    let mut person = sign_in_elsewhere(&menshen, "zhangsan").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let other = Visit::of_administrator(&menshen, "other").await;
    let token = visit.csrf_token.clone();
    for wrong in [
        "",
        "x",
        &other.csrf_token,
        &token[1..],
        &token.to_uppercase(),
    ] {
        visit.csrf_token = wrong.to_owned();
        let answer = visit.post("/console/sessions", &ALL).await;
        assert_eq!(answer.status, 403, "{wrong}");
        assert_eq!(visit.post("/console/sign_out", &[]).await.status, 403);
    }
    let twice = [
        ("csrf", token.as_str()),
        ("csrf", token.as_str()),
        ALL[0],
        ALL[1],
        ALL[2],
    ];
    let origin = [("Origin", CONSOLE_URL)];
    let answer = visit.post_from(&origin, "/console/sessions", &twice).await;
    assert_eq!(answer.status, 403);
    assert!(is_signed_in(&mut person).await);
    visit.csrf_token = token;
    assert_eq!(visit.post("/console/sessions", &ALL).await.status, 303);
    assert!(!is_signed_in(&mut person).await);
}

#[tokio::test]
async fn a_form_of_another_origin_changes_nothing() {
    let menshen = setup().start().await;
    let mut person = sign_in_elsewhere(&menshen, "zhangsan").await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let token = visit.csrf_token.clone();
    let fields = [("csrf", token.as_str()), ALL[0], ALL[1], ALL[2]];
    let same = ("Origin", CONSOLE_URL);
    for headers in [
        &[][..],
        &[("Origin", "null")],
        &[("Origin", "http://evil.test")],
        &[("Origin", "https://console.test")],
        &[("Origin", "http://console.test:81")],
        &[("Origin", "http://console.test.evil.test")],
        &[("Origin", "http://sso.test")],
        &[same, ("Origin", "http://evil.test")],
        &[same, ("Sec-Fetch-Site", "cross-site")],
        &[same, ("Sec-Fetch-Site", "same-site")],
    ] {
        let answer = visit.post_from(headers, "/console/sessions", &fields).await;
        assert_eq!(answer.status, 403, "{headers:?}");
        let signing_in = [("name", "root"), ("password", PASSWORD)];
        let answer = visit
            .post_from(headers, "/console/sign_in", &signing_in)
            .await;
        assert_eq!(answer.status, 403, "{headers:?}");
    }
    assert!(is_signed_in(&mut person).await);
    let headers = [same, ("Sec-Fetch-Site", "same-origin")];
    let answer = visit
        .post_from(&headers, "/console/sessions", &fields)
        .await;
    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn every_page_has_its_protective_headers() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let mut pages = Vec::new();
    for page in PAGES
        .into_iter()
        .chain(["/console/no-such-page", "/console/people/x"])
    {
        pages.push((page, visit.get(page).await));
    }
    pages.push((
        "no token",
        visit
            .post_from(&[("Origin", CONSOLE_URL)], "/console/sync", &[])
            .await,
    ));
    pages.push((
        "no origin",
        visit.post_from(&[], "/console/sync", &[]).await,
    ));
    pages.push((
        "the form",
        Visit::new(&menshen).get("/console/sign_in").await,
    ));
    for (page, answer) in pages {
        let policy = answer.header("content-security-policy").unwrap();
        for directive in [
            "default-src 'none'",
            "style-src 'self'",
            "img-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(directive), "{page}: {policy}");
        }
        assert!(
            !policy.contains("script-src") && !policy.contains("unsafe"),
            "{policy}"
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{page}: {name}");
        }
        let html = answer.text();
        for forbidden in ["<script", "style=\"", " on", "http://", "https://"] {
            let found = html.split('<').any(|tag| {
                let tag = tag.split('>').next().unwrap();
                forbidden != " on" && tag.contains(&forbidden.replace('<', ""))
                    || forbidden == " on" && tag.split(' ').any(|part| part.starts_with("onclick"))
            });
            let may_name_example = page == "/console/routes" && forbidden == "https://";
            assert!(!found || may_name_example, "{page}: {forbidden}");
        }
        assert_eq!(html.matches("<h1").count(), 1, "{page}");
    }
}

#[tokio::test]
async fn the_cookie_is_of_the_host_and_secure_on_https() {
    let menshen = with_console("external_url = \"https://console.test\"\n")
        .start()
        .await;
    let mut visit = Visit::of_administrator_at(&menshen, "https://console.test").await;
    let cookie = visit.browser.cookie("__Host-menshen-console").unwrap();
    assert!(cookie.secure);
    assert_eq!(cookie.same_site, "lax");
    // A cookie that another host of the domain or plain http may have set does not count.
    let value = cookie.value.clone();
    visit.browser.delete_cookies("menshen-console");
    visit
        .browser
        .set_cookie("console.test", "menshen-console", &value);
    assert_eq!(visit.get("/console/").await.status, 303);
}

#[tokio::test]
async fn the_cookie_is_never_readable_by_scripts() {
    let menshen = setup().start().await;
    add_administrator(&menshen, "root").await;
    let answer = Visit::new(&menshen).sign_in("root", PASSWORD).await;
    let cookie = answer.header("set-cookie").unwrap();
    for attribute in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=28800"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(
        cookie.starts_with("menshen-console=") && !cookie.contains("Secure"),
        "{cookie}"
    );
}

impl Visit {
    async fn of_administrator_at(menshen: &Menshen, url: &str) -> Self {
        add_administrator(menshen, "root").await;
        let mut visit = Self::new(menshen);
        visit.url = url.to_owned();
        assert_eq!(visit.sign_in("root", PASSWORD).await.status, 303);
        assert_eq!(visit.get("/console/").await.status, 200);
        visit
    }
}

#[tokio::test]
async fn another_host_name_reads_nothing() {
    let menshen = setup().start().await;
    for (host, status) in [
        ("console.test", 200),
        ("127.0.0.1", 200),
        ("localhost:9180", 200),
        ("evil.test", 403),
        ("sso.test", 403),
        ("console.test.evil.test", 403),
    ] {
        let request =
            format!("GET /console/sign_in HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = wire::send(console_address(&menshen), request.as_bytes()).await;
        assert_eq!(answer.status, status, "{host}");
    }
}

#[tokio::test]
async fn other_methods_and_bodies_are_refused() {
    let menshen = setup().start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
        let url = format!("{CONSOLE_URL}/console/sessions");
        let answer = visit.browser.send(method, &url, &[], b"").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
    }
    let long = "x".repeat(70_000);
    let answer = visit.post("/console/sessions", &[("login", &long)]).await;
    assert_eq!(answer.status, 413);
    let many: Vec<_> = (0..70).map(|_| ("a", "b")).collect();
    assert_eq!(visit.post("/console/sessions", &many).await.status, 400);
    let url = format!("{CONSOLE_URL}/console/");
    let head = visit.browser.send("HEAD", &url, &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn applications_never_receive_a_cookie_of_the_console() {
    let menshen = setup().start().await;
    let mut browser = sign_in_elsewhere(&menshen, "zhangsan").await;
    for name in [
        "menshen-console",
        "__Host-menshen-console",
        "menshen-console-entry",
        "menshen-console-browser",
    ] {
        browser.set_cookie("sso.test", name, "secret");
    }
    let answer = browser.visit("http://sso.test/echo").await;
    assert!(!answer.text().contains("secret"), "{}", answer.text());
}

#[tokio::test]
async fn a_made_up_cookie_causes_no_read_from_the_store() {
    let dir = TempDir::new();
    let menshen = setup().store(&dir.url()).start().await;
    let mut visit = Visit::of_administrator(&menshen, "root").await;
    let valid = visit
        .browser
        .cookie("menshen-console")
        .unwrap()
        .value
        .clone();
    let mut meddler = Meddler::at(&dir.url()).await;
    meddler
        .run("ALTER TABLE menshen_console_session RENAME TO away")
        .await;
    assert_eq!(visit.get("/console/").await.status, 503, "it is read");
    let changed = if valid.starts_with('A') { "B" } else { "A" };
    let forged = format!("{changed}{}", &valid[1..]);
    for made_up in [forged, "A".repeat(43), String::new(), "x".repeat(4_000)] {
        let mut stranger = Visit::new(&menshen);
        let browser = &mut stranger.browser;
        browser.set_cookie("console.test", "menshen-console", &made_up);
        assert_eq!(stranger.get("/console/").await.status, 303, "{made_up}");
    }
}
