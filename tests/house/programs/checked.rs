//! `menshen check --online` asks the issuers what they are needed for.

use std::process::{Command, Output};

use serde_json::Value;

use super::Desk;
use super::explainer::{Explainer, SECRET};
use crate::provider::{EndpointFault, Misbehavior};
use crate::upstream::Folder;

async fn check(text: String) -> (Output, String) {
    let folder = Folder::new();
    let path = folder.write("menshen.toml", &text);
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_menshen"));
        command
            .env_remove("MENSHEN_LOG")
            .args(["check", "--online", "-c"])
            .arg(path)
            .output()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, said)
}

#[tokio::test]
async fn an_issuer_that_can_be_asked_is_fine_and_one_that_cannot_is_named() {
    let desk = Desk::open().await;
    let explainer = Explainer::start().await;
    let config = desk
        .menshen
        .setup
        .text(&desk.menshen.source, &desk.menshen.app);
    let config = format!("{config}\n{}", explainer.toml("opaque", "/basic", ""));
    let (output, said) = check(config.clone()).await;
    assert_eq!(output.status.code(), Some(0), "{said} {output:?}");
    for line in [
        "issuer ci:\n  ok its keys are known: 1",
        "issuer opaque:\n  ok it explains tokens to us",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // A wrong secret, and an issuer that is none.
    desk.ci
        .misbehave(Misbehavior::At("discovery", EndpointFault::Html));
    let secret = Value::from(SECRET).to_string();
    let (output, said) = check(config.replace(&secret, "\"hunter2\"")).await;
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("issuer ci:\n  !! ask the issuer"), "{said}");
    assert!(
        said.contains("issuer opaque:\n  !! the introspection of a token"),
        "{said}"
    );
    assert!(
        said.contains("HTTP status 401") && !said.contains("hunter2"),
        "{said}"
    );
}
