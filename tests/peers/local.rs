//! Local accounts: Chromium signs in with a password that Apache's `htpasswd` hashed.

use std::process::Command;

use menshen::clock::Clock;
use menshen::people::local_people::LocalPersonChange;
use menshen::secret::Secret;

use super::legacy_app::LegacyApp;
use super::password_form::{Visit, walk_on_every_screen, walk_with_the_keyboard};
use super::setup::Menshen;
use super::webdriver::{Browser, BrowserOptions};

const PASSWORD: &str = "正确的 密码 <'\"&>";

/// The hash of bcrypt that `htpasswd` prints.
fn hash_by_htpasswd() -> String {
    let output = Command::new("htpasswd")
        .args(["-n", "-b", "-B", "-C", "5", "zhangsan", PASSWORD])
        .output()
        .unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    line.trim().strip_prefix("zhangsan:").unwrap().to_owned()
}

/// Starts menshen with ZhangSan and an application.
async fn start() -> (Menshen, LegacyApp) {
    let any_port = ([127, 0, 0, 1], 0).into();
    let app = LegacyApp::start(any_port, "应用").await.unwrap();
    let hash = hash_by_htpasswd();
    let menshen = Menshen::built(Clock::system(), |url, dir| {
        let dir = dir.path();
        let people = format!("[ZhangSan]\npassword = '{hash}'\n");
        std::fs::write(dir.join("people.toml"), people).unwrap();
        format!(
            "[server]\nlisten = ['{}']\nexternal_url = '{url}'\n[store]\n\
             url = 'sqlite://{dir}/menshen.db'\n[connector.house.local]\n\
             people = '{dir}/people.toml'\n[[route]]\nname = 'app'\nupstream = ['{}']\n",
            url.trim_start_matches("http://"),
            app.base_url(),
            dir = dir.display(),
        )
    })
    .await;
    (menshen, app)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_with_a_password_that_htpasswd_hashed() {
    let (menshen, _app) = start().await;
    let echo = format!("{}/echo", menshen.url);
    let visit = Visit {
        url: &echo,
        login: "ZhangSan",
        password: PASSWORD,
    };
    walk_on_every_screen("local", visit).await;
    walk_with_the_keyboard(visit).await;
}

const NEW_PASSWORD: &str = "新的 密码 <'\"&>";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_of_the_store_chooses_another_password_at_the_first_login() {
    let any_port = ([127, 0, 0, 1], 0).into();
    let app = LegacyApp::start(any_port, "应用").await.unwrap();
    let menshen = Menshen::built(Clock::system(), |url, dir| {
        format!(
            "[server]\nlisten = ['{}']\nexternal_url = '{url}'\n[store]\n\
             url = 'sqlite://{dir}/menshen.db'\n[connector.house]\nauto_login = 'always'\n\
             [connector.house.local]\n[[route]]\nname = 'app'\nupstream = ['{}']\n",
            url.trim_start_matches("http://"),
            app.base_url(),
            dir = dir.path().display(),
        )
    })
    .await;
    let change = LocalPersonChange {
        password_hash: Some(Secret::new(hash_by_htpasswd())),
        must_change: Some(true),
        ..LocalPersonChange::default()
    };
    let people = menshen.local_people("house");
    let login = "ZhangSan".parse().unwrap();
    people.create(login, &change).await.unwrap();
    let browser = Browser::start(&BrowserOptions::default()).await;
    let echo = format!("{}/echo", menshen.url);
    browser.open(&echo).await;
    browser.fill("input[name=login]", "zhangsan").await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("button[type=submit]").await;
    browser.reads("管理员要求您设置新密码").await;
    browser.fill("input[name=password]", PASSWORD).await;
    for field in ["new_password", "new_password_again"] {
        let field = format!("input[name={field}]");
        browser.fill(&field, NEW_PASSWORD).await;
    }
    browser.click("button[type=submit]").await;
    browser
        .until("the application", async || browser.url().await == echo)
        .await;
    browser.reads("ZhangSan").await;
    // Once more, by choice.
    let page = format!("{}/.menshen/password/house/change?rd=/echo", menshen.url);
    browser.open(&page).await;
    browser.fill("input[name=password]", "wrong").await;
    for field in ["new_password", "new_password_again"] {
        browser
            .fill(&format!("input[name={field}]"), PASSWORD)
            .await;
    }
    browser.click("button[type=submit]").await;
    browser.reads("当前密码不正确").await;
    browser.fill("input[name=password]", NEW_PASSWORD).await;
    for field in ["new_password", "new_password_again"] {
        browser
            .fill(&format!("input[name={field}]"), PASSWORD)
            .await;
    }
    browser.click("button[type=submit]").await;
    browser
        .until("the application", async || browser.url().await == echo)
        .await;
}
