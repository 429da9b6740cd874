//! An application's service worker that fetches every page itself, in a real Chromium, does not
//! prevent sign-in or sign-out.

use serde_json::json;

use super::demo::{Demo, assert_signed_in_at, sign_in_as};
use super::webdriver::{Browser, BrowserOptions};

/// Registers the application's worker and waits until it controls the page.
const REGISTER: &str = "return navigator.serviceWorker.register('/worker.js').then(() =>
    new Promise((done) => {
        const look = () => navigator.serviceWorker.controller ? done(true) : setTimeout(look, 10);
        look(); }))";

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_and_in_work_with_a_service_worker() {
    let (demo, browser) = (
        Demo::start(),
        Browser::start(&BrowserOptions::default()).await,
    );
    let report = format!("{}/dept/report?year=2026", demo.office);
    browser.open(&report).await;
    sign_in_as(&browser, "zhangsan").await;
    assert_signed_in_at(&browser, "张三", &report).await;
    assert_eq!(browser.script(REGISTER, json!([])).await, true);

    // The worker sends the request, so the application sees no fetch destination.
    browser.open(&format!("{}/echo", demo.office)).await;
    let says = browser.text().await;
    for (name, value) in [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "empty"),
        ("sec-fetch-site", "same-origin"),
    ] {
        let after = says.split_once(name);
        let after = after.unwrap_or_else(|| panic!("no {name}: {says}")).1;
        let said = after.split('"').nth(2);
        assert_eq!(said, Some(value), "{name}: {says}");
    }

    let sign_out = format!("{}/.menshen/sign_out", demo.office);
    browser.open(&sign_out).await;
    browser.reads("已退出").await;
    browser.open(&report).await;
    sign_in_as(&browser, "lisi").await;
    assert_signed_in_at(&browser, "李四", &report).await;
    // The worker also fetches the login link and the sign-out form.
    browser.open(&sign_out).await;
    browser.reads("已退出").await;
    browser.click("main a.primary").await;
    sign_in_as(&browser, "zhangsan").await;
    browser
        .until("the application", async || {
            browser.text_of("[data-name]").await.as_deref() == Some("张三")
        })
        .await;
}
