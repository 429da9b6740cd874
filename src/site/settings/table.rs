//! `ConnectorTable`: the table `[connector.ID]` as JSON. `SealedTable`: the same with sealed secrets, as the
//! store has it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroize as _;

use super::{seal, secrets};
use crate::keys::KeyRing;
use crate::login::connector::ConnectorConfig;
use crate::setting::Step;
use crate::store::ConnectorId;

/// What stands for a secret that exists.
pub const SECRET_MARKER: &str = "********";

/// The settings of a connector: the table `[connector.ID]` as JSON. It may contain secrets, so `Debug` shows
/// nothing, and its texts are wiped when it is dropped.
#[derive(Clone, Default, PartialEq)]
pub struct ConnectorTable(Map<String, Value>);

/// The settings of a connector in which `{"sealed": "…"}` stands for each secret.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SealedTable(Map<String, Value>);

impl fmt::Debug for ConnectorTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectorTable")
    }
}

impl fmt::Debug for SealedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedTable")
    }
}

impl Drop for ConnectorTable {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl From<Map<String, Value>> for ConnectorTable {
    fn from(members: Map<String, Value>) -> Self {
        Self(members)
    }
}

impl ConnectorTable {
    /// The members. They may contain secrets, unless the table is masked: then the caller must not log them.
    pub fn expose(&self) -> &Map<String, Value> {
        &self.0
    }

    pub(super) fn members_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.0
    }

    /// The value at a path.
    pub(super) fn get(&self, path: &[Step<'_>]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let Step::Key(first) = first else {
            return None;
        };
        let mut value = self.0.get(*first)?;
        for step in rest {
            value = match step {
                Step::Key(key) => value.as_object()?.get(*key)?,
                Step::Item(index) => value.as_array()?.get(*index)?,
            };
        }
        Some(value)
    }

    /// The table at a path; an empty path is the whole.
    pub(super) fn table_at(&self, path: &[Step<'_>]) -> Option<&Map<String, Value>> {
        match path.is_empty() {
            true => Some(&self.0),
            false => self.get(path)?.as_object(),
        }
    }

    /// Sets the value at a path whose parent exists; false if it does not.
    pub(super) fn set(&mut self, path: &[Step<'_>], new: Value) -> bool {
        set(&mut self.0, path, new)
    }

    /// Sets the value at a path of names and indices that exists.
    pub(super) fn set_at(&mut self, path: &[String], new: Value) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        let mut value = self.0.get_mut(first);
        for step in rest {
            value = match value {
                Some(Value::Object(members)) => members.get_mut(step),
                Some(Value::Array(items)) => {
                    let index = step.parse().ok();
                    index.and_then(|index: usize| items.get_mut(index))
                }
                _ => None,
            };
        }
        if let Some(value) = value {
            *value = new;
        }
    }

    /// Removes the value at a path.
    pub(super) fn remove(&mut self, path: &[Step<'_>]) {
        let Some((Step::Key(last), parents)) = path.split_last() else {
            return;
        };
        if parents.is_empty() {
            self.0.remove(*last);
        } else if let Some(Value::Object(parent)) = get_mut(&mut self.0, parents) {
            parent.remove(*last);
        }
    }

    /// Removes the value at a path, also from a list; false if there is none.
    pub(super) fn take_out(&mut self, path: &[Step<'_>]) -> bool {
        let Some((last, parents)) = path.split_last() else {
            return false;
        };
        if parents.is_empty() {
            return match last {
                Step::Key(key) => self.0.remove(*key).is_some(),
                Step::Item(_) => false,
            };
        }
        match (get_mut(&mut self.0, parents), last) {
            (Some(Value::Object(parent)), Step::Key(key)) => parent.remove(*key).is_some(),
            (Some(Value::Array(parent)), Step::Item(index)) if *index < parent.len() => {
                parent.remove(*index);
                true
            }
            _ => false,
        }
    }

    /// The table with each of these secrets sealed for the connector.
    pub(super) fn sealed(
        &self,
        secrets: &[Vec<Step<'_>>],
        ring: &KeyRing,
        id: &ConnectorId,
    ) -> SealedTable {
        let mut members = self.0.clone();
        for path in secrets {
            if let Some(Value::String(secret)) = self.get(path) {
                set(&mut members, path, seal::seal(ring, id, path, secret));
            }
        }
        SealedTable(members)
    }

    /// The table with [`SECRET_MARKER`] in place of each secret of the connector that is a text.
    pub fn masked_as(mut self, connector: &ConnectorConfig) -> Self {
        for path in secrets::secret_paths(connector) {
            if self.get(&path).is_some_and(Value::is_string) {
                self.set(&path, SECRET_MARKER.into());
            }
        }
        self
    }
}

impl SealedTable {
    /// The table with [`SECRET_MARKER`] in place of each secret.
    pub fn masked(&self) -> ConnectorTable {
        let mut members = self.0.clone();
        let mask = &mut |_: &[String], _: &str| Some(SECRET_MARKER.into());
        seal::replace_sealed(&mut members, mask);
        ConnectorTable(members)
    }

    /// Calls `found` with the path and the sealed text of each secret.
    pub(super) fn each_sealed(&self, mut found: impl FnMut(&[String], &str)) {
        let mut members = self.0.clone();
        let note = &mut |path: &[String], sealed: &str| {
            found(path, sealed);
            Some(seal::as_value(sealed))
        };
        seal::replace_sealed(&mut members, note);
    }

    /// The table with its secrets.
    ///
    /// # Errors
    /// The key path of a secret that no key of the ring opens.
    pub(super) fn open(&self, ring: &KeyRing, id: &ConnectorId) -> Result<ConnectorTable, String> {
        let mut members = self.0.clone();
        let open = &mut |path: &[String], sealed: &str| {
            seal::open(ring, id, path, sealed).map(|secret| secret.expose().as_str().into())
        };
        match seal::replace_sealed(&mut members, open) {
            None => Ok(ConnectorTable(members)),
            Some(unopened) => Err(unopened),
        }
    }

    /// Whether the connector is enabled.
    pub(super) fn is_enabled(&self) -> bool {
        self.0.get("enabled") != Some(&Value::Bool(false))
    }

    pub(super) fn set_enabled(&mut self, enabled: bool) {
        self.0.insert("enabled".to_owned(), enabled.into());
    }

    /// Whether both say the same. What is sealed twice differs, although the secret is the same.
    pub(super) fn equals(&self, other: &Self, ring: &KeyRing, id: &ConnectorId) -> bool {
        self == other
            || match (self.open(ring, id), other.open(ring, id)) {
                (Ok(this), Ok(other)) => this == other,
                (Err(_), _) | (_, Err(_)) => false,
            }
    }

    /// The table with every secret sealed by the first key of the ring; `None` if it is so already, or if a
    /// secret cannot be opened.
    pub(super) fn resealed(&self, ring: &KeyRing, id: &ConnectorId) -> Option<Self> {
        let mut members = self.0.clone();
        let mut is_changed = false;
        let reseal = &mut |path: &[String], sealed: &str| match seal::is_current(ring, sealed) {
            true => Some(seal::as_value(sealed)),
            false => {
                is_changed = true;
                let secret = seal::open(ring, id, path, sealed)?;
                Some(seal::as_value(&seal::seal_at(
                    ring,
                    id,
                    path,
                    secret.expose(),
                )))
            }
        };
        let unopened = seal::replace_sealed(&mut members, reseal);
        (is_changed && unopened.is_none()).then_some(Self(members))
    }
}

fn get_mut<'v>(members: &'v mut Map<String, Value>, path: &[Step<'_>]) -> Option<&'v mut Value> {
    let (first, rest) = path.split_first()?;
    let Step::Key(first) = first else {
        return None;
    };
    let mut value = members.get_mut(*first)?;
    for step in rest {
        value = match step {
            Step::Key(key) => value.as_object_mut()?.get_mut(*key)?,
            Step::Item(index) => value.as_array_mut()?.get_mut(*index)?,
        };
    }
    Some(value)
}

fn set(members: &mut Map<String, Value>, path: &[Step<'_>], new: Value) -> bool {
    let Some((last, parents)) = path.split_last() else {
        return false;
    };
    if parents.is_empty() {
        if let Step::Key(key) = last {
            members.insert((*key).to_owned(), new);
        }
        return matches!(last, Step::Key(_));
    }
    match (get_mut(members, parents), last) {
        (Some(Value::Object(parent)), Step::Key(key)) => {
            parent.insert((*key).to_owned(), new);
            true
        }
        (Some(Value::Array(parent)), Step::Item(index)) if *index < parent.len() => {
            parent[*index] = new;
            true
        }
        _ => false,
    }
}
