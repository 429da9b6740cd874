//! Logins with a portal whose protocol is written as steps: `[connector.ID.custom]`.

mod arrivals;
mod check_online;
mod expressions;
mod failures;
pub(crate) mod portal;
mod secrets;
mod shared_answers;
mod signing_in;

use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};

/// The connector's ID.
const ID: &str = "ctr";

fn setup(tables: &str) -> Setup {
    Setup::default().tables(&format!("{tables}{NO_LOGIN_LIMITS}"))
}

async fn start(tables: &str) -> Menshen {
    setup(tables).start().await
}

/// The URL at which a login begins.
fn start_url() -> String {
    format!("{OWN_PAGES}/start?connector={ID}&rd=/echo")
}

/// Logs in in a new browser.
async fn log_in(menshen: &Menshen) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = browser.follow(&start_url()).await;
    (browser, page)
}

/// The error in the last audit record, which must be of a refused login.
fn last_error(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.last().expect("a refused login");
    assert_eq!(last["event"], "refused", "{last}");
    last["error"].as_str().expect("an error").to_owned()
}

/// Whether the browser is signed in.
fn has_session(browser: &Browser) -> bool {
    browser.cookie("menshen").is_some()
}
