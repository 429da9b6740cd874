//! Keycloak as a SAML identity provider: the server of the OpenID Connect tests, and a realm for each test.

use menshen::face::page::Cause;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::op::Stage;
use super::super::op::keycloak::{self, Realm};
use super::super::processes::until;
use super::super::visitor::{Page, Visitor, echoed};
use super::super::webdriver::{Browser, BrowserOptions};
use super::{
    DEEP, Keys, assert_signed_in, is_signed_in, new_visitor, open, own_metadata, pass_on, sign_out,
};

/// What Keycloak takes from no metadata: the person is named by the user name, and what is signed.
fn attributes() -> Value {
    json!({
        "saml.server.signature": "true",
        "saml.assertion.signature": "true",
        "saml.encrypt": "false",
        "saml.client.signature": "true",
        "saml.force.post.binding": "true",
        "saml.signature.algorithm": "RSA_SHA256",
        "saml.authnstatement": "true",
        "saml_name_id_format": "username",
        "saml_force_name_id_format": "true",
    })
}

/// menshen as a client of a realm.
struct Stand {
    realm: Realm,
    stage: Stage,
    client: Value,
    _keys: Keys,
}

impl Stand {
    /// Starts menshen with these lines of its connector, and imports its metadata into Keycloak.
    async fn start(lines: &str) -> Self {
        let (realm, keys) = (Realm::new(), Keys::new());
        let descriptor = format!("{}/protocol/saml/descriptor", realm.issuer);
        let stage = Stage::start_secure_with(&keys.tables(&descriptor, lines)).await;
        realm.open(&stage.url).await;
        let mut client = realm.client_of_metadata(own_metadata(&stage).await).await;
        client["protocolMappers"] = json!([
            mapper(
                "mail",
                "saml-user-property-mapper",
                json!({ "user.attribute": "email" })
            ),
            mapper(
                "displayName",
                "saml-user-property-mapper",
                json!({ "user.attribute": "lastName" })
            ),
            mapper(
                "groups",
                "saml-group-membership-mapper",
                json!({ "full.path": "false" })
            ),
        ]);
        merge(&mut client["attributes"], &attributes());
        client["frontchannelLogout"] = json!(true);
        realm
            .of_realm(Method::POST, "/clients", Some(&client))
            .await;
        let all = realm.of_realm(Method::GET, "/clients", None).await;
        let mut all = all.as_array().unwrap().iter();
        let client = all
            .find(|it| it["clientId"] == client["clientId"])
            .unwrap()
            .clone();
        Self {
            realm,
            stage,
            client,
            _keys: keys,
        }
    }

    /// Changes attributes of the client.
    async fn set(&self, attributes: Value) {
        let mut client = self.client.clone();
        merge(&mut client["attributes"], &attributes);
        let path = format!("/clients/{}", client["id"].as_str().unwrap());
        self.realm.of_realm(Method::PUT, &path, Some(&client)).await;
    }

    /// Lets Keycloak send its logout requests to menshen itself, not through the browser.
    async fn use_back_channel(&self) {
        let mut client = self.client.clone();
        client["frontchannelLogout"] = json!(false);
        let path = format!("/clients/{}", client["id"].as_str().unwrap());
        self.realm.of_realm(Method::PUT, &path, Some(&client)).await;
    }

    /// Signs in at Keycloak's page, from the requested URL to the final page.
    async fn sign_in(&self, visitor: &mut Visitor, person: &str) -> Page {
        let page = open(&self.stage, visitor, DEEP).await;
        let password = format!("{person}-password");
        let filled = [("username", person), ("password", &password)];
        let page = visitor.submit(&page, &filled).await;
        pass_on(visitor, page).await
    }
}

fn mapper(name: &str, kind: &str, more: Value) -> Value {
    let mut config = json!({ "attribute.name": name, "attribute.nameformat": "Basic" });
    merge(&mut config, &more);
    json!({ "name": name, "protocol": "saml", "protocolMapper": kind, "config": config })
}

fn merge(into: &mut Value, more: &Value) {
    for (name, value) in more.as_object().unwrap() {
        into[name] = value.clone();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keycloak_imports_our_metadata_and_every_signature_signs_in() {
    for binding in ["redirect", "post"] {
        let stand = Stand::start(&format!("binding = '{binding}'")).await;
        for (response, assertion, algorithm) in [
            (true, false, "RSA_SHA256"),
            (false, true, "RSA_SHA256"),
            (true, true, "RSA_SHA256"),
            (true, true, "RSA_SHA512"),
        ] {
            stand
                .set(json!({
                    "saml.server.signature": response.to_string(),
                    "saml.assertion.signature": assertion.to_string(),
                    "saml.signature.algorithm": algorithm,
                }))
                .await;
            let what = format!("{binding} {response} {assertion} {algorithm}");
            let page = stand.sign_in(&mut new_visitor(), "zhangsan").await;
            assert_signed_in(&stand.stage, &page, &what);
            let header = |name: &str| echoed(&page.body, &format!("x-forwarded-{name}"));
            assert_eq!(header("email"), ["zhangsan@corp.example"], "{what}");
            assert_eq!(header("name"), ["%E5%BC%A0"], "{what}");
            // Keycloak sends an attribute for each group, in any order.
            let mut groups: Vec<_> = header("groups")[0].split(',').map(str::to_owned).collect();
            groups.sort_unstable();
            let platform = "%E5%B9%B3%E5%8F%B0%E7%BB%84";
            assert_eq!(groups, [platform, "%E8%B4%A2%E5%8A%A1%E9%83%A8"], "{what}");
        }
        let unsigned =
            json!({ "saml.server.signature": "false", "saml.assertion.signature": "false" });
        stand.set(unsigned).await;
        let mut visitor = new_visitor();
        let page = stand.sign_in(&mut visitor, "zhangsan").await;
        assert_eq!(
            page.cause(),
            Some(Cause::InvalidProviderResponse),
            "{}",
            page.body
        );
        assert!(!is_signed_in(&stand.stage, &visitor).await);
    }
}

/// Keycloak 26.0 encrypts with AES-CBC, whatever the metadata offers.
#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_assertion_of_keycloak_needs_allow_cbc_and_a_signed_response() {
    for (lines, response, is_accepted) in [
        ("", "true", false),
        ("allow_cbc = true", "false", false),
        ("allow_cbc = true\nencrypted = 'required'", "true", true),
    ] {
        let stand = Stand::start(lines).await;
        stand
            .set(json!({ "saml.encrypt": "true", "saml.server.signature": response }))
            .await;
        let mut visitor = new_visitor();
        let page = stand.sign_in(&mut visitor, "zhangsan").await;
        if is_accepted {
            assert_signed_in(&stand.stage, &page, lines);
        } else {
            let cause = page.cause();
            assert_eq!(
                cause,
                Some(Cause::InvalidProviderResponse),
                "{lines}: {}",
                page.body
            );
            assert!(!is_signed_in(&stand.stage, &visitor).await, "{lines}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keycloak_may_rotate_its_keys_between_logins() {
    let stand = Stand::start("").await;
    for change in ["none", "softly", "hard"] {
        match change {
            "softly" => stand.realm.add_key().await,
            "hard" => stand.realm.forget_first_key().await,
            _ => {}
        }
        stand.stage.advance(11);
        let page = stand.sign_in(&mut new_visitor(), "zhangsan").await;
        assert_signed_in(&stand.stage, &page, change);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_here_signs_out_at_keycloak() {
    for binding in ["redirect", "post"] {
        let stand = Stand::start("").await;
        let force_post = json!({ "saml.force.post.binding": (binding == "post").to_string() });
        stand.set(force_post).await;
        let mut visitor = new_visitor();
        let page = stand.sign_in(&mut visitor, "zhangsan").await;
        assert_signed_in(&stand.stage, &page, "before");
        let copy = visitor.clone();
        let page = sign_out(&stand.stage, &mut visitor).await;
        assert_eq!(page.status, 200, "{binding}: {}", page.body);
        assert!(
            page.url.as_str().starts_with(&stand.stage.url),
            "{}",
            page.url
        );
        assert!(page.body.contains("已退出"), "{binding}: {}", page.body);
        assert!(!is_signed_in(&stand.stage, &copy).await, "{binding}");
        // Keycloak asks for the password again.
        let page = open(&stand.stage, &mut visitor, DEEP).await;
        assert!(
            page.url.as_str().starts_with(&stand.realm.issuer),
            "{}",
            page.url
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_at_keycloak_ends_the_session_here() {
    for binding in ["redirect", "post"] {
        let stand = Stand::start("").await;
        let force_post = json!({ "saml.force.post.binding": (binding == "post").to_string() });
        stand.set(force_post).await;
        let (mut visitor, mut stays) = (new_visitor(), new_visitor());
        for one in [&mut visitor, &mut stays] {
            let page = stand.sign_in(one, "zhangsan").await;
            assert_signed_in(&stand.stage, &page, "before");
        }
        // The person confirms the logout on a page of Keycloak, which sends the browser to menshen and back.
        let logout = format!("{}/protocol/openid-connect/logout", stand.realm.issuer);
        let page = visitor.open(&logout).await;
        let page = visitor.submit(&page, &[]).await;
        let page = pass_on(&mut visitor, page).await;
        assert!(
            page.url.as_str().starts_with(&stand.realm.issuer),
            "{}",
            page.url
        );
        assert!(
            !is_signed_in(&stand.stage, &visitor).await,
            "{binding}: {}",
            page.body
        );
        assert!(is_signed_in(&stand.stage, &stays).await, "{binding}");
        let ours = visitor.visited.iter();
        let mut ours = ours.filter(|url| url.path() == "/.menshen/saml/corp/logout");
        assert!(ours.next().is_some(), "{:?}", visitor.visited);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keycloak_ends_sessions_through_the_back_channel() {
    let stand = Stand::start("").await;
    stand.use_back_channel().await;
    let (mut visitor, mut second, mut stays) = (new_visitor(), new_visitor(), new_visitor());
    for (one, person) in [
        (&mut visitor, "zhangsan"),
        (&mut second, "zhangsan"),
        (&mut stays, "lisi"),
    ] {
        stand.sign_in(one, person).await;
        assert!(is_signed_in(&stand.stage, one).await, "{person}");
    }
    // The person, in one browser: only the session of that browser ends.
    let logout = format!("{}/protocol/openid-connect/logout", stand.realm.issuer);
    let page = visitor.open(&logout).await;
    visitor.submit(&page, &[]).await;
    until("the person's logout", async || {
        !is_signed_in(&stand.stage, &visitor).await
    })
    .await;
    let ours = visitor.visited.iter();
    let mut ours = ours.filter(|url| url.path() == "/.menshen/saml/corp/logout");
    assert!(ours.next().is_none(), "{:?}", visitor.visited);
    assert!(is_signed_in(&stand.stage, &second).await);
    // An administrator, who has no browser of the person.
    stand.realm.end_sessions("zhangsan").await;
    until("the administrator's logout", async || {
        !is_signed_in(&stand.stage, &second).await
    })
    .await;
    assert!(is_signed_in(&stand.stage, &stays).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_and_out_with_chromium() {
    let stand = Stand::start("").await;
    let options = BrowserOptions {
        accepts_any_certificate: true,
        ..BrowserOptions::default()
    };
    let browser = Browser::start(&options).await;
    browser.open(&stand.stage.at(DEEP)).await;
    keycloak::sign_in(&browser, "zhangsan").await;
    let there = async || browser.url().await == stand.stage.at(DEEP);
    browser.until(DEEP, there).await;
    let echo = browser.text().await;
    assert_eq!(echoed(&echo, "x-forwarded-user"), ["zhangsan"]);
    browser.open(&stand.stage.at("/.menshen/sign_out")).await;
    until("the signed-out page", async || {
        browser.text().await.contains("已退出")
    })
    .await;
    assert!(browser.url().await.starts_with(&stand.stage.url));
    browser.open(&stand.stage.at(DEEP)).await;
    let text = browser.text().await;
    assert!(!text.contains("x-forwarded-user"), "{text}");
}
