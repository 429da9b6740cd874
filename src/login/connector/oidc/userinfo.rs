//! The userinfo endpoint (OpenID Connect Core §5.3), and what becomes of what a provider says.

use serde_json::{Map, Value};
use url::Url;

use super::super::ConnectorError;
use super::errors;
use crate::outbound::{Outbound, OutboundCall, OutboundError};
use crate::secret::Secret;
use crate::store::LinkField;

/// The call, as errors and logs name it.
const CALL: &str = "userinfo";

/// What the ID token alone says: who it is, who says so, and what the login proved.
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

/// What binds a token to one login; of no use afterwards.
const LOGIN_BINDING: [&str; 4] = ["at_hash", "c_hash", "nonce", "s_hash"];

/// What is text (OpenID Connect Core §5.1); of another type it is not there.
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

/// Values and the words that vouch for them: neither is taken without the other.
const VERIFICATION_CLAIMS: [(&str, &str); 2] = [
    ("email", "email_verified"),
    ("phone_number", "phone_number_verified"),
];

/// Why what the userinfo endpoint said does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum UserinfoError {
    #[error("ask for more about the person")]
    Request(#[source] OutboundError),
    #[error("it is no object")]
    NotAnObject,
    #[error("it does not say about whom it is")]
    NoSubject,
    #[error("it is about somebody else than the ID token")]
    WrongSubject,
}

impl UserinfoError {
    /// What it means while somebody logs in.
    pub(super) fn into_login_error(self) -> ConnectorError {
        match self {
            Self::Request(OutboundError::Status { status, .. }) if matches!(status, 401 | 403) => {
                let remedy = "the provider does not let the access token ask its userinfo \
                              endpoint: set `userinfo = false`, or see which scope it wants";
                let message = format!("{CALL} answered with HTTP status {status}");
                errors::misconfigured(remedy.to_owned(), &message)
            }
            Self::Request(error) => ConnectorError::Unreachable(error),
            other => errors::refused(CALL, &other),
        }
    }

    /// Whether the provider no longer takes the access token it just handed out.
    pub(super) fn is_unauthorized(&self) -> bool {
        matches!(
            self,
            Self::Request(OutboundError::Status { status: 401, .. })
        )
    }

    /// Whether it says nothing of the person: the endpoint could not be asked.
    pub(super) fn is_temporary(&self) -> bool {
        matches!(self, Self::Request(_)) && !self.is_unauthorized()
    }
}

/// Asks, and believes only what is about `sub`.
pub(super) async fn fetch(
    outbound: &Outbound,
    url: &Url,
    access: &Secret<String>,
    sub: &str,
) -> Result<Map<String, Value>, UserinfoError> {
    let said = outbound
        .get_json_as(url, access, OutboundCall::repeatable(CALL))
        .await;
    check_subject(said.map_err(UserinfoError::Request)?, sub)
}

fn check_subject(said: Value, sub: &str) -> Result<Map<String, Value>, UserinfoError> {
    let Value::Object(said) = said else {
        return Err(UserinfoError::NotAnObject);
    };
    match said.get("sub").and_then(Value::as_str) {
        None => Err(UserinfoError::NoSubject),
        Some(other) if other != sub => Err(UserinfoError::WrongSubject),
        Some(_) => Ok(said),
    }
}

/// The raw profile: the claims, and over them what userinfo said. What is null, or of a type it
/// cannot be, is not there.
pub(super) fn merge_claims(
    claims: Map<String, Value>,
    said: Option<Map<String, Value>>,
) -> Map<String, Value> {
    let mut merged = claims;
    let mut said = said.unwrap_or_default();
    said.retain(|name, value| !ID_TOKEN_ONLY.contains(&name.as_str()) && is_usable(name, value));
    for (value, verified) in VERIFICATION_CLAIMS {
        if said.contains_key(value) {
            // The claims vouch for their own value, which may be another.
            merged.remove(verified);
        } else {
            said.remove(verified);
        }
    }
    merged.extend(said);
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

/// What the provider vouches for: an address it has verified, by its own word. Some write it as
/// text.
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

/// Whether groups stand elsewhere: too many for a token, so that it holds only where to ask
/// (OpenID Connect Core §5.6.2).
pub(super) fn has_distributed_groups(profile: &Map<String, Value>) -> bool {
    let elsewhere = profile
        .get("_claim_names")
        .is_some_and(|names| names.get("groups").is_some());
    let hinted = profile.get("hasgroups").is_some_and(|has| match has {
        Value::Bool(has) => *has,
        Value::String(text) => text == "true",
        _ => false,
    });
    !profile.contains_key("groups") && (elsewhere || hinted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn merged(claims: Value, said: Value) -> Value {
        Value::Object(merge_claims(map(claims), Some(map(said))))
    }

    #[test]
    fn userinfo_is_about_the_same_person_or_refused() {
        let subject = "u1";
        assert!(check_subject(json!({ "sub": "u1", "name": "张三" }), subject).is_ok());
        for (bad, why) in [
            (json!({ "sub": "u2" }), "somebody else"),
            (json!({ "sub": "U1" }), "somebody else"),
            (json!({}), "about whom"),
            (json!({ "sub": 1 }), "about whom"),
            (json!([]), "no object"),
        ] {
            let error = check_subject(bad.clone(), subject).unwrap_err();
            assert!(error.to_string().contains(why), "{bad}: {error}");
            assert!(!error.is_temporary() && !error.is_unauthorized());
            assert!(matches!(
                error.into_login_error(),
                ConnectorError::Refused { .. }
            ));
        }
    }

    #[test]
    fn userinfo_adds_and_never_says_who_it_is_or_what_was_proved() {
        let claims =
            json!({ "sub": "u1", "iss": "i", "exp": 1, "acr": "1", "name": "a", "nonce": "n" });
        let said = json!({
            "sub": "u2", "iss": "j", "exp": 2, "acr": "9", "amr": ["mfa"], "auth_time": 3, "sid": "s",
            "aud": "x", "name": "张三", "groups": ["财务部"], "picture": null,
        });
        assert_eq!(
            merged(claims, said),
            json!({
                "sub": "u1", "iss": "i", "exp": 1, "acr": "1", "name": "张三",
                "groups": ["财务部"],
            })
        );
    }

    #[test]
    fn a_name_that_is_no_text_is_none() {
        let claims = json!({ "sub": "u", "email": 7, "name": ["a"], "preferred_username": "z" });
        let said = json!({ "preferred_username": { "a": 1 }, "phone_number": 138, "age": 7 });
        assert_eq!(
            merged(claims, said),
            json!({ "sub": "u", "preferred_username": "z", "age": 7 })
        );
    }

    #[test]
    fn nobody_vouches_for_a_value_of_the_other() {
        let signed = json!({ "sub": "u", "email": "own@corp.example", "email_verified": true });
        let other = merged(signed.clone(), json!({ "email": "boss@corp.example" }));
        assert_eq!(other, json!({ "sub": "u", "email": "boss@corp.example" }));
        assert!(verified_emails(&map(other)).is_empty());
        let unsigned = json!({ "sub": "u", "email": "boss@corp.example" });
        let word = merged(unsigned.clone(), json!({ "email_verified": true }));
        assert_eq!(word, unsigned);
        let both = json!({ "email": "boss@corp.example", "email_verified": true });
        assert_eq!(verified_emails(&map(merged(signed, both))).len(), 1);
    }

    #[test]
    fn only_a_verified_address_is_vouched_for() {
        let vouched = |value: Value| verified_emails(&map(value));
        for verified in [json!(true), json!("true")] {
            let profile = json!({ "email": "a@b", "email_verified": verified });
            assert_eq!(vouched(profile), [(LinkField::Email, "a@b".to_owned())]);
        }
        for verified in [
            json!(false),
            json!("false"),
            json!(1),
            json!(null),
            json!("yes"),
        ] {
            let profile = json!({ "email": "a@b", "email_verified": verified });
            assert!(vouched(profile).is_empty(), "{verified}");
        }
        assert!(vouched(json!({ "email": "a@b" })).is_empty());
        assert!(vouched(json!({ "email_verified": true })).is_empty());
        let phone = json!({ "phone_number": "138", "phone_number_verified": true });
        assert!(vouched(phone).is_empty());
    }

    #[test]
    fn groups_that_stand_elsewhere_are_noticed() {
        let elsewhere = json!({ "_claim_names": { "groups": "src1" } });
        assert!(has_distributed_groups(&map(elsewhere)));
        assert!(has_distributed_groups(&map(json!({ "hasgroups": true }))));
        let both = json!({ "_claim_names": { "groups": "src1" }, "groups": ["a"] });
        for fine in [both, json!({}), json!({ "_claim_names": { "x": "y" } })] {
            assert!(!has_distributed_groups(&map(fine.clone())), "{fine}");
        }
    }
}
