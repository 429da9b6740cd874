//! `Moment`: a time as the pages show it.

use crate::clock::Timestamp;
use crate::face::page::Lang;

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;

/// A time relative to now. The exact time, in UTC, is its title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    pub(super) now: Timestamp,
    pub(super) lang: Lang,
}

impl Moment {
    /// RFC 3339.
    pub(super) fn iso(&self) -> String {
        self.at.to_string()
    }

    /// Such as `2026-11-29 15:40 UTC`.
    pub(super) fn absolute(&self) -> String {
        let text = self.at.to_string();
        let (date, time) = text.split_once('T').unwrap_or((&text, ""));
        format!("{date} {} UTC", time.get(..5).unwrap_or(time))
    }

    /// Such as `3 min ago` or `in 3 min`; the date if it is more than a month away.
    pub(super) fn relative(&self) -> String {
        if self.at > self.now {
            return self.ahead();
        }
        let passed_s = self.now.since(self.at).as_secs();
        let (number, zh, en) = match passed_s {
            0..MINUTE_S => return self.just_now(),
            MINUTE_S..HOUR_S => (passed_s / MINUTE_S, "分钟前", "min ago"),
            HOUR_S..DAY_S => (passed_s / HOUR_S, "小时前", "h ago"),
            _ if passed_s < 31 * DAY_S => (passed_s / DAY_S, "天前", "d ago"),
            _ => return self.absolute(),
        };
        match self.lang {
            Lang::Zh => format!("{number} {zh}"),
            Lang::En => format!("{number} {en}"),
        }
    }

    fn just_now(&self) -> String {
        match self.lang {
            Lang::Zh => "刚刚".to_owned(),
            Lang::En => "just now".to_owned(),
        }
    }

    /// How long it is until then, rounded up.
    fn ahead(&self) -> String {
        let left_s = self.at.since(self.now).as_secs();
        let (number, zh, en) = match left_s {
            // Later than the request, and before its answer.
            0 => return self.just_now(),
            1..HOUR_S => (left_s.div_ceil(MINUTE_S), "分钟后", "min"),
            HOUR_S..DAY_S => (left_s.div_ceil(HOUR_S), "小时后", "h"),
            _ if left_s < 31 * DAY_S => (left_s.div_ceil(DAY_S), "天后", "d"),
            _ => return self.absolute(),
        };
        match self.lang {
            Lang::Zh => format!("{number} {zh}"),
            Lang::En => format!("in {number} {en}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_relative_until_it_is_a_month_away() {
        let now = Timestamp::from_unix_s(1_800_000_000);
        let relative = |ago_s: i64, lang| {
            let at = Timestamp::from_unix_s(1_800_000_000 - ago_s);
            Moment { at, now, lang }.relative()
        };
        for (ago_s, zh, en) in [
            (0, "刚刚", "just now"),
            (59, "刚刚", "just now"),
            (60, "1 分钟前", "1 min ago"),
            (7_199, "1 小时前", "1 h ago"),
            (86_400, "1 天前", "1 d ago"),
            (-1, "1 分钟后", "in 1 min"),
            (-60, "1 分钟后", "in 1 min"),
            (-3_600, "1 小时后", "in 1 h"),
            (-172_800, "2 天后", "in 2 d"),
            (-40 * 86_400, "2027-02-24 08:00 UTC", "2027-02-24 08:00 UTC"),
            (40 * 86_400, "2026-12-06 08:00 UTC", "2026-12-06 08:00 UTC"),
        ] {
            assert_eq!(relative(ago_s, Lang::Zh), zh);
            assert_eq!(relative(ago_s, Lang::En), en);
        }
        let (at, lang) = (now.plus(std::time::Duration::from_millis(5)), Lang::En);
        assert_eq!(Moment { at, now, lang }.relative(), "just now");
    }
}
