//! Puts the settings of the file and the managed ones together.

use std::collections::BTreeMap;

use super::error::{self, ChangeError, FieldProblem, SettingsError};
use super::{Config, Known, ManagedDocument, Settings, parse, types};
use crate::keys::KeyRing;
use crate::login::auto_login_problems;
use crate::login::connector::ConnectorConfig;
use crate::store::ConnectorId;
use crate::text;
use crate::wording::Text;

/// What happens with a managed connector that cannot be used.
#[derive(Clone, Debug)]
pub(in crate::site) enum Strictness {
    /// It is left out. So a site starts although its file or machine has changed.
    Tolerant,
    /// It is an error, unless it is one of these, which were out of force before.
    StrictButFor(Vec<ConnectorId>),
}

impl Strictness {
    /// What is out of force in `before` may stay so, but not what a change is about.
    pub(in crate::site) fn strict_but_for(before: &Settings, touched: &[ConnectorId]) -> Self {
        let broken = before.broken.keys();
        let untouched = broken.filter(|id| !touched.contains(id));
        Self::StrictButFor(untouched.cloned().collect())
    }

    fn tolerates(&self, id: &ConnectorId) -> bool {
        match self {
            Self::Tolerant => true,
            Self::StrictButFor(ids) => ids.contains(id),
        }
    }
}

impl Settings {
    /// The settings of a file without any managed ones.
    pub fn of_file(file: Config) -> Self {
        let mut config = file.clone();
        config
            .connectors
            .retain(|_, connector| connector.enabled != Some(false));
        config.login.order = file.file.complete_order(config.login.order);
        Self {
            version: 0,
            document: ManagedDocument::default(),
            file,
            config,
            broken: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    /// Puts a file and a version of the managed settings together.
    ///
    /// # Errors
    /// A secret cannot be opened, or a connector has problems that `strictness` does not tolerate.
    pub(in crate::site) fn put_together(
        file: Config,
        version: u64,
        document: ManagedDocument,
        ring: &KeyRing,
        strictness: &Strictness,
    ) -> Result<Self, ChangeError> {
        let mut settings = Self::of_file(file);
        settings.version = version;
        settings.document = document;
        settings.check_kinds_of_file()?;
        settings.apply_switches();
        settings.add_managed(ring, strictness)?;
        settings.apply_login();
        settings.resolve_auto_logins(strictness)?;
        Ok(settings)
    }

    /// Refuses a connector of the file whose ID belonged to one of another kind: accounts hang on the ID, so
    /// another source would let its people into them.
    fn check_kinds_of_file(&self) -> Result<(), SettingsError> {
        for (id, connector) in &self.file.connectors {
            let Ok(kind) = connector.kind() else { continue };
            let was = self.document.kinds.get(id);
            if let Some(was) = was.filter(|was| *was != kind.name()) {
                return Err(SettingsError::KindOfFile {
                    id: id.clone(),
                    kind: kind.name().to_owned(),
                    was: was.clone(),
                    at: self.file.file.line_of(id),
                });
            }
        }
        Ok(())
    }

    /// Takes connectors of the file out of force that are disabled in the managed settings.
    fn apply_switches(&mut self) {
        let switches = &self.document.enabled;
        self.config.connectors.retain(|id, connector| {
            let switch = switches.get(id).copied();
            connector.enabled.or(switch).unwrap_or(true)
        });
    }

    fn add_managed(&mut self, ring: &KeyRing, strictness: &Strictness) -> Result<(), ChangeError> {
        for id in self.document.connectors.keys().cloned().collect::<Vec<_>>() {
            let connector = match self.managed_connector(&id, ring)? {
                Ok(connector) => connector,
                Err(problems) if strictness.tolerates(&id) => {
                    self.broken.insert(id, error::join(&problems));
                    continue;
                }
                Err(problems) => {
                    let problems = problems.into_iter().map(|problem| problem.of(&id));
                    return Err(ChangeError::Problems(problems.collect()));
                }
            };
            let is_enabled = connector.enabled != Some(false);
            let kind = connector.kind().map(|kind| kind.name().to_owned());
            let kind = kind.unwrap_or_default();
            let was = self.document.kinds.get(&id);
            if let Some(was) = was.filter(|was| **was != kind) {
                let error = ChangeError::KindChanged {
                    id: id.clone(),
                    was: was.clone(),
                };
                if !strictness.tolerates(&id) {
                    return Err(error);
                }
                self.broken.insert(id, Text::of(&error));
                continue;
            }
            let known = Known {
                kind,
                display_name: connector.shown_name(&id),
                enabled: is_enabled,
            };
            self.known.insert(id.clone(), known);
            let is_shadowed = self.file.connectors.contains_key(&id);
            if is_enabled && !is_shadowed {
                let etag = self.document.connectors.get(&id).map_or(0, |it| it.etag);
                let connector = connector.with_settings_version(etag);
                self.config.connectors.insert(id, connector);
            }
        }
        Ok(())
    }

    /// A managed connector with its secrets, or its problems.
    fn managed_connector(
        &self,
        id: &ConnectorId,
        ring: &KeyRing,
    ) -> Result<Result<ConnectorConfig, Vec<FieldProblem>>, SettingsError> {
        let Some(table) = self.document.opened(id, ring).transpose()? else {
            return Ok(Err(Vec::new()));
        };
        let connector = match types::read(&table) {
            Ok(connector) => connector,
            Err(problems) => return Ok(Err(problems)),
        };
        let problems = parse::problems(id, &connector, &self.file);
        Ok(match problems.is_empty() {
            true => Ok(connector),
            false => Err(problems),
        })
    }

    fn apply_login(&mut self) {
        let choices = self.login();
        self.config.login.default = choices.default;
        self.config.login.order = self.file.file.complete_order(choices.order);
    }

    /// Refuses managed connectors that start the same logins as another one, or takes them out of force.
    fn resolve_auto_logins(&mut self, strictness: &Strictness) -> Result<(), ChangeError> {
        let ids = self.config.connectors.keys();
        let managed: Vec<_> = ids
            .filter(|id| self.is_managed_in_force(id))
            .cloned()
            .collect();
        let mut accepted = self.config.connectors.clone();
        accepted.retain(|id, _| !managed.contains(id));
        let mut problems = Vec::new();
        for id in managed {
            let Some(connector) = self.config.connectors.get(&id) else {
                continue;
            };
            accepted.insert(id.clone(), connector.clone());
            let Some(problem) = conflict(&accepted, &id) else {
                continue;
            };
            accepted.remove(&id);
            match strictness.tolerates(&id) {
                true => self.take_out_of_force(&id, problem.message),
                false => problems.push(problem.of(&id)),
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(ChangeError::CannotBuild(problems)),
        }
    }
}

/// The problem of a connector that was added to others, which have none.
fn conflict(
    connectors: &BTreeMap<ConnectorId, ConnectorConfig>,
    added: &ConnectorId,
) -> Option<FieldProblem> {
    let (named, problem) = auto_login_problems(connectors).into_iter().next()?;
    let problem = FieldProblem::from(problem);
    Some(match named == added {
        true => problem,
        false => FieldProblem {
            message: text!(
                "`{named}` already starts these logins",
                "这些登录已由 `{named}` 自动开始"
            ),
            ..problem
        },
    })
}
