//! Times and periods as XML Schema writes them.

use std::time::Duration;

use crate::clock::Timestamp;

/// Reads an `xs:dateTime`. Without a time zone it is UTC, which SAML 2.0 core §1.3.3 demands anyway.
pub fn timestamp(text: &str) -> Option<Timestamp> {
    let (date, time) = text.trim().split_once('T')?;
    let mut date = date.splitn(3, '-');
    let year = digits(date.next()?, 4)?;
    let month = digits(date.next()?, 2)?;
    let day = digits(date.next()?, 2)?;
    let (time, offset_minutes) = split_zone(time)?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.splitn(3, ':');
    let hour = digits(time.next()?, 2)?;
    let minute = digits(time.next()?, 2)?;
    let second = digits(time.next()?, 2)?;
    if hour >= 24 || minute >= 60 || second >= 60 {
        return None;
    }
    let midnight = Timestamp::of_utc_date(year, month, day)?;
    let minutes = hour * 60 + minute - offset_minutes;
    let of_day = (minutes * 60 + second) * 1000 + milliseconds(fraction)?;
    Some(Timestamp::from_unix_ms(midnight.unix_ms() + of_day))
}

/// Reads an `xs:duration`, with months of 30 days and years of 365. Negative ones count as none.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.starts_with("-P") {
        return Some(Duration::ZERO);
    }
    let rest = text.strip_prefix('P')?;
    let (date, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (rest, ""),
    };
    if rest.is_empty() {
        return None;
    }
    let days = [('Y', 365 * 86_400), ('M', 30 * 86_400), ('D', 86_400)];
    let hours = [('H', 3_600), ('M', 60), ('S', 1)];
    let seconds = parts(date, &days)?.checked_add(parts(time, &hours)?)?;
    Some(Duration::from_secs(seconds))
}

/// Reads numbers, each with its unit, in the order of the units. Fractions of seconds are left out.
fn parts(mut text: &str, units: &[(char, u64)]) -> Option<u64> {
    let mut seconds = 0_u64;
    for (unit, factor) in units {
        let Some((number, rest)) = text.split_once(*unit) else {
            continue;
        };
        let whole = match number.split_once('.') {
            Some((whole, _)) if *unit == 'S' => whole,
            _ => number,
        };
        if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number: u64 = whole.parse().ok()?;
        seconds = seconds.checked_add(number.checked_mul(*factor)?)?;
        text = rest;
    }
    text.is_empty().then_some(seconds)
}

/// A number with exactly this number of digits.
fn digits(text: &str, count: usize) -> Option<i64> {
    let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// The time without its zone, and the offset of the zone in minutes.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix('Z') {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, zone) = time.split_at(at);
    let (hours, minutes) = zone[1..].split_once(':')?;
    let offset = digits(hours, 2)? * 60 + digits(minutes, 2)?;
    let is_valid = offset <= 14 * 60;
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    is_valid.then_some((time, sign * offset))
}

fn milliseconds(fraction: &str) -> Option<i64> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut digits = fraction.bytes().map(|byte| i64::from(byte - b'0'));
    let mut next = || digits.next().unwrap_or(0);
    Some(next() * 100 + next() * 10 + next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form_that_providers_write() {
        let at = |text: &str| timestamp(text).map(Timestamp::unix_ms);
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59.999Z", 951_868_799_999),
            ("2024-12-31T23:59:59.1234567Z", 1_735_689_599_123),
            (" 2024-12-31T23:59:59Z\n", 1_735_689_599_000),
            ("2025-01-01T07:59:59+08:00", 1_735_689_599_000),
            ("2024-12-31T18:29:59-05:30", 1_735_689_599_000),
            ("2024-12-31T23:59:59", 1_735_689_599_000),
            ("2100-03-01T00:00:00Z", 4_107_542_400_000),
        ] {
            assert_eq!(at(text), Some(ms), "{text}");
            if text.ends_with("999Z") {
                let written = Timestamp::from_unix_ms(ms).to_string();
                assert_eq!(at(&written), Some(ms));
            }
        }
        for bad in [
            "",
            "2024-12-31",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-12-31T24:00:00Z",
            "2024-12-31T23:60:00Z",
            "2024-12-31T23:59:59.Z",
            "2024-12-31 23:59:59Z",
            "24-12-31T23:59:59Z",
            "2024-12-31T23:59:59+8",
            "2024-12-31T23:59:59+15:00",
            "+024-12-31T23:59:59Z",
            "tomorrow",
        ] {
            assert_eq!(at(bad), None, "{bad}");
        }
    }

    #[test]
    fn periods_are_read() {
        let seconds = |text: &str| duration(text).map(|it| it.as_secs());
        for (text, expected) in [
            ("PT1H", 3_600),
            ("PT0S", 0),
            ("P1D", 86_400),
            ("P0Y0M1DT2H3M4.5S", 86_400 + 2 * 3_600 + 3 * 60 + 4),
            ("P1Y2M", 365 * 86_400 + 60 * 86_400),
            ("PT604800S", 604_800),
            ("-PT1H", 0),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for bad in [
            "",
            "P",
            "PT",
            "1H",
            "PT1",
            "PTH",
            "PT1M1H",
            "PT-1H",
            "P99999999999999999999D",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
