//! CAS with two real servers: django-cas-server by pip and LemonLDAP::NG from Debian.
//! `tests/peers/cas/install` and `tests/run` install them.

mod django;
mod lemonldap;

use menshen::clock::Clock;

use super::legacy_app::LegacyApp;
use super::processes::TempDir;
use super::setup::{Menshen, common_tables, routes_by_group};
use super::visitor::{Page, Visitor};

/// menshen in front of an application, with one connector to a CAS server.
#[derive(Debug)]
struct Stage {
    /// The public origin.
    url: String,
    _menshen: Menshen,
    _app: LegacyApp,
}

impl Stage {
    /// Starts with these lines of `[connector.portal.cas]`.
    async fn start(server: &str, lines: &str) -> Self {
        let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "应用");
        let app = app.await.unwrap();
        let menshen = Menshen::built(Clock::system(), |url, dir| {
            configuration(url, dir, &app, &format!("url = '{server}'\n{lines}"))
        });
        let menshen = menshen.await;
        Self {
            url: menshen.url.clone(),
            _menshen: menshen,
            _app: app,
        }
    }

    /// The URL of a path at menshen.
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// The callback URL of the connector.
    fn callback(&self) -> String {
        self.at("/.menshen/callback/portal")
    }

    /// Opens the login page of the server for this path.
    async fn open_login_page(&self, visitor: &mut Visitor, path: &str) -> Page {
        let start = format!("/.menshen/start?connector=portal&rd={path}");
        visitor.open(&self.at(&start)).await
    }

    async fn is_signed_in(&self, visitor: &Visitor) -> bool {
        visitor.peek(&self.at("/.menshen/userinfo")).await == 200
    }
}

fn configuration(url: &str, dir: &TempDir, app: &LegacyApp, lines: &str) -> String {
    // With `renew`, nobody can be confirmed without a password.
    let reload_user = match lines.contains("renew = true") {
        true => "",
        false => "reload_user = \"always\"\n        reload_after = \"10s\"",
    };
    format!(
        r#"
        {common}
        [connector.portal]
        display_name = "统一认证"
        [connector.portal.cas]
        {lines}

        {routes}
        [[route]]
        name = "strict"
        path = "/strict"
        strip_path = true
        upstream = ["{app}"]
        max_age = "10m"

        [[route]]
        name = "reloaded"
        path = "/reloaded"
        strip_path = true
        upstream = ["{app}"]
        {reload_user}
        "#,
        common = common_tables(url, dir),
        routes = routes_by_group(app),
        app = app.base_url(),
    )
}
