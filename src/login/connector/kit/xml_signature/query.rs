//! Signatures of the Redirect binding: not in the XML, but over parameters of the query as they were sent
//! (SAML 2.0 bindings §3.4.4.1).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::form_urlencoded;

use super::algorithms::{RSA_SHA256, SignatureAlgorithm};
use super::private_key::PrivateKey;
use super::verifying_key::VerifyingKey;
use super::{SignaturePolicy, SignatureRefusal};

/// The parameters that are signed, decoded.
#[derive(PartialEq, Eq)]
pub struct SignedQuery {
    /// `SAMLRequest` or `SAMLResponse`.
    pub parameter: &'static str,
    /// The deflated message in base64.
    pub message: String,
    pub relay_state: Option<String>,
}

impl std::fmt::Debug for SignedQuery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.parameter)
    }
}

/// Adds `SigAlg` and `Signature` to a query of `SAMLRequest` or `SAMLResponse` and perhaps `RelayState`, in
/// this order and encoded. `None` if the key cannot sign.
pub fn sign_query(query: &str, key: &PrivateKey) -> Option<String> {
    let mut signed = format!("{query}&SigAlg=");
    signed.extend(form_urlencoded::byte_serialize(RSA_SHA256.as_bytes()));
    let signature = STANDARD.encode(key.sign(signed.as_bytes())?);
    signed.push_str("&Signature=");
    signed.extend(form_urlencoded::byte_serialize(signature.as_bytes()));
    Some(signed)
}

/// Verifies the signature of a query as it was received. What it returns is signed; other parameters are
/// not and are ignored.
pub fn verify_query(
    query: &str,
    keys: &[VerifyingKey],
    policy: SignaturePolicy,
) -> Result<SignedQuery, SignatureRefusal> {
    let request = only(query, "SAMLRequest")?;
    let response = only(query, "SAMLResponse")?;
    let (parameter, message) = match (request, response) {
        (Some(message), None) => ("SAMLRequest", message),
        (None, Some(message)) => ("SAMLResponse", message),
        _ => return Err(SignatureRefusal::Parameter("message")),
    };
    let relay_state = only(query, "RelayState")?;
    let (algorithm, signature) = match (only(query, "SigAlg")?, only(query, "Signature")?) {
        (Some(algorithm), Some(signature)) => (algorithm, signature),
        (None, None) => return Err(SignatureRefusal::Unsigned),
        (None, Some(_)) => return Err(SignatureRefusal::Parameter("SigAlg")),
        (Some(_), None) => return Err(SignatureRefusal::Parameter("Signature")),
    };
    let mut signed = format!("{parameter}={message}");
    for (name, value) in [("RelayState", relay_state), ("SigAlg", Some(algorithm))] {
        if let Some(value) = value {
            signed.extend(["&", name, "=", value]);
        }
    }
    let algorithm = SignatureAlgorithm::of_signature_method(&decoded(algorithm), policy)?;
    let signature = STANDARD.decode(decoded(signature).as_bytes());
    let signature = signature.map_err(|_| SignatureRefusal::Encoding("Signature"))?;
    let is_verified = |key: &VerifyingKey| key.verifies(algorithm, signed.as_bytes(), &signature);
    if !keys.iter().any(is_verified) {
        return Err(SignatureRefusal::NoKeyVerifies);
    }
    Ok(SignedQuery {
        parameter,
        message: decoded(message).into_owned(),
        relay_state: relay_state.map(|state| decoded(state).into_owned()),
    })
}

/// The value of a parameter as it was sent. Two are refused, also when the name of one is encoded, because
/// readers differ in which one they take.
fn only<'a>(query: &'a str, name: &'static str) -> Result<Option<&'a str>, SignatureRefusal> {
    let mut found = None;
    for pair in query.split('&') {
        let (pair_name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decoded(pair_name) != name {
            continue;
        }
        if pair_name != name || found.replace(value).is_some() {
            return Err(SignatureRefusal::Parameter(name));
        }
    }
    Ok(found)
}

fn decoded(value: &str) -> Cow<'_, str> {
    let spaced = if value.contains('+') {
        Cow::Owned(value.replace('+', " "))
    } else {
        Cow::Borrowed(value)
    };
    match percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy() {
        Cow::Borrowed(_) => spaced,
        Cow::Owned(decoded) => Cow::Owned(decoded),
    }
}
