//! The userinfo endpoint (OpenID Connect Core §5.3), and the profile made of userinfo and ID token.

use serde_json::{Map, Value};
use url::Url;

use super::super::ConnectorError;
use super::errors;
use crate::outbound::{Outbound, OutboundCall, OutboundError};
use crate::secret::Secret;
use crate::store::LinkField;
use crate::text;

/// The name of the request in errors and logs.
const CALL: &str = "userinfo";

/// Claims that only the ID token may set: identity, issuer and authentication.
const ID_TOKEN_ONLY: [&str; 16] = [
    "acr",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "c_hash",
    "exp",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "s_hash",
    "sid",
    "sub",
];

/// Claims that bind a token to one login. The profile does not keep them.
const LOGIN_BINDING: [&str; 4] = ["at_hash", "c_hash", "nonce", "s_hash"];

/// Claims that must be strings (OpenID Connect Core §5.1). Values of another type are ignored.
const TEXT_CLAIMS: [&str; 14] = [
    "birthdate",
    "email",
    "family_name",
    "gender",
    "given_name",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "phone_number",
    "picture",
    "preferred_username",
    "profile",
    "website",
];

/// Claims, and the claims that say whether they are verified. Each pair is taken from one document.
const VERIFICATION_CLAIMS: [(&str, &str); 2] = [
    ("email", "email_verified"),
    ("phone_number", "phone_number_verified"),
];

/// Why userinfo is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum UserinfoError {
    #[error("the request for userinfo failed")]
    Request(#[source] OutboundError),
    #[error("it is not a JSON object")]
    NotAnObject,
    #[error("it has no `sub`")]
    NoSubject,
    #[error("its `sub` names another person than the ID token")]
    WrongSubject,
}

impl UserinfoError {
    pub(super) fn into_login_error(self) -> ConnectorError {
        match self {
            Self::Request(OutboundError::Status { status, .. }) if matches!(status, 401 | 403) => {
                let remedy = text!(
                    "the provider does not accept the access token at its userinfo \
                              endpoint: set `userinfo = false`, or add the scope it requires",
                    "认证源的 userinfo 端点不接受访问令牌：请设置 `userinfo = false`，或加上它要求的 scope"
                );
                let message = format!("{CALL} answered with HTTP status {status}");
                errors::misconfigured(remedy, &message)
            }
            Self::Request(error) => ConnectorError::NoUsableResponse(error),
            other => errors::invalid_response(CALL, &other),
        }
    }

    /// Whether the endpoint refused the access token.
    pub(super) fn is_unauthorized(&self) -> bool {
        matches!(
            self,
            Self::Request(OutboundError::Status { status: 401, .. })
        )
    }

    /// Whether the request failed for a reason that does not concern the person.
    pub(super) fn is_temporary(&self) -> bool {
        matches!(self, Self::Request(_)) && !self.is_unauthorized()
    }
}

/// Fetches userinfo and checks that it is about `sub`.
pub(super) async fn fetch(
    outbound: &Outbound,
    url: &Url,
    access: &Secret<String>,
    sub: &str,
) -> Result<Map<String, Value>, UserinfoError> {
    let userinfo = outbound
        .get_json_as(url, access, OutboundCall::repeatable(CALL))
        .await;
    check_subject(userinfo.map_err(UserinfoError::Request)?, sub)
}

fn check_subject(userinfo: Value, sub: &str) -> Result<Map<String, Value>, UserinfoError> {
    let Value::Object(userinfo) = userinfo else {
        return Err(UserinfoError::NotAnObject);
    };
    match userinfo.get("sub").and_then(Value::as_str) {
        None => Err(UserinfoError::NoSubject),
        Some(other) if other != sub => Err(UserinfoError::WrongSubject),
        Some(_) => Ok(userinfo),
    }
}

/// The raw profile: the claims of the ID token, overridden by userinfo. Null values and values of a
/// wrong type are left out.
pub(super) fn merge_claims(
    claims: Map<String, Value>,
    userinfo: Option<Map<String, Value>>,
) -> Map<String, Value> {
    let mut merged = claims;
    let mut userinfo = userinfo.unwrap_or_default();
    userinfo
        .retain(|name, value| !ID_TOKEN_ONLY.contains(&name.as_str()) && is_usable(name, value));
    for (value, verified) in VERIFICATION_CLAIMS {
        if userinfo.contains_key(value) {
            // The ID token verifies its own value, which may differ.
            merged.remove(verified);
        } else {
            userinfo.remove(verified);
        }
    }
    merged.extend(userinfo);
    merged.retain(|name, value| !LOGIN_BINDING.contains(&name.as_str()) && is_usable(name, value));
    merged
}

fn is_usable(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(_) => true,
        _ => !TEXT_CLAIMS.contains(&name),
    }
}

/// The e-mail address, if the provider says it is verified. Some providers send `"true"` as a string.
pub(super) fn verified_emails(profile: &Map<String, Value>) -> Vec<(LinkField, String)> {
    let verified = match profile.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(text)) => text == "true",
        _ => false,
    };
    let email = profile.get("email").and_then(Value::as_str).map(str::trim);
    let email = email.filter(|email| verified && !email.is_empty());
    email
        .map(|email| (LinkField::Email, email.to_owned()))
        .into_iter()
        .collect()
}

/// Whether the groups are not in the token because they are too many (OpenID Connect Core §5.6.2,
/// and `hasgroups` of Entra ID).
pub(super) fn has_distributed_groups(profile: &Map<String, Value>) -> bool {
    let is_distributed = profile
        .get("_claim_names")
        .is_some_and(|names| names.get("groups").is_some());
    let has_hint = profile.get("hasgroups").is_some_and(|has| match has {
        Value::Bool(has) => *has,
        Value::String(text) => text == "true",
        _ => false,
    });
    !profile.contains_key("groups") && (is_distributed || has_hint)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn merged(claims: Value, userinfo: Value) -> Value {
        Value::Object(merge_claims(map(claims), Some(map(userinfo))))
    }

    #[test]
    fn userinfo_of_another_person_is_refused() {
        let subject = "u1";
        assert!(check_subject(json!({ "sub": "u1", "name": "张三" }), subject).is_ok());
        for (bad, why) in [
            (json!({ "sub": "u2" }), "another person"),
            (json!({ "sub": "U1" }), "another person"),
            (json!({}), "no `sub`"),
            (json!({ "sub": 1 }), "no `sub`"),
            (json!([]), "not a JSON object"),
        ] {
            let error = check_subject(bad.clone(), subject).unwrap_err();
            assert!(error.to_string().contains(why), "{bad}: {error}");
            assert!(!error.is_temporary() && !error.is_unauthorized());
            assert!(matches!(
                error.into_login_error(),
                ConnectorError::InvalidResponse(_)
            ));
        }
    }

    #[test]
    fn userinfo_cannot_change_identity_or_authentication() {
        let claims =
            json!({ "sub": "u1", "iss": "i", "exp": 1, "acr": "1", "name": "a", "nonce": "n" });
        let userinfo = json!({
            "sub": "u2", "iss": "j", "exp": 2, "acr": "9", "amr": ["mfa"], "auth_time": 3, "sid": "s",
            "aud": "x", "name": "张三", "groups": ["财务部"], "picture": null,
        });
        assert_eq!(
            merged(claims, userinfo),
            json!({
                "sub": "u1", "iss": "i", "exp": 1, "acr": "1", "name": "张三",
                "groups": ["财务部"],
            })
        );
    }

    #[test]
    fn a_text_claim_of_another_type_is_ignored() {
        let claims = json!({ "sub": "u", "email": 7, "name": ["a"], "preferred_username": "z" });
        let userinfo = json!({ "preferred_username": { "a": 1 }, "phone_number": 138, "age": 7 });
        assert_eq!(
            merged(claims, userinfo),
            json!({ "sub": "u", "preferred_username": "z", "age": 7 })
        );
    }

    #[test]
    fn a_verification_claim_never_applies_to_a_value_of_the_other_document() {
        let signed = json!({ "sub": "u", "email": "own@corp.example", "email_verified": true });
        let with_other_email = merged(signed.clone(), json!({ "email": "boss@corp.example" }));
        assert_eq!(
            with_other_email,
            json!({ "sub": "u", "email": "boss@corp.example" })
        );
        assert!(verified_emails(&map(with_other_email)).is_empty());
        let unsigned = json!({ "sub": "u", "email": "boss@corp.example" });
        let with_claim_only = merged(unsigned.clone(), json!({ "email_verified": true }));
        assert_eq!(with_claim_only, unsigned);
        let both = json!({ "email": "boss@corp.example", "email_verified": true });
        assert_eq!(verified_emails(&map(merged(signed, both))).len(), 1);
    }

    #[test]
    fn only_a_verified_address_is_returned() {
        let verified = |value: Value| verified_emails(&map(value));
        for flag in [json!(true), json!("true")] {
            let profile = json!({ "email": "a@b", "email_verified": flag });
            assert_eq!(verified(profile), [(LinkField::Email, "a@b".to_owned())]);
        }
        for flag in [
            json!(false),
            json!("false"),
            json!(1),
            json!(null),
            json!("yes"),
        ] {
            let profile = json!({ "email": "a@b", "email_verified": flag });
            assert!(verified(profile).is_empty(), "{flag}");
        }
        assert!(verified(json!({ "email": "a@b" })).is_empty());
        assert!(verified(json!({ "email_verified": true })).is_empty());
        let phone = json!({ "phone_number": "138", "phone_number_verified": true });
        assert!(verified(phone).is_empty());
    }

    #[test]
    fn distributed_groups_are_detected() {
        let distributed = json!({ "_claim_names": { "groups": "src1" } });
        assert!(has_distributed_groups(&map(distributed)));
        assert!(has_distributed_groups(&map(json!({ "hasgroups": true }))));
        let both = json!({ "_claim_names": { "groups": "src1" }, "groups": ["a"] });
        for fine in [both, json!({}), json!({ "_claim_names": { "x": "y" } })] {
            assert!(!has_distributed_groups(&map(fine.clone())), "{fine}");
        }
    }
}
