//! A multi-tenant issuer, such as Entra ID's `common` and `organizations`: its metadata has a
//! placeholder for the tenant, and `iss` of a token has the tenant.

use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::{assert_signed_in_as, last_error};
use crate::browser::{Browser, Page};
use crate::command::{run_menshen, text};
use crate::provider::{Misbehavior, Provider};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::upstream::TempFolder;

/// Three tenants. The configuration of most tests does not allow the last one.
pub(crate) const CORP: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
pub(crate) const PARTNER: &str = "11111111-2222-3333-4444-555555555555";
const UNLISTED: &str = "99999999-8888-7777-6666-555555555555";

/// After this time access tokens have expired and refresh tokens have not.
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(301);

/// The issuer URL of a tenant; the tenant may be the placeholder `{tenantid}`.
pub(crate) fn issuer_url_of(provider: &Provider, tenant: &str) -> String {
    format!("http://{}/{tenant}/v2.0", provider.address())
}

/// Makes the provider multi-tenant; all further logins belong to this tenant.
fn use_tenant(provider: &Provider, tenant: &str) {
    let (issuer, tenant) = (issuer_url_of(provider, tenant), tenant.to_owned());
    make_multi_tenant(provider);
    provider.misbehave(Misbehavior::claims(move |claims| {
        claims["iss"] = json!(issuer);
        claims["tid"] = json!(tenant);
    }));
}

/// Makes the provider multi-tenant without changing the claims.
fn make_multi_tenant(provider: &Provider) {
    provider.behave();
    provider.set(|settings| settings.sends_iss = false);
    let template = issuer_url_of(provider, "{tenantid}");
    provider.misbehave(Misbehavior::json("discovery", move |metadata| {
        metadata["issuer"] = json!(template);
    }));
}

/// The settings of the connector with these tenants.
fn connector_toml(provider: &Provider, tenants: &str) -> String {
    let template = issuer_url_of(provider, "{tenantid}");
    let metadata = provider.url("/.well-known/openid-configuration");
    let toml = provider
        .toml("keycloak")
        .replace(provider.issuer(), &template);
    format!("{toml}metadata_url = \"{metadata}\"\ntenants = {tenants}\n")
}

async fn start_menshen(provider: &Provider, tenants: &str) -> Menshen {
    let tables = format!("{}{NO_LOGIN_LIMITS}", connector_toml(provider, tenants));
    let setup = Setup::default().clock(provider.clock()).tables(&tables);
    setup.start().await
}

async fn sign_in(provider: &Provider, menshen: &Menshen) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    (browser, page)
}

async fn account_id(browser: &mut Browser) -> Value {
    let answer = browser.visit(&format!("{SSO_URL}/.menshen/userinfo")).await;
    answer.json()["id"].clone()
}

#[tokio::test]
async fn only_people_of_listed_tenants_can_sign_in() {
    let provider = Provider::new().await;
    use_tenant(&provider, CORP);
    let both = format!("['{CORP}', '{}']", PARTNER.to_uppercase());
    let menshen = start_menshen(&provider, &both).await;
    let (_, page) = sign_in(&provider, &menshen).await;
    assert_signed_in_as(&page, "zhangsan");
    provider
        .person("zhangsan")
        .claim("preferred_username", "zs@partner".into());
    use_tenant(&provider, PARTNER);
    let (_, page) = sign_in(&provider, &menshen).await;
    assert_signed_in_as(&page, "zs@partner");
    use_tenant(&provider, UNLISTED);
    let (browser, page) = sign_in(&provider, &menshen).await;
    assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
    assert!(browser.cookie("menshen").is_none());
    let error = last_error(&menshen);
    assert!(
        error.contains(UNLISTED) && error.contains("tenants"),
        "{error}"
    );
    // "*" allows every tenant.
    let menshen = start_menshen(&provider, "['*']").await;
    let (_, page) = sign_in(&provider, &menshen).await;
    assert_signed_in_as(&page, "zs@partner");
}

#[tokio::test]
async fn the_same_sub_in_two_tenants_is_two_accounts() {
    let provider = Provider::new().await;
    let menshen = start_menshen(&provider, "['*']").await;
    use_tenant(&provider, CORP);
    let (mut corp_browser, page) = sign_in(&provider, &menshen).await;
    assert_signed_in_as(&page, "zhangsan");
    // With the same `sub` and login name an application could not distinguish them.
    use_tenant(&provider, PARTNER);
    let (browser, page) = sign_in(&provider, &menshen).await;
    assert_eq!(page.cause(), Some(Cause::LoginTaken));
    assert!(browser.cookie("menshen").is_none());
    provider
        .person("zhangsan")
        .claim("preferred_username", "partner".into());
    let (mut partner_browser, page) = sign_in(&provider, &menshen).await;
    assert_signed_in_as(&page, "partner");
    let (one, other) = (
        account_id(&mut corp_browser).await,
        account_id(&mut partner_browser).await,
    );
    assert!(one.is_string() && one != other, "{one} {other}");
    let subjects: Vec<_> = menshen
        .audit()
        .iter()
        .filter(|line| line["event"] == "login")
        .map(|line| line["subject"].clone())
        .collect();
    let sub = provider.sub("zhangsan");
    assert_eq!(
        subjects,
        [format!("{CORP}:{sub}"), format!("{PARTNER}:{sub}")]
    );
}

#[tokio::test]
async fn a_token_whose_tid_and_iss_differ_is_refused() {
    for tenants in [format!("['{CORP}']"), "['*']".to_owned()] {
        let provider = Provider::new().await;
        let menshen = start_menshen(&provider, &tenants).await;
        let corp_issuer = issuer_url_of(&provider, CORP);
        let unlisted_issuer = issuer_url_of(&provider, UNLISTED);
        let template = issuer_url_of(&provider, "{tenantid}");
        for (what, iss, tid) in [
            (
                "the issuer of another tenant with the tid of the corporation",
                &unlisted_issuer,
                json!(CORP),
            ),
            (
                "the issuer of the corporation with the tid of another tenant",
                &corp_issuer,
                json!(UNLISTED),
            ),
            ("no tenant", &corp_issuer, Value::Null),
            ("a list of tenants", &corp_issuer, json!([CORP, UNLISTED])),
            ("the template itself", &template, json!("{tenantid}")),
            (
                "a word",
                &issuer_url_of(&provider, "common"),
                json!("common"),
            ),
            (
                "a path",
                &issuer_url_of(&provider, "a/../b"),
                json!("a/../b"),
            ),
            (
                "an issuer on another host",
                &"https://evil.test".to_owned(),
                json!(CORP),
            ),
            ("a trailing slash", &format!("{corp_issuer}/"), json!(CORP)),
        ] {
            make_multi_tenant(&provider);
            let iss = iss.clone();
            provider.misbehave(Misbehavior::claims(move |claims| {
                claims["iss"] = json!(iss);
                claims["tid"] = tid.clone();
            }));
            let (browser, page) = sign_in(&provider, &menshen).await;
            assert_eq!(
                page.cause(),
                Some(Cause::InvalidProviderResponse),
                "{tenants} {what}"
            );
            assert!(browser.cookie("menshen").is_none(), "{what}");
        }
        use_tenant(&provider, CORP);
        let (_, page) = sign_in(&provider, &menshen).await;
        assert_signed_in_as(&page, "zhangsan");
    }
}

#[tokio::test]
async fn a_key_of_one_tenant_does_not_sign_for_another() {
    for (key_tenant, tenant, is_accepted) in [
        ("{tenantid}", CORP, true),
        (CORP, CORP, true),
        (UNLISTED, CORP, false),
        (CORP, PARTNER, false),
    ] {
        let provider = Provider::new().await;
        let menshen = start_menshen(&provider, "['*']").await;
        use_tenant(&provider, tenant);
        let issuer = issuer_url_of(&provider, key_tenant);
        provider.misbehave(Misbehavior::json("keys", move |keys| {
            for key in keys["keys"].as_array_mut().unwrap() {
                key["issuer"] = json!(issuer);
            }
        }));
        let (_, page) = sign_in(&provider, &menshen).await;
        let expected = (!is_accepted).then_some(Cause::InvalidProviderResponse);
        assert_eq!(page.cause(), expected, "{key_tenant} for {tenant}");
    }
}

#[tokio::test]
async fn a_refresh_must_name_the_same_tenant() {
    let provider = Provider::new().await;
    use_tenant(&provider, CORP);
    let menshen = start_menshen(&provider, "['*']").await;
    let (mut browser, page) = sign_in(&provider, &menshen).await;
    assert_signed_in_as(&page, "zhangsan");
    let echo = format!("{SSO_URL}/echo");
    menshen.advance(ACCESS_TOKEN_LIFETIME);
    let page = browser.follow(&echo).await;
    assert_signed_in_as(&page, "zhangsan");
    assert_eq!(provider.refresh_grants(), 1);
    // The same `sub` in another tenant is another person.
    use_tenant(&provider, PARTNER);
    menshen.advance(ACCESS_TOKEN_LIFETIME);
    let answer = browser
        .send("GET", &echo, &[("Accept", "application/json")], b"")
        .await;
    assert_eq!(answer.status, 401);
    let audit = menshen.audit();
    assert!(audit.iter().any(|line| line["event"] == "refresh-gone"));
}

#[tokio::test]
async fn a_logout_of_one_tenant_ends_no_session_of_another() {
    let provider = Provider::new().await;
    use_tenant(&provider, CORP);
    let both = format!("['{CORP}', '{PARTNER}']");
    let menshen = start_menshen(&provider, &both).await;
    let sub = provider.sub("zhangsan");
    let is_signed_in = async |browser: &mut Browser| {
        let answer = browser.visit(&format!("{SSO_URL}/.menshen/userinfo")).await;
        answer.status == 200
    };
    let post_logout_token = async |tenant: &str, with: Value| {
        let mut claims = json!({ "iss": issuer_url_of(&provider, tenant), "tid": tenant });
        let more = with.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(more);
        let token = provider.logout_token(&claims);
        let answer = provider.post_logout_token(menshen.address(), "keycloak", &token);
        answer.await.status
    };
    let visit_front_channel_logout = async |tenant: &str, sid: &str| {
        let issuer = issuer_url_of(&provider, tenant);
        let issuer: String = url::form_urlencoded::byte_serialize(issuer.as_bytes()).collect();
        let query = format!("iss={issuer}&sid={sid}");
        let address = format!("{SSO_URL}/.menshen/frontchannel-logout/keycloak?{query}");
        Browser::new(&menshen).visit(&address).await.status
    };
    let (mut browser, _) = sign_in(&provider, &menshen).await;
    let sid = provider.sids("zhangsan").pop().unwrap();
    assert_eq!(
        post_logout_token(UNLISTED, json!({ "sub": sub })).await,
        400
    );
    assert_eq!(post_logout_token(PARTNER, json!({ "sub": sub })).await, 200);
    assert_eq!(post_logout_token(PARTNER, json!({ "sid": sid })).await, 200);
    assert_eq!(
        post_logout_token(PARTNER, json!({ "sid": sid, "sub": sub })).await,
        200
    );
    assert_eq!(visit_front_channel_logout(UNLISTED, &sid).await, 400);
    assert_eq!(visit_front_channel_logout("common", &sid).await, 400);
    assert_eq!(visit_front_channel_logout(PARTNER, &sid).await, 200);
    assert!(
        is_signed_in(&mut browser).await,
        "the logout of another tenant ends no session"
    );
    assert_eq!(visit_front_channel_logout(CORP, &sid).await, 200);
    assert!(!is_signed_in(&mut browser).await);
    for with in [json!({ "sub": sub }), json!({ "sid": "SID" })] {
        let (mut browser, _) = sign_in(&provider, &menshen).await;
        let sid = provider.sids("zhangsan").pop().unwrap();
        let with = with.to_string().replace("SID", &sid);
        let with: Value = serde_json::from_str(&with).unwrap();
        assert!(is_signed_in(&mut browser).await);
        assert_eq!(post_logout_token(CORP, with.clone()).await, 200, "{with}");
        assert!(!is_signed_in(&mut browser).await, "{with}");
        menshen.advance(Duration::from_secs(1));
    }
}

async fn check_online(menshen: &Menshen, setup: &Setup) -> String {
    let folder = TempFolder::new();
    let path = folder.write("menshen.toml", &setup.text(&menshen.wecom, &menshen.app));
    let path = path.display().to_string();
    let output =
        tokio::task::spawn_blocking(move || run_menshen(&["check", "--online", "-c", &path]));
    let output = output.await.unwrap();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn check_online_explains_how_to_configure_a_multi_tenant_issuer() {
    let provider = Provider::new().await;
    use_tenant(&provider, CORP);
    let menshen = Menshen::new().await;
    // The URL that the portal of Entra ID shows.
    let stdout = check_online(&menshen, &provider.setup("")).await;
    let template = issuer_url_of(&provider, "{tenantid}");
    let metadata = provider.url("/.well-known/openid-configuration");
    for words in [
        format!("`{template}`"),
        format!("metadata_url = \"{metadata}\""),
        "`tenants`".to_owned(),
    ] {
        assert!(stdout.contains(&words), "{words}: {stdout}");
    }
    let tables = connector_toml(&provider, &format!("['{CORP}']"));
    let stdout = check_online(&menshen, &Setup::default().tables(&tables)).await;
    assert!(!stdout.contains("!!"), "{stdout}");
    assert!(stdout.contains(&format!("may sign in: {CORP}")), "{stdout}");
}
