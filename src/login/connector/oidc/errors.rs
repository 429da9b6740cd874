//! What the troubles of an issuer mean for a login.

use std::error::Error;

use super::super::{ConnectorError, RefusalReason, SourceRefusal};
use crate::issuer::IssuerError;
use crate::telemetry;

/// The longest reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 300;

/// The issuer did not say what we need of it.
pub(super) fn from_issuer(error: IssuerError) -> ConnectorError {
    match &error {
        IssuerError::Metadata { issuer, source } => {
            misconfigured(source.to_string(), &format!("what {issuer} says of itself"))
        }
        IssuerError::Unreachable { .. } | IssuerError::RecentFailure { .. } => {
            ConnectorError::Issuer(error)
        }
    }
}

/// The provider has no such endpoint.
pub(super) fn missing_endpoint(endpoint: &'static str) -> ConnectorError {
    let remedy = "see that `issuer` names an OpenID Connect provider that logs people in";
    misconfigured(remedy.to_owned(), &format!("it lacks `{endpoint}`"))
}

/// The settings and the provider do not fit together.
pub(super) fn misconfigured(remedy: String, message: &str) -> ConnectorError {
    ConnectorError::Misconfigured {
        remedy,
        source: SourceRefusal {
            call: "discovery",
            code: 0,
            message: bounded(message),
        },
    }
}

/// What came proves nothing, and why.
pub(super) fn refused(call: &'static str, why: &(dyn Error + 'static)) -> ConnectorError {
    refused_as(RefusalReason::BadAnswer, call, why)
}

/// What came proves less than was asked for, and why.
pub(super) fn unproven(call: &'static str, why: &(dyn Error + 'static)) -> ConnectorError {
    refused_as(RefusalReason::InsufficientProof, call, why)
}

fn refused_as(
    what: RefusalReason,
    call: &'static str,
    why: &(dyn Error + 'static),
) -> ConnectorError {
    ConnectorError::Refused {
        why: what,
        source: SourceRefusal {
            call,
            code: 0,
            message: bounded(&telemetry::error_chain(why).to_string()),
        },
    }
}

fn bounded(text: &str) -> String {
    let plain = text.chars().filter(|c| !c.is_control());
    plain.take(REASON_CHARS_MAX).collect()
}
