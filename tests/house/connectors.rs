//! Several connectors on one site: each route accepts some of them, and the sign-in page lists those.

use menshen::face::page::Cause;

use crate::browser::{Browser, Page, href};
use crate::logging_in::{OWN_PAGES, query_parameter};
use crate::provider::Provider;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, ROUTES, SECOND_CONNECTOR, SSO_URL, Setup};
use crate::test_request::TestRequest;

/// Routes that accept only the connector `other`.
const OTHER_ONLY: &str = r#"
[[route]]
name = "other"
host = "sso.test"
path = "/other"
upstream = ["{app}"]
connectors = ["other"]

[[route]]
name = "far"
host = "far.test"
upstream = ["{app}"]
connectors = ["other"]

[[route]]
name = "open"
host = "sso.test"
path = "/open"
access = "public"
strip_path = true
upstream = ["{app}"]
connectors = ["other"]
"#;

async fn start_menshen() -> Menshen {
    let more = SECOND_CONNECTOR.replace(
        "[connector.other]\n",
        "[connector.other]\ndisplay_name = \"Other\"\nlink_by = ['email']\n",
    );
    let setup = Setup::default().routes(&format!("{ROUTES}{OTHER_ONLY}"));
    let menshen = setup
        .tables(&format!("{more}{NO_LOGIN_LIMITS}"))
        .start()
        .await;
    // WeCom reports email addresses to this application, and they link one person to both connectors.
    menshen
        .wecom
        .set_shows_personal_fields(crate::wecom::AGENT_ID, true);
    menshen
}

async fn sign_in_with(browser: &mut Browser, connector: &str, return_to: &str) -> Page {
    let start = format!("{OWN_PAGES}/start?connector={connector}&rd={return_to}");
    browser.sign_in(&start, "zhangsan").await
}

#[tokio::test]
async fn a_public_route_identifies_only_people_of_its_connectors() {
    let menshen = start_menshen().await;
    let no_user: [&str; 0] = [];
    for (connector, users) in [("corp", &no_user[..]), ("other", &["zhangsan"])] {
        let mut browser = Browser::new(&menshen);
        sign_in_with(&mut browser, connector, "/hello").await;
        let page = browser.visit(&format!("{SSO_URL}/open/echo")).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.echoed("x-forwarded-user"), users, "{connector}");
    }
}

/// The links of a page that begin a login, in the order of the page.
fn start_links(html: &str) -> Vec<String> {
    let links = html
        .split('"')
        .filter(|text| text.contains("/start?connector="));
    links
        .map(|text| text.replace("&#38;", "&").replace("&amp;", "&"))
        .collect()
}

#[tokio::test]
async fn a_session_of_one_connector_is_refused_on_a_route_of_another() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    sign_in_with(&mut browser, "corp", "/echo").await;
    let corp = browser.cookie("menshen").unwrap().value.clone();
    let get = |path: &str| TestRequest::get(path).session(&corp);
    // A page request is redirected to the sign-in page with the reason and the accepted connector.
    let page = browser.follow(&format!("{SSO_URL}/other/echo?a")).await;
    assert!(page.url.contains("/sign_in?why=other&rd="), "{}", page.url);
    let html = page.answer.text();
    assert!(html.contains("需要使用其他登录方式"), "{html}");
    let links = start_links(&html);
    assert_eq!(links.len(), 1, "{links:?}");
    assert!(links[0].contains("connector=other"), "{links:?}");
    assert!(
        href(&html, "/start?rd=").is_none(),
        "the page must not offer to continue with the current session: {html}"
    );
    // Programs, WebSockets, preflight requests and encoded paths are refused.
    let hint = get("/other/echo").send(&menshen).await;
    assert_eq!(hint.status, 401);
    assert_eq!(hint.json()["detail"], "other connector");
    let socket = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    assert_eq!(
        get("/other/ws")
            .headers(&socket)
            .send(&menshen)
            .await
            .status,
        401
    );
    let preflight = [
        ("Origin", "http://x.test"),
        ("Access-Control-Request-Method", "GET"),
    ];
    let preflight = get("/other/echo").method("OPTIONS").headers(&preflight);
    assert_eq!(preflight.send(&menshen).await.status, 401);
    for disguised in ["/%6fther/echo", "//other/echo", "/other;a/echo"] {
        let status = get(disguised).send(&menshen).await.status;
        assert!(matches!(status, 400 | 401), "{disguised}: {status}");
    }
    // On another host of the site: `/start` issues no ticket.
    let page_of_far = browser.follow("http://far.test/echo").await;
    assert!(
        page_of_far.url.starts_with(&format!("{OWN_PAGES}/start")),
        "{}",
        page_of_far.url
    );
    assert_eq!(start_links(&page_of_far.answer.text()).len(), 1);
    assert!(page_of_far.answer.text().contains("需要使用其他登录方式"));
    // The session stays valid on other routes.
    let info = get("/.menshen/userinfo").send(&menshen).await;
    assert_eq!(
        (info.status, &info.json()["connector"]),
        (200, &"corp".into())
    );
    assert_eq!(get("/echo").send(&menshen).await.status, 200);
    // A login with the other connector passes as the same account, and ends the first session.
    let page = browser
        .sign_in(&format!("{SSO_URL}/other/echo?a"), "zhangsan")
        .await;
    assert_eq!(
        (page.answer.status, page.url),
        (200, format!("{SSO_URL}/other/echo?a"))
    );
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(
        (&info["connector"], &info["login"]),
        (&"other".into(), &"zhangsan".into())
    );
    assert_eq!(get("/echo").send(&menshen).await.status, 401);
}

#[tokio::test]
async fn a_login_with_a_connector_that_the_route_does_not_accept_ends_on_the_sign_in_page() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let page = sign_in_with(&mut browser, "corp", "/other/echo").await;
    assert!(page.url.contains("/sign_in?why=other"), "{}", page.url);
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn the_last_used_connector_is_listed_first_and_starts_no_login() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let page = browser
        .visit(&format!("{OWN_PAGES}/sign_in?rd=/echo"))
        .await;
    let first = start_links(&page.text());
    assert!(first[0].contains("connector=corp"), "{first:?}");
    assert!(!page.text().contains("上次使用"));
    let page = sign_in_with(&mut browser, "other", "/echo").await;
    let cookie = browser.cookie("menshen-last").unwrap();
    assert_eq!(cookie.value, "other");
    // The application does not receive the cookie.
    assert_eq!(page.answer.echoed("cookie"), Vec::<String>::new());
    browser.delete_cookies("menshen=");
    let mut new_browser = browser.clone();
    new_browser.delete_cookies("menshen");
    new_browser.set_cookie("sso.test", "menshen-last", "other");
    let page = new_browser.follow(&format!("{SSO_URL}/echo")).await;
    assert!(page.url.contains("/sign_in"), "{}", page.url);
    let html = page.answer.text();
    let sorted = start_links(&html);
    assert!(sorted[0].contains("connector=other"), "{sorted:?}");
    assert_eq!((sorted.len(), html.matches("上次使用").count()), (2, 1));
    // Unknown connectors, and those that the route does not accept, change nothing.
    for unknown in ["", "nobody", "\"><i>", "OTHER"] {
        let mut browser = Browser::new(&menshen);
        browser.set_cookie("sso.test", "menshen-last", unknown);
        let page = browser
            .visit(&format!("{OWN_PAGES}/sign_in?rd=/echo"))
            .await;
        assert_eq!(start_links(&page.text()), first, "{unknown}");
        assert!(!page.text().contains("上次使用") && !page.text().contains("<i>"));
    }
    let mut browser = Browser::new(&menshen);
    browser.set_cookie("sso.test", "menshen-last", "corp");
    let only = browser
        .visit(&format!("{OWN_PAGES}/sign_in?rd=/other/echo"))
        .await;
    assert_eq!(start_links(&only.text()).len(), 1);
}

#[tokio::test]
async fn a_site_with_one_connector_sets_no_cookie_for_the_last_used_one() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/echo"), "zhangsan")
        .await;
    assert_eq!(browser.cookies().len(), 1, "{:?}", browser.cookies());
    let https = Setup::default()
        .external_url("https://sso.test")
        .server("trusted_proxies = ['127.0.0.1']")
        .tables(&format!("{SECOND_CONNECTOR}{NO_LOGIN_LIMITS}"));
    let menshen = https.start().await;
    let mut browser = Browser::new(&menshen).over_https();
    browser.sign_in("https://sso.test/echo", "zhangsan").await;
    let last = browser.cookie("__Host-menshen-last").unwrap();
    assert!(last.secure && !last.for_subdomains, "{last:?}");
}

#[tokio::test]
async fn valid_hints_are_passed_to_the_login() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let hints = "login_hint=zhang%40corp.example&domain_hint=corp.example";
    let page = browser
        .visit(&format!("{OWN_PAGES}/sign_in?rd=/echo&{hints}"))
        .await;
    for link in start_links(&page.text()) {
        let link = format!("{SSO_URL}{link}");
        assert_eq!(
            query_parameter(&link, "login_hint").as_deref(),
            Some("zhang@corp.example")
        );
        assert_eq!(
            query_parameter(&link, "domain_hint").as_deref(),
            Some("corp.example")
        );
        assert_eq!(query_parameter(&link, "rd").as_deref(), Some("/echo"));
    }
    // They are also passed from another host to the login host.
    let sent = browser
        .visit(&format!("http://oa.test/.menshen/sign_in?{hints}"))
        .await;
    let to = sent.header("location").unwrap();
    assert_eq!(
        query_parameter(to, "login_hint").as_deref(),
        Some("zhang@corp.example")
    );
    // Hints are invalid if they are repeated, too long, empty or have control characters. A hint within the
    // return address is none.
    let long = "x".repeat(257);
    for bad in [
        "login_hint=a&login_hint=b".to_owned(),
        format!("login_hint={long}"),
        "login_hint=a%0d%0ab".to_owned(),
        "login_hint=".to_owned(),
        "rd=/echo%3Flogin_hint%3Da".to_owned(),
    ] {
        let page = browser.visit(&format!("{OWN_PAGES}/sign_in?{bad}")).await;
        let links = start_links(&page.text());
        assert_eq!(links.len(), 2, "{bad}");
        for link in links {
            assert_eq!(
                query_parameter(&format!("{SSO_URL}{link}"), "login_hint"),
                None,
                "{bad}"
            );
        }
    }
}

#[tokio::test]
async fn a_taken_login_name_ends_on_an_error_page_and_keeps_the_current_session() {
    let more = format!("{SECOND_CONNECTOR}{NO_LOGIN_LIMITS}");
    let menshen = Setup::default().tables(&more).start().await;
    let mut browser = Browser::new(&menshen);
    sign_in_with(&mut browser, "corp", "/echo").await;
    let page = sign_in_with(&mut browser, "other", "/echo").await;
    assert_eq!(page.cause(), Some(Cause::LoginTaken));
    // Without a new session the old one stays.
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await;
    assert_eq!(
        (info.status, &info.json()["connector"]),
        (200, &"corp".into())
    );
}

/// WeCom and an OpenID provider may use the same login name for different people.
#[tokio::test]
async fn the_same_login_name_at_two_sources_is_never_one_account() {
    let provider = Provider::new().await;
    let routes = format!("{ROUTES}{OTHER_ONLY}").replace("[\"other\"]", "[\"keycloak\"]");
    for (prefix, login) in [("", None), ("login_prefix = 'kc-'", Some("kc-zhangsan"))] {
        let table = "[connector.keycloak]\n";
        let toml = provider
            .toml("keycloak")
            .replace(table, &format!("{table}{prefix}\n"));
        let setup = Setup::default().clock(provider.clock()).routes(&routes);
        let menshen = setup
            .tables(&format!("{toml}{NO_LOGIN_LIMITS}"))
            .start()
            .await;
        let mut browser = Browser::new(&menshen);
        let page = sign_in_with(&mut browser, "corp", "/echo").await;
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
        let corp = browser.cookie("menshen").unwrap().value.clone();
        let other = TestRequest::get("/other/echo")
            .session(&corp)
            .send(&menshen)
            .await;
        assert_eq!(
            (other.status, &other.json()["detail"]),
            (401, &"other connector".into())
        );
        let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
        let Some(login) = login else {
            assert_eq!(page.cause(), Some(Cause::LoginTaken));
            let audit = menshen.audit().pop().unwrap();
            assert_eq!(audit["connector"], "keycloak", "{audit}");
            assert_eq!(
                audit["subject"],
                provider.sub("zhangsan").as_str(),
                "{audit}"
            );
            assert_eq!(audit["login"], "zhangsan", "{audit}");
            continue;
        };
        assert_eq!(page.answer.echoed("x-forwarded-user"), [login]);
        let passed = browser.visit(&format!("{SSO_URL}/other/echo")).await;
        assert_eq!(passed.status, 200);
        assert_eq!(
            TestRequest::get("/echo")
                .session(&corp)
                .send(&menshen)
                .await
                .status,
            401
        );
    }
}

#[tokio::test]
async fn the_sign_in_page_shows_hints_only_for_listed_connectors() {
    const PROVIDER: &str = "[connector.gh.oauth2]\npreset = 'github'\nclient_id = 'me'\n";
    const GITHUB_ONLY: &str = "[[route]]\nname = 'gh'\nhost = 'sso.test'\npath = '/gh'\n\
                               upstream = ['{app}']\nconnectors = ['gh']\n";
    let setup = Setup::default().routes(&format!("{ROUTES}{GITHUB_ONLY}"));
    let menshen = setup
        .tables(&format!("{PROVIDER}{NO_LOGIN_LIMITS}"))
        .start()
        .await;
    let (scan, leave_wechat) = ("用企业微信扫码", "请改在企业微信中打开");
    let (wecom, wechat) = ("wxwork/4.1.30 MicroMessenger/7.0.1", "MicroMessenger/8");
    for (agent, path, hint) in [
        ("Firefox/140.0", "/echo", Some(scan)),
        (wecom, "/echo", Some(scan)),
        (wechat, "/echo", Some(leave_wechat)),
        ("Firefox/140.0", "/gh/echo", None),
        (wechat, "/gh/echo", None),
    ] {
        let mut browser = Browser::new(&menshen).with_user_agent(agent);
        let page = browser
            .visit(&format!("{OWN_PAGES}/sign_in?rd={path}"))
            .await;
        let html = page.text();
        assert_eq!(page.status, 200);
        for text in [scan, leave_wechat] {
            let times = html.matches(text).count();
            assert_eq!(
                times,
                usize::from(hint == Some(text)),
                "{agent} {path}: {html}"
            );
        }
    }
}
