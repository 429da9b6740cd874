//! Every page a person can meet, in both languages, at a desk and on a phone: it fits, it speaks the
//! language, and the browser has nothing to complain about. Pictures go to `MENSHEN_SHOTS`.

use std::path::PathBuf;

use serde_json::json;

use super::demo::{Demo, go_to_wecom, sign_in_as};
use super::legacy_app::LegacyApp;
use super::setup::{Menshen, Setup};
use super::webdriver::{Browser, Person};
use super::wecom::{CORP_ID, OTHER_AGENT_ID, OTHER_SECRET, Options, WeCom};

/// How the pages are looked at.
#[derive(Clone, Copy, Debug)]
struct Look {
    name: &'static str,
    width: u32,
    height: u32,
    phone: bool,
    /// `Accept-Language`, and the `lang` of our pages that it leads to.
    language: (&'static str, &'static str),
}

const CHINESE: (&str, &str) = ("zh-CN,zh", "zh");
const ENGLISH: (&str, &str) = ("en-US,en", "en");

const LOOKS: [Look; 4] = [
    Look {
        name: "desk-zh",
        width: 1280,
        height: 800,
        phone: false,
        language: CHINESE,
    },
    Look {
        name: "desk-en",
        width: 1280,
        height: 800,
        phone: false,
        language: ENGLISH,
    },
    Look {
        name: "phone-zh",
        width: 390,
        height: 844,
        phone: true,
        language: CHINESE,
    },
    Look {
        name: "phone-en",
        width: 390,
        height: 844,
        phone: true,
        language: ENGLISH,
    },
];

/// Whose page is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    /// One of menshen's own.
    Ours,
    /// One of the applications' or of the simulated WeCom.
    Theirs,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_the_demo_fits_and_speaks_the_language() {
    let demo = Demo::start();
    for look in LOOKS {
        let browser = Browser::start(&Person::default()).await;
        browser
            .device(look.width, look.height, look.phone, look.language.0)
            .await;
        walk_in(&browser, &demo, look).await;
        walk_out(&browser, &demo, look).await;
    }
}

/// A stranger comes in, and is turned away here and there.
async fn walk_in(browser: &Browser, demo: &Demo, look: Look) {
    let at = async |name: &str, whose| check(browser, look, name, whose).await;
    let (office, expenses) = (&demo.office, &demo.expenses);
    browser
        .open(&format!("{office}/dept/report?year=2026&q=%E5%BC%A0"))
        .await;
    at("01-please-sign-in", Whose::Ours).await;
    go_to_wecom(browser).await;
    at("02-wecom", Whose::Theirs).await;
    browser.click("[data-refuse]").await;
    browser
        .until("a dead end", async || browser.has("main a.primary").await)
        .await;
    at("03-refused", Whose::Ours).await;
    browser.click("main a.primary").await;
    browser
        .until("the way on", async || {
            browser.has("main a[href*='connector=']").await
        })
        .await;
    at("04-sign-in-again", Whose::Ours).await;
    sign_in_as(browser, "zhangsan").await;
    browser
        .until("the application", async || browser.has("[data-name]").await)
        .await;
    at("05-office", Whose::Theirs).await;
    browser.open(&format!("{expenses}/")).await;
    at("06-expenses", Whose::Theirs).await;
    browser.open(&format!("{expenses}/finance/ledger")).await;
    at("07-no-access", Whose::Ours).await;
    browser
        .open(&format!("{office}/.menshen/sign_in?rd=/notices"))
        .await;
    at("08-already-here", Whose::Ours).await;
    browser.open(&format!("{office}/.menshen/nothing")).await;
    at("09-nothing-here", Whose::Ours).await;
    browser.open(&format!("{office}/%zz")).await;
    at("10-malformed", Whose::Ours).await;
    browser.open(&format!("{office}/a%2f..%2fb")).await;
    at("11-malformed-path", Whose::Ours).await;
    browser.open(&format!("{expenses}/finance%2fledger")).await;
    at("12-ambiguous", Whose::Ours).await;
}

/// Somebody who is here leaves, and is a stranger again.
async fn walk_out(browser: &Browser, demo: &Demo, look: Look) {
    let at = async |name: &str, whose| check(browser, look, name, whose).await;
    let office = &demo.office;
    browser
        .open(&format!(
            "{office}/.menshen/callback/corp?code=x&state={}",
            "a".repeat(32)
        ))
        .await;
    at("13-callback-for-who-is-here", Whose::Theirs).await;
    browser.open(&format!("{office}/.menshen/sign_out")).await;
    at("14-signed-out", Whose::Ours).await;
    browser
        .open(&format!(
            "{office}/.menshen/callback/corp?code=x&state={}",
            "a".repeat(32)
        ))
        .await;
    at("15-not-remembered", Whose::Ours).await;
    let post = "document.body.innerHTML = '<form method=post action=/notices></form>';
        document.forms[0].submit()";
    // Our own pages let no script in, so the form is posted from one of WeCom's.
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
    at("16-posted-form", Whose::Ours).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_a_larger_house_fits_and_speaks_the_language() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后")
        .await
        .unwrap();
    // Nobody listens on port 1.
    let rest = format!(
        r#"
        [connector.partners]
        display_name = "合作伙伴"
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
        "#,
        api = wecom.base_url(),
        authorize = wecom.authorize_url(),
        login = wecom.login_url(),
        app = app.base_url(),
    );
    let menshen = Menshen::start(
        &wecom,
        Setup {
            rest: &rest,
            ..Setup::default()
        },
    )
    .await;
    for look in LOOKS {
        let browser = Browser::start(&Person::default()).await;
        browser
            .device(look.width, look.height, look.phone, look.language.0)
            .await;
        browser.open(&format!("{}/todo", menshen.url)).await;
        check(&browser, look, "20-choose", Whose::Ours).await;
        browser.open(&format!("{}/down", menshen.url)).await;
        check(&browser, look, "21-application-down", Whose::Ours).await;
        browser.open(&format!("{}/slow", menshen.url)).await;
        check(&browser, look, "22-application-slow", Whose::Ours).await;
        wecom.set_status("zhangsan", 2);
        browser.open(&format!("{}/todo", menshen.url)).await;
        sign_in_as(&browser, "zhangsan").await;
        browser
            .until("a dead end", async || browser.has("main a.primary").await)
            .await;
        check(&browser, look, "23-not-active", Whose::Ours).await;
        wecom.set_status("zhangsan", 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_part_behind_the_hash_survives_a_login() {
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
    let browser = Browser::start(&Person::default()).await;
    let place = format!("{}/spa?tab=1#/orders/7?open=%E5%BC%A0&x=1", menshen.url);
    browser.open(&place).await;
    sign_in_as(&browser, "zhangsan").await;
    super::demo::stands_at(&browser, "张三", &place).await;
    assert_eq!(browser.complaints().await, [""; 0]);
}

/// Takes the picture, and looks whether the page is as it should be.
async fn check(browser: &Browser, look: Look, name: &str, whose: Whose) {
    let what = format!("{name}-{}", look.name);
    keep(&what, &browser.picture().await);
    let widths = "return [innerWidth, document.documentElement.scrollWidth]";
    let widths = browser.script(widths, json!([])).await;
    // A phone that must show more than fits makes its window wider: so that one is looked at, too.
    assert_eq!(widths[0], look.width, "{what} is wider than the window");
    assert!(
        widths[1].as_u64() <= Some(u64::from(look.width)),
        "{what} scrolls sideways"
    );
    assert_eq!(browser.complaints().await, [""; 0], "{what}");
    if whose == Whose::Ours {
        let ours = browser.has(".gate h1").await;
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
            language.starts_with(look.language.1),
            "{what} speaks {language:?}"
        );
    }
}

fn keep(name: &str, picture: &[u8]) {
    let Some(folder) = std::env::var_os("MENSHEN_SHOTS").map(PathBuf::from) else {
        return;
    };
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
}
