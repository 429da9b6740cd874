//! Logins through connectors that were made a moment ago: without a restart, after a second change, and after
//! a rollback.

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::{Call, data_of, put, setup, wecom_fields, with};
use crate::browser::{Browser, Page};
use crate::cas::server::CasServer;
use crate::connector_features::flow_id_in;
use crate::ldap_directory::{LdapServer, Person, SERVICE_DN, SERVICE_PASSWORD};
use crate::logging_in::OWN_PAGES;
use crate::oauth2::provider::{CLIENT_ID, Provider, SECRET};
use crate::saml::idp::Idp;
use crate::saml::keys::own;
use crate::setup::{Menshen, SSO_URL};

fn start_url(connector: &str) -> String {
    format!("{OWN_PAGES}/start?connector={connector}&rd=/echo")
}

/// Logs in with a new browser at a source where the person is signed in.
async fn log_in(menshen: &Menshen, connector: &str) -> Page {
    Browser::new(menshen).follow(&start_url(connector)).await
}

#[track_caller]
fn assert_echoed(page: &Page, header: &str, values: &[&str]) {
    assert_eq!(
        page.answer.status,
        200,
        "{}: {}",
        page.url,
        page.answer.text()
    );
    assert_eq!(page.answer.echoed(header), values, "{header}");
}

async fn roll_back(menshen: &Menshen, version: u64) {
    let call = Call::put("/api/config/rollback", &json!({ "version": version }));
    let call = Call {
        method: "POST",
        ..call
    };
    let answer = call.send(menshen).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn wechat_work() {
    let menshen = setup().start().await;
    let log_in = async || {
        let mut browser = Browser::new(&menshen);
        browser.sign_in(&start_url("wechat-work"), "zhangsan").await
    };
    put(&menshen, "wechat-work", &wecom_fields(&menshen)).await;
    let page = log_in().await;
    assert_echoed(&page, "x-forwarded-user", &["zhangsan"]);
    let second = with(
        &wecom_fields(&menshen),
        &json!({ "userNameMapping": "userid" }),
    );
    put(&menshen, "wechat-work", &second).await;
    assert_echoed(&log_in().await, "x-forwarded-name", &["zhangsan"]);
    roll_back(&menshen, 1).await;
    assert_echoed(&log_in().await, "x-forwarded-name", &["%E5%BC%A0%E4%B8%89"]);
    // The callback is that of the kind.
    let page = Browser::new(&menshen)
        .follow_until(&start_url("wechat-work"), |url| url.contains("/wwlogin/"))
        .await;
    assert!(
        page.url.contains("%2F.menshen%2Fcallback%2Fwechat-work"),
        "{}",
        page.url
    );
}

fn oauth2_fields(provider: &Provider) -> Value {
    let url = provider.url();
    json!({
        "key": CLIENT_ID, "secret": SECRET, "scope": "read,mail",
        "authorizationBaseUrl": format!("{url}/authorize"),
        "accessTokenEndpoint": format!("{url}/token"), "profileUrl": format!("{url}/api/me"),
    })
}

#[tokio::test]
async fn oauth2() {
    let menshen = setup().start().await;
    let provider = Provider::start().await;
    provider.person(json!({
        "id": 7, "login": "zhangsan", "企业名称": "示例公司", "roles": "ops,财务",
        "data": { "user": { "name": "张三", "mail": "z@corp.example" } },
    }));
    let fields = oauth2_fields(&provider);
    put(&menshen, "oauth2", &fields).await;
    assert_echoed(
        &log_in(&menshen, "oauth2").await,
        "x-forwarded-user",
        &["zhangsan"],
    );
    let authorize = provider.state().authorize_requests.last().unwrap().clone();
    assert_eq!(authorize["scope"], "read mail");
    assert!(authorize.contains_key("redirect_uri"));
    let mapped = json!({
        "loginNameMapping": "data.user.mail", "userNameMapping": "data.user.name",
        "emailMapping": "data.user.mail", "rolesMapping": "roles", "groupsMapping": "roles",
        "appendRedirectUri": false,
    });
    let callback = format!("{OWN_PAGES}/callback/oauth2");
    provider.state().registered_callback = Some(callback);
    put(&menshen, "oauth2", &with(&fields, &mapped)).await;
    let page = log_in(&menshen, "oauth2").await;
    // The account stays that of the subject 7, and its login follows.
    assert_echoed(&page, "x-forwarded-user", &["z@corp.example"]);
    assert_echoed(&page, "x-forwarded-name", &["%E5%BC%A0%E4%B8%89"]);
    assert_echoed(&page, "x-forwarded-groups", &["ops,%E8%B4%A2%E5%8A%A1"]);
    let authorize = provider.state().authorize_requests.last().unwrap().clone();
    assert!(!authorize.contains_key("redirect_uri"));
    roll_back(&menshen, 1).await;
    assert_echoed(
        &log_in(&menshen, "oauth2").await,
        "x-forwarded-user",
        &["zhangsan"],
    );
}

async fn log_in_with_password(menshen: &Menshen, login: &str, password: &str) -> (u16, Browser) {
    let mut browser = Browser::new(menshen);
    let page = browser.follow(&start_url("ldap")).await;
    let flow = flow_id_in(&page.answer.text());
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([
        ("flow", flow.as_str()),
        ("rd", "/echo"),
        ("login", login),
        ("password", password),
    ]);
    let headers = [
        ("Accept", "text/html"),
        ("Origin", SSO_URL),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let url = format!("{OWN_PAGES}/password/ldap");
    let answer = browser
        .send("POST", &url, &headers, form.finish().as_bytes())
        .await;
    (answer.status, browser)
}

#[tokio::test]
async fn ldap() {
    let menshen = setup().start().await;
    let server = LdapServer::start().await.unwrap();
    server.add(Person::new("zhangsan", "right password"));
    let url = url::Url::parse(&server.url()).unwrap();
    let fields = json!({
        "protocol": "ldap", "url": url.host_str().unwrap(), "port": url.port().unwrap().to_string(),
        "bindUser": SERVICE_DN, "bindPassword": SERVICE_PASSWORD,
        "searchBase": "ou=people,dc=corp", "query": "(objectClass=inetOrgPerson)",
    });
    put(&menshen, "ldap", &fields).await;
    let (status, mut browser) = log_in_with_password(&menshen, "zhangsan", "right password").await;
    assert_eq!(status, 303, "{:?}", menshen.audit().pop());
    let echo = browser.visit(&format!("{SSO_URL}/echo")).await;
    assert_eq!(echo.echoed("x-forwarded-user"), ["zhangsan"]);
    let (status, _) = log_in_with_password(&menshen, "zhangsan", "wrong password").await;
    assert_eq!(status, 401);
    // Nobody is of this class.
    let nobody = with(
        &fields,
        &json!({ "query": "(objectClass=nobody)", "bindPassword": "********" }),
    );
    put(&menshen, "ldap", &nobody).await;
    let (status, _) = log_in_with_password(&menshen, "zhangsan", "right password").await;
    assert_eq!(status, 401);
    roll_back(&menshen, 1).await;
    let (status, _) = log_in_with_password(&menshen, "zhangsan", "right password").await;
    assert_eq!(status, 303);
}

#[tokio::test]
async fn cas() {
    let menshen = setup().start().await;
    let server = CasServer::start().await;
    server.state().attributes =
        "<cas:attributes><cas:nick>小张</cas:nick></cas:attributes>".to_owned();
    let fields = json!({ "protocol": "CAS30", "casServer": format!("{}/login", server.url()) });
    put(&menshen, "cas", &fields).await;
    assert_echoed(
        &log_in(&menshen, "cas").await,
        "x-forwarded-user",
        &["zhangsan"],
    );
    put(
        &menshen,
        "cas",
        &with(&fields, &json!({ "userNameMapping": "nick" })),
    )
    .await;
    assert_echoed(
        &log_in(&menshen, "cas").await,
        "x-forwarded-name",
        &["%E5%B0%8F%E5%BC%A0"],
    );
    put(
        &menshen,
        "cas",
        &with(&fields, &json!({ "protocol": "CAS10" })),
    )
    .await;
    log_in(&menshen, "cas").await;
    let paths: Vec<_> = server
        .validations()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert!(paths.last().unwrap().ends_with("/validate"), "{paths:?}");
    roll_back(&menshen, 1).await;
    assert_echoed(
        &log_in(&menshen, "cas").await,
        "x-forwarded-user",
        &["zhangsan"],
    );
}

#[tokio::test]
async fn saml2() {
    let idp = Idp::start().await;
    let menshen = setup()
        .external_url("https://sso.test")
        .server("trusted_proxies = ['127.0.0.1']")
        .clock(&idp.clock)
        .start()
        .await;
    let log_in = async || {
        let mut browser = Browser::new(&menshen).over_https();
        let start = "https://sso.test/.menshen/start?connector=idp&rd=/echo";
        let page = browser.follow(start).await;
        browser.submit(&page).await
    };
    let fields = json!({
        "idpMetadataUrl": idp.url("/metadata"),
        "privateKey": own().private_pem, "certificate": own().certificate_pem,
    });
    put(&menshen, "saml2?connector=idp", &fields).await;
    assert_echoed(&log_in().await, "x-forwarded-user", &["zhangsan"]);
    let second = with(
        &fields,
        &json!({ "userNameMapping": "uid", "privateKey": "********" }),
    );
    put(&menshen, "saml2?connector=idp", &second).await;
    assert_echoed(&log_in().await, "x-forwarded-name", &["zhangsan"]);
    roll_back(&menshen, 1).await;
    let nothing: [&str; 0] = [];
    assert_echoed(&log_in().await, "x-forwarded-name", &nothing);
}

#[tokio::test]
async fn jwt_param() {
    let menshen = setup().start().await;
    let body = json!({ "checkSignAlgorithm": "HS256" });
    let first = put(&menshen, "jwt-param/generate-key", &body).await;
    let second = put(&menshen, "jwt-param/generate-key", &body).await;
    let number = std::sync::atomic::AtomicUsize::new(0);
    let arrive = async |keys: &Value| {
        let now = menshen.clock.now().unix_s();
        let id = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let claims = json!({ "loginName": "lisi", "exp": now + 60, "jti": id.to_string() });
        let key = EncodingKey::from_secret(keys["signKey"].as_str().unwrap().as_bytes());
        let token = jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap();
        let mut browser = Browser::new(&menshen);
        let url = format!("{OWN_PAGES}/enter/jwt-param?jwtParam={token}&rd=/echo");
        let headers = [
            ("Accept", "text/html"),
            ("Sec-Fetch-Mode", "navigate"),
            ("Sec-Fetch-Dest", "document"),
            ("Sec-Fetch-Site", "cross-site"),
        ];
        let answer = browser.send("GET", &url, &headers, b"").await;
        match answer.status {
            303 => browser
                .visit(&format!("{SSO_URL}/echo"))
                .await
                .echoed("x-forwarded-user"),
            _ => Vec::new(),
        }
    };
    // HENGSHI's tokens have the login under a name of their own, and no subject.
    let more = json!({ "tokenName": "jwtParam", "loginNameMapping": "loginName" });
    put(&menshen, "jwt-param", &with(&first, &more)).await;
    assert_eq!(arrive(&first).await, ["lisi"]);
    assert!(arrive(&second).await.is_empty());
    put(&menshen, "jwt-param", &with(&second, &more)).await;
    assert!(arrive(&first).await.is_empty());
    assert_eq!(arrive(&second).await, ["lisi"]);
    roll_back(&menshen, 1).await;
    assert_eq!(arrive(&first).await, ["lisi"]);
    assert!(arrive(&second).await.is_empty());
    data_of(&menshen, &Call::get("jwt-param")).await;
}
