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
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, stdout)
}

#[tokio::test]
async fn check_online_reports_each_issuer() {
    let env = TwoIssuers::start().await;
    let introspection_issuer = IntrospectionIssuer::start().await;
    let config = env.menshen.setup.text(&env.menshen.wecom, &env.menshen.app);
    let config = format!(
        "{config}\n{}",
        introspection_issuer.toml("opaque", "/basic", "")
    );
    let (output, stdout) = check(config.clone()).await;
    assert_eq!(output.status.code(), Some(0), "{stdout} {output:?}");
    for line in [
        "issuer ci:\n  ok its keys are loaded: 1",
        "issuer opaque:\n  ok its introspection endpoint answers",
    ] {
        assert!(stdout.contains(line), "{line}: {stdout}");
    }
    // A wrong client secret, and a server that is not an issuer.
    env.ci
        .misbehave(Misbehavior::Fault("discovery", EndpointFault::Html));
    let secret = Value::from(SECRET).to_string();
    let (output, stdout) = check(config.replace(&secret, "\"hunter2\"")).await;
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    assert!(
        stdout.contains("issuer ci:\n  !! ask the issuer"),
        "{stdout}"
    );
    assert!(
        stdout.contains("issuer opaque:\n  !! the introspection of a token"),
        "{stdout}"
    );
    assert!(
        stdout.contains("HTTP status 401") && !stdout.contains("hunter2"),
        "{stdout}"
    );
}
