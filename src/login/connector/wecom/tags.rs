//! `TagCache`: a cache of the tags (标签) of members, as far as the application may read them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::timeout;

use super::api::{Api, TagHolders};
use super::departments::DepartmentTree;
use super::errors::ApiError;
use crate::clock::Clock;
use crate::outbound::CALL_TIMEOUT;
use crate::single_flight::{CacheLookup, Cached};

/// How long tags are used before they are loaded again.
const TAGS_TTL: Duration = Duration::from_secs(600);

/// How long tags are not requested after a failure.
const FAILURE_TTL: Duration = Duration::from_secs(300);

/// The most tags that are read. Each needs a call.
const TAGS_MAX: usize = 500;

/// The most calls at the same time.
const CONCURRENT_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct TagCache(Cached<Arc<MemberTags>, ()>);

/// The names of the tags of members and departments.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct MemberTags {
    /// By userid in lower case: WeCom compares userids without regard to case.
    of_members: HashMap<String, Vec<String>>,
    of_departments: HashMap<i64, Vec<String>>,
}

impl TagCache {
    pub(super) fn new(clock: Clock) -> Self {
        Self(Cached::new(clock))
    }

    /// The tags; `load` is called if they are too old. After an error the last ones are used; `None` if
    /// there are none.
    pub(super) async fn get<F>(&self, load: impl FnOnce() -> F) -> Option<Arc<MemberTags>>
    where
        F: Future<Output = Result<MemberTags, ApiError>>,
    {
        let permit = match timeout(CALL_TIMEOUT, self.0.get()).await {
            Ok(CacheLookup::Value(tags)) => return Some(tags),
            Ok(CacheLookup::LoadPermit(permit)) => permit,
            Ok(CacheLookup::RecentFailure(())) | Err(_) => return self.latest(),
        };
        match timeout(CALL_TIMEOUT, load()).await {
            Ok(Ok(tags)) => Some(permit.store(Arc::new(tags), TAGS_TTL)),
            failed => {
                if let Ok(Err(error)) = failed {
                    let error: &dyn std::error::Error = &error;
                    tracing::debug!(error, "tags cannot be read");
                }
                permit.fail((), FAILURE_TTL);
                self.latest()
            }
        }
    }

    /// Uses other tags from now on.
    pub(super) fn replace(&self, tags: MemberTags) -> Arc<MemberTags> {
        let tags = Arc::new(tags);
        self.0.set(Arc::clone(&tags), TAGS_TTL);
        tags
    }

    fn latest(&self) -> Option<Arc<MemberTags>> {
        self.0.latest().map(|latest| latest.value)
    }
}

impl MemberTags {
    /// Reads all tags and who has them.
    pub(super) async fn load(api: &Api) -> Result<Self, ApiError> {
        let mut tags = api.tags().await?;
        if tags.len() > TAGS_MAX {
            tracing::warn!(tags = tags.len(), "only {TAGS_MAX} tags are read");
            tags.truncate(TAGS_MAX);
        }
        let mut found = Self::default();
        for some in tags.chunks(CONCURRENT_MAX) {
            let holders = try_join_all(some.iter().map(|(id, _)| api.tag(*id))).await?;
            for ((_, name), holders) in some.iter().zip(holders) {
                found.add(name, holders);
            }
        }
        Ok(found)
    }

    fn add(&mut self, name: &str, holders: TagHolders) {
        for userid in holders.userids {
            let userid = userid.to_ascii_lowercase();
            let tags = self.of_members.entry(userid).or_default();
            tags.push(name.to_owned());
        }
        for id in holders.departments {
            let tags = self.of_departments.entry(id).or_default();
            tags.push(name.to_owned());
        }
    }

    /// The tags of a member: their own, and those of their departments and the ones above.
    pub(super) fn of(
        &self,
        userid: &str,
        departments: &[i64],
        tree: &DepartmentTree,
    ) -> BTreeSet<&str> {
        let own = self.of_members.get(&userid.to_ascii_lowercase());
        let chains = departments.iter().flat_map(|id| tree.chain(id));
        let inherited = chains.filter_map(|id| self.of_departments.get(id));
        let tags = own.into_iter().chain(inherited).flatten();
        tags.map(String::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::departments;
    use super::*;

    #[test]
    fn a_tag_of_a_department_holds_for_those_below() {
        let tree = departments::read(&[
            json!({ "id": 1, "name": "公司", "parentid": 0 }),
            json!({ "id": 2, "name": "研发", "parentid": 1 }),
            json!({ "id": 3, "name": "销售", "parentid": 1 }),
        ]);
        let mut tags = MemberTags::default();
        let holders = |userids: &[&str], departments: &[i64]| TagHolders {
            userids: userids.iter().map(|id| (*id).to_owned()).collect(),
            departments: departments.to_vec(),
        };
        tags.add("员工", holders(&[], &[1]));
        tags.add("远程", holders(&["ZhangSan"], &[2]));
        let of = |userid, departments: &[i64]| {
            let tags = tags.of(userid, departments, &tree);
            tags.into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(of("lisi", &[2]), ["员工", "远程"]);
        assert_eq!(of("zhangsan", &[3]), ["员工", "远程"]);
        assert_eq!(of("lisi", &[3]), ["员工"]);
        assert_eq!(of("zhangsan", &[]), ["远程"]);
        assert!(of("lisi", &[9]).is_empty());
    }
}
