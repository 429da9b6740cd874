//! Local accounts: Chromium signs in with a password that Apache's `htpasswd` hashed.

use std::process::Command;

use menshen::clock::Clock;

use super::legacy_app::LegacyApp;
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

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_with_a_password_that_htpasswd_hashed() {
    let any_port = ([127, 0, 0, 1], 0).into();
    let app = LegacyApp::start(any_port, "应用").await.unwrap();
    let hash = hash_by_htpasswd();
    let menshen = Menshen::built(Clock::system(), |url, dir| {
        let dir = dir.path();
        let people = format!("[ZhangSan]\npassword = '{hash}'\n");
        std::fs::write(dir.join("people.toml"), people).unwrap();
        format!(
            "[server]\nlisten = ['{}']\nexternal_url = '{url}'\n[store]\n\
             url = 'sqlite://{dir}/menshen.db'\n[connector.house]\nauto_login = 'always'\n\
             [connector.house.local]\npeople = '{dir}/people.toml'\n[[route]]\nname = 'app'\n\
             upstream = ['{}']\n",
            url.trim_start_matches("http://"),
            app.base_url(),
            dir = dir.display(),
        )
    })
    .await;
    let browser = Browser::start(&BrowserOptions::default()).await;
    let echo = format!("{}/echo", menshen.url);
    browser.open(&echo).await;
    browser.fill("input[name=login]", "zhangsan").await;
    browser.fill("input[name=password]", "wrong").await;
    browser.click("button[type=submit]").await;
    browser.reads("用户名或密码不正确").await;
    // The user name is still there.
    browser.fill("input[name=password]", PASSWORD).await;
    browser.click("button[type=submit]").await;
    browser
        .until("the application", async || browser.url().await == echo)
        .await;
    browser.reads("ZhangSan").await;
}
