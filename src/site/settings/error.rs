//! Why a change of the settings is refused, and why stored settings cannot be used.

use std::fmt;

use crate::login::connector::SettingProblem;
use crate::store::{ConnectorId, StoreError};
use crate::text;
use crate::wording::{Text, error_of_text};

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
    pub fn new(field: impl Into<String>, message: Text, help: Text) -> Self {
        Self {
            connector: None,
            field: field.into(),
            message,
            help: Some(help),
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
        let (connector, colon) = match f.alternate() {
            true => ("认证源", "："),
            false => ("connector", ": "),
        };
        if let Some(id) = &self.connector {
            write!(f, "{connector} {id}{colon}")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}{colon}", self.field)?;
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
#[derive(Debug)]
pub enum ChangeError {
    NotFound(ConnectorId),
    NoVersion(u64),
    /// The file sets it.
    FromFile {
        /// `connector corp`, `[login] default` …
        what: Text,
        at: FileLine,
    },
    /// `[managed] write = false`.
    ReadOnly {
        at: FileLine,
    },
    /// Fields are wrong; all problems that were found.
    Problems(Vec<FieldProblem>),
    /// Every field is fine, but a site cannot be built from them.
    CannotBuild(Vec<FieldProblem>),
    /// `If-Match` or `If-None-Match`.
    Precondition {
        /// The current etag; absent: it does not exist.
        current: Option<u64>,
    },
    /// The ID belonged to a connector of another kind, whose accounts would belong to this one.
    KindChanged {
        id: ConnectorId,
        was: String,
    },
    /// The store failed. If it committed nevertheless, the change comes into force within a second.
    Store(StoreError),
    /// The stored settings cannot be used, so they cannot be changed either.
    Settings(SettingsError),
    /// Other nodes changed the settings all the time.
    Contended,
}

impl ChangeError {
    fn text(&self) -> Text {
        match self {
            Self::NotFound(it) => text!("there is no connector {it}", "没有认证源 {it}"),
            Self::NoVersion(it) => text!("there is no version {it}", "没有版本 {it}"),
            Self::FromFile { what, at } => text!(
                "{what} is set in {at}: change it there",
                "{what:#} 在 {at} 中设置：请在那里修改"
            ),
            Self::ReadOnly { at } => text!(
                "[managed] write = false in {at} forbids changes by API and console",
                "{at} 中的 [managed] write = false 禁止通过 API 和控制台修改"
            ),
            Self::Problems(it) => join(it),
            Self::CannotBuild(it) => text!(
                "the site cannot be built: {}",
                "无法建立站点：{:#}",
                join(it)
            ),
            Self::Precondition { .. } => Text::fixed(
                "it was changed meanwhile, or its existence is not as the precondition demands",
                "它在此期间已被修改、新建或删除，与请求的前提条件不符",
            ),
            Self::KindChanged { id, was } => text!(
                "the ID {id} belongs to a connector of the kind {was}: choose another ID",
                "ID {id} 属于类型为 {was} 的认证源：请换一个 ID"
            ),
            Self::Store(it) => text!(
                "the store does not answer: {}",
                "数据库没有响应：{:#}",
                it.cause()
            ),
            Self::Settings(source) => Text::of(source),
            Self::Contended => Text::fixed(
                "other changes came first each time: try again",
                "每次都被别的修改抢先：请重试",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(source) => Some(source),
            Self::Settings(source) => std::error::Error::source(source),
            Self::NotFound(_)
            | Self::NoVersion(_)
            | Self::FromFile { .. }
            | Self::ReadOnly { .. }
            | Self::Problems(_)
            | Self::CannotBuild(_)
            | Self::Precondition { .. }
            | Self::KindChanged { .. }
            | Self::Contended => None,
        }
    }
}

error_of_text!(ChangeError, caused);

impl From<SettingsError> for ChangeError {
    fn from(source: SettingsError) -> Self {
        Self::Settings(source)
    }
}

pub(super) fn join(problems: &[FieldProblem]) -> Text {
    let problems: Vec<_> = problems.iter().map(Text::of).collect();
    Text::join(&problems, &Text::fixed("; ", "；"))
}

/// Why the managed settings of the store cannot be used.
#[derive(Debug)]
pub enum SettingsError {
    Store(StoreError),
    /// menshen cannot have written the version.
    Damaged {
        version: u64,
    },
    /// No key of the ring opens a secret.
    Sealed {
        id: ConnectorId,
        field: String,
    },
    /// The file has a connector with an ID that belonged to another kind.
    KindOfFile {
        id: ConnectorId,
        kind: String,
        was: String,
        at: FileLine,
    },
}

impl SettingsError {
    fn text(&self) -> Text {
        match self {
            Self::Store(_) => Text::fixed("read the managed settings", "无法读取托管设置"),
            Self::Damaged { version } => text!(
                "version {version} of the managed settings is damaged",
                "托管设置的版本 {version} 已损坏"
            ),
            Self::Sealed { id, field } => text!(
                "no session key opens {field} of the managed connector {id}: put the key that it was \
                 sealed with back into [session] keys, behind the new one",
                "没有会话密钥能解开托管认证源 {id} 的 {field}：请把当时加密所用的密钥放回 [session] \
                 keys，排在新密钥之后"
            ),
            Self::KindOfFile { id, kind, was, at } => text!(
                "{at}: the connector {id} is of the kind {kind}, but its ID belongs to one of the kind \
                 {was}, whose accounts it would get: give it another ID",
                "{at}：认证源 {id} 的类型是 {kind}，但这个 ID 属于类型为 {was} \
                 的认证源，继续使用会得到它的账号：请换一个 ID"
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(source) => Some(source),
            Self::Damaged { .. } | Self::Sealed { .. } | Self::KindOfFile { .. } => None,
        }
    }
}

error_of_text!(SettingsError, caused);
