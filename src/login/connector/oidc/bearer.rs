//! The person whom a bearer token of this issuer names.

use serde_json::{Map, Value};

use super::{Oidc, id_token, userinfo};
use crate::clock::Timestamp;
use crate::people::profile::{AuthContext, Profile};
use crate::people::token_sessions::{PresentedToken, TokenReader, TokenSubjectError};
use crate::store::Subject;

/// The longest subject, in bytes (OpenID Connect Core §2).
const SUBJECT_BYTES_MAX: usize = 255;

/// The claims that name the client of an access token.
const CLIENT_ID_CLAIMS: [&str; 5] = ["client_id", "azp", "appid", "cid", "clientId"];

impl TokenReader for Oidc {
    fn read(&self, token: &PresentedToken) -> Result<Profile, TokenSubjectError> {
        let sub = token.claims.get("sub").and_then(Value::as_str);
        let sub = sub.filter(|sub| !sub.is_empty() && sub.len() <= SUBJECT_BYTES_MAX);
        let sub = sub.ok_or(TokenSubjectError::NoSubject)?;
        if is_client_credentials_token(&token.claims, sub) {
            return Err(TokenSubjectError::Program);
        }
        let subject = Subject::try_from(token.tenant.qualify(sub));
        let raw = userinfo::merge_claims(token.claims.clone(), None);
        Ok(Profile {
            subject: subject.map_err(|_| TokenSubjectError::NoSubject)?,
            verified_fields: userinfo::verified_emails(&raw),
            provider_sid: id_token::short_text(raw.get("sid"))
                .map(|sid| token.tenant.qualify(&sid)),
            raw: Value::Object(raw),
            auth_context: AuthContext {
                // Without `auth_time` the authentication counts as old.
                auth_time: token
                    .auth_context
                    .auth_time
                    .or(Some(Timestamp::from_unix_s(0))),
                ..token.auth_context.clone()
            },
            tokens: None,
            response_id: None,
            local_revision: None,
        })
    }
}

/// Whether the token comes from a client credentials grant (RFC 6749 §4.4), so that no person logged
/// in for it. Providers mark such tokens in different ways.
fn is_client_credentials_token(claims: &Map<String, Value>, sub: &str) -> bool {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let client_ids = || CLIENT_ID_CLAIMS.iter().filter_map(|name| text(name));
    // RFC 9068 §2.2: without a person the subject is the client. Auth0 adds `@clients`.
    let is_client = client_ids().any(|client| sub == client || sub == format!("{client}@clients"));
    // Entra ID: the `sub` of a person differs from their `oid`.
    let is_app = text("idtyp") == Some("app")
        || (text("tid").is_some() && text("oid") == Some(sub) && text("scp").is_none());
    let grants = ["gty", "grant_type"].map(text);
    let by_grant = grants
        .iter()
        .flatten()
        .any(|grant| matches!(*grant, "client-credentials" | "client_credentials"));
    // Keycloak has a user `service-account-CLIENT` for such a client.
    let user = text("preferred_username").and_then(|user| user.strip_prefix("service-account-"));
    let is_service_account =
        user.is_some_and(|user| client_ids().any(|it| it.eq_ignore_ascii_case(user)));
    is_client || is_app || by_grant || is_service_account
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_client_credentials(claims: Value) -> bool {
        let claims = claims.as_object().unwrap();
        is_client_credentials_token(claims, claims["sub"].as_str().unwrap())
    }

    #[test]
    fn a_token_of_a_client_credentials_grant_is_recognised() {
        for claims in [
            json!({ "sub": "runner", "client_id": "runner" }),
            json!({ "sub": "runner", "azp": "runner" }),
            json!({ "sub": "runner@clients", "azp": "runner" }),
            json!({ "sub": "x", "gty": "client-credentials" }),
            json!({ "sub": "x", "idtyp": "app" }),
            json!({ "sub": "x", "oid": "x", "tid": "t", "roles": ["a"] }),
            json!({ "sub": "f3", "azp": "Runner", "preferred_username": "service-account-runner" }),
        ] {
            assert!(is_client_credentials(claims.clone()), "{claims}");
        }
    }

    #[test]
    fn a_token_of_a_login_names_a_person() {
        for claims in [
            json!({ "sub": "u1" }),
            json!({ "sub": "u1", "azp": "app", "scope": "openid" }),
            json!({ "sub": "u1", "oid": "o1", "tid": "t", "scp": "access" }),
            json!({ "sub": "u1", "azp": "app", "preferred_username": "service-account-runner" }),
            json!({ "sub": "u1", "azp": "app", "gty": "refresh-token" }),
        ] {
            assert!(!is_client_credentials(claims.clone()), "{claims}");
        }
    }
}
