//! Logins with OAuth 2 providers that have a profile endpoint.

mod check_online;
mod presets;
pub(crate) mod provider;
mod provider_down;
mod provider_errors;
mod refresh;
mod sync;
mod two_providers;

use serde_json::json;

use crate::browser::{Browser, Page};
use crate::logging_in::OWN_PAGES;
use crate::records::Records;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use provider::{CLIENT_ID, Provider, SECRET};

/// An instance of menshen whose connector `gh` leads to the provider.
async fn start_menshen(provider: &Provider, lines: &str) -> Menshen {
    let tables = provider.connector_toml("gh", "", lines);
    Setup::default()
        .tables(&format!("{tables}{NO_LOGIN_LIMITS}"))
        .start()
        .await
}

/// The URL that starts a login with a connector.
fn start_url(connector: &str) -> String {
    format!("{OWN_PAGES}/start?connector={connector}&rd=/echo%3Fa=b")
}

/// Logs in with a connector in a new browser.
async fn log_in_with(menshen: &Menshen, connector: &str) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = browser.follow(&start_url(connector)).await;
    (browser, page)
}

/// The error in the last audit record, which must be of a refused login.
fn last_error(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.last().expect("a refused login");
    assert_eq!(last["event"], "refused", "{last}");
    last["error"].as_str().expect("an error").to_owned()
}

async fn account_id(browser: &mut Browser) -> String {
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    info["id"]
        .as_str()
        .expect("the browser is signed in")
        .to_owned()
}

#[tokio::test]
async fn a_person_signs_in_and_the_upstream_receives_the_identity() {
    let provider = Provider::start().await;
    provider.person(json!({
        "id": 583231, "login": "zhangsan", "name": "张三", "email": "z@corp.example",
        "groups": ["ops", "财务部"],
    }));
    let menshen = start_menshen(&provider, "scopes = ['read', 'mail']").await;
    let (mut browser, page) = log_in_with(&menshen, "gh").await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?a=b"));
    for (header, value) in [
        ("x-forwarded-user", "zhangsan"),
        ("x-forwarded-name", "%E5%BC%A0%E4%B8%89"),
        ("x-forwarded-email", "z@corp.example"),
        ("x-forwarded-groups", "ops,%E8%B4%A2%E5%8A%A1%E9%83%A8"),
    ] {
        assert_eq!(page.answer.echoed(header), [value], "{header}");
    }
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    assert_eq!(
        (&info["name"], &info["connector"]),
        (&json!("张三"), &json!("gh"))
    );
    let record = menshen.audit().pop().unwrap();
    assert_eq!(
        (&record["event"], &record["subject"]),
        (&json!("login"), &json!("583231"))
    );
    let state = provider.state();
    let authorize = &state.authorize_requests[0];
    assert_eq!(authorize["scope"], "read mail");
    assert_eq!(authorize["client_id"], CLIENT_ID);
    assert_eq!(
        authorize["redirect_uri"],
        format!("{OWN_PAGES}/callback/gh")
    );
    assert!(
        !state.token_requests[0].contains_key("client_secret"),
        "the secret is sent in the header"
    );
}

#[tokio::test]
async fn pkce_is_used_unless_it_is_disabled() {
    let provider = Provider::start().await;
    for (setting, sent) in [("", true), ("pkce = true", true), ("pkce = false", false)] {
        let menshen = start_menshen(&provider, setting).await;
        // The provider compares challenge and verifier.
        assert_eq!(
            log_in_with(&menshen, "gh").await.1.answer.status,
            200,
            "{setting}"
        );
        let state = provider.state();
        let (authorize, form) = (
            state.authorize_requests.last().unwrap(),
            state.token_requests.last().unwrap(),
        );
        assert_eq!(authorize.contains_key("code_challenge"), sent, "{setting}");
        assert_eq!(
            authorize
                .get("code_challenge_method")
                .is_some_and(|method| method == "S256"),
            sent
        );
        assert_eq!(
            form.get("code_verifier")
                .is_some_and(|text| text.len() >= 43),
            sent
        );
    }
}

#[tokio::test]
async fn without_send_redirect_uri_neither_request_names_the_callback() {
    let provider = Provider::start().await;
    provider.state().registered_callback = Some(format!("{OWN_PAGES}/callback/gh"));
    for (setting, sent) in [
        ("", true),
        ("send_redirect_uri = true", true),
        ("send_redirect_uri = false", false),
    ] {
        let menshen = start_menshen(&provider, setting).await;
        let (_, page) = log_in_with(&menshen, "gh").await;
        assert_eq!(page.url, format!("{SSO_URL}/echo?a=b"), "{setting}");
        assert_eq!(page.answer.echoed("x-forwarded-user"), ["zhangsan"]);
        let state = provider.state();
        let requests = [
            state.authorize_requests.last().unwrap(),
            state.token_requests.last().unwrap(),
        ];
        for request in requests {
            assert_eq!(request.contains_key("redirect_uri"), sent, "{setting}");
        }
    }
}

#[tokio::test]
async fn the_code_of_a_login_without_redirect_uri_is_bound_to_its_browser() {
    let provider = Provider::start().await;
    provider.state().registered_callback = Some(format!("{OWN_PAGES}/callback/gh"));
    let menshen = start_menshen(&provider, "send_redirect_uri = false").await;
    let at_callback = |url: &str| url.contains("/callback/gh");
    let mut victim = Browser::new(&menshen);
    let page = Browser::new(&menshen)
        .follow_until(&start_url("gh"), at_callback)
        .await;
    let page = victim.follow(&page.url).await;
    assert_ne!(page.answer.status, 200, "{}", page.url);
    assert!(victim.cookie("menshen").is_none());
    assert_eq!(provider.calls("/token"), []);
}

#[tokio::test]
async fn two_logins_share_no_state_and_no_pkce_verifier() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    for _ in 0..2 {
        log_in_with(&menshen, "gh").await;
    }
    let state = provider.state();
    for name in ["state", "code_challenge"] {
        assert_ne!(
            state.authorize_requests[0][name], state.authorize_requests[1][name],
            "{name}"
        );
    }
    assert_ne!(
        state.token_requests[0]["code_verifier"],
        state.token_requests[1]["code_verifier"]
    );
}

#[tokio::test]
async fn a_person_without_name_and_address_can_sign_in() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    for profile in [
        json!({ "id": 8, "login": "lisi" }),
        json!({ "id": 9, "login": "wangwu", "name": null, "email": "", "groups": null }),
    ] {
        provider.person(profile);
        let (mut browser, page) = log_in_with(&menshen, "gh").await;
        assert_eq!(page.answer.status, 200);
        assert!(page.answer.echoed("x-forwarded-email").is_empty());
        let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
        assert!(info["email"].is_null() && info["name"].is_null(), "{info}");
    }
}

#[tokio::test]
async fn secret_and_access_token_are_sent_as_configured() {
    let provider = Provider::start().await;
    let settings = "client_auth = 'post'\nprofile_auth = 'query'";
    let menshen = start_menshen(&provider, settings).await;
    assert_eq!(log_in_with(&menshen, "gh").await.1.answer.status, 200);
    assert_eq!(provider.state().token_requests[0]["client_secret"], SECRET);
    assert_eq!(
        provider.calls("/token")[0].single_header("authorization"),
        None
    );
    let request = &provider.calls("/api/me")[0];
    assert!(request.target().starts_with("/api/me?access_token=access-"));
    assert_eq!(request.single_header("authorization"), None);
}

#[tokio::test]
async fn the_return_url_is_sent_in_return_param() {
    let provider = Provider::start().await;
    let settings =
        "return_param = 'returnUrl'\n[connector.gh.oauth2.authorize_params]\nbrand = '甲'";
    let menshen = start_menshen(&provider, settings).await;
    let (_, page) = log_in_with(&menshen, "gh").await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?a=b"));
    let state = provider.state();
    assert_eq!(
        state.authorize_requests[0]["returnUrl"],
        format!("{SSO_URL}/echo?a=b")
    );
    assert_eq!(state.authorize_requests[0]["brand"], "甲");
}

#[tokio::test]
async fn signing_out_redirects_to_the_logout_page_of_the_provider() {
    let provider = Provider::start().await;
    let logout_url = format!("{}/logout?brand=a", provider.url());
    let without_return = format!("logout_url = '{logout_url}'");
    let with_return = format!("{without_return}\nlogout_return_param = 'service'");
    let sign_out = format!("{OWN_PAGES}/sign_out");
    for (settings, expected) in [
        ("", None),
        (without_return.as_str(), Some("/logout?brand=a".to_owned())),
        (
            with_return.as_str(),
            Some("/logout?brand=a&service=http%3A%2F%2Fsso.test%2F.menshen%2Fsign_out".to_owned()),
        ),
    ] {
        let menshen = start_menshen(&provider, settings).await;
        let (mut browser, _) = log_in_with(&menshen, "gh").await;
        let mut copy = browser.clone();
        let answer = browser.visit(&sign_out).await;
        let location = answer.header("location").map(str::to_owned);
        let expected = expected.map(|path| format!("{}{path}", provider.url()));
        assert_eq!(location, expected, "{settings}");
        // The local session has ended, independently of the provider.
        assert!(browser.cookie("menshen").is_none());
        let info = copy.visit(&format!("{OWN_PAGES}/userinfo")).await;
        assert_eq!(info.status, 401, "{settings}");
        // The page after the return starts no login.
        let page = browser.visit(&sign_out).await;
        assert_eq!(page.status, 200);
        assert!(browser.cookie("menshen").is_none());
        let flows = browser
            .cookies()
            .iter()
            .filter(|one| one.name.contains("flow"));
        assert_eq!(flows.count(), 0, "{settings}");
    }
}

#[tokio::test]
async fn no_secret_of_a_login_is_logged_or_shown() {
    let log = Records::process_log();
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "profile_auth = 'query'").await;
    let (browser, page) = log_in_with(&menshen, "gh").await;
    assert_eq!(page.answer.status, 200);
    let mut pages = Vec::new();
    for (path, body) in [
        (
            "/token",
            "{\"error\":\"invalid_request\",\"error_description\":\"no ECHO\"}",
        ),
        ("/api/me", "{\"code\":1,\"msg\":\"no ECHO\"}"),
        ("/api/me", "<html>ECHO"),
    ] {
        let body = body.replace("ECHO", SECRET);
        provider.respond_with(path, 400, "Content-Type: application/json\r\n", &body);
        pages.push(log_in_with(&menshen, "gh").await.1.answer.text());
        provider.restore();
    }
    menshen.audit();
    let mut hidden = provider.state().secrets.clone();
    hidden.push(SECRET.to_owned());
    hidden.push(browser.cookie("menshen").unwrap().value.clone());
    hidden.extend(
        provider
            .state()
            .token_requests
            .iter()
            .map(|form| form["code_verifier"].clone()),
    );
    let site_debug = format!("{:?}", menshen.running.live().site());
    let outputs = [
        menshen.records.text(),
        log.text(),
        pages.concat(),
        site_debug,
    ];
    for secret in &hidden {
        assert!(
            !outputs.iter().any(|text| text.contains(secret)),
            "{secret}"
        );
    }
    assert!(
        outputs[0].contains("no …"),
        "the log has the message of the provider without the secret"
    );
}
