//! Several connectors on one site: each route counts its own, the page offers what counts, and the
//! one that was used last is only put first.

use menshen::face::page::Cause;

use crate::browser::{Browser, Page, href};
use crate::logging_in::{OWN, parameter};
use crate::provider::Provider;
use crate::setup::{HOME, Menshen, OTHER_CONNECTOR, ROUTES, Setup, UNLIMITED};
use crate::test_request::TestRequest;

/// Beside the usual routes one that only the other connector's people may take.
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
    let more = OTHER_CONNECTOR.replace(
        "[connector.other]\n",
        "[connector.other]\ndisplay_name = \"Other\"\nlink_by = ['email']\n",
    );
    let setup = Setup::default().routes(&format!("{ROUTES}{OTHER_ONLY}"));
    let menshen = setup.more(&format!("{more}{UNLIMITED}")).start().await;
    // Then the source vouches for addresses, and the same person may come in by both.
    menshen
        .source
        .set_shows_personal_fields(crate::wecom::AGENT_ID, true);
    menshen
}

async fn through(browser: &mut Browser, connector: &str, place: &str) -> Page {
    let start = format!("{OWN}/start?connector={connector}&rd={place}");
    browser.sign_in(&start, "zhangsan").await
}

#[tokio::test]
async fn a_public_route_names_only_people_of_the_connectors_that_count_there() {
    let menshen = start_menshen().await;
    let nobody: [&str; 0] = [];
    for (connector, named) in [("corp", &nobody[..]), ("other", &["zhangsan"])] {
        let mut browser = Browser::new(&menshen);
        through(&mut browser, connector, "/hello").await;
        let page = browser.visit(&format!("{HOME}/open/echo")).await;
        assert_eq!(page.status, 200);
        assert_eq!(page.echoed("x-forwarded-user"), named, "{connector}");
    }
}

/// The links of a page that begin a login, in their order.
fn choices(html: &str) -> Vec<String> {
    let links = html
        .split('"')
        .filter(|text| text.contains("/start?connector="));
    links
        .map(|text| text.replace("&#38;", "&").replace("&amp;", "&"))
        .collect()
}

#[tokio::test]
async fn a_session_of_one_connector_does_not_pass_a_route_of_the_other_by_any_path() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    through(&mut browser, "corp", "/echo").await;
    let corp = browser.cookie("menshen").unwrap().value.clone();
    let get = |path: &str| TestRequest::get(path).session(&corp);
    // A page: sent to choose, with the reason and the one that counts.
    let page = browser.follow(&format!("{HOME}/other/echo?a")).await;
    assert!(page.url.contains("/sign_in?why=other&rd="), "{}", page.url);
    let html = page.answer.text();
    assert!(html.contains("只认另一种登录方式"), "{html}");
    let offered = choices(&html);
    assert_eq!(offered.len(), 1, "{offered:?}");
    assert!(offered[0].contains("connector=other"), "{offered:?}");
    assert!(
        href(&html, "/start?rd=").is_none(),
        "no way on as who they are: {html}"
    );
    // A program, a WebSocket, a preflight, a disguised path.
    let said = get("/other/echo").send(&menshen).await;
    assert_eq!(said.status, 401);
    assert_eq!(said.json()["detail"], "other connector");
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
    // Another host of the site, by a ticket: `/start` hands out none.
    let far = browser.follow("http://far.test/echo").await;
    assert!(far.url.starts_with(&format!("{OWN}/start")), "{}", far.url);
    assert_eq!(choices(&far.answer.text()).len(), 1);
    assert!(far.answer.text().contains("只认另一种登录方式"));
    // Who they are is no secret to them, and elsewhere they are as welcome as before.
    let info = get("/.menshen/userinfo").send(&menshen).await;
    assert_eq!(
        (info.status, &info.json()["connector"]),
        (200, &"corp".into())
    );
    assert_eq!(get("/echo").send(&menshen).await.status, 200);
    // Through the other one they pass, as themselves, and the first session is over.
    let back = browser
        .sign_in(&format!("{HOME}/other/echo?a"), "zhangsan")
        .await;
    assert_eq!(
        (back.answer.status, back.url),
        (200, format!("{HOME}/other/echo?a"))
    );
    let info = browser.visit(&format!("{OWN}/userinfo")).await.json();
    assert_eq!(
        (&info["connector"], &info["login"]),
        (&"other".into(), &"zhangsan".into())
    );
    assert_eq!(get("/echo").send(&menshen).await.status, 401);
}

#[tokio::test]
async fn a_login_through_a_connector_that_does_not_count_there_ends_at_the_choice() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let page = through(&mut browser, "corp", "/other/echo").await;
    assert!(page.url.contains("/sign_in?why=other"), "{}", page.url);
    assert_eq!(page.answer.status, 200);
}

#[tokio::test]
async fn the_connector_used_last_comes_first_and_starts_nothing() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let page = browser.visit(&format!("{OWN}/sign_in?rd=/echo")).await;
    let first = choices(&page.text());
    assert!(first[0].contains("connector=corp"), "{first:?}");
    assert!(!page.text().contains("上次使用"));
    let back = through(&mut browser, "other", "/echo").await;
    let cookie = browser.cookie("menshen-last").unwrap();
    assert_eq!(cookie.value, "other");
    // It stays here: the application neither sees it nor can write it.
    assert_eq!(back.answer.echoed("cookie"), Vec::<String>::new());
    browser.forget("menshen=");
    let mut later = browser.clone();
    later.forget("menshen");
    later.set("sso.test", "menshen-last", "other");
    let page = later.follow(&format!("{HOME}/echo")).await;
    assert!(page.url.contains("/sign_in"), "{}", page.url);
    let html = page.answer.text();
    let sorted = choices(&html);
    assert!(sorted[0].contains("connector=other"), "{sorted:?}");
    assert_eq!((sorted.len(), html.matches("上次使用").count()), (2, 1));
    // What is no connector, or none that counts there, changes nothing.
    for unknown in ["", "nobody", "\"><i>", "OTHER"] {
        let mut browser = Browser::new(&menshen);
        browser.set("sso.test", "menshen-last", unknown);
        let page = browser.visit(&format!("{OWN}/sign_in?rd=/echo")).await;
        assert_eq!(choices(&page.text()), first, "{unknown}");
        assert!(!page.text().contains("上次使用") && !page.text().contains("<i>"));
    }
    let mut browser = Browser::new(&menshen);
    browser.set("sso.test", "menshen-last", "corp");
    let only = browser
        .visit(&format!("{OWN}/sign_in?rd=/other/echo"))
        .await;
    assert_eq!(choices(&only.text()).len(), 1);
}

#[tokio::test]
async fn where_there_is_no_choice_no_browser_remembers_one() {
    let menshen = Menshen::new().await;
    let mut browser = Browser::new(&menshen);
    browser.sign_in(&format!("{HOME}/echo"), "zhangsan").await;
    assert_eq!(browser.cookies().len(), 1, "{:?}", browser.cookies());
    let https = Setup::default()
        .external_url("https://sso.test")
        .server("trusted_proxies = ['127.0.0.1']")
        .more(&format!("{OTHER_CONNECTOR}{UNLIMITED}"));
    let menshen = https.start().await;
    let mut browser = Browser::new(&menshen).over_https();
    browser.sign_in("https://sso.test/echo", "zhangsan").await;
    let last = browser.cookie("__Host-menshen-last").unwrap();
    assert!(last.secure && !last.wide, "{last:?}");
}

#[tokio::test]
async fn hints_go_along_to_the_login_when_they_are_ours_and_sound() {
    let menshen = start_menshen().await;
    let mut browser = Browser::new(&menshen);
    let hints = "login_hint=zhang%40corp.example&domain_hint=corp.example";
    let page = browser
        .visit(&format!("{OWN}/sign_in?rd=/echo&{hints}"))
        .await;
    for link in choices(&page.text()) {
        let link = format!("{HOME}{link}");
        assert_eq!(
            parameter(&link, "login_hint").as_deref(),
            Some("zhang@corp.example")
        );
        assert_eq!(
            parameter(&link, "domain_hint").as_deref(),
            Some("corp.example")
        );
        assert_eq!(parameter(&link, "rd").as_deref(), Some("/echo"));
    }
    // From another host to the one that logs people in.
    let sent = browser
        .visit(&format!("http://oa.test/.menshen/sign_in?{hints}"))
        .await;
    let to = sent.header("location").unwrap();
    assert_eq!(
        parameter(to, "login_hint").as_deref(),
        Some("zhang@corp.example")
    );
    // Twice, too long, with control characters, or an application's own: not passed on.
    let long = "x".repeat(257);
    for bad in [
        "login_hint=a&login_hint=b".to_owned(),
        format!("login_hint={long}"),
        "login_hint=a%0d%0ab".to_owned(),
        "login_hint=".to_owned(),
        "rd=/echo%3Flogin_hint%3Da".to_owned(),
    ] {
        let page = browser.visit(&format!("{OWN}/sign_in?{bad}")).await;
        let links = choices(&page.text());
        assert_eq!(links.len(), 2, "{bad}");
        for link in links {
            assert_eq!(
                parameter(&format!("{HOME}{link}"), "login_hint"),
                None,
                "{bad}"
            );
        }
    }
}

#[tokio::test]
async fn a_taken_login_ends_on_its_page_and_whoever_was_here_stays() {
    let more = format!("{OTHER_CONNECTOR}{UNLIMITED}");
    let menshen = Setup::default().more(&more).start().await;
    let mut browser = Browser::new(&menshen);
    through(&mut browser, "corp", "/echo").await;
    let page = through(&mut browser, "other", "/echo").await;
    assert_eq!(page.cause(), Some(Cause::LoginTaken));
    // Nobody came in, so nobody's session was ended.
    let info = browser.visit(&format!("{OWN}/userinfo")).await;
    assert_eq!(
        (info.status, &info.json()["connector"]),
        (200, &"corp".into())
    );
}

/// WeCom and an OpenID provider know people of the same names, who need not be the same.
#[tokio::test]
async fn two_kinds_of_source_never_become_one_person() {
    let provider = Provider::new().await;
    let routes = format!("{ROUTES}{OTHER_ONLY}").replace("[\"other\"]", "[\"keycloak\"]");
    for (prefix, login) in [("", None), ("login_prefix = 'kc-'", Some("kc-zhangsan"))] {
        let table = "[connector.keycloak]\n";
        let toml = provider
            .toml("keycloak")
            .replace(table, &format!("{table}{prefix}\n"));
        let setup = Setup::default().clock(provider.clock()).routes(&routes);
        let menshen = setup.more(&format!("{toml}{UNLIMITED}")).start().await;
        let mut browser = Browser::new(&menshen);
        let page = through(&mut browser, "corp", "/echo").await;
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
            let told = menshen.audit().pop().unwrap();
            assert_eq!(told["connector"], "keycloak", "{told}");
            assert_eq!(told["subject"], provider.sub("zhangsan").as_str(), "{told}");
            assert_eq!(told["login"], "zhangsan", "{told}");
            continue;
        };
        assert_eq!(page.answer.echoed("x-forwarded-user"), [login]);
        let passed = browser.visit(&format!("{HOME}/other/echo")).await;
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
async fn the_page_speaks_of_a_source_only_where_it_is_a_choice() {
    const PROVIDER: &str = "[connector.gh.oauth2]\npreset = 'github'\nclient_id = 'me'\n";
    const GITHUB_ONLY: &str = "[[route]]\nname = 'gh'\nhost = 'sso.test'\npath = '/gh'\n\
                               upstream = ['{app}']\nconnectors = ['gh']\n";
    let setup = Setup::default().routes(&format!("{ROUTES}{GITHUB_ONLY}"));
    let menshen = setup.more(&format!("{PROVIDER}{UNLIMITED}")).start().await;
    let (scan, leave_wechat) = ("用企业微信扫码", "请改在企业微信中打开");
    let (wecom, wechat) = ("wxwork/4.1.30 MicroMessenger/7.0.1", "MicroMessenger/8");
    for (agent, place, said) in [
        ("Firefox/140.0", "/echo", Some(scan)),
        (wecom, "/echo", Some(scan)),
        (wechat, "/echo", Some(leave_wechat)),
        ("Firefox/140.0", "/gh/echo", None),
        (wechat, "/gh/echo", None),
    ] {
        let mut browser = Browser::new(&menshen).with_agent(agent);
        let page = browser.visit(&format!("{OWN}/sign_in?rd={place}")).await;
        let html = page.text();
        assert_eq!(page.status, 200);
        for text in [scan, leave_wechat] {
            let times = html.matches(text).count();
            assert_eq!(
                times,
                usize::from(said == Some(text)),
                "{agent} {place}: {html}"
            );
        }
    }
}
