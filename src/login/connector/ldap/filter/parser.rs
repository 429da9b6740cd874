//! Parses the text of a filter (RFC 4515 §3).

use super::{
    APPROXIMATE, EQUALITY, Filter, GREATER_OR_EQUAL, InvalidFilter, LESS_OR_EQUAL, Part,
    Placeholder, Template, is_attribute,
};
use crate::text;
use crate::wording::Text;

/// The deepest nesting of a filter.
const DEPTH_MAX: usize = 32;

pub(super) fn parse(text: &str) -> Result<Filter, InvalidFilter> {
    let mut parser = Parser { text, at: 0 };
    let filter = parser.filter(DEPTH_MAX)?;
    match parser.rest().is_empty() {
        true => Ok(filter),
        false => Err(parser.error(text!(
            "there is text after the filter",
            "过滤器之后还有文本"
        ))),
    }
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

    fn error(&self, message: Text) -> InvalidFilter {
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

    fn expect(&mut self, text: &str, message: Text) -> Result<(), InvalidFilter> {
        match self.skip(text) {
            true => Ok(()),
            false => Err(self.error(message)),
        }
    }

    fn filter(&mut self, depth: usize) -> Result<Filter, InvalidFilter> {
        let depth = depth.checked_sub(1).ok_or_else(|| {
            self.error(text!("the filter is nested too deeply", "过滤器嵌套过深"))
        })?;
        self.expect("(", text!("a `(` is missing", "缺少 `(`"))?;
        let filter = if self.skip("&") {
            Filter::And(self.filters(depth)?)
        } else if self.skip("|") {
            Filter::Or(self.filters(depth)?)
        } else if self.skip("!") {
            Filter::Not(Box::new(self.filter(depth)?))
        } else {
            self.item()?
        };
        self.expect(")", text!("a `)` is missing", "缺少 `)`"))?;
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
            return Err(self.error(text!("the name of an attribute is missing", "缺少属性名")));
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
        self.expect("=", text!("a `=` is missing", "缺少 `=`"))?;
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
                return Err(self.error(text!(
                    "there are two `*` without text between them",
                    "两个 `*` 之间没有文本"
                )));
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
                return Err(self.error(text!(
                    "the name of a matching rule is missing",
                    "缺少匹配规则的名字"
                )));
            }
            rule = Some(name.to_owned());
            self.at += length;
        }
        self.expect(":=", text!("a `:=` is missing", "缺少 `:=`"))?;
        let attribute = Some(attribute).filter(|name| !name.is_empty());
        if attribute.is_some_and(|name| !is_attribute(name))
            || (attribute.is_none() && rule.is_none())
        {
            self.at = start;
            return Err(self.error(text!("the name of an attribute is missing", "缺少属性名")));
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
                    return Err(self.error(text!(
                        "`(`, `*` and NUL in a value are written \\28, \\2a and \\00",
                        "值中的 `(`、`*` 和 NUL 应写成 \\28、\\2a 和 \\00"
                    )));
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
        let byte = byte.ok_or_else(|| {
            self.error(text!(
                "`\\` needs two hexadecimal digits",
                "`\\` 之后需要两位十六进制数字"
            ))
        })?;
        self.at += 3;
        Ok(byte)
    }
}
