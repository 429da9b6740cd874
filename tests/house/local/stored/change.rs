//! The page on which people change their own passwords.

use super::*;

pub(super) const CHANGE: &str = "http://sso.test/.menshen/password/house/change";

pub(super) fn form_headers() -> [(&'static str, &'static str); 6] {
    [
        ("Accept", "text/html"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", SSO_URL),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "same-origin"),
    ]
}

/// Sends the form of a page that is open.
pub(super) async fn send_form(
    browser: &mut Browser,
    html: &str,
    (old, new, again): (&str, &str, &str),
) -> Answer {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("flow", &*flow_id_in(html)),
        ("password", old),
        ("new_password", new),
        ("new_password_again", again),
    ]);
    let form = form.finish();
    browser
        .send("POST", CHANGE, &form_headers(), form.as_bytes())
        .await
}

/// Opens the page and sends its form.
pub(super) async fn change(browser: &mut Browser, old: &str, new: &str) -> Answer {
    let page = browser.visit(CHANGE).await;
    assert_eq!(page.status, 200, "{}", page.text());
    send_form(browser, &page.text(), (old, new, new)).await
}

async fn start_with_zhangsan() -> (Menshen, Browser) {
    let menshen = start().await;
    add(&menshen, "ZhangSan", json!({})).await;
    let browser = signed_in(Browser::new(&menshen), "zhangsan", OLD).await;
    (menshen, browser)
}

#[tokio::test]
async fn a_person_changes_their_password_and_stays_signed_in_here_only() {
    let (menshen, mut here) = start_with_zhangsan().await;
    let mut elsewhere = signed_in(Browser::new(&menshen), "zhangsan", OLD).await;
    let token = access_tokens::make_token(&mut here, "laptop", &[]).await;
    let authorization = access_tokens::basic("zhangsan", &token);
    let before = here.cookie("menshen").unwrap().value.clone();
    let mut copy = here.clone();
    let answer = change(&mut here, OLD, NEW).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(answer.header("location"), Some("/"));
    assert_eq!(status_at(&mut here, "/echo").await, 200);
    assert_ne!(here.cookie("menshen").unwrap().value, before);
    for browser in [&mut elsewhere, &mut copy] {
        assert_ne!(status_at(browser, "/echo").await, 200);
    }
    let with_token = access_tokens::send(&menshen, "/git/x", &authorization).await;
    assert_ne!(with_token.status, 200);
    let old = sign_in(&mut Browser::new(&menshen), "zhangsan", OLD).await;
    assert_eq!(old.status, 401);
    signed_in(Browser::new(&menshen), "zhangsan", NEW).await;
    let audit = menshen.audit();
    let is_logged = audit.iter().any(|line| {
        line["event"] == "password-changed"
            && line["subject"] == "zhangsan"
            && line["reason"] == "by the person"
    });
    assert!(is_logged, "{audit:?}");
}

#[tokio::test]
async fn a_new_password_that_cannot_be_used_changes_nothing() {
    let (menshen, mut browser) = start_with_zhangsan().await;
    let page = browser.visit(CHANGE).await.text();
    let long = "x".repeat(1_025);
    for (old, new, again, text) in [
        (OLD, "seven77", "seven77", "新密码至少需要 8 个字符"),
        (OLD, NEW, "第二个 密码 更短", "不一致"),
        (OLD, OLD, OLD, "不能与当前密码相同"),
        (OLD, &*long, &*long, "新密码过长"),
        (OLD, "two\nlines", "two\nlines", "不支持的字符"),
        // What is wrong with the new one does not tell whether the old one is right.
        ("wrong", "seven77", "seven77", "新密码至少需要 8 个字符"),
    ] {
        let answer = send_form(&mut browser, &page, (old, new, again)).await;
        assert_eq!(answer.status, 400, "{new}");
        assert!(answer.text().contains(text), "{text}: {}", answer.text());
        assert!(!answer.text().contains(OLD), "{new}");
    }
    for (old, status) in [("wrong password", 401), ("", 401), (OLD, 303)] {
        let answer = send_form(&mut browser, &page, (old, NEW, NEW)).await;
        assert_eq!(answer.status, status, "{old}: {}", answer.text());
    }
    assert_eq!(status_at(&mut browser, "/echo").await, 200);
    drop(menshen);
}

#[tokio::test]
async fn the_page_is_for_the_people_of_this_connector_who_are_signed_in() {
    let (menshen, _) = start_with_zhangsan().await;
    // Nobody, and somebody of another source, are sent to the form of this connector.
    let mut nobody = Browser::new(&menshen);
    let mut of_wecom = Browser::new(&menshen);
    let page = of_wecom.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    assert_eq!(page.answer.status, 200);
    for browser in [&mut nobody, &mut of_wecom] {
        let answer = browser.visit(CHANGE).await;
        assert_eq!(answer.status, 303);
        let to = answer.header("location").unwrap().to_owned();
        assert!(to.contains("/start?connector=house&rd="), "{to}");
        let form =
            "flow=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&password=a&new_password=b&new_password_again=b";
        let answer = browser
            .send("POST", CHANGE, &form_headers(), form.as_bytes())
            .await;
        assert_eq!(answer.status, 303, "{}", answer.text());
    }
    // From there they come back after the login.
    let page = nobody.follow(CHANGE).await;
    let form = page.answer.text();
    let mut login = url::form_urlencoded::Serializer::new(String::new());
    login.extend_pairs([
        ("flow", &*flow_id_in(&form)),
        ("rd", "/.menshen/password/house/change"),
        ("login", "zhangsan"),
        ("password", OLD),
    ]);
    let url = format!("{OWN_PAGES}/password/house");
    let login = login.finish();
    let answer = nobody
        .send("POST", &url, &form_headers(), login.as_bytes())
        .await;
    assert_eq!(
        answer.header("location"),
        Some("/.menshen/password/house/change")
    );
    assert_eq!(
        change(&mut nobody, OLD, NEW).await.header("location"),
        Some("/")
    );
    // Connectors with people elsewhere have no such page.
    for id in ["corp", "nothing", "house/change", "HOUSE"] {
        let url = format!("{OWN_PAGES}/password/{id}/change");
        assert_eq!(nobody.visit(&url).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn with_a_file_of_people_there_is_no_page() {
    let (menshen, _folder) = start_menshen().await;
    let mut browser = signed_in(Browser::new(&menshen), "zhangsan", ZHANGSAN.1).await;
    assert_eq!(browser.visit(CHANGE).await.status, 404);
    let answer = browser.send("POST", CHANGE, &form_headers(), b"").await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn the_form_is_accepted_from_this_browser_and_this_site_only() {
    let (menshen, mut browser) = start_with_zhangsan().await;
    let mut other = signed_in(Browser::new(&menshen), "zhangsan", OLD).await;
    let page = browser.visit(CHANGE).await;
    let html = page.text();
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    assert!(html.contains("autocomplete=\"current-password\""));
    assert_eq!(html.matches("autocomplete=\"new-password\"").count(), 2);
    // The flow belongs to the other browser.
    let answer = send_form(&mut other, &html, (OLD, NEW, NEW)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let form = format!(
        "flow={}&password={}&new_password=another+one&new_password_again=another+one",
        flow_id_in(&html),
        OLD.replace(' ', "+")
    );
    for (name, value) in [
        ("Origin", "http://evil.test"),
        ("Origin", "null"),
        ("Origin", "https://sso.test"),
        ("Sec-Fetch-Mode", "cors"),
    ] {
        let mut headers = form_headers();
        for header in &mut headers {
            if header.0 == name {
                header.1 = value;
            }
        }
        let answer = browser
            .send("POST", CHANGE, &headers, form.as_bytes())
            .await;
        assert_eq!(answer.status, 403, "{name} {value}");
    }
    for site in ["cross-site", "same-site"] {
        let mut headers = form_headers().to_vec();
        headers.retain(|(name, _)| !["Origin", "Sec-Fetch-Site"].contains(name));
        headers.push(("Sec-Fetch-Site", site));
        let answer = browser
            .send("POST", CHANGE, &headers, form.as_bytes())
            .await;
        assert_eq!(answer.status, 403, "{site}");
    }
    for (from, to) in [
        ("flow=", "flow=x"),
        ("&password=", "&password=a&password="),
        ("&new_password_again=another+one", ""),
    ] {
        let form = form.replace(from, to);
        let answer = browser
            .send("POST", CHANGE, &form_headers(), form.as_bytes())
            .await;
        assert_eq!(answer.status, 400, "{form}");
    }
    let mut headers = form_headers();
    headers[1].1 = "text/plain";
    let answer = browser
        .send("POST", CHANGE, &headers, form.as_bytes())
        .await;
    assert_eq!(answer.status, 400);
    // After all that the password is the old one.
    signed_in(Browser::new(&menshen), "zhangsan", OLD).await;
}

#[tokio::test]
async fn a_script_a_frame_and_other_methods_do_not_get_the_page() {
    let (_menshen, mut browser) = start_with_zhangsan().await;
    for method in ["PUT", "DELETE", "HEAD"] {
        let answer = browser.send(method, CHANGE, &form_headers(), b"").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, POST"), "{method}");
    }
    // A script and a frame do not get the page.
    let script = [("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")];
    assert_eq!(browser.send("GET", CHANGE, &script, b"").await.status, 403);
    let frame = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let framed = browser.send("GET", CHANGE, &frame, b"").await;
    assert!(!framed.text().contains("new_password"), "{}", framed.text());
}

#[tokio::test]
async fn a_form_that_is_open_for_too_long_or_after_the_session_changes_nothing() {
    let (menshen, mut browser) = start_with_zhangsan().await;
    let html = browser.visit(CHANGE).await.text();
    menshen.advance(Duration::from_secs(601));
    let answer = send_form(&mut browser, &html, (OLD, NEW, NEW)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let html = browser.visit(CHANGE).await.text();
    let headers = form_headers();
    let sign_out = format!("{OWN_PAGES}/sign_out");
    browser.send("POST", &sign_out, &headers, b"").await;
    let answer = send_form(&mut browser, &html, (OLD, NEW, NEW)).await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").unwrap().contains("/start?"));
    // Somebody else signed in meanwhile.
    add(&menshen, "lisi", json!({})).await;
    let mut browser = signed_in(browser, "lisi", OLD).await;
    let answer = send_form(&mut browser, &html, (OLD, NEW, NEW)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    for login in ["zhangsan", "lisi"] {
        signed_in(Browser::new(&menshen), login, OLD).await;
    }
}

#[tokio::test]
async fn a_double_click_changes_the_password_once_and_keeps_the_session() {
    let (menshen, mut browser) = start_with_zhangsan().await;
    let html = browser.visit(CHANGE).await.text();
    let mut twin = browser.clone();
    let (first, second) = tokio::join!(
        send_form(&mut browser, &html, (OLD, NEW, NEW)),
        send_form(&mut twin, &html, (OLD, NEW, NEW))
    );
    assert_eq!((first.status, second.status), (303, 303));
    assert_eq!(status_at(&mut browser, "/echo").await, 200);
    assert_eq!(status_at(&mut twin, "/echo").await, 200);
    drop(menshen);
}

#[tokio::test]
async fn who_must_change_the_password_gets_no_session_before() {
    let menshen = start().await;
    add(&menshen, "zhangsan", json!({ "must_change": true })).await;
    let mut browser = Browser::new(&menshen);
    assert_eq!(sign_in(&mut browser, "zhangsan", NEW).await.status, 401);
    let answer = sign_in(&mut browser, "zhangsan", OLD).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    let to = answer.header("location").unwrap().to_owned();
    assert!(
        to.starts_with("/.menshen/password/house/change?flow="),
        "{to}"
    );
    assert!(browser.cookie("menshen").is_none());
    assert_ne!(status_at(&mut browser, "/echo").await, 200);
    let page = browser.visit(&format!("{SSO_URL}{to}")).await;
    assert!(
        page.text().contains("管理员要求您设置新密码"),
        "{}",
        page.text()
    );
    // In another browser the address is worth nothing.
    let mut other = Browser::new(&menshen);
    let answer = other.visit(&format!("{SSO_URL}{to}")).await;
    assert_eq!(answer.status, 303);
    let answer = send_form(&mut other, &page.text(), (OLD, NEW, NEW)).await;
    assert!(answer.header("location").unwrap().contains("/start?"));
    for (old, new, status) in [("wrong", NEW, 401), (OLD, OLD, 400), (OLD, "short", 400)] {
        let answer = send_form(&mut browser, &page.text(), (old, new, new)).await;
        assert_eq!(answer.status, status, "{old} {new}");
        assert!(browser.cookie("menshen").is_none());
    }
    let answer = send_form(&mut browser, &page.text(), (OLD, NEW, NEW)).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    // The login goes on to where it was going.
    assert_eq!(answer.header("location"), Some("/echo"));
    assert_eq!(status_at(&mut browser, "/echo").await, 200);
    signed_in(Browser::new(&menshen), "zhangsan", NEW).await;
}
