//! BER as LDAP uses it (RFC 4511 §5.1): tags of one byte and definite lengths.

use zeroize::Zeroizing;

use crate::text;
use crate::wording::{Text, error_of_text};

/// The tags of the universal types.
pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The low bits of a tag byte that announce further tag bytes, which LDAP does not use.
const LONG_TAG: u8 = 0x1f;

/// The bit of the first length byte that announces further length bytes.
const LONG_LENGTH: u8 = 0x80;

/// The most further length bytes. Active Directory always sends four.
const LENGTH_BYTES_MAX: usize = 4;

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) Text);

impl Malformed {
    fn text(&self) -> Text {
        let Self(it) = self;
        it.clone()
    }
}

error_of_text!(Malformed);

/// The tag and the lengths of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) tag: u8,
    pub(super) header_bytes: usize,
    pub(super) content_bytes: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` if it continues after them.
    pub(super) fn read(bytes: &[u8]) -> Result<Option<Self>, Malformed> {
        let (tag, first) = match bytes {
            [tag, ..] if tag & LONG_TAG == LONG_TAG => {
                return Err(Malformed(text!("a tag of several bytes", "标签有多个字节")));
            }
            [tag, first, ..] => (*tag, *first),
            _ => return Ok(None),
        };
        if first & LONG_LENGTH == 0 {
            return Ok(Some(Self {
                tag,
                header_bytes: 2,
                content_bytes: usize::from(first),
            }));
        }
        let count = usize::from(first & !LONG_LENGTH);
        if count == 0 || count > LENGTH_BYTES_MAX {
            return Err(Malformed(text!(
                "an indefinite length, or one of more than four bytes",
                "长度不确定，或长度字段超过四个字节"
            )));
        }
        let Some(length) = bytes.get(2..2 + count) else {
            return Ok(None);
        };
        let content_bytes = length
            .iter()
            .fold(0, |length, byte| length << 8 | usize::from(*byte));
        Ok(Some(Self {
            tag,
            header_bytes: 2 + count,
            content_bytes,
        }))
    }
}

/// Reads elements one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag and the content of the next element.
    pub(super) fn next(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        const CUT_OFF: Malformed =
            Malformed(Text::fixed("an element that is cut off", "元素被截断"));
        let header = Header::read(self.0)?.ok_or(CUT_OFF)?;
        let whole = header.header_bytes + header.content_bytes;
        let (element, rest) = self.0.split_at_checked(whole).ok_or(CUT_OFF)?;
        self.0 = rest;
        Ok((header.tag, &element[header.header_bytes..]))
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        match self.next()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(Malformed(text!(
                "an element of another type than expected",
                "元素的类型与预期不符"
            ))),
        }
    }

    /// The content of the next element, if it has this tag.
    pub(super) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        match self.0.first() {
            Some(found) if *found == tag => self.expect(tag).map(Some),
            _ => Ok(None),
        }
    }

    /// The number in the next element, which must have this tag.
    pub(super) fn number(&mut self, tag: u8) -> Result<i32, Malformed> {
        number(self.expect(tag)?)
    }

    /// Refuses further elements.
    pub(super) fn end(&self) -> Result<(), Malformed> {
        match self.is_at_end() {
            true => Ok(()),
            false => Err(Malformed(text!(
                "bytes after the last element",
                "最后一个元素之后还有字节"
            ))),
        }
    }
}

/// Reads the content of an `INTEGER` or `ENUMERATED`.
pub(super) fn number(content: &[u8]) -> Result<i32, Malformed> {
    let (first, _) = content
        .split_first()
        .filter(|_| content.len() <= 4)
        .ok_or_else(|| {
            Malformed(text!(
                "a number that is empty or too large",
                "数字为空或过大"
            ))
        })?;
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Ok(content
        .iter()
        .fold(sign, |number: i32, byte| number << 8 | i32::from(*byte)))
}

/// An element with the concatenation of `parts` as its content. Wiped when it is dropped, because it may
/// hold a password.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let content_bytes: usize = parts.iter().map(|part| part.len()).sum();
    // The exact capacity, because a larger buffer would leave a copy behind.
    let mut element = Vec::with_capacity(content_bytes + 2 + size_of::<usize>());
    element.push(tag);
    if content_bytes < usize::from(LONG_LENGTH) {
        element.push(content_bytes as u8);
    } else {
        let length = content_bytes.to_be_bytes();
        let zeros = length.iter().take_while(|byte| **byte == 0).count();
        element.push(LONG_LENGTH | (length.len() - zeros) as u8);
        element.extend_from_slice(&length[zeros..]);
    }
    for part in parts {
        element.extend_from_slice(part);
    }
    Zeroizing::new(element)
}

/// An element with a number that is not negative.
pub(super) fn number_element(tag: u8, number: u32) -> Zeroizing<Vec<u8>> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let digits = &bytes[zeros.min(bytes.len() - 1)..];
    // The first bit is the sign.
    match digits[0] & 0x80 {
        0 => element(tag, &[digits]),
        _ => element(tag, &[&[0], digits]),
    }
}

/// An element that holds these elements.
pub(super) fn list(tag: u8, elements: &[Zeroizing<Vec<u8>>]) -> Zeroizing<Vec<u8>> {
    let parts: Vec<&[u8]> = elements.iter().map(|one| one.as_slice()).collect();
    element(tag, &parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_and_read() {
        for number in [0, 1, 127, 128, 255, 256, 65_535, 1_000_000, i32::MAX as u32] {
            let written = number_element(INTEGER, number);
            let mut reader = Reader::new(&written);
            assert_eq!(reader.number(INTEGER), Ok(number as i32));
            assert_eq!(reader.end(), Ok(()));
        }
        assert_eq!(number_element(INTEGER, 128).as_slice(), [2, 2, 0, 128]);
        assert_eq!(super::number(&[0xff]), Ok(-1));
        assert!(super::number(&[]).is_err() && super::number(&[0; 5]).is_err());
    }

    #[test]
    fn lengths_of_every_size_are_read() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![b'x'; length];
            let written = element(OCTET_STRING, &[&content]);
            assert_eq!(Reader::new(&written).expect(OCTET_STRING), Ok(&*content));
        }
        // Active Directory pads lengths.
        let padded = [0x04, 0x84, 0, 0, 0, 1, b'x'];
        assert_eq!(
            Reader::new(&padded).expect(OCTET_STRING),
            Ok(b"x".as_slice())
        );
    }

    #[test]
    fn malformed_elements_are_refused() {
        for bytes in [
            // Indefinite length, a length of five bytes, a long tag.
            &[0x30, 0x80, 0, 0][..],
            &[0x04, 0x85, 0, 0, 0, 0, 0],
            &[0x1f, 0x01, 0],
            // Longer than the rest.
            &[0x04, 2, b'x'],
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff, b'x'],
            &[0x04],
            &[],
        ] {
            assert!(Reader::new(bytes).next().is_err(), "{bytes:?}");
        }
        let mut reader = Reader::new(&[0x04, 0, 0x02]);
        assert_eq!(reader.optional(INTEGER), Ok(None));
        assert_eq!(reader.optional(OCTET_STRING), Ok(Some(&[][..])));
        assert!(reader.end().is_err());
    }
}
