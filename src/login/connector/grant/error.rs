//! What the errors of an authorization server mean (RFC 6749 §5.2), and what helps.

use url::Url;

use super::super::{ConnectorError, RefusalReason, SourceRefusal};
use crate::outbound::OutboundError;
use crate::people::source::SourceError;

/// The longest message of a provider that is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// What is shorter is nobody's secret, and would make a message unreadable.
const REDACTED_BYTES_MIN: usize = 6;

/// Why the token endpoint granted nothing.
#[derive(Debug)]
pub(super) enum TokenEndpointError {
    /// It refused, with an error of the protocol or of its own.
    Refused {
        /// `invalid_grant` and its kin.
        error: String,
        /// The same for the log.
        refusal: SourceRefusal,
    },
    /// It could not be asked, or its answer made no sense.
    Unreachable(OutboundError),
}

/// What an error asks of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorClass {
    /// The code or the refresh token is spent, ended or revoked.
    Spent,
    Busy,
    AccessDenied,
    Misconfigured,
}

impl TokenEndpointError {
    /// What it means while a code is redeemed.
    pub(super) fn at_redemption(self, callback: &Url) -> ConnectorError {
        let (error, refusal) = match self {
            Self::Refused { error, refusal } => (error, refusal),
            Self::Unreachable(error) => return transport_error(error),
        };
        match classify(&error, refusal.code) {
            ErrorClass::Spent => ConnectorError::Stale(refusal),
            ErrorClass::Busy => ConnectorError::Busy(refusal),
            ErrorClass::AccessDenied => ConnectorError::Refused {
                why: RefusalReason::OutOfRange,
                source: refusal,
            },
            ErrorClass::Misconfigured => ConnectorError::Misconfigured {
                remedy: remedy(&error, callback),
                source: refusal,
            },
        }
    }

    /// What it means while a refresh token is spent. Only the provider's own word ends a session.
    pub(super) fn at_refresh(self, callback: &Url) -> SourceError {
        match self {
            Self::Refused { error, refusal }
                if classify(&error, refusal.code) == ErrorClass::Spent =>
            {
                SourceError::Gone(Box::new(refusal))
            }
            other => SourceError::Unavailable(Box::new(other.at_redemption(callback))),
        }
    }
}

/// A provider that answers by a bare status: busy, or away.
fn transport_error(error: OutboundError) -> ConnectorError {
    match error {
        OutboundError::Status {
            call,
            status: status @ 429,
            ..
        } => ConnectorError::Busy(source_refusal(
            call,
            i64::from(status),
            "too many requests",
            None,
            &[],
        )),
        other => ConnectorError::Unreachable(other),
    }
}

/// What a provider said, bounded and without what was `redacted` in the question.
pub(in super::super) fn source_refusal(
    call: &'static str,
    code: i64,
    error: &str,
    description: Option<&str>,
    redacted: &[&str],
) -> SourceRefusal {
    let mut message = match description.map(str::trim) {
        Some(description) if !description.is_empty() => format!("{error}: {description}"),
        _ => error.to_owned(),
    };
    for secret in redacted
        .iter()
        .filter(|secret| secret.len() >= REDACTED_BYTES_MIN)
    {
        message = message.replace(secret, "…");
    }
    SourceRefusal {
        call,
        code,
        message: message
            .chars()
            .filter(|c| !c.is_control())
            .take(MESSAGE_CHARS_MAX)
            .collect(),
    }
}

fn classify(error: &str, status: i64) -> ErrorClass {
    match error {
        "invalid_grant" | "bad_verification_code" | "bad_refresh_token" | "expired_token" => {
            ErrorClass::Spent
        }
        "temporarily_unavailable" | "server_error" | "slow_down" => ErrorClass::Busy,
        "access_denied" | "unverified_user_email" => ErrorClass::AccessDenied,
        _ if status == 429 => ErrorClass::Busy,
        _ => ErrorClass::Misconfigured,
    }
}

/// What an administrator can do about an error of the protocol.
pub(super) fn remedy(error: &str, callback: &Url) -> String {
    match error {
        "invalid_client" | "incorrect_client_credentials" => {
            "copy `client_id` and `client_secret` (or the key in `private_key`) anew from the \
             provider; when they are right, the provider may want them sent otherwise: see \
             `client_auth`"
                .to_owned()
        }
        "unauthorized_client" => "the provider does not let this `client_id` log people in: allow \
             it the authorization code flow"
            .to_owned(),
        "redirect_uri_mismatch" | "invalid_redirect_uri" => {
            format!("register {callback} at the provider, exactly so, as where logins return to")
        }
        "invalid_scope" => "the provider knows or allows one of `scopes` not: allow them to this \
             `client_id`, or ask for fewer"
            .to_owned(),
        "unsupported_response_type" => "the provider does not speak the authorization code flow \
             here: see that `authorize_url` is right, and allow this `client_id` the flow"
            .to_owned(),
        "unsupported_grant_type" => "the token endpoint takes no authorization codes: see that \
             `token_url` is right"
            .to_owned(),
        "invalid_request" => format!(
            "the provider does not understand the request: see that `client_id` is right, that \
             {callback} is registered there as where logins return to, and that it wants no other \
             parameter"
        ),
        _ => format!(
            "see what the provider says of this error; {callback} must be registered there as \
             where logins return to, and `client_id` and `client_secret` be those of the provider"
        ),
    }
}
