//! The authorization code grant, as OAuth 2 and OpenID Connect both speak it: RFC 6749 §4.1, §5.2
//! and §6, with the proof key of RFC 7636 and the signed assertion of RFC 7523 §2.2.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use super::{ConnectorError, RefusalReason, SourceRefusal};
use crate::login::fields::Fields;

mod client;
mod error;
mod token;

pub(super) use error::source_refusal;

pub use client::{Client, ClientAuth, ClientSettings, settings_conflict};
pub use token::{TokenEndpoint, TokenEndpointDialect, TokenResponse};

/// The longest code, in bytes; those of some providers are signed tokens of their own.
pub const CODE_BYTES_MAX: usize = 4096;

/// What binds an answer to the login that asked, and whom it is for: no setting may say it.
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

/// The parameters of an answer that mean something; none may stand twice (RFC 6749 §3.1).
const RESPONSE_PARAMETERS: [&str; 7] = [
    "code",
    "error",
    "error_description",
    "error_uri",
    "iss",
    "session_state",
    "state",
];

/// The longest error of an answer, in bytes; longer ones are none.
const ERROR_BYTES_MAX: usize = 100;

/// What Keycloak answers when its login page was open for too long, or another tab of the browser
/// came in meanwhile: the next login succeeds, often without a click.
const LOGIN_EXPIRED: (&str, Option<&str>) =
    ("temporarily_unavailable", Some("authentication_expired"));

/// The challenge that a verifier answers (RFC 7636 §4.2, S256).
pub fn pkce_challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}

/// Whether this parameter of an authorization request is never a setting's to say.
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// The address that opens a login: the endpoint, which may have a query of its own, with our
/// parameters. What is `extra`, and what the endpoint has already, stands only where it says nothing
/// that we say and nothing reserved.
pub fn authorize_url(endpoint: &Url, own: &[(&str, &str)], extra: &[(&str, &str)]) -> Url {
    let ours = |name: &str| is_reserved(name) || own.iter().any(|(known, _)| *known == name);
    let kept: Vec<(String, String)> = endpoint
        .query_pairs()
        .filter(|(name, _)| !ours(name) && !extra.iter().any(|(known, _)| known == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut url = endpoint.clone();
    url.set_fragment(None);
    url.query_pairs_mut()
        .clear()
        .extend_pairs(kept)
        .extend_pairs(extra.iter().filter(|(name, _)| !ours(name)))
        .extend_pairs(own);
    url
}

/// The code that the authorization endpoint answered, or why there is none (RFC 6749 §4.1.2.1,
/// OpenID Connect Core §3.1.2.6). `callback` is what the remedies name.
pub fn authorization_code<'a>(
    fields: &'a Fields,
    callback: &Url,
) -> Result<&'a str, ConnectorError> {
    if RESPONSE_PARAMETERS
        .iter()
        .any(|name| fields.one(name).is_err())
    {
        return Err(invalid_response("a parameter stands twice"));
    }
    let one = |name| fields.one(name).ok().flatten();
    if let Some(error) = one("error") {
        let plain = |byte: u8| byte.is_ascii_graphic();
        if error.is_empty() || error.len() > ERROR_BYTES_MAX || !error.bytes().all(plain) {
            return Err(invalid_response("its error is none"));
        }
        let said = error::source_refusal("authorize", 0, error, one("error_description"), &[]);
        if (error, one("error_description")) == LOGIN_EXPIRED {
            return Err(ConnectorError::Expired(said));
        }
        return Err(refused(error, said, callback));
    }
    match one("code") {
        None => Err(invalid_response("there is no code")),
        Some(code)
            if code.is_empty()
                || code.len() > CODE_BYTES_MAX
                || code.chars().any(char::is_control) =>
        {
            Err(invalid_response("the code is empty, too long or damaged"))
        }
        Some(code) => Ok(code),
    }
}

/// An answer that makes no sense, and why.
pub fn invalid_response(why: &str) -> ConnectorError {
    ConnectorError::Refused {
        why: RefusalReason::BadAnswer,
        source: SourceRefusal {
            call: "callback",
            code: 0,
            message: why.to_owned(),
        },
    }
}

/// What an error of the authorization endpoint means. Nothing was redeemed, nobody is known.
fn refused(error: &str, said: SourceRefusal, callback: &Url) -> ConnectorError {
    let refused = |why| ConnectorError::Refused {
        why,
        source: said.clone(),
    };
    match error {
        "access_denied" => refused(RefusalReason::Declined),
        "login_required"
        | "interaction_required"
        | "consent_required"
        | "account_selection_required" => refused(RefusalReason::InteractionRequired),
        "unmet_authentication_requirements" => refused(RefusalReason::InsufficientProof),
        "temporarily_unavailable" | "server_error" => ConnectorError::Busy(said),
        _ => ConnectorError::Misconfigured {
            remedy: error::remedy(error, callback),
            source: said,
        },
    }
}

#[cfg(test)]
mod tests;
