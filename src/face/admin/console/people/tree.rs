//! The organisation of each connector as a tree, from the departments that the store knows.

use std::collections::BTreeMap;

use super::super::PageContext;
use super::department_href;
use crate::store::{Department, StoreError};

/// The most departments of a tree.
const DEPARTMENTS_MAX: usize = 2_000;
/// The deepest level that is shown; departments below it are left out.
const LEVELS_MAX: usize = 12;
/// The levels that are open at first.
const LEVELS_OPEN: usize = 2;

/// The departments of one connector.
pub(super) struct Tree {
    pub(super) connector: String,
    pub(super) rows: Vec<TreeRow>,
    /// Whether some departments are left out.
    pub(super) is_cut: bool,
}

/// A part of a tree, in the order of its text.
pub(super) enum TreeRow {
    /// A department whose departments follow, up to [`TreeRow::End`], and are shown at first.
    Open(Node),
    /// The same, but they are hidden at first.
    Closed(Node),
    Leaf(Node),
    End,
}

/// A department.
pub(super) struct Node {
    pub(super) name: String,
    /// The people of the department.
    pub(super) href: String,
}

pub(super) async fn of_connectors(context: &PageContext<'_>) -> Result<Vec<Tree>, StoreError> {
    let mut trees = Vec::new();
    for entry in context.site.login.entries() {
        let stored = context.services.people.stored_departments(&entry.id);
        let departments = stored.read(DEPARTMENTS_MAX).await?;
        if !departments.is_empty() {
            trees.push(tree(entry.id.as_str(), &departments));
        }
    }
    Ok(trees)
}

fn tree(connector: &str, departments: &[Department]) -> Tree {
    let ids: Vec<_> = departments.iter().map(|it| it.id.as_str()).collect();
    let mut below: BTreeMap<Option<&str>, Vec<&Department>> = BTreeMap::new();
    for department in departments {
        // One whose parent is not known is at the top.
        let parent = department.parent.as_deref();
        let parent = parent.filter(|parent| *parent != department.id && ids.contains(parent));
        below.entry(parent).or_default().push(department);
    }
    let mut rows = Vec::new();
    append(connector, &below, None, 0, &mut rows);
    let shown = rows.iter().filter(|row| !matches!(row, TreeRow::End));
    Tree {
        connector: connector.to_owned(),
        // Those in a circle are below no department at the top.
        is_cut: shown.count() < departments.len() || departments.len() == DEPARTMENTS_MAX,
        rows,
    }
}

/// Appends the departments below a department.
fn append(
    connector: &str,
    below: &BTreeMap<Option<&str>, Vec<&Department>>,
    parent: Option<&str>,
    level: usize,
    rows: &mut Vec<TreeRow>,
) {
    if level == LEVELS_MAX {
        return;
    }
    for department in below.get(&parent).into_iter().flatten() {
        let node = Node {
            name: department.name.clone(),
            href: department_href(connector, &department.id),
        };
        let id = Some(department.id.as_str());
        if !below.contains_key(&id) {
            rows.push(TreeRow::Leaf(node));
            continue;
        }
        rows.push(match level < LEVELS_OPEN {
            true => TreeRow::Open(node),
            false => TreeRow::Closed(node),
        });
        append(connector, below, id, level + 1, rows);
        rows.push(TreeRow::End);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn department(id: &str, parent: Option<&str>) -> Department {
        Department {
            id: id.to_owned(),
            name: format!("name {id}"),
            parent: parent.map(str::to_owned),
        }
    }

    fn outline(tree: &Tree) -> String {
        let rows = tree.rows.iter().map(|row| match row {
            TreeRow::Open(node) | TreeRow::Closed(node) => format!("{}(", node.name),
            TreeRow::Leaf(node) => format!("{} ", node.name),
            TreeRow::End => ")".to_owned(),
        });
        rows.collect()
    }

    #[test]
    fn departments_are_below_their_parents_and_the_others_at_the_top() {
        let departments = [
            department("1", None),
            department("2", Some("1")),
            department("3", Some("2")),
            department("4", Some("absent")),
        ];
        let tree = tree("corp", &departments);
        assert_eq!(outline(&tree), "name 1(name 2(name 3 ))name 4 ");
        assert!(!tree.is_cut);
    }

    #[test]
    fn a_circle_of_departments_is_left_out() {
        let departments = [
            department("1", Some("2")),
            department("2", Some("1")),
            department("3", Some("3")),
        ];
        let tree = tree("corp", &departments);
        assert_eq!(outline(&tree), "name 3 ");
        assert!(tree.is_cut);
    }
}
