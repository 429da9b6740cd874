//! Logins in a frame of another site, where browsers keep cookies apart from those of tabs.

use std::time::Duration;

use menshen::face::page::Cause;
use url::Url;

use crate::browser::{Browser, href};
use crate::logging_in::query_parameter;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};
use crate::wire::Answer;

mod attacks;
mod shared_origin;
mod signing_in;

const SSO_URL: &str = "https://sso.test";

/// Applications on other hosts than the login host.
const ROUTES: &str = r#"
[[route]]
name = "oa"
host = "oa.test"
upstream = ["{app}"]

[[route]]
name = "hr"
host = "hr.test"
upstream = ["{app}"]
"#;

/// A setup with cookies for frames.
fn setup() -> Setup {
    Setup::default()
        .external_url(SSO_URL)
        .server("trusted_proxies = ['127.0.0.1']")
        .session("cookie_same_site = 'none'")
        .routes(ROUTES)
        .tables(NO_LOGIN_LIMITS)
}

/// Like [`setup`], with one cookie for all hosts below `corp.test`.
fn setup_with_domain(routes: &str) -> Setup {
    let routes = routes.replace("hr.test", "hr.corp.test");
    setup()
        .external_url("https://sso.corp.test")
        .session("cookie_same_site = 'none'\ncookie_domain = 'corp.test'")
        .routes(&routes.replace("oa.test", "oa.corp.test"))
}

/// A page in a frame of a portal, with the cookies that the browser keeps for that portal.
#[derive(Clone)]
struct Frame {
    cookies: Browser,
    url: String,
}

impl Frame {
    fn new(menshen: &Menshen, url: &str) -> Self {
        Self {
            cookies: Browser::new(menshen).over_https(),
            url: url.to_owned(),
        }
    }

    async fn navigate(
        &mut self,
        method: &str,
        url: &str,
        more: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut headers = vec![
            ("Accept", "text/html"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "iframe"),
        ];
        headers.extend(more);
        self.cookies
            .send(method, url, &headers, body.as_bytes())
            .await
    }

    /// Loads or reloads the page.
    async fn load(&mut self) -> Answer {
        let url = self.url.clone();
        let from = [("Sec-Fetch-Site", "cross-site")];
        self.navigate("GET", &url, &from, "").await
    }

    /// Loads the page and returns the URL that its button opens in a tab.
    async fn start_url(&mut self) -> String {
        let page = self.load().await;
        assert_eq!(page.status, 401, "{}", page.text());
        assert_eq!(page.cause(), Some(Cause::FrameNeedsLogin));
        start_url_on(&page)
    }

    /// Does what the page's script does with a message from the tab.
    async fn receive(&mut self, ticket: &str) -> Answer {
        let origin = origin(&self.url);
        self.receive_from(ticket, &origin, "same-origin").await
    }

    async fn receive_from(&mut self, ticket: &str, from: &str, site: &str) -> Answer {
        let url = format!("{}/.menshen/ticket", origin(&self.url));
        let headers = [
            ("Origin", from),
            ("Sec-Fetch-Site", site),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        self.navigate("POST", &url, &headers, &format!("t={ticket}"))
            .await
    }

    /// Loads the page and returns the user of whom the application learns.
    async fn signed_in_user(&mut self) -> Vec<String> {
        let page = self.load().await;
        assert_eq!(page.status, 200, "{}", page.text());
        page.echoed("x-forwarded-user")
    }
}

fn origin(url: &str) -> String {
    Url::parse(url).unwrap().origin().ascii_serialization()
}

/// The URL of the button of a framed page.
fn start_url_on(page: &Answer) -> String {
    let html = page.text();
    href(&html, "/.menshen/start?").unwrap_or_else(|| panic!("no button to sign in: {html}"))
}

/// Signs in in a tab, beginning at the URL of a framed page, and returns the consent page.
async fn sign_in(tab: &mut Browser, url: &str) -> Answer {
    tab.sign_in(url, "lisi").await.answer
}

/// A tab that is signed in on the login host.
async fn signed_in_tab(menshen: &Menshen) -> Browser {
    let mut browser = Browser::new(menshen).over_https();
    let chooser = format!("{SSO_URL}/.menshen/sign_in");
    browser.sign_in(&chooser, "lisi").await;
    assert!(browser.cookie("__Host-menshen").is_some());
    browser
}

/// Presses the consent button in the tab.
async fn consent(tab: &mut Browser, consent_page: &Answer) -> Answer {
    let html = consent_page.text();
    assert_eq!(consent_page.status, 200, "{html}");
    assert!(html.contains("李四"), "the page names the person: {html}");
    assert_eq!(
        ticket_in(consent_page),
        None,
        "there is no ticket before the consent"
    );
    let sealed_request = attribute(&html, "name=\"go\" value").unwrap_or_else(|| panic!("{html}"));
    let home = origin(tab.visited.last().unwrap());
    let headers = [
        ("Accept", "text/html"),
        ("Origin", home.as_str()),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let url = format!("{home}/.menshen/start");
    let body = format!("go={sealed_request}");
    tab.send("POST", &url, &headers, body.as_bytes()).await
}

fn attribute(html: &str, name: &str) -> Option<String> {
    let (_, rest) = html.split_once(&format!("{name}=\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// The ticket that the tab's page gives to its opener.
fn ticket_in(page: &Answer) -> Option<String> {
    attribute(&page.text(), "data-ticket")
}

/// Signs in in a tab for a frame, and returns the ticket.
async fn ticket_for(menshen: &Menshen, frame: &mut Frame) -> String {
    let mut tab = Browser::new(menshen).over_https();
    let consent_page = sign_in(&mut tab, &frame.start_url().await).await;
    let page = consent(&mut tab, &consent_page).await;
    ticket_in(&page).unwrap_or_else(|| panic!("no ticket: {}", page.text()))
}
