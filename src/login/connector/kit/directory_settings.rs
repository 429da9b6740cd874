//! The settings of kinds whose source can be asked about people who are not logging in: `revalidate`,
//! `sync_every` and `sync_brake`.

use std::time::Duration;

use super::invalid_values::ValueRule;
use crate::setting::Period;
use crate::text;
use crate::wording::Text;

/// The risk of a connector that asks its source about nobody after the login.
pub(crate) const NOBODY_IS_ASKED_ABOUT: Text = Text::fixed(
    "a person who leaves stays signed in until the session ends: write contacts = true",
    "离职的人会保持登录，直到会话结束：请写 contacts = true",
);

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
            text!("is a period of at least one second", "应至少为一秒"),
        ),
        (
            "sync_brake",
            brake_percent <= 100,
            text!("is a number from 0 to 100", "应为 0 到 100 之间的数"),
        ),
    ]
}

/// The values of a connector, for [`DirectorySettings::warnings`].
#[derive(Clone, Debug)]
pub(crate) struct DirectorySettings {
    /// The name of the source.
    pub(crate) source: Text,
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
    pub(crate) fn warnings(&self) -> Vec<(&'static str, Text)> {
        let Self { source, range, .. } = self;
        let mut warnings = Vec::new();
        if self.revalidate.is_some_and(|it| it.duration().is_zero()) {
            let who = match self.receives_events {
                false => text!("a person who leaves", "离职的人"),
                true => text!(
                    "a person who leaves while an event of {source} is lost",
                    "离职时{source:#}的事件丢失的人"
                ),
            };
            let text = text!(
                "{who} stays signed in until the session ends: use a period such as \"10m\"",
                "{who:#}会保持登录，直到会话结束：请设一个时长，例如 \"10m\""
            );
            warnings.push(("revalidate", text));
        }
        let is_short = |every: Period| every.duration() < SYNC_EVERY_RECOMMENDED_MIN;
        if self.sync_every.is_some_and(is_short) {
            let text = text!(
                "every sync reads each department, and {source} limits how often: use a period such as \"1h\"",
                "每次同步都要读取每个部门，而{source:#}限制次数：请设一个时长，例如 \"1h\""
            );
            warnings.push(("sync_every", text));
        }
        if self.sync_brake == 100 {
            let text = text!(
                "a sync may close the accounts of all people at once, for example after a change of {range}: \
                 use a number such as 10",
                "一次同步可能关闭所有人的账号，例如在{range}变动之后：请设一个数，例如 10"
            );
            warnings.push(("sync_brake", text));
        }
        warnings
    }
}
