//! A further identity of a source with a password form, or with a callback by POST, is added to an account.

use std::borrow::Cow;

use menshen::login::connector::{Callback, CallbackMethod};

use super::enter::OWN_FORM;
use super::test_source::{PASSWORD, TestSource};
use super::{HTTPS, ID, flow_id_in, https_setup};
use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};
use crate::wire::Answer;

const LINES: &str = "link_on_request = true\nlogin_prefix = \"idp-\"";

/// Signs zhangsan in with WeCom and begins to add an identity; the ID of that login.
async fn begin(browser: &mut Browser, own_pages: &str) -> String {
    let start = format!("{own_pages}/start?connector=corp&rd=/echo");
    browser.sign_in(&start, "zhangsan").await;
    let start = format!("{own_pages}/start?connector={ID}&link=1&rd=/echo");
    let answer = browser.visit(&start).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    flow_id_in(&answer.text())
}

async fn confirm(browser: &mut Browser, own_pages: &str, flow: &str) {
    let origin = own_pages.trim_end_matches("/.menshen");
    let url = format!("{own_pages}/link/{ID}");
    let page = browser.visit(&format!("{url}?flow={flow}")).await;
    let html = page.text();
    assert_eq!(page.status, 200, "{html}");
    assert!(
        html.contains("idp-lisi") && html.contains("zhangsan"),
        "{html}"
    );
    let headers = OWN_FORM.map(|(name, value)| match name {
        "Origin" => (name, origin),
        _ => (name, value),
    });
    let form = format!("flow={flow}");
    let answer = browser.send("POST", &url, &headers, form.as_bytes()).await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some("/echo"))
    );
}

async fn password_login(menshen: &Menshen) -> Vec<String> {
    let mut browser = Browser::new(menshen);
    let start = format!("{OWN_PAGES}/start?connector={ID}&rd=/echo");
    let page = browser.follow(&start).await;
    let flow = flow_id_in(&page.answer.text());
    submit_password(&mut browser, &flow, PASSWORD).await;
    let echo = browser.visit("http://sso.test/echo").await;
    echo.echoed("x-forwarded-user")
}

async fn submit_password(browser: &mut Browser, flow: &str, password: &str) -> Answer {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("flow", flow),
        ("rd", "/echo"),
        ("login", "lisi"),
        ("password", password),
    ]);
    let url = format!("{OWN_PAGES}/password/{ID}");
    let form = form.finish();
    browser.send("POST", &url, &OWN_FORM, form.as_bytes()).await
}

#[tokio::test]
async fn an_identity_with_a_password_is_added() {
    let source = TestSource::with_passwords();
    let setup = Setup::default().tables(NO_LOGIN_LIMITS);
    let setup = setup.connector_of_kind(ID, LINES, source.kind());
    let menshen = setup.start().await;
    let mut browser = Browser::new(&menshen);
    let flow = begin(&mut browser, OWN_PAGES).await;
    let wrong = submit_password(&mut browser, &flow, "wrong").await;
    assert_eq!(wrong.status, 401, "{}", wrong.text());
    let answer = submit_password(&mut browser, &flow, PASSWORD).await;
    assert_eq!(
        answer.header("location"),
        Some(format!("/.menshen/link/{ID}?flow={flow}").as_str())
    );
    confirm(&mut browser, OWN_PAGES, &flow).await;
    assert_eq!(password_login(&menshen).await, ["zhangsan"]);
}

#[tokio::test]
async fn an_identity_whose_callback_is_a_cross_site_post_is_added() {
    let source = TestSource::with_form_post(Callback {
        flow_parameter: Cow::Borrowed("RelayState"),
        method: CallbackMethod::Post,
        form_bytes_max: 16 * 1024,
        program_ticket: None,
        logout_message: None,
        response_parameter: None,
    });
    let setup = https_setup().connector_of_kind(ID, LINES, source.kind());
    let menshen = setup.start().await;
    let own_pages = format!("{HTTPS}/.menshen");
    let mut browser = Browser::new(&menshen).over_https();
    let flow = begin(&mut browser, &own_pages).await;
    // The page of the source posts the response; browsers send no session cookie with it.
    let html = format!(
        "<form method=\"post\" action=\"{own_pages}/callback/{ID}\">\
         <input name=\"RelayState\" value=\"{flow}\"><input name=\"assertion\" value=\"lisi\"></form>"
    );
    let page_of_source = Page {
        url: "https://idp.test/sso".to_owned(),
        answer: Answer {
            status: 200,
            headers: Vec::new(),
            body: html.into_bytes(),
        },
    };
    let page = browser.submit(&page_of_source).await;
    assert!(
        page.url.contains(&format!("/link/{ID}?flow=")),
        "{}",
        page.url
    );
    confirm(&mut browser, &own_pages, &flow).await;
}
