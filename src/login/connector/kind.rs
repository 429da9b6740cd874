//! `Kind`: the settings of one kind of connector, and what can be derived from them without a network
//! call.

use std::any::Any;
use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use url::Url;

use super::local::PeopleFileError;
use super::{Connector, ConnectorConfig, Features};
use crate::clock::Clock;
use crate::expression::{Expression, Scope};
use crate::issuer::{IssuerName, TenantName};
use crate::outbound::Outbound;
use crate::people::departments::StoredDepartments;
use crate::people::local_people::LocalPeople;
use crate::people::profile::MappingConfig;
use crate::secret::{Secret, SecretError, SecretSource};
use crate::setting::{KeyPath, Step, names_secret};
use crate::store::ConnectorId;
use crate::text;
use crate::wording::{Text, error_of_text};

/// The settings of one kind of connector: the table `[connector.ID.NAME]`.
///
/// Key paths are relative to `[connector.ID]`. All methods except [`Kind::file_warnings`],
/// [`Kind::file_problems`] and [`Kind::build`] are pure.
pub trait Kind: Debug + Send + Sync {
    /// The name of the table: `wecom`.
    fn name(&self) -> &'static str;

    /// The secrets in the table.
    fn secrets(&self) -> Vec<(KeyPath<'_>, &SecretSource)>;

    /// The places to which a secret of the table is sent: scheme, host and port of each address, and with whose
    /// name if it is the password of somebody. Empty: it is not sent. An administrator who moves a connector
    /// to another place must give the secret again. `secret` is a path of [`Self::secrets`].
    fn secret_destinations(&self, _secret: &[Step<'_>]) -> Vec<String> {
        Vec::new()
    }

    /// What is wrong with the form of a secret, and what to do, if its form is fixed. `secret` is a path of
    /// [`Self::secrets`].
    fn malformed_secret(
        &self,
        _secret: &[Step<'_>],
        _text: &Secret<String>,
    ) -> Option<(Text, Text)> {
        None
    }

    /// The public keys in the table, which may also be in a file or in the environment.
    fn public_keys(&self) -> Vec<(KeyPath<'_>, &SecretSource)> {
        Vec::new()
    }

    /// The files that the connector reads, without those of secrets.
    fn files(&self) -> Vec<(KeyPath<'_>, &Path)> {
        Vec::new()
    }

    /// The addresses that are sockets of this machine.
    fn local_sockets(&self) -> Vec<KeyPath<'_>> {
        Vec::new()
    }

    /// What is wrong inside of a TOML file that the connector reads, if it can be read.
    fn file_problems(&self) -> Option<FileProblems> {
        None
    }

    /// The CEL expressions in the table. The validation of the configuration compiles them and reports
    /// their errors.
    fn expressions(&self) -> Vec<(KeyPath<'_>, &str, Scope)> {
        Vec::new()
    }

    /// Settings that contradict each other, the keys that all kinds have, or `external_url`.
    fn problems(&self, connector: &ConnectorConfig, external_url: &Url) -> Vec<SettingProblem<'_>>;

    /// Settings that weaken security, each with a safer alternative.
    fn warnings(&self) -> Vec<(KeyPath<'_>, Text)>;

    /// Weaknesses of the files that the connector reads. Reads these files.
    fn file_warnings(&self) -> Vec<(KeyPath<'_>, Text)> {
        Vec::new()
    }

    fn features(&self) -> Features;

    /// The issuer whose tokens identify the people of this connector, if the source signs tokens.
    fn token_issuer(&self) -> Option<TokenIssuer<'_>> {
        None
    }

    /// Builds the connector. Reads secrets and other files; makes no network call.
    fn build(&self, deps: ConnectorDeps) -> Result<Arc<dyn Connector>, ConnectorBuildError>;
}

/// Scheme, host and port of an address, for [`Kind::secret_destinations`].
pub(super) fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// What is wrong inside of a TOML file.
#[derive(Debug)]
pub struct FileProblems {
    /// The path of the file.
    pub name: String,
    pub text: Secret<String>,
    /// The byte range of each problem, and its words.
    pub problems: Vec<(Range<usize>, Text)>,
}

/// A contradiction in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem<'a> {
    pub key_path: KeyPath<'a>,
    /// Whether the error message points at the key instead of the value.
    pub points_at_key: bool,
    /// The text of the value, and where its wrong part begins, in bytes. Absent: the whole value is wrong.
    pub part: Option<(&'a str, usize)>,
    pub message: Text,
    /// The allowed values, or a remedy.
    pub help: Text,
}

impl<'a> SettingProblem<'a> {
    /// A problem with the value of a setting.
    pub fn value(key_path: KeyPath<'a>, message: Text, help: Text) -> Self {
        Self {
            key_path,
            points_at_key: false,
            part: None,
            message,
            help,
        }
    }

    /// A problem with a whole setting or table.
    pub fn key(key_path: KeyPath<'a>, message: Text, help: Text) -> Self {
        Self {
            points_at_key: true,
            ..Self::value(key_path, message, help)
        }
    }

    /// The problem of an expression at a key that names a secret. The error of the parser repeats words of it.
    fn no_expression(key_path: KeyPath<'a>) -> Self {
        let help = text!(
            "it is CEL: a fixed text needs quotes of its own, \"'text'\"",
            "这里写 CEL：固定文本要再加一层引号，\"'文本'\""
        );
        let message = text!("this expression does not compile", "这个表达式无法编译");
        Self::value(key_path, message, help)
    }

    /// The problem of an expression that does not compile; `None` if it compiles.
    pub fn expression(key_path: KeyPath<'a>, text: &'a str, scope: Scope) -> Option<Self> {
        let error = Expression::compile(text, scope).err()?;
        let last = key_path.steps().last();
        if matches!(last, Some(Step::Key(name)) if names_secret(name)) {
            return Some(Self::no_expression(key_path));
        }
        let message = error.message();
        let message = text!(
            "this expression does not compile: {message}",
            "这个表达式无法编译：{message:#}"
        );
        let variables = scope.variables().join(", ");
        let help = text!(
            "it is CEL over {variables}",
            "这里写 CEL，可用的变量：{variables}"
        );
        Some(Self {
            part: error.position.map(|position| (text, position.offset)),
            ..Self::value(key_path, message, help)
        })
    }
}

/// An issuer whose tokens identify the people of a connector.
#[derive(Clone, Copy, Debug)]
pub struct TokenIssuer<'a> {
    pub issuer: &'a IssuerName,
    /// The accepted tenants, if the issuer serves several.
    pub tenants: &'a [TenantName],
    /// The connector's client ID, which is the audience of ID tokens of its logins.
    pub client_id: &'a str,
}

/// The dependencies of a connector.
#[derive(Clone, Debug)]
pub struct ConnectorDeps {
    pub id: ConnectorId,
    pub callback: Url,
    /// The public base URL of menshen's own pages: `https://sso.corp.example/.menshen`.
    pub own_pages_url: Url,
    /// The HTTP client for calls to the source, with its proxy and CA.
    pub outbound: Outbound,
    pub clock: Clock,
    /// The configured mapping, which shows what is read of the profile.
    pub mapping: MappingConfig,
    /// The departments of this connector that menshen knew before it was started.
    pub stored_departments: StoredDepartments,
    /// The people of this connector whose passwords the store keeps; absent: there is no store.
    pub local_people: Option<LocalPeople>,
    /// What [`Connector::kept_state`] of the connector with this ID returned before the configuration was
    /// reloaded. It is of another type if the connector was of another kind.
    pub kept_state: Option<KeptState>,
}

/// State that a connector keeps when the configuration is reloaded.
pub type KeptState = Arc<dyn Any + Send + Sync>;

/// Why a connector cannot be built.
#[derive(Debug)]
pub enum ConnectorBuildError {
    Secret(SecretError),
    PeopleFile(PeopleFileError),
    /// A setting is invalid.
    Setting(Text),
}

impl ConnectorBuildError {
    fn text(&self) -> Text {
        match self {
            Self::Secret(_) => Text::fixed("cannot read its secret", "无法读取它的密钥"),
            Self::PeopleFile(_) => {
                Text::fixed("its people file cannot be used", "它的人员文件无法使用")
            }
            Self::Setting(text) => text.clone(),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Secret(source) => Some(source),
            Self::PeopleFile(source) => Some(source),
            Self::Setting(_) => None,
        }
    }
}

error_of_text!(ConnectorBuildError, caused);
