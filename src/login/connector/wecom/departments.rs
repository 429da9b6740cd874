//! `Departments`: a cache of the department tree that the application may see.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::api::number;
use super::errors::ApiError;
use crate::clock::{Clock, Timestamp};
use crate::outbound::{CALL_TIMEOUT, OutboundError};
use crate::people::departments::StoredDepartments;
use crate::single_flight::{CacheLookup, Cached};
use crate::store;
use crate::telemetry::error_chain;

/// How long a tree is used before it is loaded again.
const TREE_TTL: Duration = Duration::from_secs(600);

/// How long the list is not requested after a failure.
const FAILURE_TTL: Duration = Duration::from_secs(60);

/// How often at most the tree is loaded early because a member has a department that it lacks.
const EARLY_LOAD_EVERY: Duration = Duration::from_secs(60);

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
    /// The departments of earlier processes, for a source that has not answered this one yet.
    stored: StoredDepartments,
    stored_tree: Mutex<Option<Arc<DepartmentTree>>>,
    loaded_early_at: Mutex<Option<Timestamp>>,
    clock: Clock,
}

/// Departments by ID. Tolerates several roots, missing parents and cycles.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DepartmentTree {
    departments: HashMap<i64, Department>,
    /// The names of departments whose parents are hidden, if several have the same name: a path that
    /// begins with such a name can be that of either.
    ambiguous_names: HashSet<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Department {
    name: Option<String>,
    parent: i64,
}

impl Departments {
    pub(super) fn new(clock: Clock, stored: StoredDepartments) -> Self {
        Self {
            tree: Cached::new(clock.clone()),
            discarded: AtomicU64::new(0),
            stored,
            stored_tree: Mutex::default(),
            loaded_early_at: Mutex::default(),
            clock,
        }
    }

    /// The tree for a member of these departments. It is loaded early if it lacks one of them, which may
    /// be new.
    pub(super) async fn tree_with<F>(
        &self,
        ids: &[i64],
        load: impl Fn() -> F,
    ) -> Arc<DepartmentTree>
    where
        F: Future<Output = Result<Vec<Value>, ApiError>>,
    {
        let tree = self.tree(&load).await;
        let has_all = ids.iter().all(|id| tree.departments.contains_key(id));
        if has_all || self.tree.is_failing() || !self.may_load_early() {
            return tree;
        }
        self.tree.expire();
        self.tree(&load).await
    }

    fn may_load_early(&self) -> bool {
        let (now, mut last) = (self.clock.now(), lock(&self.loaded_early_at));
        let may = last.is_none_or(|last| now.since(last) >= EARLY_LOAD_EVERY);
        if may {
            *last = Some(now);
        }
        may
    }

    /// The tree; `load` is called if it is too old. Never fails: after an error the last tree is used, and
    /// after a restart the one from the store. The names of departments that it lacks are not known.
    pub(super) async fn tree<F>(&self, load: impl FnOnce() -> F) -> Arc<DepartmentTree>
    where
        F: Future<Output = Result<Vec<Value>, ApiError>>,
    {
        let discarded = self.discarded.load(Ordering::Acquire);
        let permit = match timeout(CALL_TIMEOUT, self.tree.get()).await {
            Ok(CacheLookup::Value(tree)) => return tree,
            Ok(CacheLookup::LoadPermit(permit)) => permit,
            Ok(CacheLookup::RecentFailure(())) | Err(_) => return self.latest().await,
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
                        "cannot load the department list: new departments have no names, and rules that \
                         ask for their names deny"
                    );
                }
                let latest = self.latest().await;
                permit.fail((), FAILURE_TTL);
                latest
            }
        }
    }

    /// Loads the tree again before its next use. Until then the last tree remains for failures.
    pub(super) fn discard(&self) {
        self.discarded.fetch_add(1, Ordering::AcqRel);
        self.tree.expire();
    }

    async fn latest(&self) -> Arc<DepartmentTree> {
        if let Some(latest) = self.tree.latest() {
            return latest.value;
        }
        if let Some(tree) = &*lock(&self.stored_tree) {
            return Arc::clone(tree);
        }
        match self.stored.read(DEPARTMENTS_MAX).await {
            Ok(stored) => {
                let tree = Arc::new(DepartmentTree::of_stored(&stored));
                *lock(&self.stored_tree) = Some(Arc::clone(&tree));
                tree
            }
            Err(error) => {
                tracing::warn!(
                    error = %error_chain(&error),
                    "cannot read the departments of the store: rules that ask for their names deny"
                );
                Arc::default()
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        Self::of(list.iter().take(DEPARTMENTS_MAX).filter_map(read).collect())
    }

    /// The departments that the store knows. One whose name is its id was stored without a name.
    fn of_stored(stored: &[store::Department]) -> Self {
        let department = |one: &store::Department| {
            let name = Some(&one.name).filter(|name| **name != one.id).cloned();
            let parent = one.parent.as_ref().and_then(|parent| parent.parse().ok());
            let parent = parent.unwrap_or(0);
            Some((one.id.parse().ok()?, Department { name, parent }))
        };
        Self::of(stored.iter().filter_map(department).collect())
    }

    fn of(departments: HashMap<i64, Department>) -> Self {
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
    pub(super) fn departments(&self) -> Vec<store::Department> {
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

    pub(super) fn len(&self) -> usize {
        self.departments.len()
    }

    /// The number of departments without a name.
    pub(super) fn unnamed_count(&self) -> usize {
        self.departments
            .values()
            .filter(|department| department.name.is_none())
            .count()
    }

    /// The name of a department, or its ID.
    pub(super) fn name(&self, id: i64) -> String {
        let name = self
            .departments
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

    /// The IDs from the topmost known department down, joined by `/`. If its parent is hidden, the ID of the
    /// parent comes first: it has no name in [`Self::path`].
    pub(super) fn id_path(&self, id: i64) -> String {
        let chain = self.chain(id);
        let hidden = chain.first().and_then(|top| self.hidden_parent(*top));
        let ids: Vec<_> = hidden.iter().chain(&chain).map(i64::to_string).collect();
        ids.join("/")
    }

    /// Whether [`Self::path`] names this department and no other.
    pub(super) fn has_path(&self, id: i64) -> bool {
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
    pub(super) fn chain(&self, id: i64) -> Vec<i64> {
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
    use std::sync::atomic::AtomicUsize;

    use serde_json::json;

    use super::super::errors::refusal;
    use super::*;

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
        assert_eq!(tree.id_path(71), "69/70/71");
        let with_path = [1, 2, 3, 70, 71, 999].map(|id| tree.has_path(id));
        assert_eq!(with_path, [true, true, true, true, false, false]);
    }

    #[test]
    fn departments_of_one_name_below_hidden_parents_have_no_path() {
        let tree = DepartmentTree::read(&[
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
        let departments = Departments::new(clock.clone(), StoredDepartments::default());
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
        let departments = Departments::new(
            Clock::manual(Timestamp::from_unix_s(0)),
            StoredDepartments::default(),
        );
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
    async fn a_department_that_the_tree_lacks_loads_it_once_a_minute() {
        let clock = Clock::manual(Timestamp::from_unix_s(0));
        let departments = Departments::new(clock.clone(), StoredDepartments::default());
        let loads = AtomicUsize::new(0);
        let load = || async {
            loads.fetch_add(1, Ordering::Relaxed);
            Ok(list())
        };
        for (ids, expected) in [(&[2, 3][..], 1), (&[2, 999], 2), (&[999], 2), (&[2], 2)] {
            departments.tree_with(ids, load).await;
            assert_eq!(loads.load(Ordering::Relaxed), expected, "{ids:?}");
        }
        clock.advance(EARLY_LOAD_EVERY);
        departments.tree_with(&[999], load).await;
        assert_eq!(loads.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn the_last_tree_is_used_while_the_list_cannot_be_loaded() {
        let clock = Clock::manual(Timestamp::from_unix_s(0));
        let departments = Departments::new(clock.clone(), StoredDepartments::default());
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
