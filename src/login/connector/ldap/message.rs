//! The messages of LDAP (RFC 4511) that menshen sends and reads.

use zeroize::Zeroizing;

use super::ber::{self, Malformed, Reader};
use super::error::TEXT_WITH_PASSWORD;
use crate::text;

/// The tags of operations.
const BIND_REQUEST: u8 = 0x60;
pub(super) const BIND_RESPONSE: u8 = 0x61;
const UNBIND_REQUEST: u8 = 0x42;
const SEARCH_REQUEST: u8 = 0x63;
pub(super) const SEARCH_ENTRY: u8 = 0x64;
pub(super) const SEARCH_DONE: u8 = 0x65;
pub(super) const SEARCH_REFERENCE: u8 = 0x73;
const EXTENDED_REQUEST: u8 = 0x77;
pub(super) const EXTENDED_RESPONSE: u8 = 0x78;

const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// Password policy (draft-behera-ldap-password-policy), in requests and responses.
const PASSWORD_POLICY: &[u8] = b"1.3.6.1.4.1.42.2.27.8.5.1";

/// The password has expired or was reset, from Netscape's directory and its descendants.
const PASSWORD_EXPIRED: &[u8] = b"2.16.840.1.113730.3.4.4";

/// Result codes.
pub(super) const SUCCESS: i32 = 0;
pub(super) const SIZE_LIMIT_EXCEEDED: i32 = 4;
pub(super) const REFERRAL: i32 = 10;
pub(super) const NO_SUCH_OBJECT: i32 = 32;

/// The longest message of a directory in an error, in characters.
const TEXT_CHARS_MAX: usize = 300;

/// The part of a directory that a search covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SearchScope {
    Base,
    OneLevel,
    Subtree,
}

/// A search. Aliases are not followed.
#[derive(Clone, Debug)]
pub(super) struct SearchRequest<'a> {
    pub(super) base: &'a str,
    pub(super) scope: SearchScope,
    pub(super) size_limit: usize,
    /// The encoded filter.
    pub(super) filter: &'a [u8],
    pub(super) attributes: &'a [String],
}

type Encoded = Zeroizing<Vec<u8>>;

fn message(id: u32, operation: Encoded, controls: Option<Encoded>) -> Encoded {
    let mut elements = vec![ber::number_element(ber::INTEGER, id), operation];
    elements.extend(controls);
    ber::list(ber::SEQUENCE, &elements)
}

/// A simple bind that asks for the state of the password.
pub(super) fn bind(id: u32, name: &str, password: &str) -> Encoded {
    let operation = [
        ber::number_element(ber::INTEGER, 3),
        ber::element(ber::OCTET_STRING, &[name.as_bytes()]),
        ber::element(0x80, &[password.as_bytes()]),
    ];
    let control = ber::element(ber::OCTET_STRING, &[PASSWORD_POLICY]);
    let controls = ber::list(0xa0, &[ber::list(ber::SEQUENCE, &[control])]);
    message(id, ber::list(BIND_REQUEST, &operation), Some(controls))
}

pub(super) fn search(id: u32, request: &SearchRequest<'_>, time_limit_s: u32) -> Encoded {
    let scope = match request.scope {
        SearchScope::Base => 0,
        SearchScope::OneLevel => 1,
        SearchScope::Subtree => 2,
    };
    let names = request.attributes.iter();
    let names: Vec<_> = names
        .map(|name| ber::element(ber::OCTET_STRING, &[name.as_bytes()]))
        .collect();
    let size_limit = u32::try_from(request.size_limit).unwrap_or(u32::MAX);
    let operation = [
        ber::element(ber::OCTET_STRING, &[request.base.as_bytes()]),
        ber::number_element(ber::ENUMERATED, scope),
        ber::number_element(ber::ENUMERATED, 0),
        ber::number_element(ber::INTEGER, size_limit),
        ber::number_element(ber::INTEGER, time_limit_s),
        ber::element(ber::BOOLEAN, &[&[0]]),
        Zeroizing::new(request.filter.to_vec()),
        ber::list(ber::SEQUENCE, &names),
    ];
    message(id, ber::list(SEARCH_REQUEST, &operation), None)
}

pub(super) fn start_tls(id: u32) -> Encoded {
    let name = ber::element(0x80, &[START_TLS]);
    message(id, ber::list(EXTENDED_REQUEST, &[name]), None)
}

pub(super) fn unbind(id: u32) -> Encoded {
    message(id, ber::element(UNBIND_REQUEST, &[]), None)
}

/// A message of the directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) id: i32,
    pub(super) tag: u8,
    /// The content of the operation.
    pub(super) operation: &'a [u8],
    controls: Option<&'a [u8]>,
}

impl<'a> Message<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut outer = Reader::new(bytes);
        let mut inner = Reader::new(outer.expect(ber::SEQUENCE)?);
        outer.end()?;
        let id = inner.number(ber::INTEGER)?;
        let (tag, operation) = inner.next()?;
        // Active Directory puts the name of an unsolicited notice in the place of the controls. Such a notice
        // ends the connection whatever it says.
        if id == 0 {
            return Ok(Self {
                id,
                tag,
                operation,
                controls: None,
            });
        }
        let controls = inner.optional(0xa0)?;
        inner.end()?;
        Ok(Self {
            id,
            tag,
            operation,
            controls,
        })
    }
}

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OperationResult {
    pub(super) code: i32,
    /// The message of the directory, without control characters and limited in length.
    pub(super) text: String,
    /// The URLs to which result 10 refers, limited in length.
    pub(super) referrals: String,
}

impl OperationResult {
    /// Reads the result, and what only binds and extended operations have after it.
    pub(super) fn parse(operation: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(operation);
        let code = reader.number(ber::ENUMERATED)?;
        reader.expect(ber::OCTET_STRING)?;
        let text = printable(reader.expect(ber::OCTET_STRING)?);
        let mut referrals = String::new();
        if let Some(content) = reader.optional(0xa3)? {
            let mut urls = Reader::new(content);
            while !urls.is_at_end() {
                let url = printable(urls.expect(ber::OCTET_STRING)?);
                if referrals.len() < TEXT_CHARS_MAX {
                    referrals.push_str(if referrals.is_empty() { "" } else { " " });
                    referrals.push_str(&url);
                }
            }
        }
        reader.optional(0x87)?;
        reader.optional(0x8a)?;
        reader.optional(0x8b)?;
        reader.end()?;
        Ok(Self {
            code,
            text,
            referrals,
        })
    }
}

/// The answer to a bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BindAnswer {
    /// Its `text` may repeat the password: log [`Self::loggable_text`].
    pub(super) result: OperationResult,
    pub(super) password: PasswordState,
    /// Whether the message repeats the password.
    pub(super) repeats_password: bool,
}

impl BindAnswer {
    /// The message of the directory, for the log.
    pub(super) fn loggable_text(&self) -> &str {
        match self.repeats_password {
            true => TEXT_WITH_PASSWORD,
            false => self.result.text.trim(),
        }
    }
}

/// A text of the directory for a log.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control())
        .take(TEXT_CHARS_MAX)
        .collect()
}

/// An entry that a search found.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) dn: String,
    pub(super) attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("dn", &self.dn)
            .finish_non_exhaustive()
    }
}

impl Entry {
    pub(super) fn parse(operation: &[u8]) -> Result<Self, Malformed> {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec());
            text.map_err(|_| Malformed(text!("a name that is not UTF-8", "名称不是 UTF-8")))
        };
        let mut reader = Reader::new(operation);
        let dn = text(reader.expect(ber::OCTET_STRING)?)?;
        let mut list = Reader::new(reader.expect(ber::SEQUENCE)?);
        reader.end()?;
        let mut attributes = Vec::new();
        while !list.is_at_end() {
            let mut attribute = Reader::new(list.expect(ber::SEQUENCE)?);
            let name = text(attribute.expect(ber::OCTET_STRING)?)?;
            let mut set = Reader::new(attribute.expect(ber::SET)?);
            attribute.end()?;
            let mut values = Vec::new();
            while !set.is_at_end() {
                values.push(set.expect(ber::OCTET_STRING)?.to_vec());
            }
            attributes.push((name, values));
        }
        Ok(Self { dn, attributes })
    }

    /// The values of an attribute; empty if the entry does not have it. Names compare without case.
    pub(super) fn values(&self, name: &str) -> &[Vec<u8>] {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map_or(&[], |(_, values)| values.as_slice())
    }
}

/// What the controls of a bind response say about the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasswordState {
    /// Nothing, or a warning.
    Usable,
    Expired,
    Locked,
    MustChange,
}

impl PasswordState {
    pub(super) fn of(message: &Message<'_>) -> Result<Self, Malformed> {
        let mut state = Self::Usable;
        let mut controls = Reader::new(message.controls.unwrap_or_default());
        while !controls.is_at_end() {
            let mut control = Reader::new(controls.expect(ber::SEQUENCE)?);
            let name = control.expect(ber::OCTET_STRING)?;
            control.optional(ber::BOOLEAN)?;
            let value = control.optional(ber::OCTET_STRING)?;
            control.end()?;
            let found = match name {
                PASSWORD_EXPIRED => Self::MustChange,
                PASSWORD_POLICY => Self::of_policy(value.unwrap_or_default())?,
                _ => Self::Usable,
            };
            if state == Self::Usable {
                state = found;
            }
        }
        Ok(state)
    }

    fn of_policy(value: &[u8]) -> Result<Self, Malformed> {
        if value.is_empty() {
            return Ok(Self::Usable);
        }
        let mut outer = Reader::new(value);
        let mut response = Reader::new(outer.expect(ber::SEQUENCE)?);
        outer.end()?;
        response.optional(0xa0)?;
        let error = response.optional(0x81)?;
        response.end()?;
        Ok(match error.map(ber::number).transpose()? {
            Some(0) => Self::Expired,
            Some(1) => Self::Locked,
            Some(2) => Self::MustChange,
            _ => Self::Usable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bind_has_the_form_of_the_standard() {
        let expected = b"\x30\x33\x02\x01\x05\x60\x0c\x02\x01\x03\x04\x04cn=a\x80\x01x\
                         \xa0\x20\x30\x1e\x04\x1c";
        let bind = bind(5, "cn=a", "x");
        let end = bind.len() - PASSWORD_POLICY.len();
        assert_eq!(&bind[end..], PASSWORD_POLICY);
        assert_eq!(bind[5..19], expected[5..19]);
        assert_eq!(usize::from(bind[1]) + 2, bind.len());
    }

    #[test]
    fn a_result_with_what_follows_it_is_read() {
        let done = b"\x0a\x01\x0a\x04\x00\x04\x02\x07n\xa3\x07\x04\x05ldap:";
        let result = OperationResult::parse(done).unwrap();
        assert_eq!((result.code, &*result.text), (10, "n"));
        assert_eq!(result.referrals, "ldap:");
        assert!(OperationResult::parse(b"\x0a\x01\x00\x04\x00").is_err());
        assert!(OperationResult::parse(b"\x0a\x01\x00\x04\x00\x04\x00\x04\x00").is_err());
    }

    #[test]
    fn a_message_with_bytes_too_many_or_too_few_is_refused() {
        let good = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(Message::parse(good).unwrap().id, 1);
        for length in 0..good.len() {
            assert!(Message::parse(&good[..length]).is_err(), "{length}");
        }
        let mut longer = good.to_vec();
        longer.push(0);
        assert!(Message::parse(&longer).is_err());
        longer[1] += 1;
        assert!(Message::parse(&longer).is_err());
    }
}
