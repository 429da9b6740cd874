//! Attacks on the logins of frames.

use super::*;

/// Whether a response sets a session cookie.
fn sets_session(answer: &Answer) -> bool {
    let session = |cookie: &str| {
        let is_session = cookie.starts_with("__Host-menshen=") || cookie.contains("-menshen=e");
        is_session && !cookie.contains("Max-Age=0")
    };
    answer.header_values("set-cookie").any(session)
}

#[tokio::test]
async fn a_ticket_works_once_in_the_frame_that_requested_it() {
    let menshen = setup().start().await;
    let url = "https://oa.test/echo";
    let mut frame = Frame::new(&menshen, url);
    let ticket = ticket_for(&menshen, &mut frame).await;
    let copy = frame.clone();
    assert!(sets_session(&frame.receive(&ticket).await));
    // A second use is refused, even with the frame's cookies.
    for mut again in [copy.clone(), Frame::new(&menshen, url)] {
        let answer = again.receive(&ticket).await;
        assert!(!sets_session(&answer), "{}", answer.text());
        assert_eq!(again.load().await.status, 401);
    }
    // A ticket in the URL, as between hosts, is refused.
    let address = format!("https://oa.test/.menshen/ticket?t={ticket}");
    let answer = copy.clone().navigate("GET", &address, &[], "").await;
    assert!(!sets_session(&answer));
}

#[tokio::test]
async fn an_attackers_ticket_does_not_sign_a_victim_in() {
    let menshen = setup().start().await;
    let mut attacker = Frame::new(&menshen, "https://oa.test/echo");
    let attackers_ticket = ticket_for(&menshen, &mut attacker).await;
    // The ticket is bound to the nonce of the attacker's frame; the victim's frame has another.
    let mut victim = Frame::new(&menshen, "https://oa.test/echo");
    victim.load().await;
    let answer = victim.receive(&attackers_ticket).await;
    assert!(!sets_session(&answer), "{}", answer.text());
    // The attempt in the victim's frame redeemed the ticket.
    assert!(!sets_session(&attacker.receive(&attackers_ticket).await));
}

#[tokio::test]
async fn a_ticket_is_valid_on_one_host_for_one_minute() {
    let menshen = setup().start().await;
    let mut frame = Frame::new(&menshen, "https://oa.test/echo");
    let ticket = ticket_for(&menshen, &mut frame).await;
    let mut other = frame.clone();
    for host in ["https://hr.test/echo", "https://sso.test/echo"] {
        other.url = host.to_owned();
        for cookie in frame.cookies.cookies() {
            let host = Url::parse(host).unwrap().host_str().unwrap().to_owned();
            let line = format!("{}={}; Secure; Path=/", cookie.name, cookie.value);
            other
                .cookies
                .set_cookie(&host, &cookie.name, line.split_once('=').unwrap().1);
        }
        assert!(!sets_session(&other.receive(&ticket).await), "{host}");
    }
    menshen.advance(Duration::from_secs(61));
    assert!(!sets_session(&frame.receive(&ticket).await));
}

#[tokio::test]
async fn only_the_framed_page_may_redeem_a_ticket_by_form() {
    let menshen = setup().start().await;
    let mut frame = Frame::new(&menshen, "https://oa.test/echo");
    let ticket = ticket_for(&menshen, &mut frame).await;
    for (from, site) in [
        ("https://evil.example", "cross-site"),
        ("https://sso.test", "cross-site"),
        ("https://x.oa.test", "same-site"),
        ("null", "cross-site"),
    ] {
        let answer = frame.receive_from(&ticket, from, site).await;
        assert_eq!(answer.status, 403, "{from}");
        assert!(!sets_session(&answer), "{from}");
    }
    // None of the attempts redeemed the ticket.
    assert!(sets_session(&frame.receive(&ticket).await));
}

#[tokio::test]
async fn an_attackers_link_hands_no_ticket_to_their_window() {
    let menshen = setup().start().await;
    let mut attacker = Frame::new(&menshen, "https://oa.test/echo");
    let attackers_url = attacker.start_url().await;
    let mut victim = signed_in_tab(&menshen).await;
    let consent_page = victim.visit(&attackers_url).await;
    let html = consent_page.text();
    assert_eq!(ticket_in(&consent_page), None, "{html}");
    assert!(html.contains("oa.test"), "the page names the host: {html}");
    // No page can frame the consent page and have its button pressed.
    let policy = consent_page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(consent_page.header("x-frame-options"), Some("DENY"));
    // Only the frame's origin receives the message, and no URL holds the ticket.
    let page = consent(&mut victim, &consent_page).await;
    assert_eq!(page.header("location"), None);
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    let html = page.text();
    assert_eq!(
        attribute(&html, "data-frame-origin").as_deref(),
        Some("https://oa.test")
    );
    let ticket = ticket_in(&page).unwrap();
    assert!(victim.visited.iter().all(|url| !url.contains(&ticket)));
    assert_eq!(html.matches(&ticket).count(), 1, "{html}");
}

#[tokio::test]
async fn consent_cannot_be_forged() {
    let menshen = setup().start().await;
    let mut attacker = Frame::new(&menshen, "https://oa.test/echo");
    let attackers_url = attacker.start_url().await;
    let mut attackers_ticket = Browser::new(&menshen).over_https();
    let consent_page = sign_in(&mut attackers_ticket, &attackers_url).await;
    let sealed_request = attribute(&consent_page.text(), "name=\"go\" value").unwrap();
    let mut victim = signed_in_tab(&menshen).await;
    let url = format!("{SSO_URL}/.menshen/start");
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let html = ("Accept", "text/html");
    for (go, origin) in [
        (sealed_request.as_str(), SSO_URL),
        ("AAAA", SSO_URL),
        ("", SSO_URL),
        (sealed_request.as_str(), "https://oa.test"),
        (sealed_request.as_str(), "https://evil.example"),
    ] {
        let headers = [
            html,
            kind,
            ("Origin", origin),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
        ];
        let body = format!("go={go}");
        let answer = victim.send("POST", &url, &headers, body.as_bytes()).await;
        assert_eq!(ticket_in(&answer), None, "{go} {origin}");
    }
}

#[tokio::test]
async fn the_consent_and_ticket_pages_cannot_be_framed_or_read_by_scripts() {
    let menshen = setup().start().await;
    let mut frame = Frame::new(&menshen, "https://oa.test/echo");
    let start = frame.start_url().await;
    let mut victim = signed_in_tab(&menshen).await;
    for (mode, dest) in [
        ("navigate", "iframe"),
        ("cors", "empty"),
        ("no-cors", "image"),
        ("navigate", "empty"),
    ] {
        let headers = [
            ("Accept", "text/html"),
            ("Sec-Fetch-Mode", mode),
            ("Sec-Fetch-Dest", dest),
            ("Sec-Fetch-Site", "same-origin"),
        ];
        let answer = victim.send("GET", &start, &headers, b"").await;
        let html = answer.text();
        assert!(!html.contains("name=\"go\""), "{mode} {dest}: {html}");
        assert_eq!(ticket_in(&answer), None, "{mode} {dest}");
    }
}

#[tokio::test]
async fn a_browser_without_fetch_metadata_gets_no_ticket() {
    let menshen = setup().start().await;
    let mut frame = Frame::new(&menshen, "https://oa.test/echo");
    let start = frame.start_url().await;
    let mut old = signed_in_tab(&menshen).await;
    let answer = old
        .send("GET", &start, &[("Accept", "text/html")], b"")
        .await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    assert!(!answer.text().contains("name=\"go\""));
}

#[tokio::test]
async fn only_a_tab_gets_a_ticket_after_consent() {
    let menshen = setup().start().await;
    let mut attacker = Frame::new(&menshen, "https://oa.test/echo");
    let start = attacker.start_url().await;
    let mut victim = signed_in_tab(&menshen).await;
    let consent_page = victim.visit(&start).await;
    let sealed_request = attribute(&consent_page.text(), "name=\"go\" value").unwrap();
    let url = format!("{SSO_URL}/.menshen/start");
    let body = format!("go={sealed_request}");
    let common = [
        ("Accept", "text/html"),
        ("Origin", SSO_URL),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let others: [&[(&str, &str)]; 6] = [
        &[("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")],
        &[
            ("Sec-Fetch-Mode", "same-origin"),
            ("Sec-Fetch-Dest", "empty"),
        ],
        &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "empty")],
        &[("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")],
        &[("Sec-Fetch-Site", "same-origin")],
        &[],
    ];
    for fetch_headers in others {
        let headers: Vec<_> = common.iter().chain(fetch_headers).copied().collect();
        let answer = victim.send("POST", &url, &headers, body.as_bytes()).await;
        assert!((400..500).contains(&answer.status), "{fetch_headers:?}");
        assert_eq!(ticket_in(&answer), None, "{fetch_headers:?}");
    }
    // The tab itself gets the ticket.
    let page = consent(&mut victim, &consent_page).await;
    assert!(ticket_in(&page).is_some(), "{}", page.text());
}

#[tokio::test]
async fn a_url_without_a_valid_nonce_starts_an_ordinary_login() {
    let menshen = setup().start().await;
    let mut victim = signed_in_tab(&menshen).await;
    let nonce = "AAAAAAAAAAAAAAAAAAAAAA";
    for query in [
        "rd=/echo&f=1".to_owned(),
        "rd=/echo&f=1&k=short".to_owned(),
        format!("rd=/echo&k={nonce}"),
        format!("rd=/echo&k={nonce}&f=2"),
        format!("rd=/echo&k={nonce}&f=1&f=1"),
    ] {
        let answer = victim
            .visit(&format!("{SSO_URL}/.menshen/start?{query}"))
            .await;
        assert_eq!(answer.header("location"), Some("/echo"), "{query}");
    }
    // No redirect leaves the site.
    let query = format!("rd=https://evil.example/&k={nonce}&f=1");
    let answer = victim
        .visit(&format!("{SSO_URL}/.menshen/start?{query}"))
        .await;
    assert!(!answer.text().contains("evil.example"), "{}", answer.text());
}

#[tokio::test]
async fn consent_names_a_host_covered_only_by_a_wildcard() {
    let routes = format!(
        "{ROUTES}\n[[route]]\nname = \"lab\"\nhost = \"*.lab.test\"\nupstream = [\"{{app}}\"]\n"
    );
    let menshen = setup().routes(&routes).start().await;
    let mut frame = Frame::new(&menshen, "https://x.lab.test/echo");
    let mut tab = Browser::new(&menshen).over_https();
    let consent_page = sign_in(&mut tab, &frame.start_url().await).await;
    assert!(consent_page.text().contains("x.lab.test"));
    let page = consent(&mut tab, &consent_page).await;
    let answer = frame.receive(&ticket_in(&page).unwrap()).await;
    assert!(sets_session(&answer));
    assert_eq!(frame.signed_in_user().await, ["lisi"]);
}

#[tokio::test]
async fn a_frames_session_ends_with_its_tabs_session() {
    let menshen = setup().start().await;
    let mut frame = Frame::new(&menshen, "https://oa.test/echo");
    let mut tab = Browser::new(&menshen).over_https();
    let consent_page = sign_in(&mut tab, &frame.start_url().await).await;
    let page = consent(&mut tab, &consent_page).await;
    frame.receive(&ticket_in(&page).unwrap()).await;
    assert_eq!(frame.signed_in_user().await, ["lisi"]);
    tab.follow(&format!("{SSO_URL}/.menshen/sign_out")).await;
    assert_eq!(frame.load().await.status, 401);
    assert!(query_parameter(&frame.start_url().await, "k").is_some());
}

#[tokio::test]
async fn only_configured_ancestors_may_frame_the_sign_in_page() {
    let named = "cookie_same_site = 'none'
                 frame_ancestors = ['https://portal.example', 'https://www.portal.example:8443']";
    let list = "'self' https://portal.example https://www.portal.example:8443;";
    for (session, ancestors) in [("cookie_same_site = 'none'", "*;"), (named, list)] {
        let menshen = setup().session(session).start().await;
        let mut frame = Frame::new(&menshen, "https://oa.test/echo");
        let at_application = frame.load().await;
        frame.url = "https://oa.test/.menshen/start?rd=/echo".to_owned();
        let at_start = frame.load().await;
        let refused = frame.receive("AAAA").await;
        for page in [at_application, at_start, refused] {
            let policy = page.header("content-security-policy").unwrap();
            let expected = format!("frame-ancestors {ancestors}");
            assert!(policy.contains(&expected), "{policy}");
        }
    }
}
