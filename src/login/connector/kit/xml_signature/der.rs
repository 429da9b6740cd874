//! Reads the public key and the dates of an X.509 certificate. For signatures only the key matters: the
//! certificate is trusted because it stands in the metadata of the source.

use crate::clock::Timestamp;

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;

/// `SubjectPublicKeyInfo` of a certificate.
pub(super) struct PublicKeyInfo<'a> {
    /// The object identifier of the algorithm.
    pub(super) algorithm: &'a [u8],
    /// The object identifier of the curve, if the parameters of the algorithm are one.
    pub(super) curve: Option<&'a [u8]>,
    pub(super) key: &'a [u8],
}

/// When a certificate is valid. Signatures are verified at any time; the dates are for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
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
pub(super) fn public_key(certificate: &[u8]) -> Option<PublicKeyInfo<'_>> {
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
    let pair = |at: usize| &rest[at..at + 2];
    let date = format!(
        "{year:04}-{}-{}T{}:{}:{}Z",
        pair(0),
        pair(2),
        pair(4),
        pair(6),
        pair(8)
    );
    super::super::xml::timestamp(&date)
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
