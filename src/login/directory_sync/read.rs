//! Reads a source: repeats calls while it is busy, and reads several departments at the same time.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Progress;
use super::error::SyncError;
use crate::login::connector::{ConnectorError, MemberPage, OpenDirectory, RefusalReason};
use crate::people::directory_sync::{Comparison, ListedPerson};
use crate::people::profile::Mapping;
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;

/// The most departments that are read at the same time.
const CONCURRENT_MAX: usize = 4;
/// The pauses before a call is repeated that the source refused because it is busy or because it limits
/// how often it is called. WeCom's limits count minutes and hours.
const BUSY_PAUSES_S: [u64; 12] = [1, 2, 4, 8, 15, 30, 60, 60, 60, 300, 600, 1_800];
/// The pauses before a call is repeated that got no usable response.
const FAILURE_PAUSES_S: [u64; 3] = [1, 3, 10];
/// The most people that a sync reads.
const PEOPLE_MAX: usize = 500_000;
/// The people who are compared without a break for other tasks.
const COMPARED_AT_ONCE: usize = 50;

/// Makes a call to the source, and repeats it with pauses while the source is busy or does not answer.
pub(super) async fn repeat_while_busy<T, F>(call: impl Fn() -> F) -> Result<T, ConnectorError>
where
    F: Future<Output = Result<T, ConnectorError>>,
{
    let (mut busy, mut failed) = (BUSY_PAUSES_S.iter(), FAILURE_PAUSES_S.iter());
    loop {
        let error = match call().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let pause = match &error {
            ConnectorError::Busy(_) => busy.next(),
            ConnectorError::NoUsableResponse(_) => failed.next(),
            _ => None,
        };
        let Some(pause) = pause else {
            return Err(error);
        };
        tracing::debug!(error = %error_chain(&error), pause, "a call of a directory sync is repeated");
        sleep(Duration::from_secs(*pause)).await;
    }
}

/// Reads the people of departments into the comparison. Returns the IDs of the departments whose people
/// this site may see.
pub(super) async fn read_members(
    directory: &Arc<dyn OpenDirectory>,
    departments: Vec<String>,
    mapping: &Mapping,
    progress: &Progress,
    comparison: &mut Comparison,
) -> Result<HashSet<String>, SyncError> {
    progress
        .departments
        .store(departments.len(), Ordering::Relaxed);
    let mut readable = HashSet::with_capacity(departments.len());
    let mut left = departments.into_iter();
    let mut running = JoinSet::new();
    let mut people_count = 0;
    loop {
        while running.len() < CONCURRENT_MAX
            && let Some(id) = left.next()
        {
            let directory = Arc::clone(directory);
            running.spawn(async move {
                let members = department_members(&*directory, &id).await;
                (id, members)
            });
        }
        let Some(ended) = running.join_next().await else {
            return Ok(readable);
        };
        let (id, members) = ended.map_err(|_| SyncError::TaskFailed)?;
        let people = match members {
            Ok(DepartmentMembers { people, unreadable }) => {
                readable.insert(id);
                for why in unreadable {
                    comparison.report().people.refused += 1;
                    let remedy = Text::fixed(
                        "check the member in the console of the source",
                        "请在认证源的管理后台检查该成员",
                    );
                    let what = text!("{why}", "成员无法读取：`{why}`");
                    comparison.report().add_problem(what, remedy);
                }
                people
            }
            Err(SyncError::Source(ConnectorError::Refused {
                why: RefusalReason::NotVisibleToApp,
                source,
            })) => {
                let what = text!(
                    "the people of department {id} are not visible: {source}",
                    "部门 {id} 的人员不可见：{source:#}"
                );
                let remedy = Text::fixed(
                    "widen the application's visible range (可见范围)",
                    "请扩大应用的可见范围",
                );
                comparison.report().add_problem(what, remedy);
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        people_count += people.len();
        if people_count > PEOPLE_MAX {
            return Err(SyncError::TooManyPeople(PEOPLE_MAX));
        }
        progress.departments_read.fetch_add(1, Ordering::Relaxed);
        progress
            .people_read
            .fetch_add(people.len(), Ordering::Relaxed);
        for (at, person) in people.into_iter().enumerate() {
            if at % COMPARED_AT_ONCE == COMPARED_AT_ONCE - 1 {
                tokio::task::yield_now().await;
            }
            comparison.add_person(mapping, person);
        }
    }
}

/// The people of one department.
struct DepartmentMembers {
    people: Vec<ListedPerson>,
    unreadable: Vec<String>,
}

async fn department_members(
    directory: &dyn OpenDirectory,
    id: &str,
) -> Result<DepartmentMembers, SyncError> {
    let mut members = DepartmentMembers {
        people: Vec::new(),
        unreadable: Vec::new(),
    };
    let mut page = None;
    loop {
        let MemberPage {
            people,
            unreadable,
            next,
        } = repeat_while_busy(|| directory.members(id, page.as_deref())).await?;
        members.people.extend(people);
        members.unreadable.extend(unreadable);
        if members.people.len() > PEOPLE_MAX {
            return Err(SyncError::TooManyPeople(PEOPLE_MAX));
        }
        match next {
            Some(next) => page = Some(next),
            None => return Ok(members),
        }
    }
}
