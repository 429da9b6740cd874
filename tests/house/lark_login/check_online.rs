//! `menshen check --online` with Lark.

use std::process::Output;

use super::CALLBACK;
use crate::command::{run_menshen, text};
use crate::lark::{Lark, OTHER_TENANT_KEY, Permission, TENANT_KEY};
use crate::setup::{Menshen, Setup};
use crate::upstream::TempFolder;

async fn check(lark: &Lark, lines: &str, events: bool) -> Output {
    let menshen = Menshen::new().await;
    let mut tables = lark.connector_toml("fs", lines);
    if events {
        tables.push_str(&Lark::events_toml("fs"));
    }
    let document = Setup::default().tables(&tables);
    let document = document.text(&menshen.wecom, &menshen.app);
    let folder = TempFolder::new();
    let path = folder.write("menshen.toml", &document);
    let path = path.display().to_string();
    tokio::task::spawn_blocking(move || run_menshen(&["check", "--online", "-c", &path]))
        .await
        .unwrap()
}

#[tokio::test]
async fn check_online_accepts_working_settings_and_prints_what_to_enter() {
    let lark = Lark::start().await.unwrap();
    let output = check(&lark, "contacts = true", true).await;
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout} {output:?}");
    for words in [
        format!("enter {CALLBACK} at 安全设置").as_str(),
        "enter http://sso.test/.menshen/events/fs at 事件与回调",
        "contact.user.deleted_v3",
        "ok Lark accepts app_id and app_secret",
        "ok token_url accepts the application, and refuses an invalid code",
        format!("ok people of 示例公司 ({TENANT_KEY}) may sign in").as_str(),
        "ok the application sees the whole tenant, with 7 departments",
        "ok people come with their status",
    ] {
        assert!(stdout.contains(words), "{words}: {stdout}");
    }
    assert!(!stdout.contains("!!"), "{stdout}");
    // Settings that name the tenant need no permission for it.
    lark.set_permission(Permission::Tenant, false);
    let output = check(&lark, &format!("tenant_key = '{TENANT_KEY}'"), false).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[tokio::test]
async fn check_online_names_what_is_missing_in_the_console() {
    for (permission, lines, words) in [
        (Some(Permission::Tenant), "", "tenant:tenant:readonly"),
        (
            Some(Permission::Contacts),
            "contacts = true",
            "!! contacts: give the application the permission contact:contact.base:readonly",
        ),
        (
            Some(Permission::Status),
            "contacts = true",
            "contact:user.employee:readonly",
        ),
        (
            None,
            format!("tenant_key = '{OTHER_TENANT_KEY}'").as_str(),
            "but the application belongs to",
        ),
        (
            None,
            "app_secret = 'wrong'",
            "!! app_id and app_secret: copy the App ID",
        ),
        (None, "token_url = '{base}/nothing'", "!! token_url"),
    ] {
        let lark = Lark::start().await.unwrap();
        if let Some(permission) = permission {
            lark.set_permission(permission, false);
        }
        let lines = lines.replace("{base}", &lark.base_url());
        let output = match lines.contains("app_secret") {
            // The key stands in the table already.
            true => {
                lark.fail(super::APP_TOKEN, 10014, 1);
                check(&lark, "", false).await
            }
            false => check(&lark, &lines, false).await,
        };
        let stdout = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{lines}: {stdout}");
        assert!(stdout.contains(words), "{words}: {stdout}");
    }
    let lark = Lark::start().await.unwrap();
    lark.set_contact_range(Some((&[], &[])));
    let output = check(&lark, "contacts = true", false).await;
    assert!(
        text(&output.stdout).contains("!! the application sees nobody"),
        "{output:?}"
    );
    lark.set_contact_range(Some((&["od-rd"], &[])));
    let output = check(&lark, "contacts = true", false).await;
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("ok the application sees 3 departments"),
        "{stdout}"
    );
}
