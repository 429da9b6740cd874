//! What the versions of the protocol and the settings make of a login.

use std::time::Duration;

use serde_json::json;

use super::server::CasServer;
use super::{CALLBACK, assert_signed_in, setup, sign_in, start_menshen};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;

const ATTRIBUTES: &str = "<cas:attributes><cas:displayName>张三</cas:displayName>\
    <cas:mail>z@corp.example</cas:mail><cas:memberOf>ops</cas:memberOf>\
    <cas:memberOf>财务部</cas:memberOf></cas:attributes>\
    <cas:attribute name='memberOf' value='ops'/><cas:attribute name='memberOf' value='dev'/>";

#[tokio::test]
async fn a_person_signs_in_and_the_upstream_receives_the_attributes_of_both_layouts() {
    let server = CasServer::start().await;
    server.state().attributes = ATTRIBUTES.to_owned();
    let menshen = start_menshen(&server, "").await;
    let (mut browser, page) = sign_in(&menshen).await;
    assert_signed_in(&page, "zhangsan", "attributes");
    for (header, value) in [
        ("x-forwarded-name", "%E5%BC%A0%E4%B8%89"),
        ("x-forwarded-email", "z@corp.example"),
        ("x-forwarded-groups", "ops,dev,%E8%B4%A2%E5%8A%A1%E9%83%A8"),
    ] {
        assert_eq!(page.answer.echoed(header), [value], "{header}");
    }
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(info["connector"], "portal");
    let record = menshen.audit().pop().unwrap();
    assert_eq!(
        (&record["event"], &record["subject"]),
        (&json!("login"), &json!("zhangsan"))
    );
}

#[tokio::test]
async fn the_service_at_the_login_and_at_the_validation_is_the_same_text_with_the_state() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    for _ in 0..2 {
        sign_in(&menshen).await;
    }
    let (logins, validations) = (server.queries("/login"), server.validations());
    for (login, (path, validation)) in logins.iter().zip(&validations) {
        assert_eq!(path, "/p3/serviceValidate");
        assert_eq!(login["service"], validation["service"]);
        let state = login["service"].strip_prefix(&format!("{CALLBACK}?state="));
        assert_eq!(state.map(str::len), Some(32), "{login:?}");
        let names = |query: &std::collections::BTreeMap<String, String>| {
            query.keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(names(login), ["service"]);
        assert_eq!(names(validation), ["service", "ticket"]);
    }
    assert_eq!(validations.len(), 2);
    assert_ne!(logins[0]["service"], logins[1]["service"]);
}

#[tokio::test]
async fn each_version_validates_at_its_path_and_only_version_3_needs_attributes() {
    for (lines, path, name) in [
        ("version = '1.0'", "/validate", None),
        ("version = '2.0'", "/serviceValidate", None),
        (
            "version = '3.0'",
            "/p3/serviceValidate",
            Some("%E5%BC%A0%E4%B8%89"),
        ),
        (
            "version = '2.0'\nproxies = ['https://p.corp.example/']",
            "/proxyValidate",
            None,
        ),
        (
            "proxies = ['https://p.corp.example/']",
            "/p3/proxyValidate",
            Some("%E5%BC%A0%E4%B8%89"),
        ),
    ] {
        let server = CasServer::start().await;
        server.state().attributes = ATTRIBUTES.to_owned();
        let menshen = start_menshen(&server, lines).await;
        let (_, page) = sign_in(&menshen).await;
        assert_signed_in(&page, "zhangsan", lines);
        assert_eq!(
            page.answer
                .echoed("x-forwarded-name")
                .first()
                .map(String::as_str),
            name
        );
        assert_eq!(server.validations()[0].0, path, "{lines}");
    }
}

#[tokio::test]
async fn names_that_differ_in_case_are_one_person_only_if_the_settings_say_so() {
    for (lines, people, login) in [("user_case = 'ignore'", 1, "alice"), ("", 2, "Alice")] {
        let server = CasServer::start().await;
        // Two people need two login names, which menshen compares without case.
        let mapping = "[connector.portal.mapping]\nlogin = \"profile.user + '-' + profile.attributes.no[0]\"\n";
        let menshen = setup(&server, &format!("{lines}\n{mapping}")).start().await;
        let mut ids = std::collections::BTreeSet::new();
        for (user, number) in [("alice", "1"), ("Alice", "2")] {
            server.state().user = user.to_owned();
            server.state().attributes =
                format!("<cas:attributes><cas:no>{number}</cas:no></cas:attributes>");
            let (mut browser, page) = sign_in(&menshen).await;
            assert_eq!(
                page.answer.status,
                200,
                "{user} {lines}: {}",
                page.answer.text()
            );
            let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
            ids.insert(info["id"].as_str().unwrap().to_owned());
            if number == "2" {
                assert_eq!(info["login"], format!("{login}-2"), "{lines}");
            }
        }
        assert_eq!(ids.len(), people, "{lines}");
    }
}

#[tokio::test]
async fn renew_is_sent_at_the_login_and_at_the_validation_and_counts() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "renew = true").await;
    assert_signed_in(&sign_in(&menshen).await.1, "zhangsan", "renew");
    assert_eq!(server.queries("/login")[0]["renew"], "true");
    assert_eq!(server.validations()[0].1["renew"], "true");
    // A server that asks for no password cannot satisfy the setting.
    server.state().ignores_renew = true;
    let (mut browser, page) = sign_in(&menshen).await;
    assert_eq!(page.answer.status, 403, "{}", page.answer.text());
    assert!(super::last_refusal(&menshen).contains("INVALID_TICKET_SPEC"));
    assert!(!super::is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn a_server_that_reports_an_old_login_does_not_satisfy_renew() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "renew = true").await;
    for (reported, status) in [("true", 200), ("false", 403), ("False", 403)] {
        server.state().attributes = format!(
            "<cas:attributes><cas:isFromNewLogin>{reported}</cas:isFromNewLogin></cas:attributes>"
        );
        let (_, page) = sign_in(&menshen).await;
        assert_eq!(page.answer.status, status, "{reported}");
    }
}

const STRICT_ROUTE: &str = "[[route]]\nname = 'strict'\nhost = 'sso.test'\npath = '/strict'\n\
    upstream = ['{app}']\nmax_age = '10m'\n[[route]]\nname = 'app'\nhost = 'sso.test'\n\
    upstream = ['{app}']\n";

#[tokio::test]
async fn a_route_with_max_age_makes_the_server_ask_for_the_password_again() {
    let server = CasServer::start().await;
    let menshen = setup(&server, "")
        .connector("auto_login = 'never'")
        .routes(STRICT_ROUTE);
    let menshen = menshen.start().await;
    let (mut browser, page) = sign_in(&menshen).await;
    assert_signed_in(&page, "zhangsan", "an ordinary route");
    assert!(!server.queries("/login")[0].contains_key("renew"));
    // The CAS server may have seen the password long ago.
    let strict = browser.visit("http://sso.test/strict/echo").await;
    assert_ne!(strict.status, 200, "{}", strict.text());
    let start = format!("{OWN_PAGES}/start?connector=portal&rd=/strict/echo");
    let page = browser.follow(&start).await;
    assert_eq!(
        (page.answer.status, page.url.as_str()),
        (200, "http://sso.test/strict/echo")
    );
    assert_eq!(server.queries("/login")[1]["renew"], "true");
    assert_eq!(server.validations()[1].1["renew"], "true");
    // Within the period no second password is needed, and after it one is.
    menshen.advance(Duration::from_secs(599));
    assert_eq!(
        browser.visit("http://sso.test/strict/echo").await.status,
        200
    );
    menshen.advance(Duration::from_secs(2));
    assert_ne!(
        browser.visit("http://sso.test/strict/echo").await.status,
        200
    );
}

#[tokio::test]
async fn a_route_with_a_login_prompt_asks_for_the_password() {
    let server = CasServer::start().await;
    let route = STRICT_ROUTE.replace("max_age = '10m'", "prompt = 'login'");
    let menshen = setup(&server, "").routes(&route).start().await;
    let mut browser = Browser::new(&menshen);
    let start = format!("{OWN_PAGES}/start?connector=portal&rd=/strict/echo");
    assert_eq!(browser.follow(&start).await.answer.status, 200);
    assert_eq!(server.queries("/login")[0]["renew"], "true");
}

#[tokio::test]
async fn sign_out_leads_through_the_logout_page_and_back() {
    let server = CasServer::start().await;
    let menshen = start_menshen(&server, "").await;
    let (mut browser, _) = sign_in(&menshen).await;
    let mut copy = browser.clone();
    let page = browser
        .follow(&format!("{OWN_PAGES}/sign_out?rd=/echo"))
        .await;
    let service = &server.queries("/logout")[0]["service"];
    assert!(
        service.starts_with(&format!("{OWN_PAGES}/sign_out?state=")),
        "{service}"
    );
    assert_eq!(&page.url, service);
    assert!(
        page.answer.text().contains("rd=/echo"),
        "{}",
        page.answer.text()
    );
    assert!(!super::is_signed_in(&mut copy).await);
    // A server that is down does not keep the person from signing out.
    let (mut browser, _) = sign_in(&menshen).await;
    server.state().down = true;
    let answer = browser.visit(&format!("{OWN_PAGES}/sign_out")).await;
    assert!(matches!(answer.status, 200 | 303), "{}", answer.status);
    assert!(!super::is_signed_in(&mut browser).await);
}

#[tokio::test]
async fn each_url_of_the_server_may_be_given() {
    let server = CasServer::start().await;
    let url = server.url();
    let lines = format!(
        "login_url = '{url}/login?brand=a'\nvalidate_url = '{url}/p3/serviceValidate?tenant=b'\n\
         logout_url = '{url}/logout?c=d'"
    );
    let tables = server.connector_toml(&lines).replace(
        &format!("url = \"{url}\""),
        "url = \"https://elsewhere.example\"",
    );
    let menshen = setup(&server, "").tables(&tables).start().await;
    let (mut browser, page) = sign_in(&menshen).await;
    assert_signed_in(&page, "zhangsan", "urls");
    browser.follow(&format!("{OWN_PAGES}/sign_out")).await;
    assert_eq!(server.queries("/login")[0]["brand"], "a");
    assert_eq!(server.queries("/p3/serviceValidate")[0]["tenant"], "b");
    assert_eq!(server.queries("/logout")[0]["c"], "d");
}
