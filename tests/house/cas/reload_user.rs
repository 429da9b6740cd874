//! `reload_user`: the CAS server is asked with `gateway` who is signed in there.

use std::time::Duration;

use super::server::CasServer;
use super::setup;
use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::reload_user::ROUTES;
use crate::setup::{Menshen, SSO_URL};

async fn start_menshen(server: &CasServer, lines: &str) -> Menshen {
    let setup = setup(server, lines).connector("auto_login = 'never'");
    setup.routes(ROUTES).start().await
}

async fn load_page(browser: &mut Browser) -> Page {
    browser.follow(&format!("{SSO_URL}/portal/echo")).await
}

/// A browser that signed in some time ago.
async fn signed_in(menshen: &Menshen) -> Browser {
    let mut browser = Browser::new(menshen);
    let start = format!("{OWN_PAGES}/start?connector=portal&rd=/portal/echo");
    let page = browser.follow(&start).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    menshen.advance(Duration::from_secs(60));
    browser
}

#[tokio::test]
async fn the_server_confirms_the_person_with_gateway() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let mut browser = signed_in(&menshen).await;
    let old = browser.cookie("menshen").unwrap().value.clone();
    let page = load_page(&mut browser).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    let login = server.queries("/login").pop().unwrap();
    assert_eq!(login["gateway"], "true");
    assert!(!login.contains_key("renew"));
    assert_ne!(browser.cookie("menshen").unwrap().value, old);
    assert_eq!(server.validations().len(), 2);
}

#[tokio::test]
async fn another_person_at_the_server_replaces_the_session() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let mut browser = signed_in(&menshen).await;
    server.state().user = "lisi".to_owned();
    let page = load_page(&mut browser).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}

#[tokio::test]
async fn a_person_who_is_not_signed_in_at_the_server_loses_the_session() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let mut browser = signed_in(&menshen).await;
    server.state().user.clear();
    let page = load_page(&mut browser).await;
    assert!(
        page.url.starts_with(&format!("{OWN_PAGES}/sign_in")),
        "{}",
        page.url
    );
    assert!(!super::is_signed_in(&mut browser).await);
    assert_eq!(server.validations().len(), 1);
}

#[tokio::test]
async fn a_person_whom_the_server_no_longer_admits_loses_the_session() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let mut browser = signed_in(&menshen).await;
    let text = "the principal is not authorized";
    server.answer_next(&super::server::failure("UNAUTHORIZED_SERVICE", text));
    let page = load_page(&mut browser).await;
    assert_ne!(page.answer.status, 200, "{}", page.answer.text());
    assert!(!super::is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn a_server_that_is_down_ends_no_session() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let mut browser = signed_in(&menshen).await;
    server.state().down = true;
    let page = load_page(&mut browser).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
}

#[tokio::test]
async fn a_return_without_a_ticket_is_no_sign_out_if_the_login_was_not_silent() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let mut browser = signed_in(&menshen).await;
    server.state().returns.push_back("lang=zh".to_owned());
    let (_, page) = super::sign_in(&menshen).await;
    assert_eq!(page.answer.status, 400, "{}", page.answer.text());
    assert!(super::is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn a_route_with_reload_user_and_max_age_ends_in_a_new_password_and_no_loop() {
    let server = CasServer::start().await;
    let routes = ROUTES.replace(
        "reload_user = \"always\"",
        "reload_user = \"always\"\nmax_age = '1h'",
    );
    let setup = setup(&server, "").connector("auto_login = 'never'");
    let menshen = setup.routes(&routes).start().await;
    let mut browser = signed_in(&menshen).await;
    let page = load_page(&mut browser).await;
    assert!(
        page.url.starts_with(&format!("{OWN_PAGES}/sign_in")),
        "{}",
        page.url
    );
    let start = format!("{OWN_PAGES}/start?connector=portal&rd=/portal/echo");
    assert_eq!(browser.follow(&start).await.answer.status, 200);
    assert_eq!(server.queries("/login").pop().unwrap()["renew"], "true");
}
