//! How a callback names its login: with a parameter that the connector chooses, in the URL or in a form.

use menshen::face::page::Cause;
use menshen::login::connector::{Callback, CallbackMethod};
use url::Url;

use super::test_source::TestSource;
use super::{HTTPS, ID, https_setup};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::wire::Answer;

fn callback_settings(flow_parameter: &'static str, method: CallbackMethod) -> Callback {
    Callback {
        flow_parameter: flow_parameter.into(),
        method,
        ..Callback::default()
    }
}

async fn start_menshen(source: &TestSource) -> Menshen {
    let setup = Setup::default().tables(NO_LOGIN_LIMITS);
    setup.connector_of_kind(ID, "", source.kind()).start().await
}

async fn secure_menshen(source: &TestSource) -> Menshen {
    let setup = https_setup().connector_of_kind(ID, "", source.kind());
    setup.start().await
}

/// Begins a login and returns the flow ID that the provider would return.
async fn begin_login(browser: &mut Browser, home: &str) -> String {
    let start = format!("{home}/.menshen/start?connector={ID}&rd=%2Fecho");
    let answer = browser.visit(&start).await;
    let to = answer
        .header("location")
        .expect("a redirect to the provider");
    let to = Url::parse(to).unwrap();
    let flow = to.query_pairs().find(|(name, _)| name == "flow");
    flow.expect("a flow ID").1.into_owned()
}

/// Posts a form from a page of the provider, with all cookies of the browser.
async fn send_form(browser: &mut Browser, form: &str) -> Answer {
    let headers = [
        ("Accept", "text/html"),
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", "https://idp.test"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "cross-site"),
    ];
    let url = format!("{HTTPS}/.menshen/callback/{ID}");
    browser.send("POST", &url, &headers, form.as_bytes()).await
}

#[tokio::test]
async fn a_connector_reads_the_flow_id_from_its_own_parameter() {
    for parameter in ["RelayState", "state", "portalState", "flow"] {
        let source = TestSource::with_callback(callback_settings(parameter, CallbackMethod::Get));
        let menshen = start_menshen(&source).await;
        let mut browser = Browser::new(&menshen);
        let flow = begin_login(&mut browser, SSO_URL).await;
        let callback = format!("{OWN_PAGES}/callback/{ID}");
        // Another parameter or a repeated one names no login.
        for bad in [
            format!("{callback}?Other={flow}&assertion=lisi"),
            format!("{callback}?{parameter}={flow}&{parameter}={flow}&assertion=lisi"),
            format!("{callback}?assertion=lisi"),
            format!(
                "{callback}?{}={flow}&assertion=lisi",
                parameter.to_uppercase()
            ),
        ] {
            let answer = browser.visit(&bad).await;
            assert_eq!(
                (answer.status, answer.cause()),
                (400, Some(Cause::InvalidProviderResponse)),
                "{bad}"
            );
        }
        // The callback is refused in another browser.
        let good = format!("{callback}?{parameter}={flow}&assertion=lisi");
        let answer = Browser::new(&menshen).visit(&good).await;
        assert_eq!(
            answer.cause(),
            Some(Cause::FlowCookieMissing),
            "{parameter}"
        );
        assert_eq!(source.received(), [""; 0], "{parameter}");
        let page = browser.follow(&good).await;
        assert_eq!(page.url, format!("{SSO_URL}/echo"));
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
        // A repeated callback does no harm, and the provider is not asked again.
        let page = browser.follow(&good).await;
        assert_eq!(page.url, format!("{SSO_URL}/echo"));
        assert_eq!(source.received(), ["lisi"], "{parameter}");
    }
}

#[tokio::test]
async fn a_callback_is_accepted_only_by_the_connectors_method() {
    for (method, accepts_get, post, allow) in [
        (CallbackMethod::Get, true, false, "GET"),
        (CallbackMethod::Post, false, true, "POST"),
        (CallbackMethod::GetOrPost, true, true, "GET, POST"),
    ] {
        let source = TestSource::with_callback(callback_settings("RelayState", method));
        let menshen = secure_menshen(&source).await;
        let mut browser = Browser::new(&menshen).over_https();
        let flow = begin_login(&mut browser, HTTPS).await;
        let fields = format!("RelayState={flow}&assertion=lisi");
        let url = format!("{HTTPS}/.menshen/callback/{ID}?{fields}");
        let by_get = browser.clone().visit(&url).await;
        let by_post = send_form(&mut browser.clone(), &fields).await;
        for (answer, is_accepted) in [(by_get, accepts_get), (by_post, post)] {
            let is_signed_in = answer
                .header_values("set-cookie")
                .any(|it| it.starts_with("__Host-menshen="));
            assert_eq!(is_signed_in, is_accepted, "{method:?}: {answer:?}");
            if !is_accepted {
                assert_eq!(answer.status, 405, "{method:?}");
                assert_eq!(answer.header("allow"), Some(allow), "{method:?}");
            }
        }
        // A form post with the flow ID in the URL names no login.
        let url = format!("{HTTPS}/.menshen/callback/{ID}?RelayState={flow}");
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = browser.send("POST", &url, &form, b"assertion=lisi").await;
        assert_eq!(answer.status, if post { 400 } else { 405 }, "{method:?}");
        let head = browser.send("HEAD", &url, &[], b"").await;
        assert_eq!((head.status, head.header("allow")), (405, Some(allow)));
    }
}

#[tokio::test]
async fn a_form_may_be_as_large_as_its_connector_needs_and_no_larger() {
    let callback = Callback {
        form_bytes_max: 300 * 1024,
        ..callback_settings("RelayState", CallbackMethod::Post)
    };
    let source = TestSource::with_callback(callback);
    let menshen = secure_menshen(&source).await;
    for (bytes, is_accepted) in [(300 * 1024, true), (300 * 1024 + 1, false)] {
        let mut browser = Browser::new(&menshen).over_https();
        let flow = begin_login(&mut browser, HTTPS).await;
        let fields = format!("RelayState={flow}&assertion=lisi&more=");
        let form = format!("{fields}{}", "x".repeat(bytes - fields.len()));
        let answer = send_form(&mut browser, &form).await;
        assert_eq!(
            answer.status,
            if is_accepted { 303 } else { 400 },
            "{bytes}"
        );
    }
}

#[tokio::test]
async fn connectors_with_different_parameters_may_share_a_callback_path() {
    let address = format!("{OWN_PAGES}/callback");
    let lines = format!("callback = \"{address}\"");
    let source = TestSource::with_callback(callback_settings("RelayState", CallbackMethod::Get));
    let setup = Setup::default().connector(&lines).tables(NO_LOGIN_LIMITS);
    let menshen = setup
        .connector_of_kind(ID, &lines, source.kind())
        .start()
        .await;
    let mut browser = Browser::new(&menshen);
    let flow = begin_login(&mut browser, SSO_URL).await;
    let start = format!("{OWN_PAGES}/start?connector=corp&rd=%2Fecho");
    let login_page = browser.open_login_page(&start).await;
    let callback_url = browser.choose_person(&login_page, "zhangsan").await;
    assert!(callback_url.starts_with(&address), "{callback_url}");
    // Each connector reads its own parameter, also when the response has both.
    let (_, state) = callback_url.split_once("state=").unwrap();
    let state = state.split('&').next().unwrap();
    let both = format!("{address}?state={flow}&RelayState={flow}&assertion=lisi");
    let page = browser.clone().follow(&both).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    let crossed = format!("{address}?state={flow}&RelayState={state}&assertion=wangwu&code=1");
    let page = browser.clone().follow(&crossed).await;
    assert_eq!(page.cause(), Some(Cause::FlowCookieForged), "{}", page.url);
    let page = browser.follow(&callback_url).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
    assert_eq!(source.received(), ["lisi"]);
}

#[tokio::test]
async fn an_invalid_response_does_not_spoil_a_valid_one_of_the_same_login() {
    let source = TestSource::with_callback(callback_settings("state", CallbackMethod::Get));
    let menshen = start_menshen(&source).await;
    let mut browser = Browser::new(&menshen);
    let flow = begin_login(&mut browser, SSO_URL).await;
    // This source ignores `code`; only `assertion` counts.
    let url = |more: &str| format!("{OWN_PAGES}/callback/{ID}?state={flow}&{more}");
    for wrong in ["assertion=wrong", "assertion=wrong&code=1", "code=1"] {
        let answer = browser.clone().visit(&url(wrong)).await;
        assert_eq!(
            answer.cause(),
            Some(Cause::InvalidProviderResponse),
            "{wrong}"
        );
    }
    let page = browser.clone().follow(&url("assertion=lisi&code=1")).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    // The same response in another order: the source is not asked again.
    let page = browser.follow(&url("code=1&assertion=lisi")).await;
    assert_eq!(page.answer.echoed("x-forwarded-user"), ["lisi"]);
    assert_eq!(source.received(), ["wrong", "wrong", "lisi"]);
}
