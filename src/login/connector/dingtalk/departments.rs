//! `Departments`: the departments about which logins asked, each with those above it. DingTalk has no call that
//! lists all of them at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;

use super::super::kit::department_tree::{DEPARTMENTS_MAX, DepartmentTree, TreeDepartment};
use super::api::{ResponseObject, number};
use super::errors::{ApiError, DEPARTMENT_NOT_VISIBLE, NO_SUCH_DEPARTMENT};
use crate::clock::{Clock, Timestamp};
use crate::outbound::{CALL_TIMEOUT, OutboundError};
use crate::people::departments::StoredDepartments;
use crate::telemetry::error_chain;

/// How long a department is used before it is loaded again.
const DEPARTMENT_TTL: Duration = Duration::from_secs(600);

/// How long no department is loaded after a failure.
const FAILURE_PAUSE: Duration = Duration::from_secs(60);

/// The most departments that one login asks about: those of the person, and those above them.
const ASKED_MAX: usize = 200;

/// The cached departments.
#[derive(Debug)]
pub(super) struct Departments {
    state: Mutex<State>,
    /// The departments of earlier processes, for a source that has not answered this one yet.
    stored: StoredDepartments,
    clock: Clock,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<i64, Known>,
    stored: Option<Arc<DepartmentTree<i64>>>,
    /// Until when nothing is loaded.
    paused_until: Option<Timestamp>,
    /// How often everything was discarded.
    generation: u64,
}

/// What DingTalk said about a department.
#[derive(Clone, Debug)]
struct Known {
    /// Absent: the application may not see it, or it does not exist.
    department: Option<TreeDepartment<i64>>,
    loaded_at: Timestamp,
    generation: u64,
}

impl Departments {
    pub(super) fn new(clock: Clock, stored: StoredDepartments) -> Self {
        Self {
            state: Mutex::default(),
            stored,
            clock,
        }
    }

    /// The tree of these departments and those above them; `load` is called for each that is not known or too
    /// old. Never fails: after an error the last answer is used, and after a restart the one from the store.
    pub(super) async fn tree_with<F>(
        &self,
        ids: &[i64],
        load: impl Fn(i64) -> F,
    ) -> DepartmentTree<i64>
    where
        F: Future<Output = Result<ResponseObject, ApiError>>,
    {
        let mut found = HashMap::new();
        let mut asked = Vec::from(ids);
        let mut at = 0;
        let deadline = self.clock.now().plus(CALL_TIMEOUT);
        while at < asked.len() && at < ASKED_MAX {
            let id = asked[at];
            at += 1;
            if let Some(department) = self.department(id, deadline, &load).await {
                let parent = department.parent.filter(|parent| !asked.contains(parent));
                asked.extend(parent);
                found.insert(id, department);
            }
        }
        DepartmentTree::of(found)
    }

    /// Loads every department again before its next use. Until then the last answers remain for failures.
    pub(super) fn discard(&self) {
        self.state().generation += 1;
    }

    async fn department<F>(
        &self,
        id: i64,
        deadline: Timestamp,
        load: impl Fn(i64) -> F,
    ) -> Option<TreeDepartment<i64>>
    where
        F: Future<Output = Result<ResponseObject, ApiError>>,
    {
        let now = self.clock.now();
        let (last, generation, may_load) = {
            let state = self.state();
            let may_load = now < deadline && state.paused_until.is_none_or(|until| now >= until);
            (state.known.get(&id).cloned(), state.generation, may_load)
        };
        let is_fresh = |known: &&Known| {
            known.generation == generation && now.since(known.loaded_at) < DEPARTMENT_TTL
        };
        if let Some(known) = last.as_ref().filter(is_fresh) {
            return known.department.clone();
        }
        let call = "topapi/v2/department/get";
        let late = |_| Err(OutboundError::Timeout { call }.into());
        let loaded = match may_load {
            true => Some(timeout(CALL_TIMEOUT, load(id)).await.unwrap_or_else(late)),
            false => None,
        };
        let department = match loaded {
            Some(Ok(fields)) => Some(read(&fields)),
            Some(Err(error))
                if matches!(
                    error.code(),
                    Some(NO_SUCH_DEPARTMENT | DEPARTMENT_NOT_VISIBLE)
                ) =>
            {
                None
            }
            failed => {
                if let Some(Err(error)) = failed {
                    self.pause(now, &error);
                }
                return match last {
                    Some(known) => known.department,
                    None => self.stored_department(id).await,
                };
            }
        };
        self.remember(
            id,
            Known {
                department: department.clone(),
                loaded_at: now,
                generation,
            },
        );
        department
    }

    fn remember(&self, id: i64, known: Known) {
        let mut state = self.state();
        if state.known.len() < DEPARTMENTS_MAX || state.known.contains_key(&id) {
            state.known.insert(id, known);
        }
    }

    fn pause(&self, now: Timestamp, error: &ApiError) {
        self.state().paused_until = Some(now.plus(FAILURE_PAUSE));
        tracing::warn!(
            error = %error_chain(error),
            "cannot load a department: new departments have no names, and rules that ask for their names deny"
        );
    }

    async fn stored_department(&self, id: i64) -> Option<TreeDepartment<i64>> {
        if let Some(tree) = &self.state().stored {
            return tree.get(&id).cloned();
        }
        match self.stored.read(DEPARTMENTS_MAX).await {
            Ok(stored) => {
                let tree = Arc::new(DepartmentTree::of_stored(&stored));
                let department = tree.get(&id).cloned();
                self.state().stored = Some(tree);
                department
            }
            Err(error) => {
                tracing::warn!(
                    error = %error_chain(&error),
                    "cannot read the departments of the store: rules that ask for their names deny"
                );
                None
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the answer of `department/get`, in which the topmost department has no parent or the parent 0.
pub(super) fn read(fields: &ResponseObject) -> TreeDepartment<i64> {
    let name = fields.get("name").and_then(serde_json::Value::as_str);
    let parent = fields.get("parent_id").and_then(number);
    TreeDepartment::named(name, parent.filter(|parent| *parent != 0))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::super::errors::numbered_error;
    use super::*;

    struct Source {
        departments: Departments,
        clock: Clock,
        calls: AtomicUsize,
    }

    impl Source {
        fn new() -> Self {
            let clock = Clock::manual(Timestamp::from_unix_s(0));
            Self {
                departments: Departments::new(clock.clone(), StoredDepartments::default()),
                clock,
                calls: AtomicUsize::new(0),
            }
        }

        /// The path of a department; the source answers with `code`, if it is not 0.
        async fn path(&self, id: i64, code: i64) -> String {
            let load = |id: i64| async move {
                self.calls.fetch_add(1, Ordering::Relaxed);
                let (name, parent) = match id {
                    _ if code != 0 => return Err(numbered_error("x", code, "no", &[])),
                    1 => ("公司", 0),
                    2 => ("研发", 1),
                    3 => ("平台", 2),
                    _ => return Err(numbered_error("x", NO_SUCH_DEPARTMENT, "no", &[])),
                };
                let fields = json!({ "dept_id": id, "name": name, "parent_id": parent });
                Ok(fields.as_object().unwrap().clone())
            };
            self.departments.tree_with(&[id], load).await.path(&id)
        }

        fn calls(&self) -> usize {
            self.calls.swap(0, Ordering::Relaxed)
        }
    }

    #[tokio::test]
    async fn a_department_is_loaded_once_with_those_above_it() {
        let source = Source::new();
        assert_eq!(source.path(3, 0).await, "公司/研发/平台");
        assert_eq!(source.calls(), 3);
        assert_eq!(source.path(2, 0).await, "公司/研发");
        assert_eq!(source.calls(), 0);
        source.clock.advance(DEPARTMENT_TTL);
        source.path(2, 0).await;
        assert_eq!(source.calls(), 2);
        source.departments.discard();
        source.path(2, 0).await;
        assert_eq!(source.calls(), 2);
    }

    #[tokio::test]
    async fn a_department_that_does_not_exist_is_not_asked_for_again() {
        let source = Source::new();
        for _ in 0..3 {
            assert_eq!(source.path(99, 0).await, "99");
        }
        assert_eq!(source.calls(), 1);
    }

    #[tokio::test]
    async fn the_last_answer_is_used_while_the_source_fails() {
        let source = Source::new();
        assert_eq!(source.path(2, -1).await, "2");
        assert_eq!(source.path(2, 0).await, "2");
        assert_eq!(source.calls(), 1);
        source.clock.advance(FAILURE_PAUSE);
        assert_eq!(source.path(2, 0).await, "公司/研发");
        source.clock.advance(DEPARTMENT_TTL);
        assert_eq!(source.path(2, -1).await, "公司/研发");
    }
}
