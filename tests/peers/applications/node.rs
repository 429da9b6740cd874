//! Express and Node-RED.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::super::processes::{Program, counterparts};
use super::installed;
use super::recipe::Recipe;
use super::stage::{OWN, Promises, Stage};

/// Node with the installed packages, on this port.
pub(super) fn node(dir: &Path, port: u16) -> Command {
    let mut command = Command::new(counterparts().join("bin/node"));
    command
        .current_dir(dir)
        .env("HOME", dir)
        .env("NODE_PATH", installed("npm/node_modules"))
        .env("PORT", port.to_string());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn express_knows_the_person_of_menshen_and_nobody_else() {
    let recipe = Recipe::of_framework("Express");
    let stage = Stage::start(&recipe, |dir, port| {
        let application = dir.write("application.js", &recipe.block("javascript"));
        let mut command = node(dir.path(), port);
        vec![Program::start("express", command.arg(application))]
    })
    .await;
    stage.believes_no_stranger(&OWN).await;
    let mut visitor = stage.visitor();
    stage.knows_each_person(&mut visitor, &OWN).await;
    let page = visitor.visit(&stage.at("/?x=1")).await;
    assert!(page.body.contains("李四"), "{}", page.body);
    let last = visitor.open(&stage.at("/sign-out")).await;
    stage.is_signed_out(&mut visitor, &last, "/").await;
}

const NODE_RED: Promises = Promises {
    whoami: "/settings",
    login_at: "/user/username",
    address_at: None,
    for_nobody: 401,
};

#[tokio::test(flavor = "multi_thread")]
async fn node_red_knows_the_person_of_menshen_and_nobody_else() {
    let recipe = Recipe::of_product("Node-RED");
    let stage = Stage::start(&recipe, |dir, port| {
        let settings = dir.write("settings.js", &recipe.block("javascript"));
        let mut command = node(dir.path(), port);
        command
            .arg(installed("npm/node_modules/node-red/red.js"))
            .arg("--userDir")
            .arg(dir.path())
            .arg("--settings")
            .arg(settings);
        vec![Program::start("node-red", &mut command)]
    })
    .await;
    stage.believes_no_stranger(&NODE_RED).await;
    let mut visitor = stage.visitor();
    stage.knows_each_person(&mut visitor, &NODE_RED).await;
    let status = stage.websocket(&visitor, "/comms", &stage.origin).await;
    assert_eq!(status, 101);
    // As the menu of the editor does.
    let answer = visitor.post(&stage.at("/auth/revoke")).await;
    let answer: Value = serde_json::from_str(&answer.body).unwrap();
    let next = answer["redirect"].as_str().unwrap();
    let last = visitor.open(&stage.at(next)).await;
    stage.is_signed_out(&mut visitor, &last, "/settings").await;
}
