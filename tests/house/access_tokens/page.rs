//! The page on which a person makes, lists and ends tokens.

use std::time::Duration;

use super::*;

/// The fields of the form that makes a token for all routes.
fn make_fields(name: &str) -> Vec<(&str, &str)> {
    vec![
        ("action", "make"),
        ("name", name),
        ("lasts", "2592000"),
        ("scope", "all"),
    ]
}

async fn token_count(browser: &mut Browser) -> usize {
    let page = browser.visit(&tokens_page()).await;
    page.text().matches("name=\"id\"").count()
}

#[tokio::test]
async fn a_page_says_what_each_token_opens_and_when_it_ends() {
    let (menshen, _mirror) = start().await;
    for (lang, texts) in [
        ("zh-CN", ["访问令牌", "暂无令牌", "创建令牌"]),
        (
            "en",
            ["Access tokens", "You have no tokens", "Make the token"],
        ),
    ] {
        let mut browser = signed_in(&menshen, "lisi").await;
        browser
            .extra_headers
            .push(("Accept-Language".to_owned(), lang.to_owned()));
        let page = browser.visit(&tokens_page()).await;
        for text in texts {
            assert!(page.text().contains(text), "{lang}: {}", page.text());
        }
        for header in ["content-security-policy", "x-frame-options"] {
            assert!(page.header(header).is_some(), "{header}");
        }
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self';"));
        assert!(!policy.contains("script-src"));
        assert_eq!(
            page.header("cross-origin-opener-policy"),
            Some("same-origin")
        );
        assert_eq!(page.header("cache-control"), Some("no-store"));
    }
    let mut browser = signed_in(&menshen, "lisi").await;
    let token = make_token(&mut browser, "laptop", &["git", "packages"]).await;
    menshen.advance(Duration::from_secs(5400));
    assert_eq!(
        send(&menshen, "/git/x", &basic("", &token)).await.status,
        200
    );
    let listed = async |browser: &mut Browser| browser.visit(&tokens_page()).await.text();
    crate::sessions::eventually("the last use on the page", async || {
        listed(&mut browser).await.contains("2027-01-15 09:30 UTC")
    })
    .await;
    let page = listed(&mut browser).await;
    for text in [
        "laptop",
        "git",
        "packages",
        "2027-01-15 08:00 UTC",
        "2027-02-14 08:00 UTC",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[tokio::test]
async fn the_page_needs_a_login_on_the_login_host_and_comes_back_after_it() {
    let (menshen, _mirror) = start().await;
    let mut browser = Browser::new(&menshen);
    let page = browser.sign_in(&tokens_page(), "lisi").await;
    assert_eq!((page.answer.status, page.url), (200, tokens_page()));
    let other_host = browser.visit("http://oa.test/.menshen/tokens").await;
    assert_eq!(other_host.header("location"), Some(&*tokens_page()));
    // A program has no use for the page, not even with a token.
    let token = make_token(&mut browser, "ci", &[]).await;
    let request = program("/.menshen/tokens", &basic("lisi", &token));
    let answer = request.send(&menshen).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    let request = program("/.menshen/userinfo", &basic("lisi", &token));
    assert_eq!(request.send(&menshen).await.status, 401);
    let request = TestRequest::get("/.menshen/tokens")
        .navigating()
        .header("Authorization", &basic("lisi", &token));
    let answer = request.send(&menshen).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
}

#[tokio::test]
async fn a_site_without_access_tokens_has_no_page() {
    let menshen = Menshen::new().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    assert_eq!(browser.visit(&tokens_page()).await.status, 404);
}

#[tokio::test]
async fn only_a_form_of_the_page_itself_makes_a_token() {
    let (menshen, _mirror) = start().await;
    let fetch = |mode, dest, site| {
        vec![
            ("Origin", SSO_URL),
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", dest),
            ("Sec-Fetch-Site", site),
        ]
    };
    for (headers, makes) in [
        (vec![], false),
        (vec![("Origin", "http://evil.test")], false),
        (vec![("Origin", "http://oa.test")], false),
        (vec![("Origin", "null")], false),
        (vec![("Sec-Fetch-Site", "cross-site")], false),
        (vec![("Referer", "http://evil.test/sso.test")], false),
        // Scripts, frames and service workers of an application on this host.
        (fetch("cors", "empty", "same-origin"), false),
        (fetch("same-origin", "empty", "same-origin"), false),
        (fetch("navigate", "iframe", "same-origin"), false),
        (fetch("navigate", "empty", "same-origin"), false),
        (fetch("navigate", "document", "same-origin"), true),
        // A browser without Fetch Metadata, which does not say whether a script sent it.
        (vec![("Origin", SSO_URL)], false),
    ] {
        let mut browser = signed_in(&menshen, "lisi").await;
        let html = browser.visit(&tokens_page()).await.text();
        let account = html.split("name=\"account\" value=\"").nth(1).unwrap();
        let account = account.split('"').next().unwrap();
        let body = format!("account={account}&action=make&name=x&lasts=2592000&scope=all");
        let before = token_count(&mut browser).await;
        let answer = browser
            .send("POST", &tokens_page(), &headers, body.as_bytes())
            .await;
        assert_eq!(token_in(&answer).is_some(), makes, "{headers:?}");
        let after = token_count(&mut browser).await;
        assert_eq!(after, before + usize::from(makes), "{headers:?}");
    }
    // The page is not given to scripts and frames, either.
    let mut browser = signed_in(&menshen, "lisi").await;
    for (mode, dest) in [
        ("cors", "empty"),
        ("navigate", "iframe"),
        ("navigate", "empty"),
    ] {
        let headers = [
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", dest),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        let answer = browser.send("GET", &tokens_page(), &headers, b"").await;
        assert_eq!(answer.status, 403, "{mode} {dest}");
    }
}

#[tokio::test]
async fn a_form_that_was_shown_to_another_person_changes_nothing() {
    let (menshen, _mirror) = start().await;
    let mut li = signed_in(&menshen, "lisi").await;
    let html = li.visit(&tokens_page()).await.text();
    let account = html.split("name=\"account\" value=\"").nth(1).unwrap();
    let account = account.split('"').next().unwrap();
    let mut zhang = signed_in(&menshen, "zhangsan").await;
    let body = format!("account={account}&action=make&name=x&lasts=2592000&scope=all");
    let answer = zhang
        .send("POST", &tokens_page(), &form_headers(), body.as_bytes())
        .await;
    assert_eq!((answer.status, token_in(&answer)), (200, None));
    assert_eq!(token_count(&mut zhang).await, 0);
    assert_eq!(token_count(&mut li).await, 0);
}

#[tokio::test]
async fn an_old_session_makes_no_token_until_the_person_signs_in_again() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    menshen.advance(Duration::from_secs(3601));
    let page = browser.visit(&tokens_page()).await;
    assert!(!page.text().contains("value=\"make\""));
    let start = crate::browser::href(&page.text(), "/start?").unwrap();
    let answer = send_form(&mut browser, &make_fields("ci")).await;
    assert_eq!(token_in(&answer), None);
    assert_eq!(token_count(&mut browser).await, 0);
    let page = browser.sign_in(&format!("{SSO_URL}{start}"), "lisi").await;
    assert_eq!(page.url, tokens_page());
    make_token(&mut browser, "ci", &[]).await;
}

#[tokio::test]
async fn names_lifetimes_and_routes_are_those_that_the_page_offers() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let long = "长".repeat(81);
    for (field, value) in [
        ("name", ""),
        ("name", "  "),
        ("name", "a\nb"),
        ("name", &long),
        ("lasts", "1"),
        ("lasts", "-1"),
        ("lasts", "31536000"),
        ("lasts", "99999999999999999999"),
        ("scope", "some"),
        ("scope", "none"),
        ("action", "other"),
    ] {
        let mut fields = make_fields("ci");
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        if field == "action" {
            fields.retain(|(name, _)| *name != "scope");
        }
        let answer = send_form(&mut browser, &fields).await;
        assert_eq!(
            (answer.status, token_in(&answer)),
            (200, None),
            "{field}={value}"
        );
        assert!(answer.text().contains("role=\"alert\""), "{field}={value}");
    }
    for route in ["app", "others", "nothing"] {
        let mut fields = make_fields("ci");
        fields.retain(|(name, _)| *name != "scope");
        fields.extend([("scope", "some"), ("route", "git"), ("route", route)]);
        let answer = send_form(&mut browser, &fields).await;
        assert_eq!(token_in(&answer), None, "{route}");
    }
    assert_eq!(token_count(&mut browser).await, 0);
    let short = Setup::default().session("access_token_max = \"45m\"");
    let (menshen, _mirror) = start_with(short).await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let answer = send_form(&mut browser, &make_fields("ci")).await;
    assert_eq!(token_in(&answer), None, "longer than access_token_max");
    let mut fields = make_fields("ci");
    fields[2] = ("lasts", "2700");
    assert!(token_in(&send_form(&mut browser, &fields).await).is_some());
}

#[tokio::test]
async fn a_person_has_fifty_tokens_at_most() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    for number in 0..50 {
        // Ten can be made in a minute.
        menshen.advance(Duration::from_secs(6));
        make_token(&mut browser, &format!("{number}"), &[]).await;
    }
    menshen.advance(Duration::from_secs(6));
    let answer = send_form(&mut browser, &make_fields("one too many")).await;
    assert_eq!((answer.status, token_in(&answer)), (200, None));
    assert_eq!(token_count(&mut browser).await, 50);
    // Other people are not concerned.
    let mut other = signed_in(&menshen, "zhangsan").await;
    make_token(&mut other, "ci", &[]).await;
}

#[tokio::test]
async fn hostile_names_are_shown_as_text() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let name = "<script>alert(1)</script>\"'&\u{202e}evil";
    let answer = send_form(&mut browser, &make_fields(name)).await;
    assert!(token_in(&answer).is_some());
    for page in [answer, browser.visit(&tokens_page()).await] {
        let html = page.text();
        assert!(!html.contains("<script"), "{html}");
        assert!(html.contains("alert(1)"));
        // The direction of the name ends with the name.
        assert!(html.matches("<bdi>").count() >= 2);
    }
}

#[tokio::test]
async fn a_person_makes_and_ends_ten_tokens_in_a_minute_and_others_are_not_concerned() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    for number in 0..9 {
        make_token(&mut browser, &format!("{number}"), &[]).await;
    }
    let page = browser.visit(&tokens_page()).await.text();
    let ids: Vec<_> = page.split("name=\"id\" value=\"").skip(1).collect();
    let ids: Vec<_> = ids
        .iter()
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    let end = |id| vec![("action", "end"), ("id", id)];
    assert_eq!(send_form(&mut browser, &end(ids[0])).await.status, 200);
    let left = token_count(&mut browser).await;
    // Another session of the same person has no limit of its own.
    let mut second = signed_in(&menshen, "lisi").await;
    for fields in [make_fields("more"), end(ids[1]), end(ids[0])] {
        for browser in [&mut browser, &mut second] {
            let answer = send_form(browser, &fields).await;
            assert_eq!(answer.status, 429, "{fields:?}");
            assert_eq!(answer.header("retry-after"), Some("60"), "{fields:?}");
            assert!(answer.text().contains("一分钟") || answer.text().contains("a minute"));
            assert_eq!(token_in(&answer), None);
        }
    }
    assert_eq!(token_count(&mut browser).await, left);
    let mut other = signed_in(&menshen, "zhangsan").await;
    make_token(&mut other, "ci", &[]).await;
    menshen.advance(Duration::from_secs(60));
    make_token(&mut browser, "after a minute", &[]).await;
}

#[tokio::test]
async fn a_token_that_is_ended_many_times_at_once_is_written_once() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    make_token(&mut browser, "ci", &[]).await;
    let html = browser.visit(&tokens_page()).await.text();
    let value_of = |name: &str| {
        let rest = html.split(&format!("name=\"{name}\" value=\"")).nth(1);
        rest.unwrap().split('"').next().unwrap().to_owned()
    };
    let (account, id) = (value_of("account"), value_of("id"));
    let body = format!("account={account}&action=end&id={id}");
    let cookie = session_cookie_of_page(&browser);
    let store = &menshen.running.live().services().store;
    let before = store.epochs().await.unwrap().log_position.number;
    let length = body.len().to_string();
    let request = TestRequest::get("/.menshen/tokens")
        .method("POST")
        .headers(&form_headers())
        .header("Content-Length", &length)
        .session(&cookie)
        .body(body.as_bytes());
    let sent = (0..30).map(|_| request.send(&menshen));
    let answers = futures_util::future::join_all(sent).await;
    let count = |status| {
        let answers = answers.iter();
        answers.filter(|answer| answer.status == status).count()
    };
    assert!((1..=10).contains(&count(200)), "{}", count(200));
    assert_eq!(count(200) + count(429), 30);
    let after = store.epochs().await.unwrap().log_position.number;
    assert_eq!(after, before + 1);
    assert_eq!(token_count(&mut browser).await, 0);
}

#[tokio::test]
async fn a_browser_without_fetch_metadata_makes_tokens_where_no_application_has_the_host() {
    let mirror = Mirror::start().await;
    let git = "[[route]]\nname = 'git'\nhost = 'git.test'\nupstream = ['{mirror}']\n\
               access_tokens = true\n";
    let shared = "[[route]]\nname = 'wiki'\nhost = 'sso.test'\npath = '/wiki'\n\
                  upstream = ['{mirror}']\n";
    for (routes, is_allowed) in [(git.to_owned(), true), (format!("{git}{shared}"), false)] {
        let routes = routes.replace("{mirror}", &mirror.base_url());
        let setup = setup_with(Setup::default(), &mirror).routes(&routes);
        let menshen = setup.start().await;
        let mut browser = Browser::new(&menshen);
        let page = browser.sign_in(&tokens_page(), "lisi").await.answer.text();
        let account = page.split("name=\"account\" value=\"").nth(1).unwrap();
        let account = account.split('"').next().unwrap();
        let html = [("Accept", "text/html")];
        let shown = browser.send("GET", &tokens_page(), &html, b"").await;
        assert_eq!(shown.status, if is_allowed { 200 } else { 403 });
        let body = format!("account={account}&action=make&name=x&lasts=2592000&scope=all");
        let headers = [("Accept", "text/html"), ("Origin", SSO_URL)];
        let made = browser
            .send("POST", &tokens_page(), &headers, body.as_bytes())
            .await;
        assert_eq!(token_in(&made).is_some(), is_allowed);
    }
}

#[tokio::test]
async fn no_script_can_read_the_page_of_a_new_token() {
    let (menshen, _mirror) = start().await;
    let mut browser = signed_in(&menshen, "lisi").await;
    let made = send_form(&mut browser, &make_fields("ci")).await;
    assert!(token_in(&made).is_some());
    let policy = made.header("content-security-policy").unwrap();
    assert!(policy.starts_with("sandbox; "), "{policy}");
    // Browsers show no sandboxed page that has this header.
    assert_eq!(made.header("cross-origin-opener-policy"), None);
    // A form of the sandboxed page would come from the origin `null`: a link leads to the list instead.
    let html = made.text();
    assert!(!html.contains("<form"), "{html}");
    let link = crate::browser::href(&html, "/tokens").unwrap();
    let from_sandbox = [
        ("Accept", "text/html"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    let list = format!("{SSO_URL}{link}");
    let list = browser.send("GET", &list, &from_sandbox, b"").await;
    assert_eq!(list.status, 200);
    let policy = list.header("content-security-policy").unwrap();
    assert!(!policy.contains("sandbox"), "{policy}");
    assert!(list.text().contains("value=\"end\""));
    let from_sandbox = [
        ("Origin", "null"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    let form = b"action=end";
    let refused = browser
        .send("POST", &tokens_page(), &from_sandbox, form)
        .await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn a_token_ends_when_the_source_no_longer_vouches_for_its_person() {
    // The contract ends in ten days; sessions last a day.
    let ends = "[connector.corp.mapping]\nsession_expires = '1800864000'\n";
    for (lines, lasts_days) in [(ends, 10), ("", 30)] {
        let mirror = Mirror::start().await;
        let base = setup_with(Setup::default(), &mirror);
        let tables = format!("{SECOND_CONNECTOR}{NO_LOGIN_LIMITS}{GRPC_ON_MAIN}{lines}");
        let menshen = base.tables(&tables).start().await;
        let mut browser = signed_in(&menshen, "lisi").await;
        let token = make_token(&mut browser, "ci", &[]).await;
        let day = Duration::from_secs(86_400);
        let status = async || send(&menshen, "/git/x", &basic("", &token)).await.status;
        menshen.advance(lasts_days * day - Duration::from_secs(1));
        assert_eq!(status().await, 200, "{lasts_days}");
        menshen.advance(Duration::from_secs(1));
        assert_eq!(status().await, 401, "{lasts_days}");
    }
}
