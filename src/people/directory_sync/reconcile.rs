//! Decides what a sync changes. Pure functions of what the directory has and what the source says.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{ListedStatus, SourcePerson, SyncRules};
use crate::people::normalized_fields;
use crate::people::profile::UserFields;
use crate::people::session::differences;
use crate::store::{Department, LinkField, SourceIdentity};

/// What a sync does with a person whom the source lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PersonChange {
    Create,
    /// The person has no account here and gets none.
    Ignore,
    /// These fields differ.
    Update(Vec<String>),
    Close(String),
    /// An earlier sync closed the account of a person who is active again. These fields differ.
    Reopen(Vec<String>),
    Unchanged,
}

/// What a sync does with a listed person; also returns the fields that the person has afterwards.
pub(super) fn change_of(
    known: Option<&SourceIdentity>,
    person: &SourcePerson,
    rules: SyncRules,
) -> (PersonChange, UserFields) {
    let Some(known) = known else {
        let change = match &person.status {
            ListedStatus::Active => PersonChange::Create,
            ListedStatus::Inactive(_) | ListedStatus::Unclear(_) => PersonChange::Ignore,
        };
        return (change, person.fields.clone());
    };
    let (changed, fields) = changed_fields(known, person, rules);
    let change = match &person.status {
        ListedStatus::Unclear(_) => PersonChange::Unchanged,
        ListedStatus::Inactive(why) if !known.closed => PersonChange::Close(why.clone()),
        ListedStatus::Active if known.closed && known.closed_by_sync => {
            PersonChange::Reopen(changed)
        }
        ListedStatus::Active if known.closed => PersonChange::Unchanged,
        ListedStatus::Active if changed.is_empty() && !rules.rewrites => PersonChange::Unchanged,
        ListedStatus::Active => PersonChange::Update(changed),
        ListedStatus::Inactive(_) => PersonChange::Unchanged,
    };
    (change, fields)
}

/// The names of the fields in which a known person differs from what the source says, and the fields that
/// the person has afterwards.
fn changed_fields(
    known: &SourceIdentity,
    person: &SourcePerson,
    rules: SyncRules,
) -> (Vec<String>, UserFields) {
    let mut fields = person.fields.clone();
    if !rules.updates {
        return (Vec::new(), fields);
    }
    let is_same_text =
        person.is_complete && serde_json::to_string(&fields).is_ok_and(|text| text == known.fields);
    let mut changed = Vec::new();
    if !is_same_text {
        // Damaged fields are replaced.
        let before: UserFields = serde_json::from_str(&known.fields).unwrap_or_default();
        if !person.is_complete {
            fields.keep_missing_from(&before);
        }
        changed = differences(&before, &fields);
    }
    if known.sets_login && known.login != person.login {
        changed.push("login".to_owned());
    }
    (changed, fields)
}

/// The verified fields that a known person has afterwards; `None` if they stay. Even if names and
/// departments do not follow the source, these do: a number that the source took away must not link the
/// next person who has it. Fields that an incomplete listing lacks stay.
pub(super) fn changed_vouched_fields(
    known: &SourceIdentity,
    person: &SourcePerson,
) -> Option<Vec<(LinkField, String)>> {
    if matches!(person.status, ListedStatus::Unclear(_)) {
        return None;
    }
    let mut fields = normalized_fields(&person.verified_fields);
    if !person.is_complete {
        let listed: HashSet<_> = fields.iter().map(|(field, _)| *field).collect();
        let missing = known.vouched.iter();
        fields.extend(
            missing
                .filter(|(field, _)| !listed.contains(field))
                .cloned(),
        );
    }
    let is_known = |field: &(LinkField, String)| known.vouched.contains(field);
    let are_same = fields.len() == known.vouched.len() && fields.iter().all(is_known);
    (!are_same).then_some(fields)
}

/// Whether the directory has the person in any of these departments.
pub(super) fn is_in_any(known: &SourceIdentity, departments: &HashSet<String>) -> bool {
    let fields: UserFields = serde_json::from_str(&known.fields).unwrap_or_default();
    fields
        .department_ids
        .iter()
        .any(|id| departments.contains(id))
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DepartmentChanges {
    pub(super) created: Vec<Department>,
    pub(super) updated: Vec<Department>,
    /// The IDs of those that the source no longer lists.
    pub(super) missing: Vec<String>,
}

/// Compares the departments of the directory with those that the source lists. With `root`, `listed` is
/// that department with those below it, and others are not compared.
pub(super) fn department_changes(
    known: &[Department],
    listed: &[Department],
    root: Option<&str>,
) -> DepartmentChanges {
    let mut left: BTreeMap<&str, &Department> =
        known.iter().map(|one| (one.id.as_str(), one)).collect();
    let mut changes = DepartmentChanges::default();
    let mut seen = HashSet::new();
    for one in listed.iter().filter(|one| seen.insert(one.id.as_str())) {
        match left.remove(one.id.as_str()) {
            Some(before) if before == one => {}
            Some(_) => changes.updated.push(one.clone()),
            None => changes.created.push(one.clone()),
        }
    }
    let in_scope = root.map(|root| subtree(known, root));
    let missing = left
        .into_keys()
        .filter(|id| in_scope.as_ref().is_none_or(|ids| ids.contains(*id)));
    changes.missing = missing.map(str::to_owned).collect();
    changes
}

/// The IDs of a department and of those below it. Circles are harmless.
pub fn subtree(departments: &[Department], root: &str) -> HashSet<String> {
    let mut below: HashMap<&str, Vec<&str>> = HashMap::new();
    for one in departments {
        if let Some(parent) = &one.parent {
            below.entry(parent).or_default().push(&one.id);
        }
    }
    let mut found = HashSet::from([root.to_owned()]);
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        for child in below.get(id).into_iter().flatten() {
            if found.insert((*child).to_owned()) {
                open.push(child);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
