//! Builds the logins of a site from its configuration, and keeps their state across a reload.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error as _;
use std::sync::Arc;

use moka::sync::Cache;
use url::Url;

use super::config::LoginConfig;
use super::connector::{self, AdmissionConfig, ConnectorConfig, JoinConfig, KeptState, KindError};
use super::health::ConnectorHealth;
use super::limits::Limits;
use super::{ConnectorEntry, Login, OUTCOME_TTL, OUTCOMES_MAX};
use crate::clock::Clock;
use crate::keys::KeyRing;
use crate::outbound::{self, Reach};
use crate::people::profile::{Mapping, MappingCompileError};
use crate::people::session::{SessionTimeouts, Sessions};
use crate::people::{AdmissionPolicy, People};
use crate::store::ConnectorId;
use crate::telemetry::{Telemetry, error_chain};
use crate::text;
use crate::wording::{Text, error_of_text};

/// The dependencies of [`Login`].
#[derive(Clone, Debug)]
pub struct Deps<'a> {
    /// The public URL of this site.
    pub external_url: &'a Url,
    /// The prefix of own paths: `/.menshen`.
    pub prefix: &'a str,
    pub ring: &'a Arc<KeyRing>,
    pub sessions: &'a Arc<Sessions>,
    pub people: &'a People,
    /// The lifetime of sessions.
    pub timeouts: SessionTimeouts,
    pub clock: &'a Clock,
    pub telemetry: &'a Telemetry,
    /// The connectors of the file, whose author may choose every address of the machine.
    pub of_file: BTreeSet<ConnectorId>,
    /// The addresses that all other connectors may contact.
    pub reach_of_managed: Reach,
}

impl Deps<'_> {
    fn reach_of(&self, id: &ConnectorId) -> Reach {
        match self.of_file.contains(id) {
            true => Reach::Everywhere,
            false => self.reach_of_managed,
        }
    }
}

/// Why a connector cannot be built.
#[derive(Debug)]
pub enum BuildError {
    /// It has no kind, or several.
    Kind { id: ConnectorId, source: KindError },
    /// Its callback URL is invalid.
    Callback { id: ConnectorId },
    /// Its HTTP client cannot be built.
    Outbound {
        id: ConnectorId,
        source: outbound::OutboundBuildError,
    },
    /// Its mapping is invalid.
    Mapping {
        id: ConnectorId,
        source: MappingCompileError,
    },
    /// Its own settings are invalid.
    Connector {
        id: ConnectorId,
        source: connector::ConnectorBuildError,
    },
}

impl BuildError {
    fn text(&self) -> Text {
        match self {
            Self::Kind { id, .. } => text!("connector {id}", "认证源 {id}"),
            Self::Callback { id } => text!(
                "connector {id}: its callback_base is not an http(s) origin",
                "认证源 {id}：callback_base 不是 http(s) 地址"
            ),
            Self::Outbound { id, .. } => text!(
                "connector {id}: cannot build the HTTP client for its source",
                "认证源 {id}：无法建立访问它的 HTTP 客户端"
            ),
            Self::Mapping { id, .. } => text!("connector {id}", "认证源 {id}"),
            Self::Connector { id, .. } => text!("connector {id}", "认证源 {id}"),
        }
    }

    fn cause(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Kind { source, .. } => Some(source),
            Self::Outbound { source, .. } => Some(source),
            Self::Mapping { source, .. } => Some(source),
            Self::Connector { source, .. } => Some(source),
            Self::Callback { .. } => None,
        }
    }
}

error_of_text!(BuildError, caused);

impl BuildError {
    /// The connector that cannot be built.
    pub fn connector(&self) -> &ConnectorId {
        match self {
            Self::Kind { id, .. }
            | Self::Callback { id }
            | Self::Outbound { id, .. }
            | Self::Mapping { id, .. }
            | Self::Connector { id, .. } => id,
        }
    }

    /// Why, without the name of the connector.
    pub fn reason(&self) -> Text {
        match self.source() {
            Some(source) => Text::of(&error_chain(source)),
            None => self.text(),
        }
    }
}

impl Login {
    /// Builds one connector to try its settings; nobody can sign in with it. Makes no network call.
    pub fn build_draft(
        id: &ConnectorId,
        settings: &ConnectorConfig,
        reach: Reach,
        deps: &Deps<'_>,
    ) -> Result<ConnectorEntry, BuildError> {
        let callback = callback_of(id, settings, deps)?;
        let kept = Kept {
            health: ConnectorHealth::default(),
            state: None,
        };
        build_entry(id, settings, (callback, reach), kept, deps)
    }

    /// Builds all connectors. A connector of `previous` with the same settings is reused with its
    /// caches. Makes no network call.
    pub fn build(
        connectors: &BTreeMap<ConnectorId, ConnectorConfig>,
        config: &LoginConfig,
        deps: &Deps<'_>,
        previous: Option<&Self>,
    ) -> Result<Self, BuildError> {
        let mut entries = connectors
            .iter()
            .map(|(id, settings)| {
                let callback = callback_of(id, settings, deps)?;
                let old = previous.and_then(|login| login.entry(id));
                let kept = Kept {
                    health: old.map(|old| old.health.clone()).unwrap_or_default(),
                    state: old.and_then(|old| old.connector.kept_state()),
                };
                let reach = deps.reach_of(id);
                let is_same = |old: &&Arc<ConnectorEntry>| {
                    old.config == *settings && old.callback == callback && old.reach == reach
                };
                match old.filter(is_same) {
                    Some(old) if !old.reads_files() => Ok(Arc::clone(old)),
                    _ => build_entry(id, settings, (callback, reach), kept, deps).map(Arc::new),
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(|entry| config.position_of(&entry.id));
        let limits = previous
            .map(|login| &login.limits)
            .filter(|limits| limits.matches_config(config));
        let finishing = previous.map(|login| login.finishing.clone());
        let outcomes = previous.map(|login| login.outcomes.clone());
        let recent_unsolicited = previous.map(|login| login.recent_unsolicited.clone());
        let events = previous.map(|login| login.events.clone());
        let person_checks = previous.map(|login| login.person_checks.clone());
        let directory_syncs = previous.map(|login| login.directory_syncs.clone());
        let spent_tickets = previous.map(|login| login.spent_tickets.clone());
        Ok(Self {
            has_entry_points_on_routes: entries
                .iter()
                .any(|entry| entry.has_entry_point_on_routes()),
            entries,
            default: config.default.clone(),
            ring: Arc::clone(deps.ring),
            people: deps.people.clone(),
            sessions: Arc::clone(deps.sessions),
            timeouts: deps.timeouts,
            limits: limits
                .cloned()
                .unwrap_or_else(|| Arc::new(Limits::new(config, deps.clock.clone()))),
            clock: deps.clock.clone(),
            spent_tickets: spent_tickets.unwrap_or_default(),
            recent_unsolicited: recent_unsolicited.unwrap_or_default(),
            events: events.unwrap_or_default(),
            person_checks: person_checks.unwrap_or_default(),
            directory_syncs: directory_syncs.unwrap_or_default(),
            telemetry: deps.telemetry.clone(),
            finishing: finishing.unwrap_or_default(),
            outcomes: outcomes.unwrap_or_else(|| {
                Cache::builder()
                    .max_capacity(OUTCOMES_MAX)
                    .time_to_live(OUTCOME_TTL)
                    .build()
            }),
        })
    }
}

impl ConnectorEntry {
    fn has_entry_point_on_routes(&self) -> bool {
        let entry_point = self.features.entry_point.as_ref();
        entry_point.is_some_and(|entry_point| entry_point.on_routes)
    }

    /// Whether secrets, `ca` or anything else is read from files, which may change while the settings stay
    /// the same.
    fn reads_files(&self) -> bool {
        let mut kinds = self.config.configured_kinds();
        let has_file = kinds.any(|kind| {
            let mut secrets = kind.secrets().into_iter();
            secrets.any(|(_, secret)| secret.file().is_some()) || !kind.files().is_empty()
        });
        has_file || self.config.ca.is_some()
    }
}

fn callback_of(
    id: &ConnectorId,
    settings: &ConnectorConfig,
    deps: &Deps<'_>,
) -> Result<Url, BuildError> {
    if let Some(callback) = &settings.callback {
        return Ok(callback.clone());
    }
    let base = settings.callback_base.as_ref();
    own_url(
        base.unwrap_or(deps.external_url),
        deps.prefix,
        &format!("/callback/{id}"),
    )
    .ok_or_else(|| BuildError::Callback { id: id.clone() })
}

/// The URL of an own path at the origin of `base`; `None` if that is not an HTTP origin.
fn own_url(base: &Url, prefix: &str, path: &str) -> Option<Url> {
    let origin = base.origin();
    let is_http = origin.is_tuple() && matches!(base.scheme(), "http" | "https");
    let text = format!("{}{prefix}{path}", origin.ascii_serialization());
    Url::parse(&text).ok().filter(|_| is_http)
}

/// What a connector keeps when it is built again.
struct Kept {
    health: ConnectorHealth,
    state: Option<KeptState>,
}

fn build_entry(
    id: &ConnectorId,
    settings: &ConnectorConfig,
    (callback, reach): (Url, Reach),
    kept: Kept,
    deps: &Deps<'_>,
) -> Result<ConnectorEntry, BuildError> {
    let kind = settings.kind().map_err(|source| BuildError::Kind {
        id: id.clone(),
        source,
    })?;
    let outbound = outbound::Outbound::build(&outbound::Config {
        proxy: settings.proxy.clone(),
        ca: settings.ca.clone(),
        ca_pem: settings.ca_pem.clone(),
        reach,
    })
    .map_err(|source| BuildError::Outbound {
        id: id.clone(),
        source,
    })?;
    let features = kind.features();
    let mapping = Mapping::build(features.mapping, &settings.mapping, &settings.login_prefix)
        .map_err(|source| BuildError::Mapping {
            id: id.clone(),
            source,
        })?
        .with_further_members(features.further_members_are_attributes);
    let join = settings.join.as_ref();
    let join = join.and_then(JoinConfig::local_entitlements);
    let admission = AdmissionPolicy {
        connector: id.clone(),
        mapping,
        create: settings.admission == AdmissionConfig::Create,
        join: join.map(Arc::new),
        link_by: settings.link_by.clone(),
        sync: settings.sync,
    };
    let connector = kind
        .build(connector::ConnectorDeps {
            id: id.clone(),
            callback: callback.clone(),
            own_pages_url: own_url(deps.external_url, deps.prefix, "")
                .ok_or_else(|| BuildError::Callback { id: id.clone() })?,
            outbound,
            clock: deps.clock.clone(),
            mapping: settings.mapping.clone(),
            stored_departments: deps.people.stored_departments(id),
            local_people: Some(deps.people.local_people(&admission, deps.ring)),
            kept_state: kept.state,
        })
        .map_err(|source| BuildError::Connector {
            id: id.clone(),
            source,
        })?;
    Ok(ConnectorEntry {
        display_name: settings.shown_name(id),
        callback,
        admission,
        kind: kind.name(),
        features,
        connector,
        health: kept.health,
        config: settings.clone(),
        reach,
        id: id.clone(),
    })
}
