//! `ChangedParts`: departments and people that events name, which wait to be read again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::people::directory_sync::SyncScope;
use crate::store::{ConnectorId, Subject};

/// With more changed departments, everything is read once.
const DEPARTMENTS_MAX: usize = 20;
/// With more changed people, everything is read once.
const PEOPLE_MAX: usize = 500;

/// The changed parts of all connectors.
#[derive(Debug, Default)]
pub(super) struct ChangedParts {
    waiting: Mutex<HashMap<ConnectorId, Waiting>>,
    added: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    everything: bool,
    departments: BTreeSet<String>,
    people: BTreeSet<Subject>,
}

impl ChangedParts {
    /// Adds a part. A part that waits already is read once.
    pub(super) fn add(&self, connector: &ConnectorId, part: SyncScope) {
        let mut all = self.waiting();
        let waiting = all.entry(connector.clone()).or_default();
        match part {
            SyncScope::Everything => waiting.everything = true,
            SyncScope::Department(id) => {
                waiting.departments.insert(id);
            }
            SyncScope::Person(subject) => {
                waiting.people.insert(subject);
            }
        }
        drop(all);
        self.added.notify_one();
    }

    /// Waits until a part was added. Cancel-safe.
    pub(super) async fn added(&self) {
        self.added.notified().await;
    }

    /// Takes the parts of a connector: everything once if there are many of them.
    pub(super) fn take(&self, connector: &ConnectorId) -> Vec<SyncScope> {
        let Some(waiting) = self.waiting().remove(connector) else {
            return Vec::new();
        };
        let Waiting {
            everything,
            departments,
            people,
        } = waiting;
        if everything || departments.len() > DEPARTMENTS_MAX || people.len() > PEOPLE_MAX {
            return vec![SyncScope::Everything];
        }
        let departments = departments.into_iter().map(SyncScope::Department);
        let people = people.into_iter().map(SyncScope::Person);
        departments.chain(people).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<ConnectorId, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_changed_parts_become_one_sync_of_everything() {
        let (parts, corp) = (ChangedParts::default(), "corp".parse().unwrap());
        let department = |id: usize| SyncScope::Department(id.to_string());
        for id in [2, 1, 2] {
            parts.add(&corp, department(id));
        }
        let person = SyncScope::Person("ww1:li".parse().unwrap());
        parts.add(&corp, person.clone());
        assert_eq!(parts.take(&"other".parse().unwrap()), []);
        assert_eq!(parts.take(&corp), [department(1), department(2), person]);
        assert_eq!(parts.take(&corp), []);
        for id in 0..=DEPARTMENTS_MAX {
            parts.add(&corp, department(id));
        }
        assert_eq!(parts.take(&corp), [SyncScope::Everything]);
    }
}
