//! Why a change of the settings is refused, and why stored settings cannot be used.

use std::fmt;

use crate::login::connector::SettingProblem;
use crate::store::{ConnectorId, StoreError};
use crate::wording::Text;

/// A line of the configuration file. `Display` is `/etc/menshen/menshen.toml:41`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileLine {
    pub file: String,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for FileLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A problem of one field. Contains no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// The connector, if the change is about several.
    pub connector: Option<ConnectorId>,
    /// The key path below `[connector.ID]`, such as `wecom.corp_id` or `mapping.login`; empty: the whole
    /// connector.
    pub field: String,
    pub message: Text,
    /// What is allowed, or a remedy.
    pub help: Option<Text>,
}

impl FieldProblem {
    /// A problem of a field, with a remedy.
    pub fn new(field: impl Into<String>, message: impl Into<Text>, help: impl Into<Text>) -> Self {
        Self {
            connector: None,
            field: field.into(),
            message: message.into(),
            help: Some(help.into()),
        }
    }

    /// The same problem of a named connector.
    pub fn of(self, id: &ConnectorId) -> Self {
        Self {
            connector: Some(id.clone()),
            ..self
        }
    }
}

impl From<SettingProblem<'_>> for FieldProblem {
    fn from(problem: SettingProblem<'_>) -> Self {
        Self {
            connector: None,
            field: problem.key_path.to_string(),
            message: problem.message,
            help: (!problem.help.is_empty()).then_some(problem.help),
        }
    }
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = &self.connector {
            write!(f, "connector {id}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        self.message.fmt(f)?;
        match &self.help {
            Some(help) if f.alternate() => write!(f, "（{help:#}）"),
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Why a change was refused. Nothing has changed: not the store, not the site. `Display` shows no secret.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no connector {0}")]
    NotFound(ConnectorId),
    #[error("there is no version {0}")]
    NoVersion(u64),
    /// The file sets it.
    #[error("{what} is set in {at}: change it there")]
    FromFile {
        /// `connector corp`, `[login] default` …
        what: String,
        at: FileLine,
    },
    /// `[managed] write = false`.
    #[error("[managed] write = false in {at} forbids changes by API and console")]
    ReadOnly { at: FileLine },
    /// Fields are wrong; all problems that were found.
    #[error("{}", join(.0))]
    Problems(Vec<FieldProblem>),
    /// Every field is fine, but a site cannot be built from them.
    #[error("the site cannot be built: {}", join(.0))]
    CannotBuild(Vec<FieldProblem>),
    /// `If-Match` or `If-None-Match`.
    #[error("it was changed meanwhile, or its existence is not as the precondition demands")]
    Precondition {
        /// The current etag; absent: it does not exist.
        current: Option<u64>,
    },
    /// The ID belonged to a connector of another kind, whose accounts would belong to this one.
    #[error("the id {id} belongs to a connector of the kind {was}: choose another id")]
    KindChanged { id: ConnectorId, was: String },
    /// The store failed. If it committed nevertheless, the change comes into force within a second.
    #[error("the store does not answer: {}", .0.cause())]
    Store(#[source] StoreError),
    /// The stored settings cannot be used, so they cannot be changed either.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Other nodes changed the settings all the time.
    #[error("other changes came first each time: try again")]
    Contended,
}

fn join(problems: &[FieldProblem]) -> String {
    let problems: Vec<_> = problems.iter().map(FieldProblem::to_string).collect();
    problems.join("; ")
}

/// Why the managed settings of the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("read the managed settings")]
    Store(#[source] StoreError),
    /// menshen cannot have written the version.
    #[error("version {version} of the managed settings is damaged")]
    Damaged { version: u64 },
    /// No key of the ring opens a secret.
    #[error(
        "no session key opens {field} of the managed connector {id}: put the key that it was sealed with \
         back into [session] keys, behind the new one"
    )]
    Sealed { id: ConnectorId, field: String },
    /// The file has a connector with an ID that belonged to another kind.
    #[error(
        "{at}: the connector {id} is of the kind {kind}, but its id belongs to one of the kind {was}, whose \
         accounts it would get: give it another id"
    )]
    KindOfFile {
        id: ConnectorId,
        kind: String,
        was: String,
        at: FileLine,
    },
}
