//! `StepError`: why a step of a login failed. It holds names, types and numbers, never a value.

use super::super::{ConnectorError, SourceRefusal};
use super::plan::StepReads;
use crate::expression::EvalError;
use crate::outbound::OutboundError;
use crate::telemetry::error_chain;

/// The longest message of an error, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// A step that failed.
#[derive(Debug)]
pub(super) struct StepError {
    pub(super) step: String,
    /// "step 1" …
    pub(super) call: &'static str,
    pub(super) reads: StepReads,
    pub(super) fault: Box<Fault>,
}

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("`{key}` has no value")]
    NoValue {
        key: String,
        #[source]
        source: EvalError,
    },
    #[error("`{key}` is neither a text nor a whole number")]
    NotAText { key: String },
    #[error("the value of `{key}` cannot be in a header")]
    NotAHeader { key: String },
    #[error("`cache` is not a number of seconds")]
    NotSeconds,
    #[error("`success` is not true")]
    NotSuccessful,
    #[error(transparent)]
    Exchange(OutboundError),
}

impl StepError {
    /// Whether the portal refused the request, so that a new answer of an earlier step may help.
    pub(super) fn is_refusal(&self) -> bool {
        match &*self.fault {
            Fault::NotSuccessful => true,
            Fault::Exchange(OutboundError::Status { status, .. }) => {
                (400..500).contains(status) && *status != 429
            }
            _ => false,
        }
    }

    /// The error of a login. What a step without the code answers is the same for everybody, so its failure
    /// concerns the settings or the portal.
    pub(super) fn into_error(self) -> ConnectorError {
        let status = match &*self.fault {
            Fault::Exchange(OutboundError::Status { status, .. }) => Some(*status),
            _ => None,
        };
        let is_refusal = self.is_refusal();
        let refusal = SourceRefusal {
            call: self.call,
            code: status.map_or(0, i64::from),
            message: message_of(&self.step, &self.fault),
        };
        match *self.fault {
            Fault::Exchange(OutboundError::Status { status: 429, .. }) => {
                ConnectorError::Busy(refusal)
            }
            Fault::Exchange(error) if !is_refusal => ConnectorError::NoUsableResponse(error),
            _ if self.reads.code && is_refusal => ConnectorError::CodeRejected(refusal),
            _ if self.reads.is_personal => ConnectorError::InvalidResponse(refusal),
            _ => ConnectorError::Misconfigured {
                remedy: format!(
                    "check `url`, the expressions and the secrets of the step `{}`: it is the same for \
                     everybody",
                    self.step
                ),
                source: refusal,
            },
        }
    }
}

/// The error of an expression that belongs to no step, or of its value.
pub(super) fn invalid_result(fault: &Fault) -> ConnectorError {
    invalid_response("the result of the steps", fault)
}

/// The error of a response of the browser.
pub(super) fn invalid_response(
    call: &'static str,
    why: &(dyn std::error::Error + 'static),
) -> ConnectorError {
    ConnectorError::InvalidResponse(fault(call, &error_chain(why).to_string()))
}

pub(super) fn fault(call: &'static str, message: &str) -> SourceRefusal {
    SourceRefusal {
        call,
        code: 0,
        message: message.chars().take(MESSAGE_CHARS_MAX).collect(),
    }
}

fn message_of(step: &str, fault: &Fault) -> String {
    let text = format!("`{step}`: {}", error_chain(fault));
    text.chars().take(MESSAGE_CHARS_MAX).collect()
}
