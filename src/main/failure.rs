//! `Failure`: why the program failed, and its exit code.

use std::io::Write as _;
use std::process::ExitCode;

use menshen::config::ConfigError;
use menshen::door::BindError;
use menshen::run::StartError;
use menshen::telemetry::{self, escape};
use menshen::text;
use menshen::wording::{self, Text};

/// Why the program failed; each variant has its exit code.
#[derive(Debug)]
pub(super) enum Failure {
    /// 1: the configuration or something that it names is invalid.
    Refused(String),
    /// 2: an argument is invalid.
    Usage(String),
    /// 3: a socket could not be bound.
    NotBound(String),
    /// 4: the running server did not answer, or could not store a change.
    Unavailable(String),
}

impl Failure {
    pub(super) fn refused(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::because(&Text::of(&telemetry::error_chain(error)))
    }

    pub(super) fn because(why: &Text) -> Self {
        Self::Refused(why.for_operator().to_owned())
    }

    pub(super) fn invalid(error: &ConfigError) -> Self {
        Self::Refused(error.in_language(wording::operator_language()))
    }

    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::NotBound(_) => 3,
            Self::Unavailable(_) => 4,
        }
    }

    pub(super) fn why(&self) -> &str {
        match self {
            Self::Refused(why)
            | Self::Usage(why)
            | Self::NotBound(why)
            | Self::Unavailable(why) => why,
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let why = Text::of(&telemetry::error_chain(&error));
        let why = why.for_operator().to_owned();
        match error {
            // An invalid certificate is a fault of the configuration: no socket was bound yet.
            StartError::Bind(BindError::Tls(_)) => Self::Refused(why),
            StartError::Bind(_) => Self::NotBound(why),
            StartError::Store(_)
            | StartError::Build(_)
            | StartError::Address { .. }
            | StartError::AdminToken(_)
            | StartError::StorePassword(_) => Self::Refused(why),
        }
    }
}

pub(super) fn report(failure: &Failure) -> ExitCode {
    let why = without_label(failure.why());
    let label = text!("error", "错误");
    let label = label.for_operator();
    // If stderr is closed, the exit code still reports the failure.
    let _ = writeln!(std::io::stderr(), "{label}: {}", escape::for_terminal(why));
    ExitCode::from(failure.code())
}

/// Errors of the configuration begin with a label already.
pub(super) fn without_label(why: &str) -> &str {
    let rest = why.strip_prefix("error: ");
    rest.or_else(|| why.strip_prefix("错误: ")).unwrap_or(why)
}
