//! The endpoints for metadata, keys, userinfo and introspection.

use serde_json::{Value, json};

use super::people;
use super::server::{Reply, Request, json_reply};
use super::state::{ClientAuth, Shared};
use super::{CLIENT_ID, token};

/// The metadata (OpenID Connect Discovery 1.0 §3).
pub(super) fn discovery(shared: &Shared) -> Reply {
    let state = shared.state();
    let at = |path: &str| format!("{}{path}", shared.issuer);
    let methods: &[&str] = match state.settings.client_auth {
        ClientAuth::SecretInHeaderOrForm => &["client_secret_basic", "client_secret_post"],
        ClientAuth::SecretInHeader => &["client_secret_basic"],
        ClientAuth::SecretInForm => &["client_secret_post"],
        ClientAuth::PrivateKey(_) => &["private_key_jwt"],
        ClientAuth::Public => &["none"],
    };
    let metadata = json!({
        "issuer": shared.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/keys"),
        "introspection_endpoint": at("/introspect"),
        "end_session_endpoint": at("/end_session"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256", "EdDSA"],
        "scopes_supported": ["openid", "profile", "email", "groups", "offline_access"],
        "token_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
        "acr_values_supported": state.settings.acrs,
        "authorization_response_iss_parameter_supported": state.settings.sends_iss,
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    json_reply(200, &state.apply_misbehavior("discovery", metadata))
}

/// The public keys.
pub(super) fn keys(shared: &Shared) -> Reply {
    let state = shared.state();
    let keys: Vec<_> = state.keys.iter().map(super::Key::jwk).collect();
    json_reply(
        200,
        &state.apply_misbehavior("keys", json!({ "keys": keys })),
    )
}

/// The claims of the person of an access token.
pub(super) fn userinfo(shared: &Shared, request: &Request) -> Reply {
    let state = &mut *shared.state();
    let head = request
        .received
        .authorization
        .as_deref()
        .unwrap_or_default();
    let token = head.strip_prefix("Bearer ").unwrap_or_default();
    let Some(grant) = state.grant_of_access_token(token, shared.clock.now()) else {
        return json_reply(401, &json!({ "error": "invalid_token" }));
    };
    let mut claims = json!({ "sub": people::sub(&grant.session.login) });
    if state.settings.claims_in_userinfo {
        for (name, value) in &state.person(&grant.session.login).claims {
            claims[name] = value.clone();
        }
    }
    json_reply(200, &state.apply_misbehavior("userinfo", claims))
}

/// Introspects a token for an authenticated client (RFC 7662).
pub(super) fn introspect(shared: &Shared, request: &Request) -> Reply {
    let state = &mut *shared.state();
    if let Err((status, error)) = token::authenticate_client(shared, state, request) {
        return json_reply(status, &json!({ "error": error }));
    }
    let token = request
        .received
        .parameter("token")
        .unwrap_or_default()
        .to_owned();
    let expires_at_s = state
        .access_tokens
        .get(&token)
        .map(|access| access.expires_at_s);
    let response: Value = match state
        .grant_of_access_token(&token, shared.clock.now())
        .zip(expires_at_s)
    {
        None => json!({ "active": false }),
        Some((grant, expires_at_s)) => json!({
            "active": true,
            "iss": shared.issuer,
            "sub": people::sub(&grant.session.login),
            "username": grant.session.login,
            "client_id": CLIENT_ID,
            "aud": CLIENT_ID,
            "token_type": "Bearer",
            "scope": grant.scope,
            "exp": expires_at_s,
        }),
    };
    json_reply(200, &state.apply_misbehavior("introspect", response))
}
