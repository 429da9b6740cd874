//! The token endpoint: accepts each code and refresh token once, from an authenticated client.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::keys::challenge;
use super::server::{Reply, Request, decode_form, json_reply};
use super::state::{ClientAuth, Shared, State};
use super::{CLIENT_ID, CLIENT_SECRET};

type Refused = (u16, &'static str);

/// Answers a token request.
pub(super) fn answer(shared: &Shared, request: &Request) -> Reply {
    let state = &mut *shared.state();
    let answer = authenticate_client(shared, state, request)
        .and_then(|()| grant_tokens(shared, state, request));
    match answer {
        Ok(answer) => json_reply(200, &state.apply_misbehavior("token", answer)),
        Err((status, error)) => {
            let answer =
                json!({ "error": error, "error_description": format!("simulated {error}") });
            json_reply(status, &state.apply_misbehavior("token", answer))
        }
    }
}

fn grant_tokens(shared: &Shared, state: &mut State, request: &Request) -> Result<Value, Refused> {
    match request.received.parameter("grant_type") {
        Some("authorization_code") => redeem_code(shared, state, request),
        Some("refresh_token") => use_refresh_token(shared, state, request),
        _ => Err((400, "unsupported_grant_type")),
    }
}

fn redeem_code(shared: &Shared, state: &mut State, request: &Request) -> Result<Value, Refused> {
    const INVALID_GRANT: Refused = (400, "invalid_grant");
    state.count_call("code");
    let received = &request.received;
    if let Some(verifier) = received.parameter("code_verifier") {
        state.secrets.push(verifier.to_owned());
    }
    let lifetime_s = state.settings.code_lifetime_s;
    let value = received.parameter("code").unwrap_or_default().to_owned();
    let code = state.codes.get(&value).ok_or(INVALID_GRANT)?.clone();
    if let Some(grant) = code.redeemed {
        // RFC 6749 §4.1.2: the reuse of a code revokes its tokens.
        state.grants[grant].revoked = true;
        return Err(INVALID_GRANT);
    }
    let challenge_of_verifier = received.parameter("code_verifier").map(challenge);
    let expired = shared.clock.now().unix_s() - code.issued_at.unix_s() >= lifetime_s;
    let other_redirect_uri = received.parameter("redirect_uri") != Some(code.redirect_uri.as_str());
    if expired
        || other_redirect_uri
        || (code.challenge.is_some() && code.challenge != challenge_of_verifier)
    {
        return Err(INVALID_GRANT);
    }
    state.grants.push(code.grant);
    let grant = state.grants.len() - 1;
    if let Some(code) = state.codes.get_mut(&value) {
        code.redeemed = Some(grant);
    }
    Ok(state.issue_tokens(shared, grant, true))
}

fn use_refresh_token(
    shared: &Shared,
    state: &mut State,
    request: &Request,
) -> Result<Value, Refused> {
    const INVALID_GRANT: Refused = (400, "invalid_grant");
    state.count_call("refresh");
    let rotates = state.settings.rotates;
    let token = request
        .received
        .parameter("refresh_token")
        .unwrap_or_default();
    let refresh = state.refresh_tokens.get_mut(token).ok_or(INVALID_GRANT)?;
    let (grant, used) = (refresh.grant, refresh.used);
    let expired = refresh.expires_at_s <= shared.clock.now().unix_s();
    refresh.used = rotates;
    if used {
        state.count_call("refresh used twice");
        state.grants[grant].revoked = true;
    }
    let login = state.grants[grant].session.login.clone();
    if state.grants[grant].revoked || expired || state.person(&login).disabled {
        return Err(INVALID_GRANT);
    }
    Ok(state.issue_tokens(shared, grant, false))
}

/// Checks the authentication of the client.
pub(super) fn authenticate_client(
    shared: &Shared,
    state: &mut State,
    request: &Request,
) -> Result<(), Refused> {
    const INVALID_CLIENT: Refused = (401, "invalid_client");
    let received = &request.received;
    let head = received.authorization.as_deref();
    let basic = head
        .and_then(|head| head.strip_prefix("Basic "))
        .map(decode_basic);
    let form = received
        .parameter("client_id")
        .zip(received.parameter("client_secret"));
    let is_client_secret =
        |user: &str, password: &str| user == CLIENT_ID && password == CLIENT_SECRET;
    let secret_in_header = basic.is_some_and(|(user, password)| is_client_secret(&user, &password));
    let secret_in_form = form.is_some_and(|(user, password)| is_client_secret(user, password));
    let proof = received.parameter("client_assertion");
    // RFC 6749 §2.3: only one authentication method in a request.
    let methods = [
        head.is_some(),
        received.parameter("client_secret").is_some(),
        proof.is_some(),
    ];
    let methods = methods.into_iter().filter(|used| *used).count();
    let authenticated = match state.settings.client_auth.clone() {
        ClientAuth::SecretInHeaderOrForm => methods == 1 && (secret_in_header || secret_in_form),
        ClientAuth::SecretInHeader => methods == 1 && secret_in_header,
        ClientAuth::SecretInForm => methods == 1 && secret_in_form,
        ClientAuth::Public => methods == 0 && received.parameter("client_id") == Some(CLIENT_ID),
        ClientAuth::PrivateKey(pem) => {
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let has_assertion_type = received.parameter("client_assertion_type") == Some(kind);
            let signed = proof.is_some_and(|proof| is_valid_assertion(shared, state, proof, &pem));
            methods == 1 && has_assertion_type && signed
        }
    };
    authenticated.then_some(()).ok_or(INVALID_CLIENT)
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

/// Checks a client assertion (RFC 7523 §3, OpenID Connect Core §9).
fn is_valid_assertion(shared: &Shared, state: &mut State, proof: &str, pem: &str) -> bool {
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
    let expires_at_s = claims["exp"].as_i64().unwrap_or(0);
    let jti = claims["jti"].as_str().unwrap_or_default().to_owned();
    let is_audience = match &claims["aud"] {
        Value::String(aud) => *aud == shared.issuer || *aud == format!("{}/token", shared.issuer),
        Value::Array(all) => all.iter().any(|aud| *aud == shared.issuer.as_str()),
        _ => false,
    };
    let fresh = !jti.is_empty() && !state.used_assertion_ids.contains(&jti);
    state.used_assertion_ids.push(jti);
    let is_client = claims["iss"] == CLIENT_ID && claims["sub"] == CLIENT_ID;
    is_client && is_audience && fresh && (now_s + 1..=now_s + 600).contains(&expires_at_s)
}
