//! django-cas-server, which writes attributes in both layouts and sends single logout.

use std::process::Command;

use super::super::page_layout::{PageOwner, SCREENS, check};
use super::super::processes::{Program, TempDir, counterparts, until};
use super::super::visitor::{Page, Visitor, echoed};
use super::Stage;

const PERSON: &str = "zhangsan";
const PASSWORD: &str = "zhangsan-password";

/// A path with a query that only survives if it is treated as bytes.
const DEEP: &str = "/echo?from=a%20b&to=%E5%8C%97%E4%BA%AC&x=1+1";

/// The running server, with a portal that requests proxy tickets.
#[derive(Debug)]
struct Django {
    /// Its base URL.
    url: String,
    portal: String,
    /// The callback URL that names the portal as a proxy.
    proxy: String,
    _program: Program,
    _dir: TempDir,
}

impl Django {
    fn start() -> Self {
        let dir = TempDir::new();
        let mut command = Command::new(counterparts().join("django-cas-server/bin/python"));
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/peers/cas/django_server.py"
        );
        command.args(["-W", "ignore", script]).arg(dir.path());
        let mut program = Program::start_stopped_by_stdin("django-cas-server", &mut command);
        let mut url_of = |name: &str| {
            let found = program.line(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
            found.unwrap_or_else(|| panic!("django-cas-server ends; tests/run installs it"))
        };
        Self {
            url: url_of("server "),
            portal: url_of("portal "),
            proxy: url_of("proxy "),
            _program: program,
            _dir: dir,
        }
    }
}

/// Enters the password at the server's page.
async fn enter_password(visitor: &mut Visitor, page: &Page) -> Page {
    visitor
        .submit(page, &[("username", PERSON), ("password", PASSWORD)])
        .await
}

/// Signs in, from the requested URL to the final page.
async fn sign_in(stage: &Stage, visitor: &mut Visitor, path: &str) -> Page {
    let page = stage.open_login_page(visitor, path).await;
    enter_password(visitor, &page).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_signs_in_and_only_version_1_0_has_no_attributes() {
    let django = Django::start();
    for version in ["1.0", "2.0", "3.0"] {
        let stage = Stage::start(&django.url, &format!("version = '{version}'")).await;
        let mut visitor = Visitor::new();
        let page = sign_in(&stage, &mut visitor, DEEP).await;
        assert_eq!(
            (page.status, page.url.as_str()),
            (200, &*stage.at(DEEP)),
            "{version}"
        );
        let header = |name: &str| echoed(&page.body, &format!("x-forwarded-{name}"));
        assert_eq!(header("user"), [PERSON]);
        let has_attributes = version != "1.0";
        let expected: &[&str] = match has_attributes {
            true => &["%E5%BC%A0%E4%B8%89"],
            false => &[],
        };
        assert_eq!(header("name"), expected, "{version}");
        // Each group once, although the answer has it in both layouts.
        let groups = "%E7%A0%94%E5%8F%91%E4%B8%AD%E5%BF%83,%E8%B4%A2%E5%8A%A1%E9%83%A8";
        let expected: &[&str] = if has_attributes { &[groups] } else { &[] };
        assert_eq!(header("groups"), expected, "{version}");
        let status = visitor.open(&stage.at("/finance")).await.status;
        assert_eq!(status, if has_attributes { 200 } else { 403 }, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_of_another_browser_or_another_login_signs_nobody_in() {
    let django = Django::start();
    let stage = Stage::start(&django.url, "").await;
    let mut theirs = Visitor::new();
    let page = stage.open_login_page(&mut theirs, "/echo").await;
    let filled = [("username", PERSON), ("password", PASSWORD)];
    let back = theirs.submit_only(&page, &filled).await;
    let callback = theirs.follow_until(back, "/.menshen/callback/portal").await;
    let mut lured = Visitor::new();
    let page = lured.open(callback.as_str()).await;
    assert_eq!(page.status, 400, "{}", page.body);
    assert!(!lured.has("menshen"));
    let page = theirs.open(callback.as_str()).await;
    assert_eq!((page.status, page.url.path()), (200, "/echo"));
    // The ticket is used, so the server refuses it in a new login of another browser.
    let ticket = callback.query_pairs().find(|(name, _)| name == "ticket");
    let ticket = ticket.unwrap().1.into_owned();
    let start = stage.at("/.menshen/start?connector=portal&rd=/echo");
    let to_server = lured.visit(&start).await.leads_to().unwrap();
    let service = to_server.query_pairs().find(|(name, _)| name == "service");
    let page = lured
        .visit(&format!("{}&ticket={ticket}", service.unwrap().1))
        .await;
    // The login begins once more, at the server.
    let next = page.leads_to().unwrap();
    assert!(next.as_str().starts_with(&django.url), "{next}");
    assert!(!stage.is_signed_in(&lured).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_at_the_server_ends_exactly_the_sessions_of_that_browser() {
    let django = Django::start();
    let stage = Stage::start(&django.url, "").await;
    let (mut leaves, mut stays) = (Visitor::new(), Visitor::new());
    for visitor in [&mut leaves, &mut stays] {
        assert_eq!(sign_in(&stage, visitor, "/echo").await.status, 200);
    }
    leaves.open(&format!("{}/logout", django.url)).await;
    until("single logout", async || !stage.is_signed_in(&leaves).await).await;
    assert!(stage.is_signed_in(&stays).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_here_signs_out_at_the_server_and_returns() {
    let django = Django::start();
    let stage = Stage::start(&django.url, "").await;
    let mut visitor = Visitor::new();
    sign_in(&stage, &mut visitor, "/echo").await;
    let page = visitor.open(&stage.at("/.menshen/sign_out?rd=/echo")).await;
    assert!(
        page.url
            .as_str()
            .starts_with(&stage.at("/.menshen/sign_out?state=")),
        "{}",
        page.url
    );
    assert!(page.body.contains("rd=/echo"), "{}", page.body);
    let page = stage.open_login_page(&mut visitor, "/echo").await;
    assert!(page.url.as_str().starts_with(&django.url), "{}", page.url);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_with_max_age_and_a_connector_with_renew_demand_the_password_again() {
    let django = Django::start();
    let stage = Stage::start(&django.url, "").await;
    let mut visitor = Visitor::new();
    sign_in(&stage, &mut visitor, "/echo").await;
    let page = stage.open_login_page(&mut visitor, "/strict/echo").await;
    assert!(page.url.as_str().starts_with(&django.url), "{}", page.url);
    let page = enter_password(&mut visitor, &page).await;
    assert_eq!(
        (page.status, page.url.path()),
        (200, "/strict/echo"),
        "{}",
        page.body
    );

    let stage = Stage::start(&django.url, "renew = true").await;
    let page = stage.open_login_page(&mut visitor, "/echo").await;
    assert!(page.url.as_str().starts_with(&django.url), "{}", page.url);
    let page = enter_password(&mut visitor, &page).await;
    assert_eq!(
        (page.status, page.url.path()),
        (200, "/echo"),
        "{}",
        page.body
    );
    // A ticket of a login without the password is refused at the validation.
    let start = stage.at("/.menshen/start?connector=portal&rd=/echo");
    let mut other = visitor.clone();
    other.visit(&stage.at("/.menshen/sign_out")).await;
    let to_server = other.visit(&start).await.leads_to().unwrap();
    let without_renew = to_server.as_str().replace("&renew=true", "");
    assert_ne!(without_renew, to_server.as_str());
    let page = other.visit(&without_renew).await;
    let callback = other.follow_until(page, "/.menshen/callback/portal").await;
    let page = other.visit(callback.as_str()).await;
    assert!(
        !stage.is_signed_in(&other).await,
        "{} {}",
        page.status,
        page.body
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_user_asks_the_server_with_gateway() {
    let django = Django::start();
    let stage = Stage::start(&django.url, "").await;
    let mut visitor = Visitor::new();
    let page = sign_in(&stage, &mut visitor, "/reloaded/echo").await;
    assert_eq!(
        (page.status, page.url.path()),
        (200, "/reloaded/echo"),
        "{}",
        page.body
    );
    // The session began ten seconds ago.
    let url = stage.at("/reloaded/echo");
    until("the confirmation", async || {
        asks_server(&visitor, &url).await
    })
    .await;
    let page = visitor.open(&url).await;
    assert_eq!(
        (page.status, page.url.path()),
        (200, "/reloaded/echo"),
        "{}",
        page.body
    );
    assert!(
        !asks_server(&visitor, &url).await,
        "it was confirmed just now"
    );
}

/// Whether menshen asks the server whether the person is still signed in there.
async fn asks_server(visitor: &Visitor, url: &str) -> bool {
    let mut copy = visitor.clone();
    let next = copy.visit(url).await.leads_to();
    next.is_some_and(|next| next.as_str().contains("gateway=true"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_signs_in_with_a_proxy_ticket() {
    let django = Django::start();
    let listed = Stage::start(&django.url, &format!("proxies = ['{}']", django.proxy)).await;
    let unlisted = Stage::start(&django.url, "proxies = ['https://127.0.0.1/other']").await;
    let none = Stage::start(&django.url, "").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    // The person signs in at the portal, which is another service of the server.
    let mut visitor = Visitor::new();
    let mut page = visitor.open(&format!("{}/login", django.url)).await;
    page = enter_password(&mut visitor, &page).await;
    assert_eq!(page.status, 200);
    for (stage, status) in [(&listed, 200), (&unlisted, 400), (&none, 400)] {
        let service = format!("{}/?target={}", django.portal, stage.callback());
        let login = url::Url::parse_with_params(
            &format!("{}/login", django.url),
            [("service", form_urlencoded_again(&service))],
        );
        let ticket = visitor.open(login.unwrap().as_str()).await.body;
        assert!(ticket.starts_with("PT-"), "{ticket}");
        let target = format!("{}?ticket={ticket}", stage.callback());
        let answer = client.get(&target).send().await.unwrap();
        assert_eq!(answer.status(), status);
        let cookie = answer.headers().get("set-cookie").cloned();
        assert_eq!(cookie.is_some(), status == 200);
        if let Some(cookie) = cookie {
            let json: serde_json::Value = answer.json().await.unwrap();
            assert!(json["expires_in"].is_u64(), "{json}");
            let value = cookie
                .to_str()
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .to_owned();
            let echo = client.get(stage.at("/echo")).header("cookie", value);
            let echo = echo.send().await.unwrap().text().await.unwrap();
            assert_eq!(echoed(&echo, "x-forwarded-user"), [PERSON]);
            assert_eq!(client.get(&target).send().await.unwrap().status(), 403);
        }
    }
}

/// The portal encodes its query anew, and the server compares services as text.
fn form_urlencoded_again(service: &str) -> String {
    let (base, target) = service.split_once("?target=").unwrap();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("target", target)
        .finish();
    format!("{base}?{query}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_after_a_wrong_password_and_out_on_every_screen() {
    let django = Django::start();
    let stage = Stage::start(&django.url, "").await;
    for screen in SCREENS {
        let browser = screen.browser().await;
        browser.open(&stage.at("/echo")).await;
        check(&browser, screen, "cas-1-sign-in", PageOwner::Ours).await;
        browser.click("main a[href*='connector=']").await;
        browser.fill("#id_username", PERSON).await;
        browser.fill("#id_password", "wrong").await;
        browser.click("#login_form button[type='submit']").await;
        // The server shows its form again.
        let refused = async || browser.has("#login_form .alert-danger").await;
        browser.until("the server's refusal", refused).await;
        assert!(browser.url().await.starts_with(&django.url));
        browser.fill("#id_password", PASSWORD).await;
        browser.click("#login_form button[type='submit']").await;
        let arrived = async || browser.url().await == stage.at("/echo");
        browser.until("the application", arrived).await;
        browser.reads(PERSON).await;
        // The errors of the server's own page are none of menshen's.
        browser.console_errors().await;
        browser.open(&stage.at("/.menshen/sign_out")).await;
        let returned = stage.at("/.menshen/sign_out");
        let signed_out = async || browser.url().await.starts_with(&returned);
        browser.until("the signed-out page", signed_out).await;
        check(&browser, screen, "cas-2-signed-out", PageOwner::Ours).await;
    }
}
