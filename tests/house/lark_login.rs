//! Logins with Feishu and Lark, what follows from their events, and their directory.

mod apps;
mod check_online;
mod directory;
mod events;
mod faults;
mod nodes;
mod preset;
mod refusals;
mod secrets;
mod signing_in;

use menshen::face::page::Cause;

use crate::browser::{Browser, Page};
use crate::lark::Lark;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};

/// The callback URL of the connector `fs`.
const CALLBACK: &str = "http://sso.test/.menshen/callback/fs";

const CONTACTS: &str = "contacts = true";

/// The `User-Agent` of the client on a phone.
const CLIENT: &str = "Mozilla/5.0 (Linux; Android 10) AppleWebKit/537.36 Mobile Safari/537.36 Lark/6.9.9 \
    LarkLocale/zh_CN ChannelName/Feishu TTWebView/0881130046427";

const TOKEN: &str = "/open-apis/authen/v2/oauth/token";
const USER_INFO: &str = "/open-apis/authen/v1/user_info";
const APP_TOKEN: &str = "/open-apis/auth/v3/tenant_access_token/internal";
const TENANT: &str = "/open-apis/tenant/v2/tenant/query";

/// The path of a person in the contact API.
fn person_path(user_id: &str) -> String {
    format!(
        "/open-apis/contact/v3/users/{}",
        crate::lark::union_id(user_id)
    )
}

/// A setup whose connector `fs` leads to the simulation; `lines` are further ones of its table.
fn setup(lark: &Lark, lines: &str) -> Setup {
    lark.register_redirect(CALLBACK);
    let tables = lark.connector_toml("fs", lines);
    Setup::default().tables(&format!("{tables}{NO_LOGIN_LIMITS}"))
}

async fn start(lark: &Lark, lines: &str) -> Menshen {
    setup(lark, lines).start().await
}

fn start_url() -> String {
    format!("{OWN_PAGES}/start?connector=fs&rd=/echo%3Fa=b")
}

/// Opens the login page and returns the callback URL to which it leads the person.
async fn callback_url(lark: &Lark, browser: &mut Browser, user_id: &str) -> String {
    let page = browser.follow(&start_url()).await;
    assert!(
        page.url.starts_with(&lark.base_url()),
        "{}: {}",
        page.url,
        page.answer.text()
    );
    let chosen = browser.visit(&Lark::choose(&page.url, user_id)).await;
    let location = chosen.header("location");
    location
        .unwrap_or_else(|| panic!("{}", chosen.text()))
        .to_owned()
}

/// Signs in with a new browser.
async fn sign_in(menshen: &Menshen, lark: &Lark, user_id: &str) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let callback = callback_url(lark, &mut browser, user_id).await;
    let page = browser.follow(&callback).await;
    (browser, page)
}

/// Signs in inside the client, where nobody is asked.
async fn sign_in_silently(menshen: &Menshen, lark: &Lark, user_id: &str) -> (Browser, Page) {
    lark.set_client_owner(user_id);
    let mut browser = Browser::new(menshen).with_user_agent(CLIENT);
    let page = browser.follow(&start_url()).await;
    (browser, page)
}

/// The session cookie of a person who signs in.
async fn cookie_of(menshen: &Menshen, lark: &Lark, user_id: &str) -> String {
    let (browser, page) = sign_in(menshen, lark, user_id).await;
    assert_signed_in(&page, user_id);
    browser.cookie("menshen").unwrap().value.clone()
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit(&format!("{SSO_URL}/echo")).await.status == 200
}

/// Asserts that the login worked, and for whom.
fn assert_signed_in(page: &Page, login: &str) {
    let text = page.answer.text();
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, "http://sso.test/echo?a=b"),
        "{login}: {text}"
    );
    assert_eq!(page.answer.echoed("x-forwarded-user"), [login]);
}

/// Asserts that the login was refused with this page, and that the audit log says why.
fn assert_refused(menshen: &Menshen, page: &Page, cause: Cause, reason: &str) {
    let text = page.answer.text();
    assert_eq!(page.cause(), Some(cause), "{reason}: {} {text}", page.url);
    let error = last_error(menshen);
    assert!(error.contains(reason), "{reason}: {error}");
}

/// The error in the last audit record, which must be of a refused login.
fn last_error(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.last().expect("a refused login");
    assert_eq!(last["event"], "refused", "{last}");
    last["error"].as_str().expect("an error").to_owned()
}

async fn account_is_closed(menshen: &Menshen, login: &str) -> bool {
    let people = &menshen.running.live().services().people;
    let login = login.parse().unwrap();
    let account = people.directory().account_by_login(&login).await;
    account.unwrap().unwrap().closed
}
