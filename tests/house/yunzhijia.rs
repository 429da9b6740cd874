//! Logins with Yunzhijia: `[connector.ID.yunzhijia]`.

mod arrivals;
mod check_online;
mod contacts;
mod directory;
mod failures;
mod front_end;
mod scanning;
mod secrets;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};
use crate::yunzhijia_source::Yunzhijia;

/// The connector's ID.
const ID: &str = "yzj";

const TOKEN_PATH: &str = "/gateway/oauth2/token/getAccessToken";
const CONTEXT_PATH: &str = "/gateway/ticket/user/acquirecontext";

/// 张三, with a number, and 李四, without a mobile.
const ZHANG: &str = "5de50017e4b0";
const LI: &str = "5de5003fe4b0";

/// A simulated Yunzhijia whose clock is that of the tests.
async fn start_source() -> Yunzhijia {
    let clock = Arc::new(|| UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    Yunzhijia::start(clock)
        .await
        .expect("the simulated Yunzhijia starts")
}

fn setup(source: &Yunzhijia, lines: &str) -> Setup {
    let tables = source.connector_toml(ID, lines);
    Setup::default().tables(&format!("{tables}{NO_LOGIN_LIMITS}"))
}

async fn start(source: &Yunzhijia) -> Menshen {
    setup(source, "").start().await
}

fn advance(menshen: &Menshen, source: &Yunzhijia, by: Duration) {
    menshen.advance(by);
    source.advance(by);
}

/// Opens the QR page in a browser, and returns its URL.
async fn open_scan_page(browser: &mut Browser) -> String {
    let start = format!("{OWN_PAGES}/start?connector={ID}&rd=/echo");
    let answer = browser.visit(&start).await;
    let location = answer.header("location");
    let location = location.unwrap_or_else(|| panic!("{}", answer.text()));
    location.to_owned()
}

/// Logs in in a new browser: this person scans the code.
async fn scan(menshen: &Menshen, openid: &str) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = open_scan_page(&mut browser).await;
    let page = browser.follow(&Yunzhijia::choose(&page, openid)).await;
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
