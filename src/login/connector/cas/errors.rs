//! The errors of a CAS server and what they mean for a login.

use super::super::{ConnectorError, RefusalReason, SourceRefusal, brought};
use crate::text;

/// The call in errors about an answer to a validation.
pub(super) const VALIDATION: &str = "ticket validation";

/// The longest failure text that is kept, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// The error of a callback or a logout message that menshen refuses itself.
pub(super) fn invalid_response(why: &str) -> ConnectorError {
    ConnectorError::InvalidResponse(SourceRefusal::fault(brought::CALLBACK, why))
}

/// The error of an answer of the CAS server that menshen refuses.
pub(super) fn invalid_answer(why: &str) -> ConnectorError {
    ConnectorError::InvalidResponse(SourceRefusal::fault(VALIDATION, why))
}

/// The error of an `authenticationFailure` (CAS Protocol 3.0 §2.5.3). Servers repeat ticket and service in
/// their text, so both are `redacted`.
pub(super) fn refused_ticket(code: &str, text: &str, redacted: &[&str]) -> ConnectorError {
    let message = format!("{code}: {}", text.trim());
    let mut message: String = message.chars().filter(|c| !c.is_control()).collect();
    for secret in redacted {
        message = message.replace(secret, "…");
    }
    let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    let refusal = SourceRefusal::fault(VALIDATION, &message);
    match code {
        "INVALID_TICKET" => ConnectorError::CodeRejected(refusal),
        "INVALID_TICKET_SPEC" => ConnectorError::Refused {
            why: RefusalReason::InsufficientAuth,
            source: refusal,
        },
        "UNAUTHORIZED_SERVICE" | "UNAUTHORIZED_SERVICE_PROXY" => ConnectorError::Misconfigured {
            remedy: text!(
                "register the callback URL, with any query, as a service at the CAS server",
                "请在 CAS 服务器上把回调 URL（允许任意查询参数）登记为服务"
            ),
            source: refusal,
        },
        "INTERNAL_ERROR" => ConnectorError::Busy(refusal),
        _ => ConnectorError::InvalidResponse(refusal),
    }
}
