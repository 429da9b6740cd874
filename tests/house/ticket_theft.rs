//! A session is transferred to a host that only a wildcard covers after the person agrees: the
//! owner of a DNS name below the wildcard gets every request for it, tickets included.

use std::time::Duration;

use menshen::face::page::Cause;
use url::Url;

use crate::browser::{Browser, Page, href, navigation_headers};
use crate::logging_in::{OWN_PAGES, WECOM_PHONE_APP};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::wire::Answer;

/// The application behind the attacker's host name, and one with a configured host.
const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
[[route]]
name = "lab"
host = "*.lab.test"
upstream = ["{app}"]
[[route]]
name = "lab on a port"
host = "*.lab.test:8080"
upstream = ["{app}"]
[[route]]
name = "named"
host = "named.lab.test"
upstream = ["{app}"]
[[route]]
name = "any"
upstream = ["{app}"]
"#;

const EVIL: &str = "http://evil.lab.test";

async fn start_menshen() -> Menshen {
    Setup::default()
        .routes(ROUTES)
        .tables(NO_LOGIN_LIMITS)
        .start()
        .await
}

/// The login URL to which menshen redirects an attacker's request for their host; it contains the attacker's
/// nonce.
async fn attacker_login_url(menshen: &Menshen, url: &str) -> String {
    let answer = Browser::new(menshen).visit(url).await;
    answer.header("location").unwrap().to_owned()
}

fn has_ticket(answer: &Answer) -> bool {
    let leads = answer.header("location").unwrap_or_default();
    leads.contains("ticket?t=") || answer.text().contains("ticket?t=")
}

/// Asserts that the page asks for consent for a host; returns the hidden fields of its form.
fn assert_consent_page(page: &Answer, host: &str) -> Vec<(String, String)> {
    let html = page.text();
    assert_eq!(page.status, 200, "{html}");
    assert!(!has_ticket(page), "{html}");
    assert!(html.contains(host), "the page names {host}: {html}");
    assert!(html.contains("李四"), "the page names the person: {html}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    fields(&html)
}

fn fields(html: &str) -> Vec<(String, String)> {
    let inputs = html.split("<input").skip(1);
    let attribute = |input: &str, name: &str| {
        let rest = input.split_once(&format!("{name}=\""))?.1;
        Some(rest.split_once('"')?.0.to_owned())
    };
    inputs
        .map(|input| {
            (
                attribute(input, "name").unwrap(),
                attribute(input, "value").unwrap(),
            )
        })
        .collect()
}

fn encoded(fields: &[(String, String)]) -> String {
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(fields);
    body.finish()
}

/// Presses the button of the page in the browser that shows it.
async fn agree(browser: &mut Browser, fields: &[(String, String)]) -> Answer {
    post(
        browser,
        fields,
        &[("Origin", SSO_URL), ("Sec-Fetch-Site", "same-origin")],
    )
    .await
}

async fn post(
    browser: &mut Browser,
    fields: &[(String, String)],
    headers: &[(&str, &str)],
) -> Answer {
    let mut all = vec![
        ("Accept", "text/html"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    all.extend(headers);
    browser
        .send(
            "POST",
            &format!("{OWN_PAGES}/start"),
            &all,
            encoded(fields).as_bytes(),
        )
        .await
}

#[tokio::test]
async fn the_owner_of_a_wildcard_host_gets_no_session_of_a_signed_in_person() {
    let menshen = start_menshen().await;
    let mut victim = Browser::new(&menshen);
    victim.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    for host in [EVIL, "http://a.b.lab.test", "http://evil.lab.test:8080"] {
        let bait = attacker_login_url(&menshen, &format!("{host}/echo?a=1")).await;
        let page = victim.follow(&bait).await;
        assert!(
            page.url.starts_with(&format!("{OWN_PAGES}/start?")),
            "{}",
            page.url
        );
        assert_consent_page(&page.answer, host.strip_prefix("http://").unwrap());
    }
}

#[tokio::test]
async fn the_owner_of_a_wildcard_host_gets_no_session_of_a_person_who_signs_in() {
    let menshen = start_menshen().await;
    let bait = attacker_login_url(&menshen, &format!("{EVIL}/echo")).await;
    let page = Browser::new(&menshen).sign_in(&bait, "lisi").await;
    assert_consent_page(&page.answer, "evil.lab.test");
    // Inside the provider's app the login needs no click.
    menshen.wecom.set_phone_owner("lisi");
    let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
    let page = phone.follow(&bait).await;
    assert_consent_page(&page.answer, "evil.lab.test");
    // By the sign-in page, signed in or not.
    let chooser = bait.replace("/start?", "/sign_in?");
    let page = Browser::new(&menshen).sign_in(&chooser, "lisi").await;
    assert_consent_page(&page.answer, "evil.lab.test");
    let shown = phone.visit(&chooser).await;
    let on = href(&shown.text(), "/start?rd=").unwrap();
    let page = phone.follow(&format!("{SSO_URL}{on}")).await;
    assert_consent_page(&page.answer, "evil.lab.test");
}

#[tokio::test]
async fn the_owner_of_a_wildcard_host_gets_no_session_by_a_silent_login() {
    let routes = ROUTES.replace(
        "host = \"*.lab.test\"\n",
        "host = \"*.lab.test\"\nreload_user = \"always\"\n",
    );
    let menshen = Setup::default()
        .routes(&routes)
        .tables(NO_LOGIN_LIMITS)
        .start()
        .await;
    let mut victim = Browser::new(&menshen);
    victim.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    menshen.advance(Duration::from_secs(60));
    let bait = attacker_login_url(&menshen, &format!("{EVIL}/echo")).await;
    let page = victim
        .follow_until(&bait, |next| {
            next.contains("/ticket?") || next.starts_with(EVIL)
        })
        .await;
    assert!(
        !page.url.starts_with(EVIL) && !has_ticket(&page.answer),
        "{}",
        page.url
    );
}

#[tokio::test]
async fn a_person_who_agrees_is_redirected_and_signed_in_there() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let page = browser
        .sign_in("http://x.lab.test/echo?a=%2f&b=1", "lisi")
        .await;
    let fields = assert_consent_page(&page.answer, "x.lab.test");
    // A script of the login host cannot reach the opened page, nor fetch it.
    let opener = page.answer.header("cross-origin-opener-policy");
    assert_eq!(opener, Some("same-origin"));
    let by_script = [("Origin", SSO_URL), ("Sec-Fetch-Mode", "cors")];
    let answer = post(&mut browser, &fields, &by_script).await;
    assert_eq!(answer.status, 403);
    let answer = agree(&mut browser, &fields).await;
    assert_eq!(answer.status, 303);
    let to = answer.header("location").unwrap().to_owned();
    assert!(
        to.starts_with("http://x.lab.test/.menshen/ticket?t="),
        "{to}"
    );
    let page = browser.follow(&to).await;
    assert_eq!(page.url, "http://x.lab.test/echo?a=%2f&b=1");
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    // Chromium applies the page's policy to redirects of a form post: the application may redirect.
    let policy = browser
        .visit(&attacker_login_url(&menshen, &format!("{EVIL}/")).await)
        .await;
    let policy = policy.header("content-security-policy").unwrap();
    assert!(
        policy.contains("form-action 'self' http: https:"),
        "{policy}"
    );
}

#[tokio::test]
async fn no_other_site_or_person_can_give_the_consent() {
    let menshen = start_menshen().await;
    let mut victim = Browser::new(&menshen);
    victim.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let bait = attacker_login_url(&menshen, &format!("{EVIL}/echo")).await;
    let page = victim.visit(&bait).await;
    let token = assert_consent_page(&page, "evil.lab.test");
    // The attacker's own form belongs to the attacker's session.
    let mut attacker = Browser::new(&menshen);
    let page = attacker.sign_in(&bait, "lisi").await;
    let theirs = assert_consent_page(&page.answer, "evil.lab.test");
    let nothing: Vec<(String, String)> = Vec::new();
    let made_up = vec![("go".to_owned(), "AAAA".to_owned())];
    let same = [("Origin", SSO_URL), ("Sec-Fetch-Site", "same-origin")];
    for (what, fields, headers) in [
        ("a token of another session", &theirs, &same[..]),
        ("no token", &nothing, &same[..]),
        ("a malformed token", &made_up, &same[..]),
        (
            "another site's page",
            &token,
            &[("Origin", EVIL), ("Sec-Fetch-Site", "cross-site")][..],
        ),
        (
            "a sibling's page",
            &token,
            &[
                ("Origin", "http://oa.sso.test"),
                ("Sec-Fetch-Site", "same-site"),
            ][..],
        ),
        ("a page without origin", &token, &[("Origin", "null")][..]),
        ("a page without Fetch Metadata and origin", &token, &[][..]),
    ] {
        let answer = post(&mut victim.clone(), fields, headers).await;
        assert!(!has_ticket(&answer), "{what}: {}", answer.status);
        let leads = answer.header("location").unwrap_or_default();
        assert!(!leads.starts_with(EVIL), "{what}: {leads}");
    }
    // The token is not accepted as a URL parameter, and not without the session.
    let url = format!("{OWN_PAGES}/start?{}", encoded(&token));
    assert!(!has_ticket(&victim.clone().visit(&url).await));
    assert!(!has_ticket(
        &agree(&mut Browser::new(&menshen), &token).await
    ));
    // The page does not load in a frame.
    let mut framed = navigation_headers();
    framed[2].1 = "iframe";
    let answer = victim.clone().send("GET", &bait, &framed, b"").await;
    assert!(fields(&answer.text()).is_empty(), "{}", answer.text());
    // Consent after ten minutes needs a new page, and consent of an ended session is refused.
    let mut late = victim.clone();
    menshen.advance(Duration::from_secs(601));
    assert!(!has_ticket(&agree(&mut late, &token).await));
    let page = victim.visit(&bait).await;
    let token = assert_consent_page(&page, "evil.lab.test");
    let mut ended = victim.clone();
    victim.visit(&format!("{OWN_PAGES}/sign_out")).await;
    assert!(!has_ticket(&agree(&mut ended, &token).await));
}

#[tokio::test]
async fn a_configured_host_needs_no_consent() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let page = browser.sign_in("http://named.lab.test/echo", "lisi").await;
    assert_eq!(page.url, "http://named.lab.test/echo");
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}

#[tokio::test]
async fn a_configured_host_is_trusted_only_on_its_ports() {
    let routes = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]
[[route]]
name = "named"
host = "named.lab.test:8080"
upstream = ["{app}"]
[[route]]
name = "lab"
host = "*.lab.test"
upstream = ["{app}"]
"#;
    let menshen = Setup::default()
        .routes(routes)
        .tables(NO_LOGIN_LIMITS)
        .start()
        .await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    for (host, goes) in [
        ("named.lab.test:8080", true),
        // No route serves the port: the host is matched first.
        ("named.lab.test", false),
        ("named.lab.test:81", false),
        ("sso.test:8080", false),
        ("evil.test", false),
        ("evil.test:8080", false),
    ] {
        let nonce = "A".repeat(22);
        let url = format!("{OWN_PAGES}/start?rd=http://{host}/echo&k={nonce}");
        let answer = browser.clone().visit(&url).await;
        assert_eq!(has_ticket(&answer), goes, "{host}");
        let leads = answer.header("location").unwrap_or_default();
        assert_eq!(leads.contains(host), goes, "{host}: {leads}");
    }
}

#[tokio::test]
async fn a_cookie_domain_needs_no_consent() {
    let routes = ROUTES.replace("sso.test", "sso.lab.test");
    let menshen = Setup::default()
        .external_url("http://sso.lab.test")
        .session("cookie_domain = \"lab.test\"")
        .routes(&routes)
        .tables(NO_LOGIN_LIMITS)
        .start()
        .await;
    let mut browser = Browser::new(&menshen);
    let page = browser.sign_in("http://x.lab.test/echo", "lisi").await;
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, "http://x.lab.test/echo")
    );
}

#[tokio::test]
async fn a_ticket_sent_by_another_browser_is_used_up() {
    let menshen = start_menshen().await;
    let mut victim = Browser::new(&menshen);
    victim.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    // An attacker with a page on the configured host reads the URL that the victim is redirected
    // to.
    let mut attacker = Browser::new(&menshen);
    let bait = attacker.visit("http://named.lab.test/echo").await;
    let bait = bait.header("location").unwrap().to_owned();
    let page: Page = victim.follow(&bait).await;
    assert_eq!(page.cause(), Some(Cause::InvalidTicket));
    assert!(page.url.contains("/ticket?t="), "{}", page.url);
    let answer = attacker.visit(&page.url).await;
    assert_eq!(answer.cause(), Some(Cause::InvalidTicket));
    let answer = attacker
        .visit("http://named.lab.test/.menshen/userinfo")
        .await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_prefetch_without_fetch_metadata_starts_no_login_and_uses_up_no_ticket() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{SSO_URL}/echo"), "lisi").await;
    let ticket = browser
        .follow_until("http://named.lab.test/echo", |next| {
            next.contains("/ticket?")
        })
        .await;
    for (name, value) in [
        ("Sec-Purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ] {
        let headers = [("Accept", "text/html"), (name, value)];
        let mut tab = browser.clone();
        let answer = tab.send("GET", &ticket.url, &headers, b"").await;
        assert_eq!(answer.status, 403, "{name}: {value}");
        let url = format!("{OWN_PAGES}/start?connector=corp&rd=/x");
        let answer = Browser::new(&menshen)
            .send("GET", &url, &headers, b"")
            .await;
        assert_eq!(
            (answer.status, answer.header("set-cookie")),
            (401, None),
            "{name}"
        );
        let url = format!("{OWN_PAGES}/sign_out");
        let answer = tab.send("GET", &url, &headers, b"").await;
        assert_eq!(answer.status, 403, "{name}");
    }
    let page = browser.follow(&ticket.url).await;
    assert_eq!(page.url, "http://named.lab.test/echo");
    assert_eq!(
        Url::parse(&page.url).unwrap().host_str(),
        Some("named.lab.test")
    );
}
