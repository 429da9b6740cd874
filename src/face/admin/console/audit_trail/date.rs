//! A day in a field of a form.

use crate::clock::Timestamp;

const DAY_S: i64 = 86_400;

/// The start of a day such as `2026-11-29`, in UTC.
pub(super) fn start_of_day(text: &str) -> Option<Timestamp> {
    let mut parts = text.splitn(3, '-');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        let is_plain = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse::<i64>().ok().filter(|_| is_plain)
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let start = Timestamp::from_unix_s(days_since_1970(year, month, day) * DAY_S);
    // A day that the month does not have is another one.
    start.to_string().starts_with(text).then_some(start)
}

/// The computation starts years in March, so that the leap day is the last day of a year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_parsed_if_it_exists() {
        for day in [
            "1970-01-01",
            "2024-02-29",
            "2026-11-29",
            "2026-12-31",
            "2100-02-28",
        ] {
            let start = start_of_day(day).unwrap();
            assert_eq!(start.to_string(), format!("{day}T00:00:00.000Z"));
        }
        for bad in [
            "",
            "x",
            "2026-11",
            "2026-02-30",
            "2026-13-01",
            "2026-1-01",
            "2026-11-29x",
            "+026-11-29",
        ] {
            assert_eq!(start_of_day(bad), None, "{bad}");
        }
    }
}
