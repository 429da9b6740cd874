//! The departments of WeCom.

use serde_json::Value;

use super::super::kit::department_cache::DepartmentCache;
use super::super::kit::department_tree;

/// The departments that the application may see.
pub(super) type DepartmentTree = department_tree::DepartmentTree<i64>;

/// Those of the last call of `department/list`.
pub(super) type Departments = DepartmentCache<i64>;

/// Reads the response of `department/list`.
pub(super) fn read(list: &[Value]) -> DepartmentTree {
    DepartmentTree::read_as(list, ["id", "name", "parentid"])
}
