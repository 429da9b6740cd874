//! `TokenRefusal`: why a token is refused. The reason goes to the log; the page is the same for all.

use super::super::kit::jwe::DecryptError;
use super::super::{ConnectorError, SourceRefusal, brought};
use crate::expression::EvalError;
use crate::issuer::{ClaimError, TokenError};
use crate::telemetry::error_chain;

/// The longest message of an error, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

#[derive(Debug, thiserror::Error)]
pub(super) enum TokenRefusal {
    #[error("only the portal starts logins")]
    OnlyThePortalStarts,
    #[error("it is encrypted, and this connector has no `decrypt`")]
    Encrypted,
    #[error("it is not encrypted, although this connector has `decrypt`")]
    NotEncrypted,
    #[error(transparent)]
    Decrypt(#[from] DecryptError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error("it has an `aud`, and this connector has no `audience`")]
    UnexpectedAudience,
    #[error("it is valid for longer than `lifetime_max`")]
    LongLifetime,
    #[error("its `auth_time` is in the future")]
    FutureAuthTime,
    #[error("the value of `subject` is not a text or a whole number")]
    Subject,
    #[error("`subject` has no value")]
    SubjectExpression(#[source] EvalError),
}

impl From<TokenRefusal> for ConnectorError {
    fn from(refusal: TokenRefusal) -> Self {
        if let TokenRefusal::Token(TokenError::KeysUnavailable(error)) = refusal {
            return Self::Issuer(error);
        }
        let message = error_chain(&refusal).to_string();
        Self::InvalidResponse(SourceRefusal {
            call: brought::TOKEN,
            code: 0,
            message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
        })
    }
}
