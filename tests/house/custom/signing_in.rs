//! A login that the person begins.

use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::portal::{Portal, parse};
use super::{has_session, last_error, log_in, start, start_url};
use crate::browser::Browser;
use crate::logging_in::OWN_PAGES;
use crate::setup::SSO_URL;

/// The query of the last request for a path.
fn last_query(portal: &Portal, path: &str) -> std::collections::BTreeMap<String, String> {
    let calls = portal.calls(path);
    let target = calls.last().expect("a request").target().to_owned();
    parse(target.split_once('?').unwrap().1.as_bytes())
}

#[tokio::test]
async fn a_person_signs_in_and_the_upstream_receives_the_identity() {
    let portal = Portal::start().await;
    portal.state().person = json!({
        "id": 7, "account": "zhangsan", "name": "张三", "email": "z@corp.example",
    });
    let menshen = start(&portal.code_toml("")).await;
    let (_, page) = log_in(&menshen).await;
    assert_eq!(
        page.url,
        format!("{SSO_URL}/echo"),
        "{}",
        page.answer.text()
    );
    for (header, value) in [
        ("x-forwarded-user", "zhangsan"),
        ("x-forwarded-name", "%E5%BC%A0%E4%B8%89"),
        ("x-forwarded-email", "z@corp.example"),
    ] {
        assert_eq!(page.answer.echoed(header), [value], "{header}");
    }
    let record = menshen.audit().pop().unwrap();
    assert_eq!(
        (&record["event"], &record["subject"]),
        (&json!("login"), &json!("7"))
    );
    let query = last_query(&portal, "/authorize");
    let callback = format!("{OWN_PAGES}/callback/ctr");
    assert_eq!(
        (query["brand"].as_str(), query["appid"].as_str()),
        ("a", "app1")
    );
    assert_eq!(query["redirect_uri"], callback);
    assert_eq!(query["state"].len(), 32);
    let body: Value = serde_json::from_slice(&portal.calls("/user")[0].body).unwrap();
    assert_eq!(body["callback"], callback);
}

#[tokio::test]
async fn a_person_without_e_mail_and_mobile_can_sign_in() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    for person in [
        json!({ "id": "a-1", "account": "lisi" }),
        json!({ "id": "a-2", "account": "wangwu", "name": null, "email": "", "mobile": null }),
    ] {
        portal.state().person = person;
        let (mut browser, page) = log_in(&menshen).await;
        assert_eq!(page.answer.status, 200, "{}", page.answer.text());
        let info = browser.visit(&format!("{OWN_PAGES}/userinfo")).await.json();
        assert!(
            info["email"].is_null() && info["mobile"].is_null(),
            "{info}"
        );
    }
}

#[tokio::test]
async fn without_a_mapping_the_usual_members_are_the_fields() {
    let portal = Portal::start().await;
    let toml = portal.code_toml("");
    let mapping = toml.find("[connector.ctr.custom]").unwrap();
    let menshen = start(&toml[mapping..]).await;
    for (person, login) in [
        (
            json!({ "id": 1, "login": "a", "username": "b", "account": "c" }),
            "a",
        ),
        (json!({ "id": 2, "username": "b2", "account": "c" }), "b2"),
        (json!({ "id": 3, "account": "c3" }), "c3"),
        (json!({ "id": 4, "mobile": "13800000000" }), "4"),
    ] {
        portal.state().person = person;
        let (_, page) = log_in(&menshen).await;
        assert_eq!(page.answer.echoed("x-forwarded-user"), [login]);
    }
}

#[tokio::test]
async fn code_and_state_come_back_in_parameters_of_other_names() {
    let portal = Portal::start().await;
    portal.state().returns = "tk=CODE&st=STATE&code=other&appId=app1".to_owned();
    let toml = portal.code_toml("code = 'tk'\nstate = 'st'");
    let toml = toml.replace(
        "'callback': callback",
        "'app': params.appId, 'other': params.code",
    );
    let menshen = start(&toml).await;
    let (browser, page) = log_in(&menshen).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    assert!(has_session(&browser));
    let body: Value = serde_json::from_slice(&portal.calls("/user")[0].body).unwrap();
    assert_eq!(
        (&body["app"], &body["other"]),
        (&json!("app1"), &json!("other"))
    );
}

#[tokio::test]
async fn the_address_to_return_to_carries_the_state_if_the_portal_returns_none() {
    let portal = Portal::start().await;
    portal.state().returns = "code=CODE".to_owned();
    let toml = portal.code_toml("state = ''");
    let toml = toml.replace("\nstate = \"state\"\n", "\n");
    let menshen = start(&toml).await;
    let (_, page) = log_in(&menshen).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let query = last_query(&portal, "/authorize");
    let callback = &query["redirect_uri"];
    assert!(
        callback.starts_with(&format!("{OWN_PAGES}/callback/ctr?state=")),
        "{callback}"
    );
    assert!(!query.contains_key("state"));
    // A step gets exactly the same address.
    let body: Value = serde_json::from_slice(&portal.calls("/user")[0].body).unwrap();
    assert_eq!(body["callback"], callback.as_str());
    // Another state is still another login.
    let forged = format!("{OWN_PAGES}/callback/ctr?state={}&code=x", "a".repeat(32));
    let answer = Browser::new(&menshen).visit(&forged).await;
    assert_eq!(answer.cause(), Some(Cause::FlowCookieMissing));
    assert_eq!(portal.calls("/user").len(), 1);
}

#[tokio::test]
async fn a_response_counts_only_in_the_browser_that_began_and_once() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    let is_callback = |url: &str| url.contains("/callback/");
    let mut browser = Browser::new(&menshen);
    let callback = browser.follow_until(&start_url(), is_callback).await.url;
    let mut other = Browser::new(&menshen);
    assert_eq!(
        other.visit(&callback).await.cause(),
        Some(Cause::FlowCookieMissing)
    );
    let state = callback.split("state=").nth(1).unwrap();
    for url in [
        callback.replace(state, &"b".repeat(32)),
        callback.replace("state=", "stat="),
        format!("{callback}&state={state}"),
    ] {
        let answer = browser.visit(&url).await;
        assert!(
            [400, 403].contains(&answer.status),
            "{url}: {}",
            answer.status
        );
        assert!(!has_session(&browser));
    }
    assert!(portal.calls("/token").is_empty() && portal.calls("/user").is_empty());
    assert_eq!(browser.follow(&callback).await.answer.status, 200);
    assert!(has_session(&browser));
    // The code was redeemed.
    let mut copy = other.clone();
    assert_eq!(
        copy.visit(&callback).await.cause(),
        Some(Cause::FlowCookieMissing)
    );
    assert_eq!(portal.calls("/user").len(), 1);
}

#[tokio::test]
async fn a_used_code_begins_the_login_once_more_and_then_is_refused() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    portal.respond_with("/user", 200, "", "{\"return_code\": 40029}");
    let (browser, page) = log_in(&menshen).await;
    assert_eq!(page.answer.cause(), Some(Cause::CodeRejectedTwice));
    assert!(!has_session(&browser));
    assert_eq!(portal.calls("/authorize").len(), 2);
    let error = last_error(&menshen);
    assert!(error.contains("`user`: `success` is not true"), "{error}");
}

#[tokio::test]
async fn a_response_without_a_code_or_with_a_repeated_parameter_asks_nobody() {
    let portal = Portal::start().await;
    let menshen = start(&portal.code_toml("")).await;
    for (returns, cause) in [
        ("state=STATE", Cause::LoginDeclined),
        ("state=STATE&error=access_denied", Cause::LoginDeclined),
        ("state=STATE&code=", Cause::InvalidProviderResponse),
        ("state=STATE&code=a&code=b", Cause::InvalidProviderResponse),
        ("state=STATE&code=a%0Ab", Cause::InvalidProviderResponse),
        ("state=STATE&code=a&x=1&x=2", Cause::InvalidProviderResponse),
    ] {
        portal.state().returns = returns.to_owned();
        let (browser, page) = log_in(&menshen).await;
        assert_eq!(page.answer.cause(), Some(cause), "{returns}");
        assert!(!has_session(&browser), "{returns}");
    }
    assert!(portal.calls("/token").is_empty() && portal.calls("/user").is_empty());
}

#[tokio::test]
async fn values_are_encoded_for_their_place() {
    let hostile = "a b&c=d+e#\"'\\{}<>/?%00中";
    let portal = Portal::start().await;
    portal.state().next_code = Some(hostile.to_owned());
    let step = format!(
        "[[connector.ctr.custom.step]]\nname = 'echo'\nmethod = 'POST'\nurl = '{}/verify?a=b'\n\
         query = {{ q = 'code', n = '7', none = 'null' }}\n\
         headers = {{ X-Hash = 'sha256(code)', X-None = 'null' }}\n\
         form = {{ f = 'code', g = \"'a&b'\", yes = 'true' }}\n",
        portal.url()
    );
    portal.respond_with("/verify", 201, "", "{}");
    let menshen = start(&(portal.code_toml("") + &step)).await;
    let (_, page) = log_in(&menshen).await;
    assert_eq!(page.answer.status, 200, "{}", page.answer.text());
    let body: Value = serde_json::from_slice(&portal.calls("/user")[0].body).unwrap();
    assert_eq!(body["code"], hostile);
    let query = last_query(&portal, "/verify");
    let expected = [("a", "b"), ("n", "7"), ("q", hostile)];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(query.into_iter().collect::<Vec<_>>(), expected);
    let call = portal.calls("/verify").pop().unwrap();
    let form = parse(&call.body);
    let expected = [("f", hostile), ("g", "a&b"), ("yes", "true")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(form.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(call.single_header("x-hash").map(str::len), Some(64));
    assert_eq!(call.single_header("x-none"), None);
}
