//! Logins with a CAS server.

mod check_online;
mod hostile_answers;
mod programs;
mod reload_user;
mod secrets;
mod seeded_tickets;
pub(crate) mod server;
mod signing_in;
mod single_logout;
mod tickets;

use menshen::face::page::Cause;

use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use server::CasServer;

/// The callback URL of the connector `portal`.
const CALLBACK: &str = "http://sso.test/.menshen/callback/portal";

/// The setup whose connector `portal` leads to the server.
fn setup(server: &CasServer, lines: &str) -> Setup {
    let tables = server.connector_toml(lines);
    Setup::default().tables(&format!("{tables}{NO_LOGIN_LIMITS}"))
}

/// An instance of menshen whose connector `portal` leads to the server.
async fn start_menshen(server: &CasServer, lines: &str) -> Menshen {
    setup(server, lines).start().await
}

fn start_url() -> String {
    format!("{OWN_PAGES}/start?connector=portal&rd=/echo%3Fa=b")
}

/// Signs in with a new browser.
async fn sign_in(menshen: &Menshen) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = browser.follow(&start_url()).await;
    (browser, page)
}

/// Begins a login and stops before the browser follows the redirect to the callback, whose URL is
/// returned.
async fn callback_url(browser: &mut Browser) -> String {
    let at_callback = |url: &str| url.starts_with(CALLBACK);
    browser.follow_until(&start_url(), at_callback).await.url
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit(&format!("{SSO_URL}/echo")).await.status == 200
}

/// Asserts that the login worked, and for whom.
fn assert_signed_in(page: &Page, login: &str, what: &str) {
    let text = page.answer.text();
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, "http://sso.test/echo?a=b"),
        "{what}: {text}"
    );
    assert_eq!(page.answer.echoed("x-forwarded-user"), [login], "{what}");
}

/// Asserts that the login was refused with this page, and that the audit log says why.
fn assert_refused(menshen: &Menshen, page: &Page, cause: Cause, reason: &str) {
    let text = page.answer.text();
    assert_eq!(page.cause(), Some(cause), "{reason}: {text}");
    let error = last_refusal(menshen);
    assert!(error.contains(reason), "{reason}: {error}");
}

/// The error in the last audit record, which must be of a refused login.
fn last_refusal(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.last().expect("a refused login");
    assert_eq!(last["event"], "refused", "{last}");
    last["error"].as_str().expect("an error").to_owned()
}
