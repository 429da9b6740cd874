//! `DepartmentTree`: the departments of a source, and their names and paths.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Value, json};

use super::number::number;
use crate::store;

/// The most departments that are kept: the maximum of WeCom.
pub(crate) const DEPARTMENTS_MAX: usize = 30_000;

/// The most levels of a path. WeCom allows fifteen.
const LEVELS_MAX: usize = 32;

/// The ID of a department: a number or a text.
pub(crate) trait DepartmentId:
    Clone + fmt::Debug + fmt::Display + Eq + FromStr + Hash + Ord + Serialize
{
}

impl DepartmentId for i64 {}
impl DepartmentId for String {}

/// Departments by ID. Tolerates several roots, missing parents and cycles.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DepartmentTree<Id: DepartmentId> {
    departments: HashMap<Id, TreeDepartment<Id>>,
    /// The names of departments whose parents are hidden, if several have the same name: a path that
    /// begins with such a name can be that of either.
    ambiguous_names: HashSet<String>,
}

/// A department of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeDepartment<Id> {
    /// Absent: the source does not tell it.
    pub(crate) name: Option<String>,
    /// The ID of the department above; absent: none.
    pub(crate) parent: Option<Id>,
    /// The IDs of the people who lead it, if the source tells them.
    pub(crate) leaders: Vec<String>,
}

impl<Id: DepartmentId> Default for DepartmentTree<Id> {
    fn default() -> Self {
        Self {
            departments: HashMap::new(),
            ambiguous_names: HashSet::new(),
        }
    }
}

impl<Id> TreeDepartment<Id> {
    /// The department with the name that a source sends, which may be empty.
    pub(crate) fn named(name: Option<&str>, parent: Option<Id>) -> Self {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        Self {
            name: name.map(str::to_owned),
            parent,
            leaders: Vec::new(),
        }
    }
}

/// Reads a list of departments. Skips entries for which `read` finds none, and those beyond the maximum.
pub(crate) fn read_list<Id: DepartmentId>(
    list: &[Value],
    read: impl Fn(&Value) -> Option<(Id, TreeDepartment<Id>)>,
) -> HashMap<Id, TreeDepartment<Id>> {
    if list.len() > DEPARTMENTS_MAX {
        tracing::warn!(
            departments = list.len(),
            "only {DEPARTMENTS_MAX} departments are kept"
        );
    }
    list.iter().take(DEPARTMENTS_MAX).filter_map(read).collect()
}

impl DepartmentTree<i64> {
    /// Reads a list whose departments have these members for ID, name and parent. A parent 0 is none.
    pub(crate) fn read_as(list: &[Value], [id, name, parent]: [&str; 3]) -> Self {
        Self::of(read_list(list, |value| {
            let parent = value.get(parent).and_then(number);
            let name = value.get(name).and_then(Value::as_str);
            let department = TreeDepartment::named(name, parent.filter(|parent| *parent != 0));
            Some((number(value.get(id)?)?, department))
        }))
    }
}

impl<Id: DepartmentId> DepartmentTree<Id> {
    /// The departments that the store knows. One whose name is its ID was stored without a name.
    pub(crate) fn of_stored(stored: &[store::Department]) -> Self {
        let department = |one: &store::Department| {
            let name = Some(one.name.as_str()).filter(|name| *name != one.id);
            let parent = one.parent.as_ref().and_then(|parent| parent.parse().ok());
            Some((one.id.parse().ok()?, TreeDepartment::named(name, parent)))
        };
        Self::of(stored.iter().filter_map(department).collect())
    }

    /// The tree of departments by ID.
    pub(crate) fn of(departments: HashMap<Id, TreeDepartment<Id>>) -> Self {
        let is_hidden = |parent: &Id| !departments.contains_key(parent);
        let tops = departments
            .values()
            .filter(|one| one.parent.as_ref().is_some_and(is_hidden));
        let mut names = HashSet::new();
        let repeated =
            tops.filter_map(|top| top.name.clone().filter(|name| !names.insert(name.clone())));
        let ambiguous_names = repeated.collect();
        Self {
            departments,
            ambiguous_names,
        }
    }

    /// All departments, in the order of their IDs. A parent that is not among them is absent. Names are
    /// written as in [`Self::path`].
    pub(crate) fn departments(&self) -> Vec<store::Department> {
        let mut ids: Vec<_> = self.departments.keys().collect();
        ids.sort_unstable();
        let department = |id: &Id| store::Department {
            id: id.to_string(),
            name: self.name(id).replace('/', "／"),
            parent: self
                .parent(id)
                .filter(|parent| *parent != id && self.contains(parent))
                .map(Id::to_string),
        };
        ids.into_iter().map(department).collect()
    }

    /// The members of a profile about these departments: names, paths, IDs, and which of them have no known
    /// path.
    pub(crate) fn members_of(&self, ids: &[Id]) -> [(&'static str, Value); 5] {
        let names: Vec<_> = ids.iter().map(|id| self.name(id)).collect();
        let paths: Vec<_> = ids.iter().map(|id| self.path(id)).collect();
        let id_paths: Vec<_> = ids.iter().map(|id| self.id_path(id)).collect();
        let without_path: Vec<_> = ids.iter().filter(|id| !self.has_path(id)).collect();
        [
            ("departments_without_path", json!(without_path)),
            ("department_names", json!(names)),
            ("department_paths", json!(paths)),
            ("department_ids", json!(ids)),
            ("department_id_paths", json!(id_paths)),
        ]
    }

    /// The department with this ID.
    pub(crate) fn get(&self, id: &Id) -> Option<&TreeDepartment<Id>> {
        self.departments.get(id)
    }

    /// Whether no department above this one is hidden.
    pub(crate) fn reaches_root(&self, id: &Id) -> bool {
        let chain = self.chain(id);
        self.hidden_parent(chain.first().copied().unwrap_or(id))
            .is_none()
    }

    /// Whether it has this department.
    pub(crate) fn contains(&self, id: &Id) -> bool {
        self.departments.contains_key(id)
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

    /// The departments that a person leads, in the order of their IDs.
    pub(crate) fn led_by(&self, person: &str) -> Vec<&Id> {
        let is_led = |one: &TreeDepartment<Id>| one.leaders.iter().any(|leader| leader == person);
        let led = self.departments.iter().filter(|(_, one)| is_led(one));
        let mut ids: Vec<_> = led.map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }

    /// The name of a department, or its ID.
    pub(crate) fn name(&self, id: &Id) -> String {
        let name = self.known_name(id).map(str::to_owned);
        name.unwrap_or_else(|| id.to_string())
    }

    /// The names from the topmost known department down, joined by `/`. A `/` within a name becomes the
    /// full-width `／`, so that no department name can imitate another path.
    pub(crate) fn path(&self, id: &Id) -> String {
        let names = self.chain(id).into_iter();
        let names: Vec<_> = names.map(|id| self.name(id).replace('/', "／")).collect();
        names.join("/")
    }

    /// The IDs from the topmost known department down, joined by `/`. If its parent is hidden, the ID of the
    /// parent comes first: it has no name in [`Self::path`].
    pub(crate) fn id_path(&self, id: &Id) -> String {
        let chain = self.chain(id);
        let hidden = chain.first().and_then(|top| self.hidden_parent(top));
        let ids: Vec<_> = hidden.into_iter().chain(chain).map(Id::to_string).collect();
        ids.join("/")
    }

    /// Whether [`Self::path`] names this department and no other.
    pub(crate) fn has_path(&self, id: &Id) -> bool {
        let chain = self.chain(id);
        let is_ambiguous = |top: &&Id| {
            self.hidden_parent(top).is_some()
                && self
                    .known_name(top)
                    .is_some_and(|name| self.ambiguous_names.contains(name))
        };
        let is_named = chain.iter().all(|id| self.known_name(id).is_some());
        is_named && !chain.first().is_some_and(is_ambiguous)
    }

    fn known_name(&self, id: &Id) -> Option<&str> {
        self.departments.get(id)?.name.as_deref()
    }

    fn parent(&self, id: &Id) -> Option<&Id> {
        self.departments.get(id)?.parent.as_ref()
    }

    /// The parent of a department if the application does not see it.
    fn hidden_parent(&self, id: &Id) -> Option<&Id> {
        self.parent(id).filter(|parent| !self.contains(parent))
    }

    /// The department and the known ones above it, topmost first.
    pub(crate) fn chain<'a>(&'a self, id: &'a Id) -> Vec<&'a Id> {
        let mut ids = vec![id];
        let mut seen = HashSet::from([id]);
        let mut at = self.parent(id);
        while let Some(parent) = at {
            if !self.contains(parent) || ids.len() == LEVELS_MAX || !seen.insert(parent) {
                break;
            }
            ids.push(parent);
            at = self.parent(parent);
        }
        ids.reverse();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &[Value]) -> DepartmentTree<i64> {
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
        assert_eq!(tree.path(&3), "总公司/研发中心/平台部");
        assert_eq!(tree.id_path(&3), "1/2/3");
        assert_eq!(tree.path(&1), "总公司");
        assert_eq!((tree.len(), tree.unnamed_count()), (5, 1));
    }

    #[test]
    fn a_path_starts_below_a_missing_parent_and_shows_ids_for_missing_names() {
        let tree = read(&list());
        assert_eq!(tree.path(&71), "外派/71");
        assert_eq!(
            (tree.name(&71), tree.name(&999)),
            ("71".to_owned(), "999".to_owned())
        );
        assert_eq!(tree.path(&999), "999");
        assert_eq!(tree.id_path(&71), "69/70/71");
        let with_path = [1, 2, 3, 70, 71, 999].map(|id| tree.has_path(&id));
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
        let with_path = [5, 6, 7, 8, 9].map(|id| tree.has_path(&id));
        assert_eq!(with_path, [false, false, false, true, true]);
        assert_eq!(tree.id_path(&6), "1/5/6");
    }

    #[test]
    fn a_stored_tree_has_the_names_that_were_known() {
        let stored = |id: &str, name: &str, parent: Option<&str>| store::Department {
            id: id.to_owned(),
            name: name.to_owned(),
            parent: parent.map(str::to_owned),
        };
        let tree: DepartmentTree<i64> = DepartmentTree::of_stored(&[
            stored("1", "公司", None),
            stored("2", "研发", Some("1")),
            stored("3", "3", Some("1")),
            stored("no number", "x", None),
        ]);
        assert_eq!((tree.path(&2), tree.len()), ("公司/研发".to_owned(), 3));
        let with_path = [1, 2, 3].map(|id| tree.has_path(&id));
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
            (tree.path(&5), tree.path(&7)),
            ("b/a".to_owned(), "self".to_owned())
        );
        let deep: Vec<_> = (1..100)
            .map(|id| json!({ "id": id, "parentid": id - 1 }))
            .collect();
        assert_eq!(read(&deep).path(&99).split('/').count(), LEVELS_MAX);
    }

    #[test]
    fn a_slash_in_a_name_cannot_imitate_a_path() {
        let tree = read(&[json!({ "id": 9, "name": "总公司/财务部", "parentid": 0 })]);
        assert_eq!(tree.path(&9), "总公司／财务部");
        assert_eq!(tree.name(&9), "总公司/财务部");
    }

    #[test]
    fn no_more_departments_are_kept_than_the_maximum() {
        let many: Vec<_> = (0..30_001)
            .map(|id| json!({ "id": id, "name": "x" }))
            .collect();
        assert_eq!(read(&many).len(), DEPARTMENTS_MAX);
    }

    #[test]
    fn a_tree_of_text_ids_knows_who_leads_a_department() {
        let list = [
            json!({ "id": "od-3", "parent": "od-2", "leader": "on_boss" }),
            json!({ "id": "od-2", "leader": "on_boss" }),
            json!({ "id": "od-1", "leader": "on_other" }),
        ];
        let text =
            |one: &Value, name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
        let tree = DepartmentTree::of(read_list(&list, |one| {
            let mut department = TreeDepartment::named(Some("部门"), text(one, "parent"));
            department.leaders.extend(text(one, "leader"));
            Some((text(one, "id")?, department))
        }));
        assert_eq!(tree.led_by("on_boss"), ["od-2", "od-3"]);
        assert_eq!(tree.id_path(&"od-3".to_owned()), "od-2/od-3");
        assert!(tree.led_by("on_nobody").is_empty());
    }
}
