//! The page inside the DingTalk client, in a real Chromium with the client's User-Agent: its scripts run under
//! its policy, and bring the code.

use menshen::clock::Clock;

use super::dingtalk_source::DingTalk;
use super::legacy_app::LegacyApp;
use super::setup::Menshen;
use super::webdriver::{Browser, BrowserOptions};

const DINGTALK_AGENT: &str = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/130.0.0.0 Mobile Safari/537.36 AliApp(DingTalk/7.0.0.11) com.alibaba.android.rimet/27811579";

/// The library for pages in the client.
const JSAPI: &str = "/dingtalk-jsapi/dingtalk.open.js";

struct Stage {
    dingtalk: DingTalk,
    menshen: Menshen,
    _app: LegacyApp,
    browser: Browser,
}

impl Stage {
    async fn new() -> Self {
        menshen::keys::install_crypto();
        let dingtalk = DingTalk::start().await.unwrap();
        let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后");
        let app = app.await.unwrap();
        let menshen = Menshen::built(Clock::system(), |url, dir| {
            dingtalk.set_redirect_urls(&[&format!("{url}/.menshen/callback/ding")]);
            format!(
                r#"
                [server]
                listen = ["{listen}"]
                external_url = "{url}"
                [log]
                access = false
                [store]
                url = "sqlite://{folder}/menshen.db"
                [connector.ding]
                display_name = "钉钉"
                [connector.ding.dingtalk]
                {settings}
                [[route]]
                name = "everybody"
                host = "127.0.0.1"
                upstream = ["{app}"]
                "#,
                listen = url.trim_start_matches("http://"),
                folder = dir.path().display(),
                settings = dingtalk.settings(),
                app = app.base_url(),
            )
        })
        .await;
        let browser = Browser::start(&BrowserOptions {
            user_agent: Some(DINGTALK_AGENT),
            ..BrowserOptions::default()
        })
        .await;
        Self {
            dingtalk,
            menshen,
            _app: app,
            browser,
        }
    }

    /// Opens the application, and waits until it shows the name of the person.
    async fn reads_name(&self, name: &str) {
        let what = format!("{name} in the application");
        self.browser
            .until(&what, async || {
                self.browser.text_of("[data-name]").await.as_deref() == Some(name)
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_signs_a_person_in_without_a_click() {
    let stage = Stage::new().await;
    stage.dingtalk.set_phone_owner("lisi");
    let report = format!("{}/dept/report?year=2026", stage.menshen.url);
    stage.browser.open(&report).await;
    stage.reads_name("李四").await;
    assert_eq!(stage.browser.url().await, report);
    let errors = stage.browser.console_errors().await;
    assert!(errors.is_empty(), "{errors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_may_not_sign_in_reads_why_in_the_page() {
    let stage = Stage::new().await;
    stage.dingtalk.set_phone_owner("zhaomin");
    stage.browser.open(&stage.menshen.url).await;
    let is_told = async || {
        let title = stage.browser.text_of("#title").await;
        title.is_some_and(|title| !title.contains("正在登录"))
    };
    stage.browser.until("told why", is_told).await;
    assert!(stage.browser.has("#app-login").await);
    assert!(!stage.browser.has("[data-name]").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_code_of_the_client_the_button_leads_to_the_qr_page() {
    let stage = Stage::new().await;
    // A library that the client does not know.
    stage.dingtalk.answer(JSAPI, 200, "window.other = 1;");
    stage.browser.open(&stage.menshen.url).await;
    stage.browser.reads("客户端未返回您的身份").await;
    stage.browser.click("main a.primary").await;
    stage.browser.reads("扫码的是谁").await;
    stage.browser.click("[data-userid=lisi]").await;
    stage.reads_name("李四").await;
}
