//! `menshen check` with a DingTalk connector.

use std::process::Output;

use super::setup;
use crate::command::{run_menshen, text};
use crate::dingtalk_source::{APP_SECRET, DingTalk};
use crate::setup::Menshen;
use crate::upstream::TempFolder;

async fn check(dingtalk: &DingTalk, lines: &str, edit: impl Fn(String) -> String) -> Output {
    let menshen = Menshen::new().await;
    let whole = setup(dingtalk, lines).text(&menshen.wecom, &menshen.app);
    let folder = TempFolder::new();
    let path = folder.write("menshen.toml", &edit(whole));
    let path = path.display().to_string();
    tokio::task::spawn_blocking(move || run_menshen(&["check", "--online", "-c", &path]))
        .await
        .unwrap()
}

#[tokio::test]
async fn check_online_names_what_must_be_entered_in_the_console() {
    let dingtalk = DingTalk::start().await.unwrap();
    let lines = "sso_secret = \"s\"\norigins = [\"https://oa.dingtalk.com\"]\n\
                 [connector.ding.dingtalk.events]\ntoken = \"t\"\n\
                 encoding_aes_key = \"kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR\"\n";
    let output = check(&dingtalk, lines, |text| text).await;
    let stdout = text(&output.stdout);
    for words in [
        "enter http://sso.test/.menshen/callback/ding at the application",
        "http://sso.test/.menshen/start?connector=ding",
        "http://sso.test/.menshen/events/ding",
        "http://sso.test/.menshen/enter/ding",
        "ok DingTalk accepts app_key and app_secret",
        "ok the application sees 3 departments",
        "ok the application may read members",
    ] {
        assert!(stdout.contains(words), "{words}: {stdout}");
    }
    assert!(!stdout.contains(APP_SECRET));
}

#[tokio::test]
async fn check_online_names_a_wrong_secret_and_a_missing_permission() {
    let dingtalk = DingTalk::start().await.unwrap();
    let output = check(&dingtalk, "", |text| {
        text.replace(APP_SECRET, "not-the-secret")
    })
    .await;
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(stdout.contains("!! app_key and app_secret"), "{stdout}");
    assert!(!stdout.contains("not-the-secret"), "{stdout}");
    dingtalk.deny_permission("qyapi_get_department_member");
    let output = check(&dingtalk, "", |text| text).await;
    let stdout = text(&output.stdout);
    assert!(stdout.contains("通讯录部门成员读权限"), "{stdout}");
}
