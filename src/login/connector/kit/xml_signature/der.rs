//! Reads the public key of an X.509 certificate. Nothing else in the certificate matters here: it is trusted
//! because it stands in the metadata of the source.

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
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

/// The public key of a certificate; `None` if this is not a certificate.
pub(super) fn public_key(certificate: &[u8]) -> Option<PublicKeyInfo<'_>> {
    let mut outer = Values(certificate);
    let mut certificate = Values(outer.take(SEQUENCE)?);
    let mut signed = Values(certificate.take(SEQUENCE)?);
    if !outer.0.is_empty() {
        return None;
    }
    // Certificates of version 1 do not name their version.
    let _version = signed.take(EXPLICIT_VERSION);
    signed.take(INTEGER)?;
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

/// The values that are not read yet, one after the other.
struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
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
