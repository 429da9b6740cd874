//! `menshen check --online`: what a source says of the configuration, and what to enter where.

use std::process::Output;

use super::{menshen, text};
use crate::house::{House, Plan};
use crate::upstream::Folder;

/// Runs the check over a plan; the simulated source answers meanwhile.
async fn check(house: &House, plan: &Plan, edit: impl Fn(String) -> String) -> Output {
    let folder = Folder::new();
    let config = edit(plan.text(&house.source, &house.app));
    let path = folder.write("menshen.toml", &config);
    let path = path.display().to_string();
    tokio::task::spawn_blocking(move || menshen(&["check", "--online", "-c", &path]))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_source_that_agrees_is_fine_and_what_to_enter_is_printed() {
    let house = House::new().await;
    let output = check(&house, &Plan::default(), |text| text).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said} {output:?}");
    assert!(
        said.contains("http://sso.test/.menshen/callback/corp"),
        "{said}"
    );
    for place in [
        "sso.test",
        "可信域名",
        "授权回调域",
        "buy a token",
        "is enabled",
    ] {
        assert!(said.contains(place), "{place}: {said}");
    }
    assert!(!said.contains("!!"), "{said}");
    assert!(said.ends_with("menshen.toml: fine\n"), "{said}");
    // Without a login nobody was asked anything about a person.
    assert_eq!(house.source.calls("/cgi-bin/auth/getuserinfo"), 0);
}

#[tokio::test]
async fn a_wrong_secret_is_exit_code_1_with_the_way_out() {
    let house = House::new().await;
    let output = check(&house, &Plan::default(), |text| {
        text.replace(crate::wecom::SECRET, "not-the-secret-of-this-application")
    })
    .await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("!!") && said.contains("Secret"), "{said}");
    assert!(!said.contains("fine"), "{said}");
    let all = format!("{said}{}", text(&output.stderr));
    assert!(!all.contains("not-the-secret"), "{all}");
}

#[tokio::test]
async fn an_address_that_is_not_trusted_is_printed_with_the_remedy() {
    let house = House::new().await;
    house.source.allow_ips(Some(Vec::new()));
    let output = check(&house, &Plan::default(), |text| text).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("127.0.0.1") && said.contains("可信IP"),
        "{said}"
    );
}

#[tokio::test]
async fn another_domain_at_the_source_is_named_with_ours() {
    let house = House::new().await;
    house
        .source
        .domains_of_agent(crate::wecom::AGENT_ID, &["old.test"]);
    let output = check(&house, &Plan::default(), |text| text).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("old.test") && said.contains("enter sso.test"),
        "{said}"
    );
}

#[tokio::test]
async fn a_source_that_cannot_be_reached_is_said_so() {
    let house = House::new().await;
    let gone = crate::upstream::listener().await.local_addr().unwrap();
    let api = house.source.base_url();
    let output = check(&house, &Plan::default(), |text| {
        text.replace(
            &format!("api_base = \"{api}\""),
            &format!("api_base = \"http://{gone}\""),
        )
    })
    .await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("!!"), "{output:?}");
}

#[tokio::test]
async fn without_online_nobody_is_asked() {
    let house = House::new().await;
    house.source.allow_ips(Some(Vec::new()));
    let folder = Folder::new();
    let path = folder.write(
        "menshen.toml",
        &Plan::default().text(&house.source, &house.app),
    );
    let path = path.display().to_string();
    let output = tokio::task::spawn_blocking(move || menshen(&["check", "-c", &path]));
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(house.source.calls("/cgi-bin/gettoken"), 0);
}
