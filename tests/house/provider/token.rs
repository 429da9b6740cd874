//! The token endpoint: accepts each code and refresh token once, from an authenticated client.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::keys::challenge;
use super::server::{Reply, Request, decode_form, json_reply};
use super::state::{ClientProof, Shared, State};
use super::{CLIENT_ID, CLIENT_SECRET};

type Refused = (u16, &'static str);

/// Answers a token request.
pub(super) fn answer(shared: &Shared, request: &Request) -> Reply {
    let state = &mut *shared.state();
    let answer = client(shared, state, request).and_then(|()| grant(shared, state, request));
    match answer {
        Ok(answer) => json_reply(200, &state.apply_misbehavior("token", answer)),
        Err((status, error)) => {
            let answer =
                json!({ "error": error, "error_description": format!("simulated {error}") });
            json_reply(status, &state.apply_misbehavior("token", answer))
        }
    }
}

fn grant(shared: &Shared, state: &mut State, request: &Request) -> Result<Value, Refused> {
    match request.received.parameter("grant_type") {
        Some("authorization_code") => by_code(shared, state, request),
        Some("refresh_token") => by_refresh(shared, state, request),
        _ => Err((400, "unsupported_grant_type")),
    }
}

fn by_code(shared: &Shared, state: &mut State, request: &Request) -> Result<Value, Refused> {
    const BAD: Refused = (400, "invalid_grant");
    state.count("code");
    let received = &request.received;
    if let Some(verifier) = received.parameter("code_verifier") {
        state.secrets.push(verifier.to_owned());
    }
    let lives_s = state.settings.code_lifetime_s;
    let value = received.parameter("code").unwrap_or_default().to_owned();
    let code = state.codes.get(&value).ok_or(BAD)?.clone();
    if let Some(grant) = code.redeemed {
        // RFC 6749 §4.1.2: the reuse of a code revokes its tokens.
        state.grants[grant].dead = true;
        return Err(BAD);
    }
    let proof = received.parameter("code_verifier").map(challenge);
    let late = shared.clock.now().unix_s() - code.born.unix_s() >= lives_s;
    let other_place = received.parameter("redirect_uri") != Some(code.redirect_uri.as_str());
    if late || other_place || (code.challenge.is_some() && code.challenge != proof) {
        return Err(BAD);
    }
    state.grants.push(code.grant);
    let grant = state.grants.len() - 1;
    if let Some(code) = state.codes.get_mut(&value) {
        code.redeemed = Some(grant);
    }
    Ok(state.issue(shared, grant, true))
}

fn by_refresh(shared: &Shared, state: &mut State, request: &Request) -> Result<Value, Refused> {
    const BAD: Refused = (400, "invalid_grant");
    state.count("refresh");
    let rotates = state.settings.rotates;
    let token = request
        .received
        .parameter("refresh_token")
        .unwrap_or_default();
    let refresh = state.refresh.get_mut(token).ok_or(BAD)?;
    let (grant, spent) = (refresh.grant, refresh.spent);
    let late = refresh.ends_s <= shared.clock.now().unix_s();
    refresh.spent = rotates;
    if spent {
        state.count("refresh spent twice");
        state.grants[grant].dead = true;
    }
    let login = state.grants[grant].session.login.clone();
    if state.grants[grant].dead || late || state.person(&login).disabled {
        return Err(BAD);
    }
    Ok(state.issue(shared, grant, false))
}

/// Checks the authentication of the client.
pub(super) fn client(shared: &Shared, state: &mut State, request: &Request) -> Result<(), Refused> {
    const BAD: Refused = (401, "invalid_client");
    let received = &request.received;
    let head = received.authorization.as_deref();
    let basic = head
        .and_then(|head| head.strip_prefix("Basic "))
        .map(decode_basic);
    let form = received
        .parameter("client_id")
        .zip(received.parameter("client_secret"));
    let is_own = |user: &str, password: &str| user == CLIENT_ID && password == CLIENT_SECRET;
    let by_head = basic.is_some_and(|(user, password)| is_own(&user, &password));
    let by_form = form.is_some_and(|(user, password)| is_own(user, password));
    let proof = received.parameter("client_assertion");
    // RFC 6749 §2.3: only one authentication method in a request.
    let ways = [
        head.is_some(),
        received.parameter("client_secret").is_some(),
        proof.is_some(),
    ];
    let ways = ways.into_iter().filter(|used| *used).count();
    let good = match state.settings.client.clone() {
        ClientProof::Secret => ways == 1 && (by_head || by_form),
        ClientProof::Basic => ways == 1 && by_head,
        ClientProof::Post => ways == 1 && by_form,
        ClientProof::Public => ways == 0 && received.parameter("client_id") == Some(CLIENT_ID),
        ClientProof::PrivateKey(pem) => {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let named = received.parameter("client_assertion_type") == Some(kind);
            let signed = proof.is_some_and(|proof| signs(shared, state, proof, &pem));
            ways == 1 && named && signed
        }
    };
    good.then_some(()).ok_or(BAD)
}

fn decode_basic(text: &str) -> (String, String) {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap_or_default();
    let text = String::from_utf8(bytes).unwrap_or_default();
    let (user, password) = text.split_once(':').unwrap_or_default();
    // RFC 6749 §2.3.1: both are form-encoded.
    (decode_form(user), decode_form(password))
}

/// RFC 7523 §3, OpenID Connect Core §9.
fn signs(shared: &Shared, state: &mut State, proof: &str, pem: &str) -> bool {
    let Ok(head) = jsonwebtoken::decode_header(proof) else {
        return false;
    };
    let key = match head.alg {
        Algorithm::RS256 | Algorithm::PS256 => DecodingKey::from_rsa_pem(pem.as_bytes()),
        Algorithm::ES256 => DecodingKey::from_ec_pem(pem.as_bytes()),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem.as_bytes()),
        _ => return false,
    };
    let mut only_signature = Validation::new(head.alg);
    only_signature.required_spec_claims.clear();
    only_signature.validate_exp = false;
    only_signature.validate_aud = false;
    let Ok(token) = key.and_then(|key| jsonwebtoken::decode::<Value>(proof, &key, &only_signature))
    else {
        return false;
    };
    let claims = token.claims;
    let now_s = shared.clock.now().unix_s();
    let ends_s = claims["exp"].as_i64().unwrap_or(0);
    let jti = claims["jti"].as_str().unwrap_or_default().to_owned();
    let for_us = match &claims["aud"] {
        Value::String(aud) => *aud == shared.issuer || *aud == format!("{}/token", shared.issuer),
        Value::Array(all) => all.iter().any(|aud| *aud == shared.issuer.as_str()),
        _ => false,
    };
    let fresh = !jti.is_empty() && !state.proofs.contains(&jti);
    state.proofs.push(jti);
    let own = claims["iss"] == CLIENT_ID && claims["sub"] == CLIENT_ID;
    own && for_us && fresh && (now_s + 1..=now_s + 600).contains(&ends_s)
}
