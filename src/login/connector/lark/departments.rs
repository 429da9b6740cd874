//! `Departments`: a cache of the department tree that the application may see.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::api::Api;
use super::errors::ApiError;
use crate::clock::{Clock, Timestamp};
use crate::outbound::{CALL_TIMEOUT, OutboundError};
use crate::people::departments::StoredDepartments;
use crate::single_flight::{CacheLookup, Cached};
use crate::telemetry::error_chain;

mod listing;
mod tree;

pub(super) use listing::{ContactRange, Listing};
pub(super) use tree::{DepartmentTree, ROOT};

/// How long a tree is used before it is loaded again.
const TREE_TTL: Duration = Duration::from_secs(600);

/// How long the list is not requested after a failure.
const FAILURE_TTL: Duration = Duration::from_secs(60);

/// How often at most the tree is loaded early because a person has a department that it lacks.
const EARLY_LOAD_EVERY: Duration = Duration::from_secs(60);

/// The most departments that are kept.
const DEPARTMENTS_MAX: usize = 30_000;

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

    /// The tree for a person of these departments. It is loaded early if it lacks one of them, which may be
    /// new.
    pub(super) async fn tree_with(&self, ids: &[String], api: &Api) -> Arc<DepartmentTree> {
        let tree = self.tree(api).await;
        let has_all = ids.iter().all(|id| tree.has(id));
        if has_all || self.tree.is_failing() || !self.may_load_early() {
            return tree;
        }
        self.tree.expire();
        self.tree(api).await
    }

    /// Loads the tree again before its next use. Until then the last tree remains for failures.
    pub(super) fn discard(&self) {
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

    /// The tree. Never fails: after an error the last tree is used, and after a restart the one from the
    /// store. The names of departments that it lacks are not known.
    async fn tree(&self, api: &Api) -> Arc<DepartmentTree> {
        let discarded = self.discarded.load(Ordering::Acquire);
        let permit = match timeout(CALL_TIMEOUT, self.tree.get()).await {
            Ok(CacheLookup::Value(tree)) => return tree,
            Ok(CacheLookup::LoadPermit(permit)) => permit,
            Ok(CacheLookup::RecentFailure(())) | Err(_) => return self.latest().await,
        };
        let call = "contact/departments/children";
        let late = |_| Err(ApiError::from(OutboundError::Timeout { call }));
        let loaded = timeout(CALL_TIMEOUT, Listing::load(api)).await;
        match loaded.unwrap_or_else(late) {
            Ok(listing) => {
                let tree = permit.store(Arc::new(listing.tree), TREE_TTL);
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
                        "cannot load the departments of Lark: new departments have no names, and rules \
                         that ask for their names deny"
                    );
                }
                let latest = self.latest().await;
                permit.fail((), FAILURE_TTL);
                latest
            }
        }
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The names that occur more than once.
fn repeated<'a>(names: impl Iterator<Item = &'a str>) -> HashSet<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in names {
        *counts.entry(name).or_default() += 1;
    }
    let repeated = counts.into_iter().filter(|(_, count)| *count > 1);
    repeated.map(|(name, _)| name.to_owned()).collect()
}
