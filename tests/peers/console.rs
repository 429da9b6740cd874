//! The web console in Chromium: every page in both languages on a desktop and a phone, by mouse and by keyboard.

use menshen::people::administrators::AdministratorPassword;
use serde_json::{Value, json};

use super::demo::sign_in_as;
use super::legacy_app::LegacyApp;
use super::page_layout::keep;
use super::setup::{Menshen, Setup};
use super::webdriver::{Browser, BrowserOptions, ENTER};
use super::wecom::{Options, WeCom};

const PASSWORD: &str = "twelve characters";

const PAGES: [&str; 6] = ["", "sessions", "people", "routes", "sync", "audit"];

/// What a page lacks: an empty list if nothing.
const CHECK: &str = "
    const lacks = [];
    const page = document.documentElement;
    if (page.scrollWidth > innerWidth) lacks.push('scrolls sideways: ' + page.scrollWidth);
    if (document.querySelectorAll('h1').length !== 1) lacks.push('not one h1');
    if (!page.lang.startsWith(arguments[0])) lacks.push('lang ' + page.lang);
    if (!document.title) lacks.push('no title');
    for (const control of document.querySelectorAll('input:not([type=hidden]), select, textarea')) {
        if (!control.labels.length) lacks.push('no label: ' + control.outerHTML);
    }
    for (const control of document.querySelectorAll('a, button, summary')) {
        const name = control.getAttribute('aria-label') || control.textContent;
        if (!name.trim()) lacks.push('no name: ' + control.outerHTML);
    }
    const ids = [...document.querySelectorAll('[id]')].map(element => element.id);
    if (new Set(ids).size !== ids.length) lacks.push('an id twice');
    if (document.querySelectorAll('script, iframe, [style], [onclick]').length) lacks.push('active content');
    for (const entry of performance.getEntriesByType('resource')) {
        if (!entry.name.startsWith(location.origin)) lacks.push('loads ' + entry.name);
    }
    return lacks;";

/// A menshen with a console, an administrator `root`, and zhangsan signed in.
async fn console(wecom: &WeCom, app: &LegacyApp) -> Menshen {
    let rest = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[console]\n[[route]]\nname = \"app\"\nupstream = [\"{}\"]",
        app.base_url()
    );
    let setup = Setup {
        rest: &rest,
        ..Setup::default()
    };
    let menshen = Menshen::start(wecom, setup).await;
    let password = AdministratorPassword::new(PASSWORD).unwrap();
    let administrators = menshen.administrators();
    let name = "root".parse().unwrap();
    assert!(administrators.add(&name, &password).await.unwrap());
    let browser = Browser::start(&BrowserOptions::default()).await;
    browser.open(&format!("{}/", menshen.url)).await;
    sign_in_as(&browser, "zhangsan").await;
    browser
        .until("the application", async || browser.has("[data-name]").await)
        .await;
    menshen
}

async fn check(browser: &Browser, what: &str, lang: &str) {
    keep(&format!("console-{what}"), &browser.picture().await);
    let lacks = browser.script(CHECK, json!([lang])).await;
    assert_eq!(lacks, Value::Array(Vec::new()), "{what}");
    assert_eq!(browser.console_errors().await, [""; 0], "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_and_is_translated_on_a_desktop_and_a_phone() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后").await;
    let menshen = console(&wecom, &app.unwrap()).await;
    let console = menshen.console_url();
    for (width, phone) in [(1280, false), (360, true)] {
        for (accepted, lang) in [("zh-CN,zh", "zh"), ("en-US,en", "en")] {
            let browser = Browser::start(&BrowserOptions::default()).await;
            browser.device(width, 800, phone, accepted).await;
            browser.open(&format!("{console}/people")).await;
            check(&browser, &format!("sign-in-{width}-{lang}"), lang).await;
            browser.fill("input[name=name]", "root").await;
            browser.fill("input[name=password]", PASSWORD).await;
            browser.click("main button").await;
            browser
                .until("the people", async || browser.has("td a").await)
                .await;
            for page in PAGES {
                browser.open(&format!("{console}/{page}")).await;
                check(&browser, &format!("{page}-{width}-{lang}"), lang).await;
            }
            browser.open(&format!("{console}/people")).await;
            browser.click("td a").await;
            browser
                .until("the person", async || browser.has("#history").await)
                .await;
            check(&browser, &format!("person-{width}-{lang}"), lang).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ended_with_the_keyboard_alone() {
    let wecom = WeCom::start(Options::default()).await.unwrap();
    let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后").await;
    let menshen = console(&wecom, &app.unwrap()).await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    browser.open(&format!("{}/", menshen.console_url())).await;
    browser.tab_to("input[name=name]").await;
    browser.press("root").await;
    browser.tab_to("input[name=password]").await;
    browser.press(PASSWORD).await;
    browser.press(ENTER).await;
    browser
        .until("the overview", async || browser.has(".tiles").await)
        .await;
    browser.tab_to(".side a[href='/console/sessions']").await;
    browser.press(ENTER).await;
    browser
        .until("the sessions", async || browser.has("td button").await)
        .await;
    browser.tab_to("td button").await;
    browser.press(ENTER).await;
    browser
        .until("the message", async || browser.has("[role=status]").await)
        .await;
    assert!(!browser.has("td button").await, "nobody is signed in");
    browser.tab_to(".side form button").await;
    browser.press(ENTER).await;
    browser
        .until("the form", async || {
            browser.has("input[name=password]").await
        })
        .await;
}
