//! `SyncReport`: what a sync did, or what it would do.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::clock::Timestamp;
use crate::store::{ConnectorId, Subject};
use crate::wording::Text;

/// The most problems, and the most changes, that a report lists. The counts include all.
const LISTED_MAX: usize = 1_000;

/// What part of a source is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncScope {
    Everything,
    /// The department with this ID, and those below it.
    Department(String),
    Person(Subject),
}

/// How a sync ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncOutcome {
    #[default]
    Done,
    /// More people would be closed than `sync_brake` of the connector allows. Nothing was changed.
    Refused,
    /// Another process syncs this connector. Nothing was done.
    Busy,
    /// Neither the source nor the directory has the department or the person. Nothing was changed.
    NotFound,
    /// The source or the store failed. What was applied before stays.
    Failed,
}

/// The report of one sync.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SyncReport {
    /// Names the run on this node.
    pub run: u64,
    pub connector: ConnectorId,
    pub scope: SyncScope,
    /// Whether only the differences were determined.
    pub dry_run: bool,
    /// Whether accounts are closed even if there are more than `sync_brake` allows; for one person: whether
    /// the fields are written even if nothing differs or the connector does not update them.
    pub force: bool,
    /// Who asked for it: an administrator, the schedule or an event.
    pub by: String,
    /// In seconds since 1970, as everywhere in the admin API.
    #[serde(serialize_with = "unix_s")]
    pub started_at: Timestamp,
    pub duration_ms: u64,
    pub outcome: SyncOutcome,
    pub people: PeopleCounts,
    pub departments: DepartmentCounts,
    pub problems: Vec<SyncProblem>,
    /// The error code of the source if it failed, and 0 if it sent none.
    #[serde(skip)]
    pub source_error: Option<i64>,
    /// The first changes of a dry run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<SyncChange>,
}

/// How many people were listed and changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PeopleCounts {
    /// The people whom the source lists.
    pub listed: u64,
    pub created: u64,
    pub updated: u64,
    pub closed: u64,
    pub reopened: u64,
    /// Listed people without an account here, who get none: they are inactive, or the connector creates no
    /// accounts.
    pub ignored: u64,
    /// People who could not be created or updated; `problems` says why.
    pub refused: u64,
    /// People whom the source no longer shows to this site. They are not closed.
    pub not_visible: u64,
}

/// How many departments were read and changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DepartmentCounts {
    pub listed: u64,
    pub created: u64,
    pub updated: u64,
    pub removed: u64,
}

/// What went wrong, and what helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncProblem {
    pub what: Text,
    pub remedy: Text,
}

/// `what` and `remedy` in English, and `what_zh` and `remedy_zh` in Chinese.
impl Serialize for SyncProblem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        for (name, name_zh, text) in [
            ("what", "what_zh", &self.what),
            ("remedy", "remedy_zh", &self.remedy),
        ] {
            members.serialize_entry(name, &text.to_string())?;
            if let Some(chinese) = text.other_chinese() {
                members.serialize_entry(name_zh, &chinese)?;
            }
        }
        members.end()
    }
}

/// One difference that a dry run found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SyncChange {
    /// For a person `create`, `update`, `close`, `reopen`; for a department `create`, `update`, `remove`.
    pub change: &'static str,
    /// `person` or `department`.
    pub kind: &'static str,
    /// The login name, or the ID of the department.
    pub id: String,
    /// For a person the changed fields, why the account is closed, or on what the creation depends; for a
    /// department its name. Empty if there is nothing to say.
    pub detail: String,
}

impl SyncReport {
    /// The report of a sync that begins.
    pub fn new(
        connector: ConnectorId,
        scope: SyncScope,
        by: String,
        started_at: Timestamp,
    ) -> Self {
        Self {
            run: 0,
            connector,
            scope,
            dry_run: false,
            force: false,
            by,
            started_at,
            duration_ms: 0,
            outcome: SyncOutcome::Done,
            people: PeopleCounts::default(),
            departments: DepartmentCounts::default(),
            problems: Vec::new(),
            source_error: None,
            changes: Vec::new(),
        }
    }

    /// Adds a problem, unless there are too many.
    pub fn add_problem(&mut self, what: Text, remedy: Text) {
        if self.problems.len() < LISTED_MAX {
            self.problems.push(SyncProblem { what, remedy });
        }
    }

    pub(super) fn add_change(
        &mut self,
        change: &'static str,
        kind: &'static str,
        id: &str,
        detail: &str,
    ) {
        if self.dry_run && self.changes.len() < LISTED_MAX {
            self.changes.push(SyncChange {
                change,
                kind,
                id: id.to_owned(),
                detail: detail.to_owned(),
            });
        }
    }
}

fn unix_s<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(at.unix_s())
}
