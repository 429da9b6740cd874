//! Logins of frames in a tab, and what frames show without one.

use super::*;

/// Whether a cookie has the attributes that browsers require in frames.
fn is_partitioned(cookie: &str) -> bool {
    ["SameSite=None", "Secure", "Partitioned", "HttpOnly"]
        .iter()
        .all(|flag| cookie.contains(flag))
}

#[tokio::test]
async fn signing_in_in_a_tab_signs_the_frame_in() {
    for (setup, url) in [
        (setup(), "https://hr.test/echo?a=%2f&b=1"),
        (setup(), "https://oa.test/echo?a=1"),
        (setup_with_domain(ROUTES), "https://hr.corp.test/echo"),
        (setup_with_domain(ROUTES), "https://oa.corp.test/echo?a=1"),
    ] {
        let menshen = setup.start().await;
        let mut frame = Frame::new(&menshen, url);
        let page = frame.load().await;
        assert_eq!(
            (page.status, page.cause()),
            (401, Some(Cause::FrameNeedsLogin))
        );
        let set: Vec<_> = page.header_values("set-cookie").collect();
        assert_eq!(set.len(), 1, "{set:?}");
        assert!(set[0].starts_with("__Host-menshen-nonce-"), "{set:?}");
        assert!(is_partitioned(set[0]), "{set:?}");
        assert!(page.header("x-frame-options").is_none());

        let mut tab = Browser::new(&menshen).over_https();
        let consent_page = sign_in(&mut tab, &start_url_on(&page)).await;
        let page = consent(&mut tab, &consent_page).await;
        let html = page.text();
        assert_eq!(page.status, 200, "{html}");
        // Only the frame's origin receives the message.
        assert_eq!(attribute(&html, "data-frame-origin"), Some(origin(url)));

        let answer = frame.receive(&ticket_in(&page).unwrap()).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let path = url.strip_prefix(&origin(url)).unwrap();
        assert_eq!(answer.header("location"), Some(path));
        for cookie in answer.header_values("set-cookie") {
            assert!(is_partitioned(cookie), "{cookie}");
        }
        assert_eq!(frame.signed_in_user().await, ["lisi"], "{url}");
        let left = frame.cookies.cookies();
        assert_eq!(left.len(), 1, "the nonce is deleted: {left:?}");
    }
}

#[tokio::test]
async fn a_signed_in_person_only_has_to_consent() {
    let menshen = setup().start().await;
    let mut tab = signed_in_tab(&menshen).await;
    for url in ["https://hr.test/echo", "https://oa.test/echo"] {
        let mut frame = Frame::new(&menshen, url);
        tab.visited.clear();
        let consent_page = tab.follow(&frame.start_url().await).await.answer;
        assert_eq!(tab.visited.len(), 1, "no login page is opened");
        let page = consent(&mut tab, &consent_page).await;
        let answer = frame.receive(&ticket_in(&page).unwrap()).await;
        assert_eq!(answer.status, 303);
        assert_eq!(frame.signed_in_user().await, ["lisi"]);
    }
}

#[tokio::test]
async fn every_login_of_a_frame_ends_at_the_consent_page() {
    let auto = setup().connector("auto_login = 'always'").start().await;
    let mut frame = Frame::new(&auto, "https://oa.test/echo");
    let ticket = ticket_for(&auto, &mut frame).await;
    assert_eq!(frame.receive(&ticket).await.status, 303);

    let menshen = setup().start().await;
    let mut frame = Frame::new(&menshen, "https://oa.test/echo");
    let start = frame.start_url().await;
    let mut tab = signed_in_tab(&menshen).await;
    let chooser = tab.visit(&start.replace("/start?", "/sign_in?")).await;
    let on = href(&chooser.text(), "/start?rd=").unwrap();
    let consent_page = tab.follow(&format!("{SSO_URL}{on}")).await.answer;
    let page = consent(&mut tab, &consent_page).await;
    let answer = frame.receive(&ticket_in(&page).unwrap()).await;
    assert_eq!(answer.status, 303);
}

#[tokio::test]
async fn several_frames_of_a_page_sign_in_one_by_one() {
    let menshen = setup().start().await;
    let mut first = Frame::new(&menshen, "https://oa.test/echo?1");
    let one = first.load().await;
    // The second frame is on the same host and has the cookies of the first.
    let mut second = Frame {
        url: "https://oa.test/echo?2".to_owned(),
        ..first.clone()
    };
    let two = second.load().await;
    let names = |frame: &Frame| frame.cookies.cookies().to_vec();
    assert_eq!(names(&first), names(&second), "one nonce serves both");
    let mut tab = Browser::new(&menshen).over_https();
    let consent_page = sign_in(&mut tab, &start_url_on(&one)).await;
    let page = consent(&mut tab, &consent_page).await;
    let answer = first.receive(&ticket_in(&page).unwrap()).await;
    assert_eq!(answer.status, 303);
    // The second frame still shows its button.
    second.cookies = first.cookies.clone();
    let consent_page = tab.follow(&start_url_on(&two)).await.answer;
    let page = consent(&mut tab, &consent_page).await;
    let answer = second.receive(&ticket_in(&page).unwrap()).await;
    assert!((300..400).contains(&answer.status), "{}", answer.text());
    assert_eq!(second.signed_in_user().await, ["lisi"]);
}

#[tokio::test]
async fn an_own_page_in_a_frame_offers_the_frame_login() {
    let menshen = setup().start().await;
    // Proxies that send checks to `/auth` redirect to one of these pages.
    for page in ["start", "sign_in"] {
        for (at, target) in [
            ("https://oa.test", "https://oa.test/echo?a=1"),
            ("https://sso.test", "https://oa.test/echo?a=1"),
        ] {
            let rd: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
            let mut frame = Frame::new(&menshen, &format!("{at}/.menshen/{page}?rd={rd}"));
            let mut answer = frame.load().await;
            if let Some(to) = answer.header("location") {
                assert_ne!(at, origin(target), "{page} {at} {target}");
                frame.url = to.to_owned();
                answer = frame.load().await;
            }
            assert_eq!(answer.status, 401, "{page} {at} {target}");
            assert_eq!(origin(&frame.url), origin(target));
            let mut tab = Browser::new(&menshen).over_https();
            let consent_page = sign_in(&mut tab, &start_url_on(&answer)).await;
            let ticket_page = consent(&mut tab, &consent_page).await;
            let answer = frame.receive(&ticket_in(&ticket_page).unwrap()).await;
            assert_eq!(answer.status, 303, "{page} {at} {target}");
            frame.url = target.to_owned();
            assert_eq!(
                frame.signed_in_user().await,
                ["lisi"],
                "{page} {at} {target}"
            );
        }
    }
}

#[tokio::test]
async fn a_check_returns_the_frame_login_page() {
    let menshen = setup().start().await;
    let mut frame = Frame::new(&menshen, "https://oa.test/echo?a=1");
    let check_headers = [
        ("Sec-Fetch-Site", "cross-site"),
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Host", "oa.test"),
        ("X-Forwarded-Uri", "/echo?a=1"),
        ("X-Forwarded-For", "192.0.2.7"),
    ];
    let check = "https://oa.test/.menshen/forward-auth";
    let page = frame.navigate("GET", check, &check_headers, "").await;
    assert_eq!(
        (page.status, page.cause()),
        (401, Some(Cause::FrameNeedsLogin))
    );
    let mut tab = Browser::new(&menshen).over_https();
    let consent_page = sign_in(&mut tab, &start_url_on(&page)).await;
    let ticket_page = consent(&mut tab, &consent_page).await;
    let answer = frame.receive(&ticket_in(&ticket_page).unwrap()).await;
    assert_eq!(answer.header("location"), Some("/echo?a=1"));
    let answer = frame.navigate("GET", check, &check_headers, "").await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn after_a_step_up_the_frame_gets_the_new_session() {
    let routes = ROUTES.replace(
        "host = \"oa.test\"\n",
        "host = \"oa.test\"\nmax_age = \"60s\"\n",
    );
    let menshen = setup().routes(&routes).start().await;
    let mut frame = Frame::new(&menshen, "https://oa.test/echo");
    let ticket = ticket_for(&menshen, &mut frame).await;
    frame.receive(&ticket).await;
    assert_eq!(frame.signed_in_user().await, ["lisi"]);
    menshen.advance(Duration::from_secs(120));
    let ticket = ticket_for(&menshen, &mut frame).await;
    assert_eq!(frame.receive(&ticket).await.status, 303);
    assert_eq!(frame.signed_in_user().await, ["lisi"]);
}

#[tokio::test]
async fn a_silent_recheck_works_in_a_frame_signed_in_by_ticket() {
    let routes = |host: &str| {
        let host = format!("host = \"{host}\"\n");
        let asks = format!("{host}reload_user = \"embedded\"\nreload_after = \"30s\"\n");
        ROUTES.replacen(&host, &asks, 1)
    };
    for (setup, url) in [
        (
            setup_with_domain(&routes("oa.test")),
            "https://oa.corp.test/echo",
        ),
        (
            setup_with_domain(&routes("hr.test")),
            "https://hr.corp.test/echo",
        ),
    ] {
        let menshen = setup.start().await;
        let mut frame = Frame::new(&menshen, url);
        frame.cookies = frame
            .cookies
            .with_user_agent(crate::logging_in::WECOM_PHONE_APP);
        let ticket = ticket_for(&menshen, &mut frame).await;
        assert_eq!(frame.receive(&ticket).await.status, 303);
        assert_eq!(frame.signed_in_user().await, ["lisi"]);
        menshen.advance(Duration::from_secs(60));
        menshen.wecom.set_phone_owner("zhangsan");
        let mut next = frame.url.clone();
        let mut urls = Vec::new();
        for _ in 0..8 {
            let from = [("Sec-Fetch-Site", "cross-site")];
            let answer = frame.navigate("GET", &next, &from, "").await;
            urls.push(next.clone());
            match answer.header("location") {
                Some(to) => next = Url::parse(&next).unwrap().join(to).unwrap().to_string(),
                None => {
                    assert_eq!(answer.status, 200, "{urls:?} {}", answer.text());
                    assert_eq!(answer.echoed("x-forwarded-user"), ["zhangsan"], "{urls:?}");
                    break;
                }
            }
        }
        assert!(urls.iter().any(|at| at.contains("/callback/")), "{urls:?}");
    }
}

#[tokio::test]
async fn the_page_helps_where_cookies_or_scripts_are_blocked() {
    let menshen = setup().start().await;
    for (lang, words) in [
        ("zh-CN", ["在单独的标签页中打开", "无法运行脚本", "Cookie"]),
        ("en", ["in a tab of its own", "runs no scripts", "cookies"]),
    ] {
        let mut frame = Frame::new(&menshen, "https://oa.test/echo");
        frame
            .cookies
            .extra_headers
            .push(("Accept-Language".to_owned(), lang.to_owned()));
        let page = frame.load().await;
        let html = page.text();
        assert!(html.contains(words[0]) && html.contains(words[1]), "{html}");
        assert!(href(&html, "https://oa.test/echo").is_some(), "{html}");
        let mut tab = Browser::new(&menshen).over_https();
        let consent_page = sign_in(&mut tab, &start_url_on(&page)).await;
        let ticket_page = consent(&mut tab, &consent_page).await;
        frame.cookies.delete_cookies("nonce");
        let answer = frame.receive(&ticket_in(&ticket_page).unwrap()).await;
        let html = answer.text();
        assert_eq!(answer.status, 400, "{html}");
        assert!(
            answer.header("x-frame-options").is_none(),
            "the frame shows the page"
        );
        assert!(html.contains(words[0]) && html.contains(words[2]), "{html}");
        assert!(frame.cookies.cookie("__Host-menshen").is_none());
        // The page offers another attempt.
        let consent_page = tab.follow(&start_url_on(&answer)).await.answer;
        let ticket_page = consent(&mut tab, &consent_page).await;
        let answer = frame.receive(&ticket_in(&ticket_page).unwrap()).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(frame.signed_in_user().await, ["lisi"]);
    }
}

#[tokio::test]
async fn without_partitioned_cookies_a_frame_only_offers_a_tab() {
    let menshen = setup().session("").start().await;
    let mut frame = Frame::new(&menshen, "https://oa.test/echo");
    let page = frame.load().await;
    assert_eq!(
        (page.status, page.cause()),
        (401, Some(Cause::FrameNeedsLogin))
    );
    assert_eq!(page.header_values("set-cookie").count(), 0);
    assert!(!page.text().contains("<script"));
    // A URL parameter does not enable tickets.
    let rd = "https%3A%2F%2Foa.test%2Fecho&k=AAAAAAAAAAAAAAAAAAAAAA&f=1";
    let mut tab = signed_in_tab(&menshen).await;
    let answer = tab
        .visit(&format!("{SSO_URL}/.menshen/start?rd={rd}"))
        .await;
    assert_eq!(ticket_in(&answer), None);
    assert_eq!(answer.status, 302, "{}", answer.text());
}
