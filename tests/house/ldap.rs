//! Logins with a password that a directory checks, with a simulated directory that can lie.

mod attackers;
mod configuration;
mod front_end;
mod groups;
mod lookups;
mod passwords;
mod people;
mod secrets;
mod transport;
mod wire_faults;

use crate::browser::{Browser, Page};
use crate::connector_features::flow_id_in;
use crate::ldap_directory::{LdapServer, Person, SERVICE_DN, SERVICE_PASSWORD, encoding};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, ROUTES, SSO_URL, Setup};
use crate::wire::Answer;

const PASSWORD: &str = "right 密码 &horse";

/// The settings that most tests have, without `url`.
const LINES: &str = "base = 'ou=people,dc=corp'\nbind_dn = 'cn=gate,dc=corp'\n\
                     bind_password = 'hunter2-of-the-gate'\n";

/// The headers of a form post from menshen's own page.
const OWN_PAGE: [(&str, &str); 6] = [
    ("Accept", "text/html"),
    ("Origin", SSO_URL),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Content-Type", "application/x-www-form-urlencoded"),
];

/// Tests try many wrong passwords.
const WRONG_PASSWORDS: &str =
    "wrong_passwords_per_login = 1000\nwrong_passwords_per_client = 1000\n";

/// The tables of the connector `staff`.
fn tables(connector: &str, ldap: &str) -> String {
    format!(
        "{NO_LOGIN_LIMITS}{WRONG_PASSWORDS}[connector.staff]\n{connector}\n[connector.staff.ldap]\n{ldap}\n"
    )
}

/// A setup with further tables. `Setup::tables` would replace `{login}`.
fn setup(tables: &str) -> Setup {
    Setup::default().routes(&format!("{tables}\n{ROUTES}"))
}

/// Starts menshen with a connector to the server, over `ldap://` without TLS.
async fn start_at(server: &LdapServer, ldap: &str) -> Menshen {
    let ldap = format!("url = '{}'\nstart_tls = false\n{ldap}", server.url());
    setup(&tables("", &ldap)).start().await
}

/// Starts menshen and a directory with 张三.
async fn start() -> (Menshen, LdapServer) {
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", PASSWORD));
    (start_at(&server, LINES).await, server)
}

/// Opens the form with the return address `/echo`.
async fn open_form(browser: &mut Browser) -> Page {
    let start = format!("{OWN_PAGES}/start?connector=staff&rd=%2Fecho");
    let page = browser.follow(&start).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    page
}

/// Submits a login and a password with a form of its own.
async fn sign_in(browser: &mut Browser, login: &str, password: &str) -> Answer {
    let flow = flow_id_in(&open_form(browser).await.answer.text());
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("flow", flow.as_str()),
        ("rd", "/echo"),
        ("login", login),
        ("password", password),
    ]);
    let url = format!("{OWN_PAGES}/password/staff");
    let form = form.finish();
    browser.send("POST", &url, &OWN_PAGE, form.as_bytes()).await
}

/// Signs in with a new browser; returns the answer, and the browser.
async fn attempt(menshen: &Menshen, login: &str, password: &str) -> (Answer, Browser) {
    let mut browser = Browser::new(menshen);
    let answer = sign_in(&mut browser, login, password).await;
    (answer, browser)
}

fn has_session(browser: &Browser) -> bool {
    browser.cookie("menshen").is_some()
}

/// Asserts that a login succeeds; returns the answer of the application.
async fn assert_signed_in(menshen: &Menshen, login: &str, password: &str) -> Answer {
    let (answer, mut browser) = attempt(menshen, login, password).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo")),
        "{login}: {}",
        answer.text()
    );
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.status, 200, "{}", echo.text());
    echo
}

/// Asserts that a login is refused as a wrong one, for a reason that only the log has.
async fn assert_wrong(menshen: &Menshen, login: &str, password: &str, reason: &str) {
    let (answer, browser) = attempt(menshen, login, password).await;
    let text = answer.text();
    assert_eq!(answer.status, 401, "{login}: {text}");
    assert!(!has_session(&browser), "{login}");
    assert!(password.len() < 8 || !text.contains(password), "{text}");
    assert_last_reason(menshen, reason);
}

/// Asserts that the password could not be checked, for a reason that only the log has.
async fn assert_unchecked(menshen: &Menshen, reason: &str) {
    let (answer, browser) = attempt(menshen, "zhangsan", PASSWORD).await;
    let text = answer.text();
    assert_eq!(answer.status, 503, "{reason}: {text}");
    assert!(answer.header("retry-after").is_some(), "{reason}");
    assert!(!has_session(&browser), "{reason}");
    assert_last_reason(menshen, reason);
}

/// The error of the last audit record holds this text.
fn assert_last_reason(menshen: &Menshen, reason: &str) {
    let audit = menshen.audit();
    let last = audit.last().unwrap().to_string();
    assert!(last.contains(reason), "{reason}: {last}");
}
