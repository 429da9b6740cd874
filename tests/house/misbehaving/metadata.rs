//! Invalid provider metadata.

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::{Row, assert_all_refused, assert_refusal_page, browser_with_language, row_with};
use crate::browser::Browser;
use crate::provider::{Misbehavior, Provider, start_url};
use crate::raw_connection::RawConnection;
use crate::tls;
use crate::upstream::TempFolder;

/// Replaces a member of the metadata; null removes it.
fn with_member(what: &'static str, name: &'static str, value: Value, reason: &'static str) -> Row {
    let change = move |provider: &Provider| {
        let value = value.clone();
        provider.misbehave(Misbehavior::json("discovery", move |metadata| {
            let members = metadata.as_object_mut().unwrap();
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.to_owned(), value.clone());
            }
        }));
    };
    row_with(what, change, Cause::ProviderMisconfigured, reason)
}

#[tokio::test]
async fn metadata_of_another_issuer_or_without_required_members_is_refused() {
    let rows = vec![
        with_member(
            "another issuer",
            "issuer",
            json!("https://evil.test"),
            "https://evil.test",
        ),
        with_member("no issuer", "issuer", Value::Null, "issuer"),
        with_member(
            "an issuer that is not a string",
            "issuer",
            json!(["x"]),
            "issuer",
        ),
        with_member("no keys", "jwks_uri", Value::Null, "jwks_uri"),
        with_member(
            "a relative URL of the keys",
            "jwks_uri",
            json!("/keys"),
            "jwks_uri",
        ),
        with_member(
            "keys in a file",
            "jwks_uri",
            json!("file:///etc/passwd"),
            "jwks_uri",
        ),
        with_member(
            "keys with credentials",
            "jwks_uri",
            json!("http://a:b@127.0.0.1/keys"),
            "jwks_uri",
        ),
        with_member(
            "a script as login page",
            "authorization_endpoint",
            json!("javascript:alert(1)"),
            "authorization_endpoint",
        ),
        with_member(
            "a token endpoint that is a number",
            "token_endpoint",
            json!(7),
            "token_endpoint",
        ),
    ];
    assert_all_refused(Algorithm::ES256, rows).await;
}

/// Metadata is cached for an hour, so each row has its own instance.
#[tokio::test]
async fn metadata_without_a_needed_endpoint_is_reported_in_the_log() {
    for (name, language) in [
        ("authorization_endpoint", "zh-CN"),
        ("token_endpoint", "en"),
    ] {
        let provider = Provider::new().await;
        let row = with_member("a missing endpoint", name, Value::Null, name);
        (row.misbehave)(&provider);
        let menshen = provider.setup("").start().await;
        let mut browser = browser_with_language(&menshen, language);
        let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
        assert_refusal_page(&menshen, &browser, &page, &row, language);
        assert_eq!(provider.calls("token"), 0);
        provider.behave();
        let menshen = provider.setup("").start().await;
        let mut browser = Browser::new(&menshen);
        let page = provider.sign_in(&mut browser, "keycloak", "zhangsan").await;
        assert_eq!(page.answer.status, 200);
    }
}

#[tokio::test]
async fn an_https_provider_cannot_name_http_endpoints() {
    let folder = TempFolder::new();
    let (provider, certificate) = Provider::over_tls(&folder).await;
    let plain = Provider::start(provider.clock(), Algorithm::ES256).await;
    let ca = format!(
        "[connector.keycloak]\nca = '{}'",
        folder.path("op.pem").display()
    );
    let with_ca = |text: String| text.replace("[connector.keycloak]", &ca);
    for name in [
        "jwks_uri",
        "token_endpoint",
        "userinfo_endpoint",
        "authorization_endpoint",
    ] {
        let row = with_member("plain http", name, json!(plain.url("/keys")), name);
        (row.misbehave)(&provider);
        let tables = with_ca(provider.toml("keycloak"));
        let menshen = crate::setup::Setup::default()
            .clock(provider.clock())
            .tables(&tables)
            .start()
            .await;
        let mut browser = browser_with_language(&menshen, "en");
        let page = browser.follow(&start_url("keycloak")).await;
        assert_refusal_page(&menshen, &browser, &page, &row, "en");
        provider.behave();
        // With https endpoints the login succeeds.
        menshen.advance(std::time::Duration::from_secs(3));
        let back = {
            let answer = browser.visit(&start_url("keycloak")).await;
            let to = url::Url::parse(answer.header("location").unwrap()).unwrap();
            let stream = tls::connect(provider.address(), "127.0.0.1", &certificate, b"http/1.1");
            let mut connection = RawConnection::over(stream.await.unwrap());
            let target = format!("{}?{}", to.path(), to.query().unwrap());
            connection
                .send(format!("GET {target} HTTP/1.1\r\nHost: op\r\n\r\n"))
                .await;
            connection
                .read_answer()
                .await
                .header("location")
                .unwrap()
                .to_owned()
        };
        let page = browser.follow(&back).await;
        assert_eq!(
            page.answer.echoed("x-forwarded-user"),
            ["zhangsan"],
            "{name}"
        );
    }
    assert_eq!(plain.calls("keys"), 0);
    // Without trust in the certificate there is no connection.
    let menshen = provider.setup("").start().await;
    let mut browser = Browser::new(&menshen);
    let page = browser.follow(&start_url("keycloak")).await;
    assert_eq!(page.cause(), Some(Cause::ProviderUnreachable));
}
