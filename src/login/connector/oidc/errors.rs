//! Errors of the issuer and of its tokens as errors of a login.

use std::error::Error;

use super::super::{ConnectorError, RefusalReason, SourceRefusal};
use crate::issuer::IssuerError;
use crate::telemetry;
use crate::text;
use crate::wording::Text;

/// The longest reason in an error, in characters.
const REASON_CHARS_MAX: usize = 300;

/// The error of a login if the metadata or keys of the issuer are not available or cannot be used.
pub(super) fn from_issuer(error: IssuerError) -> ConnectorError {
    match &error {
        IssuerError::Metadata { issuer, source } => {
            misconfigured(Text::of(source), issuer.as_str())
        }
        IssuerError::Unreachable { .. } | IssuerError::RecentFailure { .. } => {
            ConnectorError::Issuer(error)
        }
    }
}

/// The error of a login if the metadata lacks an endpoint.
pub(super) fn missing_endpoint(endpoint: &'static str) -> ConnectorError {
    let remedy = text!(
        "check that `issuer` names an OpenID Connect provider that supports logins",
        "请检查 `issuer` 是否是支持登录的 OpenID Connect 认证源"
    );
    misconfigured(remedy, &format!("it lacks `{endpoint}`"))
}

/// The error of a login if the settings do not match the provider.
pub(super) fn misconfigured(remedy: Text, message: &str) -> ConnectorError {
    ConnectorError::Misconfigured {
        remedy,
        source: SourceRefusal {
            call: "discovery",
            code: 0,
            message: truncated(message),
        },
    }
}

/// The error of a login if a token or a response is not valid.
pub(super) fn invalid_response(call: &'static str, why: &(dyn Error + 'static)) -> ConnectorError {
    ConnectorError::InvalidResponse(refusal(call, why))
}

/// The error of a login whose ID token is valid, but whose authentication is weaker or older than the
/// route demands.
pub(super) fn insufficient_auth(call: &'static str, why: &(dyn Error + 'static)) -> ConnectorError {
    ConnectorError::Refused {
        why: RefusalReason::InsufficientAuth,
        source: refusal(call, why),
    }
}

fn refusal(call: &'static str, why: &(dyn Error + 'static)) -> SourceRefusal {
    SourceRefusal {
        call,
        code: 0,
        message: truncated(&telemetry::error_chain(why).to_string()),
    }
}

fn truncated(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(REASON_CHARS_MAX).collect()
}
