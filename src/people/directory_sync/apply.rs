//! Reads what the directory has, and applies the plan of a sync in bounded transactions.

use super::{
    ACTOR, Comparison, Plan, PlannedAdmission, PlannedClosing, SyncReport, SyncRules, SyncScope,
};
use crate::clock::Timestamp;
use crate::people::directory_fields::directory_fields;
use crate::people::{AdmissionPolicy, People, normalized_fields};
use crate::store::{
    Admission, AdmissionOutcome, Closing, ConnectorId, Department, DirectoryFields, SourceIdentity,
    StoreError,
};
use crate::text;
use crate::wording::Text;

/// The people or departments of one transaction. Logins wait while it runs.
const BATCH: usize = 100;
/// The rows of one read.
const PAGE: u32 = 1_000;

/// What a sync has applied.
#[derive(Debug)]
pub struct AppliedSync {
    /// Counts what was applied.
    pub report: SyncReport,
    /// Each account that was closed or reopened.
    pub accounts: Vec<AccountEvent>,
    /// Why the rest was not applied.
    pub failure: Option<StoreError>,
}

/// An account that a sync closed or reopened.
#[derive(Debug)]
pub struct AccountEvent {
    pub identity: SourceIdentity,
    /// Why it was closed; absent: it was reopened.
    pub closed_because: Option<String>,
}

impl People {
    /// Reads what the directory has of a connector. `report` names the scope.
    ///
    /// # Errors
    /// The store failed.
    pub async fn begin_comparison(
        &self,
        policy: &AdmissionPolicy,
        report: SyncReport,
    ) -> Result<Comparison, StoreError> {
        let connector = &policy.connector;
        let is_one_person = matches!(report.scope, SyncScope::Person(_));
        let rewrites = is_one_person && report.force;
        let rules = SyncRules {
            creates: policy.create,
            updates: policy.sync || rewrites,
            rewrites,
        };
        let (known, departments) = match &report.scope {
            SyncScope::Person(subject) => {
                let known = self.store.source_identity(connector, subject).await?;
                (known.into_iter().collect(), Vec::new())
            }
            SyncScope::Everything | SyncScope::Department(_) => (
                self.known_identities(connector).await?,
                self.known_departments(connector).await?,
            ),
        };
        Ok(Comparison::new(known, departments, rules, report))
    }

    /// Takes or renews the lease under which one process at a time syncs a connector; false while another
    /// holder has it.
    ///
    /// # Errors
    /// The store failed.
    pub async fn lease(
        &self,
        name: &str,
        holder: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.store
            .lease(name, holder, self.clock.now(), until)
            .await
    }

    /// Until when somebody has such a lease; `None` if nobody does.
    ///
    /// # Errors
    /// The store failed.
    pub async fn lease_end(&self, name: &str) -> Result<Option<Timestamp>, StoreError> {
        let end = self.store.lease_end(name).await?;
        Ok(end.filter(|end| *end > self.clock.now()))
    }

    async fn known_identities(
        &self,
        connector: &ConnectorId,
    ) -> Result<Vec<SourceIdentity>, StoreError> {
        let mut known: Vec<SourceIdentity> = Vec::new();
        loop {
            let after = known.last().map(|last| &last.subject);
            let mut page = self.store.source_identities(connector, after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            known.append(&mut page);
            if is_last {
                return Ok(known);
            }
        }
    }

    async fn known_departments(
        &self,
        connector: &ConnectorId,
    ) -> Result<Vec<Department>, StoreError> {
        let mut known: Vec<Department> = Vec::new();
        loop {
            let after = known.last().map(|last| last.id.as_str());
            let mut page = self.store.departments(connector, after, PAGE).await?;
            let is_last = page.len() < PAGE as usize;
            known.append(&mut page);
            if is_last {
                return Ok(known);
            }
        }
    }

    /// Applies the differences: departments, then people who are created, updated and reopened, then
    /// closings. Each step is complete in itself, so an interrupted sync can be repeated. `applied` is
    /// called with the number of people after each transaction.
    pub async fn apply_comparison(
        &self,
        policy: &AdmissionPolicy,
        comparison: Comparison,
        applied: impl Fn(usize) + Send + Sync,
    ) -> AppliedSync {
        let Comparison {
            plan, mut report, ..
        } = comparison;
        let (people, departments) = (&mut report.people, &mut report.departments);
        (people.created, people.updated) = (0, 0);
        (people.closed, people.reopened) = (0, 0);
        let planned = *departments;
        (
            departments.created,
            departments.updated,
            departments.removed,
        ) = (0, 0, 0);
        let mut sync = AppliedSync {
            report,
            accounts: Vec::new(),
            failure: None,
        };
        let mut failure = self.apply_departments(policy, &plan).await.err();
        if failure.is_none() {
            sync.report.departments = planned;
            failure = self
                .apply_people(policy, plan, &mut sync, &applied)
                .await
                .err();
        }
        sync.failure = failure;
        sync
    }

    async fn apply_departments(
        &self,
        policy: &AdmissionPolicy,
        plan: &Plan,
    ) -> Result<(), StoreError> {
        let connector = &policy.connector;
        for batch in plan.departments.chunks(BATCH) {
            self.store.change_departments(connector, batch, &[]).await?;
        }
        for batch in plan.removed_departments.chunks(BATCH) {
            self.store.change_departments(connector, &[], batch).await?;
        }
        Ok(())
    }

    async fn apply_people(
        &self,
        policy: &AdmissionPolicy,
        plan: Plan,
        sync: &mut AppliedSync,
        applied: &(impl Fn(usize) + Send + Sync),
    ) -> Result<(), StoreError> {
        let Plan {
            mut admissions,
            reopenings,
            closings,
            vouched,
            ..
        } = plan;
        // Before people are admitted: a number may have gone from one person to another.
        for (subject, fields) in &vouched {
            self.store
                .replace_vouched_fields(&policy.connector, subject, fields)
                .await?;
        }
        // Transactions that lock several accounts do so in the order of their IDs.
        admissions.sort_unstable_by_key(|planned| planned.account);
        for identity in reopenings {
            let (account, connector) = (&identity.account, &policy.connector);
            // An administrator may have closed the account meanwhile.
            if self
                .sessions
                .reopen_after_sync(account, connector, ACTOR)
                .await?
            {
                sync.report.people.reopened += 1;
                sync.accounts.push(AccountEvent {
                    identity,
                    closed_because: None,
                });
            }
            applied(1);
        }
        for batch in admissions.chunks(BATCH) {
            self.apply_batch(policy, batch, &mut sync.report).await?;
            applied(batch.len());
        }
        for closing in closings {
            self.apply_closing(policy, closing, sync).await?;
            applied(1);
        }
        Ok(())
    }

    async fn apply_batch(
        &self,
        policy: &AdmissionPolicy,
        batch: &[PlannedAdmission],
        report: &mut SyncReport,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let admissions: Vec<_> = batch
            .iter()
            .map(|planned| admission(policy, planned, now))
            .collect();
        let outcomes = self.store.admit_listed(&admissions).await?;
        for (planned, outcome) in batch.iter().zip(outcomes) {
            let PlannedAdmission {
                subject,
                account: known,
                login,
                ..
            } = planned;
            match outcome {
                AdmissionOutcome::Account(admitted) => {
                    match known {
                        None => report.people.created += 1,
                        Some(_) => report.people.updated += 1,
                    }
                    let via = &policy.connector;
                    self.sessions
                        .update_after_lookup(via, subject, &admitted, &planned.fields);
                }
                AdmissionOutcome::Unknown => report.people.ignored += 1,
                // Closed since the directory was read.
                AdmissionOutcome::Closed(_) if known.is_some() => {}
                outcome => {
                    report.people.refused += 1;
                    let (why, remedy) = refusal(&outcome);
                    let what = text!(
                        "{login} ({subject}): {why}",
                        "{login}（{subject}）：{why:#}"
                    );
                    report.add_problem(what, remedy);
                }
            }
        }
        Ok(())
    }

    async fn apply_closing(
        &self,
        policy: &AdmissionPolicy,
        closing: PlannedClosing,
        sync: &mut AppliedSync,
    ) -> Result<(), StoreError> {
        let PlannedClosing {
            identity,
            why,
            is_gone,
        } = closing;
        let connector = policy.connector.clone();
        let closing = Closing {
            by: ACTOR.to_owned(),
            reason: why.clone(),
            gone: is_gone.then(|| (connector.clone(), identity.subject.clone())),
            by_sync_of: (!is_gone).then_some(connector),
        };
        if self.close_account(&identity.account, &closing).await? {
            sync.report.people.closed += 1;
            sync.accounts.push(AccountEvent {
                identity,
                closed_because: Some(why),
            });
        }
        Ok(())
    }
}

fn admission(policy: &AdmissionPolicy, planned: &PlannedAdmission, at: Timestamp) -> Admission {
    let vouched = normalized_fields(&planned.verified_fields);
    Admission {
        connector: policy.connector.clone(),
        subject: planned.subject.clone(),
        login: planned.login.clone(),
        links: policy.links_among(&vouched),
        vouched,
        create: policy.create,
        join: policy.join.clone(),
        // The plan has only what may change.
        sync: true,
        is_login: false,
        entitlements: serde_json::to_string(&planned.fields).expect("fields are plain data"),
        fields: DirectoryFields {
            // The sync stores them itself.
            departments: Vec::new(),
            ..directory_fields(&planned.fields)
        },
        local_revision: None,
        at,
    }
}

/// Why a person was not admitted, and what helps.
fn refusal(outcome: &AdmissionOutcome) -> (Text, Text) {
    match outcome {
        AdmissionOutcome::LoginTaken { by } => (
            text!(
                "the login name belongs to account {by}",
                "登录名属于账号 {by}"
            ),
            Text::fixed(
                "if it is the same person, reopen that account or set link_by; otherwise set login_prefix or \
                 map another login",
                "如果是同一个人，请重新打开该账号或设置 link_by；否则请设置 login_prefix，或映射别的登录名",
            ),
        ),
        AdmissionOutcome::AmbiguousLink { field } => {
            let field = field.as_str();
            (
                text!(
                    "several accounts have the same {field}",
                    "有几个账号的 {field} 相同"
                ),
                Text::fixed(
                    "remove the value from all but one of them",
                    "请只在其中一个账号保留该值",
                ),
            )
        }
        AdmissionOutcome::Closed(account) => (
            text!(
                "account {account}, to which the person belongs, is closed",
                "此人所属的账号 {account} 已关闭"
            ),
            Text::fixed(
                "reopen it with `menshen people reopen`",
                "请用 `menshen people reopen` 重新打开",
            ),
        ),
        AdmissionOutcome::Account(_)
        | AdmissionOutcome::Unknown
        | AdmissionOutcome::LocalPersonChanged => (Text::default(), Text::default()),
    }
}
