//! menshen's form for a user name and a password, in Chromium.

use super::page_layout::{CHINESE, PageOwner, SCREENS, Screen, check};
use super::webdriver::{Browser, BrowserOptions, ENTER, TAB};

const LOGIN: &str = "input[name=login]";
const PASSWORD: &str = "input[name=password]";
/// The button of the sign-in page that leads to the form.
const CONNECTOR: &str = "main a[href*='connector=']";

/// A person, and the URL that they request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit<'a> {
    pub(crate) url: &'a str,
    pub(crate) login: &'a str,
    pub(crate) password: &'a str,
}

/// What the form says after a wrong password.
fn wrong_password(screen: Screen) -> &'static str {
    match screen.language == CHINESE {
        true => "用户名或密码不正确",
        false => "The user name or the password is wrong",
    }
}

/// Opens a URL without being signed in and goes on to the form.
pub(crate) async fn open(browser: &Browser, url: &str) {
    browser.open(url).await;
    browser.click(CONNECTOR).await;
    browser
        .until("the form", async || browser.has(PASSWORD).await)
        .await;
}

/// Fills the form and submits it.
pub(crate) async fn submit(browser: &Browser, login: &str, password: &str) {
    browser.fill(LOGIN, login).await;
    submit_again(browser, password).await;
}

/// Submits the form once more; the user name is still there.
pub(crate) async fn submit_again(browser: &Browser, password: &str) {
    browser.fill(PASSWORD, password).await;
    browser.click("form.actions button[type=submit]").await;
}

/// Signs in on every screen, after a wrong password.
pub(crate) async fn walk_on_every_screen(name: &str, visit: Visit<'_>) {
    for screen in SCREENS {
        let browser = screen.browser().await;
        let at = async |page: &str| {
            check(&browser, screen, &format!("{name}-{page}"), PageOwner::Ours).await;
        };
        browser.open(visit.url).await;
        at("1-sign-in").await;
        open(&browser, visit.url).await;
        at("2-form").await;
        submit(&browser, visit.login, "wrong").await;
        browser.reads(wrong_password(screen)).await;
        at("3-wrong").await;
        submit_again(&browser, visit.password).await;
        assert_arrived(&browser, visit).await;
    }
}

/// Signs in with the keyboard alone, after a wrong password.
pub(crate) async fn walk_with_the_keyboard(visit: Visit<'_>) {
    let browser = Browser::start(&BrowserOptions::default()).await;
    browser.open(visit.url).await;
    browser.tab_to(CONNECTOR).await;
    browser.press(ENTER).await;
    browser
        .until("the form", async || browser.has(PASSWORD).await)
        .await;
    // The first field has the focus.
    browser.press(visit.login).await;
    browser.press(TAB).await;
    browser.press("wrong").await;
    browser.press(ENTER).await;
    browser.reads("用户名或密码不正确").await;
    // Now the password has it.
    browser.press(visit.password).await;
    browser.press(TAB).await;
    browser.tab_to("button[type=submit]").await;
    browser.press(ENTER).await;
    assert_arrived(&browser, visit).await;
}

/// The application at the requested URL shows the person, and the browser reported no error.
async fn assert_arrived(browser: &Browser, visit: Visit<'_>) {
    let arrived = async || browser.url().await == visit.url;
    browser.until("the application", arrived).await;
    browser.reads(visit.login).await;
    assert_eq!(browser.console_errors().await, [""; 0]);
}
