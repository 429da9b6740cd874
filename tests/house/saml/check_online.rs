//! `menshen check --online` with a SAML identity provider.

use std::process::Output;

use super::idp::Idp;
use super::{ACS, ENTITY_ID, LOGOUT, keys, setup_with};
use crate::command::{run_menshen, text};
use crate::setup::Menshen;
use crate::upstream::TempFolder;

async fn check(idp: &Idp, tables: &str) -> Output {
    let menshen = Menshen::new().await;
    let folder = TempFolder::new();
    let document = setup_with(idp, tables).text(&menshen.wecom, &menshen.app);
    let path = folder
        .write("menshen.toml", &document)
        .display()
        .to_string();
    tokio::task::spawn_blocking(move || run_menshen(&["check", "--online", "-c", &path]))
        .await
        .unwrap()
}

#[tokio::test]
async fn check_online_reads_the_metadata_and_prints_what_must_be_entered() {
    let idp = Idp::start().await;
    let output = check(&idp, &idp.connector_toml("")).await;
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout} {output:?}");
    for words in [ACS, ENTITY_ID, LOGOUT, super::response::IDP] {
        assert!(stdout.contains(words), "{words}: {stdout}");
    }
    assert!(!stdout.contains("!!"), "{stdout}");
    let output = check(&idp, &idp.connector_toml_without_key("")).await;
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout} {output:?}");
    assert!(stdout.contains(ACS) && !stdout.contains(LOGOUT), "{stdout}");
}

#[tokio::test]
async fn check_online_says_what_is_wrong_with_the_metadata() {
    let idp = Idp::start().await;
    type Change = fn(&Idp);
    let changes: [(Change, &str); 5] = [
        (
            |idp| idp.state().metadata_answer = Some((404, String::new())),
            "404",
        ),
        (
            |idp| idp.state().metadata_answer = Some((200, "<html/>".to_owned())),
            "metadata",
        ),
        (
            |idp| {
                let past = super::response::shifted(idp.clock.now(), -100_000_000);
                idp.state().metadata.valid_until = Some(past);
            },
            "validUntil",
        ),
        (
            |idp| idp.state().metadata.others = vec![super::metadata_document::other_entity("x:y")],
            "idp_entity_id",
        ),
        (|idp| idp.state().metadata.keys.clear(), "key"),
    ];
    for (change, words) in changes {
        change(&idp);
        let output = check(&idp, &idp.connector_toml("")).await;
        let stdout = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{words}: {stdout}");
        let line = stdout.lines().find(|line| line.contains("!!"));
        assert!(
            line.is_some_and(|line| line.contains(words)),
            "{words}: {stdout}"
        );
        let mut state = idp.state();
        state.metadata_answer = None;
        state.metadata.valid_until = None;
        state.metadata.others.clear();
        state.metadata.keys = vec![keys::first()];
    }
    idp.state().down = true;
    let output = check(&idp, &idp.connector_toml("")).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stdout).contains("!!"), "{output:?}");
}
