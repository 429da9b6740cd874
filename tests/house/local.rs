//! The connector `local`: people whom a file lists, with the hashes of their passwords, or whom the store keeps.

mod changes;
mod passwd;
mod passwords;
mod stored;

use std::path::PathBuf;

use crate::browser::Browser;
use crate::connector_features::flow_id_in;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, ROUTES, SSO_URL, Setup};
use crate::upstream::TempFolder;
use crate::wire::Answer;

/// Hashes that other programs computed, and their passwords.
const ZHANGSAN: (&str, &str) = (
    "$argon2id$v=19$m=16,t=1,p=1$c2FsdHNhbHRzYWx0MDAwMQ$SIvjSCzzIqRmWInu9Drbbw",
    "correct horse 密码",
);
const ZHAOLIU: (&str, &str) = (
    "$argon2id$v=19$m=16,t=1,p=1$c2FsdHNhbHRzYWx0MDAwMg$AcYCGsL2P2cDRAScfFnvKg",
    "another password",
);
const LISI: (&str, &str) = (
    "$argon2id$v=19$m=16,t=1,p=1$c2FsdHNhbHRzYWx0MDAwMw$GtJwxyrvzx6Hu1QwBKfpVA",
    "lisi's password",
);
const WANGWU: (&str, &str) = (
    "$2y$05$abcdefghijklmnopqrstuuiL3WB9BMICkzkDzCbKS.08r/3QJHg4.",
    "正确的密码",
);
/// It takes most of a second to verify.
const SLOW: (&str, &str) = (
    "$2b$13$abcdefghijklmnopqrstuu4ixViudz45PvkD7U/NSTkdUc24FQIZW",
    "slow password 慢",
);

/// A table of the file of people.
fn person(login: &str, (hash, _): (&str, &str), more: &str) -> String {
    format!("[\"{login}\"]\npassword = \"{hash}\"\n{more}\n")
}

/// The people of most tests.
fn people() -> String {
    let fields = "name = \"张三\"\nemail = \"zhangsan@corp.example\"\nmobile = \"13800000000\"\n\
                  groups = [\"it\", \"ops\"]\ndepartments = \"财务部\"\nbadge = 7";
    [
        person("ZhangSan", ZHANGSAN, fields),
        person("lisi", LISI, ""),
        person("wang.wu", WANGWU, ""),
        person("zhaoliu", ZHAOLIU, "disabled = true"),
    ]
    .concat()
}

/// A file of people, and the configuration that names it.
struct PeopleFolder(TempFolder);

impl PeopleFolder {
    fn new(people: &str) -> Self {
        let folder = Self(TempFolder::new());
        folder.write(people);
        folder
    }

    fn write(&self, people: &str) {
        self.0.write("people.toml", people);
    }

    fn path(&self) -> PathBuf {
        self.0.path("people.toml")
    }

    /// A setup with the connector `house`; `more` is added to its settings.
    fn setup(&self, more: &str) -> Setup {
        let people = self.path();
        let people = people.display();
        let routes = format!(
            "{ROUTES}
[[route]]
name = \"badge\"
host = \"sso.test\"
path = \"/badge\"
upstream = [\"{{app}}\"]
allow = \"user.attributes.badge == 7\"

[[route]]
name = \"fresh\"
host = \"sso.test\"
path = \"/fresh\"
upstream = [\"{{app}}\"]
max_age = \"10m\"

[[route]]
name = \"git\"
host = \"sso.test\"
path = \"/git\"
upstream = [\"{{app}}\"]
access_tokens = true
"
        );
        Setup::default().routes(&routes).tables(&format!(
            "{NO_LOGIN_LIMITS}[connector.house]\ndisplay_name = \"本地账号\"\n{more}\n\
             [connector.house.local]\npeople = \"{people}\"\n"
        ))
    }
}

/// Starts menshen with the people of most tests.
async fn start_menshen() -> (Menshen, PeopleFolder) {
    let folder = PeopleFolder::new(&people());
    (folder.setup("").start().await, folder)
}

/// Opens the form with the return address `/echo` and submits it.
async fn sign_in(browser: &mut Browser, login: &str, password: &str) -> Answer {
    sign_in_with("house", browser, login, password).await
}

async fn sign_in_with(
    connector: &str,
    browser: &mut Browser,
    login: &str,
    password: &str,
) -> Answer {
    let start = format!("{OWN_PAGES}/start?connector={connector}&rd=%2Fecho");
    let page = browser.follow(&start).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let flow = flow_id_in(&page.answer.text());
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("flow", &*flow),
        ("rd", "/echo"),
        ("login", login),
        ("password", password),
    ]);
    let headers = [
        ("Accept", "text/html"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", SSO_URL),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let url = format!("{OWN_PAGES}/password/{connector}");
    let form = form.finish();
    browser.send("POST", &url, &headers, form.as_bytes()).await
}

/// Signs somebody in who must be let in.
async fn signed_in(mut browser: Browser, login: &str, password: &str) -> Browser {
    let answer = sign_in(&mut browser, login, password).await;
    assert_eq!(answer.status, 303, "{login}: {}", answer.text());
    assert_eq!(status_at(&mut browser, "/echo").await, 200, "{login}");
    browser
}

#[tokio::test]
async fn the_page_after_a_sign_out_names_no_other_place_to_sign_out() {
    let (menshen, _folder) = start_menshen().await;
    let sign_out = format!("{OWN_PAGES}/sign_out");
    let mut browser = signed_in(Browser::new(&menshen), "lisi", LISI.1).await;
    let page = browser.visit(&sign_out).await.text();
    assert!(page.contains("您已退出登录"), "{page}");
    assert!(
        !page.contains("本地账号") && !page.contains("仍处于登录状态"),
        "{page}"
    );
    // WeCom keeps its own session.
    let mut browser = Browser::new(&menshen);
    let start = format!("{OWN_PAGES}/start?connector=corp&rd=/echo");
    browser.sign_in(&start, "zhangsan").await;
    let page = browser.visit(&sign_out).await.text();
    assert!(page.contains("仍处于登录状态"), "{page}");
}

async fn status_at(browser: &mut Browser, path: &str) -> u16 {
    browser.visit(&format!("{SSO_URL}{path}")).await.status
}
