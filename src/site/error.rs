//! `BuildError`: why a site could not be built.

use std::path::PathBuf;

use crate::expression::CompileError;
use crate::keys::KeyError;
use crate::login;
use crate::request::console::ConsoleRuleError;
use crate::request::{bearer, forward};
use crate::secret::SecretError;
use crate::store::{ConnectorId, StoreError};
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::{Text, error_of_text, full_path};

use super::pages::LogoError;
use super::settings::{ChangeError, SettingsError};

/// Why a site could not be built. The active site is kept.
#[derive(Debug)]
pub enum BuildError {
    Secret {
        key: String,
        source: SecretError,
    },
    Keys(KeyError),
    Store(StoreError),
    Expression {
        route: String,
        key: String,
        source: CompileError,
    },
    Header {
        route: String,
        header: String,
    },
    UpstreamTlsFile {
        route: String,
        path: PathBuf,
        source: std::io::Error,
    },
    UpstreamTls {
        route: String,
        source: forward::TlsMaterialError,
    },
    Logo(LogoError),
    Console(ConsoleRuleError),
    Login(login::BuildError),
    Settings(SettingsError),
    /// Managed connectors and the file contradict each other.
    Managed(Box<ChangeError>),
    Bearer(bearer::BuildError),
    Forward(forward::BuildError),
}

impl BuildError {
    fn text(&self) -> Text {
        match self {
            Self::Secret { key, .. } => Text::same(key.clone()),
            Self::Keys(_) => Text::fixed("[session] keys", "[session] keys"),
            Self::Store(_) => Text::fixed("read the session key", "无法读取会话密钥"),
            Self::Expression { route, key, .. } => text!(
                "route {route}: {key} does not compile",
                "路由 {route}：{key} 无法编译"
            ),
            Self::Header { route, header } => text!(
                "route {route}: `{header}` is not a header that can be set",
                "路由 {route}：不能设置请求头 `{header}`"
            ),
            Self::UpstreamTlsFile { route, path, .. } => text!(
                "route {route}: upstream_tls: read {}: it must exist and be readable by the user \
                 menshen runs as",
                "路由 {route}：upstream_tls：无法读取 {}：文件必须存在，并且运行 menshen 的用户可以读取",
                full_path(path)
            ),
            Self::UpstreamTls { route, .. } => {
                text!("route {route}: upstream_tls", "路由 {route}：upstream_tls")
            }
            Self::Logo(_) => Text::fixed("[pages] logo", "[pages] logo"),
            Self::Console(_) => Text::fixed("the console", "控制台"),
            Self::Login(_) => Text::fixed("build the connectors", "无法建立认证源"),
            Self::Settings(_) => Text::fixed("use the managed settings", "无法使用托管设置"),
            Self::Managed(_) => Text::fixed(
                "put the managed settings and the file together",
                "无法合并托管设置与配置文件",
            ),
            Self::Bearer(_) => Text::fixed(
                "build the issuers of bearer tokens",
                "无法建立 bearer 令牌的签发方",
            ),
            Self::Forward(_) => Text::fixed(
                "build the connection pools of the upstreams",
                "无法建立上游的连接池",
            ),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Secret { source, .. } => Some(source),
            Self::Keys(source) => Some(source),
            Self::Store(source) => Some(source),
            Self::Expression { source, .. } => Some(source),
            Self::UpstreamTlsFile { source, .. } => Some(source),
            Self::UpstreamTls { source, .. } => Some(source),
            Self::Logo(source) => Some(source),
            Self::Console(source) => Some(source),
            Self::Login(source) => Some(source),
            Self::Settings(source) => Some(source),
            Self::Managed(source) => Some(&**source),
            Self::Bearer(source) => Some(source),
            Self::Forward(source) => Some(source),
            Self::Header { .. } => None,
        }
    }
}

error_of_text!(BuildError, caused);

impl From<SettingsError> for BuildError {
    fn from(source: SettingsError) -> Self {
        Self::Settings(source)
    }
}

impl BuildError {
    /// The connector that cannot be built, if that is the reason.
    pub fn connector(&self) -> Option<&ConnectorId> {
        match self {
            Self::Login(error) => Some(error.connector()),
            _ => None,
        }
    }

    /// Why, without the name of the connector.
    pub fn reason(&self) -> Text {
        match self {
            Self::Login(error) => error.reason(),
            error => Text::of(&error_chain(error)),
        }
    }
}

impl From<ChangeError> for BuildError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Settings(error) => Self::Settings(error),
            error => Self::Managed(Box::new(error)),
        }
    }
}
