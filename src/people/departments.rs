//! What is known about departments: which paths of a person are known, and the departments that the store
//! has from earlier logins and syncs.

use std::sync::Arc;

use super::profile::UserFields;
use crate::store::{ConnectorId, Department, DirectoryStore, StoreError};

/// How many departments one query reads.
const PAGE: u32 = 1_000;

/// The departments of a connector in the store, for a source that does not answer after a restart.
#[derive(Clone, Debug, Default)]
pub struct StoredDepartments(Option<(Arc<dyn DirectoryStore>, ConnectorId)>);

impl StoredDepartments {
    pub(super) fn new(store: Arc<dyn DirectoryStore>, connector: ConnectorId) -> Self {
        Self(Some((store, connector)))
    }

    /// The departments, at most `max`; none without a store.
    ///
    /// # Errors
    /// The store failed.
    pub async fn read(&self, max: usize) -> Result<Vec<Department>, StoreError> {
        let mut all: Vec<Department> = Vec::new();
        let Some((store, connector)) = &self.0 else {
            return Ok(all);
        };
        while all.len() < max {
            let after = all.last().map(|last| last.id.as_str());
            let mut page = store.departments(connector, after, PAGE).await?;
            let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
            all.append(&mut page);
            if is_last {
                break;
            }
        }
        all.truncate(max);
        Ok(all)
    }
}

impl UserFields {
    /// The paths of the departments, in the order of their IDs; a path that is not known is empty.
    pub(super) fn known_department_paths(&self) -> Vec<&str> {
        let paths = self.department_paths.iter();
        if self.departments_without_path.is_empty() {
            return paths.map(String::as_str).collect();
        }
        let fits = self.department_ids.len() == self.department_paths.len();
        let is_known = |at: usize| {
            fits && !self
                .departments_without_path
                .contains(&self.department_ids[at])
        };
        let known = paths.enumerate().map(|(at, path)| match is_known(at) {
            true => path.as_str(),
            false => "",
        });
        known.collect()
    }

    /// Whether each department that the person belongs to directly has its name. A department without a
    /// name has its ID in the place of it.
    pub(super) fn has_department_names(&self) -> bool {
        if self.departments_without_path.is_empty() {
            return true;
        }
        let mut departments = self.department_ids.iter().zip(&self.departments);
        self.department_ids.len() == self.departments.len()
            && departments
                .all(|(id, name)| id != name || !self.departments_without_path.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_path_is_known_unless_its_department_is_named_as_unknown() {
        let mut fields = UserFields {
            departments: texts(&["研发", "9", "平台"]),
            department_ids: texts(&["2", "9", "3"]),
            department_paths: texts(&["公司/研发", "9", "7/平台"]),
            ..UserFields::default()
        };
        assert_eq!(
            fields.known_department_paths(),
            ["公司/研发", "9", "7/平台"]
        );
        assert!(fields.has_department_names());
        fields.departments_without_path = texts(&["3"]);
        assert_eq!(fields.known_department_paths(), ["公司/研发", "9", ""]);
        assert!(fields.has_department_names());
        fields.departments_without_path = texts(&["9", "3"]);
        assert_eq!(fields.known_department_paths(), ["公司/研发", "", ""]);
        assert!(!fields.has_department_names());
        // Lists that do not fit together tell nothing.
        fields.department_ids = texts(&["2"]);
        assert_eq!(fields.known_department_paths(), ["", "", ""]);
        assert!(!fields.has_department_names());
    }
}
