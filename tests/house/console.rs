//! The web console: who may enter, what protects it, and what its pages show and change.

use std::net::SocketAddr;

use menshen::clock::Timestamp;
use menshen::secret::Secret;
use menshen::store::Administrator;

use crate::browser::Browser;
use crate::setup::{Menshen, Setup};
use crate::wire::Answer;

mod administrators;
mod audit;
mod chinese;
mod connector_form;
mod connectors;
mod entering;
mod hengshi_api;
mod languages;
mod mapping;
mod overview;
mod people;
mod protection;
mod refresh;
mod routes;
mod seeded;
mod sessions;
mod settings;
mod sync;
mod text;
mod throttling;

/// What browsers type for the console.
const CONSOLE_URL: &str = "http://console.test";

/// The password of every administrator in these tests, and its hash.
const PASSWORD: &str = "hunter2x";
const PASSWORD_HASH: &str = "$2b$04$abcdefghijklmnopqrstuu.bA.d73e/MYtOXkqQmEhtK96VmvRV4e";

/// Every page that GET shows.
const PAGES: [&str; 10] = [
    "/console/",
    "/console/sessions",
    "/console/people",
    "/console/routes",
    "/console/sync",
    "/console/audit",
    "/console/connectors",
    "/console/connectors/corp/mapping",
    "/console/connectors/_new",
    "/console/config",
];

/// A console for local administrators, for zhangsan, who may change things, and for lisi, who may look.
fn setup() -> Setup {
    with_console(
        "external_url = \"http://console.test\"\nallow = \"user.login == 'zhangsan'\"\n\
         view = \"user.login == 'lisi'\"\n",
    )
}

fn with_console(lines: &str) -> Setup {
    Setup::default().tables(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"correct-horse-battery-staple\"\n[console]\n{lines}"
    ))
}

/// Adds a local administrator with [`PASSWORD`].
async fn add_administrator(menshen: &Menshen, name: &str) {
    let administrator = Administrator {
        name: name.parse().unwrap(),
        password_hash: Secret::new(PASSWORD_HASH.to_owned()),
        credential: format!("credential of {name}"),
        created_at: Timestamp::from_unix_s(1),
        password_changed_at: Timestamp::from_unix_s(1),
    };
    let store = &menshen.running.live().services().store;
    assert!(store.add_administrator(&administrator).await.unwrap());
}

/// A browser at the console.
struct Visit {
    browser: Browser,
    url: String,
    /// The CSRF token of the last page that had one.
    csrf_token: String,
}

fn console_address(menshen: &Menshen) -> SocketAddr {
    let address = menshen.running.console_address();
    address.expect("the console has a listener")
}

impl Visit {
    fn new(menshen: &Menshen) -> Self {
        Self::of(Browser::at(console_address(menshen)))
    }

    fn of(browser: Browser) -> Self {
        Self {
            browser,
            url: CONSOLE_URL.to_owned(),
            csrf_token: String::new(),
        }
    }

    /// The visit of an administrator who has signed in.
    async fn of_administrator(menshen: &Menshen, name: &str) -> Self {
        add_administrator(menshen, name).await;
        let mut visit = Self::new(menshen);
        let answer = visit.sign_in(name, PASSWORD).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(visit.get("/console/").await.status, 200);
        visit
    }

    /// The visit of a person who has signed in at the source and came back with a ticket.
    async fn of_person(menshen: &Menshen, userid: &str) -> Self {
        let mut visit = Self::of(enter(menshen, userid).await);
        visit.get("/console/").await;
        visit
    }

    async fn get(&mut self, path: &str) -> Answer {
        let answer = self.browser.visit(&format!("{}{path}", self.url)).await;
        let html = answer.text();
        if let Some((_, rest)) = html.split_once("name=\"csrf\" value=\"") {
            self.csrf_token = rest.split('"').next().unwrap().to_owned();
        }
        answer
    }

    /// Sends a form with the CSRF token and the origin of the console.
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.csrf_token.clone();
        let fields: Vec<_> = [("csrf", token.as_str())]
            .into_iter()
            .chain(fields.iter().copied())
            .collect();
        let origin = self.url.clone();
        self.post_from(&[("Origin", &origin)], path, &fields).await
    }

    /// Sends a form with these headers and nothing else.
    async fn post_from(
        &mut self,
        headers: &[(&str, &str)],
        path: &str,
        fields: &[(&str, &str)],
    ) -> Answer {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let headers: Vec<_> = form.into_iter().chain(headers.iter().copied()).collect();
        let url = format!("{}{path}", self.url);
        let body = body.finish();
        self.browser
            .send("POST", &url, &headers, body.as_bytes())
            .await
    }

    async fn sign_in(&mut self, name: &str, password: &str) -> Answer {
        let origin = self.url.clone();
        let fields = [("name", name), ("password", password)];
        self.post_from(&[("Origin", &origin)], "/console/sign_in", &fields)
            .await
    }
}

/// Enters the console with a login at the source; returns the browser at the console.
async fn enter(menshen: &Menshen, userid: &str) -> Browser {
    let mut browser = Browser::at(console_address(menshen));
    let start = browser.visit(&format!("{CONSOLE_URL}/console/start")).await;
    let to_login_host = start.header("location").unwrap().to_owned();
    let mut browser = browser.moved_to(menshen.address());
    let login_page = browser.open_login_page(&to_login_host).await;
    let callback = browser.choose_person(&login_page, userid).await;
    let returned = browser
        .follow_until(&callback, |next| next.starts_with(CONSOLE_URL))
        .await;
    assert!(
        returned.url.contains("/console/ticket?t="),
        "{}",
        returned.url
    );
    let mut browser = browser.moved_to(console_address(menshen));
    let entered = browser.visit(&returned.url).await;
    assert_eq!(entered.header("location"), Some("/console/"));
    browser
}

/// The account of a person who has signed in before.
async fn account_of(menshen: &Menshen, login: &str) -> String {
    let directory = menshen.running.live().services().people.directory();
    let account = directory.account_by_login(&login.parse().unwrap()).await;
    account.unwrap().unwrap().id.to_string()
}

/// Signs somebody in to an application, in another browser.
async fn sign_in_elsewhere(menshen: &Menshen, userid: &str) -> Browser {
    let mut browser = Browser::new(menshen);
    let page = browser.sign_in("http://sso.test/echo", userid).await;
    assert_eq!(page.answer.status, 200);
    browser
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit("http://sso.test/echo").await.status == 200
}
