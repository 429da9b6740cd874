//! Reads the public key and the dates of an X.509 certificate, and verifies nothing.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::text;
use crate::wording::Text;

const DAY_S: u64 = 86_400;
/// How long before its end a certificate should be renewed.
const RENEWAL: Duration = Duration::from_secs(30 * DAY_S);

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;

/// `SubjectPublicKeyInfo` of a certificate.
#[derive(Clone, Copy, Debug)]
pub struct PublicKeyInfo<'a> {
    /// The object identifier of the algorithm.
    pub algorithm: &'a [u8],
    /// The object identifier of the curve, if the parameters of the algorithm are one.
    pub curve: Option<&'a [u8]>,
    pub key: &'a [u8],
}

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Validity {
    /// What is wrong with these dates now, or within 30 days.
    pub fn problem(self, now: Timestamp) -> Option<Text> {
        let (from, until) = (date(self.not_before), date(self.not_after));
        if now < self.not_before {
            return Some(text!(
                "the certificate is not valid before {from}: clients refuse it; look whether the clock of \
                 this machine is right",
                "证书从 {from} 起才有效：客户端会拒绝它；请检查这台机器的时钟"
            ));
        }
        if now >= self.not_after {
            return Some(text!(
                "the certificate expired on {until}: clients refuse it; renew it",
                "证书已于 {until} 过期：客户端会拒绝它；请更换证书"
            ));
        }
        let left = self.not_after.since(now);
        let days = left.as_secs() / DAY_S;
        (left < RENEWAL).then(|| {
            text!(
                "the certificate expires on {until}, {days} days from now: renew it",
                "证书将于 {until} 过期，还有 {days} 天：请更换证书"
            )
        })
    }
}

fn date(at: Timestamp) -> String {
    let mut text = at.to_string();
    text.truncate("2026-01-31".len());
    text
}

/// The dates of a certificate; `None` if this is not a certificate.
pub fn validity(certificate: &[u8]) -> Option<Validity> {
    let mut signed = signed_part(certificate)?;
    // The algorithm and the issuer.
    for _ in 0..2 {
        signed.take(SEQUENCE)?;
    }
    let mut dates = Values(signed.take(SEQUENCE)?);
    Some(Validity {
        not_before: dates.take_time()?,
        not_after: dates.take_time()?,
    })
}

/// The public key of a certificate; `None` if this is not a certificate.
pub fn public_key(certificate: &[u8]) -> Option<PublicKeyInfo<'_>> {
    let mut signed = signed_part(certificate)?;
    // The algorithm, the issuer, the validity and the subject.
    for _ in 0..4 {
        signed.take(SEQUENCE)?;
    }
    let mut info = Values(signed.take(SEQUENCE)?);
    let mut algorithm = Values(info.take(SEQUENCE)?);
    let (unused_bits, key) = info.take(BIT_STRING)?.split_first()?;
    if *unused_bits != 0 || !info.0.is_empty() {
        return None;
    }
    Some(PublicKeyInfo {
        algorithm: algorithm.take(OBJECT_IDENTIFIER)?,
        curve: algorithm.take(OBJECT_IDENTIFIER),
        key,
    })
}

/// What the authority signed, after the serial number.
fn signed_part(certificate: &[u8]) -> Option<Values<'_>> {
    let mut outer = Values(certificate);
    let mut certificate = Values(outer.take(SEQUENCE)?);
    let mut signed = Values(certificate.take(SEQUENCE)?);
    if !outer.0.is_empty() {
        return None;
    }
    // Certificates of version 1 do not name their version.
    let _version = signed.take(EXPLICIT_VERSION);
    signed.take(INTEGER)?;
    Some(signed)
}

/// Reads `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` (RFC 5280 §4.1.2.5).
fn time(text: &[u8], year_digits: usize) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if text.len() != year_digits + 10 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = text.split_at(year_digits);
    let year: u16 = year.parse().ok()?;
    let year = match year_digits {
        2 if year < 50 => year + 2000,
        2 => year + 1900,
        _ => year,
    };
    let pair = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let (hour, minute, second) = (pair(4)?, pair(6)?, pair(8)?);
    if hour >= 24 || minute >= 60 || second >= 60 {
        return None;
    }
    let midnight = Timestamp::of_utc_date(year.into(), pair(0)?, pair(2)?)?;
    let seconds = (hour * 60 + minute) * 60 + second;
    Some(Timestamp::from_unix_s(midnight.unix_s() + seconds))
}

/// The values that are not read yet, one after the other.
struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    fn take_time(&mut self) -> Option<Timestamp> {
        if let Some(text) = self.take(UTC_TIME) {
            return time(text, 2);
        }
        time(self.take(GENERALIZED_TIME)?, 4)
    }

    /// The content of the next value, if it has this tag.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (&[first, length], rest) = self.0.split_first_chunk()?;
        if first != tag {
            return None;
        }
        let (length, rest) = match length {
            0..=0x7f => (usize::from(length), rest),
            0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
            0x82 => {
                let (bytes, rest) = rest.split_first_chunk()?;
                (usize::from(u16::from_be_bytes(*bytes)), rest)
            }
            // No certificate has 64 KiB.
            _ => return None,
        };
        let content = rest.get(..length)?;
        self.0 = &rest[length..];
        Some(content)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_a_problem_before_and_after_its_dates_and_near_their_end() {
        let validity = Validity {
            not_before: Timestamp::of_utc_date(2026, 1, 1).unwrap(),
            not_after: Timestamp::of_utc_date(2026, 6, 1).unwrap(),
        };
        let problem = |month, day| {
            let now = Timestamp::of_utc_date(2026, month, day).unwrap();
            validity.problem(now).map(|text| text.to_string())
        };
        assert_eq!(problem(1, 1), None);
        assert_eq!(problem(5, 2), None);
        let soon = problem(5, 3).unwrap();
        assert!(soon.contains("2026-06-01, 29 days from now"), "{soon}");
        assert!(problem(6, 1).unwrap().contains("expired on 2026-06-01"));
        let before = Timestamp::of_utc_date(2025, 12, 31).unwrap();
        let early = validity.problem(before).unwrap().to_string();
        assert!(early.contains("not valid before 2026-01-01"), "{early}");
    }
}
