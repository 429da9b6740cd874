//! `menshen check` with a portal: keys that cannot be used, and what the portal must know.

use jsonwebtoken::Algorithm;

use super::ID;
use super::encryption::Recipient;
use super::portal::Portal;
use crate::command::{run_menshen, text};
use crate::upstream::{Reply, TempFolder, Upstream, ok_with_headers};

/// Runs the check for a portal; returns the exit code and everything that it printed.
pub(super) async fn check(
    arguments: &'static [&'static str],
    connector: String,
) -> (Option<i32>, String) {
    let folder = TempFolder::new();
    let store = folder.path("menshen.db").display().to_string();
    let config = format!(
        "[server]\nexternal_url = 'https://sso.test'\n[store]\nurl = 'sqlite://{store}'\n\
         {connector}\n[[route]]\nname = 'all'\nupstream = ['http://127.0.0.1:1']\n"
    );
    let path = folder.write("menshen.toml", &config).display().to_string();
    let run = move || run_menshen(&[&["check", "-c", path.as_str()], arguments].concat());
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (output.status.code(), printed)
}

#[tokio::test]
async fn check_refuses_a_key_that_does_not_fit_its_algorithm() {
    let [rsa, p256, p384, ed] = [
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::ES384,
        Algorithm::EdDSA,
    ]
    .map(Portal::with_algorithm);
    let key = |bytes: usize| "k".repeat(bytes);
    for (algorithm, key, words) in [
        (
            Algorithm::HS256,
            key(31),
            "31 bytes, and HS256 needs at least 32",
        ),
        (Algorithm::HS384, key(47), "HS384 needs at least 48"),
        (Algorithm::HS512, key(63), "HS512 needs at least 64"),
        (
            Algorithm::HS256,
            rsa.verifying_key.clone(),
            "needs a shared secret",
        ),
        (
            Algorithm::HS256,
            rsa.private_pem.clone(),
            "needs a shared secret",
        ),
        (
            Algorithm::RS256,
            key(64),
            "an RSA key of at least 2048 bits",
        ),
        (Algorithm::RS256, p256.verifying_key.clone(), "an RSA key"),
        (
            Algorithm::RS256,
            rsa.private_pem.clone(),
            "it is a private key",
        ),
        (Algorithm::PS512, ed.verifying_key.clone(), "an RSA key"),
        (
            Algorithm::ES256,
            p384.verifying_key.clone(),
            "a key on P-256",
        ),
        (
            Algorithm::ES384,
            p256.verifying_key.clone(),
            "a key on P-384",
        ),
        (
            Algorithm::ES256,
            rsa.verifying_key.clone(),
            "a key on P-256",
        ),
        (
            Algorithm::EdDSA,
            p256.verifying_key.clone(),
            "an Ed25519 key",
        ),
    ] {
        let portal = Portal::with_algorithm(algorithm);
        let line = format!("key = '''{key}'''");
        let (code, printed) = check(&[], portal.connector_toml_with(ID, &line, "")).await;
        assert_eq!(code, Some(1), "{algorithm:?} {words}: {printed}");
        assert!(printed.contains(words), "{algorithm:?} {words}: {printed}");
        assert!(printed.contains("portal"), "{printed}");
        assert!(!printed.contains(&key), "{algorithm:?}: {printed}");
    }
}

#[tokio::test]
async fn check_accepts_a_key_that_fits() {
    for algorithm in [Algorithm::HS512, Algorithm::RS256, Algorithm::EdDSA] {
        let portal = Portal::with_algorithm(algorithm);
        let (code, printed) = check(&[], portal.connector_toml(ID, "")).await;
        assert_eq!(code, Some(0), "{algorithm:?}: {printed}");
    }
}

#[tokio::test]
async fn check_refuses_a_weak_rsa_key() {
    // 1024 bits.
    let weak = "-----BEGIN PUBLIC KEY-----\n\
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDD6hftwQyQq+RayY5fTXAexCMO\n\
        S7c+ttgSgJqOtXKZydHVsczYKQ4iwo1P+YdcPnbt4mB9PyQIwHRrdJeg9NX+9sod\n\
        zfJB5OiehrlyeEiquub5Vot1EYAIRpwtNrAPwG/drfW9/fB7RhUYPAF/98HvRmjb\n\
        odgeygWS/H05ho62mwIDAQAB\n-----END PUBLIC KEY-----\n";
    let portal = Portal::with_algorithm(Algorithm::RS256);
    let line = format!("key = '''{weak}'''");
    let (code, printed) = check(&[], portal.connector_toml_with(ID, &line, "")).await;
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("at least 2048 bits"), "{printed}");
}

#[tokio::test]
async fn check_refuses_a_decryption_key_that_does_not_fit() {
    let portal = Portal::with_algorithm(Algorithm::ES256);
    let rsa = Recipient::new("RSA-OAEP", "A256GCM").toml(ID);
    let direct = Recipient::new("dir", "A256GCM").toml(ID);
    for (toml, words) in [
        (
            rsa.replace("RSA-OAEP", "ECDH-ES"),
            "a key on P-256, P-384 or P-521",
        ),
        (
            direct.replace("A256GCM", "A128GCM"),
            "A128GCM needs exactly 16",
        ),
        (
            direct.replace("A256GCM", "A256CBC-HS512"),
            "needs exactly 64",
        ),
        (
            direct.replace("'dir'", "'A128KW'"),
            "A128KW needs exactly 16",
        ),
        (direct.replace("base64", "text"), "needs exactly 32"),
    ] {
        let (code, printed) = check(&[], portal.connector_toml(ID, &toml)).await;
        assert_eq!(code, Some(1), "{words}: {printed}");
        assert!(printed.contains("jwt.decrypt.key"), "{words}: {printed}");
        assert!(printed.contains(words), "{words}: {printed}");
    }
    for toml in [rsa, direct] {
        let (code, printed) = check(&[], portal.connector_toml(ID, &toml)).await;
        assert_eq!(code, Some(0), "{printed}");
    }
}

#[tokio::test]
async fn check_online_prints_what_the_portal_must_know() {
    let portal = Portal::with_algorithm(Algorithm::ES256);
    let connector = portal.connector_toml(ID, "parameter = 'jwt'");
    let (code, printed) = check(&["--online"], connector).await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("https://sso.test/.menshen/enter/portal") && printed.contains("`jwt`"),
        "{printed}"
    );
    assert!(!printed.contains("logins return to"), "{printed}");
}

#[tokio::test]
async fn check_online_counts_the_published_keys() {
    let key = crate::provider::Key::generate(Algorithm::ES256);
    let body = serde_json::json!({ "keys": [key.jwk()] }).to_string();
    let upstream = Upstream::start(move |request| {
        let is_known = request.message.target() == "/keys";
        Reply::KeepAlive(match is_known {
            true => ok_with_headers("Content-Type: application/json\r\n", &body),
            false => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        })
    })
    .await;
    let connector = |algorithm: &str, path: &str| {
        format!(
            "[connector.{ID}.jwt]\nalgorithm = '{algorithm}'\njwks_url = '{}{path}'\n\
             origins = ['https://portal.test']\n",
            upstream.url()
        )
    };
    let (code, printed) = check(&["--online"], connector("ES256", "/keys")).await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains("ok") && printed.contains("has 1 keys"),
        "{printed}"
    );
    for (algorithm, path, words) in [
        ("RS256", "/keys", "has no key for the configured algorithm"),
        ("ES256", "/nothing", "the keys of the portal cannot be read"),
    ] {
        let (code, printed) = check(&["--online"], connector(algorithm, path)).await;
        assert_eq!(code, Some(1), "{printed}");
        assert!(
            printed.contains("!! ") && printed.contains(words),
            "{printed}"
        );
    }
}
