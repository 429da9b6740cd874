//! A source closes an idle connection just as the next call is sent on it. Repeatable calls are repeated;
//! calls that redeem something are never sent twice.

use std::net::SocketAddr;
use std::time::Duration;

use menshen::face::page::Cause;
use serde_json::json;

use crate::browser::Browser;
use crate::logging_in::PHONE;
use crate::mirror;
use crate::oauth2;
use crate::provider::{self, Provider};
use crate::relay::{Cut, Relay, When};
use crate::setup::{HOME, Menshen, Setup, UNLIMITED};
use crate::test_request::TestRequest;
use crate::troubles::{self, DETAIL, MEMBER, REDEEM, TOKEN};

/// Logins within which every call must have used an idle connection.
const LOGINS_MAX: usize = 5;

fn address(url: &str) -> SocketAddr {
    url.trim_start_matches("http://").parse().unwrap()
}

/// An instance of menshen whose WeCom is reached through a relay.
async fn wecom(relay: &Relay, source: &Menshen) -> Menshen {
    let login = format!(
        "[connector.relayed]\nauto_login = \"never\"\n[connector.relayed.wecom]\n\
         corp_id = \"{corp}\"\nagent_id = {agent}\nsecret = \"{secret}\"\n\
         scope = \"snsapi_privateinfo\"\napi_base = \"{api}\"\n\
         authorize_url = \"{authorize}\"\nlogin_url = \"{login}\"\n",
        corp = crate::wecom::CORP_ID,
        agent = crate::wecom::AGENT_ID,
        secret = crate::wecom::SECRET,
        api = relay.url(),
        authorize = source.source.authorize_url(),
        login = source.source.login_url(),
    );
    Setup::default()
        .more(&format!("{login}{UNLIMITED}"))
        .start()
        .await
}

#[tokio::test]
async fn every_repeatable_call_of_a_wecom_login_survives_a_closed_connection() {
    let source = troubles::with_all_calls().await;
    let relay = Relay::to(address(&source.source.base_url())).await;
    let menshen = wecom(&relay, &source).await;
    let start = format!("{HOME}/.menshen/start?connector=relayed&rd=%2Fecho");
    let mut logins = 0;
    for call in [TOKEN, MEMBER, DETAIL, "/cgi-bin/department/list"] {
        for how in Cut::ALL {
            relay.cut(call, how, When::Reused);
            for login in 1.. {
                assert!(login <= LOGINS_MAX, "{call} was never asked twice");
                // The token and the departments are loaded again.
                menshen.advance(Duration::from_secs(7201));
                source.advance(Duration::from_secs(7201));
                let mut phone = Browser::new(&menshen).with_agent(PHONE);
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
    assert_eq!(source.source.calls(REDEEM), logins);
}

#[tokio::test]
async fn a_wecom_code_is_never_sent_twice() {
    let source = troubles::with_all_calls().await;
    let relay = Relay::to(address(&source.source.base_url())).await;
    let menshen = wecom(&relay, &source).await;
    let start = format!("{HOME}/.menshen/start?connector=relayed&rd=%2Fecho");
    for how in Cut::ALL {
        let before = source.source.calls(REDEEM);
        relay.cut(REDEEM, how, When::Always);
        let mut phone = Browser::new(&menshen).with_agent(PHONE);
        let page = troubles::agree(&mut phone, &start).await;
        assert_eq!(page.cause(), Some(Cause::SourceUnreachable), "{how:?}");
        assert_eq!(relay.cuts(), 1, "{how:?}");
        assert!(source.source.calls(REDEEM) <= before + 1, "{how:?}");
        relay.cut("/nowhere", how, When::Next);
        let page = troubles::agree(&mut phone, &start).await;
        assert_eq!(page.answer.status, 200, "{how:?}");
    }
}

#[tokio::test]
async fn every_repeatable_call_of_an_openid_login_survives_a_closed_connection() {
    let provider = Provider::new().await;
    let relay = Relay::to(provider.address()).await;
    let menshen = behind(&provider, &relay).await;
    let path = |name: &str| format!("/realms/corp{name}");
    let mut logins = 0;
    for how in Cut::ALL {
        for (name, when) in [
            ("/.well-known/openid-configuration", When::Next),
            ("/keys", When::Reused),
            ("/userinfo", When::Reused),
        ] {
            relay.cut(&path(name), how, when);
            for login in 1.. {
                assert!(login <= LOGINS_MAX, "{name} was never asked twice");
                // The metadata and the new key are loaded again.
                menshen.advance(Duration::from_secs(3601));
                provider.rotate(false);
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
    assert_eq!(provider.calls("code"), logins);
}

#[tokio::test]
async fn a_code_and_a_refresh_token_are_never_sent_twice() {
    let provider = Provider::new().await;
    let relay = Relay::to(provider.address()).await;
    let menshen = behind(&provider, &relay).await;
    for how in Cut::ALL {
        let before = provider.calls("code");
        relay.cut("/realms/corp/token", how, When::Always);
        let mut browser = Browser::new(&menshen);
        let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
        assert_eq!(page.cause(), Some(Cause::SourceUnreachable), "{how:?}");
        assert_eq!(relay.cuts(), 1, "{how:?}");
        assert!(provider.calls("code") <= before + 1, "{how:?}");

        relay.cut("/nowhere", how, When::Next);
        let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
        assert_eq!(page.answer.status, 200, "{how:?}");
        let before = provider.calls("refresh");
        menshen.advance(Duration::from_secs(301));
        relay.cut("/realms/corp/token", how, When::Always);
        browser.visit(&format!("{HOME}/echo")).await;
        assert_eq!(relay.cuts(), 1, "{how:?}");
        assert!(provider.calls("refresh") <= before + 1, "{how:?}");
        // The running calls have ended.
        menshen.advance(Duration::from_secs(3600));
    }
}

/// An instance of menshen that reaches its provider through a relay, and refreshes tokens.
async fn behind(provider: &Provider, relay: &Relay) -> Menshen {
    let more = format!("{}{UNLIMITED}", provider.toml("keycloak"));
    let head = "[connector.keycloak]\n";
    let more = more.replace(head, &format!("{head}{}", relay.as_proxy()));
    let routes = "[[route]]\nname = \"app\"\nhost = \"sso.test\"\nupstream = [\"{app}\"]\n\
                  pass_access_token = true\n";
    Setup::default()
        .clock(provider.clock())
        .more(&more)
        .routes(routes)
        .start()
        .await
}

#[tokio::test]
async fn a_profile_call_survives_a_closed_connection_and_the_code_is_sent_once() {
    let provider = oauth2::provider::Provider::start().await;
    let relay = Relay::to(address(provider.url())).await;
    let table = provider.table("gh", "", "");
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
        .more(&format!("{table}{UNLIMITED}"))
        .start()
        .await;
    let mut logins = 0;
    for how in Cut::ALL {
        relay.cut("/api/me", how, When::Reused);
        for login in 1.. {
            assert!(login <= LOGINS_MAX, "the profile call was never repeated");
            let page = Browser::new(&menshen).follow(&provider::start("gh")).await;
            logins += 1;
            assert_eq!(page.answer.status, 200, "{how:?}: {}", page.answer.text());
            if relay.cuts() > 0 {
                break;
            }
        }
        assert!(!relay.reused().contains(&"/token".to_owned()));
    }
    assert_eq!(provider.world().forms.len(), logins);
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
        .more(&format!(
            "{}{}",
            issuer("signed", ""),
            issuer("opaque", &introspection)
        ))
        .routes(&format!("{}{}", route("signed"), route("opaque")))
        .start()
        .await;
    for how in Cut::ALL {
        for (id, path) in [("signed", "/keys"), ("opaque", "/introspect")] {
            relay.cut(&format!("/realms/corp{path}"), how, When::Reused);
            for token in 1.. {
                assert!(token <= LOGINS_MAX, "{path} was never asked twice");
                ci.rotate(false);
                menshen.advance(Duration::from_secs(3601));
                let claims = ci.claims("zhangsan", "menshen");
                let token = format!("Bearer {}", ci.sign(&claims, &json!({})));
                let ask = TestRequest::get(&format!("/{id}")).header("Authorization", &token);
                let answer = ask.send(&menshen).await;
                // The provider reports the token as inactive; the call itself is what counts.
                let expected = if id == "signed" { 200 } else { 401 };
                assert_eq!(answer.status, expected, "{how:?} at {path}");
                if relay.cuts() > 0 {
                    break;
                }
            }
        }
    }
}
