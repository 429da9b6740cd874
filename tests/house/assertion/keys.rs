//! The keys by which assertions are verified: public, on every host, and with overlap.

use menshen::keys::generate;
use serde_json::{Value, json};

use super::{Desk, part, ring, setup, verified};
use crate::test_request::{TestRequest, signed_in};
use crate::wire::Answer;

const PATH: &str = "/.menshen/jwks.json";

fn ids(answer: &Answer) -> Vec<Value> {
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    keys.into_iter().map(|key| key["kid"].clone()).collect()
}

#[tokio::test]
async fn the_keys_are_public_halves_that_anybody_may_read_on_every_host() {
    let (one, two) = (generate(), generate());
    let desk = Desk::open(&ring(&[&one, &two])).await;
    let first = TestRequest::get(PATH).send(&desk.menshen).await;
    for host in ["sso.test", "oa.test", "127.0.0.1", "nobody.test"] {
        for ask in [
            TestRequest::get(PATH),
            TestRequest::get(PATH).navigating(),
            TestRequest::get(PATH).session("x"),
        ] {
            let answer = ask.host(host).send(&desk.menshen).await;
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
        // Nothing else: `d` would be the private half.
        let members: Vec<_> = key.as_object().unwrap().keys().collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert_eq!(key["x"].as_str().unwrap().len(), 43);
        assert_eq!(key["y"].as_str().unwrap().len(), 43);
        let told = ["alg", "crv", "kty", "use"].map(|name| key[name].clone());
        assert_eq!(
            told,
            ["ES256", "P-256", "EC", "sig"].map(|told| json!(told))
        );
    }
    assert_ne!(keys[0]["kid"], keys[1]["kid"]);
    for key in [one, two] {
        assert!(!first.text().contains(key.expose().as_str()));
    }
}

#[tokio::test]
async fn the_keys_are_read_by_get_and_head_only() {
    let desk = Desk::open("").await;
    let head = TestRequest::get(PATH)
        .method("HEAD")
        .send(&desk.menshen)
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("cache-control"), Some("public, max-age=300"));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let answer = TestRequest::get(PATH)
            .method(method)
            .send(&desk.menshen)
            .await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{method}");
    }
    for near in ["/.menshen/jwks.json/x", "/.menshen/jwks", "/jwks.json/"] {
        let answer = TestRequest::get(near).send(&desk.menshen).await;
        assert_ne!(
            answer.header("cache-control"),
            Some("public, max-age=300"),
            "{near}"
        );
    }
}

#[tokio::test]
async fn every_node_with_the_same_keys_verifies_what_any_of_them_signed() {
    let (one, two) = (generate(), generate());
    let desks = [
        Desk::open(&ring(&[&one, &two])).await,
        Desk::open(&ring(&[&two, &one])).await,
    ];
    for (here, there) in [(0, 1), (1, 0)] {
        let cookie = signed_in(&desks[here].menshen, "zhangsan").await;
        let token = desks[here].asserted("/x", &cookie).await.unwrap();
        let keys = desks[there].keys().await;
        assert!(verified(&keys, &token, "sso.test").is_ok());
    }
}

#[tokio::test]
async fn keys_change_with_an_overlap_and_an_old_one_is_gone_when_it_is_taken_out() {
    let (old, new) = (generate(), generate());
    let desk = Desk::open(&ring(&[&old])).await;
    let cookie = signed_in(&desk.menshen, "zhangsan").await;
    let before = desk.asserted("/x", &cookie).await.unwrap();
    let with = |keys: &str| setup(&desk.mirror, keys);
    // A reload that changes neither key nor issuer keeps what was signed.
    desk.menshen.reload(&with(&ring(&[&old]))).await.unwrap();
    assert_eq!(desk.asserted("/x", &cookie).await.unwrap(), before);
    // The new one can be read before it signs.
    desk.menshen
        .reload(&with(&ring(&[&old, &new])))
        .await
        .unwrap();
    assert_eq!(desk.asserted("/x", &cookie).await.unwrap(), before);
    let announced = TestRequest::get(PATH).send(&desk.menshen).await;
    assert_eq!(ids(&announced).len(), 2);
    // Then it signs, and the old one still verifies.
    desk.menshen
        .reload(&with(&ring(&[&new, &old])))
        .await
        .unwrap();
    let after = desk.asserted("/x", &cookie).await.unwrap();
    assert_eq!(part(&before, 0)["kid"], ids(&announced)[0]);
    assert_eq!(part(&after, 0)["kid"], ids(&announced)[1]);
    let keys = desk.keys().await;
    for token in [&before, &after] {
        assert!(verified(&keys, token, "sso.test").is_ok());
    }
    // Then it is the only one. The cookie was signed by the old one: they log in again.
    desk.menshen.reload(&with(&ring(&[&new]))).await.unwrap();
    let keys = desk.keys().await;
    assert_eq!(keys.keys.len(), 1);
    assert!(verified(&keys, &before, "sso.test").is_err());
    assert!(verified(&keys, &after, "sso.test").is_ok());
}

#[tokio::test]
async fn another_external_url_is_another_issuer_at_once() {
    let desk = Desk::open(&ring(&[&generate()])).await;
    let cookie = signed_in(&desk.menshen, "zhangsan").await;
    let before = desk.asserted("/x", &cookie).await.unwrap();
    assert_eq!(part(&before, 1)["iss"], "http://sso.test");
    let keys = desk.menshen.setup.clone();
    let moved = keys.external_url("http://login.test:8080");
    desk.menshen.reload(&moved).await.unwrap();
    let after = desk.asserted("/x", &cookie).await.unwrap();
    assert_eq!(part(&after, 1)["iss"], "http://login.test:8080");
    assert_eq!(part(&after, 0), part(&before, 0));
}
