//! A provider that expects the login request as a form post, which a page of menshen submits.

use std::borrow::Cow;

use menshen::login::connector::{Callback, CallbackMethod};

use super::test_source::TestSource;
use super::{HTTPS, ID, flow_id_in, https_setup};
use crate::browser::Browser;
use crate::setup::Menshen;
use crate::wire::Answer;

const POST_CALLBACK: Callback = Callback {
    flow_parameter: Cow::Borrowed("RelayState"),
    method: CallbackMethod::Post,
    form_bytes_max: 16 * 1024,
    program_ticket: None,
    logout_message: None,
    response_parameter: None,
};

async fn start_menshen(lines: &str) -> (Menshen, TestSource) {
    let source = TestSource::with_form_post(POST_CALLBACK);
    let setup = https_setup().connector_of_kind(ID, lines, source.kind());
    (setup.start().await, source)
}

/// Asserts that the page submits a form to the provider and does nothing else.
fn assert_submits_to_the_provider(answer: &Answer, what: &str) {
    let html = answer.text();
    assert_eq!(answer.status, 200, "{what}: {html}");
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(policy.contains("script-src 'self';"), "{policy}");
    assert!(
        policy.contains("form-action 'self' http: https:"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{what}");
    // Every value is escaped.
    assert!(
        html.contains("action=\"https://idp.test/sso?a=b&#38;c=d\"")
            || html.contains("action=\"https://idp.test/sso?a=b&amp;c=d\""),
        "{html}"
    );
    assert!(
        html.contains("name=\"SAMLRequest\"") && !html.contains("<b>"),
        "{html}"
    );
    // The page has a button for browsers without scripts, and its script is a file of menshen.
    assert!(html.contains("<button"), "{html}");
    let scripts: Vec<_> = html.split("<script").skip(1).collect();
    assert_eq!(scripts.len(), 1, "{html}");
    assert!(
        scripts[0].starts_with(" src=\"/.menshen/post.js\"></script>"),
        "{html}"
    );
}

#[tokio::test]
async fn a_page_posts_to_the_provider_and_the_callback_completes_the_login() {
    let (menshen, source) = start_menshen("").await;
    for language in ["zh-CN", "en"] {
        let mut browser = Browser::new(&menshen).over_https();
        browser
            .extra_headers
            .push(("Accept-Language".to_owned(), language.to_owned()));
        let start = format!("{HTTPS}/.menshen/start?connector={ID}&rd=%2Fecho");
        let answer = browser.visit(&start).await;
        assert_submits_to_the_provider(&answer, language);
        let flow = flow_id_in(&answer.text());
        let cookie = browser
            .cookie(&format!("__Host-menshen-flow-{flow}"))
            .unwrap();
        assert!(cookie.secure && cookie.same_site == "none", "{cookie:?}");
        let form = format!("RelayState={flow}&assertion=lisi");
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Origin", "https://idp.test"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
            ("Sec-Fetch-Site", "cross-site"),
        ];
        let url = format!("{HTTPS}/.menshen/callback/{ID}");
        let answer = browser.send("POST", &url, &headers, form.as_bytes()).await;
        assert_eq!(
            (answer.status, answer.header("location")),
            (303, Some("/echo"))
        );
        let echo = browser.visit(&format!("{HTTPS}/echo")).await;
        assert_eq!(echo.echoed("x-forwarded-user"), ["lisi"]);
    }
    assert_eq!(source.received(), ["lisi", "lisi"]);
}

#[tokio::test]
async fn an_unauthenticated_request_for_an_application_gets_the_same_page() {
    let (menshen, _) = start_menshen("auto_login = \"always\"").await;
    let mut browser = Browser::new(&menshen).over_https();
    let answer = browser.visit(&format!("{HTTPS}/echo?q=1")).await;
    assert_submits_to_the_provider(&answer, "for an application");
    // A second login in a row does not begin automatically.
    let page = browser.follow(&format!("{HTTPS}/echo?q=1")).await;
    assert!(page.url.contains("/sign_in?"), "{}", page.url);
}

#[tokio::test]
async fn the_script_submits_the_form_whatever_its_field_names() {
    let (menshen, _) = start_menshen("").await;
    let mut browser = Browser::new(&menshen).over_https();
    let script = browser.visit(&format!("{HTTPS}/.menshen/post.js")).await;
    assert_eq!(script.status, 200);
    assert_eq!(
        script.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    assert!(
        script
            .text()
            .contains("HTMLFormElement.prototype.submit.call(form)")
    );
}
