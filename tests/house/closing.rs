//! A source closes an idle connection while the next call is sent on it. A call that may be repeated is
//! repeated; a call that redeems a code or token is never sent twice.

use std::net::SocketAddr;
use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::json;

use crate::browser::Browser;
use crate::logging_in::WECOM_PHONE_APP;
use crate::mirror;
use crate::oauth2;
use crate::provider::{self, OldKey, Provider};
use crate::relay::{Cut, CutOn, Relay};
use crate::setup::{Menshen, NO_LOGIN_LIMITS, SSO_URL, Setup};
use crate::test_request::TestRequest;
use crate::troubles::{self, DETAIL, MEMBER, REDEEM, TOKEN};

/// The number of logins within which each call is sent on an idle connection at least once.
const LOGINS_MAX: usize = 5;

fn socket_address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

/// An instance of menshen that reaches WeCom through a relay.
async fn start_with_relayed_wecom(relay: &Relay, source: &Menshen) -> Menshen {
    let login = format!(
        "[connector.relayed]\nauto_login = \"never\"\n[connector.relayed.wecom]\n\
         corp_id = \"{corp}\"\nagent_id = {agent}\nsecret = \"{secret}\"\n\
         scope = \"snsapi_privateinfo\"\napi_base = \"{api}\"\n\
         authorize_url = \"{authorize}\"\nlogin_url = \"{login}\"\n",
        corp = crate::wecom::CORP_ID,
        agent = crate::wecom::AGENT_ID,
        secret = crate::wecom::SECRET,
        api = relay.url(),
        authorize = source.wecom.authorize_url(),
        login = source.wecom.login_url(),
    );
    Setup::default()
        .tables(&format!("{login}{NO_LOGIN_LIMITS}"))
        .start()
        .await
}

#[tokio::test]
async fn every_repeatable_call_of_a_wecom_login_survives_a_closed_connection() {
    let source = troubles::start_with_logins_that_make_every_call().await;
    let relay = Relay::to(socket_address(&source.wecom.base_url())).await;
    let menshen = start_with_relayed_wecom(&relay, &source).await;
    let start = format!("{SSO_URL}/.menshen/start?connector=relayed&rd=%2Fecho");
    let mut logins = 0;
    for call in [TOKEN, MEMBER, DETAIL, "/cgi-bin/department/list"] {
        for how in Cut::ALL {
            relay.cut(call, how, CutOn::ReusedConnection);
            for login in 1.. {
                assert!(login <= LOGINS_MAX, "{call} was never repeated");
                // The token and the departments are loaded again.
                menshen.advance(Duration::from_secs(7201));
                source.advance(Duration::from_secs(7201));
                let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
                let page = troubles::agree(&mut phone, &start).await;
                logins += 1;
                assert_eq!(page.answer.status, 200, "{how:?} at {call}");
                assert!(!page.answer.echoed("x-forwarded-user").is_empty());
                if relay.cuts() > 0 {
                    break;
                }
            }
            assert!(!relay.reused().iter().any(|path| path == REDEEM));
        }
    }
    assert_eq!(source.wecom.calls(REDEEM), logins);
}

#[tokio::test]
async fn a_wecom_code_is_never_sent_twice() {
    let source = troubles::start_with_logins_that_make_every_call().await;
    let relay = Relay::to(socket_address(&source.wecom.base_url())).await;
    let menshen = start_with_relayed_wecom(&relay, &source).await;
    let start = format!("{SSO_URL}/.menshen/start?connector=relayed&rd=%2Fecho");
    for how in Cut::ALL {
        let before = source.wecom.calls(REDEEM);
        relay.cut(REDEEM, how, CutOn::EveryRequest);
        let mut phone = Browser::new(&menshen).with_user_agent(WECOM_PHONE_APP);
        let page = troubles::agree(&mut phone, &start).await;
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable), "{how:?}");
        assert_eq!(relay.cuts(), 1, "{how:?}");
        assert!(source.wecom.calls(REDEEM) <= before + 1, "{how:?}");
        relay.cut("/nowhere", how, CutOn::NextRequest);
        let page = troubles::agree(&mut phone, &start).await;
        assert_eq!(page.answer.status, 200, "{how:?}");
    }
}

#[tokio::test]
async fn every_repeatable_call_of_an_openid_login_survives_a_closed_connection() {
    let provider = Provider::new().await;
    let relay = Relay::to(provider.address()).await;
    let menshen = start_with_relayed_provider(&provider, &relay).await;
    let path = |name: &str| format!("/realms/corp{name}");
    let mut logins = 0;
    for how in Cut::ALL {
        for (name, when) in [
            ("/.well-known/openid-configuration", CutOn::NextRequest),
            ("/keys", CutOn::ReusedConnection),
            ("/userinfo", CutOn::ReusedConnection),
        ] {
            relay.cut(&path(name), how, when);
            for login in 1.. {
                assert!(login <= LOGINS_MAX, "{name} was never repeated");
                // The metadata and the new key are loaded again.
                menshen.advance(Duration::from_secs(3601));
                provider.rotate(OldKey::Removed);
                let mut browser = Browser::new(&menshen);
                let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
                logins += 1;
                assert_eq!(page.answer.status, 200, "{how:?} at {name}");
                if relay.cuts() > 0 {
                    break;
                }
            }
            assert!(!relay.reused().contains(&path("/token")));
        }
    }
    assert_eq!(provider.code_grants(), logins);
}

#[tokio::test]
async fn a_code_and_a_refresh_token_are_never_sent_twice() {
    let provider = Provider::new().await;
    let relay = Relay::to(provider.address()).await;
    let menshen = start_with_relayed_provider(&provider, &relay).await;
    for how in Cut::ALL {
        let before = provider.code_grants();
        relay.cut("/realms/corp/token", how, CutOn::EveryRequest);
        let mut browser = Browser::new(&menshen);
        let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
        assert_eq!(page.cause(), Some(Cause::ProviderUnreachable), "{how:?}");
        assert_eq!(relay.cuts(), 1, "{how:?}");
        assert!(provider.code_grants() <= before + 1, "{how:?}");

        relay.cut("/nowhere", how, CutOn::NextRequest);
        let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
        assert_eq!(page.answer.status, 200, "{how:?}");
        let before = provider.refresh_grants();
        menshen.advance(Duration::from_secs(301));
        relay.cut("/realms/corp/token", how, CutOn::EveryRequest);
        browser.visit(&format!("{SSO_URL}/echo")).await;
        assert_eq!(relay.cuts(), 1, "{how:?}");
        assert!(provider.refresh_grants() <= before + 1, "{how:?}");
        // The pause after the failed refresh ends.
        menshen.advance(Duration::from_secs(3600));
    }
}

/// An instance of menshen that reaches its provider through a relay, and refreshes tokens.
async fn start_with_relayed_provider(provider: &Provider, relay: &Relay) -> Menshen {
    let more = format!("{}{NO_LOGIN_LIMITS}", provider.toml("keycloak"));
    let head = "[connector.keycloak]\n";
    let more = more.replace(head, &format!("{head}{}", relay.as_proxy()));
    let routes = "[[route]]\nname = \"app\"\nhost = \"sso.test\"\nupstream = [\"{app}\"]\n\
                  pass_access_token = true\n";
    Setup::default()
        .clock(provider.clock())
        .tables(&more)
        .routes(routes)
        .start()
        .await
}

#[tokio::test]
async fn a_profile_call_survives_a_closed_connection_and_the_code_is_sent_once() {
    let provider = oauth2::provider::Provider::start().await;
    let relay = Relay::to(socket_address(provider.url())).await;
    let table = provider.connector_toml("gh", "", "");
    let table = table
        .replace(
            &format!("{}/token", provider.url()),
            &format!("{}/token", relay.url()),
        )
        .replace(
            &format!("{}/api/", provider.url()),
            &format!("{}/api/", relay.url()),
        );
    let menshen = Setup::default()
        .tables(&format!("{table}{NO_LOGIN_LIMITS}"))
        .start()
        .await;
    let mut logins = 0;
    for how in Cut::ALL {
        relay.cut("/api/me", how, CutOn::ReusedConnection);
        for login in 1.. {
            assert!(login <= LOGINS_MAX, "the profile call was never repeated");
            let page = Browser::new(&menshen)
                .follow(&provider::start_url("gh"))
                .await;
            logins += 1;
            assert_eq!(page.answer.status, 200, "{how:?}: {}", page.answer.text());
            if relay.cuts() > 0 {
                break;
            }
        }
        assert!(!relay.reused().contains(&"/token".to_owned()));
    }
    assert_eq!(provider.state().token_requests.len(), logins);
}

#[tokio::test]
async fn introspection_and_key_look_ups_survive_a_closed_connection() {
    let ci = Provider::new().await;
    let relay = Relay::to(ci.address()).await;
    let mirror = mirror::Mirror::start().await;
    let secret = serde_json::Value::from(provider::CLIENT_SECRET);
    let issuer = |id: &str, more: &str| {
        format!(
            "[issuer.{id}]\nurl = \"{}\"\naudiences = [\"menshen\"]\n{}{more}\n",
            ci.issuer(),
            relay.as_proxy()
        )
    };
    let introspection = format!(
        "[issuer.opaque.introspection]\nclient_id = \"{}\"\nclient_secret = {secret}\n",
        provider::CLIENT_ID
    );
    let route = |id: &str| {
        format!(
            "[[route]]\nname = \"{id}\"\nhost = \"sso.test\"\npath = \"/{id}\"\n\
             upstream = [\"{}\"]\nissuers = [\"{id}\"]\n",
            mirror.base_url()
        )
    };
    let menshen = Setup::default()
        .clock(ci.clock())
        .tables(&format!(
            "{}{}",
            issuer("signed", ""),
            issuer("opaque", &introspection)
        ))
        .routes(&format!("{}{}", route("signed"), route("opaque")))
        .start()
        .await;
    for how in Cut::ALL {
        for (id, path) in [("signed", "/keys"), ("opaque", "/introspect")] {
            relay.cut(&format!("/realms/corp{path}"), how, CutOn::ReusedConnection);
            for token in 1.. {
                assert!(token <= LOGINS_MAX, "{path} was never repeated");
                ci.rotate(OldKey::Removed);
                menshen.advance(Duration::from_secs(3601));
                let claims = ci.access_token_claims("zhangsan", "menshen");
                let token = format!("Bearer {}", ci.sign(&claims, &json!({})));
                let request = TestRequest::get(&format!("/{id}")).header("Authorization", &token);
                let answer = request.send(&menshen).await;
                // The provider reports an unknown token as inactive; only the call matters here.
                let expected = if id == "signed" { 200 } else { 401 };
                assert_eq!(answer.status, expected, "{how:?} at {path}");
                if relay.cuts() > 0 {
                    break;
                }
            }
        }
    }
}
