//! Every page in both languages, on a desktop and a phone, light and dark: it fits, it is translated, and axe-core finds
//! nothing. Screenshots go to `MENSHEN_SHOTS`.

use serde_json::{Value, json};

use super::super::page_layout::keep;
use super::super::processes::counterparts;
use super::super::webdriver::{Browser, BrowserOptions};
use super::{Site, enter};

/// The pages below `/console/`, and what stands on them when they are loaded.
const PAGES: [&str; 16] = [
    "",
    "sessions",
    "people",
    "routes",
    "routes?url=http://127.0.0.1/finance&as=zhangsan&method=GET",
    "sync",
    "audit",
    "connectors",
    "connectors/new",
    "connectors/new?kind=wecom",
    "connectors/corp",
    "connectors/portal",
    "connectors/corp/mapping",
    "connectors/portal/mapping",
    "config",
    "config?from=1&to=2",
];

/// What a page lacks: an empty list if nothing.
const CHECK: &str = "
    const lacks = [];
    const page = document.documentElement;
    if (innerWidth !== arguments[1]) lacks.push('is wider than the window: ' + innerWidth);
    if (page.scrollWidth > arguments[1]) lacks.push('scrolls sideways: ' + page.scrollWidth);
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

/// What axe-core finds: the rule, how bad it is, and the elements.
const AXE: &str = "
    return axe.run(document, { resultTypes: ['violations'] }).then(found => found.violations.map(rule =>
        rule.id + ' (' + rule.impact + '): ' + rule.nodes.map(node => node.target + ' ' + node.failureSummary)));";

/// How the pages are looked at.
struct View {
    name: &'static str,
    width: u32,
    phone: bool,
    dark: bool,
    /// `Accept-Language`, and the expected `lang`.
    language: (&'static str, &'static str),
}

const CHINESE: (&str, &str) = ("zh-CN,zh", "zh");
const ENGLISH: (&str, &str) = ("en-US,en", "en");

const VIEWS: [View; 6] = [
    view("desk-zh", 1280, false, CHINESE),
    view("desk-en", 1280, false, ENGLISH),
    view("phone-zh", 360, false, CHINESE),
    view("phone-en", 360, false, ENGLISH),
    view("desk-dark", 1280, true, ENGLISH),
    view("phone-dark", 360, true, CHINESE),
];

const fn view(
    name: &'static str,
    width: u32,
    dark: bool,
    language: (&'static str, &'static str),
) -> View {
    View {
        name,
        width,
        phone: width < 500,
        dark,
        language,
    }
}

/// axe-core as text, to run in a page.
fn axe() -> String {
    let path = counterparts().join("axe/node_modules/axe-core/axe.min.js");
    let text = std::fs::read_to_string(&path);
    text.unwrap_or_else(|error| panic!("{}: {error}: run tests/peers/axe/install", path.display()))
}

async fn check(browser: &Browser, view: &View, page: &str, axe: &str) {
    let page = match page.split('?').next() {
        Some("") => "overview".to_owned(),
        _ => page.replace(['/', '?', '&', '=', ':'], "-"),
    };
    let what = format!("{page}-{}", view.name);
    keep(&format!("console-{what}"), &browser.whole_picture().await);
    let arguments = json!([view.language.1, view.width]);
    let lacks = browser.script(CHECK, arguments).await;
    assert_eq!(lacks, Value::Array(Vec::new()), "{what}");
    let found = browser.script(&format!("{axe};{AXE}"), json!([])).await;
    assert_eq!(found, Value::Array(Vec::new()), "{what}");
    assert_eq!(browser.console_errors().await, [""; 0], "{what}");
}

/// Opens every page, and what follows from a click.
async fn walk(browser: &Browser, site: &Site, view: &View, axe: &str) {
    let console = site.menshen.console_url();
    browser
        .device(view.width, 800, view.phone, view.language.0)
        .await;
    browser.prefer_dark(view.dark).await;
    browser.open(&format!("{console}/sign_in")).await;
    check(browser, view, "sign-in", axe).await;
    enter(browser, site).await;
    for page in PAGES {
        browser.open(&format!("{console}/{page}")).await;
        check(browser, view, page, axe).await;
    }
    browser.open(&format!("{console}/people")).await;
    browser.click("td a").await;
    browser
        .until("the person", async || browser.has("#history").await)
        .await;
    check(browser, view, "person", axe).await;
    browser.open(&format!("{console}/nothing")).await;
    check(browser, view, "not-found", axe).await;
    browser.open(&format!("{console}/connectors")).await;
    browser.click("button[value=delete]").await;
    browser
        .until("the question", async || {
            browser.has("input[name=confirm]").await
        })
        .await;
    check(browser, view, "delete", axe).await;
    browser
        .open(&format!("{console}/connectors/portal/mapping"))
        .await;
    browser.fill("[id='mapping.name']", "profile.").await;
    browser.fill("input[name=field]", "a b").await;
    browser.click("button[value=preview]").await;
    browser
        .until("the problem", async || {
            browser.has("[id='problem.name']").await
        })
        .await;
    check(browser, view, "mapping-problems", axe).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_fits_is_translated_and_accessible() {
    let site = Site::start("").await;
    site.manage_a_connector("合作伙伴门户").await;
    site.sign_in_elsewhere(&BrowserOptions::default()).await;
    let axe = axe();
    for view in &VIEWS {
        let browser = Browser::start(&BrowserOptions::default()).await;
        walk(&browser, &site, view, &axe).await;
    }
}
