//! Logins with Lark, DingTalk, Yunzhijia and the recipes of `custom` on one site, in Chromium: with the
//! User-Agents of their clients and of ordinary browsers, on a desktop and a phone, in both languages.

use std::sync::Arc;
use std::time::SystemTime;

use menshen::clock::Clock;

use super::dingtalk_source::DingTalk;
use super::lark::Lark;
use super::legacy_app::LegacyApp;
use super::page_layout::{PageOwner, SCREENS, Screen, check};
use super::recipe_portal::RecipePortal;
use super::setup::{Menshen, common_tables};
use super::webdriver::Browser;
use super::yunzhijia_source::{OTHER_EID, Yunzhijia};

const REPORT: &str = "/dept/report?year=2026";

const DINGTALK_PHONE: &str = "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/130.0.0.0 Mobile Safari/537.36 AliApp(DingTalk/7.0.0.11) com.alibaba.android.rimet/27811579";
const DINGTALK_DESKTOP: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/109.0.5414.120 Safari/537.36 dingtalk-win/1.0.0 nw(0.14.7) DingTalk(7.6.15-Release.240412001)";
const LARK_PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
    (KHTML, like Gecko) Mobile/15E148 Lark/7.29.5 LarkLocale/zh_CN ChannelName/Feishu";
const LARK_DESKTOP: &str = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/124.0.6367.243 Safari/537.36 Lark/7.29.5 LarkLocale/zh_CN SDK-Version/7.29.2";
const YUNZHIJIA_PHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 \
    (KHTML, like Gecko) Mobile/15E148 Qing/0.9.0; iPhone OS 18.0; Apple; iPhone16,2";
const YUNZHIJIA_DESKTOP: &str = "Mozilla/5.0 (Windows NT 10.0; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) \
    Chrome/87.0.4280.141 Safari/537.36 cloudhub 10.0.0 Qing/0.9.0";

/// All sources, and menshen with a connector for each.
struct Stage {
    lark: Lark,
    dingtalk: DingTalk,
    yunzhijia: Yunzhijia,
    portal: RecipePortal,
    menshen: Menshen,
    _app: LegacyApp,
}

impl Stage {
    async fn start() -> Self {
        menshen::keys::install_crypto();
        let lark = Lark::start().await.unwrap();
        let dingtalk = DingTalk::start().await.unwrap();
        let yunzhijia = Yunzhijia::start(Arc::new(SystemTime::now)).await.unwrap();
        let portal = RecipePortal::start().await;
        let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后");
        let app = app.await.unwrap();
        yunzhijia.person("foreign", |one| {
            "外人".clone_into(&mut one.name);
            OTHER_EID.clone_into(&mut one.eid);
        });
        let menshen = Menshen::built(Clock::system(), |url, dir| {
            lark.register_redirect(&format!("{url}/.menshen/callback/fs"));
            dingtalk.set_redirect_urls(&[&format!("{url}/.menshen/callback/ding")]);
            let home = format!("{url}/.menshen/enter/yzj?rd=/dept/report%3Fyear%3D2026");
            yunzhijia.set_home(&home);
            portal.set_menshen(url);
            // Every source knows a `lisi`, who is another person at each.
            let with_prefix = |id: &str, toml: String| {
                let header = format!("[connector.{id}]\n");
                toml.replacen(&header, &format!("{header}login_prefix = \"{id}-\"\n"), 1)
            };
            [
                common_tables(url, dir),
                "[login]\nbegins_per_client_per_minute = 10000\n\
                 finishes_per_client_per_minute = 10000\n"
                    .to_owned(),
                with_prefix("fs", lark.connector_toml("fs", "contacts = true")),
                format!(
                    "[connector.ding]\nlogin_prefix = \"ding-\"\ndisplay_name = \"钉钉（模拟）\"\n\
                     [connector.ding.dingtalk]\n{}\n",
                    dingtalk.settings()
                ),
                with_prefix("yzj", yunzhijia.connector_toml("yzj", "")),
                portal.connectors_toml(),
                format!(
                    "[[route]]\nname = \"app\"\nupstream = [\"{}\"]\n",
                    app.base_url()
                ),
            ]
            .concat()
        })
        .await;
        Self {
            lark,
            dingtalk,
            yunzhijia,
            portal,
            menshen,
            _app: app,
        }
    }

    fn report(&self) -> String {
        format!("{}{REPORT}", self.menshen.url)
    }

    /// Sets who uses the clients of Lark and DingTalk.
    fn set_owner(&self, userid: &str) {
        self.lark.set_client_owner(userid);
        self.dingtalk.set_phone_owner(userid);
    }

    /// Waits until the application shows 李四 of this connector on the page that was requested.
    async fn arrives(&self, browser: &Browser, connector: &str) {
        let is_shown = async || browser.text_of("[data-name]").await.as_deref() == Some("李四");
        browser.until(connector, is_shown).await;
        // An empty fragment ends that of a client's page.
        let url = browser.url().await;
        assert_eq!(url.trim_end_matches('#'), self.report(), "{connector}");
        assert_eq!(browser.console_errors().await, [""; 0], "{connector}");
        let userinfo = format!("{}/.menshen/userinfo", self.menshen.url);
        browser.open(&userinfo).await;
        browser.reads(&format!("{connector}-lisi")).await;
    }

    /// Goes from the sign-in page to the login page of a source.
    async fn go_to(&self, browser: &Browser, connector: &str) {
        let login_page = match connector {
            "fs" => self.lark.base_url(),
            "ding" => self.dingtalk.base_url(),
            "yzj" => self.yunzhijia.base_url(),
            _ => self.portal.base_url(),
        };
        browser
            .click(&format!("main a[href*='connector={connector}']"))
            .await;
        let is_there = async || browser.url().await.starts_with(&login_page);
        browser.until(connector, is_there).await;
    }

    /// Opens the application in Yunzhijia, as this person.
    async fn open_in_yunzhijia(&self, browser: &Browser, name: &str) {
        browser.open(&self.yunzhijia.workbench_url()).await;
        browser.click_text(name).await;
    }
}

/// The clients of Lark and DingTalk with this kind of screen.
fn silent_clients(screen: Screen) -> [(&'static str, &'static str); 2] {
    match screen.phone {
        true => [("fs", LARK_PHONE), ("ding", DINGTALK_PHONE)],
        false => [("fs", LARK_DESKTOP), ("ding", DINGTALK_DESKTOP)],
    }
}

fn yunzhijia_client(screen: Screen) -> &'static str {
    match screen.phone {
        true => YUNZHIJIA_PHONE,
        false => YUNZHIJIA_DESKTOP,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_each_client_its_person_signs_in_without_a_click() {
    let stage = Stage::start().await;
    stage.set_owner("lisi");
    for screen in SCREENS {
        for (connector, agent) in silent_clients(screen) {
            let browser = screen.browser_as(Some(agent)).await;
            browser.open(&stage.report()).await;
            stage.arrives(&browser, connector).await;
        }
        // Yunzhijia opens the application with a ticket; who opens its address otherwise is told so.
        let browser = screen.browser_as(Some(yunzhijia_client(screen))).await;
        browser.open(&stage.report()).await;
        check(&browser, screen, "source-1-workbench", PageOwner::Ours).await;
        stage.open_in_yunzhijia(&browser, "李四").await;
        stage.arrives(&browser, "yzj").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_an_ordinary_browser_each_source_asks_on_its_own_page() {
    let stage = Stage::start().await;
    // Nobody is signed in silently there.
    stage.set_owner("zhangsan");
    for screen in SCREENS {
        let browser = screen.browser().await;
        for connector in ["fs", "ding", "yzj", "qince"] {
            browser.open(&stage.report()).await;
            check(&browser, screen, "source-2-choose", PageOwner::Ours).await;
            stage.go_to(&browser, connector).await;
            browser.click_text("李四").await;
            stage.arrives(&browser, connector).await;
            let sign_out = format!("{}/.menshen/sign_out", stage.menshen.url);
            browser.open(&sign_out).await;
        }
        browser.open(&stage.portal.home()).await;
        browser.click("[data-userid=lisi]").await;
        stage.arrives(&browser, "portal").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_person_reads_why_on_a_page_in_their_language() {
    let stage = Stage::start().await;
    stage.set_owner("zhaomin");
    let refused = async |browser: &Browser, screen: Screen, page: &str| {
        let is_told = async || {
            let is_ours = browser.url().await.starts_with(&stage.menshen.url);
            is_ours && browser.has("main a.primary").await
        };
        browser.until(page, is_told).await;
        assert!(!browser.has("[data-name]").await, "{page}");
        check(browser, screen, page, PageOwner::Ours).await;
    };
    for screen in SCREENS {
        for (connector, name) in [("fs", "赵敏"), ("ding", "赵敏"), ("yzj", "外人")] {
            let browser = screen.browser().await;
            browser.open(&stage.report()).await;
            stage.go_to(&browser, connector).await;
            browser.click_text(name).await;
            refused(&browser, screen, &format!("source-3-refused-{connector}")).await;
        }
        let browser = screen.browser().await;
        // A portal does not tell a refused person from a used code: the login begins once more.
        browser.open(&stage.report()).await;
        stage.go_to(&browser, "qince").await;
        for _ in 0..2 {
            browser.click("[data-userid=zhaomin]").await;
        }
        refused(&browser, screen, "source-3-refused-qince").await;
        browser.open(&stage.portal.home()).await;
        browser.click("[data-userid=zhaomin]").await;
        refused(&browser, screen, "source-3-refused-portal").await;
        for (connector, agent) in silent_clients(screen) {
            let browser = screen.browser_as(Some(agent)).await;
            browser.open(&stage.report()).await;
            refused(&browser, screen, &format!("source-4-client-{connector}")).await;
        }
        let browser = screen.browser_as(Some(yunzhijia_client(screen))).await;
        stage.open_in_yunzhijia(&browser, "外人").await;
        refused(&browser, screen, "source-4-client-yzj").await;
    }
}
