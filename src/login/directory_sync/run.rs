//! One sync: reads the source, compares, checks `sync_brake`, and applies the differences.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::task::JoinSet;

use super::error::SyncError;
use super::lease::{LeaseLost, SyncLease};
use super::read::{read_members, repeat_while_busy};
use super::{RunningSync, SyncRequest};
use crate::login::connector::{OpenDirectory, PersonAnswer, SourceDirectory};
use crate::login::{ConnectorEntry, Login};
use crate::people::directory_sync::{
    AccountEvent, AppliedSync, Comparison, SyncOutcome, SyncReport, SyncScope, subtree,
};
use crate::store::{Department, SourceIdentity, Subject};
use crate::telemetry::{AuditEvent, AuditRecord, error_chain};
use crate::text;
use crate::wording::Text;

/// The most people and departments about whom the source is asked at the same time because it did not
/// list them.
const CONCURRENT_MAX: usize = 4;
/// The most missing departments that a sync asks about. Those beyond stay in the directory.
const MISSING_DEPARTMENTS_MAX: usize = 500;

impl Login {
    /// Syncs, and returns the report also if the sync failed.
    pub(super) async fn run_sync(
        &self,
        entry: &Arc<ConnectorEntry>,
        directory: Arc<dyn SourceDirectory>,
        sync: &RunningSync,
    ) -> SyncReport {
        let begun = Instant::now();
        let new_report = || SyncReport {
            run: sync.run,
            dry_run: sync.request.dry_run,
            force: sync.request.force,
            ..SyncReport::new(
                entry.id.clone(),
                sync.request.scope.clone(),
                sync.request.by.clone(),
                sync.started_at,
            )
        };
        let synced = self
            .sync_under_lease(entry, directory, sync, new_report())
            .await;
        let mut report = synced.unwrap_or_else(|error| {
            let mut report = new_report();
            report.outcome = error.outcome();
            report.source_error = error.source_error();
            report.add_problem(Text::of(&error_chain(&error)), error.remedy());
            let (connector, remedy) = (&entry.id, error.remedy());
            let remedy = remedy.for_operator();
            match report.outcome {
                SyncOutcome::Failed => tracing::warn!(
                    %connector, remedy, error = %error_chain(&error), "a directory sync failed"
                ),
                _ => tracing::debug!(
                    %connector, remedy, error = %error_chain(&error), "a directory sync did nothing"
                ),
            }
            report
        });
        report.duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if report.outcome != SyncOutcome::Busy {
            self.record_sync(&report);
        }
        report
    }

    async fn sync_under_lease(
        &self,
        entry: &Arc<ConnectorEntry>,
        directory: Arc<dyn SourceDirectory>,
        sync: &RunningSync,
        report: SyncReport,
    ) -> Result<SyncReport, SyncError> {
        let lease = SyncLease::take(&self.people, &self.clock, &entry.id).await?;
        let lease = lease.ok_or(SyncError::Lease(LeaseLost::Taken))?;
        let result = tokio::select! {
            result = self.read_and_apply(entry, directory, sync, report) => result,
            lost = lease.keep() => Err(SyncError::Lease(lost)),
        };
        lease.release().await;
        result
    }

    async fn read_and_apply(
        &self,
        entry: &Arc<ConnectorEntry>,
        directory: Arc<dyn SourceDirectory>,
        sync: &RunningSync,
        report: SyncReport,
    ) -> Result<SyncReport, SyncError> {
        let open = repeat_while_busy(|| Arc::clone(&directory).open()).await?;
        let reading = Reading {
            entry,
            directory: Arc::from(open),
            sync,
        };
        let comparison = self.people.begin_comparison(&entry.admission, report);
        let mut comparison = comparison.await?;
        for (what, remedy) in reading.directory.problems() {
            comparison.report().add_problem(what, remedy);
        }
        match &sync.request.scope {
            SyncScope::Everything => reading.read_departments(&mut comparison, None).await?,
            SyncScope::Department(id) => {
                reading.read_departments(&mut comparison, Some(id)).await?;
            }
            SyncScope::Person(subject) => reading.read_person(&mut comparison, subject).await?,
        }
        let excess = reading.excess_closings(&comparison);
        if let Some((closed, open)) = excess {
            let mut report = comparison.into_report();
            report.outcome = SyncOutcome::Refused;
            let what = text!(
                "{closed} of {open} people would be closed, more than sync_brake allows: nothing was \
                 changed",
                "{open} 人中将有 {closed} 人被关闭，超过 sync_brake 允许的数量：没有改变任何内容"
            );
            let remedy = Text::fixed(
                "look at a dry run, and force the sync if it is right",
                "请先看试运行的结果，确认无误后再强制同步",
            );
            report.add_problem(what, remedy);
            return Ok(report);
        }
        if sync.request.dry_run {
            return Ok(comparison.into_report());
        }
        Ok(self.apply(entry, sync, comparison).await)
    }

    async fn apply(
        &self,
        entry: &ConnectorEntry,
        sync: &RunningSync,
        comparison: Comparison,
    ) -> SyncReport {
        let progress = &sync.progress;
        let change_count = comparison.change_count();
        progress
            .people_to_change
            .store(change_count, Ordering::Relaxed);
        let applied = |people| {
            progress.people_changed.fetch_add(people, Ordering::Relaxed);
        };
        let applied = self
            .people
            .apply_comparison(&entry.admission, comparison, applied);
        let AppliedSync {
            mut report,
            accounts,
            failure,
        } = applied.await;
        for account in &accounts {
            self.record_account(entry, &sync.request, account);
        }
        if let Some(error) = failure {
            report.outcome = SyncOutcome::Failed;
            let error = SyncError::from(error);
            tracing::warn!(
                connector = %entry.id, error = %error_chain(&error),
                "a directory sync was applied in part"
            );
            report.add_problem(Text::of(&error_chain(&error)), error.remedy());
        }
        report
    }

    fn record_account(&self, entry: &ConnectorEntry, request: &SyncRequest, event: &AccountEvent) {
        let SourceIdentity {
            subject,
            account,
            login,
            ..
        } = &event.identity;
        let (event, reason) = match &event.closed_because {
            Some(why) => (
                AuditEvent::AccountClosed,
                text!("directory sync: {why}", "通讯录同步：“{why}”"),
            ),
            None => (
                AuditEvent::AccountReopened,
                Text::fixed("directory sync: active again", "通讯录同步：重新有效"),
            ),
        };
        self.telemetry.audit(&AuditRecord {
            connector: Some(entry.id.as_str()),
            subject: Some(subject.as_str()),
            login: Some(login.as_str()),
            account: Some(account as &dyn fmt::Display),
            by: Some(&request.by),
            reason: Some(&reason),
            ..AuditRecord::new(event, self.clock.now())
        });
    }

    /// Records the end of a sync in the audit trail.
    fn record_sync(&self, report: &SyncReport) {
        let SyncReport {
            people,
            departments,
            outcome,
            ..
        } = report;
        let dry_run = match report.dry_run {
            true => Text::fixed(" (dry run)", "（试运行）"),
            false => Text::default(),
        };
        let result = match outcome {
            SyncOutcome::Done => "完成",
            SyncOutcome::Refused => "超过上限，未修改",
            SyncOutcome::Busy => "其他节点正在同步",
            SyncOutcome::NotFound => "未找到",
            SyncOutcome::Failed => "失败",
        };
        let result = text!("{outcome:?}", "{result}");
        let reason = text!(
            "{result}{dry_run}; people: {} listed, {} created, {} updated, {} closed, {} reopened; \
             departments: {} created, {} updated, {} removed",
            "{result:#}{dry_run:#}；人员：读取 {}，新建 {}，更新 {}，关闭 {}，重新打开 {}；\
             部门：新建 {}，更新 {}，移除 {}",
            people.listed,
            people.created,
            people.updated,
            people.closed,
            people.reopened,
            departments.created,
            departments.updated,
            departments.removed,
        );
        let subject = match &report.scope {
            SyncScope::Person(subject) => Some(subject.as_str()),
            SyncScope::Everything | SyncScope::Department(_) => None,
        };
        self.telemetry.audit(&AuditRecord {
            connector: Some(report.connector.as_str()),
            subject,
            by: Some(&report.by),
            reason: Some(&reason),
            ..AuditRecord::new(AuditEvent::DirectorySynced, self.clock.now())
        });
    }
}

/// The source of a sync while it is read.
struct Reading<'a> {
    entry: &'a ConnectorEntry,
    directory: Arc<dyn OpenDirectory>,
    sync: &'a RunningSync,
}

impl Reading<'_> {
    /// Reads all departments and their people, or those of one department with its subtree.
    async fn read_departments(
        &self,
        comparison: &mut Comparison,
        root: Option<&str>,
    ) -> Result<(), SyncError> {
        let all = self.directory.departments();
        let in_scope = root.map(|root| subtree(all, root));
        let is_in_scope =
            |one: &&Department| in_scope.as_ref().is_none_or(|ids| ids.contains(&one.id));
        let listed: Vec<_> = all.iter().filter(is_in_scope).cloned().collect();
        let missing = comparison.add_departments(&listed, root);
        if let Some(root) = root
            && listed.is_empty()
            && missing.is_empty()
        {
            return Err(SyncError::UnknownDepartment(root.to_owned()));
        }
        let ids = listed.into_iter().map(|one| one.id);
        let (mapping, progress) = (&self.entry.admission.mapping, &self.sync.progress);
        let readable = read_members(
            &self.directory,
            ids.collect(),
            mapping,
            progress,
            comparison,
        )
        .await?;
        // People of departments that are gone are elsewhere or have left.
        let scope: Option<HashSet<String>> = in_scope.map(|mut ids| {
            ids.extend(missing.iter().cloned());
            ids
        });
        self.confirm_absent(comparison, scope.as_ref(), &readable)
            .await?;
        self.confirm_missing(comparison, missing).await
    }

    async fn read_person(
        &self,
        comparison: &mut Comparison,
        subject: &Subject,
    ) -> Result<(), SyncError> {
        let departments = self.directory.departments();
        let visible = departments.iter().map(|one| one.id.clone()).collect();
        let answer = repeat_while_busy(|| self.directory.person(subject)).await?;
        if let PersonAnswer::Listed(person) = answer {
            comparison.add_person(&self.entry.admission.mapping, *person);
            return Ok(());
        }
        if comparison.knows_nobody() {
            return Err(SyncError::UnknownPerson(subject.clone()));
        }
        self.confirm_absent(comparison, None, &visible).await
    }

    /// Asks about each person whom the source did not list: they may have moved, left, or be out of sight.
    /// Ends early if more people would be closed than `sync_brake` allows.
    async fn confirm_absent(
        &self,
        comparison: &mut Comparison,
        scope: Option<&HashSet<String>>,
        readable: &HashSet<String>,
    ) -> Result<(), SyncError> {
        let absent = comparison.absent(scope);
        if absent.is_empty() {
            return Ok(());
        }
        let everybody = repeat_while_busy(|| self.directory.all_subjects()).await?;
        let mut asked = JoinSet::new();
        let mut absent = absent.into_iter();
        loop {
            while asked.len() < CONCURRENT_MAX
                && let Some(identity) = absent.next()
            {
                let directory = Arc::clone(&self.directory);
                asked.spawn(async move {
                    let answer = repeat_while_busy(|| directory.person(&identity.subject)).await;
                    (identity, answer)
                });
            }
            let Some(ended) = asked.join_next().await else {
                return Ok(());
            };
            let (identity, answer) = ended.map_err(|_| SyncError::TaskFailed)?;
            match answer? {
                PersonAnswer::Listed(person) => {
                    comparison.add_person(&self.entry.admission.mapping, *person);
                }
                PersonAnswer::NotVisible(_) => comparison.count_not_visible(),
                PersonAnswer::Unknown(why) => {
                    let is_gone = match &everybody {
                        Some(everybody) => !everybody.contains(&identity.subject),
                        None => comparison.is_in_sight(&identity, readable),
                    };
                    match is_gone {
                        true => comparison.add_gone(identity, why),
                        false => comparison.count_not_visible(),
                    }
                }
            }
            if self.excess_closings(comparison).is_some() {
                return Ok(());
            }
        }
    }

    /// Removes the departments that the source says it no longer has.
    async fn confirm_missing(
        &self,
        comparison: &mut Comparison,
        missing: Vec<String>,
    ) -> Result<(), SyncError> {
        for id in missing.into_iter().take(MISSING_DEPARTMENTS_MAX) {
            if !repeat_while_busy(|| self.directory.has_department(&id)).await? {
                comparison.remove_department(id);
            }
        }
        Ok(())
    }

    /// If the sync would close more accounts than `sync_brake` allows: the number to be closed and the
    /// number of open ones.
    fn excess_closings(&self, comparison: &Comparison) -> Option<(usize, usize)> {
        let SyncRequest { scope, force, .. } = &self.sync.request;
        if *force || matches!(scope, SyncScope::Person(_)) {
            return None;
        }
        let settings = self.entry.features.directory_sync;
        let percent = settings.map_or(0, |settings| settings.brake_percent);
        comparison.excess_closings(percent)
    }
}
