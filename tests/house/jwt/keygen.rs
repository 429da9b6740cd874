//! `menshen keygen --for`: keys that a portal and menshen can use.

use std::collections::BTreeSet;

use jsonwebtoken::{Algorithm, AlgorithmFamily};

use super::encryption::{CONTENT_ALGORITHMS, KEY_ALGORITHMS};
use super::portal::{ALGORITHMS, Portal};
use super::settings::check;
use super::{ID, setup, sign_in};
use crate::command::{run_menshen, text};
use crate::setup::{NO_LOGIN_LIMITS, Setup};

fn keygen(algorithm: &str) -> String {
    let output = run_menshen(&["keygen", "--for", algorithm]);
    assert_eq!(output.status.code(), Some(0), "{algorithm}: {output:?}");
    text(&output.stdout).to_owned()
}

/// The private and the public key of a pair.
fn pair(printed: &str) -> (&str, &str) {
    let end = printed.find("-----BEGIN PUBLIC KEY-----").unwrap();
    let (private, public) = printed.split_at(end);
    assert!(
        private.starts_with("-----BEGIN PRIVATE KEY-----\n"),
        "{public}"
    );
    assert!(public.ends_with("-----END PUBLIC KEY-----\n"), "{public}");
    (private, public)
}

#[tokio::test]
async fn a_portal_signs_with_a_generated_key() {
    for algorithm in ALGORITHMS {
        let printed = keygen(&format!("{algorithm:?}"));
        if algorithm.family() == AlgorithmFamily::Hmac {
            use base64::Engine as _;
            let secret = printed.trim();
            let bytes = base64::engine::general_purpose::STANDARD.decode(secret);
            let key = jsonwebtoken::EncodingKey::from_secret(&bytes.unwrap());
            let portal = Portal::with_secret(algorithm, secret);
            let tables = portal.connector_toml(ID, "key_encoding = 'base64'");
            let setup = Setup::default().tables(&format!("{NO_LOGIN_LIMITS}\n{tables}"));
            let header = jsonwebtoken::Header::new(algorithm);
            let token = jsonwebtoken::encode(&header, &portal.claims(), &key).unwrap();
            sign_in(&setup.start().await, &token).await;
            continue;
        }
        let (private, public) = pair(&printed);
        let portal = Portal::with_pair(algorithm, private, public);
        let menshen = setup(&portal, "").start().await;
        sign_in(&menshen, &portal.sign(&portal.claims())).await;
    }
}

#[tokio::test]
async fn menshen_decrypts_with_a_generated_key() {
    let portal = Portal::with_algorithm(Algorithm::ES256);
    let pairs = KEY_ALGORITHMS.map(|alg| (alg, "A256GCM"));
    let direct = CONTENT_ALGORITHMS.map(|enc| ("dir", enc));
    for (alg, enc) in pairs.into_iter().chain(direct) {
        let printed = keygen(if alg == "dir" { enc } else { alg });
        let key = if printed.contains("PRIVATE") {
            format!("key = '''{}'''", pair(&printed).0)
        } else {
            format!("key_encoding = 'base64'\nkey = '{}'", printed.trim())
        };
        let decrypt =
            format!("[connector.{ID}.jwt.decrypt]\nalgorithm = '{alg}'\nmethod = '{enc}'\n{key}\n");
        let (code, printed) = check(&[], portal.connector_toml(ID, &decrypt)).await;
        assert_eq!(code, Some(0), "{alg} {enc}: {printed}");
    }
}

#[test]
fn every_generated_key_is_different_and_an_unknown_algorithm_is_refused() {
    let keys: BTreeSet<_> = ["HS256", "HS256", "A256KW", "ES256", "ES256", "EdDSA"]
        .map(keygen)
        .into();
    assert_eq!(keys.len(), 6);
    for algorithm in ["none", "RSA1_5", "dir", "hs256", ""] {
        let output = run_menshen(&["keygen", "--for", algorithm]);
        assert_eq!(output.status.code(), Some(2), "{algorithm}: {output:?}");
        assert!(output.stdout.is_empty(), "{algorithm}");
        assert!(
            text(&output.stderr).contains("HS256"),
            "{algorithm}: {output:?}"
        );
    }
}
