//! `menshen check --online` checks the issuers of bearer tokens.

use std::process::{Command, Output};

use serde_json::Value;

use super::TwoIssuers;
use super::introspection_issuer::{IntrospectionIssuer, SECRET};
use crate::provider::{EndpointFault, Misbehavior};
use crate::upstream::TempFolder;

async fn check(text: String) -> (Output, String) {
    let folder = TempFolder::new();
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
async fn check_online_reports_each_issuer() {
    let env = TwoIssuers::open().await;
    let introspection_issuer = IntrospectionIssuer::start().await;
    let config = env.menshen.setup.text(&env.menshen.wecom, &env.menshen.app);
    let config = format!(
        "{config}\n{}",
        introspection_issuer.toml("opaque", "/basic", "")
    );
    let (output, said) = check(config.clone()).await;
    assert_eq!(output.status.code(), Some(0), "{said} {output:?}");
    for line in [
        "issuer ci:\n  ok its keys are loaded: 1",
        "issuer opaque:\n  ok its introspection endpoint answers",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // A wrong client secret, and a server that is not an issuer.
    env.ci
        .misbehave(Misbehavior::Fault("discovery", EndpointFault::Html));
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
