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
    Refused(Text),
    /// 2: an argument is invalid.
    Usage(Text),
    /// 3: a socket could not be bound.
    NotBound(Text),
    /// 4: the running server did not answer, or could not store a change.
    Unavailable(Text),
}

impl Failure {
    pub(super) fn refused(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Refused(chain(error))
    }

    pub(super) fn unavailable(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Unavailable(chain(error))
    }

    pub(super) fn because(why: &Text) -> Self {
        Self::Refused(why.clone())
    }

    pub(super) fn invalid(error: &ConfigError) -> Self {
        let why = error.in_language(wording::operator_language());
        Self::Refused(Text::same(why))
    }

    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::NotBound(_) => 3,
            Self::Unavailable(_) => 4,
        }
    }

    /// In the language of the operator.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Refused(why)
            | Self::Usage(why)
            | Self::NotBound(why)
            | Self::Unavailable(why) => why.for_operator(),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let why = chain(&error);
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

/// An error with its causes, in both languages.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> Text {
    Text::of(&telemetry::error_chain(error))
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
