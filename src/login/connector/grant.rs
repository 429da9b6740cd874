//! The authorization code grant of OAuth 2 and OpenID Connect (RFC 6749 §4.1, §5.2 and §6), with PKCE
//! (RFC 7636) and signed client assertions (RFC 7523 §2.2).

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use super::{ConnectorError, RefusalReason, SourceRefusal, brought};
use crate::login::fields::Fields;

mod client;
mod error;
mod token;

pub(super) use error::source_refusal;

pub use client::{ClientAuth, ClientSettings, OAuthClient, settings_conflict};
pub use token::{TokenEndpoint, TokenEndpointDialect, TokenResponse};

/// The longest accepted code, in bytes. The codes of some providers are signed tokens.
pub const CODE_BYTES_MAX: usize = 4096;

/// The parameters that bind a response to its login and its client; no setting may override them.
const RESERVED: [&str; 10] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_type",
    "state",
];

/// The parameters of an authorization response; none may be repeated (RFC 6749 §3.1).
const RESPONSE_PARAMETERS: [&str; 7] = [
    "code",
    "error",
    "error_description",
    "error_uri",
    "iss",
    "session_state",
    "state",
];

/// The longest accepted error code, in bytes.
const ERROR_BYTES_MAX: usize = 100;

/// The error of Keycloak if its login page was open for too long, or if the person signed in meanwhile in
/// another tab. The next login often needs no click.
const LOGIN_EXPIRED: (&str, Option<&str>) =
    ("temporarily_unavailable", Some("authentication_expired"));

/// The S256 challenge for a verifier (RFC 7636 §4.2).
pub fn pkce_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// Whether a setting must not set this parameter of an authorization request.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The URL of an authorization request. `own_params` override `configured_params`, and these override the
/// query of `endpoint`. Only `own_params` can set a reserved parameter.
pub fn authorize_url(
    endpoint: &Url,
    own_params: &[(&str, &str)],
    configured_params: &[(&str, &str)],
) -> Url {
    let is_fixed = |name: &str| is_reserved(name) || own_params.iter().any(|(key, _)| *key == name);
    let from_endpoint: Vec<(String, String)> = endpoint
        .query_pairs()
        .filter(|(name, _)| {
            !is_fixed(name) && !configured_params.iter().any(|(key, _)| key == name)
        })
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = endpoint.clone();
    url.set_fragment(None);
    url.query_pairs_mut()
        .clear()
        .extend_pairs(from_endpoint)
        .extend_pairs(configured_params.iter().filter(|(name, _)| !is_fixed(name)))
        .extend_pairs(own_params);
    url
}

/// The code of an authorization response, or its error (RFC 6749 §4.1.2.1, OpenID Connect Core
/// §3.1.2.6). The remedies name `callback`.
pub fn authorization_code<'a>(
    fields: &'a Fields,
    callback: &Url,
) -> Result<&'a str, ConnectorError> {
    if RESPONSE_PARAMETERS
        .iter()
        .any(|name| fields.one(name).is_err())
    {
        return Err(invalid_response("a parameter is repeated"));
    }
    let one = |name| fields.one(name).ok().flatten();
    if let Some(error) = one("error") {
        let is_visible = |byte: u8| byte.is_ascii_graphic();
        if error.is_empty() || error.len() > ERROR_BYTES_MAX || !error.bytes().all(is_visible) {
            return Err(invalid_response(
                "its `error` is empty, too long or malformed",
            ));
        }
        let refusal =
            error::source_refusal(brought::AUTHORIZE, 0, error, one("error_description"), &[]);
        if (error, one("error_description")) == LOGIN_EXPIRED {
            return Err(ConnectorError::LoginExpired(refusal));
        }
        return Err(authorization_error(error, refusal, callback));
    }
    match one("code") {
        None => Err(invalid_response("it has no code")),
        Some(code)
            if code.is_empty()
                || code.len() > CODE_BYTES_MAX
                || code.chars().any(char::is_control) =>
        {
            Err(invalid_response("its code is empty, too long or malformed"))
        }
        Some(code) => Ok(code),
    }
}

/// The error for an invalid authorization response.
pub fn invalid_response(why: &str) -> ConnectorError {
    ConnectorError::InvalidResponse(SourceRefusal::fault(brought::CALLBACK, why))
}

/// The error of a login for an error code of the authorization endpoint.
fn authorization_error(error: &str, refusal: SourceRefusal, callback: &Url) -> ConnectorError {
    let refused = |why| ConnectorError::Refused {
        why,
        source: refusal.clone(),
    };
    match error {
        "access_denied" => refused(RefusalReason::Declined),
        "login_required"
        | "interaction_required"
        | "consent_required"
        | "account_selection_required" => refused(RefusalReason::InteractionRequired),
        "unmet_authentication_requirements" => refused(RefusalReason::InsufficientAuth),
        "temporarily_unavailable" | "server_error" => ConnectorError::Busy(refusal),
        _ => ConnectorError::Misconfigured {
            remedy: error::remedy(error, callback),
            source: refusal,
        },
    }
}

#[cfg(test)]
mod tests;
