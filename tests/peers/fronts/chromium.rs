//! A real browser through two of the proxies.

use super::recipes::Front;
use super::{Stage, ZHANG_SAN};
use crate::demo::sign_in_as;
use crate::webdriver::{Browser, BrowserOptions};

/// A URL that browsers do not normalize.
const DEEP: &str = "/dept%20a/c%2fd?year=2026&q=%E5%BC%A0";

#[tokio::test(flavor = "multi_thread")]
async fn chromium_signs_in_and_out_through_nginx() {
    signs_in_and_out(Front::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn chromium_signs_in_and_out_through_envoy() {
    signs_in_and_out(Front::EnvoyGrpc).await;
}

async fn signs_in_and_out(front: Front) {
    let stage = Stage::start(front).await;
    let person = BrowserOptions {
        accepts_any_certificate: true,
        ..BrowserOptions::default()
    };
    let browser = Browser::start(&person).await;
    browser.open(&stage.at(DEEP)).await;
    sign_in_as(&browser, ZHANG_SAN).await;
    browser.reads("\"x-forwarded-user\",\"zhangsan\"").await;
    assert_eq!(browser.url().await, stage.at(DEEP));
    browser.open(&stage.at("/finance/ledger")).await;
    browser.reads("zhangsan").await;
    assert!(!browser.text().await.contains("x-forwarded-user"));
    browser.open(&stage.at("/.menshen/sign_out")).await;
    browser.reads("已退出").await;
    browser.open(&stage.at(DEEP)).await;
    let choice = async || browser.has("main a[href*='connector=']").await;
    browser.until("a way to sign in", choice).await;
}
