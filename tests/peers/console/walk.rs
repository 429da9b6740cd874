//! Every page in both languages, on a desktop and a phone, light and dark: it fits, it is translated, and axe-core finds
//! nothing. Screenshots go to `MENSHEN_SHOTS`.
//!
//! The forms of the kinds are made of the same controls, so they are opened in three of the views.

use serde_json::{Value, json};

use super::super::axe::Axe;
use super::super::page_layout::keep;
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
    "connectors/_new",
    "connectors/_new?kind=wecom",
    "connectors/corp",
    "connectors/portal",
    "connectors/corp/mapping",
    "connectors/portal/mapping",
    "config",
    "config?from=1&to=2",
];

/// What the managed connector is called.
const PORTAL: &str = "合作伙伴门户";

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
        const [inner, outer] = [control, control.parentElement].map(it => it.getBoundingClientRect().right);
        if (inner > outer + 1) lacks.push('sticks out: ' + control.outerHTML);
    }
    for (const control of document.querySelectorAll('a, button, summary')) {
        const name = control.getAttribute('aria-label') || control.textContent;
        if (!name.trim()) lacks.push('no name: ' + control.outerHTML);
    }
    const ids = [...document.querySelectorAll('[id]')].map(element => element.id);
    if (new Set(ids).size !== ids.length) lacks.push('an id twice');
    if (document.querySelectorAll('script, iframe, [style], [onclick]').length) lacks.push('active content');
    const pen = document.createElement('canvas').getContext('2d');
    for (const select of document.querySelectorAll('select')) {
        const style = getComputedStyle(select);
        const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 16;
        pen.font = style.font;
        for (const option of select.clientWidth ? select.options : []) {
            if (pen.measureText(option.text).width > room) lacks.push('cut: ' + option.text);
        }
    }
    for (const box of document.querySelectorAll('body :not(.hidden)')) {
        const hides = getComputedStyle(box).overflowX === 'hidden' && box.clientWidth > 1;
        if (hides && box.scrollWidth > box.clientWidth + 1) lacks.push('cut: ' + box.outerHTML);
    }
    for (const entry of performance.getEntriesByType('resource')) {
        if (!entry.name.startsWith(location.origin)) lacks.push('loads ' + entry.name);
    }
    return lacks;";

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

/// The views with the forms of all kinds: both languages, both screens, light and dark.
const VIEWS_OF_FORMS: [&str; 3] = ["desk-zh", "phone-en", "phone-dark"];

/// How many kinds of connectors there are.
const KINDS: usize = 12;

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

async fn check(browser: &Browser, view: &View, page: &str, axe: &Axe) {
    let page = match page.split('?').next() {
        Some("") => "overview".to_owned(),
        _ => page.replace(['/', '?', '&', '=', ':'], "-"),
    };
    let what = format!("{page}-{}", view.name);
    keep(&format!("console-{what}"), &browser.whole_picture().await);
    let arguments = json!([view.language.1, view.width]);
    let lacks = browser.script(CHECK, arguments).await;
    assert_eq!(lacks, Value::Array(Vec::new()), "{what}");
    axe.assert_finds_nothing(browser, &what).await;
    assert_eq!(browser.console_errors().await, [""; 0], "{what}");
}

/// Clicks on what the console does only after a question.
async fn ask(browser: &Browser, css: &str) {
    browser.click(css).await;
    browser
        .until("the question", async || {
            browser.has("input[name=confirm]").await
        })
        .await;
}

/// Opens the forms of all kinds, with all that they hide.
async fn forms(browser: &Browser, site: &Site, view: &View, axe: &Axe) {
    let console = site.menshen.console_url();
    browser.open(&format!("{console}/connectors/new")).await;
    let links = "return [...document.querySelectorAll('main a[href*=\"kind=\"]')]
        .map(link => link.search.slice(1))";
    let links = browser.script(links, json!([])).await;
    let kinds: Vec<String> = serde_json::from_value(links).unwrap();
    assert_eq!(kinds.len(), KINDS, "{kinds:?}");
    for kind in kinds {
        browser
            .open(&format!("{console}/connectors/new?{kind}"))
            .await;
        let open = "document.querySelectorAll('main details').forEach(it => { it.open = true; })";
        browser.script(open, json!([])).await;
        check(browser, view, &format!("all-of-new-{kind}"), axe).await;
    }
}

/// What the form of a connector says of wrong values, and of a change that somebody else made meanwhile.
async fn form_problems(browser: &Browser, site: &Site, view: &View, axe: &Axe) {
    let connectors = format!("{}/connectors", site.menshen.console_url());
    browser.open(&format!("{connectors}/new?kind=wecom")).await;
    for (field, value) in [
        ("id", "No Id"),
        ("wecom.corp_id", "corp"),
        ("wecom.agent_id", "7"),
        ("wecom.secret", "plum"),
    ] {
        browser.fill(&format!("[id='{field}']"), value).await;
    }
    browser.click("button[value=save]").await;
    browser
        .until("the problem", async || browser.has("#id-problem").await)
        .await;
    check(browser, view, "form-problems", axe).await;
    browser.open(&format!("{connectors}/portal")).await;
    site.manage_a_connector(PORTAL).await;
    browser.fill("#display_name", "Another").await;
    browser.click("button[value=save]").await;
    browser
        .until("the comparison", async || browser.has(".diff").await)
        .await;
    check(browser, view, "form-conflict", axe).await;
}

/// The pages of who is not signed in.
async fn outside(browser: &Browser, site: &Site, view: &View, axe: &Axe) {
    let console = site.menshen.console_url();
    browser
        .open(&format!("{console}/sign_in?done=signed-out"))
        .await;
    check(browser, view, "signed-out", axe).await;
    browser.open(&format!("{console}/sign_in")).await;
    check(browser, view, "sign-in", axe).await;
}

/// Opens every page, and what follows from a click.
async fn walk(browser: &Browser, site: &Site, view: &View, axe: &Axe) {
    let console = site.menshen.console_url();
    browser
        .device(view.width, 800, view.phone, view.language.0)
        .await;
    browser.prefer_dark(view.dark).await;
    outside(browser, site, view, axe).await;
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
    ask(browser, "button[value=delete]").await;
    check(browser, view, "delete", axe).await;
    browser.open(&format!("{console}/sessions")).await;
    ask(browser, "form:has(input[name=everyone]) button").await;
    check(browser, view, "end-all", axe).await;
    browser.open(&format!("{console}/config")).await;
    ask(browser, "td button[value=rollback]").await;
    check(browser, view, "roll-back", axe).await;
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
    site.manage_a_connector(PORTAL).await;
    site.sign_in_elsewhere(&BrowserOptions::default()).await;
    let axe = Axe::load();
    for view in &VIEWS {
        let browser = Browser::start(&BrowserOptions::default()).await;
        walk(&browser, &site, view, &axe).await;
        if VIEWS_OF_FORMS.contains(&view.name) {
            forms(&browser, &site, view, &axe).await;
            form_problems(&browser, &site, view, &axe).await;
        }
    }
}
