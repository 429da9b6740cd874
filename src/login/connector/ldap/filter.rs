//! `Filter`: a search filter (RFC 4515) that is parsed once and encoded for each search.
//!
//! What a person typed is put into the parsed tree, never into the text, so no character of it can change
//! the filter.

use zeroize::Zeroizing;

use super::ber;

/// The deepest nesting of a filter.
const DEPTH_MAX: usize = 32;

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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at character {at}")]
pub(super) struct InvalidFilter {
    message: &'static str,
    /// Counted from one.
    at: usize,
}

impl Filter {
    /// Parses a filter. `{login}` and `{dn}` in a value are placeholders.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidFilter> {
        let mut parser = Parser { text, at: 0 };
        let filter = parser.filter(DEPTH_MAX)?;
        match parser.rest().is_empty() {
            true => Ok(filter),
            false => Err(parser.error("there is text after the filter")),
        }
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

struct Parser<'a> {
    text: &'a str,
    /// The position in bytes.
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn error(&self, message: &'static str) -> InvalidFilter {
        InvalidFilter {
            message,
            at: self.text[..self.at].chars().count() + 1,
        }
    }

    fn skip(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn expect(&mut self, text: &str, message: &'static str) -> Result<(), InvalidFilter> {
        match self.skip(text) {
            true => Ok(()),
            false => Err(self.error(message)),
        }
    }

    fn filter(&mut self, depth: usize) -> Result<Filter, InvalidFilter> {
        let depth = depth
            .checked_sub(1)
            .ok_or_else(|| self.error("the filter is nested too deeply"))?;
        self.expect("(", "a `(` is missing")?;
        let filter = if self.skip("&") {
            Filter::And(self.filters(depth)?)
        } else if self.skip("|") {
            Filter::Or(self.filters(depth)?)
        } else if self.skip("!") {
            Filter::Not(Box::new(self.filter(depth)?))
        } else {
            self.item()?
        };
        self.expect(")", "a `)` is missing")?;
        Ok(filter)
    }

    fn filters(&mut self, depth: usize) -> Result<Vec<Filter>, InvalidFilter> {
        let mut filters = vec![self.filter(depth)?];
        while self.rest().starts_with('(') {
            filters.push(self.filter(depth)?);
        }
        Ok(filters)
    }

    fn item(&mut self) -> Result<Filter, InvalidFilter> {
        let start = self.at;
        let length = self.rest().find(['=', '~', '<', '>', ':', '(', ')']);
        let attribute = &self.rest()[..length.unwrap_or(0)];
        self.at += attribute.len();
        if self.rest().starts_with(':') {
            return self.extensible(attribute, start);
        }
        if !is_attribute(attribute) {
            self.at = start;
            return Err(self.error("the name of an attribute is missing"));
        }
        for (sign, tag) in [
            ("~=", APPROXIMATE),
            (">=", GREATER_OR_EQUAL),
            ("<=", LESS_OR_EQUAL),
        ] {
            if self.skip(sign) {
                return Ok(Filter::Compare {
                    tag,
                    attribute: attribute.to_owned(),
                    value: self.value(false)?,
                });
            }
        }
        self.expect("=", "a `=` is missing")?;
        self.equality_or_substrings(attribute)
    }

    fn equality_or_substrings(&mut self, attribute: &str) -> Result<Filter, InvalidFilter> {
        let attribute = attribute.to_owned();
        let first = self.value(true)?;
        if !self.skip("*") {
            return Ok(Filter::Compare {
                tag: EQUALITY,
                attribute,
                value: first,
            });
        }
        if first.is_empty() && self.rest().starts_with(')') {
            return Ok(Filter::Present(attribute));
        }
        let mut middle = Vec::new();
        let last = loop {
            let part = self.value(true)?;
            if !self.skip("*") {
                break part;
            }
            if part.is_empty() {
                return Err(self.error("there are two `*` without text between them"));
            }
            middle.push(part);
        };
        let unless_empty = |part: Template| Some(part).filter(|part| !part.is_empty());
        Ok(Filter::Substrings {
            attribute,
            first: unless_empty(first),
            middle,
            last: unless_empty(last),
        })
    }

    /// `attribute:dn:rule:=value`, in which the attribute or the rule may be absent.
    fn extensible(&mut self, attribute: &str, start: usize) -> Result<Filter, InvalidFilter> {
        let matches_dn = self.rest().to_ascii_lowercase().starts_with(":dn:");
        if matches_dn {
            self.at += ":dn".len();
        }
        let mut rule = None;
        if !self.rest().starts_with(":=") {
            self.at += 1;
            let length = self.rest().find(':').unwrap_or(0);
            let name = &self.rest()[..length];
            if !is_attribute(name) {
                return Err(self.error("the name of a matching rule is missing"));
            }
            rule = Some(name.to_owned());
            self.at += length;
        }
        self.expect(":=", "a `:=` is missing")?;
        let attribute = Some(attribute).filter(|name| !name.is_empty());
        if attribute.is_some_and(|name| !is_attribute(name))
            || (attribute.is_none() && rule.is_none())
        {
            self.at = start;
            return Err(self.error("the name of an attribute is missing"));
        }
        Ok(Filter::Extensible {
            rule,
            attribute: attribute.map(str::to_owned),
            value: self.value(false)?,
            matches_dn,
        })
    }

    /// A value up to `)`, or to `*` where that has a meaning.
    fn value(&mut self, ends_at_star: bool) -> Result<Template, InvalidFilter> {
        let (mut parts, mut bytes) = (Vec::new(), Vec::new());
        loop {
            let placeholder = [("{login}", Placeholder::Login), ("{dn}", Placeholder::Dn)]
                .into_iter()
                .find(|(text, _)| self.rest().starts_with(text));
            if let Some((text, placeholder)) = placeholder {
                self.at += text.len();
                if !bytes.is_empty() {
                    parts.push(Part::Bytes(std::mem::take(&mut bytes)));
                }
                parts.push(Part::Placeholder(placeholder));
                continue;
            }
            match self.rest().chars().next() {
                Some('*') if ends_at_star => break,
                Some(')') | None => break,
                Some('\\') => bytes.push(self.escaped()?),
                Some('(' | '*' | '\0') => {
                    return Err(
                        self.error("`(`, `*` and NUL in a value are written \\28, \\2a and \\00")
                    );
                }
                Some(letter) => {
                    self.at += letter.len_utf8();
                    bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
        }
        if !bytes.is_empty() {
            parts.push(Part::Bytes(bytes));
        }
        Ok(parts)
    }

    fn escaped(&mut self) -> Result<u8, InvalidFilter> {
        let digits = self.rest().get(1..3);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let byte = byte.ok_or_else(|| self.error("`\\` needs two hexadecimal digits"))?;
        self.at += 3;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests;
