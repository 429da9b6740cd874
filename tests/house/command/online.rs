//! `menshen check --online`: calls to the source that test the configuration, and the values to register there.

use std::process::Output;

use super::{run_menshen, text};
use crate::setup::{Menshen, Setup};
use crate::upstream::TempFolder;

/// Runs the check with the simulated WeCom, on a configuration that `edit` changes.
async fn check(menshen: &Menshen, setup: &Setup, edit: impl Fn(String) -> String) -> Output {
    let folder = TempFolder::new();
    let config = edit(setup.text(&menshen.wecom, &menshen.app));
    let path = folder.write("menshen.toml", &config);
    let path = path.display().to_string();
    tokio::task::spawn_blocking(move || run_menshen(&["check", "--online", "-c", &path]))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_source_that_accepts_the_configuration_passes_and_the_callback_is_printed() {
    let menshen = Menshen::new().await;
    let output = check(&menshen, &Setup::default(), |text| text).await;
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed} {output:?}");
    assert!(
        printed.contains("http://sso.test/.menshen/callback/corp"),
        "{printed}"
    );
    for part in [
        "sso.test",
        "可信域名",
        "授权回调域",
        "WeCom accepts corp_id and secret",
        "is enabled",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert!(!printed.contains("!!"), "{printed}");
    assert!(printed.ends_with("menshen.toml: fine\n"), "{printed}");
    // No person is looked up.
    assert_eq!(menshen.wecom.calls("/cgi-bin/auth/getuserinfo"), 0);
}

#[tokio::test]
async fn a_wrong_secret_is_exit_code_1_with_the_remedy() {
    let menshen = Menshen::new().await;
    let output = check(&menshen, &Setup::default(), |text| {
        text.replace(crate::wecom::SECRET, "not-the-secret-of-this-application")
    })
    .await;
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("!!") && printed.contains("Secret"),
        "{printed}"
    );
    assert!(!printed.contains("fine"), "{printed}");
    let all = format!("{printed}{}", text(&output.stderr));
    assert!(!all.contains("not-the-secret"), "{all}");
}

#[tokio::test]
async fn an_ip_address_that_wecom_does_not_trust_is_printed_with_the_remedy() {
    let menshen = Menshen::new().await;
    menshen.wecom.set_allowed_ips(Some(Vec::new()));
    let output = check(&menshen, &Setup::default(), |text| text).await;
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("127.0.0.1") && printed.contains("可信IP"),
        "{printed}"
    );
}

#[tokio::test]
async fn a_wrong_domain_at_the_source_is_named_with_the_right_one() {
    let menshen = Menshen::new().await;
    menshen
        .wecom
        .set_agent_domains(crate::wecom::AGENT_ID, &["old.test"]);
    let output = check(&menshen, &Setup::default(), |text| text).await;
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("old.test") && printed.contains("enter sso.test"),
        "{printed}"
    );
}

#[tokio::test]
async fn an_unreachable_source_is_reported() {
    let menshen = Menshen::new().await;
    let unused_address = crate::upstream::bind_listener().await.local_addr().unwrap();
    let api = menshen.wecom.base_url();
    let output = check(&menshen, &Setup::default(), |text| {
        text.replace(
            &format!("api_base = \"{api}\""),
            &format!("api_base = \"http://{unused_address}\""),
        )
    })
    .await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("!!"), "{output:?}");
}

#[tokio::test]
async fn without_online_no_source_is_called() {
    let menshen = Menshen::new().await;
    menshen.wecom.set_allowed_ips(Some(Vec::new()));
    let folder = TempFolder::new();
    let path = folder.write(
        "menshen.toml",
        &Setup::default().text(&menshen.wecom, &menshen.app),
    );
    let path = path.display().to_string();
    let output = tokio::task::spawn_blocking(move || run_menshen(&["check", "-c", &path]));
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(menshen.wecom.calls("/cgi-bin/gettoken"), 0);
}
