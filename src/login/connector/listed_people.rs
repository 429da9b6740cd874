//! `ListedPeople`: everybody who may sign in, for connectors that have a list of them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::store::Subject;

/// Everybody who may sign in at a connector. Sessions of everybody else end.
#[derive(Clone, PartialEq)]
pub struct ListedPeople(pub BTreeMap<Subject, ListedPerson>);

/// A person who may sign in.
#[derive(Clone, PartialEq)]
pub struct ListedPerson {
    /// Names the current password. It is the `provider_sid` of the sessions to which that password led;
    /// the person's other sessions end.
    pub credential: String,
    /// The profile, as at a login.
    pub profile: Value,
}

impl std::fmt::Debug for ListedPeople {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ListedPeople({})", self.0.len())
    }
}

impl std::fmt::Debug for ListedPerson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListedPerson").finish_non_exhaustive()
    }
}
