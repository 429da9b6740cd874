//! `Change`: what an administrator changes of the managed settings, and what comes of it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{ConnectorTable, Settings};
use crate::store::ConnectorId;
use crate::text;
use crate::wording::Text;

/// A change of the managed settings.
#[derive(Clone, Debug)]
pub enum Change {
    /// Makes a connector, or replaces its settings whole: the table `[connector.ID]` as JSON. A secret that
    /// is absent or a marker (asterisks or bullets only) stays as it is, unless the place to which it is sent
    /// changes; an empty text removes it.
    Put {
        id: ConnectorId,
        settings: ConnectorTable,
    },
    /// The same by HENGSHI's API. Its fields are kept beside the settings, as they were sent and without
    /// secrets; they count as long as they say what the settings say.
    PutByHengshi {
        id: ConnectorId,
        settings: ConnectorTable,
        fields: Map<String, Value>,
    },
    /// Removes a managed connector and ends its sessions. Accounts stay.
    Delete { id: ConnectorId },
    /// Enables or disables a connector, also one of the file. Disabling ends its sessions.
    SetEnabled { id: ConnectorId, enabled: bool },
    /// Sets `default`, `order` or both.
    SetLogin(LoginChange),
    /// Makes a new version with the content of an older one.
    Rollback { version: u64 },
    /// Makes or replaces several connectors in one version, as [`Change::Put`] does for one.
    Import {
        connectors: BTreeMap<ConnectorId, ConnectorTable>,
        login: LoginChange,
    },
}

impl Change {
    /// The connector that the change is about, if it is about one.
    pub fn connector(&self) -> Option<&ConnectorId> {
        match self {
            Self::Put { id, .. }
            | Self::PutByHengshi { id, .. }
            | Self::Delete { id }
            | Self::SetEnabled { id, .. } => Some(id),
            Self::SetLogin(_) | Self::Rollback { .. } | Self::Import { .. } => None,
        }
    }
}

/// For the audit trail; shows no settings.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Put { id, .. } | Self::PutByHengshi { id, .. } => {
                text!("put connector {id}", "设置认证源 {id}")
            }
            Self::Delete { id } => text!("delete connector {id}", "删除认证源 {id}"),
            Self::SetEnabled { id, enabled: true } => {
                text!("enable connector {id}", "启用认证源 {id}")
            }
            Self::SetEnabled { id, enabled: false } => {
                text!("disable connector {id}", "停用认证源 {id}")
            }
            Self::SetLogin(_) => Text::fixed("set [login]", "设置 [login]"),
            Self::Rollback { version } => {
                text!("roll back to version {version}", "恢复到版本 {version}")
            }
            Self::Import { connectors, .. } => {
                let ids: Vec<_> = connectors.keys().map(ConnectorId::as_str).collect();
                let ids = ids.join(", ");
                text!("import {ids}", "导入 {ids}")
            }
        };
        fmt::Display::fmt(&text, f)
    }
}

/// A change of the choices in `[login]`; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginChange {
    /// The connector to which people are redirected who are not signed in; the inner `None` is none.
    pub default: Option<Option<ConnectorId>>,
    /// The connectors that come first on the sign-in page.
    pub order: Option<Vec<ConnectorId>>,
}

/// What must hold of the thing that a change is about: of the connector, or for [`Change::SetLogin`] of the
/// choices. For other changes it is the version of all managed settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    #[default]
    None,
    /// `If-Match`: it was last changed in this version.
    Matches(u64),
    /// `If-Match: *`: it exists.
    Exists,
    /// `If-None-Match: *`: it does not exist.
    IsNew,
}

/// Where a change was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    Api,
    Console,
    Command,
}

impl Means {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Console => "console",
            Self::Command => "command",
        }
    }

    pub(in crate::site) fn text(self) -> Text {
        let chinese = match self {
            Self::Api => "管理 API",
            Self::Console => "控制台",
            Self::Command => "命令",
        };
        Text::fixed(self.as_str(), chinese)
    }
}

/// Who makes a change, for the version and the audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// `token:NAME`, `local:NAME` of a local administrator, or a login.
    pub name: String,
    pub means: Means,
    pub client: Option<IpAddr>,
}

/// A change that is in force on this node.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The settings with the change.
    pub settings: Arc<Settings>,
    /// The version that the change made; the current one if nothing was to be changed.
    pub version: u64,
    /// The names of the changed fields, such as `connector.corp.wecom.secret`. Contains no value.
    pub fields: Vec<String>,
}

/// What a change would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The version that it would make; the current one if it would change nothing.
    pub version: u64,
    /// The names of the fields that it would change. Contains no value.
    pub fields: Vec<String>,
}
