//! The departments of Lark.

use serde_json::Value;

use super::super::kit::department_cache::DepartmentCache;
use super::super::kit::department_tree::{self, TreeDepartment, read_list};
use super::api::Object;
use super::config::is_identifier;
use super::person::text;

mod listing;

pub(super) use listing::{ContactRange, Listing};

/// The ID of the root department, which stands for the whole tenant.
pub(super) const ROOT: &str = "0";

/// The departments that the application may see.
pub(super) type DepartmentTree = department_tree::DepartmentTree<String>;

/// Those of the last listing.
pub(super) type Departments = DepartmentCache<String>;

/// Reads a list of departments. `root` is the root department, if its name is known: without one the paths
/// begin below it.
fn read(list: &[Value], root: Option<&Object>) -> DepartmentTree {
    let mut departments = read_list(list, |one| {
        let one = one.as_object()?;
        let id = text(one, "open_department_id").filter(|id| is_identifier(id))?;
        let parent = text(one, "parent_department_id").unwrap_or(ROOT);
        let is_known = parent != ROOT || root.is_some();
        Some((id.to_owned(), department(one, is_known.then_some(parent))))
    });
    if let Some(root) = root {
        departments.insert(ROOT.to_owned(), department(root, None));
    }
    DepartmentTree::of(departments)
}

fn department(one: &Object, parent: Option<&str>) -> TreeDepartment<String> {
    let mut department = TreeDepartment::named(text(one, "name"), parent.map(str::to_owned));
    let leader = text(one, "leader_user_id").map(str::to_owned);
    department.leaders.extend(leader);
    department
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn department(id: &str, parent: &str, name: &str) -> Value {
        json!({ "open_department_id": id, "parent_department_id": parent, "name": name,
                "leader_user_id": "on_boss" })
    }

    fn id(text: &str) -> String {
        text.to_owned()
    }

    fn tree(list: &[Value]) -> DepartmentTree {
        let root = json!({ "name": "总公司" });
        read(list, root.as_object())
    }

    #[test]
    fn departments_have_paths_from_the_root() {
        let tree = tree(&[
            department("od-2", "0", "研发/中心"),
            department("od-3", "od-2", "平台部"),
        ]);
        assert_eq!(tree.path(&id("od-3")), "总公司/研发／中心/平台部");
        assert_eq!(tree.id_path(&id("od-3")), "0/od-2/od-3");
        assert_eq!(tree.path(&id("0")), "总公司");
        assert!(tree.has_path(&id("od-3")) && tree.has_path(&id("0")));
        assert_eq!(tree.led_by("on_boss"), ["od-2", "od-3"]);
        assert!(tree.led_by("on_other").is_empty());
        let stored = tree.departments();
        assert_eq!(stored.len(), 3);
        assert_eq!(stored[2].parent.as_deref(), Some("od-2"));
        assert_eq!(
            DepartmentTree::of_stored(&stored).path(&id("od-3")),
            tree.path(&id("od-3"))
        );
        assert_eq!((tree.len(), tree.unnamed_count()), (3, 0));
    }

    #[test]
    fn a_department_that_is_not_visible_has_its_id_and_no_path() {
        let tree = tree(&[]);
        assert_eq!(
            (tree.name(&id("od-9")), tree.path(&id("od-9"))),
            ("od-9".into(), "od-9".into())
        );
        assert!(!tree.has_path(&id("od-9")));
    }

    #[test]
    fn two_departments_of_one_name_below_hidden_ones_have_no_path() {
        let list = [
            department("od-2", "od-hidden", "财务部"),
            department("od-3", "od-secret", "财务部"),
            department("od-4", "od-secret", "法务部"),
        ];
        let tree = read(&list, None);
        assert!(
            !tree.has_path(&id("od-2"))
                && !tree.has_path(&id("od-3"))
                && tree.has_path(&id("od-4"))
        );
        assert_eq!(tree.id_path(&id("od-4")), "od-secret/od-4");
        // Without the root a department at the top has its path.
        let top = read(&[department("od-5", "0", "财务部")], None);
        assert!(top.has_path(&id("od-5")));
        assert_eq!(top.id_path(&id("od-5")), "od-5");
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
        let tree = read(&list, None);
        assert_eq!(tree.path(&id("od-a")), "乙/甲");
        assert_eq!(tree.departments().len(), 2);
    }
}
