//! An invalid token is refused with 401 on every route with issuers, with and without cached
//! tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::{TwoIssuers, assert_invalid_token, bearer_request, was_forwarded, with_claims};
use crate::provider::Key;
use crate::test_request::TestRequest;

/// A token with these parts and a custom signature.
fn jws(head: &Value, claims: &Value, sign: impl Fn(&[u8]) -> String) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let input = format!("{}.{}", part(head), part(claims));
    let signature = sign(input.as_bytes());
    format!("{input}.{signature}")
}

/// Signed with HMAC, with the public key as the secret.
fn signed_with_public_key_as_secret(env: &TwoIssuers, secret: &[u8]) -> String {
    let head = json!({ "alg": "HS256", "kid": env.ci.signing_key().kid, "typ": "JWT" });
    let key = EncodingKey::from_secret(secret);
    jws(&head, &env.access_token_claims(), |input| {
        jsonwebtoken::crypto::sign(input, &key, Algorithm::HS256).unwrap()
    })
}

/// Invalid claims, correctly signed.
fn wrong_claims(env: &TwoIssuers) -> Vec<(String, Value)> {
    let now = env.menshen.clock.now().unix_s();
    let issuer = env.ci.issuer();
    let wrong = [
        json!({ "iss": env.partner.issuer() }),
        json!({ "iss": format!("{issuer}/") }),
        json!({ "iss": issuer.to_uppercase() }),
        json!({ "iss": null }),
        json!({ "iss": [issuer] }),
        json!({ "aud": "other" }),
        json!({ "aud": "menshen2" }),
        json!({ "aud": ["other", "MENSHEN"] }),
        json!({ "aud": ["menshen", 7] }),
        json!({ "aud": "" }),
        json!({ "aud": [] }),
        json!({ "aud": null }),
        json!({ "exp": now - 60 }),
        json!({ "exp": 0 }),
        json!({ "exp": null }),
        json!({ "exp": (now + 3600).to_string() }),
        json!({ "exp": -1 }),
        json!({ "exp": 1e300 }),
        json!({ "iat": now + 61 }),
        json!({ "nbf": now + 61 }),
        json!({ "nbf": "soon" }),
        json!({ "sub": null, "azp": null }),
        json!({ "sub": "" }),
        json!({ "sub": 7 }),
        json!({ "sub": "a\nb" }),
        json!({ "sub": "x".repeat(513) }),
        json!({ "scope": 7 }),
        json!({ "typ": "ID" }),
        json!({ "typ": "Refresh" }),
        json!({ "token_use": "id" }),
        json!({ "cnf": { "jkt": "x" } }),
        json!({ "events": {} }),
    ];
    wrong
        .map(|changes| {
            (
                changes.to_string(),
                with_claims(env.access_token_claims(), &changes),
            )
        })
        .into()
}

/// Invalid token headers, correctly signed.
fn wrong_headers(env: &TwoIssuers) -> Vec<Value> {
    let jwk = env.partner.signing_key().jwk();
    vec![
        json!({ "kid": "another" }),
        json!({ "kid": null }),
        json!({ "kid": "../../keys" }),
        json!({ "kid": 7 }),
        json!({ "alg": "RS384" }),
        json!({ "alg": "none" }),
        json!({ "crit": ["exp"] }),
        json!({ "crit": [] }),
        json!({ "typ": "logout+jwt" }),
        json!({ "typ": "dpop+jwt" }),
        json!({ "typ": 7 }),
        json!({ "kid": null, "jwk": jwk, "jku": env.partner.url("/keys") }),
    ]
}

/// Every invalid token, with a description.
fn invalid_tokens(env: &TwoIssuers) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (what, claims) in wrong_claims(env) {
        all.push((what, env.ci.sign(&claims, &json!({}))));
    }
    for head in wrong_headers(env) {
        all.push((
            head.to_string(),
            env.ci.sign(&env.access_token_claims(), &head),
        ));
    }
    let key = env.ci.signing_key();
    let mut add = |what: &str, token: String| all.push((what.to_owned(), token));
    let kid = json!({ "kid": key.kid });
    add(
        "another issuer's key",
        env.partner.sign(&env.access_token_claims(), &json!({})),
    );
    add(
        "another issuer's key with the key ID of this issuer",
        env.partner.sign(&env.access_token_claims(), &kid),
    );
    let jwk = with_claims(kid, &json!({ "jwk": env.partner.signing_key().jwk() }));
    add(
        "a key inside the token",
        env.partner.sign(&env.access_token_claims(), &jwk),
    );
    let rsa_key = Key::generate(Algorithm::RS256);
    add(
        "another kind of key",
        rsa_key.sign(&env.access_token_claims(), &json!({ "kid": key.kid })),
    );
    for alg in ["none", "None", "NONE", ""] {
        let head = json!({ "alg": alg, "kid": key.kid });
        add(
            "no signature",
            jws(&head, &env.access_token_claims(), |_| String::new()),
        );
        add(
            "an invalid signature",
            jws(&head, &env.access_token_claims(), |_| "AAAA".to_owned()),
        );
    }
    add(
        "HMAC with the public key (PEM)",
        signed_with_public_key_as_secret(env, key.public_pem.as_bytes()),
    );
    let jwk = key.jwk().to_string();
    add(
        "HMAC with the public key (JWK)",
        signed_with_public_key_as_secret(env, jwk.as_bytes()),
    );
    all.extend(malformed_tokens(env));
    all
}

/// Modified tokens, and strings that are not tokens.
fn malformed_tokens(env: &TwoIssuers) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut add = |what: &str, token: String| all.push((what.to_owned(), token));
    let valid = env.token();
    let (input, signature) = valid.rsplit_once('.').unwrap();
    let other = with_claims(env.access_token_claims(), &json!({ "sub": "root" }));
    let other = env.ci.sign(&other, &json!({}));
    let parts: Vec<_> = other.split('.').collect();
    add(
        "other claims",
        format!("{}.{}.{signature}", parts[0], parts[1]),
    );
    add("no signature at all", format!("{input}."));
    add("a truncated signature", valid[..valid.len() - 2].to_owned());
    add("two tokens", format!("{valid}.{valid}"));
    add("five parts", format!("{valid}.a.b"));
    add("a trailing equals sign", format!("{valid}="));
    let huge = with_claims(
        env.access_token_claims(),
        &json!({ "x": "x".repeat(40_000) }),
    );
    add("a token that is too long", env.ci.sign(&huge, &json!({})));
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let deep = URL_SAFE_NO_PAD.encode(format!("{{\"iss\":\"{}\",\"x\":{deep}}}", env.ci.issuer()));
    add(
        "deeply nested claims",
        format!("{}.{deep}.{signature}", parts[0]),
    );
    for garbage in [
        "a",
        "a.b.c",
        "..",
        "...",
        "e30.e30.e30",
        "bnVsbA.bnVsbA.AAAA",
        "YWRtaW4=",
    ] {
        add("garbage", garbage.to_owned());
    }
    all
}

#[tokio::test]
async fn an_invalid_token_is_refused_on_every_route() {
    for algorithm in [Algorithm::ES256, Algorithm::RS256] {
        let env = TwoIssuers::start_with_algorithm(algorithm).await;
        let valid = env.token();
        for (what, token) in invalid_tokens(&env) {
            // Also on a route whose rule would deny, and with a valid token in the cache.
            for path in ["/api", "/deploy", "/rule", "/either"] {
                let request = bearer_request(path, &token);
                assert_invalid_token(&request.clone().send(&env.menshen).await, &what);
                assert_invalid_token(&request.navigating().send(&env.menshen).await, &what);
                assert!(
                    was_forwarded(&env.send_bearer(path, &valid).await),
                    "{what}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_malformed_or_repeated_authorization_header_is_refused() {
    let env = TwoIssuers::start().await;
    let token = env.token();
    let values = [
        "Bearer".to_owned(),
        "Bearer =".to_owned(),
        format!("Bearer {token} "),
        format!("Bearer {token}, Bearer {token}"),
        format!("Bearer {token} {token}"),
        format!("Bearer\t{token}"),
        format!("Bearer \"{token}\""),
        format!("Bearer realm=\"{token}\""),
        format!("Bearer {}", "a".repeat(33_000)),
    ];
    for value in &values {
        let answer = TestRequest::get("/api")
            .header("Authorization", value)
            .send(&env.menshen)
            .await;
        if value.ends_with(' ') {
            // Trailing blanks are not part of the value (RFC 9110 §5.5).
            assert!(was_forwarded(&answer), "{}", answer.text());
        } else {
            assert_invalid_token(&answer, value);
        }
    }
    let bytes = TestRequest::get("/api").bytes("Authorization", b"Bearer \xff\xfe");
    assert_invalid_token(&bytes.send(&env.menshen).await, "not text");
    for second in [
        format!("Bearer {token}"),
        "Basic YTpi".to_owned(),
        String::new(),
    ] {
        let valid = bearer_request("/api", &token);
        let request = valid.header("Authorization", &second);
        assert_invalid_token(&request.send(&env.menshen).await, &second);
        let request = TestRequest::get("/api").header("Authorization", &second);
        let request = request.header("authorization", &format!("Bearer {token}"));
        assert_invalid_token(&request.send(&env.menshen).await, &second);
    }
}

#[tokio::test]
async fn token_times_have_a_leeway_of_one_minute() {
    let env = TwoIssuers::start().await;
    let now = env.menshen.clock.now().unix_s();
    let edges = [
        json!({ "exp": now - 59 }),
        json!({ "iat": now + 60 }),
        json!({ "nbf": now + 60 }),
        json!({ "iat": null }),
        json!({ "exp": f64::from(i32::try_from(now).unwrap()) + 0.5 }),
    ];
    for changes in edges {
        let token = env.ci.sign(
            &with_claims(env.access_token_claims(), &changes),
            &json!({}),
        );
        assert!(
            was_forwarded(&env.send_bearer("/api", &token).await),
            "{changes}"
        );
    }
    for typ in ["at+jwt", "application/at+jwt", "AT+JWT", "jwt"] {
        let token = env
            .ci
            .sign(&env.access_token_claims(), &json!({ "typ": typ }));
        assert!(
            was_forwarded(&env.send_bearer("/api", &token).await),
            "{typ}"
        );
    }
    let token = env
        .ci
        .sign(&env.access_token_claims(), &json!({ "typ": null }));
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
}

#[tokio::test]
async fn only_configured_algorithms_are_accepted() {
    let env = TwoIssuers::start_with_algorithm(Algorithm::RS256).await;
    let with_algorithms = |lines: &'static str| {
        let issuers = [("ci", &env.ci, lines), ("partner", &env.partner, "")];
        super::setup(&issuers, &env.mirror, "")
    };
    let token = env.token();
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
    env.menshen
        .reload(&with_algorithms("algorithms = [\"ES256\", \"PS256\"]"))
        .await
        .unwrap();
    assert_invalid_token(
        &env.send_bearer("/api", &token).await,
        "RS256 is not configured",
    );
    env.menshen
        .reload(&with_algorithms("algorithms = [\"RS256\"]"))
        .await
        .unwrap();
    assert!(was_forwarded(&env.send_bearer("/api", &token).await));
}
