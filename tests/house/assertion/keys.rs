//! The public keys for assertions: served on every host, and rotated with an overlap.

use menshen::keys::generate;
use serde_json::{Value, json};

use super::{AssertionEnv, decode_part, keys_setting, setup, verify_as_application};
use crate::test_request::{TestRequest, session_cookie_of};
use crate::wire::Answer;

const JWKS_PATH: &str = "/.menshen/jwks.json";

fn key_ids(answer: &Answer) -> Vec<Value> {
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    keys.into_iter().map(|key| key["kid"].clone()).collect()
}

#[tokio::test]
async fn the_public_keys_are_served_to_anybody_on_every_host() {
    let (one, two) = (generate(), generate());
    let env = AssertionEnv::start(&keys_setting(&[&one, &two])).await;
    let first = TestRequest::get(JWKS_PATH).send(&env.menshen).await;
    for host in ["sso.test", "oa.test", "127.0.0.1", "nobody.test"] {
        for request in [
            TestRequest::get(JWKS_PATH),
            TestRequest::get(JWKS_PATH).navigating(),
            TestRequest::get(JWKS_PATH).session("x"),
        ] {
            let answer = request.host(host).send(&env.menshen).await;
            assert_eq!((answer.status, &answer.body), (200, &first.body), "{host}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("cache-control"), Some("public, max-age=300"));
            assert_eq!(answer.header("set-cookie"), None, "{host}");
        }
    }
    let document = first.json();
    let members: Vec<_> = document.as_object().unwrap().keys().collect();
    assert_eq!(members, ["keys"]);
    let keys = document["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        // In particular not `d`, the private key.
        let members: Vec<_> = key.as_object().unwrap().keys().collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert_eq!(key["x"].as_str().unwrap().len(), 43);
        assert_eq!(key["y"].as_str().unwrap().len(), 43);
        let parameters = ["alg", "crv", "kty", "use"].map(|name| key[name].clone());
        assert_eq!(
            parameters,
            ["ES256", "P-256", "EC", "sig"].map(|parameters| json!(parameters))
        );
    }
    assert_ne!(keys[0]["kid"], keys[1]["kid"]);
    for key in [one, two] {
        assert!(!first.text().contains(key.expose().as_str()));
    }
}

#[tokio::test]
async fn the_keys_are_served_to_get_and_head_only() {
    let env = AssertionEnv::start("").await;
    let head = TestRequest::get(JWKS_PATH)
        .method("HEAD")
        .send(&env.menshen)
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("cache-control"), Some("public, max-age=300"));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = TestRequest::get(JWKS_PATH)
            .method(method)
            .send(&env.menshen)
            .await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{method}");
    }
    for path in ["/.menshen/jwks.json/x", "/.menshen/jwks", "/jwks.json/"] {
        let answer = TestRequest::get(path).send(&env.menshen).await;
        assert_ne!(
            answer.header("cache-control"),
            Some("public, max-age=300"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn assertions_verify_with_the_keys_of_every_node() {
    let (one, two) = (generate(), generate());
    let envs = [
        AssertionEnv::start(&keys_setting(&[&one, &two])).await,
        AssertionEnv::start(&keys_setting(&[&two, &one])).await,
    ];
    for (signing, verifying) in [(0, 1), (1, 0)] {
        let cookie = session_cookie_of(&envs[signing].menshen, "zhangsan").await;
        let token = envs[signing].assertion_at("/x", &cookie).await.unwrap();
        let keys = envs[verifying].keys().await;
        assert!(verify_as_application(&keys, &token, "sso.test").is_ok());
    }
}

#[tokio::test]
async fn keys_are_rotated_with_an_overlap() {
    let (old, new) = (generate(), generate());
    let env = AssertionEnv::start(&keys_setting(&[&old])).await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let before = env.assertion_at("/x", &cookie).await.unwrap();
    let with = |keys: &str| setup(&env.mirror, keys);
    // A reload without changes keeps cached assertions.
    env.menshen
        .reload(&with(&keys_setting(&[&old])))
        .await
        .unwrap();
    assert_eq!(env.assertion_at("/x", &cookie).await.unwrap(), before);
    // The new key is published before it signs.
    env.menshen
        .reload(&with(&keys_setting(&[&old, &new])))
        .await
        .unwrap();
    assert_eq!(env.assertion_at("/x", &cookie).await.unwrap(), before);
    let announced = TestRequest::get(JWKS_PATH).send(&env.menshen).await;
    assert_eq!(key_ids(&announced).len(), 2);
    // The new key signs, and the old one still verifies.
    env.menshen
        .reload(&with(&keys_setting(&[&new, &old])))
        .await
        .unwrap();
    let after = env.assertion_at("/x", &cookie).await.unwrap();
    assert_eq!(decode_part(&before, 0)["kid"], key_ids(&announced)[0]);
    assert_eq!(decode_part(&after, 0)["kid"], key_ids(&announced)[1]);
    let keys = env.keys().await;
    for token in [&before, &after] {
        assert!(verify_as_application(&keys, token, "sso.test").is_ok());
    }
    // Only the new key is left. The old one signed the cookie too, so the person must log in again.
    env.menshen
        .reload(&with(&keys_setting(&[&new])))
        .await
        .unwrap();
    let keys = env.keys().await;
    assert_eq!(keys.keys.len(), 1);
    assert!(verify_as_application(&keys, &before, "sso.test").is_err());
    assert!(verify_as_application(&keys, &after, "sso.test").is_ok());
}

#[tokio::test]
async fn a_changed_external_url_changes_the_issuer_at_once() {
    let env = AssertionEnv::start(&keys_setting(&[&generate()])).await;
    let cookie = session_cookie_of(&env.menshen, "zhangsan").await;
    let before = env.assertion_at("/x", &cookie).await.unwrap();
    assert_eq!(decode_part(&before, 1)["iss"], "http://sso.test");
    let keys = env.menshen.setup.clone();
    let moved = keys.external_url("http://login.test:8080");
    env.menshen.reload(&moved).await.unwrap();
    let after = env.assertion_at("/x", &cookie).await.unwrap();
    assert_eq!(decode_part(&after, 1)["iss"], "http://login.test:8080");
    assert_eq!(decode_part(&after, 0), decode_part(&before, 0));
}
