//! `Filter`: a search filter (RFC 4515) that is parsed once and encoded for each search.
//!
//! What a person typed is put into the parsed tree, never into the text, so no character of it can change
//! the filter.

use zeroize::Zeroizing;

use super::ber;

use crate::text;
use crate::wording::{Text, error_of_text};

mod parser;

/// The tags of a filter (RFC 4511 §4.5.1.7).
const AND: u8 = 0xa0;
const OR: u8 = 0xa1;
const NOT: u8 = 0xa2;
const EQUALITY: u8 = 0xa3;
const SUBSTRINGS: u8 = 0xa4;
const GREATER_OR_EQUAL: u8 = 0xa5;
const LESS_OR_EQUAL: u8 = 0xa6;
const PRESENT: u8 = 0x87;
const APPROXIMATE: u8 = 0xa8;
const EXTENSIBLE: u8 = 0xa9;

/// A parsed filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// Equality, order or approximate match, by its tag.
    Compare {
        tag: u8,
        attribute: String,
        value: Template,
    },
    Substrings {
        attribute: String,
        first: Option<Template>,
        middle: Vec<Template>,
        last: Option<Template>,
    },
    Present(String),
    Extensible {
        rule: Option<String>,
        attribute: Option<String>,
        value: Template,
        matches_dn: bool,
    },
}

/// A value with placeholders.
pub(super) type Template = Vec<Part>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Bytes(Vec<u8>),
    Placeholder(Placeholder),
}

/// A part of a value that differs from search to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    Login,
    Dn,
}

/// The values of the placeholders.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Values<'a> {
    pub(super) login: &'a str,
    pub(super) dn: &'a str,
}

/// Why a text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InvalidFilter {
    message: Text,
    /// The position of the mistake, counted from one.
    at: usize,
}

impl InvalidFilter {
    fn text(&self) -> Text {
        let Self { message, at } = self;
        text!("{message} at character {at}", "第 {at} 个字符：{message:#}")
    }
}

error_of_text!(InvalidFilter);

impl Filter {
    /// Parses a filter. `{login}` and `{dn}` in a value are placeholders.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidFilter> {
        parser::parse(text)
    }

    pub(super) fn equals(attribute: &str, value: Vec<u8>) -> Self {
        Self::Compare {
            tag: EQUALITY,
            attribute: attribute.to_owned(),
            value: vec![Part::Bytes(value)],
        }
    }

    /// The entry has a value of this attribute that equals the login.
    pub(super) fn equals_login(attribute: &str) -> Self {
        Self::Compare {
            tag: EQUALITY,
            attribute: attribute.to_owned(),
            value: vec![Part::Placeholder(Placeholder::Login)],
        }
    }

    /// Whether a value has this placeholder.
    pub(super) fn has(&self, placeholder: Placeholder) -> bool {
        let in_value = |value: &Template| value.contains(&Part::Placeholder(placeholder));
        match self {
            Self::And(filters) | Self::Or(filters) => {
                filters.iter().any(|filter| filter.has(placeholder))
            }
            Self::Not(filter) => filter.has(placeholder),
            Self::Compare { value, .. } | Self::Extensible { value, .. } => in_value(value),
            Self::Substrings {
                first,
                middle,
                last,
                ..
            } => first.iter().chain(middle).chain(last).any(in_value),
            Self::Present(_) => false,
        }
    }

    /// The BER encoding with the values in place of the placeholders.
    pub(super) fn encode(&self, values: Values<'_>) -> Zeroizing<Vec<u8>> {
        let text = |text: &str| ber::element(ber::OCTET_STRING, &[text.as_bytes()]);
        match self {
            Self::And(filters) => encode_list(AND, filters, values),
            Self::Or(filters) => encode_list(OR, filters, values),
            Self::Not(filter) => ber::list(NOT, &[filter.encode(values)]),
            Self::Compare {
                tag,
                attribute,
                value,
            } => {
                let value = encode_value(ber::OCTET_STRING, value, values);
                ber::list(*tag, &[text(attribute), value])
            }
            Self::Substrings {
                attribute,
                first,
                middle,
                last,
            } => {
                let tagged = first
                    .iter()
                    .map(|part| (0x80, part))
                    .chain(middle.iter().map(|part| (0x81, part)))
                    .chain(last.iter().map(|part| (0x82, part)));
                let parts: Vec<_> = tagged
                    .map(|(tag, part)| encode_value(tag, part, values))
                    .collect();
                let parts = ber::list(ber::SEQUENCE, &parts);
                ber::list(SUBSTRINGS, &[text(attribute), parts])
            }
            Self::Present(attribute) => ber::element(PRESENT, &[attribute.as_bytes()]),
            Self::Extensible {
                rule,
                attribute,
                value,
                matches_dn,
            } => {
                let mut elements = Vec::new();
                for (tag, name) in [(0x81, rule), (0x82, attribute)] {
                    if let Some(name) = name {
                        elements.push(ber::element(tag, &[name.as_bytes()]));
                    }
                }
                elements.push(encode_value(0x83, value, values));
                if *matches_dn {
                    elements.push(ber::element(0x84, &[&[0xff]]));
                }
                ber::list(EXTENSIBLE, &elements)
            }
        }
    }
}

fn encode_list(tag: u8, filters: &[Filter], values: Values<'_>) -> Zeroizing<Vec<u8>> {
    let encoded: Vec<_> = filters.iter().map(|filter| filter.encode(values)).collect();
    ber::list(tag, &encoded)
}

/// One of these encoded filters matches.
pub(super) fn any_of(filters: &[Zeroizing<Vec<u8>>]) -> Zeroizing<Vec<u8>> {
    ber::list(OR, filters)
}

fn encode_value(tag: u8, value: &Template, values: Values<'_>) -> Zeroizing<Vec<u8>> {
    let parts = value.iter().map(|part| match part {
        Part::Bytes(bytes) => bytes.as_slice(),
        Part::Placeholder(Placeholder::Login) => values.login.as_bytes(),
        Part::Placeholder(Placeholder::Dn) => values.dn.as_bytes(),
    });
    ber::element(tag, &parts.collect::<Vec<_>>())
}

/// Whether a text is an attribute description: a name or an OID, with options.
pub(super) fn is_attribute(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';' | '_');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_allowed)
}

#[cfg(test)]
mod tests;
