//! Every page in both languages, on a desktop and a phone: it fits, it is translated, the browser reports no errors,
//! and axe-core finds nothing, in light and in dark. Screenshots go to `MENSHEN_SHOTS`.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::axe::Axe;
use super::demo::{Demo, go_to_wecom, sign_in_as};
use super::legacy_app::LegacyApp;
use super::processes::TempDir;
use super::setup::{Menshen, Setup};
use super::webdriver::{Browser, BrowserOptions};
use super::wecom::{CORP_ID, OTHER_AGENT_ID, OTHER_SECRET, Options, WeCom};

mod extremes;

/// A screen and a language.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    name: &'static str,
    width: u32,
    height: u32,
    pub(crate) phone: bool,
    /// `Accept-Language`, and the expected `lang` of own pages.
    pub(crate) language: (&'static str, &'static str),
}

impl Screen {
    /// Starts a browser with this screen.
    pub(crate) async fn browser(self) -> Browser {
        self.browser_as(None).await
    }

    /// The same with a User-Agent of its own.
    pub(crate) async fn browser_as(self, user_agent: Option<&'static str>) -> Browser {
        let browser = Browser::start(&BrowserOptions {
            user_agent,
            ..BrowserOptions::default()
        })
        .await;
        browser
            .device(self.width, self.height, self.phone, self.language.0)
            .await;
        browser
    }
}

pub(crate) const CHINESE: (&str, &str) = ("zh-CN,zh", "zh");
const ENGLISH: (&str, &str) = ("en-US,en", "en");

pub(crate) const SCREENS: [Screen; 4] = [
    Screen {
        name: "desk-zh",
        width: 1280,
        height: 800,
        phone: false,
        language: CHINESE,
    },
    Screen {
        name: "desk-en",
        width: 1280,
        height: 800,
        phone: false,
        language: ENGLISH,
    },
    Screen {
        name: "phone-zh",
        width: 360,
        height: 740,
        phone: true,
        language: CHINESE,
    },
    Screen {
        name: "phone-en",
        width: 360,
        height: 740,
        phone: true,
        language: ENGLISH,
    },
];

/// Who serves a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageOwner {
    /// menshen itself.
    Ours,
    /// An application or the simulated WeCom.
    Theirs,
}

/// A wide logo.
const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 96 48">
<path fill="#0b57d0" d="M4 4h40v40H4z"/><path fill="#f5b400" d="M52 4l40 20-40 20z"/></svg>"##;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_demo_fits_and_is_translated() {
    let demo = Demo::start();
    for screen in SCREENS {
        let browser = screen.browser().await;
        sign_in_pages(&browser, &demo, screen).await;
        sign_out_pages(&browser, &demo, screen).await;
    }
}

/// The pages of a login and of refusals.
async fn sign_in_pages(browser: &Browser, demo: &Demo, screen: Screen) {
    let at = async |name: &str, whose| check(browser, screen, name, whose).await;
    let (office, expenses) = (&demo.office, &demo.expenses);
    browser
        .open(&format!("{office}/dept/report?year=2026&q=%E5%BC%A0"))
        .await;
    at("01-please-sign-in", PageOwner::Ours).await;
    go_to_wecom(browser).await;
    at("02-wecom", PageOwner::Theirs).await;
    browser.click("[data-refuse]").await;
    browser
        .until("a dead end", async || browser.has("main a.primary").await)
        .await;
    at("03-refused", PageOwner::Ours).await;
    browser.click("main a.primary").await;
    browser
        .until("the way on", async || {
            browser.has("main a[href*='connector=']").await
        })
        .await;
    at("04-sign-in-again", PageOwner::Ours).await;
    sign_in_as(browser, "zhangsan").await;
    browser
        .until("the application", async || browser.has("[data-name]").await)
        .await;
    at("05-office", PageOwner::Theirs).await;
    browser.open(&format!("{expenses}/")).await;
    at("06-expenses", PageOwner::Theirs).await;
    browser.open(&format!("{expenses}/finance/ledger")).await;
    at("07-no-access", PageOwner::Ours).await;
    browser
        .open(&format!("{office}/.menshen/sign_in?rd=/notices"))
        .await;
    at("08-already-here", PageOwner::Ours).await;
    browser.open(&format!("{office}/.menshen/nothing")).await;
    at("09-nothing-here", PageOwner::Ours).await;
    browser.open(&format!("{office}/%zz")).await;
    at("10-malformed", PageOwner::Ours).await;
    browser.open(&format!("{office}/a%2f..%2fb")).await;
    at("11-malformed-path", PageOwner::Ours).await;
    browser.open(&format!("{expenses}/finance%2fledger")).await;
    at("12-ambiguous", PageOwner::Ours).await;
}

/// The pages of a sign-out.
async fn sign_out_pages(browser: &Browser, demo: &Demo, screen: Screen) {
    let at = async |name: &str, whose| check(browser, screen, name, whose).await;
    let office = &demo.office;
    browser
        .open(&format!(
            "{office}/.menshen/callback/corp?code=x&state={}",
            "a".repeat(32)
        ))
        .await;
    at("13-callback-for-who-is-here", PageOwner::Theirs).await;
    browser.open(&format!("{office}/.menshen/sign_out")).await;
    at("14-signed-out", PageOwner::Ours).await;
    browser
        .open(&format!(
            "{office}/.menshen/callback/corp?code=x&state={}",
            "a".repeat(32)
        ))
        .await;
    at("15-not-remembered", PageOwner::Ours).await;
    let post = "document.body.innerHTML = '<form method=post action=/notices></form>';
        document.forms[0].submit()";
    // Own pages run no foreign script, so the form is posted from a page of WeCom.
    browser.open(&format!("{office}/")).await;
    go_to_wecom(browser).await;
    browser
        .script(
            &post.replace("/notices", &format!("{office}/notices")),
            json!([]),
        )
        .await;
    browser
        .until("a dead end", async || browser.has("main a.primary").await)
        .await;
    at("16-posted-form", PageOwner::Ours).await;
}

/// The tables of a company's site with two connectors, and with applications that do not answer.
fn large_site(wecom: &WeCom, app: &LegacyApp, logo: &Path) -> String {
    // No server listens on port 1.
    format!(
        r##"
        [pages]
        name = {{ zh = "示例公司统一登录", en = "Example Ltd Single Sign-On" }}
        logo = "{logo}"
        color = "#0b57d0"
        background = "plain"
        help = {{ zh = "IT 服务台，内线 8000", en = "https://it.corp.example/help" }}
        footer = {{ zh = "示例公司 版权所有", en = "© Example Ltd" }}

        [connector.partners]
        display_name = {{ zh = "合作伙伴", en = "Partners" }}
        auto_login = "never"
        [connector.partners.wecom]
        corp_id = "{CORP_ID}"
        agent_id = {OTHER_AGENT_ID}
        secret = "{OTHER_SECRET}"
        api_base = "{api}"
        authorize_url = "{authorize}"
        login_url = "{login}"

        [[route]]
        name = "门后"
        upstream = ["{app}"]

        [[route]]
        name = "单页应用"
        path = "/spa"
        upstream = ["{app}"]
        keep_fragment = true

        [[route]]
        name = "坏了"
        path = "/down"
        access = "public"
        upstream = ["http://127.0.0.1:1"]

        [[route]]
        name = "太慢"
        path = "/slow"
        access = "public"
        upstream = ["{app}"]
        [route.limits]
        response = "100ms"
        "##,
        logo = logo.display(),
        api = wecom.base_url(),
        authorize = wecom.authorize_url(),
        login = wecom.login_url(),
        app = app.base_url(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_large_site_fits_and_is_translated() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后")
        .await
        .unwrap();
    let folder = TempDir::new();
    let logo = folder.write("logo.svg", LOGO);
    let rest = large_site(&wecom, &app, &logo);
    let menshen = Menshen::start(
        &wecom,
        Setup {
            rest: &rest,
            ..Setup::default()
        },
    )
    .await;
    for screen in SCREENS {
        let browser = screen.browser().await;
        browser.open(&format!("{}/todo", menshen.url)).await;
        check(&browser, screen, "20-choose", PageOwner::Ours).await;
        browser.open(&format!("{}/down", menshen.url)).await;
        check(&browser, screen, "21-application-down", PageOwner::Ours).await;
        browser.open(&format!("{}/slow", menshen.url)).await;
        check(&browser, screen, "22-application-slow", PageOwner::Ours).await;
        wecom.set_status("zhangsan", 2);
        browser.open(&format!("{}/todo", menshen.url)).await;
        sign_in_as(&browser, "zhangsan").await;
        browser
            .until("a dead end", async || browser.has("main a.primary").await)
            .await;
        check(&browser, screen, "23-not-active", PageOwner::Ours).await;
        wecom.set_status("zhangsan", 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_fragment_survives_a_login() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后")
        .await
        .unwrap();
    let rest = format!(
        "[[route]]\nname = \"spa\"\nupstream = [\"{}\"]\nkeep_fragment = true",
        app.base_url()
    );
    let menshen = Menshen::start(
        &wecom,
        Setup {
            rest: &rest,
            ..Setup::default()
        },
    )
    .await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    let place = format!("{}/spa?tab=1#/orders/7?open=%E5%BC%A0&x=1", menshen.url);
    browser.open(&place).await;
    sign_in_as(&browser, "zhangsan").await;
    super::demo::assert_signed_in_at(&browser, "张三", &place).await;
    assert_eq!(browser.console_errors().await, [""; 0]);
}

/// Takes a screenshot and checks the page.
pub(crate) async fn check(browser: &Browser, screen: Screen, name: &str, whose: PageOwner) {
    let what = format!("{name}-{}", screen.name);
    keep(&what, &browser.picture().await);
    let widths = "return [innerWidth, document.documentElement.scrollWidth]";
    let widths = browser.script(widths, json!([])).await;
    // A phone widens its viewport for content that does not fit, so its width is checked, too.
    assert_eq!(widths[0], screen.width, "{what} is wider than the window");
    assert!(
        widths[1].as_u64() <= Some(u64::from(screen.width)),
        "{what} scrolls sideways"
    );
    assert_eq!(browser.console_errors().await, [""; 0], "{what}");
    if whose == PageOwner::Ours {
        let ours = browser.has(".card h1").await;
        assert!(
            ours,
            "{what} is none of our pages: {}",
            browser.text().await
        );
        let language = browser
            .script("return document.documentElement.lang", json!([]))
            .await;
        let language = language.as_str().unwrap_or_default().to_owned();
        assert!(
            language.starts_with(screen.language.1),
            "{what} speaks {language:?}"
        );
        check_colors(browser, &what).await;
    }
}

/// Lets axe-core look at one of our pages in light and in dark.
async fn check_colors(browser: &Browser, what: &str) {
    let axe = Axe::load();
    axe.assert_finds_nothing(browser, what).await;
    browser.prefer_dark(true).await;
    let dark = format!("{what}-dark");
    keep(&dark, &browser.picture().await);
    axe.assert_finds_nothing(browser, &dark).await;
    browser.prefer_dark(false).await;
}

/// Writes a screenshot to `MENSHEN_SHOTS`, if that is set.
pub(crate) fn keep(name: &str, picture: &[u8]) {
    let Some(folder) = std::env::var_os("MENSHEN_SHOTS").map(PathBuf::from) else {
        return;
    };
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
}
