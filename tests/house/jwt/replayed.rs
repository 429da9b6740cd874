//! A token is accepted once, by all nodes together.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use super::portal::Portal;
use super::{assert_refused, follow_link, sets_session, setup, sign_in, start, with_claims};
use crate::browser::Browser;
use crate::setup::Menshen;
use crate::stores::TempDir;

const USED: &str = "the token was used before";

/// Two nodes with one store.
async fn two_nodes(dir: &TempDir, portal: &Portal) -> (Menshen, Menshen) {
    let one = setup(portal, "").store(&dir.url()).start().await;
    let other = setup(portal, "").store(&dir.url()).clock(&one.clock);
    (one, other.start().await)
}

#[tokio::test]
async fn a_used_token_is_refused_on_every_node() {
    let dir = TempDir::new();
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let (one, other) = two_nodes(&dir, &portal).await;
    for jti in [json!("an id"), json!(null)] {
        let token = portal.sign(&with_claims(&portal, &json!({ "jti": jti })));
        let mut browser = Browser::new(&one);
        assert!(sets_session(&follow_link(&mut browser, &token).await));
        assert_refused(&one, &token, USED, "the same node").await;
        assert_refused(&other, &token, USED, "the other node").await;
        // The browser that signed in repeats its request.
        let again = follow_link(&mut browser, &token).await;
        assert_eq!((again.status, sets_session(&again)), (303, false));
    }
    // At the same moment, on both nodes.
    for _ in 0..3 {
        let token = portal.sign(&portal.claims());
        let (mut a, mut b) = (Browser::new(&one), Browser::new(&other));
        let (mut c, mut d) = (Browser::new(&one), Browser::new(&other));
        let answers = tokio::join!(
            follow_link(&mut a, &token),
            follow_link(&mut b, &token),
            follow_link(&mut c, &token),
            follow_link(&mut d, &token)
        );
        let answers = [answers.0, answers.1, answers.2, answers.3];
        let signed_in = answers.iter().filter(|answer| sets_session(answer)).count();
        assert_eq!(signed_in, 1, "{answers:?}");
    }
}

/// The claims of a token for a person.
fn claims_of(portal: &Portal, person: &str, jti: &Value) -> Value {
    let more = json!({ "sub": person, "preferred_username": person, "jti": jti });
    with_claims(portal, &more)
}

#[tokio::test]
async fn another_token_with_the_same_id_is_refused() {
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let menshen = start(&portal, "").await;
    let sign = |person: &str, id: &str| portal.sign(&claims_of(&portal, person, &json!(id)));
    sign_in(&menshen, &sign("lisi", "7")).await;
    assert_refused(&menshen, &sign("wangwu", "7"), USED, "another person").await;
    sign_in(&menshen, &sign("wangwu", "8")).await;
}

#[tokio::test]
async fn a_second_signature_of_the_same_token_is_no_second_token() {
    let portal = Portal::with_algorithm(Algorithm::ES256);
    let menshen = start(&portal, "").await;
    let token = portal.sign(&with_claims(&portal, &json!({ "jti": null })));
    let other = with_other_signature(&token);
    assert_ne!(token, other);
    // The second one is valid as well, as long as neither was used.
    sign_in(&menshen, &other).await;
    assert_refused(&menshen, &token, USED, "the first signature").await;
    // ECDSA is randomized, so that the portal itself may sign twice.
    let claims = claims_of(&portal, "wangwu", &json!(null));
    let (one, two) = (portal.sign(&claims), portal.sign(&claims));
    assert_ne!(one, two);
    sign_in(&menshen, &one).await;
    assert_refused(&menshen, &two, USED, "signed again").await;
}

/// The token with the other valid signature of ECDSA on P-256: `s` is subtracted from the order.
fn with_other_signature(token: &str) -> String {
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63,
        0x25, 0x51,
    ];
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for at in (0..32).rev() {
        let difference = i32::from(ORDER[at]) - i32::from(bytes[32 + at]) - borrow;
        borrow = i32::from(difference < 0);
        bytes[32 + at] = u8::try_from(difference + 256 * borrow).unwrap();
    }
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[tokio::test]
async fn a_used_token_stays_refused_as_long_as_its_times_allow_it() {
    let dir = TempDir::new();
    let portal = Portal::with_algorithm(Algorithm::HS256);
    let (one, other) = two_nodes(&dir, &portal).await;
    let token = portal.sign(&portal.claims());
    assert!(sets_session(
        &follow_link(&mut Browser::new(&one), &token).await
    ));
    // `exp` is 60 seconds ahead, and `clock_skew` 30.
    one.advance(std::time::Duration::from_secs(89));
    assert_refused(&other, &token, USED, "just before its end").await;
    one.advance(std::time::Duration::from_secs(1));
    // The other nodes remember the token itself.
    let third = setup(&portal, "").store(&dir.url()).clock(&one.clock);
    let third = third.start().await;
    assert_refused(&third, &token, "it has expired", "at its end").await;
}
