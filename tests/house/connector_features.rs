//! What the trait `Connector` offers to connectors, with a connector that exists only in these tests.

mod callback;
mod closed_accounts;
mod enter;
mod files;
mod linking;
mod password;
mod post;
mod switch_account;
pub(crate) mod test_source;
mod wrong_passwords;

use menshen::config::Config;

use crate::browser::Browser;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};

/// The connector's ID.
const ID: &str = "idp";

const HTTPS: &str = "https://sso.test";

/// A setup with https, which cookies for a cross-site POST need.
fn https_setup() -> Setup {
    Setup::default()
        .tables(NO_LOGIN_LIMITS)
        .external_url(HTTPS)
        .server("trusted_proxies = ['127.0.0.1']")
}

/// Whether the browser has the cookie of a pending login.
fn has_pending_login(browser: &Browser) -> bool {
    let mut cookies = browser.cookies().iter();
    cookies.any(|cookie| cookie.name.contains("flow"))
}

/// The flow ID in a page or URL: 32 letters and digits.
pub(crate) fn flow_id_in(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let mut flows = words.filter(|word| word.len() == 32 && word.bytes().all(plain));
    // A request ID has 32 characters, too, but only hexadecimal digits.
    let flow = flows.find(|word| {
        word.bytes()
            .any(|byte| byte.is_ascii_lowercase() && byte > b'f')
    });
    flow.unwrap_or_else(|| panic!("no login in {text}"))
        .to_owned()
}

#[tokio::test]
async fn no_configuration_can_use_the_test_connector() {
    let menshen = Menshen::new().await;
    let text = Setup::default().text(&menshen.wecom, &menshen.app);
    for table in [
        "[connector.idp.provided]\n",
        "[connector.idp]\nprovided = true\n",
        "[connector.idp.idp]\n",
        "[connector.idp.Provided]\n",
    ] {
        let error = Config::parse(&format!("{text}\n{table}"), "test.toml").unwrap_err();
        assert!(error.to_string().contains("unknown"), "{table}: {error}");
    }
}
