//! What a connector may ask of a login, by a source that exists for these tests only.

mod callback;
mod enter;
mod password;
mod post;
mod switch_account;
pub(crate) mod test_source;

use menshen::config::Config;

use crate::browser::Browser;
use crate::setup::{Menshen, Setup, UNLIMITED};

/// What every test calls the connector.
const ID: &str = "idp";

const HTTPS: &str = "https://sso.test";

/// An instance of menshen whose browsers use https: what comes by a form of another site needs a cookie for such.
fn secure_plan() -> Setup {
    Setup::default()
        .more(UNLIMITED)
        .external_url(HTTPS)
        .server("trusted_proxies = ['127.0.0.1']")
}

/// Whether a browser remembers a login that is under way.
fn remembers(browser: &Browser) -> bool {
    let mut cookies = browser.cookies().iter();
    cookies.any(|cookie| cookie.name.contains("flow"))
}

/// The name of a login, as a page or an address holds it: 32 letters and digits.
pub(crate) fn flow_in(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let mut flows = words.filter(|word| word.len() == 32 && word.bytes().all(plain));
    // The request id is one of hexadecimal digits.
    let flow = flows.find(|word| {
        word.bytes()
            .any(|byte| byte.is_ascii_lowercase() && byte > b'f')
    });
    flow.unwrap_or_else(|| panic!("no login in {text}"))
        .to_owned()
}

#[tokio::test]
async fn no_document_can_name_a_connector_of_the_tests() {
    let menshen = Menshen::new().await;
    let text = Setup::default().text(&menshen.source, &menshen.app);
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
