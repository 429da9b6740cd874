//! `menshen check --online` with an OAuth 2 provider.

use std::process::Output;

use super::provider::{Provider, SECRET};
use crate::command::{run_menshen, text};
use crate::setup::{Menshen, Setup};
use crate::upstream::TempFolder;

/// Checks an instance of menshen whose connector `gh` leads to the provider.
async fn check(provider: &Provider, edit: impl Fn(String) -> String) -> Output {
    let menshen = Menshen::new().await;
    let setup = Setup::default().tables(&provider.connector_toml("gh", "", ""));
    let folder = TempFolder::new();
    let path = folder.write(
        "menshen.toml",
        &edit(setup.text(&menshen.wecom, &menshen.app)),
    );
    let path = path.display().to_string();
    tokio::task::spawn_blocking(move || run_menshen(&["check", "--online", "-c", &path]))
        .await
        .unwrap()
}

#[tokio::test]
async fn check_online_accepts_a_working_provider_and_prints_the_redirect_uri() {
    let provider = Provider::start().await;
    let output = check(&provider, |text| text).await;
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout} {output:?}");
    for words in [
        "register http://sso.test/.menshen/callback/gh",
        "ok authorize_url answers",
        "ok token_url accepts client_id",
        "ok profile_url answers",
    ] {
        assert!(stdout.contains(words), "{words}: {stdout}");
    }
    assert!(!stdout.contains("!!"), "{stdout}");
}

#[tokio::test]
async fn check_online_fails_for_a_wrong_secret_with_a_remedy() {
    let provider = Provider::start().await;
    let output = check(&provider, |text| {
        text.replace(SECRET, "not-the-secret-at-all")
    })
    .await;
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(
        stdout.contains("!! token_url") && stdout.contains("`client_secret`"),
        "{stdout}"
    );
    assert!(!format!("{stdout}{}", text(&output.stderr)).contains("not-the-secret"));
}

#[tokio::test]
async fn check_online_names_missing_endpoints() {
    let provider = Provider::start().await;
    let closed_port = crate::upstream::bind_listener().await.local_addr().unwrap();
    let url = provider.url().to_owned();
    for (from, to, words) in [
        ("/authorize\"", "/nothing\"", "!! authorize_url"),
        ("/api/me\"", "/nothing\"", "!! profile_url"),
        ("/token\"", "/nothing\"", "!! token_url"),
    ] {
        let output = check(&provider, |text| text.replace(from, to)).await;
        let stdout = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{stdout}");
        assert!(stdout.contains(words), "{words}: {stdout}");
    }
    let output = check(&provider, |text| {
        text.replace(&url, &format!("http://{closed_port}"))
    })
    .await;
    let stdout = text(&output.stdout);
    assert_eq!(stdout.matches("!!").count(), 3, "{stdout}");
}
