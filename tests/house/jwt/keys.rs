//! The keys that verify tokens: several of them, certificates, and those that the portal publishes.

use jsonwebtoken::Algorithm;
use menshen::face::page::Cause;
use serde_json::{Value, json};

use super::portal::Portal;
use super::{ID, assert_refused, follow_link, sets_session, sign_in};
use crate::browser::Browser;
use crate::provider::Key;
use crate::setup::{Menshen, NO_LOGIN_LIMITS, Setup};
use crate::upstream::{Reply, TempFolder, Upstream, ok_with_headers};

fn setup_with(portal: &Portal, key: &str) -> Setup {
    let tables = portal.connector_toml_with(ID, key, "");
    Setup::default().tables(&format!("{NO_LOGIN_LIMITS}\n{tables}"))
}

#[tokio::test]
async fn each_key_of_a_list_verifies_and_a_removed_one_does_not() {
    for algorithm in [Algorithm::HS256, Algorithm::ES256] {
        let (old, new) = (
            Portal::with_algorithm(algorithm),
            Portal::with_algorithm(algorithm),
        );
        let list = |keys: &[&Portal]| {
            let keys = keys
                .iter()
                .map(|key| format!("'''{}'''", key.verifying_key));
            let keys: Vec<_> = keys.collect();
            setup_with(&new, &format!("key = [{}]", keys.join(", ")))
        };
        let menshen = list(&[&old, &new]).start().await;
        sign_in(&menshen, &old.sign(&old.claims())).await;
        sign_in(&menshen, &new.sign(&new.claims())).await;
        let stranger = Portal::with_algorithm(algorithm);
        let forged = stranger.sign(&old.claims());
        assert_refused(&menshen, &forged, "signature is wrong", "a stranger").await;
        menshen.reload(&list(&[&new])).await.unwrap();
        let late = old.sign(&old.claims());
        assert_refused(&menshen, &late, "signature is wrong", "the old key").await;
        sign_in(&menshen, &new.sign(&new.claims())).await;
    }
}

#[tokio::test]
async fn a_key_file_is_read_again_at_a_reload() {
    for algorithm in [Algorithm::HS256, Algorithm::EdDSA] {
        let folder = TempFolder::new();
        let (old, new) = (
            Portal::with_algorithm(algorithm),
            Portal::with_algorithm(algorithm),
        );
        let path = folder.write("portal.key", &old.verifying_key);
        let key = format!("key = {{ file = '{}' }}", path.display());
        let setup = setup_with(&old, &key);
        let menshen = setup.clone().start().await;
        sign_in(&menshen, &old.sign(&old.claims())).await;
        folder.write("portal.key", &new.verifying_key);
        menshen.reload(&setup).await.unwrap();
        sign_in(&menshen, &new.sign(&new.claims())).await;
        let late = old.sign(&old.claims());
        assert_refused(&menshen, &late, "signature is wrong", "the old key").await;
        // A key that cannot be used leaves the old one in force.
        folder.write("portal.key", "short");
        let error = menshen.reload(&setup).await.unwrap_err();
        assert!(error.contains("jwt.key (number 1)"), "{error}");
        sign_in(&menshen, &new.sign(&new.claims())).await;
    }
}

#[tokio::test]
async fn a_certificate_verifies_like_its_key() {
    for algorithm in [
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ] {
        let portal = Portal::with_algorithm(algorithm);
        let pair = rcgen::KeyPair::from_pem(&portal.private_pem).unwrap();
        let parameters = rcgen::CertificateParams::new(vec!["portal.test".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&pair).unwrap().pem();
        let menshen = setup_with(&portal, &format!("key = '''{certificate}'''"));
        let menshen = menshen.start().await;
        sign_in(&menshen, &portal.sign(&portal.claims())).await;
        let forged = Portal::with_algorithm(algorithm).sign(&portal.claims());
        let what = format!("{algorithm:?}");
        assert_refused(&menshen, &forged, "signature is wrong", &what).await;
    }
}

#[tokio::test]
async fn a_secret_in_base64_is_the_secret() {
    use base64::Engine as _;
    let secret = menshen::keys::random::<32>();
    let text = base64::engine::general_purpose::STANDARD.encode(secret);
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let key = format!("key = '{text}'\nkey_encoding = 'base64'");
    let menshen = setup_with(&portal, &key).start().await;
    let right = jsonwebtoken::EncodingKey::from_secret(&secret);
    let header = jsonwebtoken::Header::new(Algorithm::HS256);
    let token = jsonwebtoken::encode(&header, &portal.claims(), &right).unwrap();
    sign_in(&menshen, &token).await;
    let as_text = Portal::with_secret(Algorithm::HS256, &text).sign(&portal.claims());
    assert_refused(&menshen, &as_text, "signature is wrong", "the text itself").await;
}

/// A portal that publishes its keys, and menshen with its URL.
async fn with_published(keys: &[Value]) -> (Menshen, PublishedKeys) {
    let published = PublishedKeys::start(keys).await;
    let tables = format!(
        "{NO_LOGIN_LIMITS}\n[connector.{ID}.jwt]\nalgorithm = 'ES256'\njwks_url = '{}/keys'\n\
         issuer = 'portal'\naudience = 'menshen'\norigins = ['https://portal.test']\n",
        published.upstream.url()
    );
    let menshen = Setup::default().tables(&tables).start().await;
    (menshen, published)
}

/// A server with a set of keys.
struct PublishedKeys {
    upstream: Upstream,
    keys: std::sync::Arc<std::sync::Mutex<Option<Value>>>,
}

impl PublishedKeys {
    async fn start(keys: &[Value]) -> Self {
        let keys = std::sync::Arc::new(std::sync::Mutex::new(Some(json!({ "keys": keys }))));
        let shared = std::sync::Arc::clone(&keys);
        let upstream = Upstream::start(move |_| {
            let keys = shared.lock().unwrap().clone();
            match keys {
                Some(keys) => Reply::KeepAlive(ok_with_headers(
                    "Content-Type: application/json\r\n",
                    keys.to_string(),
                )),
                None => Reply::Close(b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n".to_vec()),
            }
        })
        .await;
        Self { upstream, keys }
    }

    fn publish(&self, keys: Option<&[Value]>) {
        *self.keys.lock().unwrap() = keys.map(|keys| json!({ "keys": keys }));
    }
}

#[tokio::test]
async fn published_keys_verify_and_a_new_one_is_fetched() {
    let claims = || Portal::with_algorithm(Algorithm::HS256).claims();
    let (old, new) = (
        Key::generate(Algorithm::ES256),
        Key::generate(Algorithm::ES256),
    );
    let secret = json!({
        "kty": "oct", "kid": "s", "alg": "HS256",
        "k": "c2l4dHktZm91ci1jaGFyYWN0ZXJzLW9mLWEtc2VjcmV0LXRoYXQtZXZlcnlib2R5LWtub3dz",
    });
    let (menshen, published) = with_published(&[old.jwk(), secret]).await;
    sign_in(&menshen, &old.sign(&claims(), &json!({}))).await;
    let early = new.sign(&claims(), &json!({}));
    assert_refused(&menshen, &early, "has no key key-", "an unpublished key").await;
    // A published secret is known to everybody.
    let known = "sixty-four-characters-of-a-secret-that-everybody-knows";
    let forged = Portal::with_secret(Algorithm::HS256, known);
    let forged = forged.sign_with(&json!({ "kid": "s" }), &claims());
    assert_refused(
        &menshen,
        &forged,
        "its algorithm HS256",
        "a published secret",
    )
    .await;
    published.publish(Some(&[new.jwk()]));
    sign_in(&menshen, &new.sign(&claims(), &json!({}))).await;
    let late = old.sign(&claims(), &json!({}));
    assert_refused(&menshen, &late, "has no key key-", "the removed key").await;
}

#[tokio::test]
async fn without_the_published_keys_nobody_comes_in_and_the_token_stays_good() {
    let key = Key::generate(Algorithm::ES256);
    let (menshen, published) = with_published(&[key.jwk()]).await;
    published.publish(None);
    let claims = Portal::with_algorithm(Algorithm::HS256).claims();
    let token = key.sign(&claims, &json!({}));
    let answer = follow_link(&mut Browser::new(&menshen), &token).await;
    assert_eq!(
        answer.cause(),
        Some(Cause::ProviderUnreachable),
        "{}",
        answer.text()
    );
    assert!(!sets_session(&answer));
    published.publish(Some(&[key.jwk()]));
    menshen.advance(std::time::Duration::from_secs(3));
    sign_in(&menshen, &token).await;
}
