//! Bearer tokens of people (`people` of an issuer), as mobile apps and single-page applications send them.

use std::time::Duration;

use menshen::store::{AccountId, ConnectorId, LoginName, RevocationScope, SessionRecord};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::checking::TRUST_LOOPBACK;
use crate::people::closing;
use crate::provider::{CLIENT_ID, Provider};
use crate::sessions::stored_sessions;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SECOND_CONNECTOR, SSO_URL, Setup};
use crate::test_request::TestRequest;
use crate::wire::Answer;

mod admitted;
mod logged_out;
mod logout_records;

const ROUTES: &str = r#"
[[route]]
name = "echo"
host = "sso.test"
path = "/echo"
upstream = ["{app}"]
issuers = ["apps"]
pass_access_token = true
check_headers = "all"

[[route]]
name = "finance"
host = "sso.test"
path = "/finance"
upstream = ["{app}"]
issuers = ["apps"]
allow = "'财务部' in user.groups && claims == null"

[[route]]
name = "quiet"
host = "sso.test"
path = "/quiet"
upstream = ["{app}"]
issuers = ["apps"]
pass_access_token = true

[[route]]
name = "other"
host = "sso.test"
path = "/other"
upstream = ["{app}"]

[[route]]
name = "corp"
host = "sso.test"
path = "/corp"
upstream = ["{app}"]
connectors = ["corp"]
issuers = ["apps"]

[[route]]
name = "lately"
host = "sso.test"
path = "/lately"
upstream = ["{app}"]
issuers = ["apps"]
max_age = "5m"
"#;

/// The audience of the tokens of apps.
const APPS: &str = "apps";

fn setup(provider: &Provider, connector: &str, issuer: &str) -> Setup {
    let table = provider.toml("keycloak");
    let head = "[connector.keycloak]\n";
    let table = table.replace(head, &format!("{head}{connector}\n"));
    let more = format!(
        "{table}{NO_LOGIN_LIMITS}[issuer.apps]\nurl = \"{}\"\naudiences = [\"{APPS}\"]\n{issuer}\n",
        provider.issuer()
    );
    Setup::default()
        .clock(provider.clock())
        .server(TRUST_LOOPBACK)
        .tables(&more)
        .routes(ROUTES)
}

async fn start_menshen(provider: &Provider) -> Menshen {
    setup(provider, "", "people = \"keycloak\"").start().await
}

/// The claims of an access token that an app obtained for a person.
fn claims(provider: &Provider, login: &str) -> Value {
    let mut claims = provider.access_token_claims(login, APPS);
    let more = json!({
        "azp": "mobile", "scope": "openid email", "preferred_username": login,
        "name": "张三", "email": format!("{login}@corp.example"), "groups": ["财务部"],
    });
    let object = claims.as_object_mut().unwrap();
    object.extend(more.as_object().unwrap().clone());
    claims
}

fn token(provider: &Provider, login: &str) -> String {
    provider.sign(&claims(provider, login), &json!({}))
}

fn with(provider: &Provider, login: &str, more: &Value) -> String {
    let mut claims = claims(provider, login);
    for (name, value) in more.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    provider.sign(&claims, &json!({}))
}

fn bearer(path: &str, token: &str) -> TestRequest {
    TestRequest::get(path).header("Authorization", &format!("Bearer {token}"))
}

async fn status(menshen: &Menshen, path: &str, token: &str) -> u16 {
    bearer(path, token).send(menshen).await.status
}

#[track_caller]
fn refused(answer: &Answer, what: &str) {
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    let told = challenge.contains("error=\"invalid_token\"");
    assert!(
        answer.status == 401 && told,
        "{what}: {} {challenge}",
        answer.status
    );
    assert!(answer.header("location").is_none() && answer.header("set-cookie").is_none());
}

fn last_reason(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.iter().rev().find(|line| line["event"] == "refused");
    last.expect("a refused request")["reason"].to_string()
}

async fn sessions(menshen: &Menshen) -> Vec<SessionRecord> {
    stored_sessions(&*menshen.running.live().services().store).await
}

async fn revoke(menshen: &Menshen, scope: &RevocationScope) {
    menshen
        .running
        .live()
        .services()
        .sessions
        .revoke(scope)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_bearer_token_identifies_its_person_on_routes_of_its_issuer() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider).await;
    let token = token(&provider, "zhangsan");
    for _ in 0..3 {
        let answer = bearer("/echo", &token).send(&menshen).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.header("set-cookie").is_none());
        let got = |name| answer.echoed(name);
        assert_eq!(got("x-forwarded-user"), ["zhangsan"]);
        assert_eq!(got("x-forwarded-email"), ["zhangsan@corp.example"]);
        assert_eq!(got("x-forwarded-name"), ["%E5%BC%A0%E4%B8%89"]);
        assert_eq!(got("x-forwarded-groups"), ["%E8%B4%A2%E5%8A%A1%E9%83%A8"]);
        assert_eq!(got("x-forwarded-access-token"), [token.as_str()]);
    }
    // Rules, `connectors` and `max_age` apply as for a session.
    assert_eq!(status(&menshen, "/finance", &token).await, 200);
    assert_eq!(status(&menshen, "/corp", &token).await, 401);
    assert_eq!(
        status(&menshen, "/lately", &token).await,
        401,
        "the token has no auth_time"
    );
    let now = provider.clock().now().unix_s();
    let lately = with(&provider, "zhangsan", &json!({ "auth_time": now - 10 }));
    assert_eq!(status(&menshen, "/lately", &lately).await, 200);
    let poor = with(&provider, "zhangsan", &json!({ "groups": ["平台部"] }));
    assert_eq!(status(&menshen, "/finance", &poor).await, 403);
    // A route without this issuer ignores the token.
    assert_eq!(status(&menshen, "/other", &token).await, 401);
}

#[tokio::test]
async fn checks_and_userinfo_accept_the_token_of_a_person() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider).await;
    let token = token(&provider, "zhangsan");
    let auth = |uri: &str| bearer("/.menshen/auth", &token).header("X-Forwarded-Uri", uri);
    let answer = auth("/echo").send(&menshen).await;
    assert_eq!(
        (answer.status, answer.header("x-auth-request-user")),
        (202, Some("zhangsan"))
    );
    assert_eq!(
        answer.header("x-auth-request-access-token"),
        Some(token.as_str())
    );
    // Without `check_headers` the proxy does not receive the token.
    let answer = auth("/quiet").send(&menshen).await;
    assert_eq!(answer.header("x-auth-request-user"), Some("zhangsan"));
    assert_eq!(answer.header("x-auth-request-access-token"), None);
    assert_eq!(auth("/other").send(&menshen).await.status, 401);
    let answer = bearer("/.menshen/ext_authz/echo", &token)
        .send(&menshen)
        .await;
    assert_eq!(
        (answer.status, answer.header("x-forwarded-user")),
        (200, Some("zhangsan"))
    );
    let forward = bearer("/.menshen/forward-auth", &token).headers(&[
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "sso.test"),
        ("X-Forwarded-Uri", "/echo"),
    ]);
    let answer = forward.send(&menshen).await;
    assert_eq!(
        (answer.status, answer.header("x-auth-request-user")),
        (200, Some("zhangsan"))
    );
    let answer = bearer("/.menshen/userinfo", &token).send(&menshen).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(
        (&answer.json()["login"], &answer.json()["connector"]),
        (&json!("zhangsan"), &json!("keycloak"))
    );
    refused(
        &bearer("/.menshen/userinfo", &format!("{token}x"))
            .send(&menshen)
            .await,
        "userinfo",
    );
    // One token has one session and one login record.
    assert_eq!(sessions(&menshen).await.len(), 1);
    let audit = menshen.audit();
    let logins: Vec<_> = audit
        .iter()
        .filter(|line| line["event"] == "login")
        .collect();
    assert_eq!(logins.len(), 1);
    assert_eq!(
        (&logins[0]["login"], &logins[0]["reason"]),
        (&json!("zhangsan"), &json!("token"))
    );
    assert!(!menshen.records.text().contains(&token));
}

#[tokio::test]
async fn without_people_a_token_identifies_a_program() {
    let provider = Provider::new().await;
    let menshen = setup(&provider, "", "").start().await;
    let token = token(&provider, "zhangsan");
    let answer = bearer("/echo", &token).send(&menshen).await;
    assert_eq!(answer.status, 200);
    assert!(answer.echoed("x-forwarded-user").is_empty());
    assert!(answer.echoed("x-forwarded-access-token").is_empty());
    assert_eq!(status(&menshen, "/.menshen/userinfo", &token).await, 401);
    assert!(sessions(&menshen).await.is_empty());
}

#[tokio::test]
async fn a_cookie_and_a_token_identify_the_same_account() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider).await;
    let token = token(&provider, "zhangsan");
    let by_token = bearer("/.menshen/userinfo", &token)
        .send(&menshen)
        .await
        .json()["id"]
        .clone();
    let mut browser = Browser::new(&menshen);
    provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    let said = browser
        .visit(&format!("{SSO_URL}/.menshen/userinfo"))
        .await
        .json();
    assert_eq!(said["id"], by_token);
    let cookie = browser.cookie("menshen").unwrap().value.clone();
    assert_eq!(
        bearer("/echo", &token)
            .session(&cookie)
            .send(&menshen)
            .await
            .status,
        200
    );
    let mut other = Browser::new(&menshen);
    provider.sign_in(&mut other, "keycloak", "lisi").await;
    let others = other.cookie("menshen").unwrap().value.clone();
    let answer = bearer("/echo", &token)
        .session(&others)
        .send(&menshen)
        .await;
    assert_eq!(
        answer.status, 400,
        "the cookie and the token identify two people"
    );
    // The claims of a token apply to its own requests, and not to other sessions of the person.
    let poor = with(
        &provider,
        "zhangsan",
        &json!({ "groups": null, "email": null }),
    );
    assert_eq!(status(&menshen, "/finance", &poor).await, 403);
    let answer = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(
        answer.echoed("x-forwarded-email"),
        ["zhangsan@corp.example"]
    );
    assert_eq!(
        browser.visit(&format!("{SSO_URL}/finance")).await.status,
        200
    );
}

#[tokio::test]
async fn an_invalid_token_identifies_no_person() {
    let provider = Provider::new().await;
    let other = Provider::start(provider.clock(), jsonwebtoken::Algorithm::ES256).await;
    let menshen = start_menshen(&provider).await;
    let now = provider.clock().now().unix_s();
    for (what, more) in [
        ("another audience", json!({ "aud": "others" })),
        (
            "the audience of the web client",
            json!({ "aud": CLIENT_ID }),
        ),
        ("expired", json!({ "exp": now - 61 })),
        ("from the future", json!({ "iat": now + 3600 })),
        ("no expiry", json!({ "exp": null })),
        ("no time of issue", json!({ "iat": null })),
        ("no subject", json!({ "sub": null })),
        ("an empty subject", json!({ "sub": "" })),
        ("an ID token", json!({ "typ": "ID" })),
        ("bound to a key", json!({ "cnf": { "jkt": "x" } })),
        ("the token of a program", json!({ "sub": "mobile" })),
        (
            "the token of a service account",
            json!({ "preferred_username": "service-account-mobile" }),
        ),
        ("the token of an application", json!({ "idtyp": "app" })),
        (
            "an invalid login name",
            json!({ "preferred_username": "a\nb" }),
        ),
    ] {
        let token = with(&provider, "zhangsan", &more);
        refused(&bearer("/echo", &token).send(&menshen).await, what);
        refused(
            &bearer("/.menshen/userinfo", &token).send(&menshen).await,
            what,
        );
    }
    let foreign = other.sign(&claims(&provider, "zhangsan"), &json!({}));
    refused(
        &bearer("/echo", &foreign).send(&menshen).await,
        "another issuer's key",
    );
    assert!(sessions(&menshen).await.is_empty());
    assert_eq!(
        status(&menshen, "/echo", &token(&provider, "zhangsan")).await,
        200
    );
}

#[tokio::test]
async fn a_token_is_admitted_under_the_rules_of_a_login() {
    let provider = Provider::new().await;
    let menshen = setup(&provider, "admission = 'existing'", "people = 'keycloak'")
        .start()
        .await;
    let token_of = |login| token(&provider, login);
    refused(
        &bearer("/echo", &token_of("zhangsan")).send(&menshen).await,
        "a new person",
    );
    assert!(
        last_reason(&menshen).contains("this connector creates none"),
        "{}",
        last_reason(&menshen)
    );
    // The login name belongs to a WeCom member.
    let menshen = self::start_menshen(&provider).await;
    let mut browser = Browser::new(&menshen);
    browser
        .sign_in(&format!("{SSO_URL}/other"), "zhangsan")
        .await;
    refused(
        &bearer("/echo", &token_of("zhangsan")).send(&menshen).await,
        "the login name of another account",
    );
    assert!(
        last_reason(&menshen).contains("belongs to account"),
        "{}",
        last_reason(&menshen)
    );
    assert_eq!(status(&menshen, "/echo", &token_of("wangfang")).await, 200);
}

/// Ends the session of an account by the operation `what`.
async fn end(provider: &Provider, menshen: &Menshen, what: &str, account: AccountId) {
    let shared = menshen.running.live().services();
    let keycloak: ConnectorId = "keycloak".parse().unwrap();
    match what {
        "session" => {
            let all = sessions(menshen).await;
            let own = all.iter().find(|one| one.account == account).unwrap();
            revoke(menshen, &RevocationScope::Session(own.key)).await;
        }
        "account" => revoke(menshen, &RevocationScope::Account(account)).await,
        "closed" => {
            let closing = closing("left the company");
            let closed = shared.people.close_account(&account, &closing).await;
            assert!(closed.unwrap());
        }
        "connector" => revoke(menshen, &RevocationScope::Connector(keycloak)).await,
        "everyone" => revoke(menshen, &RevocationScope::Everyone).await,
        _ => {
            let sub = provider.sub("zhangsan");
            let notice = provider.logout_token(&json!({ "sub": sub }));
            let pushed = provider
                .post_logout_token(menshen.address(), "keycloak", &notice)
                .await;
            assert_eq!(pushed.status, 200);
        }
    }
}

#[tokio::test]
async fn a_revocation_applies_to_tokens_at_the_next_request_and_lasts() {
    for what in [
        "session",
        "account",
        "closed",
        "connector",
        "everyone",
        "logout",
    ] {
        let provider = Provider::new().await;
        let menshen = start_menshen(&provider).await;
        let (used, unused) = (token(&provider, "zhangsan"), token(&provider, "zhangsan"));
        let others = token(&provider, "lisi");
        assert_eq!(status(&menshen, "/echo", &used).await, 200);
        assert_eq!(status(&menshen, "/echo", &others).await, 200);
        let shared = menshen.running.live().services();
        let login: LoginName = "zhangsan".parse().unwrap();
        let account = shared
            .store
            .account_by_login(&login)
            .await
            .unwrap()
            .unwrap()
            .id;
        menshen.advance(Duration::from_secs(1));
        end(&provider, &menshen, what, account).await;
        refused(&bearer("/echo", &used).send(&menshen).await, what);
        // The token is refused after the caches have expired, too.
        menshen.advance(Duration::from_secs(90));
        refused(&bearer("/echo", &used).send(&menshen).await, what);
        refused(
            &bearer("/.menshen/userinfo", &used).send(&menshen).await,
            what,
        );
        let many = matches!(what, "connector" | "everyone");
        assert_eq!(
            status(&menshen, "/echo", &others).await == 200,
            !many,
            "{what}"
        );
        // An earlier token that was never used has no session, so only wider revocations affect it.
        let still = status(&menshen, "/echo", &unused).await;
        assert_eq!(still == 200, what == "session", "{what}: {still}");
        // A new token is a new login.
        if what == "closed" {
            refused(
                &bearer("/echo", &token(&provider, "zhangsan"))
                    .send(&menshen)
                    .await,
                what,
            );
            let reopened = shared.people.reopen_account(&account, "boss").await;
            reopened.unwrap().unwrap();
            menshen.advance(Duration::from_secs(3));
            refused(
                &bearer("/echo", &used).send(&menshen).await,
                "an old token stays refused",
            );
        }
        let new = token(&provider, "zhangsan");
        assert_eq!(status(&menshen, "/echo", &new).await, 200, "{what}");
    }
}

#[tokio::test]
async fn concurrent_requests_with_one_token_share_one_session() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider).await;
    let token = token(&provider, "zhangsan");
    let asks = (0..50).map(|_| status(&menshen, "/echo", &token));
    let all = futures_util::future::join_all(asks).await;
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
    assert_eq!(sessions(&menshen).await.len(), 1);
    // A reload empties the caches; the session is found again.
    let setup = menshen.setup.clone();
    menshen.reload(&setup).await.unwrap();
    assert_eq!(status(&menshen, "/echo", &token).await, 200);
    menshen.advance(Duration::from_secs(3_000));
    assert_eq!(
        status(&menshen, "/echo", &token).await,
        200,
        "the idle time-out does not apply to tokens"
    );
    assert_eq!(sessions(&menshen).await.len(), 1);
    // The session ends when the token expires.
    menshen.advance(Duration::from_secs(700));
    refused(&bearer("/echo", &token).send(&menshen).await, "over");
}

#[tokio::test]
async fn people_must_name_a_connector_of_the_same_issuer() {
    let provider = Provider::new().await;
    let menshen = Menshen::new().await;
    for (issuer, words) in [
        (
            "people = 'nobody'",
            "`nobody` is not a connector whose provider signs tokens",
        ),
        (
            "people = 'other'",
            "`other` is not a connector whose provider signs tokens",
        ),
        ("people = 'elsewhere'", "belongs to another issuer"),
        (
            "people = 'keycloak'\n[issuer.apps.introspection]\nclient_id = 'a'\n\
             client_secret = 'hunter2hunter2'\naudience_optional = true",
            "audience_optional",
        ),
    ] {
        let elsewhere =
            "[connector.elsewhere.oidc]\nissuer = 'https://id.example'\nclient_id = 'a'\n";
        let text = setup(&provider, "", issuer).text(&menshen.wecom, &menshen.app);
        let text = format!(
            "{text}{elsewhere}{}",
            SECOND_CONNECTOR.replace("{source}", "http://127.0.0.1:1")
        );
        let error = match menshen::config::Config::parse(&text, "test.toml") {
            Ok(_) => panic!("{issuer} is accepted"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(words), "{issuer}: {error}");
    }
}
