//! Applies a [`Change`] to the managed settings.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::change::{Change, LoginChange, Precondition};
use super::document::{ManagedConnector, ManagedDocument};
use super::error::{ChangeError, FieldProblem};
use super::secrets::{self, Former, Merged};
use super::table::ConnectorTable;
use super::{Settings, parse, types};
use crate::keys::KeyRing;
use crate::store::ConnectorId;
use crate::text;
use crate::wording::Text;

mod login;
mod rollback;

/// The most connectors that are managed.
const CONNECTORS_MAX: usize = 200;

/// The most bytes of all managed settings: each version has them whole.
const DOCUMENT_BYTES_MAX: usize = 8 << 20;

/// The managed settings after a change.
#[derive(Debug)]
pub(in crate::site) struct Edited {
    pub(in crate::site) document: ManagedDocument,
    /// The names of the changed fields.
    pub(in crate::site) fields: Vec<String>,
    /// The connectors that the change is about.
    pub(in crate::site) touched: Vec<ConnectorId>,
}

impl Settings {
    /// The managed settings after a change; `None` if it changes nothing. `older` is the content of the
    /// version of a rollback.
    ///
    /// # Errors
    /// The change is not allowed, or a field is wrong.
    pub(in crate::site) fn edit(
        &self,
        change: &Change,
        precondition: Precondition,
        older: Option<ManagedDocument>,
        ring: &KeyRing,
    ) -> Result<Option<Edited>, ChangeError> {
        if let Some(at) = self.read_only() {
            return Err(ChangeError::ReadOnly { at });
        }
        let mut edit = Edit {
            settings: self,
            ring,
            number: self.version() + 1,
            edited: Edited {
                document: self.document.clone(),
                fields: Vec::new(),
                touched: Vec::new(),
            },
        };
        match change {
            Change::Put { id, settings } => {
                edit.refuse_file(id)?;
                self.require(precondition, self.etag(id))?;
                edit.put(id, settings, None)?;
            }
            Change::PutByHengshi {
                id,
                settings,
                fields,
            } => {
                edit.refuse_file(id)?;
                self.require(precondition, self.etag(id))?;
                edit.put(id, settings, Some(fields))?;
            }
            Change::Delete { id } => {
                self.require_managed(id)?;
                self.require(precondition, self.etag(id))?;
                edit.delete(id);
            }
            Change::SetEnabled { id, enabled } => {
                let known = self
                    .connector(id)
                    .ok_or_else(|| ChangeError::NotFound(id.clone()))?;
                self.require(precondition, Some(known.etag))?;
                edit.set_enabled(id, *enabled)?;
            }
            Change::SetLogin(login) => {
                self.require(precondition, Some(self.document.login.etag))?;
                edit.set_login(login)?;
            }
            Change::Rollback { .. } => {
                self.require(precondition, Some(self.version()))?;
                edit.roll_back(older.unwrap_or_default());
            }
            Change::Import { connectors, login } => {
                self.require(precondition, Some(self.version()))?;
                edit.import(connectors, login)?;
            }
        }
        edit.note_kinds_of_file();
        edit.check_size()?;
        // Every other change makes a version, also one with the same content.
        let may_be_idle = matches!(change, Change::SetEnabled { .. } | Change::SetLogin(_));
        let is_idle = may_be_idle && edit.edited.fields.is_empty();
        Ok((!is_idle).then_some(edit.edited))
    }

    fn etag(&self, id: &ConnectorId) -> Option<u64> {
        Some(self.document.connectors.get(id)?.etag)
    }

    fn require(&self, precondition: Precondition, current: Option<u64>) -> Result<(), ChangeError> {
        let holds = match precondition {
            Precondition::None => true,
            Precondition::Matches(etag) => current == Some(etag),
            Precondition::Exists => current.is_some(),
            Precondition::IsNew => current.is_none(),
        };
        holds
            .then_some(())
            .ok_or(ChangeError::Precondition { current })
    }

    fn require_managed(&self, id: &ConnectorId) -> Result<(), ChangeError> {
        if self.document.connectors.contains_key(id) {
            return Ok(());
        }
        Err(match self.file.connectors.contains_key(id) {
            true => self.refused_by_file(id),
            false => ChangeError::NotFound(id.clone()),
        })
    }

    fn refused_by_file(&self, id: &ConnectorId) -> ChangeError {
        ChangeError::FromFile {
            what: text!("connector {id}", "认证源 {id}"),
            at: self.file.file.line_of(id),
        }
    }

    /// The settings of a managed connector with its secrets; `None` if there is none, or if they cannot be
    /// read any more.
    pub(super) fn former(
        &self,
        id: &ConnectorId,
        ring: &KeyRing,
    ) -> Result<Option<Former>, ChangeError> {
        let Some(table) = self.document.opened(id, ring).transpose()? else {
            return Ok(None);
        };
        let connector = types::read(&table).ok();
        Ok(connector.map(|connector| Former { table, connector }))
    }

    /// New settings of a connector, with the secrets that they keep, checked.
    pub(super) fn merged(
        &self,
        id: &ConnectorId,
        table: &ConnectorTable,
        ring: &KeyRing,
    ) -> Result<(Merged, Option<Former>), ChangeError> {
        let former = self.former(id, ring)?;
        let merged = secrets::merge(table.clone(), former.as_ref());
        let merged = merged.map_err(ChangeError::Problems)?;
        let problems = parse::problems(id, &merged.connector, &self.file);
        match problems.is_empty() {
            true => Ok((merged, former)),
            false => Err(ChangeError::Problems(problems)),
        }
    }
}

/// A change that is being applied.
struct Edit<'a> {
    settings: &'a Settings,
    ring: &'a KeyRing,
    /// The version that the change makes.
    number: u64,
    edited: Edited,
}

impl Edit<'_> {
    fn refuse_file(&self, id: &ConnectorId) -> Result<(), ChangeError> {
        match self.settings.file.connectors.contains_key(id) {
            true => Err(self.settings.refused_by_file(id)),
            false => Ok(()),
        }
    }

    fn put(
        &mut self,
        id: &ConnectorId,
        table: &ConnectorTable,
        hengshi: Option<&Map<String, Value>>,
    ) -> Result<(), ChangeError> {
        let (merged, former) = self.settings.merged(id, table, self.ring)?;
        let paths = secrets::secret_paths(&merged.connector);
        let sealed = merged.table.sealed(&paths, self.ring, id);
        let before = former.map(|former| former.table).unwrap_or_default();
        let mut changed = Vec::new();
        let path = format!("connector.{id}");
        differences(&path, before.expose(), merged.table.expose(), &mut changed);
        self.edited.fields.extend(changed);
        let kind = merged.connector.kind().map(|kind| kind.name().to_owned());
        let document = &mut self.edited.document;
        let former = document.connectors.get(id);
        let hengshi = hengshi.or_else(|| former?.hengshi.as_ref()).cloned();
        let connector = ManagedConnector {
            etag: self.number,
            settings: sealed,
            hengshi,
        };
        document.connectors.insert(id.clone(), connector);
        if document.connectors.len() > CONNECTORS_MAX {
            return Err(too_many_connectors());
        }
        self.note_kind(id, &kind.unwrap_or_default())?;
        self.edited.touched.push(id.clone());
        Ok(())
    }

    /// Remembers the kind of a connector.
    ///
    /// # Errors
    /// The ID belonged to another kind.
    fn note_kind(&mut self, id: &ConnectorId, kind: &str) -> Result<(), ChangeError> {
        let kinds = &mut self.edited.document.kinds;
        let known = kinds.entry(id.clone()).or_insert_with(|| kind.to_owned());
        match known == kind {
            true => Ok(()),
            false => Err(ChangeError::KindChanged {
                id: id.clone(),
                was: known.clone(),
            }),
        }
    }

    fn delete(&mut self, id: &ConnectorId) {
        let document = &mut self.edited.document;
        document.connectors.remove(id);
        // A connector of the file may have the same ID.
        if !self.settings.file.connectors.contains_key(id) {
            document.enabled.remove(id);
            document.login.order.retain(|other| other != id);
            if document.login.default.as_ref() == Some(id) {
                document.login.default = None;
            }
        }
        self.edited.fields.push(format!("connector.{id}"));
        self.edited.touched.push(id.clone());
    }

    fn set_enabled(&mut self, id: &ConnectorId, enabled: bool) -> Result<(), ChangeError> {
        let file = &self.settings.file.file;
        let field = format!("connector.{id}.enabled");
        if self.settings.file.connectors.contains_key(id) {
            let line = file.connectors.get(id).and_then(|it| it.enabled_line);
            if let Some(line) = line {
                let what = Text::same(format!("[connector.{id}] enabled"));
                let at = file.at(line);
                return Err(ChangeError::FromFile { what, at });
            }
            let switches = &mut self.edited.document.enabled;
            let before = match enabled {
                true => switches.remove(id).unwrap_or(true),
                false => switches.insert(id.clone(), false).unwrap_or(true),
            };
            if before != enabled {
                self.edited.fields.push(field);
            }
            return Ok(());
        }
        let Some(managed) = self.edited.document.connectors.get_mut(id) else {
            return Err(ChangeError::NotFound(id.clone()));
        };
        let known = self.settings.known.get(id);
        // One that could not be read is switched, too.
        if known.is_none_or(|known| known.enabled != enabled) {
            managed.settings.set_enabled(enabled);
            managed.etag = self.number;
            self.edited.fields.push(field);
            self.edited.touched.push(id.clone());
        }
        Ok(())
    }

    fn import(
        &mut self,
        connectors: &BTreeMap<ConnectorId, ConnectorTable>,
        login: &LoginChange,
    ) -> Result<(), ChangeError> {
        // Each may have many problems, and all of them are in the answer.
        if connectors.len() > CONNECTORS_MAX {
            return Err(too_many_connectors());
        }
        let mut problems = Vec::new();
        for (id, table) in connectors {
            self.refuse_file(id)?;
            match self.put(id, table, None) {
                Ok(()) => {}
                Err(ChangeError::Problems(found)) => {
                    problems.extend(found.into_iter().map(|problem| problem.of(id)));
                }
                Err(error) => return Err(error),
            }
        }
        match problems.is_empty() {
            true => self.set_login(login),
            false => Err(ChangeError::Problems(problems)),
        }
    }

    /// Refuses settings that are too large, unless they have become smaller.
    fn check_size(&self) -> Result<(), ChangeError> {
        let size = self.edited.document.to_json().len();
        if size <= DOCUMENT_BYTES_MAX || size <= self.settings.document.to_json().len() {
            return Ok(());
        }
        let help = text!(
            "at most {} MiB together",
            "合计最多 {} MiB",
            DOCUMENT_BYTES_MAX >> 20
        );
        let problem = FieldProblem::new(
            "",
            text!(
                "the settings of all connectors are too large",
                "所有认证源的设置合计过大"
            ),
            help,
        );
        Err(ChangeError::Problems(vec![problem]))
    }

    /// Remembers the kinds of the connectors of the file. A kind that is known stays.
    fn note_kinds_of_file(&mut self) {
        for (id, connector) in &self.settings.file.connectors {
            if let Ok(kind) = connector.kind() {
                let known = self.edited.document.kinds.entry(id.clone());
                known.or_insert_with(|| kind.name().to_owned());
            }
        }
    }
}

fn too_many_connectors() -> ChangeError {
    let max = CONNECTORS_MAX;
    let help = text!(
        "at most {max}: delete another one first",
        "最多 {max} 个：请先删除一个"
    );
    let message = text!("there are too many connectors", "认证源太多");
    ChangeError::Problems(vec![FieldProblem::new("", message, help)])
}

/// The paths at which two tables differ. Never a value, because it may be a secret.
fn differences(
    path: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    found: &mut Vec<String>,
) {
    let removed = before.keys().filter(|key| !after.contains_key(*key));
    for key in after.keys().chain(removed) {
        let path = format!("{path}.{key}");
        match (before.get(key), after.get(key)) {
            (Some(Value::Object(before)), Some(Value::Object(after))) => {
                differences(&path, before, after, found);
            }
            (None, Some(Value::Object(after))) if !after.is_empty() => {
                differences(&path, &Map::new(), after, found);
            }
            (before, after) if before != after => found.push(path),
            _ => {}
        }
    }
}
