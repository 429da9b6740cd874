//! The settings of kinds whose source can be asked about people who are not logging in: `revalidate`,
//! `sync_every` and `sync_brake`.

use std::time::Duration;

use super::invalid_values::ValueRule;
use crate::setting::Period;

/// The risk of a connector that asks its source about nobody after the login.
pub(crate) const NOBODY_IS_ASKED_ABOUT: &str =
    "a person who leaves stays signed in until the session ends: write contacts = true";

/// The shortest interval of directory syncs without a warning.
const SYNC_EVERY_RECOMMENDED_MIN: Duration = Duration::from_secs(300);

pub(crate) fn default_revalidate() -> Period {
    Period::s(600)
}

pub(crate) fn default_sync_brake() -> u8 {
    10
}

/// The values that directory syncs accept.
pub(crate) fn sync_rules(every: Option<Period>, brake_percent: u8) -> [ValueRule; 2] {
    let is_period = every.is_none_or(|every| every.duration() >= Duration::from_secs(1));
    [
        (
            "sync_every",
            is_period,
            "is a period of at least one second",
        ),
        (
            "sync_brake",
            brake_percent <= 100,
            "is a number from 0 to 100",
        ),
    ]
}

/// The values of a connector, for [`DirectorySettings::warnings`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct DirectorySettings {
    /// The name of the source.
    pub(crate) source: &'static str,
    /// What the source calls the people and departments that an application may see.
    pub(crate) range: &'static str,
    /// Absent: the source is not asked about people who are signed in, whatever the period.
    pub(crate) revalidate: Option<Period>,
    pub(crate) receives_events: bool,
    pub(crate) sync_every: Option<Period>,
    pub(crate) sync_brake: u8,
}

impl DirectorySettings {
    /// The keys whose values are risky, each with the risk.
    pub(crate) fn warnings(&self) -> Vec<(&'static str, String)> {
        let Self { source, range, .. } = self;
        let mut warnings = Vec::new();
        if self.revalidate.is_some_and(|it| it.duration().is_zero()) {
            let who = match self.receives_events {
                false => "a person who leaves".to_owned(),
                true => format!("a person who leaves while an event of {source} is lost"),
            };
            let text = format!(
                "{who} stays signed in until the session ends: use a period such as \"10m\""
            );
            warnings.push(("revalidate", text));
        }
        let is_short = |every: Period| every.duration() < SYNC_EVERY_RECOMMENDED_MIN;
        if self.sync_every.is_some_and(is_short) {
            let text = format!(
                "every sync reads each department, and {source} limits how often: use a period such as \"1h\""
            );
            warnings.push(("sync_every", text));
        }
        if self.sync_brake == 100 {
            let text = format!(
                "a sync may close the accounts of all people at once, for example after a change of {range}: \
                 use a number such as 10"
            );
            warnings.push(("sync_brake", text));
        }
        warnings
    }
}
