//! `Departments`: a cache of the department tree that the application may see.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use super::super::kit::department_tree::DEPARTMENTS_MAX;
pub(super) use super::super::kit::department_tree::DepartmentTree;
use super::errors::ApiError;
use crate::clock::{Clock, Timestamp};
use crate::outbound::{CALL_TIMEOUT, OutboundError};
use crate::people::departments::StoredDepartments;
use crate::single_flight::{CacheLookup, Cached};
use crate::telemetry::error_chain;

/// How long a tree is used before it is loaded again.
const TREE_TTL: Duration = Duration::from_secs(600);

/// How long the list is not requested after a failure.
const FAILURE_TTL: Duration = Duration::from_secs(60);

/// How often at most the tree is loaded early because a member has a department that it lacks.
const EARLY_LOAD_EVERY: Duration = Duration::from_secs(60);

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
        let has_all = ids.iter().all(|id| tree.contains(*id));
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
    /// Reads the response of `department/list`.
    pub(super) fn read(list: &[Value]) -> Self {
        Self::read_as(list, ["id", "name", "parentid"])
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
