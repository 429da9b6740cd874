//! `Conflict`: what was saved meanwhile beside what was typed.

use super::table::{self, Members};
use crate::face::admin::console::comparison::{Line, compare};

/// Two versions of the settings, line by line and without secrets.
#[derive(Debug)]
pub(super) struct Conflict {
    /// Those that are kept; empty: somebody has deleted the connector.
    pub(super) saved: Vec<Line>,
    pub(super) typed: Vec<Line>,
    pub(super) is_deleted: bool,
}

impl Conflict {
    pub(super) fn new(saved: Option<&Members>, typed: &Members) -> Self {
        let toml = |members: Option<&Members>| members.map(table::to_toml).unwrap_or_default();
        let lines = || compare(&toml(saved), &toml(Some(typed))).into_iter();
        Self {
            saved: lines().filter(|line| !line.is_added()).collect(),
            typed: lines().filter(|line| !line.is_removed()).collect(),
            is_deleted: saved.is_none(),
        }
    }
}
