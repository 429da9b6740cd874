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
async fn start_menshen(provider: &Provider, more: &str) -> Menshen {
    let tables = provider.table("gh", "", more);
    Setup::default()
        .tables(&format!("{tables}{NO_LOGIN_LIMITS}"))
        .start()
        .await
}

/// The URL that starts a login with a connector.
fn start(connector: &str) -> String {
    format!("{OWN_PAGES}/start?connector={connector}&rd=/echo%3Fa=b")
}

/// Logs in with a connector in a new browser.
async fn through(menshen: &Menshen, connector: &str) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = browser.follow(&start(connector)).await;
    (browser, page)
}

/// The error of the last refused login in the audit log.
fn last_error(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.last().expect("a refused login");
    assert_eq!(last["event"], "refused", "{last}");
    last["error"].as_str().expect("an error").to_owned()
}

async fn account(browser: &mut Browser) -> String {
    let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
    info["id"].as_str().expect("somebody is here").to_owned()
}

#[tokio::test]
async fn a_person_signs_in_and_the_upstream_receives_the_identity() {
    let provider = Provider::start().await;
    provider.person(json!({
        "id": 583231, "login": "zhangsan", "name": "张三", "email": "z@corp.example",
        "groups": ["ops", "财务部"],
    }));
    let menshen = start_menshen(&provider, "scopes = ['read', 'mail']").await;
    let (mut browser, page) = through(&menshen, "gh").await;
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
    let came = menshen.audit().pop().unwrap();
    assert_eq!(
        (&came["event"], &came["subject"]),
        (&json!("login"), &json!("583231"))
    );
    let world = provider.world();
    let asked = &world.asked[0];
    assert_eq!(asked["scope"], "read mail");
    assert_eq!(asked["client_id"], CLIENT_ID);
    assert_eq!(asked["redirect_uri"], format!("{OWN_PAGES}/callback/gh"));
    assert!(
        !world.forms[0].contains_key("client_secret"),
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
            through(&menshen, "gh").await.1.answer.status,
            200,
            "{setting}"
        );
        let world = provider.world();
        let (asked, form) = (world.asked.last().unwrap(), world.forms.last().unwrap());
        assert_eq!(asked.contains_key("code_challenge"), sent, "{setting}");
        assert_eq!(
            asked
                .get("code_challenge_method")
                .is_some_and(|how| how == "S256"),
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
async fn two_logins_share_no_state_and_no_pkce_verifier() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    for _ in 0..2 {
        through(&menshen, "gh").await;
    }
    let world = provider.world();
    for name in ["state", "code_challenge"] {
        assert_ne!(world.asked[0][name], world.asked[1][name], "{name}");
    }
    assert_ne!(
        world.forms[0]["code_verifier"],
        world.forms[1]["code_verifier"]
    );
}

#[tokio::test]
async fn a_person_without_name_and_address_can_sign_in() {
    let provider = Provider::start().await;
    let menshen = start_menshen(&provider, "").await;
    for me in [
        json!({ "id": 8, "login": "lisi" }),
        json!({ "id": 9, "login": "wangwu", "name": null, "email": "", "groups": null }),
    ] {
        provider.person(me);
        let (mut browser, page) = through(&menshen, "gh").await;
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
    assert_eq!(through(&menshen, "gh").await.1.answer.status, 200);
    assert_eq!(provider.world().forms[0]["client_secret"], SECRET);
    assert_eq!(
        provider.calls("/token")[0].single_header("authorization"),
        None
    );
    let asked = &provider.calls("/api/me")[0];
    assert!(asked.target().starts_with("/api/me?access_token=access-"));
    assert_eq!(asked.single_header("authorization"), None);
}

#[tokio::test]
async fn the_return_url_is_sent_in_return_param() {
    let provider = Provider::start().await;
    let settings =
        "return_param = 'returnUrl'\n[connector.gh.oauth2.authorize_params]\nbrand = '甲'";
    let menshen = start_menshen(&provider, settings).await;
    let (_, page) = through(&menshen, "gh").await;
    assert_eq!(page.url, format!("{SSO_URL}/echo?a=b"));
    let world = provider.world();
    assert_eq!(world.asked[0]["returnUrl"], format!("{SSO_URL}/echo?a=b"));
    assert_eq!(world.asked[0]["brand"], "甲");
}

#[tokio::test]
async fn signing_out_redirects_to_the_logout_page_of_the_provider() {
    let provider = Provider::start().await;
    let page = format!("{}/logout?brand=a", provider.url());
    let there = format!("logout_url = '{page}'");
    let and_back = format!("{there}\nlogout_return_param = 'service'");
    let back = format!("{OWN_PAGES}/sign_out");
    for (settings, expected) in [
        ("", None),
        (there.as_str(), Some("/logout?brand=a".to_owned())),
        (
            and_back.as_str(),
            Some("/logout?brand=a&service=http%3A%2F%2Fsso.test%2F.menshen%2Fsign_out".to_owned()),
        ),
    ] {
        let menshen = start_menshen(&provider, settings).await;
        let (mut browser, _) = through(&menshen, "gh").await;
        let mut stolen = browser.clone();
        let answer = browser.visit(&back).await;
        let led = answer.header("location").map(str::to_owned);
        let expected = expected.map(|path| format!("{}{path}", provider.url()));
        assert_eq!(led, expected, "{settings}");
        // The local session has ended, independently of the provider.
        assert!(browser.cookie("menshen").is_none());
        let info = stolen.visit(&format!("{OWN_PAGES}/userinfo")).await;
        assert_eq!(info.status, 401, "{settings}");
        // The page after the return starts no login.
        let page = browser.visit(&back).await;
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
    let (browser, page) = through(&menshen, "gh").await;
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
        provider.instead(path, 400, "Content-Type: application/json\r\n", &body);
        pages.push(through(&menshen, "gh").await.1.answer.text());
        provider.mend();
    }
    menshen.audit();
    let mut hidden = provider.world().secrets.clone();
    hidden.push(SECRET.to_owned());
    hidden.push(browser.cookie("menshen").unwrap().value.clone());
    hidden.extend(
        provider
            .world()
            .forms
            .iter()
            .map(|form| form["code_verifier"].clone()),
    );
    let site = format!("{:?}", menshen.running.live().site());
    let written = [menshen.records.text(), log.text(), pages.concat(), site];
    for secret in &hidden {
        assert!(
            !written.iter().any(|text| text.contains(secret)),
            "{secret}"
        );
    }
    assert!(
        written[0].contains("no …"),
        "the log has the message of the provider without the secret"
    );
}
