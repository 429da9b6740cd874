//! Flask and JupyterLab.

use super::super::processes::Program;
use super::recipe::Recipe;
use super::stage::{OWN, Promises, Stage};
use super::{NOT_BY_GUNICORN, in_the_environment};

#[tokio::test(flavor = "multi_thread")]
async fn flask_knows_the_person_of_menshen_and_nobody_else() {
    let recipe = Recipe::of_framework("Flask");
    let stage = Stage::start(&recipe, |dir, port| {
        dir.write("application.py", &recipe.block("python"));
        let line = recipe.block("sh").replace(":8000", &format!(":{port}"));
        let mut command = in_the_environment(&(line + NOT_BY_GUNICORN), dir.path());
        vec![Program::start("flask", &mut command)]
    })
    .await;
    stage.believes_no_stranger(&OWN).await;
    let mut visitor = stage.visitor();
    stage.knows_each_person(&mut visitor, &OWN).await;
    let page = visitor.visit(&stage.at("/?x=1")).await;
    assert!(page.body.contains("\\u674e\\u56db"), "{}", page.body);
    let last = visitor.open(&stage.at("/sign-out")).await;
    stage.is_signed_out(&mut visitor, &last, "/").await;
}

const JUPYTER: Promises = Promises {
    whoami: "/api/me",
    login_at: "/identity/username",
    address_at: None,
    for_nobody: 403,
};

#[tokio::test(flavor = "multi_thread")]
async fn jupyterlab_knows_the_person_of_menshen_and_nobody_else() {
    let recipe = Recipe::of_product("JupyterLab");
    let stage = Stage::start(&recipe, |dir, port| {
        let config = recipe.block("python");
        let config = config.replace("port = 8888", &format!("port = {port}"));
        dir.write("jupyter_server_config.py", &config);
        // As root, and without another port if this one is taken.
        let more = " --allow-root --ServerApp.port_retries=0";
        let mut command = in_the_environment(&(recipe.block("sh") + more), dir.path());
        vec![Program::start("jupyter", &mut command)]
    })
    .await;
    stage.believes_no_stranger(&JUPYTER).await;
    let mut visitor = stage.visitor();
    stage.knows_each_person(&mut visitor, &JUPYTER).await;
    // From the address of JupyterLab to its editor, at menshen's host.
    let page = visitor.open(&stage.at("/")).await;
    assert_eq!((page.status, page.url.path()), (200, "/lab"));
    assert!(page.url.as_str().starts_with(&stage.origin), "{}", page.url);
    // `Host` is the browser's, so Jupyter can compare it with `Origin`.
    let socket = "/api/events/subscribe";
    for (origin, status) in [(&*stage.origin, 101), ("https://evil.example", 403)] {
        assert_eq!(stage.websocket(&visitor, socket, origin).await, status);
    }
    let last = visitor.open(&stage.at("/logout")).await;
    stage.is_signed_out(&mut visitor, &last, "/api/me").await;
}
