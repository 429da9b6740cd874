//! Django, in a small project.

use super::super::processes::Program;
use super::super::visitor::Visitor;
use super::recipe::Recipe;
use super::stage::{OWN, Promises, Stage};
use super::{NOT_BY_GUNICORN, in_the_environment};

/// A project before the recipe is applied to it.
const SETTINGS: &str = include_str!("django_settings.py");
const VIEWS: &str = include_str!("django_views.py");

/// It sends whoever is not signed in to the sign-in page of menshen.
const DJANGO: Promises = Promises {
    for_nobody: 302,
    ..OWN
};

#[tokio::test(flavor = "multi_thread")]
async fn django_knows_the_person_of_menshen_and_nobody_else() {
    let recipe = Recipe::of_framework("Django");
    let stage = Stage::start(&recipe, |dir, port| {
        let [login, settings] = <[String; 2]>::try_from(recipe.blocks("python")).unwrap();
        dir.write("menshen_login.py", &login);
        dir.write("settings.py", &format!("{SETTINGS}\n{settings}"));
        dir.write("views.py", VIEWS);
        let line = format!("gunicorn --bind 127.0.0.1:{port} views:application");
        let mut command = in_the_environment(&(line + NOT_BY_GUNICORN), dir.path());
        vec![Program::start("django", &mut command)]
    })
    .await;
    stage.believes_no_stranger(&DJANGO).await;
    let mut visitor = stage.visitor();
    stage.knows_each_person(&mut visitor, &DJANGO).await;
    let page = visitor.visit(&stage.at("/?x=1")).await;
    assert!(page.body.contains("\\u674e\\u56db"), "{}", page.body);
    posts_a_form(&stage, &mut visitor).await;
    // Django completes the address with a slash.
    let page = visitor.visit(&stage.at("/form")).await;
    assert_eq!(page.leads_to().unwrap().as_str(), stage.at("/form/"));
    let form = visitor.open(&stage.at("/sign-out-form/")).await;
    let last = visitor.submit(&form, &[]).await;
    stage.is_signed_out(&mut visitor, &last, "/").await;
}

/// Django accepts a form of its own page, because it knows scheme and host of the browser.
async fn posts_a_form(stage: &Stage, visitor: &mut Visitor) {
    let form = visitor.open(&stage.at("/form/")).await;
    assert_eq!(form.status, 200, "{}", form.body);
    let page = visitor.submit(&form, &[("text", "门神")]).await;
    assert_eq!(
        (page.status, page.body.as_str()),
        (200, "lisi: 门神"),
        "{}",
        page.url
    );
}
