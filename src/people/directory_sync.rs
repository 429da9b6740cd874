//! Directory sync: compares the people and departments of a source with the directory, and applies the
//! differences.

use std::collections::{HashMap, HashSet};

use super::person_lookup::CurrentProfile;
use super::profile::{Mapping, UserFields};
use crate::store::{AccountId, Department, LinkField, LoginName, SourceIdentity, Subject};
use crate::telemetry::error_chain;
use crate::text;
use crate::wording::Text;
use reconcile::{PersonChange, change_of, changed_vouched_fields, department_changes, is_in_any};

mod apply;
mod reconcile;
mod report;

pub use apply::{AccountEvent, AppliedSync};
pub use reconcile::subtree;
pub use report::{
    DepartmentCounts, PeopleCounts, SyncChange, SyncOutcome, SyncProblem, SyncReport, SyncScope,
};

/// Who closes and reopens accounts in a sync, in their history.
const ACTOR: &str = "directory sync";

/// A person as a source lists them.
#[derive(Clone, Debug)]
pub struct ListedPerson {
    pub subject: Subject,
    pub status: ListedStatus,
    pub profile: CurrentProfile,
}

/// Whether a person may sign in at the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListedStatus {
    Active,
    /// Disabled, not activated or gone; the text says which.
    Inactive(String),
    /// The source says nothing that is understood; the text says what it says.
    Unclear(String),
}

/// A listed person with the fields of an account.
#[derive(Clone, Debug)]
struct SourcePerson {
    subject: Subject,
    status: ListedStatus,
    login: LoginName,
    fields: UserFields,
    /// Whether the fields are all that a login brings.
    is_complete: bool,
    verified_fields: Vec<(LinkField, String)>,
}

/// Which changes of people a sync makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SyncRules {
    /// Whether unknown people get an account; otherwise only people whose identity an administrator expects
    /// (an expected identity), or whom a `link_by` field matches.
    creates: bool,
    /// Whether login name and fields of known people follow the source.
    updates: bool,
    /// Whether a person is written even if nothing differs.
    rewrites: bool,
}

/// The changes that a sync makes.
#[derive(Debug, Default)]
pub struct Plan {
    admissions: Vec<PlannedAdmission>,
    reopenings: Vec<SourceIdentity>,
    closings: Vec<PlannedClosing>,
    /// The verified fields of known people from whom the source took or to whom it gave others.
    vouched: Vec<(Subject, Vec<(LinkField, String)>)>,
    departments: Vec<Department>,
    removed_departments: Vec<String>,
}

/// A person who is created or updated.
#[derive(Debug)]
struct PlannedAdmission {
    subject: Subject,
    /// Absent for a new person.
    account: Option<AccountId>,
    login: LoginName,
    fields: UserFields,
    verified_fields: Vec<(LinkField, String)>,
}

/// A person whose account is closed.
#[derive(Debug)]
struct PlannedClosing {
    identity: SourceIdentity,
    why: String,
    /// Whether the source no longer has the person, so that its subject may be given to another one.
    is_gone: bool,
}

/// The comparison of a source with the directory: it collects what the source says until the whole scope
/// is read.
#[derive(Debug)]
pub struct Comparison {
    known: HashMap<Subject, SourceIdentity>,
    /// The open accounts among them, which [`Self::excess_closings`] compares with.
    open_count: usize,
    known_departments: Vec<Department>,
    listed: HashSet<Subject>,
    rules: SyncRules,
    plan: Plan,
    report: SyncReport,
}

impl Comparison {
    /// Begins with what the directory has of a connector, or of the one person in the scope of `report`.
    fn new(
        known: Vec<SourceIdentity>,
        known_departments: Vec<Department>,
        rules: SyncRules,
        report: SyncReport,
    ) -> Self {
        let known: HashMap<_, _> = known
            .into_iter()
            .map(|identity| (identity.subject.clone(), identity))
            .collect();
        Self {
            open_count: known.values().filter(|known| !known.closed).count(),
            known,
            known_departments,
            listed: HashSet::new(),
            rules,
            plan: Plan::default(),
            report,
        }
    }

    /// The report so far.
    pub fn report(&mut self) -> &mut SyncReport {
        &mut self.report
    }

    /// Adds the departments that the source lists; with `root` only that one and those below it. Returns
    /// the IDs of departments that the directory has and the source does not list.
    pub fn add_departments(&mut self, listed: &[Department], root: Option<&str>) -> Vec<String> {
        let changes = department_changes(&self.known_departments, listed, root);
        let counts = &mut self.report.departments;
        counts.listed = count(listed.len());
        counts.created = count(changes.created.len());
        counts.updated = count(changes.updated.len());
        for (change, changed) in [("create", &changes.created), ("update", &changes.updated)] {
            for one in changed {
                self.report
                    .add_change(change, "department", &one.id, &one.name);
            }
        }
        self.plan.departments.extend(changes.created);
        self.plan.departments.extend(changes.updated);
        changes.missing
    }

    /// Removes a department that the source no longer has.
    pub fn remove_department(&mut self, id: String) {
        self.report.departments.removed += 1;
        self.report.add_change("remove", "department", &id, "");
        self.plan.removed_departments.push(id);
    }

    /// Adds a person whom the source lists. A person may be listed in several departments.
    pub fn add_person(&mut self, mapping: &Mapping, person: ListedPerson) {
        if !self.listed.insert(person.subject.clone()) {
            return;
        }
        self.report.people.listed += 1;
        let mapped = match mapping.map(&person.profile.raw) {
            Ok(mapped) => mapped,
            Err(error) => {
                self.report.people.refused += 1;
                let (subject, why) = (&person.subject, error_chain(&error));
                let what = text!("{subject}: {why}", "{subject}：{why:#}");
                let remedy = Text::fixed(
                    "check [connector.ID.mapping]",
                    "请检查 [connector.ID.mapping]",
                );
                self.report.add_problem(what, remedy);
                return;
            }
        };
        if let ListedStatus::Unclear(status) = &person.status {
            let subject = &person.subject;
            let what = text!(
                "{subject}: {status}",
                "{subject}：认证源没有说明状态：`{status}`"
            );
            let remedy = Text::fixed(
                "the account stays as it is until the source says more",
                "在认证源说明之前，账号保持不变",
            );
            self.report.add_problem(what, remedy);
        }
        let person = SourcePerson {
            subject: person.subject,
            status: person.status,
            login: mapped.login,
            fields: mapped.fields,
            is_complete: person.profile.is_complete,
            verified_fields: person.profile.verified_fields,
        };
        self.plan_person(person);
    }

    fn plan_person(&mut self, person: SourcePerson) {
        let known = self.known.get(&person.subject);
        let vouched = known.and_then(|known| changed_vouched_fields(known, &person));
        self.plan
            .vouched
            .extend(vouched.map(|vouched| (person.subject.clone(), vouched)));
        let (change, fields) = change_of(known, &person, self.rules);
        let login = person.login.as_str().to_owned();
        let account = known.map(|known| known.account);
        let (change, detail, is_admitted) = match change {
            PersonChange::Unchanged => return,
            PersonChange::Ignore => {
                self.report.people.ignored += 1;
                return;
            }
            PersonChange::Close(why) => {
                if let Some(identity) = known.cloned() {
                    self.plan_closing(identity, why, false);
                }
                return;
            }
            PersonChange::Create if self.rules.creates => {
                self.report.people.created += 1;
                ("create", String::new(), true)
            }
            // Only the store knows whether an administrator expects the identity, or a `link_by` field
            // matches.
            PersonChange::Create => (
                "create",
                "if an administrator expects the identity, or a link_by field matches an account"
                    .to_owned(),
                true,
            ),
            PersonChange::Update(changed) => {
                self.report.people.updated += 1;
                ("update", changed.join(", "), true)
            }
            PersonChange::Reopen(changed) => {
                self.report.people.reopened += 1;
                self.plan.reopenings.extend(known.cloned());
                ("reopen", changed.join(", "), !changed.is_empty())
            }
        };
        self.report.add_change(change, "person", &login, &detail);
        if is_admitted {
            self.plan.admissions.push(PlannedAdmission {
                subject: person.subject,
                account,
                login: person.login,
                fields,
                verified_fields: person.verified_fields,
            });
        }
    }

    /// The people with open accounts whom the source did not list: all of them, or those of departments.
    pub fn absent(&self, departments: Option<&HashSet<String>>) -> Vec<SourceIdentity> {
        let is_in_scope = |known: &&SourceIdentity| match departments {
            None => true,
            Some(departments) => is_in_any(known, departments),
        };
        let absent = self.known.values().filter(|known| {
            !known.closed && !self.listed.contains(&known.subject) && is_in_scope(known)
        });
        let mut absent: Vec<_> = absent.cloned().collect();
        absent.sort_unstable_by(|one, other| one.subject.cmp(&other.subject));
        absent
    }

    /// Whether the source still shows a department of an absent person. Otherwise the absence says nothing.
    /// `readable` are the IDs of the departments whose people were listed.
    pub fn is_in_sight(&self, person: &SourceIdentity, readable: &HashSet<String>) -> bool {
        is_in_any(person, readable)
    }

    /// Adds a person whom the source no longer has.
    pub fn add_gone(&mut self, identity: SourceIdentity, why: String) {
        self.plan_closing(identity, why, true);
    }

    /// Counts a person whom the source no longer shows, and who may still be there.
    pub fn count_not_visible(&mut self) {
        self.report.people.not_visible += 1;
    }

    fn plan_closing(&mut self, identity: SourceIdentity, why: String, is_gone: bool) {
        self.report.people.closed += 1;
        self.report
            .add_change("close", "person", identity.login.as_str(), &why);
        self.plan.closings.push(PlannedClosing {
            identity,
            why,
            is_gone,
        });
    }

    /// If the sync would close more than `percent` per cent of the open accounts: the number to be closed
    /// and the number of open ones.
    pub fn excess_closings(&self, percent: u8) -> Option<(usize, usize)> {
        let closed = self.plan.closings.len();
        let is_more = closed * 100 > usize::from(percent) * self.open_count;
        is_more.then_some((closed, self.open_count))
    }

    /// The number of changes of people, for the progress.
    pub fn change_count(&self) -> usize {
        let Plan {
            admissions,
            reopenings,
            closings,
            ..
        } = &self.plan;
        admissions.len() + reopenings.len() + closings.len()
    }

    /// Whether the directory has no identity of the connector; in a sync of one person, not that person's.
    pub fn knows_nobody(&self) -> bool {
        self.known.is_empty()
    }

    /// The report of a sync that applies nothing.
    pub fn into_report(self) -> SyncReport {
        self.report
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
