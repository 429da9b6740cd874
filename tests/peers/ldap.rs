//! Sign-in with passwords that real directories check: OpenLDAP from Debian, and UnboundID's directory in
//! memory, which `tests/peers/ldap/install` fetches by Maven.

use menshen::clock::Clock;

use super::legacy_app::LegacyApp;
use super::setup::Menshen;
use super::visitor::{Page, Visitor, echoed};

mod chromium;
mod slapd;
mod unboundid;

/// A menshen with the connector `staff` and an application.
struct Site {
    menshen: Menshen,
    _app: LegacyApp,
}

impl Site {
    /// `ldap` are the lines of `[connector.staff.ldap]` and its tables, `ca` is a file.
    async fn start(ca: &str, ldap: &str) -> Self {
        menshen::keys::install_crypto();
        let app = LegacyApp::start(([127, 0, 0, 1], 0).into(), "门后");
        let app = app.await.unwrap();
        let menshen = Menshen::built(Clock::system(), |url, dir| {
            format!(
                "[server]\nlisten = ['{}']\nexternal_url = '{url}'\n[log]\naccess = false\n\
                 [store]\nurl = 'sqlite://{}/menshen.db'\n\
                 [connector.staff]\nca = '{ca}'\n[connector.staff.ldap]\n{ldap}\n\
                 [[route]]\nname = 'all'\nupstream = ['{}']\n",
                url.trim_start_matches("http://"),
                dir.path().display(),
                app.base_url()
            )
        });
        Self {
            menshen: menshen.await,
            _app: app,
        }
    }

    /// What a new visitor gets who signs in.
    async fn sign_in(&self, login: &str, password: &str) -> Page {
        let mut visitor = Visitor::new();
        let start = format!(
            "{}/.menshen/start?connector=staff&rd=/echo",
            self.menshen.url
        );
        let form = visitor.open(&start).await;
        assert_eq!(form.status, 200, "{}", form.body);
        let filled = [("login", login), ("password", password)];
        let page = visitor.submit(&form, &filled).await;
        assert_eq!(
            visitor.has("menshen"),
            page.status == 200,
            "{login}: {}",
            page.status
        );
        page
    }

    /// The application's answer to somebody who signs in.
    async fn assert_signed_in(&self, login: &str, password: &str) -> Page {
        let page = self.sign_in(login, password).await;
        assert_eq!(page.status, 200, "{login}: {}", page.body);
        let user = echoed(&page.body, "x-forwarded-user").concat();
        let user = percent_encoding::percent_decode_str(&user).decode_utf8();
        assert_eq!(user.unwrap(), login);
        page
    }
}
