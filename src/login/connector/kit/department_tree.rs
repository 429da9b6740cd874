//! `DepartmentTree`: the departments of a source with numeric IDs, and their names and paths.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::number::number;
use crate::store;

/// The most departments that are kept: the maximum of WeCom.
pub(crate) const DEPARTMENTS_MAX: usize = 30_000;

/// The most levels of a path. WeCom allows fifteen.
const LEVELS_MAX: usize = 32;

/// Departments by ID. Tolerates several roots, missing parents and cycles.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct DepartmentTree {
    departments: HashMap<i64, TreeDepartment>,
    /// The names of departments whose parents are hidden, if several have the same name: a path that
    /// begins with such a name can be that of either.
    ambiguous_names: HashSet<String>,
}

/// A department of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeDepartment {
    /// Absent: the source does not tell it.
    pub(crate) name: Option<String>,
    /// The ID of the department above; 0: none.
    pub(crate) parent: i64,
}

impl DepartmentTree {
    /// Reads a list whose departments have these members for ID, name and parent. Skips entries without an
    /// ID and those beyond the maximum.
    pub(crate) fn read_as(list: &[Value], [id, name, parent]: [&str; 3]) -> Self {
        if list.len() > DEPARTMENTS_MAX {
            tracing::warn!(
                departments = list.len(),
                "only {DEPARTMENTS_MAX} departments are kept"
            );
        }
        let read = |value: &Value| {
            let id = number(value.get(id)?)?;
            let name = value.get(name).and_then(Value::as_str).map(str::trim);
            let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
            let parent = value.get(parent).and_then(number).unwrap_or(0);
            Some((id, TreeDepartment { name, parent }))
        };
        Self::of(list.iter().take(DEPARTMENTS_MAX).filter_map(read).collect())
    }

    /// The departments that the store knows. One whose name is its id was stored without a name.
    pub(crate) fn of_stored(stored: &[store::Department]) -> Self {
        let department = |one: &store::Department| {
            let name = Some(&one.name).filter(|name| **name != one.id).cloned();
            let parent = one.parent.as_ref().and_then(|parent| parent.parse().ok());
            let parent = parent.unwrap_or(0);
            Some((one.id.parse().ok()?, TreeDepartment { name, parent }))
        };
        Self::of(stored.iter().filter_map(department).collect())
    }

    /// The tree of departments by ID.
    pub(crate) fn of(departments: HashMap<i64, TreeDepartment>) -> Self {
        let is_hidden = |parent: i64| parent != 0 && !departments.contains_key(&parent);
        let tops = departments.values().filter(|one| is_hidden(one.parent));
        let mut names = HashSet::new();
        let repeated =
            tops.filter_map(|top| top.name.clone().filter(|name| !names.insert(name.clone())));
        let ambiguous_names = repeated.collect();
        Self {
            departments,
            ambiguous_names,
        }
    }

    /// All departments, in the order of their ids. A parent that is not among them is absent. Names are
    /// written as in [`Self::path`].
    pub(crate) fn departments(&self) -> Vec<store::Department> {
        let mut ids: Vec<_> = self.departments.keys().copied().collect();
        ids.sort_unstable();
        let department = |id: i64| store::Department {
            id: id.to_string(),
            name: self.name(id).replace('/', "／"),
            parent: self
                .departments
                .get(&id)
                .map(|department| department.parent)
                .filter(|parent| *parent != id && self.departments.contains_key(parent))
                .map(|parent| parent.to_string()),
        };
        ids.into_iter().map(department).collect()
    }

    /// The members of a profile about these departments: names, paths, IDs, and which of them have no known
    /// path.
    pub(crate) fn members_of(&self, ids: &[i64]) -> [(&'static str, Value); 5] {
        let names: Vec<_> = ids.iter().map(|id| self.name(*id)).collect();
        let paths: Vec<_> = ids.iter().map(|id| self.path(*id)).collect();
        let id_paths: Vec<_> = ids.iter().map(|id| self.id_path(*id)).collect();
        let without_path: Vec<_> = ids.iter().filter(|id| !self.has_path(**id)).collect();
        [
            ("departments_without_path", json!(without_path)),
            ("department_names", json!(names)),
            ("department_paths", json!(paths)),
            ("department_ids", json!(ids)),
            ("department_id_paths", json!(id_paths)),
        ]
    }

    /// The department with this ID.
    pub(crate) fn get(&self, id: i64) -> Option<&TreeDepartment> {
        self.departments.get(&id)
    }

    /// Whether no department above this one is hidden.
    pub(crate) fn reaches_root(&self, id: i64) -> bool {
        let top = self.chain(id).first().copied().unwrap_or(id);
        self.hidden_parent(top).is_none()
    }

    /// Whether it has this department.
    pub(crate) fn contains(&self, id: i64) -> bool {
        self.departments.contains_key(&id)
    }

    pub(crate) fn len(&self) -> usize {
        self.departments.len()
    }

    /// The number of departments without a name.
    pub(crate) fn unnamed_count(&self) -> usize {
        self.departments
            .values()
            .filter(|department| department.name.is_none())
            .count()
    }

    /// The name of a department, or its ID.
    pub(crate) fn name(&self, id: i64) -> String {
        let name = self
            .departments
            .get(&id)
            .and_then(|department| department.name.clone());
        name.unwrap_or_else(|| id.to_string())
    }

    /// The names from the topmost known department down, joined by `/`. A `/` within a name becomes the
    /// full-width `／`, so that no department name can imitate another path.
    pub(crate) fn path(&self, id: i64) -> String {
        let names = self.chain(id).into_iter();
        let names: Vec<_> = names.map(|id| self.name(id).replace('/', "／")).collect();
        names.join("/")
    }

    /// The IDs from the topmost known department down, joined by `/`. If its parent is hidden, the ID of the
    /// parent comes first: it has no name in [`Self::path`].
    pub(crate) fn id_path(&self, id: i64) -> String {
        let chain = self.chain(id);
        let hidden = chain.first().and_then(|top| self.hidden_parent(*top));
        let ids: Vec<_> = hidden.iter().chain(&chain).map(i64::to_string).collect();
        ids.join("/")
    }

    /// Whether [`Self::path`] names this department and no other.
    pub(crate) fn has_path(&self, id: i64) -> bool {
        let chain = self.chain(id);
        let name = |id: &i64| self.departments.get(id).and_then(|one| one.name.as_ref());
        let is_ambiguous = |top: &i64| {
            self.hidden_parent(*top).is_some()
                && name(top).is_some_and(|name| self.ambiguous_names.contains(name))
        };
        chain.iter().all(|id| name(id).is_some()) && !chain.first().is_some_and(is_ambiguous)
    }

    /// The parent of a department if the application does not see it.
    fn hidden_parent(&self, id: i64) -> Option<i64> {
        let parent = self.departments.get(&id)?.parent;
        (parent != 0 && !self.departments.contains_key(&parent)).then_some(parent)
    }

    /// The department and the known ones above it, topmost first.
    pub(crate) fn chain(&self, id: i64) -> Vec<i64> {
        let mut ids = vec![id];
        let mut seen = HashSet::from([id]);
        let mut at = self
            .departments
            .get(&id)
            .map(|department| department.parent);
        while let Some(parent) = at {
            let known = self.departments.get(&parent);
            if known.is_none() || ids.len() == LEVELS_MAX || !seen.insert(parent) {
                break;
            }
            ids.push(parent);
            at = known.map(|department| department.parent);
        }
        ids.reverse();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &[Value]) -> DepartmentTree {
        DepartmentTree::read_as(list, ["id", "name", "parentid"])
    }

    fn list() -> Vec<Value> {
        vec![
            json!({ "id": 1, "name": "总公司", "parentid": 0, "order": 1 }),
            json!({ "id": 2, "name": "研发中心", "parentid": 1 }),
            json!({ "id": "3", "name": "平台部", "parentid": "2" }),
            json!({ "id": 70, "name": "外派", "parentid": 69 }),
            json!({ "id": 71, "parentid": 70 }),
            json!({ "name": "nobody" }),
        ]
    }

    #[test]
    fn a_path_lists_the_names_from_the_root_down() {
        let tree = read(&list());
        assert_eq!(tree.path(3), "总公司/研发中心/平台部");
        assert_eq!(tree.id_path(3), "1/2/3");
        assert_eq!(tree.path(1), "总公司");
        assert_eq!((tree.len(), tree.unnamed_count()), (5, 1));
    }

    #[test]
    fn a_path_starts_below_a_missing_parent_and_shows_ids_for_missing_names() {
        let tree = read(&list());
        assert_eq!(tree.path(71), "外派/71");
        assert_eq!(
            (tree.name(71), tree.name(999)),
            ("71".to_owned(), "999".to_owned())
        );
        assert_eq!(tree.path(999), "999");
        assert_eq!(tree.id_path(71), "69/70/71");
        let with_path = [1, 2, 3, 70, 71, 999].map(|id| tree.has_path(id));
        assert_eq!(with_path, [true, true, true, true, false, false]);
    }

    #[test]
    fn departments_of_one_name_below_hidden_parents_have_no_path() {
        let tree = read(&[
            json!({ "id": 5, "name": "销售", "parentid": 1 }),
            json!({ "id": 6, "name": "一部", "parentid": 5 }),
            json!({ "id": 7, "name": "销售", "parentid": 2 }),
            json!({ "id": 8, "name": "财务", "parentid": 2 }),
            json!({ "id": 9, "name": "销售", "parentid": 8 }),
        ]);
        let with_path = [5, 6, 7, 8, 9].map(|id| tree.has_path(id));
        assert_eq!(with_path, [false, false, false, true, true]);
        assert_eq!(tree.id_path(6), "1/5/6");
    }

    #[test]
    fn a_stored_tree_has_the_names_that_were_known() {
        let stored = |id: &str, name: &str, parent: Option<&str>| store::Department {
            id: id.to_owned(),
            name: name.to_owned(),
            parent: parent.map(str::to_owned),
        };
        let tree = DepartmentTree::of_stored(&[
            stored("1", "公司", None),
            stored("2", "研发", Some("1")),
            stored("3", "3", Some("1")),
            stored("no number", "x", None),
        ]);
        assert_eq!((tree.path(2), tree.len()), ("公司/研发".to_owned(), 3));
        let with_path = [1, 2, 3].map(|id| tree.has_path(id));
        assert_eq!(with_path, [true, true, false]);
    }

    #[test]
    fn a_cycle_ends_the_path() {
        let tree = read(&[
            json!({ "id": 5, "name": "a", "parentid": 6 }),
            json!({ "id": 6, "name": "b", "parentid": 5 }),
            json!({ "id": 7, "name": "self", "parentid": 7 }),
        ]);
        assert_eq!(
            (tree.path(5), tree.path(7)),
            ("b/a".to_owned(), "self".to_owned())
        );
        let deep: Vec<_> = (1..100)
            .map(|id| json!({ "id": id, "parentid": id - 1 }))
            .collect();
        assert_eq!(read(&deep).path(99).split('/').count(), LEVELS_MAX);
    }

    #[test]
    fn a_slash_in_a_name_cannot_imitate_a_path() {
        let tree = read(&[json!({ "id": 9, "name": "总公司/财务部", "parentid": 0 })]);
        assert_eq!(tree.path(9), "总公司／财务部");
        assert_eq!(tree.name(9), "总公司/财务部");
    }

    #[test]
    fn no_more_departments_are_kept_than_the_maximum() {
        let many: Vec<_> = (0..30_001)
            .map(|id| json!({ "id": id, "name": "x" }))
            .collect();
        assert_eq!(read(&many).len(), DEPARTMENTS_MAX);
    }
}
