//! `Departments`: a cache of the department tree that the application may see.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::api::number;
use super::errors::ApiError;
use crate::clock::Clock;
use crate::outbound::{CALL_TIMEOUT, OutboundError};
use crate::single_flight::{CacheLookup, Cached};
use crate::store;

/// How long a tree is used before it is loaded again.
const TREE_TTL: Duration = Duration::from_secs(600);

/// How long the list is not requested after a failure.
const FAILURE_TTL: Duration = Duration::from_secs(60);

/// The most departments that are kept: the maximum of WeCom.
const DEPARTMENTS_MAX: usize = 30_000;

/// The most levels of a path. WeCom allows fifteen.
const LEVELS_MAX: usize = 32;

/// The cached tree.
#[derive(Debug)]
pub(super) struct Departments {
    tree: Cached<Arc<DepartmentTree>, ()>,
    /// How often the tree was discarded.
    discarded: AtomicU64,
}

/// Departments by ID. Tolerates several roots, missing parents and cycles.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DepartmentTree(HashMap<i64, Department>);

#[derive(Debug, PartialEq, Eq)]
struct Department {
    name: Option<String>,
    parent: i64,
}

impl Departments {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            tree: Cached::new(clock),
            discarded: AtomicU64::new(0),
        }
    }

    /// The tree; `load` is called if it is too old. Never fails: after an error the last tree is used,
    /// and without any tree the ID of a department is its name.
    pub(super) async fn tree<F>(&self, load: impl FnOnce() -> F) -> Arc<DepartmentTree>
    where
        F: Future<Output = Result<Vec<Value>, ApiError>>,
    {
        let discarded = self.discarded.load(Ordering::Acquire);
        let permit = match timeout(CALL_TIMEOUT, self.tree.get()).await {
            Ok(CacheLookup::Value(tree)) => return tree,
            Ok(CacheLookup::LoadPermit(permit)) => permit,
            Ok(CacheLookup::RecentFailure(())) | Err(_) => return self.latest(),
        };
        let call = "department/list";
        let late = |_| Err(OutboundError::Timeout { call }.into());
        match timeout(CALL_TIMEOUT, load()).await.unwrap_or_else(late) {
            Ok(list) => {
                let tree = permit.store(Arc::new(DepartmentTree::read(&list)), TREE_TTL);
                if self.discarded.load(Ordering::Acquire) != discarded {
                    // The list may be older than the change that was reported meanwhile.
                    self.tree.expire();
                }
                tree
            }
            Err(error) => {
                if !self.tree.is_failing() {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(
                        error,
                        "cannot load the department list: new departments have no names"
                    );
                }
                permit.fail((), FAILURE_TTL);
                self.latest()
            }
        }
    }

    /// Loads the tree again before its next use. Until then the last tree remains for failures.
    pub(super) fn discard(&self) {
        self.discarded.fetch_add(1, Ordering::AcqRel);
        self.tree.expire();
    }

    fn latest(&self) -> Arc<DepartmentTree> {
        let latest = self.tree.latest().map(|latest| latest.value);
        latest.unwrap_or_default()
    }
}

impl DepartmentTree {
    /// Reads the response of `department/list`. Skips entries without an ID and those beyond the
    /// maximum.
    pub(super) fn read(list: &[Value]) -> Self {
        if list.len() > DEPARTMENTS_MAX {
            tracing::warn!(
                departments = list.len(),
                "only {DEPARTMENTS_MAX} departments are kept"
            );
        }
        let read = |value: &Value| {
            let id = number(value.get("id")?)?;
            let name = value.get("name").and_then(Value::as_str).map(str::trim);
            let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
            let parent = value.get("parentid").and_then(number).unwrap_or(0);
            Some((id, Department { name, parent }))
        };
        Self(list.iter().take(DEPARTMENTS_MAX).filter_map(read).collect())
    }

    /// All departments, in the order of their ids. A parent that is not among them is absent. Names are
    /// written as in [`Self::path`].
    pub(super) fn departments(&self) -> Vec<store::Department> {
        let mut ids: Vec<_> = self.0.keys().copied().collect();
        ids.sort_unstable();
        let department = |id: i64| store::Department {
            id: id.to_string(),
            name: self.name(id).replace('/', "／"),
            parent: self
                .0
                .get(&id)
                .map(|department| department.parent)
                .filter(|parent| *parent != id && self.0.contains_key(parent))
                .map(|parent| parent.to_string()),
        };
        ids.into_iter().map(department).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The number of departments without a name.
    pub(super) fn unnamed_count(&self) -> usize {
        self.0
            .values()
            .filter(|department| department.name.is_none())
            .count()
    }

    /// The name of a department, or its ID.
    pub(super) fn name(&self, id: i64) -> String {
        let name = self
            .0
            .get(&id)
            .and_then(|department| department.name.clone());
        name.unwrap_or_else(|| id.to_string())
    }

    /// The names from the topmost known department down, joined by `/`. A `/` within a name becomes the
    /// full-width `／`, so that no department name can imitate another path.
    pub(super) fn path(&self, id: i64) -> String {
        let names = self.chain(id).into_iter();
        let names: Vec<_> = names.map(|id| self.name(id).replace('/', "／")).collect();
        names.join("/")
    }

    /// The IDs from the topmost known department down, joined by `/`.
    pub(super) fn id_path(&self, id: i64) -> String {
        let ids: Vec<_> = self.chain(id).iter().map(i64::to_string).collect();
        ids.join("/")
    }

    /// The department and the known ones above it, topmost first.
    pub(super) fn chain(&self, id: i64) -> Vec<i64> {
        let mut ids = vec![id];
        let mut seen = HashSet::from([id]);
        let mut at = self.0.get(&id).map(|department| department.parent);
        while let Some(parent) = at {
            let known = self.0.get(&parent);
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
    use std::sync::atomic::AtomicUsize;

    use serde_json::json;

    use super::super::errors::refusal;
    use super::*;
    use crate::clock::Timestamp;

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
        let tree = DepartmentTree::read(&list());
        assert_eq!(tree.path(3), "总公司/研发中心/平台部");
        assert_eq!(tree.id_path(3), "1/2/3");
        assert_eq!(tree.path(1), "总公司");
        assert_eq!((tree.len(), tree.unnamed_count()), (5, 1));
    }

    #[test]
    fn a_path_starts_below_a_missing_parent_and_shows_ids_for_missing_names() {
        let tree = DepartmentTree::read(&list());
        assert_eq!(tree.path(71), "外派/71");
        assert_eq!(
            (tree.name(71), tree.name(999)),
            ("71".to_owned(), "999".to_owned())
        );
        assert_eq!(tree.path(999), "999");
    }

    #[test]
    fn a_cycle_ends_the_path() {
        let tree = DepartmentTree::read(&[
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
        assert_eq!(
            DepartmentTree::read(&deep).path(99).split('/').count(),
            LEVELS_MAX
        );
    }

    #[test]
    fn a_slash_in_a_name_cannot_imitate_a_path() {
        let tree =
            DepartmentTree::read(&[json!({ "id": 9, "name": "总公司/财务部", "parentid": 0 })]);
        assert_eq!(tree.path(9), "总公司／财务部");
        assert_eq!(tree.name(9), "总公司/财务部");
    }

    #[test]
    fn no_more_departments_are_kept_than_the_maximum() {
        let many: Vec<_> = (0..30_001)
            .map(|id| json!({ "id": id, "name": "x" }))
            .collect();
        assert_eq!(DepartmentTree::read(&many).len(), DEPARTMENTS_MAX);
    }

    #[tokio::test]
    async fn the_list_is_loaded_once_and_again_after_ten_minutes() {
        let clock = Clock::manual(Timestamp::from_unix_s(0));
        let departments = Departments::new(clock.clone());
        let loads = AtomicUsize::new(0);
        let load = || async {
            loads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            Ok(list())
        };
        let all = (0..20).map(|_| departments.tree(load));
        assert!(
            futures_util::future::join_all(all)
                .await
                .iter()
                .all(|tree| tree.len() == 5)
        );
        clock.advance(TREE_TTL - Duration::from_millis(1));
        departments.tree(load).await;
        assert_eq!(loads.load(Ordering::Relaxed), 1);
        clock.advance(Duration::from_millis(1));
        departments.tree(load).await;
        assert_eq!(loads.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_discarded_tree_is_loaded_again_also_if_it_was_loading() {
        let departments = Departments::new(Clock::manual(Timestamp::from_unix_s(0)));
        let asked = AtomicUsize::new(0);
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            Ok(list())
        };
        departments.tree(ask).await;
        departments.discard();
        departments.tree(ask).await;
        departments.tree(ask).await;
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        departments.discard();
        let during = || async {
            departments.discard();
            Ok(list())
        };
        departments.tree(during).await;
        departments.tree(ask).await;
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn the_last_tree_is_used_while_the_list_cannot_be_loaded() {
        let clock = Clock::manual(Timestamp::from_unix_s(0));
        let departments = Departments::new(clock.clone());
        let refuse = || async {
            Err(ApiError::Refused(refusal(
                "department/list",
                48009,
                "no",
                &[],
            )))
        };
        assert_eq!(departments.tree(refuse).await.name(2), "2");
        assert_eq!(departments.tree(|| async { Ok(list()) }).await.name(2), "2");
        clock.advance(FAILURE_TTL);
        assert_eq!(
            departments.tree(|| async { Ok(list()) }).await.name(2),
            "研发中心"
        );
        clock.advance(TREE_TTL);
        assert_eq!(departments.tree(refuse).await.name(2), "研发中心");
    }
}
