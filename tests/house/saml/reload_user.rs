//! `reload_user`: the identity provider is asked with `IsPassive` who is signed in there.

use std::time::Duration;

use super::idp::{Idp, Person};
use super::response::shifted;
use super::{Attempt, HTTPS, new_browser, setup};
use crate::browser::{Browser, Page};
use crate::setup::Menshen;

const ROUTES: &str = r#"
[[route]]
name = "app"
host = "sso.test"
upstream = ["{app}"]

[[route]]
name = "portal"
host = "sso.test"
path = "/portal"
strip_path = true
upstream = ["{app}"]
connectors = ["idp"]
reload_user = "always"
"#;

/// The answer is a POST from another site, with which only such a session cookie is sent.
async fn start_menshen(idp: &Idp) -> Menshen {
    let setup = setup(idp, "").connector("auto_login = 'never'");
    let setup = setup.session("cookie_same_site = 'none'").routes(ROUTES);
    setup.start().await
}

/// A browser that signed in some time ago.
async fn signed_in(menshen: &Menshen, idp: &Idp) -> Browser {
    let start = format!("{HTTPS}/.menshen/start?connector=idp&rd=/portal/echo");
    let mut attempt = Attempt::begin_at(new_browser(menshen), idp, &start).await;
    let page = attempt.finish().await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    menshen.advance(Duration::from_secs(60));
    attempt.browser
}

/// Opens the page that asks the identity provider, and posts its answer.
async fn load_page(browser: &mut Browser) -> Page {
    let page = browser.follow(&format!("{HTTPS}/portal/echo")).await;
    match page.answer.text().contains("name=\"SAMLResponse\"") {
        true => browser.submit(&page).await,
        false => page,
    }
}

#[tokio::test]
async fn the_identity_provider_confirms_the_person_without_a_page() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp).await;
    let mut browser = signed_in(&menshen, &idp).await;
    assert_eq!(idp.last_login().attribute("IsPassive"), None);
    let old = browser.cookie("__Host-menshen").unwrap().value.clone();
    let page = load_page(&mut browser).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    let request = idp.last_login();
    assert_eq!(request.attribute("IsPassive").as_deref(), Some("true"));
    assert_eq!(request.attribute("ForceAuthn"), None);
    assert_ne!(browser.cookie("__Host-menshen").unwrap().value, old);
    assert_eq!(idp.received("AuthnRequest").len(), 2);
}

#[tokio::test]
async fn another_person_at_the_identity_provider_replaces_the_session() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp).await;
    let mut browser = signed_in(&menshen, &idp).await;
    idp.state().person = Person::named("lisi");
    let page = load_page(&mut browser).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
}

#[tokio::test]
async fn a_person_who_is_not_signed_in_there_loses_the_session() {
    let idp = Idp::start().await;
    let menshen = start_menshen(&idp).await;
    let mut browser = signed_in(&menshen, &idp).await;
    idp.state().edit = Some(|response| {
        response.status = vec![
            "urn:oasis:names:tc:SAML:2.0:status:Responder",
            "urn:oasis:names:tc:SAML:2.0:status:NoPassive",
        ];
    });
    let page = load_page(&mut browser).await;
    let sign_in = format!("{HTTPS}/.menshen/sign_in");
    assert!(page.url.starts_with(&sign_in), "{}", page.url);
    assert!(!super::is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn a_provider_whose_metadata_ended_ends_no_session() {
    let idp = Idp::start().await;
    idp.state().metadata.valid_until = Some(shifted(idp.clock.now(), 100));
    let menshen = start_menshen(&idp).await;
    let mut browser = signed_in(&menshen, &idp).await;
    idp.state().down = true;
    menshen.advance(Duration::from_secs(100));
    let page = load_page(&mut browser).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(idp.received("AuthnRequest").len(), 1);
}
