//! Spring Boot.

use std::process::Command;
use std::time::Duration;

use super::super::processes::{Program, TempDir};
use super::installed;
use super::recipe::Recipe;
use super::stage::{OWN, Promises, Stage};

/// The time limit of the compiler on a busy machine.
const COMPILED_WITHIN: Duration = Duration::from_secs(300);

/// Spring Security answers requests without a person.
const SPRING: Promises = Promises {
    for_nobody: 403,
    ..OWN
};

fn jars() -> String {
    format!("{}/*", installed("spring").display())
}

/// Compiles the program of the recipe into this directory.
fn compile(recipe: &Recipe, dir: &TempDir) {
    let source = dir.write("Application.java", &recipe.block("java"));
    dir.write("application.properties", &recipe.block("properties"));
    let mut command = Command::new("javac");
    command
        .args(["-proc:none", "-cp", &jars(), "-d"])
        .arg(dir.path())
        .arg(source);
    let mut compiling = Program::start("javac", &mut command);
    let said = compiling.line_within(COMPILED_WITHIN, |line| Some(line.to_owned()));
    assert_eq!(said, None, "javac complains");
}

#[tokio::test(flavor = "multi_thread")]
async fn spring_knows_the_person_of_menshen_and_nobody_else() {
    let recipe = Recipe::of_framework("Spring Boot");
    let stage = Stage::start(&recipe, |dir, port| {
        compile(&recipe, dir);
        let mut command = Command::new("java");
        command
            .args(["-XX:TieredStopAtLevel=1", "-cp"])
            .arg(format!("{}:{}", dir.path().display(), jars()))
            .arg("com.example.Application")
            .arg(format!("--server.port={port}"))
            .current_dir(dir.path());
        vec![Program::start("spring", &mut command)]
    })
    .await;
    stage.believes_no_stranger(&SPRING).await;
    let mut visitor = stage.visitor();
    stage.knows_each_person(&mut visitor, &SPRING).await;
    let last = visitor.open(&stage.at("/sign-out")).await;
    stage.is_signed_out(&mut visitor, &last, "/").await;
}
