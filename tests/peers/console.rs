//! The web console in Chromium: every page in both languages on a desktop and a phone, by mouse and by keyboard, and
//! what attackers try.

use menshen::people::administrators::AdministratorPassword;
use serde_json::json;

use super::demo::sign_in_as;
use super::legacy_app::LegacyApp;
use super::setup::{Menshen, Setup};
use super::webdriver::{Browser, BrowserOptions};
use super::wecom::{Options, WeCom};

mod attacks;
mod keyboard;
mod walk;

const PASSWORD: &str = "twelve characters";

/// A menshen with a console, its administrator `root`, and what it stands between.
struct Site {
    menshen: Menshen,
    _wecom: WeCom,
    _app: LegacyApp,
}

impl Site {
    /// `tables` are further tables of the configuration.
    async fn start(tables: &str) -> Self {
        let wecom = WeCom::start(Options::default()).await.unwrap();
        let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后").await;
        let app = app.unwrap();
        let rest = format!(
            "[admin]\nlisten = \"127.0.0.1:0\"\n[console]\n\
             [[route]]\nname = \"app\"\nupstream = [\"{app}\"]\n\
             [[route]]\nname = \"finance\"\npath = \"/finance\"\nupstream = [\"{app}\"]\n\
             allow = \"'财务部' in user.departments\"\n{tables}",
            app = app.base_url()
        );
        let setup = Setup {
            rest: &rest,
            ..Setup::default()
        };
        let menshen = Menshen::start(&wecom, setup).await;
        let password = AdministratorPassword::new(PASSWORD).unwrap();
        let administrators = menshen.administrators();
        let name = "root".parse().unwrap();
        assert!(administrators.add(&name, &password).await.unwrap());
        Self {
            menshen,
            _wecom: wecom,
            _app: app,
        }
    }

    /// Signs zhangsan in to the application.
    async fn sign_in_elsewhere(&self, options: &BrowserOptions) -> Browser {
        let browser = Browser::start(options).await;
        browser.open(&format!("{}/", self.menshen.url)).await;
        sign_in_as(&browser, "zhangsan").await;
        browser
            .until("the application", async || browser.has("[data-name]").await)
            .await;
        browser
    }

    /// Makes a managed connector, and changes it once.
    async fn manage_a_connector(&self, display_name: &str) {
        for name in ["Portal", display_name] {
            let oidc = json!({
                "issuer": "https://id.corp.example",
                "client_id": "menshen",
                "client_secret": "plum-blossom",
            });
            let mapping = json!({ "roles": "profile.realm_access.roles" });
            let table = json!({ "display_name": name, "mapping": mapping, "oidc": oidc });
            self.menshen.put("portal", table).await;
        }
    }
}

/// Signs in to the console as `root`.
async fn enter(browser: &Browser, site: &Site) {
    let console = site.menshen.console_url();
    browser.open(&format!("{console}/people")).await;
    browser.fill("input[name=name]", "root").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("main button").await;
    browser
        .until("the people", async || browser.has("body.framed").await)
        .await;
}
