//! `DepartmentTree`: names and places of departments.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::super::api::Object;
use super::super::config::is_identifier;
use super::super::person::text;
use super::{DEPARTMENTS_MAX, repeated};
use crate::store;

/// The id of the root department, which stands for the whole tenant.
pub(in super::super) const ROOT: &str = "0";

/// The most levels of a path.
const LEVELS_MAX: usize = 32;

/// Departments by id. Tolerates missing parents and cycles.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in super::super) struct DepartmentTree {
    departments: HashMap<String, Department>,
    /// The names of departments whose parents are hidden, if several have the same name: a path that begins
    /// with such a name can be that of either.
    ambiguous_names: HashSet<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Department {
    name: Option<String>,
    /// Absent: the department is at the top.
    parent: Option<String>,
    /// The union_id of its leader.
    leader: Option<String>,
}

impl DepartmentTree {
    /// Reads the departments of Lark, and the root. Skips entries without an id and those beyond the
    /// maximum.
    pub(super) fn read(list: &[Value], root: Option<&Object>) -> Self {
        if list.len() > DEPARTMENTS_MAX {
            tracing::warn!(
                departments = list.len(),
                "only {DEPARTMENTS_MAX} departments are kept"
            );
        }
        let list = list.iter().take(DEPARTMENTS_MAX);
        let mut departments: HashMap<_, _> = list
            .filter_map(Value::as_object)
            .filter_map(|one| {
                let id = text(one, "open_department_id").filter(|id| is_identifier(id))?;
                let parent = text(one, "parent_department_id").unwrap_or(ROOT);
                Some((id.to_owned(), Department::read(one, Some(parent))))
            })
            .collect();
        if let Some(root) = root {
            departments.insert(ROOT.to_owned(), Department::read(root, None));
        }
        Self::of(departments)
    }

    /// The departments that the store knows. One whose name is its id was stored without a name.
    pub(super) fn of_stored(stored: &[store::Department]) -> Self {
        let department = |one: &store::Department| {
            let department = Department {
                name: Some(&one.name).filter(|name| **name != one.id).cloned(),
                parent: one.parent.clone(),
                leader: None,
            };
            (one.id.clone(), department)
        };
        Self::of(stored.iter().map(department).collect())
    }

    fn of(departments: HashMap<String, Department>) -> Self {
        let tops = departments.values().filter(|one| {
            let parent = one.parent.as_deref();
            parent.is_some_and(|parent| parent != ROOT && !departments.contains_key(parent))
        });
        let ambiguous_names = repeated(tops.filter_map(|top| top.name.as_deref()));
        Self {
            departments,
            ambiguous_names,
        }
    }

    /// All departments, in the order of their ids. A parent that is not among them is absent. Names are
    /// written as in [`Self::path`].
    pub(in super::super) fn departments(&self) -> Vec<store::Department> {
        let mut ids: Vec<_> = self.departments.keys().collect();
        ids.sort_unstable();
        let department = |id: &String| store::Department {
            id: id.clone(),
            name: self.name(id).replace('/', "／"),
            parent: self
                .parent(id)
                .filter(|parent| *parent != id && self.has(parent))
                .map(str::to_owned),
        };
        ids.into_iter().map(department).collect()
    }

    pub(in super::super) fn len(&self) -> usize {
        self.departments.len()
    }

    /// The number of departments without a name.
    pub(in super::super) fn unnamed_count(&self) -> usize {
        let departments = self.departments.values();
        departments.filter(|one| one.name.is_none()).count()
    }

    pub(in super::super) fn has(&self, id: &str) -> bool {
        self.departments.contains_key(id)
    }

    /// The name of a department, or its id.
    pub(in super::super) fn name(&self, id: &str) -> String {
        self.known_name(id).unwrap_or(id).to_owned()
    }

    /// The names from the topmost known department down, joined by `/`. A `/` within a name becomes the
    /// full-width `／`, so that no department name can imitate another path.
    pub(in super::super) fn path(&self, id: &str) -> String {
        let names = self.chain(id).into_iter();
        let names: Vec<_> = names.map(|id| self.name(id).replace('/', "／")).collect();
        names.join("/")
    }

    /// The ids from the topmost known department down, joined by `/`. If its parent is hidden, the id of the
    /// parent comes first: it has no name in [`Self::path`].
    pub(in super::super) fn id_path(&self, id: &str) -> String {
        let chain = self.chain(id);
        let hidden = chain.first().and_then(|top| self.hidden_parent(top));
        let ids: Vec<_> = hidden.into_iter().chain(chain).collect();
        ids.join("/")
    }

    /// Whether [`Self::path`] names this department and no other.
    pub(in super::super) fn has_path(&self, id: &str) -> bool {
        let chain = self.chain(id);
        let is_ambiguous = |top: &&str| {
            let name = self.known_name(top);
            self.hidden_parent(top).is_some()
                && name.is_some_and(|name| self.ambiguous_names.contains(name))
        };
        let is_named = chain.iter().all(|id| self.known_name(id).is_some());
        is_named && !chain.first().is_some_and(is_ambiguous)
    }

    /// The departments that a person leads, in the order of their ids.
    pub(in super::super) fn led_by(&self, union_id: &str) -> Vec<&str> {
        let is_led = |one: &Department| one.leader.as_deref() == Some(union_id);
        let led = self.departments.iter().filter(|(_, one)| is_led(one));
        let mut ids: Vec<_> = led.map(|(id, _)| id.as_str()).collect();
        ids.sort_unstable();
        ids
    }

    fn known_name(&self, id: &str) -> Option<&str> {
        self.departments.get(id)?.name.as_deref()
    }

    fn parent(&self, id: &str) -> Option<&str> {
        self.departments.get(id)?.parent.as_deref()
    }

    /// The parent of a department if the application does not see it. The root has no name that a path needs.
    fn hidden_parent(&self, id: &str) -> Option<&str> {
        let parent = self.parent(id)?;
        (parent != ROOT && !self.has(parent)).then_some(parent)
    }

    /// The department and the known ones above it, topmost first.
    fn chain<'a>(&'a self, id: &'a str) -> Vec<&'a str> {
        let mut ids = vec![id];
        let mut seen = HashSet::from([id]);
        let mut at = self.parent(id);
        while let Some(parent) = at {
            if !self.has(parent) || ids.len() == LEVELS_MAX || !seen.insert(parent) {
                break;
            }
            ids.push(parent);
            at = self.parent(parent);
        }
        ids.reverse();
        ids
    }
}

impl Department {
    fn read(one: &Object, parent: Option<&str>) -> Self {
        let name = text(one, "name").map(str::trim);
        Self {
            name: name.filter(|name| !name.is_empty()).map(str::to_owned),
            parent: parent.map(str::to_owned),
            leader: text(one, "leader_user_id").map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn department(id: &str, parent: &str, name: &str) -> Value {
        json!({ "open_department_id": id, "parent_department_id": parent, "name": name,
                "leader_user_id": "on_boss" })
    }

    fn tree(list: &[Value]) -> DepartmentTree {
        let root = json!({ "name": "总公司" });
        DepartmentTree::read(list, root.as_object())
    }

    #[test]
    fn departments_have_paths_from_the_root() {
        let tree = tree(&[
            department("od-2", "0", "研发/中心"),
            department("od-3", "od-2", "平台部"),
        ]);
        assert_eq!(tree.path("od-3"), "总公司/研发／中心/平台部");
        assert_eq!(tree.id_path("od-3"), "0/od-2/od-3");
        assert_eq!(tree.path("0"), "总公司");
        assert!(tree.has_path("od-3") && tree.has_path("0"));
        assert_eq!(tree.led_by("on_boss"), ["od-2", "od-3"]);
        assert_eq!(tree.led_by("on_other"), [""; 0]);
        let stored = tree.departments();
        assert_eq!(stored.len(), 3);
        assert_eq!(stored[2].parent.as_deref(), Some("od-2"));
        assert_eq!(
            DepartmentTree::of_stored(&stored).path("od-3"),
            tree.path("od-3")
        );
        assert_eq!((tree.len(), tree.unnamed_count()), (3, 0));
    }

    #[test]
    fn a_department_that_is_not_visible_has_its_id_and_no_path() {
        let tree = tree(&[]);
        assert_eq!(
            (tree.name("od-9"), tree.path("od-9")),
            ("od-9".into(), "od-9".into())
        );
        assert!(!tree.has_path("od-9"));
    }

    #[test]
    fn two_departments_of_one_name_below_hidden_ones_have_no_path() {
        let list = [
            department("od-2", "od-hidden", "财务部"),
            department("od-3", "od-secret", "财务部"),
            department("od-4", "od-secret", "法务部"),
        ];
        let tree = DepartmentTree::read(&list, None);
        assert!(!tree.has_path("od-2") && !tree.has_path("od-3") && tree.has_path("od-4"));
        assert_eq!(tree.id_path("od-4"), "od-secret/od-4");
        // Without the root a department at the top has its path.
        let top = DepartmentTree::read(&[department("od-5", "0", "财务部")], None);
        assert!(top.has_path("od-5"));
        assert_eq!(top.id_path("od-5"), "od-5");
    }

    #[test]
    fn cycles_and_malformed_entries_do_no_harm() {
        let list = [
            department("od-a", "od-b", "甲"),
            department("od-b", "od-a", "乙"),
            department("a/b", "0", "丙"),
            json!({ "name": "nobody" }),
            json!(7),
        ];
        let tree = DepartmentTree::read(&list, None);
        assert_eq!(tree.path("od-a"), "乙/甲");
        assert_eq!(tree.departments().len(), 2);
    }
}
