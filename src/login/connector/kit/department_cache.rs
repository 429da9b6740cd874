//! `DepartmentCache`: the department tree that an application may see, of a source that lists all of it.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::department_tree::{DEPARTMENTS_MAX, DepartmentId, DepartmentTree};
use crate::clock::{Clock, Timestamp};
use crate::outbound::{CALL_TIMEOUT, OutboundError};
use crate::people::departments::StoredDepartments;
use crate::single_flight::{CacheLookup, Cached};
use crate::telemetry::error_chain;

/// How long a tree is used before it is loaded again.
const TREE_TTL: Duration = Duration::from_secs(600);

/// How long the list is not requested after a failure.
const FAILURE_TTL: Duration = Duration::from_secs(60);

/// How often at most the tree is loaded early because a person has a department that it lacks.
const EARLY_LOAD_EVERY: Duration = Duration::from_secs(60);

/// The cached tree.
#[derive(Debug)]
pub(crate) struct DepartmentCache<Id: DepartmentId> {
    source: &'static str,
    call: &'static str,
    tree: Cached<Arc<DepartmentTree<Id>>, ()>,
    /// How often the tree was discarded.
    discarded: AtomicU64,
    /// The departments of earlier processes, for a source that has not answered this one yet.
    stored: StoredDepartments,
    stored_tree: Mutex<Option<Arc<DepartmentTree<Id>>>>,
    loaded_early_at: Mutex<Option<Timestamp>>,
    clock: Clock,
}

impl<Id: DepartmentId> DepartmentCache<Id> {
    /// Starts without a tree. `source` and `call` are names for the log.
    pub(crate) fn new(
        source: &'static str,
        call: &'static str,
        clock: Clock,
        stored: StoredDepartments,
    ) -> Self {
        Self {
            source,
            call,
            tree: Cached::new(clock.clone()),
            discarded: AtomicU64::new(0),
            stored,
            stored_tree: Mutex::default(),
            loaded_early_at: Mutex::default(),
            clock,
        }
    }

    /// The tree for a person of these departments. It is loaded early if it lacks one of them, which may
    /// be new.
    pub(crate) async fn tree_with<F, E>(
        &self,
        ids: &[Id],
        load: impl Fn() -> F,
    ) -> Arc<DepartmentTree<Id>>
    where
        F: Future<Output = Result<DepartmentTree<Id>, E>>,
        E: Error + From<OutboundError> + 'static,
    {
        let tree = self.tree(&load).await;
        let has_all = ids.iter().all(|id| tree.contains(id));
        if has_all || self.tree.is_failing() || !self.may_load_early() {
            return tree;
        }
        self.tree.expire();
        self.tree(&load).await
    }

    /// Loads the tree again before its next use. Until then the last tree remains for failures.
    pub(crate) fn discard(&self) {
        self.discarded.fetch_add(1, Ordering::AcqRel);
        self.tree.expire();
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
    async fn tree<F, E>(&self, load: impl FnOnce() -> F) -> Arc<DepartmentTree<Id>>
    where
        F: Future<Output = Result<DepartmentTree<Id>, E>>,
        E: Error + From<OutboundError> + 'static,
    {
        let discarded = self.discarded.load(Ordering::Acquire);
        let permit = match timeout(CALL_TIMEOUT, self.tree.get()).await {
            Ok(CacheLookup::Value(tree)) => return tree,
            Ok(CacheLookup::LoadPermit(permit)) => permit,
            Ok(CacheLookup::RecentFailure(())) | Err(_) => return self.latest().await,
        };
        let late = |_| Err(OutboundError::Timeout { call: self.call }.into());
        match timeout(CALL_TIMEOUT, load()).await.unwrap_or_else(late) {
            Ok(tree) => {
                let tree = permit.store(Arc::new(tree), TREE_TTL);
                if self.discarded.load(Ordering::Acquire) != discarded {
                    // The list may be older than the change that was reported meanwhile.
                    self.tree.expire();
                }
                tree
            }
            Err(error) => {
                if !self.tree.is_failing() {
                    tracing::warn!(
                        error = %error_chain(&error),
                        "cannot load the departments of {}: new departments have no names, and rules that \
                         ask for their names deny",
                        self.source
                    );
                }
                let latest = self.latest().await;
                permit.fail((), FAILURE_TTL);
                latest
            }
        }
    }

    async fn latest(&self) -> Arc<DepartmentTree<Id>> {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use serde_json::json;

    use super::*;

    fn list() -> DepartmentTree<i64> {
        let list = [
            json!({ "id": 1, "name": "总公司", "parentid": 0, "order": 1 }),
            json!({ "id": 2, "name": "研发中心", "parentid": 1 }),
            json!({ "id": "3", "name": "平台部", "parentid": "2" }),
            json!({ "id": 70, "name": "外派", "parentid": 69 }),
            json!({ "id": 71, "parentid": 70 }),
            json!({ "name": "nobody" }),
        ];
        DepartmentTree::read_as(&list, ["id", "name", "parentid"])
    }

    fn departments(clock: &Clock) -> DepartmentCache<i64> {
        DepartmentCache::new("x", "list", clock.clone(), StoredDepartments::default())
    }

    fn loaded() -> Result<DepartmentTree<i64>, OutboundError> {
        Ok(list())
    }

    #[tokio::test]
    async fn the_list_is_loaded_once_and_again_after_ten_minutes() {
        let clock = Clock::manual(Timestamp::from_unix_s(0));
        let departments = departments(&clock);
        let loads = AtomicUsize::new(0);
        let load = || async {
            loads.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            loaded()
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
        let departments = departments(&Clock::manual(Timestamp::from_unix_s(0)));
        let asked = AtomicUsize::new(0);
        let ask = || async {
            asked.fetch_add(1, Ordering::Relaxed);
            loaded()
        };
        departments.tree(ask).await;
        departments.discard();
        departments.tree(ask).await;
        departments.tree(ask).await;
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        departments.discard();
        let during = || async {
            departments.discard();
            loaded()
        };
        departments.tree(during).await;
        departments.tree(ask).await;
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_department_that_the_tree_lacks_loads_it_once_a_minute() {
        let clock = Clock::manual(Timestamp::from_unix_s(0));
        let departments = departments(&clock);
        let loads = AtomicUsize::new(0);
        let load = || async {
            loads.fetch_add(1, Ordering::Relaxed);
            loaded()
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
        let departments = departments(&clock);
        let refuse = || async { Err(OutboundError::Timeout { call: "list" }) };
        assert_eq!(departments.tree(refuse).await.name(&2), "2");
        assert_eq!(departments.tree(|| async { loaded() }).await.name(&2), "2");
        clock.advance(FAILURE_TTL);
        assert_eq!(
            departments.tree(|| async { loaded() }).await.name(&2),
            "研发中心"
        );
        clock.advance(TREE_TTL);
        assert_eq!(departments.tree(refuse).await.name(&2), "研发中心");
    }
}
