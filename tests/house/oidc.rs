//! Logins with a correct OpenID Connect provider.

use std::time::Duration;

use menshen::face::page::Cause;

use crate::browser::{Browser, Page};
use crate::provider::{CLIENT_ID, CLIENT_SECRET, ClientAuth, Key, Provider, start_url};
use crate::setup::{Menshen, SSO_URL};
use crate::upstream::TempFolder;

mod concurrent_logins;
mod content_types;
mod expired_login_page;
mod form_post;
mod keys;
mod provider_down;
mod refresh;
mod secret_files;
pub(crate) mod tenants;
mod timestamps;

/// The name 张三 and the two groups of this person, in the encoding of the identity headers.
const ZHANG_SAN: &str = "%E5%BC%A0%E4%B8%89";
const GROUPS: &str = "%E8%B4%A2%E5%8A%A1%E9%83%A8,%E5%B9%B3%E5%8F%B0%E9%83%A8";

async fn sign_in(provider: &Provider, menshen: &Menshen, login: &str) -> (Browser, Page) {
    let mut browser = Browser::new(menshen);
    let page = provider.sign_in(&mut browser, "keycloak", login).await;
    (browser, page)
}

/// Asserts that the application received a request of this person.
fn assert_signed_in_as(page: &Page, login: &str) {
    assert_eq!(
        page.answer.status,
        200,
        "{}: {}",
        page.url,
        page.answer.text()
    );
    assert_eq!(page.answer.echoed("x-forwarded-user"), [login]);
}

fn last_error(menshen: &Menshen) -> String {
    let audit = menshen.audit();
    let last = audit.last().expect("a refused login");
    last["error"].as_str().expect("a reason").to_owned()
}

#[tokio::test]
async fn the_application_receives_the_identity_of_the_person() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let (browser, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
    assert_eq!(page.url, format!("{SSO_URL}/echo"));
    let header = |name| page.answer.echoed(name);
    assert_eq!(header("x-forwarded-preferred-username"), ["zhangsan"]);
    assert_eq!(header("x-forwarded-name"), [ZHANG_SAN]);
    assert_eq!(header("x-forwarded-email"), ["zhangsan@corp.example"]);
    assert_eq!(header("x-forwarded-groups"), [GROUPS]);
    assert!(browser.cookie("menshen").is_some());
    let audit = menshen.audit();
    let last = audit.last().unwrap();
    assert_eq!(
        (&last["event"], &last["subject"], &last["login"]),
        (
            &"login".into(),
            &provider.sub("zhangsan").into(),
            &"zhangsan".into()
        )
    );
    // One request for each endpoint; metadata and keys are cached for the next login.
    for (endpoint, calls) in [("discovery", 1), ("keys", 1), ("token", 1), ("userinfo", 1)] {
        assert_eq!(provider.calls(endpoint), calls, "{endpoint}");
    }
    let (_, page) = sign_in(&provider, &menshen, "lisi").await;
    assert_signed_in_as(&page, "lisi");
    assert_eq!(
        (provider.calls("discovery"), provider.calls("keys")),
        (1, 1)
    );
}

#[tokio::test]
async fn missing_claims_are_left_out_and_the_login_has_a_fallback() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "lisi").await;
    assert_signed_in_as(&page, "lisi");
    assert_eq!(page.answer.echoed("x-forwarded-email"), [""; 0]);
    // An unverified address is passed on, too.
    let (_, page) = sign_in(&provider, &menshen, "wangfang").await;
    assert_eq!(
        page.answer.echoed("x-forwarded-email"),
        ["wangfang@corp.example"]
    );
    // Without a login name the address is used, and without an address the subject.
    let nameless = provider
        .person("wangfang")
        .claim("preferred_username", ().into());
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "wangfang").await;
    assert_signed_in_as(&page, "wangfang@corp.example");
    nameless.claim("email", ().into());
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "wangfang").await;
    assert_signed_in_as(&page, &provider.sub("wangfang"));
}

#[tokio::test]
async fn claims_of_a_wrong_type_are_ignored() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let person = provider.person("zhangsan");
    let object = || serde_json::json!({ "value": "zhangsan@corp.example" });
    person.claim("email", object()).claim("name", object());
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
    assert_eq!(page.answer.echoed("x-forwarded-email"), [""; 0]);
    assert_eq!(page.answer.echoed("x-forwarded-name"), [""; 0]);
    for login in ["a\nb", "a\0b", "\u{85}"] {
        person.claim("preferred_username", login.into());
        let (browser, page) = sign_in(&provider, &menshen, "zhangsan").await;
        assert_eq!(page.cause(), Some(Cause::NoLoginName), "{login:?}");
        assert!(browser.cookie("menshen").is_none());
    }
}

#[tokio::test]
async fn groups_may_come_from_userinfo_alone() {
    let provider = Provider::new().await;
    provider.set(|settings| settings.claims_in_id_token = false);
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
    assert_eq!(page.answer.echoed("x-forwarded-groups"), [GROUPS]);
    // Without userinfo there are only the claims of the ID token.
    let menshen = provider.setup("userinfo = false").start().await;
    let calls_before = provider.calls("userinfo");
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, &provider.sub("zhangsan"));
    assert_eq!(page.answer.echoed("x-forwarded-groups"), [""; 0]);
    assert_eq!(provider.calls("userinfo"), calls_before);
    provider.set(|settings| {
        settings.claims_in_id_token = true;
        settings.claims_in_userinfo = false;
    });
    let menshen = provider.setup("userinfo = false").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
}

#[tokio::test]
async fn every_login_has_its_own_state_nonce_and_pkce_verifier() {
    let provider = Provider::new().await;
    let lines = "scopes = ['openid', 'groups', 'offline_access']\n\
                 authorize_params = { kc_idp_hint = '企业 微信&x=1', audience = 'menshen' }";
    let menshen = provider.setup(lines).start().await;
    let mut earlier_values = Vec::new();
    for _ in 0..3 {
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        assert_signed_in_as(&page, "zhangsan");
        let request = provider.last_request("authorize");
        let parameter = |name: &str| request.parameter(name).unwrap_or_default().to_owned();
        assert_eq!(parameter("response_type"), "code");
        assert_eq!(parameter("client_id"), CLIENT_ID);
        assert_eq!(
            parameter("redirect_uri"),
            format!("{SSO_URL}/.menshen/callback/keycloak")
        );
        assert_eq!(parameter("scope"), "openid groups offline_access");
        assert_eq!(parameter("code_challenge_method"), "S256");
        assert_eq!(parameter("kc_idp_hint"), "企业 微信&x=1");
        assert_eq!(parameter("audience"), "menshen");
        assert!(
            request.parameter("prompt").is_none() && request.parameter("response_mode").is_none()
        );
        let verifier = provider
            .last_request("token")
            .parameter("code_verifier")
            .unwrap()
            .to_owned();
        assert!((43..=128).contains(&verifier.len()), "{verifier}");
        assert_eq!(parameter("code_challenge").len(), 43);
        for value in [
            parameter("state"),
            parameter("nonce"),
            parameter("code_challenge"),
            verifier,
        ] {
            assert!(value.len() >= 22, "{value} is too short");
            assert!(!earlier_values.contains(&value), "{value} is repeated");
            earlier_values.push(value);
        }
    }
    // PKCE with S256 is also used with a provider that lists only weaker methods.
    let plain_only = crate::provider::Misbehavior::json("discovery", |metadata| {
        metadata["code_challenge_methods_supported"] = vec!["plain"].into();
    });
    provider.misbehave(plain_only);
    let menshen = provider.setup("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
    let request = provider.last_request("authorize");
    assert_eq!(request.parameter("code_challenge_method"), Some("S256"));
    assert!(
        provider
            .last_request("token")
            .parameter("code_verifier")
            .is_some()
    );
}

#[tokio::test]
async fn the_client_uses_an_authentication_method_of_the_provider() {
    let provider = Provider::new().await;
    let folder = TempFolder::new();
    let secret = "";
    for (proof, lines) in [
        (ClientAuth::SecretInHeaderOrForm, secret),
        (ClientAuth::SecretInHeader, secret),
        (ClientAuth::SecretInHeader, "client_auth = 'basic'"),
        (ClientAuth::SecretInForm, secret),
        (ClientAuth::SecretInForm, "client_auth = 'post'"),
    ] {
        provider.set(|settings| settings.client_auth = proof.clone());
        let menshen = provider.setup(lines).start().await;
        let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
        assert_signed_in_as(&page, "zhangsan");
        let request = provider.last_request("token");
        let in_form = request.parameter("client_secret") == Some(CLIENT_SECRET);
        assert_eq!(
            in_form,
            matches!(proof, ClientAuth::SecretInForm),
            "{proof:?}"
        );
    }
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let key = Key::generate(algorithm.parse().unwrap());
        let path = folder.write("client.key", &key.private_pem);
        provider
            .set(|settings| settings.client_auth = ClientAuth::PrivateKey(key.public_pem.clone()));
        let lines = format!("private_key = {{ file = '{}' }}", path.display());
        let menshen = provider.setup_with_client_lines(&lines).start().await;
        for _ in 0..2 {
            let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
            assert_signed_in_as(&page, "zhangsan");
        }
    }
    provider.set(|settings| settings.client_auth = ClientAuth::Public);
    let menshen = provider.setup_with_client_lines("").start().await;
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
    assert!(provider.last_request("token").authorization.is_none());
}

#[tokio::test]
async fn an_unknown_client_is_reported_as_misconfiguration() {
    let provider = Provider::new().await;
    let folder = TempFolder::new();
    let other = Key::generate(jsonwebtoken::Algorithm::ES256);
    let path = folder.write("client.key", &other.private_pem);
    let by_key = format!("private_key = {{ file = '{}' }}", path.display());
    let registered = Key::generate(jsonwebtoken::Algorithm::ES256).public_pem;
    for (proof, lines) in [
        (
            ClientAuth::SecretInHeaderOrForm,
            "client_secret = 'hunter2hunter2'",
        ),
        (
            ClientAuth::SecretInHeader,
            "client_secret = 'x'\nclient_auth = 'post'",
        ),
        (ClientAuth::SecretInHeaderOrForm, ""),
        (ClientAuth::PrivateKey(registered), by_key.as_str()),
    ] {
        provider.set(|settings| settings.client_auth = proof.clone());
        let menshen = provider.setup_with_client_lines(lines).start().await;
        let (browser, page) = sign_in(&provider, &menshen, "zhangsan").await;
        assert_eq!(
            page.cause(),
            Some(Cause::ProviderMisconfigured),
            "{proof:?}"
        );
        assert!(browser.cookie("menshen").is_none());
        let error = last_error(&menshen);
        assert!(
            error.contains("invalid_client") && error.contains("remedy: "),
            "{error}"
        );
        assert!(
            !error.contains("hunter2") && !error.contains("BEGIN"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_person_whom_the_provider_refuses_gets_no_session() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    provider.person("zhangsan").disabled(true);
    let (browser, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_eq!(
        (page.answer.status, page.cause()),
        (403, Some(Cause::LoginDeclined))
    );
    assert!(browser.cookie("menshen").is_none());
    provider.person("zhangsan").disabled(false);
    let (_, page) = sign_in(&provider, &menshen, "zhangsan").await;
    assert_signed_in_as(&page, "zhangsan");
}

#[tokio::test]
async fn an_expired_code_starts_one_more_login_automatically() {
    let provider = Provider::new().await;
    let menshen = provider.setup("").start().await;
    let mut browser = Browser::new(&menshen);
    let back = provider
        .callback_url(&mut browser, "keycloak", "zhangsan")
        .await;
    menshen.advance(Duration::from_secs(61));
    let page = browser.follow(&back).await;
    assert_signed_in_as(&page, "zhangsan");
    assert_eq!(provider.code_grants(), 2);
    // If the provider rejects every code, there are two logins and no more.
    provider.set(|settings| settings.code_lifetime_s = 0);
    let mut browser = Browser::new(&menshen);
    provider.start_session(&mut browser, "zhangsan");
    let page = browser.follow(&start_url("keycloak")).await;
    assert_eq!(page.cause(), Some(Cause::CodeRejectedTwice));
    assert_eq!(provider.code_grants(), 4);
    assert!(browser.cookie("menshen").is_none());
}
