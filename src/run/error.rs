//! Why menshen did not start, did not reload, or explained nothing.

use crate::door::{BindError, InvalidAddress, TlsError};
use crate::face::admin::AdminTokenError;
use crate::people::directory::SimulateError;
use crate::secret::SecretError;
use crate::site;
use crate::store::StoreError;
use crate::text;
use crate::wording::{Text, error_of_text};

/// Why menshen did not start.
#[derive(Debug)]
pub enum StartError {
    Store(StoreError),
    Build(Box<site::BuildError>),
    Bind(BindError),
    /// A text that is not an address to listen on.
    Address {
        key: &'static str,
        why: InvalidAddress,
    },
    StorePassword(SecretError),
    AdminToken(AdminTokenError),
}

impl StartError {
    fn text(&self) -> Text {
        match self {
            Self::Store(_) => text!("open the store", "无法打开数据库"),
            Self::Build(_) => text!("build the site", "无法建立站点"),
            Self::Bind(_) => text!("open the listeners", "无法打开监听地址"),
            Self::Address { key, why } => text!("{key}: {why}", "{key}：{why:#}"),
            Self::StorePassword(_) => text!("read [store] password", "无法读取 [store] password"),
            Self::AdminToken(_) => text!("read the tokens of [admin]", "无法读取 [admin] 的令牌"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(source) => Some(source),
            Self::Build(source) => Some(&**source),
            Self::Bind(source) => Some(source),
            Self::Address { .. } => None,
            Self::StorePassword(source) => Some(source),
            Self::AdminToken(source) => Some(source),
        }
    }
}

error_of_text!(StartError, caused);

/// Why a reload was refused. The previous configuration stays in force.
#[derive(Debug)]
pub enum ReloadError {
    Build(Box<site::BuildError>),
    Tls(TlsError),
}

impl ReloadError {
    fn text(&self) -> Text {
        match self {
            Self::Build(_) => text!("build the site", "无法建立站点"),
            Self::Tls(_) => text!("read the certificates", "无法读取证书"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Build(source) => Some(&**source),
            Self::Tls(source) => Some(source),
        }
    }
}

error_of_text!(ReloadError, caused);

/// Why a request was not explained.
#[derive(Debug)]
pub enum ExplainError {
    Start(StartError),
    Store(StoreError),
    /// The store has no account with that login.
    Simulate(SimulateError),
}

impl ExplainError {
    fn text(&self) -> Text {
        match self {
            Self::Start(error) => Text::of(error),
            Self::Store(_) => Text::fixed("read the store", "无法读取数据库"),
            Self::Simulate(error) => Text::of(error),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(error) => std::error::Error::source(error),
            Self::Store(source) => Some(source),
            Self::Simulate(error) => std::error::Error::source(error),
        }
    }
}

error_of_text!(ExplainError, caused);
