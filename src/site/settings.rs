//! `Settings`: the settings of a site in force. They are those of the configuration file and the managed
//! ones of the store, put together; where both name something, the file counts.
//!
//! `super::live` changes the managed ones: `LiveSite::change` takes a [`Change`] and returns when it is in
//! force on this node. Everything here is pure, except what `Site::build` does with the result.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Config, Degradation};
use crate::outbound::Reach;
use crate::setting::Label;
use crate::store::ConnectorId;
use crate::text;
use crate::wording::Text;

mod change;
mod destinations;
mod document;
mod draft;
mod edit;
mod error;
mod export;
mod external_secrets;
mod file;
mod hosts;
mod json_value;
mod parse;
mod put_together;
mod seal;
mod secrets;
mod table;
mod types;
mod version;

pub use change::{Author, Change, Changed, LoginChange, Means, Planned, Precondition};
pub use destinations::RouteDestinations;
pub use document::{ManagedConnector, ManagedDocument, ManagedLogin};
pub use draft::{Draft, PreviewedField};
pub(super) use edit::Edited;
pub use error::{ChangeError, FieldProblem, FileLine, SettingsError};
pub use export::{SecretPlaces, StoredSecret};
pub use external_secrets::ExternalSecret;
pub use file::{FileConnector, FileSettings};
pub(super) use put_together::Strictness;
pub use secrets::is_marker;
pub use table::{ConnectorTable, SECRET_MARKER, SealedTable};
pub use version::{Version, VersionSummary};

/// `[managed]`: connectors and choices that the admin API and the console keep in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ManagedConfig {
    /// Whether the admin API and the console may change connectors. With false they only show them.
    pub write: bool,
    /// How many versions of the managed settings are kept, the newest ones; at least 10.
    pub versions_kept: NonZeroU32,
    /// Whether connectors that are not in the file may contact link-local addresses and others at which clouds give
    /// metadata and credentials to their machines, such as 169.254.169.254. Whoever may change connectors could
    /// read them there.
    pub allow_metadata_addresses: bool,
    /// Whether connectors that are not in the file may connect to sockets of this machine, such as `ldapi://`. Whoever
    /// may change connectors could talk to what trusts the user of menshen there.
    pub allow_local_sockets: bool,
}

impl ManagedConfig {
    /// The addresses that connectors contact which are not in the file.
    pub(in crate::site) fn reach(self) -> Reach {
        match self.allow_metadata_addresses {
            true => Reach::Everywhere,
            false => Reach::NoMetadata,
        }
    }
}

/// The smallest `versions_kept`.
pub const VERSIONS_KEPT_MIN: u32 = 10;

const VERSIONS_KEPT_DEFAULT: NonZeroU32 = NonZeroU32::new(200).unwrap();

impl Default for ManagedConfig {
    fn default() -> Self {
        Self {
            write: true,
            versions_kept: VERSIONS_KEPT_DEFAULT,
            allow_metadata_addresses: false,
            allow_local_sockets: false,
        }
    }
}

/// Where a connector is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the configuration file, which no request changes.
    File(FileLine),
    /// In the store.
    Managed,
}

/// A connector of the site, in force or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorInfo {
    pub id: ConnectorId,
    /// The name on the sign-in page.
    pub display_name: Label,
    /// The name of its kind, such as `wecom`.
    pub kind: String,
    pub origin: Origin,
    /// Whether people may sign in with it. False for one that is shadowed or broken, too.
    pub enabled: bool,
    /// Whether people who are not signed in are redirected to it.
    pub is_default: bool,
    /// Whether it is managed and the file has a connector with its ID, which counts.
    pub shadowed: bool,
    /// Why it cannot be built and is out of force. Only for a managed one.
    pub broken: Option<Text>,
    /// The version in which it was last changed; 0 if the file has it.
    pub etag: u64,
}

/// The connector to which people are redirected who are not signed in, and the order on the sign-in page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginChoices {
    pub default: Option<ConnectorId>,
    /// Where the file sets `default`, if it does.
    pub default_from: Option<FileLine>,
    /// The connectors that come first; those of the file follow as they stand there, then all others by their
    /// IDs.
    pub order: Vec<ConnectorId>,
    /// Where the file sets `order`, if it does.
    pub order_from: Option<FileLine>,
    /// The version in which a managed choice was last changed; 0: none was.
    pub etag: u64,
}

/// The settings in force.
#[derive(Clone)]
pub struct Settings {
    /// The version of the managed ones; 0: there is none yet.
    version: u64,
    document: ManagedDocument,
    file: Config,
    /// Both put together: what the site is built from.
    config: Config,
    /// Managed connectors that are enabled but out of force, and why.
    broken: BTreeMap<ConnectorId, Text>,
    /// The kind and the displayed name of every managed connector that could be read.
    known: BTreeMap<ConnectorId, Known>,
}

/// What is shown of a managed connector.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    kind: String,
    display_name: Label,
    enabled: bool,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// The version of the managed settings; 0: there is none yet.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// What the site is built from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The settings of the file alone.
    pub fn file(&self) -> &Config {
        &self.file
    }

    /// The managed settings, with sealed secrets.
    pub fn document(&self) -> &ManagedDocument {
        &self.document
    }

    /// Every connector: in the order of the sign-in page.
    pub fn connectors(&self) -> Vec<ConnectorInfo> {
        let ids = self.file.connectors.keys();
        let managed = self.document.connectors.keys();
        let ids: BTreeSet<_> = ids.chain(managed).collect();
        let mut infos: Vec<_> = ids.into_iter().flat_map(|id| self.infos(id)).collect();
        let order = &self.config.login.order;
        let position = |id: &ConnectorId| order.iter().position(|other| other == id);
        infos.sort_by_key(|info| {
            let is_first = !info.is_default;
            let position = position(&info.id).unwrap_or(usize::MAX);
            (is_first, position, info.id.clone(), info.shadowed)
        });
        infos
    }

    /// The connector that has this ID; the one of the file if there are two.
    pub fn connector(&self, id: &ConnectorId) -> Option<ConnectorInfo> {
        self.infos(id).into_iter().next()
    }

    /// The one of the file, then the managed one.
    fn infos(&self, id: &ConnectorId) -> Vec<ConnectorInfo> {
        let is_default = self.login().default.as_ref() == Some(id);
        let mut infos = Vec::new();
        if let Some(connector) = self.file.connectors.get(id) {
            let kind = connector.kind();
            infos.push(ConnectorInfo {
                id: id.clone(),
                display_name: connector.shown_name(id),
                kind: kind.map_or_else(|_| String::new(), |kind| kind.name().to_owned()),
                origin: Origin::File(self.file.file.line_of(id)),
                enabled: self.config.connectors.contains_key(id),
                is_default,
                shadowed: false,
                broken: None,
                etag: 0,
            });
        }
        if let Some(managed) = self.document.connectors.get(id) {
            let known = self.known.get(id);
            let shadowed = !infos.is_empty();
            infos.push(ConnectorInfo {
                id: id.clone(),
                display_name: known.map_or_else(|| Label::of_id(id), |it| it.display_name.clone()),
                kind: known.map(|it| it.kind.clone()).unwrap_or_default(),
                origin: Origin::Managed,
                enabled: !shadowed && self.config.connectors.contains_key(id),
                is_default: is_default && !shadowed,
                shadowed,
                broken: self.broken.get(id).cloned(),
                etag: managed.etag,
            });
        }
        infos
    }

    /// The settings of a connector with [`SECRET_MARKER`] in place of secrets: the table `[connector.ID]` as
    /// JSON. Those of the file if there are two.
    pub fn table(&self, id: &ConnectorId) -> Option<ConnectorTable> {
        if let Some(connector) = self.file.file.connectors.get(id) {
            return Some(connector.table.clone());
        }
        let managed = self.document.connectors.get(id)?;
        Some(managed.settings.masked())
    }

    /// The settings of a managed connector that is shadowed or not, masked as in [`Self::table`].
    pub fn managed_table(&self, id: &ConnectorId) -> Option<ConnectorTable> {
        Some(self.document.connectors.get(id)?.settings.masked())
    }

    /// The fields of HENGSHI's API from which the settings of a connector were last made, if they were; never
    /// of a connector of the file.
    pub fn hengshi(&self, id: &ConnectorId) -> Option<&Map<String, Value>> {
        if self.file.connectors.contains_key(id) {
            return None;
        }
        self.document.connectors.get(id)?.hengshi.as_ref()
    }

    /// The connector to which people are redirected who are not signed in, and the order of the sign-in page.
    pub fn login(&self) -> LoginChoices {
        let (file, managed) = (&self.file.login, &self.document.login);
        let at = |line: Option<usize>| line.map(|line| self.file.file.at(line));
        let default_from = at(self.file.file.default_line);
        let order_from = at(self.file.file.order_line);
        LoginChoices {
            default: match &default_from {
                Some(_) => file.default.clone(),
                None => managed.default.clone(),
            },
            default_from,
            order: match &order_from {
                Some(_) => file.order.clone(),
                None => managed.order.clone(),
            },
            order_from,
            etag: managed.etag,
        }
    }

    /// Which managed connectors are out of force although they are enabled, and why.
    pub fn problem(&self) -> Option<Degradation> {
        let mut broken = self.broken.iter();
        let (id, reason) = broken.next()?;
        let more = match broken.count() {
            0 => Text::default(),
            more => text!(
                "; {more} more are out of force, too",
                "；另有 {more} 个也无法使用"
            ),
        };
        let short = text!(
            "the managed connector {id} is out of force",
            "托管的认证源 {id} 无法使用"
        );
        let whole = text!("{short}: {reason}{more}", "{short:#}：{reason:#}{more:#}");
        let short = text!("{short}{more}", "{short:#}{more:#}");
        Some(Degradation { short, whole })
    }

    /// Whether a managed connector is enabled but out of force.
    pub(super) fn is_broken(&self, id: &ConnectorId) -> bool {
        self.broken.contains_key(id)
    }

    /// Whether a managed connector is in force.
    pub(super) fn is_managed_in_force(&self, id: &ConnectorId) -> bool {
        !self.file.connectors.contains_key(id) && self.config.connectors.contains_key(id)
    }

    /// Takes a managed connector out of force that cannot be built.
    pub(super) fn take_out_of_force(&mut self, id: &ConnectorId, reason: Text) {
        self.config.connectors.remove(id);
        self.broken.insert(id.clone(), reason);
    }

    /// The connectors in force that other managed settings disable, or do not have any more.
    pub(super) fn withdrawn_in(&self, newest: &ManagedDocument) -> Vec<ConnectorId> {
        let is_withdrawn = |id: &&ConnectorId| match self.file.connectors.get(*id) {
            Some(connector) => {
                connector.enabled.is_none() && newest.enabled.get(*id) == Some(&false)
            }
            None => {
                let managed = newest.connectors.get(*id);
                managed.is_none_or(|managed| !managed.settings.is_enabled())
            }
        };
        let in_force = self.config.connectors.keys();
        in_force.filter(is_withdrawn).cloned().collect()
    }

    /// The same settings without these connectors.
    pub(super) fn without(&self, ids: &[ConnectorId]) -> Self {
        let mut settings = self.clone();
        settings.config.connectors.retain(|id, _| !ids.contains(id));
        settings
    }

    /// Where the file forbids changes by `[managed] write = false`, if it does.
    pub fn read_only(&self) -> Option<FileLine> {
        let line = self.file.file.write_line.unwrap_or(1);
        (!self.file.managed.write).then(|| self.file.file.at(line))
    }
}
