//! `StepError`: why a step of a login failed. It holds names, types and numbers, never a value.

use std::time::Duration;

use super::super::{ConnectorError, SourceRefusal, brought};
use super::plan::StepReads;
use crate::clock::Timestamp;
use crate::expression::EvalError;
use crate::outbound::OutboundError;
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The longest message of an error, in characters.
const MESSAGE_CHARS_MAX: usize = 300;

/// How long a shared step that the portal refused, or answered with something else than it should, is not asked
/// for again.
const REFUSAL_PAUSE: Duration = Duration::from_secs(60);

/// How long a shared step without an answer is not asked for again.
const NO_ANSWER_PAUSE: Duration = Duration::from_secs(2);

/// The keys of a step whose expressions read the answer.
const ANSWER_KEYS: [&str; 2] = ["success", "cache"];

/// A step that failed.
#[derive(Debug)]
pub(super) struct StepError {
    pub(super) step: String,
    /// "step 1" …
    pub(super) call: &'static str,
    pub(super) reads: StepReads,
    pub(super) fault: Box<Fault>,
    /// Until when all logins get this failure of a shared step, if it is an earlier one.
    pub(super) kept_until: Option<Timestamp>,
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum Fault {
    NoValue { key: String, source: EvalError },
    NotAText { key: String },
    NotAHeader { key: String },
    NotSeconds,
    NotSuccessful,
    Exchange(OutboundError),
}

impl Fault {
    fn text(&self) -> Text {
        match self {
            Self::NoValue { key, .. } => text!("`{key}` has no value", "`{key}` 没有值"),
            Self::NotAText { key } => text!(
                "`{key}` is neither a text nor a whole number",
                "`{key}` 既不是文本也不是整数"
            ),
            Self::NotAHeader { key } => text!(
                "the value of `{key}` cannot be in a header",
                "`{key}` 的值不能放进请求头"
            ),
            Self::NotSeconds => {
                Text::fixed("`cache` is not a number of seconds", "`cache` 不是秒数")
            }
            Self::NotSuccessful => {
                Text::fixed("`success` is not true", "`success` 的结果不是 true")
            }
            Self::Exchange(source) => Text::of(source),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoValue { source, .. } => Some(source),
            Self::Exchange(source) => std::error::Error::source(source),
            Self::NotAText { .. }
            | Self::NotAHeader { .. }
            | Self::NotSeconds
            | Self::NotSuccessful => None,
        }
    }
}

error_of_text!(Fault, caused);

impl StepError {
    /// Whether the portal refused the request, so that a new answer of an earlier step may help.
    pub(super) fn is_refusal(&self) -> bool {
        match &*self.fault {
            Fault::NotSuccessful => true,
            Fault::Exchange(OutboundError::Status { status, .. }) => {
                is_lasting(*status) && *status != 429
            }
            _ => false,
        }
    }

    /// How long the portal is not asked again if the step is shared; `None` if the failure concerns this login
    /// alone.
    pub(super) fn pause(&self) -> Option<Duration> {
        match &*self.fault {
            // All expressions of a login share the budget.
            Fault::NoValue {
                source: EvalError::BudgetExceeded,
                ..
            } => None,
            Fault::Exchange(OutboundError::Status { status, .. }) if is_lasting(*status) => {
                Some(REFUSAL_PAUSE)
            }
            Fault::Exchange(_) => Some(NO_ANSWER_PAUSE),
            _ => Some(REFUSAL_PAUSE),
        }
    }

    /// The failure for another login.
    pub(super) fn again(&self) -> Self {
        let fault = match &*self.fault {
            Fault::NoValue { key, source } => Fault::NoValue {
                key: key.clone(),
                source: source.clone(),
            },
            Fault::NotAText { key } => Fault::NotAText { key: key.clone() },
            Fault::NotAHeader { key } => Fault::NotAHeader { key: key.clone() },
            Fault::NotSeconds => Fault::NotSeconds,
            Fault::NotSuccessful => Fault::NotSuccessful,
            Fault::Exchange(OutboundError::Status {
                call,
                status,
                content_type,
            }) => Fault::Exchange(OutboundError::Status {
                call,
                status: *status,
                content_type: content_type.clone(),
            }),
            Fault::Exchange(_) => Fault::Exchange(OutboundError::Pausing { call: self.call }),
        };
        Self {
            step: self.step.clone(),
            call: self.call,
            reads: self.reads.clone(),
            fault: Box::new(fault),
            kept_until: self.kept_until,
        }
    }

    /// The error of a login. What a step without the code answers is the same for everybody, so its failure
    /// concerns the settings or the portal.
    pub(super) fn into_error(self) -> ConnectorError {
        let status = match &*self.fault {
            Fault::Exchange(OutboundError::Status { status, .. }) => Some(*status),
            _ => None,
        };
        let (is_refusal, is_of_answer) = (self.is_refusal(), self.fault.is_of_answer());
        let refusal = SourceRefusal {
            call: self.call,
            code: status.map_or(0, i64::from),
            message: self.message(),
        };
        match *self.fault {
            Fault::Exchange(OutboundError::Status { status: 429, .. }) => {
                ConnectorError::Busy(refusal)
            }
            Fault::Exchange(error) if !is_refusal => ConnectorError::NoUsableResponse(error),
            _ if self.reads.code && is_refusal => ConnectorError::CodeRejected(refusal),
            // A value for the request is missing, such as a parameter that the browser left out.
            _ if self.reads.is_personal && !is_of_answer => {
                ConnectorError::InvalidResponse(SourceRefusal {
                    call: brought::CALLBACK,
                    ..refusal
                })
            }
            _ if self.reads.is_personal => ConnectorError::InvalidResponse(refusal),
            _ => ConnectorError::Misconfigured {
                remedy: text!(
                    "check `url`, the expressions and the secrets of the step `{}`: it is the same for \
                     everybody",
                    "请检查步骤 `{}` 的 `url`、表达式和密钥：对所有人都一样",
                    self.step
                ),
                source: refusal,
            },
        }
    }
}

impl Fault {
    /// Whether it concerns the answer of the portal, and not the request.
    fn is_of_answer(&self) -> bool {
        match self {
            Self::NoValue { key, .. } => ANSWER_KEYS.contains(&key.as_str()),
            Self::NotAText { .. } | Self::NotAHeader { .. } => false,
            Self::NotSeconds | Self::NotSuccessful | Self::Exchange(_) => true,
        }
    }
}

impl StepError {
    fn message(&self) -> String {
        let text = format!("`{}`: {}", self.step, error_chain(&*self.fault));
        let mut text: String = text.chars().take(MESSAGE_CHARS_MAX).collect();
        if let Some(until) = self.kept_until {
            text.push_str(&format!(", and no new request before {until}"));
        }
        text
    }
}

/// Whether the portal answers a request with this status as long as the request stays the same.
fn is_lasting(status: u16) -> bool {
    (400..500).contains(&status)
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
