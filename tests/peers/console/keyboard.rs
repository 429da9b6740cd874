//! The console with the keyboard alone.

use super::super::webdriver::{Browser, BrowserOptions, ENTER};
use super::{PASSWORD, Site};

/// The pages of the navigation.
const SECTIONS: [&str; 8] = [
    "/console/",
    "/console/sessions",
    "/console/people",
    "/console/routes",
    "/console/sync",
    "/console/audit",
    "/console/connectors",
    "/console/config",
];

/// Signs in as `root` with keys.
async fn enter(browser: &Browser, site: &Site) {
    browser
        .open(&format!("{}/", site.menshen.console_url()))
        .await;
    browser.tab_to("input[name=name]").await;
    browser.press("root").await;
    browser.tab_to("input[name=password]").await;
    browser.press(PASSWORD).await;
    browser.press(ENTER).await;
    browser
        .until("the overview", async || browser.has(".tiles").await)
        .await;
}

/// Moves the focus to an element and presses Enter.
async fn press_at(browser: &Browser, css: &str) {
    browser.tab_to(css).await;
    browser.press(ENTER).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_reached_and_a_mapping_is_saved_with_the_keyboard_alone() {
    let site = Site::start("").await;
    site.manage_a_connector("Portal").await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    enter(&browser, &site).await;
    for section in SECTIONS {
        press_at(&browser, &format!(".side a[href='{section}']")).await;
        let current = format!(".side a[href='{section}'][aria-current]");
        browser
            .until(section, async || browser.has(&current).await)
            .await;
    }
    press_at(&browser, ".side a[href='/console/connectors']").await;
    let mapping = "a[href='/console/connectors/portal/mapping']";
    browser
        .until("the connectors", async || browser.has(mapping).await)
        .await;
    press_at(&browser, mapping).await;
    browser
        .until("the mapping", async || browser.has("#result").await)
        .await;
    browser.tab_to("[id='mapping.name']").await;
    browser.press("'plum'").await;
    press_at(&browser, "button[value=preview]").await;
    browser.reads("plum").await;
    press_at(&browser, "button[value=save]").await;
    browser
        .until("the message", async || browser.has("[role=status]").await)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_ended_with_the_keyboard_alone() {
    let site = Site::start("").await;
    site.sign_in_elsewhere(&BrowserOptions::default()).await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    enter(&browser, &site).await;
    press_at(&browser, ".side a[href='/console/sessions']").await;
    browser
        .until("the sessions", async || browser.has("td button").await)
        .await;
    press_at(&browser, "td button").await;
    browser
        .until("the message", async || browser.has("[role=status]").await)
        .await;
    assert!(!browser.has("td button").await, "nobody is signed in");
    press_at(&browser, ".side form button").await;
    browser
        .until("the form", async || {
            browser.has("input[name=password]").await
        })
        .await;
}
