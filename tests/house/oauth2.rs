//! Logins through providers that speak OAuth 2 and have a profile endpoint.

mod apart;
mod away;
mod examined;
mod presets;
pub(crate) mod provider;
mod refreshing;
mod refused;
mod synced;

use serde_json::json;

use crate::browser::{Browser, Page};
use crate::logging_in::OWN;
use crate::records::Records;
use crate::setup::{HOME, Menshen, Setup, UNLIMITED};
use provider::{CLIENT_ID, Provider, SECRET};

/// An instance of menshen whose connector `gh` leads to the provider.
async fn start_menshen(provider: &Provider, more: &str) -> Menshen {
    let tables = provider.table("gh", "", more);
    Setup::default()
        .more(&format!("{tables}{UNLIMITED}"))
        .start()
        .await
}

/// Where a login through a connector begins.
fn start(connector: &str) -> String {
    format!("{OWN}/start?connector={connector}&rd=/echo%3Fa=b")
}

/// A whole login through a connector, in a browser of its own.
async fn through(menshen: &Menshen, connector: &str) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = browser.follow(&start(connector)).await;
    (browser, page)
}

/// Why the last one was turned away, for the operator.
fn last_error(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.last().expect("somebody was turned away");
    assert_eq!(last["event"], "refused", "{last}");
    last["error"].as_str().expect("it says why").to_owned()
}

async fn account(browser: &mut Browser) -> String {
    let info = browser.visit(&format!("{OWN}/userinfo")).await.json();
    info["id"].as_str().expect("somebody is here").to_owned()
}

#[tokio::test]
async fn somebody_of_a_provider_signs_in_and_the_upstream_sees_them() {
    let provider = Provider::start().await;
    provider.person(json!({
        "id": 583231, "login": "zhangsan", "name": "张三", "email": "z@corp.example",
        "groups": ["ops", "财务部"],
    }));
    let menshen = start_menshen(&provider, "scopes = ['read', 'mail']").await;
    let (mut browser, page) = through(&menshen, "gh").await;
    assert_eq!(page.url, format!("{HOME}/echo?a=b"));
    for (header, value) in [
        ("x-forwarded-user", "zhangsan"),
        ("x-forwarded-name", "%E5%BC%A0%E4%B8%89"),
        ("x-forwarded-email", "z@corp.example"),
        ("x-forwarded-groups", "ops,%E8%B4%A2%E5%8A%A1%E9%83%A8"),
    ] {
        assert_eq!(page.answer.echoed(header), [value], "{header}");
    }
    let info = browser.visit(&format!("{OWN}/userinfo")).await.json();
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
    assert_eq!(asked["redirect_uri"], format!("{OWN}/callback/gh"));
    assert!(
        !world.forms[0].contains_key("client_secret"),
        "the header has it"
    );
}

#[tokio::test]
async fn the_provider_gets_a_proof_key_unless_that_is_switched_off() {
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
async fn two_logins_share_no_state_and_no_proof_key() {
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
async fn somebody_without_name_and_address_comes_in_all_the_same() {
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
        let info = browser.visit(&format!("{OWN}/userinfo")).await.json();
        assert!(info["email"].is_null() && info["name"].is_null(), "{info}");
    }
}

#[tokio::test]
async fn a_secret_and_a_token_go_the_way_that_is_set() {
    let provider = Provider::start().await;
    let settings = "client_auth = 'post'\nprofile_auth = 'query'";
    let menshen = start_menshen(&provider, settings).await;
    assert_eq!(through(&menshen, "gh").await.1.answer.status, 200);
    assert_eq!(provider.world().forms[0]["client_secret"], SECRET);
    assert_eq!(provider.calls("/token")[0].one("authorization"), None);
    let asked = &provider.calls("/api/me")[0];
    assert!(asked.target().starts_with("/api/me?access_token=access-"));
    assert_eq!(asked.one("authorization"), None);
}

#[tokio::test]
async fn the_address_a_person_wanted_travels_where_that_is_set() {
    let provider = Provider::start().await;
    let settings =
        "return_param = 'returnUrl'\n[connector.gh.oauth2.authorize_params]\nbrand = '甲'";
    let menshen = start_menshen(&provider, settings).await;
    let (_, page) = through(&menshen, "gh").await;
    assert_eq!(page.url, format!("{HOME}/echo?a=b"));
    let world = provider.world();
    assert_eq!(world.asked[0]["returnUrl"], format!("{HOME}/echo?a=b"));
    assert_eq!(world.asked[0]["brand"], "甲");
}

#[tokio::test]
async fn signing_out_leads_to_the_providers_own_page_where_there_is_one() {
    let provider = Provider::start().await;
    let page = format!("{}/logout?brand=a", provider.url());
    let there = format!("logout_url = '{page}'");
    let and_back = format!("{there}\nlogout_return_param = 'service'");
    let back = format!("{OWN}/sign_out");
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
        // Here it is over, whatever happens there.
        assert!(browser.cookie("menshen").is_none());
        let info = stolen.visit(&format!("{OWN}/userinfo")).await;
        assert_eq!(info.status, 401, "{settings}");
        // Whoever comes back finds a page that starts nothing.
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
async fn no_secret_of_a_login_is_written_or_shown() {
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
        "what the provider said stands there without it"
    );
}
