//! A multi-tenant issuer, such as Entra ID's `common` and `organizations`: its metadata has a
//! placeholder for the tenant, and `iss` of a token has the tenant.

use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::{is_here, last_error};
use crate::browser::{Browser, Page};
use crate::command::{run_menshen, text};
use crate::provider::{Misbehavior, Provider};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::upstream::TempFolder;

/// Three tenants; the last one is not allowed by the configuration.
pub(crate) const CORP: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
pub(crate) const PARTNER: &str = "11111111-2222-3333-4444-555555555555";
const STRANGERS: &str = "99999999-8888-7777-6666-555555555555";

/// After this time access tokens have expired, but refresh tokens have not.
const ENDS: Duration = Duration::from_secs(301);

/// The name of the issuer for a tenant, or with the placeholder `{tenantid}`.
pub(crate) fn name_of(provider: &Provider, tenant: &str) -> String {
    format!("http://{}/{tenant}/v2.0", provider.address())
}

/// Makes the provider multi-tenant; all further logins belong to this tenant.
fn use_tenant(provider: &Provider, tenant: &str) {
    let (name, tenant) = (name_of(provider, tenant), tenant.to_owned());
    make_multi_tenant(provider);
    provider.misbehave(Misbehavior::claims(move |claims| {
        claims["iss"] = json!(name);
        claims["tid"] = json!(tenant);
    }));
}

/// Makes the provider multi-tenant without changing the claims.
fn make_multi_tenant(provider: &Provider) {
    provider.behave();
    provider.set(|settings| settings.sends_iss = false);
    let template = name_of(provider, "{tenantid}");
    provider.misbehave(Misbehavior::json("discovery", move |said| {
        said["issuer"] = json!(template);
    }));
}

/// The settings of the connector with these tenants.
fn table(provider: &Provider, tenants: &str) -> String {
    let template = name_of(provider, "{tenantid}");
    let metadata = provider.url("/.well-known/openid-configuration");
    let table = provider
        .toml("keycloak")
        .replace(provider.issuer(), &template);
    format!("{table}metadata_url = \"{metadata}\"\ntenants = {tenants}\n")
}

async fn menshen_of(provider: &Provider, tenants: &str) -> Menshen {
    let more = format!("{}{NO_LOGIN_LIMITS}", table(provider, tenants));
    let setup = Setup::default().clock(provider.clock()).tables(&more);
    setup.start().await
}

async fn sign_in(provider: &Provider, menshen: &Menshen) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
    (browser, page)
}

async fn account(browser: &mut Browser) -> Value {
    let said = browser.visit(&format!("{SSO_URL}/.menshen/userinfo")).await;
    said.json()["id"].clone()
}

#[tokio::test]
async fn only_people_of_listed_tenants_can_sign_in() {
    let provider = Provider::new().await;
    use_tenant(&provider, CORP);
    let both = format!("['{CORP}', '{}']", PARTNER.to_uppercase());
    let menshen = menshen_of(&provider, &both).await;
    let (_, page) = sign_in(&provider, &menshen).await;
    is_here(&page, "zhangsan");
    provider
        .person("zhangsan")
        .claim("preferred_username", "zs@partner".into());
    use_tenant(&provider, PARTNER);
    let (_, page) = sign_in(&provider, &menshen).await;
    is_here(&page, "zs@partner");
    use_tenant(&provider, STRANGERS);
    let (browser, page) = sign_in(&provider, &menshen).await;
    assert_eq!(page.cause(), Some(Cause::InvalidProviderResponse));
    assert!(browser.cookie("menshen").is_none());
    let error = last_error(&menshen);
    assert!(
        error.contains(STRANGERS) && error.contains("tenants"),
        "{error}"
    );
    // "*" allows every tenant.
    let menshen = menshen_of(&provider, "['*']").await;
    let (_, page) = sign_in(&provider, &menshen).await;
    is_here(&page, "zs@partner");
}

#[tokio::test]
async fn the_same_sub_in_two_tenants_is_two_accounts() {
    let provider = Provider::new().await;
    let menshen = menshen_of(&provider, "['*']").await;
    use_tenant(&provider, CORP);
    let (mut corps, page) = sign_in(&provider, &menshen).await;
    is_here(&page, "zhangsan");
    // With the same `sub` and login name an application could not distinguish them.
    use_tenant(&provider, PARTNER);
    let (browser, page) = sign_in(&provider, &menshen).await;
    assert_eq!(page.cause(), Some(Cause::LoginTaken));
    assert!(browser.cookie("menshen").is_none());
    provider
        .person("zhangsan")
        .claim("preferred_username", "partner".into());
    let (mut partners, page) = sign_in(&provider, &menshen).await;
    is_here(&page, "partner");
    let (one, other) = (account(&mut corps).await, account(&mut partners).await);
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
        let menshen = menshen_of(&provider, &tenants).await;
        let corps = name_of(&provider, CORP);
        let strangers = name_of(&provider, STRANGERS);
        let template = name_of(&provider, "{tenantid}");
        for (what, iss, tid) in [
            (
                "a stranger says it is of the corporation",
                &strangers,
                json!(CORP),
            ),
            (
                "the corporation's name on a stranger",
                &corps,
                json!(STRANGERS),
            ),
            ("no tenant", &corps, Value::Null),
            ("a list of tenants", &corps, json!([CORP, STRANGERS])),
            ("the template itself", &template, json!("{tenantid}")),
            ("a word", &name_of(&provider, "common"), json!("common")),
            ("a path", &name_of(&provider, "a/../b"), json!("a/../b")),
            (
                "an issuer elsewhere",
                &"https://evil.test".to_owned(),
                json!(CORP),
            ),
            ("a slash more", &format!("{corps}/"), json!(CORP)),
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
        is_here(&page, "zhangsan");
    }
}

#[tokio::test]
async fn a_key_of_one_tenant_does_not_sign_for_another() {
    for (signs_for, tenant, comes_in) in [
        ("{tenantid}", CORP, true),
        (CORP, CORP, true),
        (STRANGERS, CORP, false),
        (CORP, PARTNER, false),
    ] {
        let provider = Provider::new().await;
        let menshen = menshen_of(&provider, "['*']").await;
        use_tenant(&provider, tenant);
        let name = name_of(&provider, signs_for);
        provider.misbehave(Misbehavior::json("keys", move |said| {
            for key in said["keys"].as_array_mut().unwrap() {
                key["issuer"] = json!(name);
            }
        }));
        let (_, page) = sign_in(&provider, &menshen).await;
        let expected = (!comes_in).then_some(Cause::InvalidProviderResponse);
        assert_eq!(page.cause(), expected, "{signs_for} for {tenant}");
    }
}

#[tokio::test]
async fn a_refresh_must_name_the_same_tenant() {
    let provider = Provider::new().await;
    use_tenant(&provider, CORP);
    let menshen = menshen_of(&provider, "['*']").await;
    let (mut browser, page) = sign_in(&provider, &menshen).await;
    is_here(&page, "zhangsan");
    let echo = format!("{SSO_URL}/echo");
    menshen.advance(ENDS);
    let page = browser.follow(&echo).await;
    is_here(&page, "zhangsan");
    assert_eq!(provider.refresh_grants(), 1);
    // The same `sub` in another tenant is another person.
    use_tenant(&provider, PARTNER);
    menshen.advance(ENDS);
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
    let menshen = menshen_of(&provider, &both).await;
    let sub = provider.sub("zhangsan");
    let is_here = async |browser: &mut Browser| {
        let said = browser.visit(&format!("{SSO_URL}/.menshen/userinfo")).await;
        said.status == 200
    };
    let push = async |tenant: &str, with: Value| {
        let mut claims = json!({ "iss": name_of(&provider, tenant), "tid": tenant });
        let more = with.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(more);
        let token = provider.logout_token(&claims);
        let pushed = provider.post_logout_token(menshen.address(), "keycloak", &token);
        pushed.await.status
    };
    let front = async |tenant: &str, sid: &str| {
        let issuer = name_of(&provider, tenant);
        let issuer: String = url::form_urlencoded::byte_serialize(issuer.as_bytes()).collect();
        let query = format!("iss={issuer}&sid={sid}");
        let address = format!("{SSO_URL}/.menshen/frontchannel-logout/keycloak?{query}");
        Browser::new(&menshen).visit(&address).await.status
    };
    let (mut browser, _) = sign_in(&provider, &menshen).await;
    let sid = provider.sids("zhangsan").pop().unwrap();
    assert_eq!(push(STRANGERS, json!({ "sub": sub })).await, 400);
    assert_eq!(push(PARTNER, json!({ "sub": sub })).await, 200);
    assert_eq!(push(PARTNER, json!({ "sid": sid })).await, 200);
    assert_eq!(push(PARTNER, json!({ "sid": sid, "sub": sub })).await, 200);
    assert_eq!(front(STRANGERS, &sid).await, 400);
    assert_eq!(front("common", &sid).await, 400);
    assert_eq!(front(PARTNER, &sid).await, 200);
    assert!(is_here(&mut browser).await, "nothing of theirs was ended");
    assert_eq!(front(CORP, &sid).await, 200);
    assert!(!is_here(&mut browser).await);
    for with in [json!({ "sub": sub }), json!({ "sid": "SID" })] {
        let (mut browser, _) = sign_in(&provider, &menshen).await;
        let sid = provider.sids("zhangsan").pop().unwrap();
        let with = with.to_string().replace("SID", &sid);
        let with: Value = serde_json::from_str(&with).unwrap();
        assert!(is_here(&mut browser).await);
        assert_eq!(push(CORP, with.clone()).await, 200, "{with}");
        assert!(!is_here(&mut browser).await, "{with}");
        menshen.advance(Duration::from_secs(1));
    }
}

async fn check_online(menshen: &Menshen, setup: &Setup) -> String {
    let folder = TempFolder::new();
    let path = folder.write("menshen.toml", &setup.text(&menshen.wecom, &menshen.app));
    let path = path.display().to_string();
    let checked =
        tokio::task::spawn_blocking(move || run_menshen(&["check", "--online", "-c", &path]));
    let output = checked.await.unwrap();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

#[tokio::test]
async fn check_online_explains_how_to_configure_a_multi_tenant_issuer() {
    let provider = Provider::new().await;
    use_tenant(&provider, CORP);
    let menshen = Menshen::new().await;
    // The URL that the portal of Entra ID shows.
    let said = check_online(&menshen, &provider.setup("")).await;
    let template = name_of(&provider, "{tenantid}");
    let metadata = provider.url("/.well-known/openid-configuration");
    for words in [
        format!("`{template}`"),
        format!("metadata_url = \"{metadata}\""),
        "`tenants`".to_owned(),
    ] {
        assert!(said.contains(&words), "{words}: {said}");
    }
    let more = table(&provider, &format!("['{CORP}']"));
    let said = check_online(&menshen, &Setup::default().tables(&more)).await;
    assert!(!said.contains("!!"), "{said}");
    assert!(said.contains(&format!("may sign in: {CORP}")), "{said}");
}
