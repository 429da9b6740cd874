//! `Dn`: a distinguished name (RFC 4514), parsed to compare names and to read their first value.

use std::fmt::Write as _;

use crate::wording::{Text, error_of_text};

/// The most relative names in a DN.
const RDNS_MAX: usize = 64;

/// A parsed DN. Two are equal if they differ only in case, spaces around separators, or escapes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Dn {
    /// The relative names, the most specific one first; each with its attributes and values, folded.
    rdns: Vec<Vec<(String, Vec<u8>)>>,
}

/// The text is not a DN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidDn;

impl InvalidDn {
    fn text(&self) -> Text {
        Text::fixed(
            "not a distinguished name such as \"ou=people,dc=corp,dc=example\"",
            "不是专有名称（DN），写法例如 \"ou=people,dc=corp,dc=example\"",
        )
    }
}

error_of_text!(InvalidDn);

impl Dn {
    /// Parses a DN of at least one relative name.
    pub(super) fn parse(text: &str) -> Result<Self, InvalidDn> {
        let mut rest = text.as_bytes();
        let mut rdns = vec![Vec::new()];
        loop {
            let (attribute, value, separator) = pair(&mut rest)?;
            let folded = match String::from_utf8(value) {
                Ok(text) => text.to_lowercase().into_bytes(),
                Err(error) => error.into_bytes(),
            };
            if let Some(rdn) = rdns.last_mut() {
                rdn.push((attribute.to_ascii_lowercase(), folded));
            }
            match separator {
                None => break,
                Some(b'+') => {}
                Some(_) if rdns.len() < RDNS_MAX => rdns.push(Vec::new()),
                Some(_) => return Err(InvalidDn),
            }
        }
        for rdn in &mut rdns {
            rdn.sort();
        }
        Ok(Self { rdns })
    }

    /// Whether this name is below `base`.
    pub(super) fn is_below(&self, base: &Self) -> bool {
        self.is_within(base) && self.rdns.len() > base.rdns.len()
    }

    /// Whether this name is `base` or below it.
    pub(super) fn is_within(&self, base: &Self) -> bool {
        self.rdns.ends_with(&base.rdns)
    }
}

/// The first value of a DN, as written: `admins` of `cn=admins,ou=groups,dc=corp`; `None` if the text is no DN
/// or the value is not UTF-8.
pub(super) fn first_value(text: &str) -> Option<String> {
    Dn::parse(text).ok()?;
    let (_, value, _) = pair(&mut text.as_bytes()).ok()?;
    String::from_utf8(value).ok()
}

/// Reads `attribute=value` and the separator after it.
fn pair(rest: &mut &[u8]) -> Result<(String, Vec<u8>, Option<u8>), InvalidDn> {
    let equals = rest
        .iter()
        .position(|byte| *byte == b'=')
        .ok_or(InvalidDn)?;
    let attribute = std::str::from_utf8(&rest[..equals]).map_err(|_| InvalidDn)?;
    let attribute = attribute.trim_matches(' ');
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if attribute.is_empty() || !attribute.chars().all(is_allowed) {
        return Err(InvalidDn);
    }
    *rest = &rest[equals + 1..];
    while let Some(after) = rest.strip_prefix(b" ") {
        *rest = after;
    }
    let (value, separator) = match rest.first() {
        Some(b'#') => hexadecimal_value(rest)?,
        Some(b'"') => quoted_value(rest)?,
        _ => plain_value(rest)?,
    };
    match value.is_empty() {
        true => Err(InvalidDn),
        false => Ok((attribute.to_owned(), value, separator)),
    }
}

/// Reads a value up to a separator that is not escaped. Spaces at its end do not count.
fn plain_value(rest: &mut &[u8]) -> Result<(Vec<u8>, Option<u8>), InvalidDn> {
    let (mut value, mut length) = (Vec::new(), 0);
    while let Some((byte, after)) = rest.split_first() {
        *rest = after;
        match byte {
            b',' | b';' | b'+' => {
                value.truncate(length);
                return Ok((value, Some(*byte)));
            }
            b'\\' => {
                value.push(escaped(rest)?);
                length = value.len();
            }
            b'"' | b'<' | b'>' | 0 => return Err(InvalidDn),
            byte => {
                value.push(*byte);
                if *byte != b' ' {
                    length = value.len();
                }
            }
        }
    }
    value.truncate(length);
    Ok((value, None))
}

/// Reads a value in quotes, as RFC 2253 allows and old directories send.
fn quoted_value(rest: &mut &[u8]) -> Result<(Vec<u8>, Option<u8>), InvalidDn> {
    let mut value = Vec::new();
    *rest = &rest[1..];
    loop {
        let (byte, after) = rest.split_first().ok_or(InvalidDn)?;
        *rest = after;
        match byte {
            b'"' => break,
            b'\\' => value.push(escaped(rest)?),
            byte => value.push(*byte),
        }
    }
    Ok((value, separator(rest)?))
}

/// Reads a value that is written as the hexadecimal digits of its BER encoding.
fn hexadecimal_value(rest: &mut &[u8]) -> Result<(Vec<u8>, Option<u8>), InvalidDn> {
    let after = &rest[1..];
    let length = after
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    let (digits, after) = after.split_at(length);
    *rest = after;
    if digits.is_empty() || digits.len() % 2 != 0 {
        return Err(InvalidDn);
    }
    Ok((digits.to_ascii_lowercase(), separator(rest)?))
}

fn separator(rest: &mut &[u8]) -> Result<Option<u8>, InvalidDn> {
    while let Some((byte, after)) = rest.split_first() {
        *rest = after;
        match byte {
            b' ' => {}
            b',' | b';' | b'+' => return Ok(Some(*byte)),
            _ => return Err(InvalidDn),
        }
    }
    Ok(None)
}

/// Reads the character, or the two hexadecimal digits, after a backslash.
fn escaped(rest: &mut &[u8]) -> Result<u8, InvalidDn> {
    let is_hexadecimal = |byte: &u8| byte.is_ascii_hexdigit();
    if let Some(digits) = rest
        .get(..2)
        .filter(|digits| digits.iter().all(is_hexadecimal))
    {
        let digits = std::str::from_utf8(digits).map_err(|_| InvalidDn)?;
        *rest = &rest[2..];
        return u8::from_str_radix(digits, 16).map_err(|_| InvalidDn);
    }
    match rest.split_first() {
        Some((byte, after)) if b" \"#+,;<=>\\".contains(byte) => {
            *rest = after;
            Ok(*byte)
        }
        _ => Err(InvalidDn),
    }
}

/// Escapes a value for a DN (RFC 4514 §2.4).
pub(super) fn escape_value(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, letter) in value.chars().enumerate() {
        let is_at_end = index == 0 || index == last;
        match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            '#' if index == 0 => escaped.push_str("\\#"),
            ' ' if is_at_end => escaped.push_str("\\ "),
            letter if letter.is_ascii_control() => {
                // An error is impossible: the target is a string.
                let _ = write!(escaped, "\\{:02x}", u32::from(letter));
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        Dn::parse(one).unwrap() == Dn::parse(other).unwrap()
    }

    #[test]
    fn names_are_equal_without_regard_to_case_spaces_and_escapes() {
        assert!(same(
            "UID=Zhang San, OU=People,dc=corp",
            "uid=zhang san,ou=people , dc=CORP"
        ));
        assert!(same("cn=a\\,b,dc=x", "cn=\"a,b\";dc=x"));
        assert!(same("cn=\\e5\\bc\\a0\\e4\\b8\\89,dc=x", "cn=张三,dc=x"));
        assert!(same("cn=a+uid=b,dc=x", "uid=b+cn=a,dc=x"));
        assert!(!same("cn=a\\+uid=b,dc=x", "uid=b+cn=a,dc=x"));
        assert!(!same("cn=a,dc=x", "cn=a,dc=y"));
        assert!(!same("cn=a\\ ,dc=x", "cn=a,dc=x"));
    }

    #[test]
    fn a_name_is_within_its_base() {
        let base = Dn::parse("ou=People,dc=corp").unwrap();
        let within = |text: &str| Dn::parse(text).unwrap().is_within(&base);
        assert!(within("ou=people,dc=corp"));
        assert!(within("uid=a,ou=x,ou=PEOPLE, dc=corp"));
        assert!(!within("uid=a,ou=people\\,dc=corp"));
        assert!(!within("uid=a\\,ou=people,dc=corp"));
        assert!(!within("dc=corp"));
    }

    #[test]
    fn the_first_value_is_as_written() {
        assert_eq!(
            first_value("CN=Domain Admins,DC=corp"),
            Some("Domain Admins".to_owned())
        );
        assert_eq!(
            first_value("cn=R\\26D\\, 研发 ,dc=x"),
            Some("R&D, 研发".to_owned())
        );
        assert_eq!(first_value("cn=\\ff\\fe,dc=x"), None);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            " ",
            "zhangsan",
            "uid=",
            "=a",
            "uid=a,",
            "uid=a,,dc=x",
            "uid=a\\",
            "uid=a\\zz",
            "uid=\"a",
            "uid=#1",
            "uid=#xx",
            "uid=a<b",
            "uid=a,dc",
            "zhangsan@corp.example",
        ] {
            assert_eq!(Dn::parse(text), Err(InvalidDn), "{text}");
        }
    }

    #[test]
    fn an_escaped_value_is_one_value() {
        for value in [
            "a", "a,b", " a ", "#a", "a#", "a=b+c", "\\", "\"", "张三", "a;b<c>", "a\nb", " ", "  ",
        ] {
            let text = format!("uid={},dc=x", escape_value(value));
            let dn = Dn::parse(&text).unwrap();
            assert_eq!(first_value(&text).as_deref(), Some(value), "{text}");
            assert!(dn.is_within(&Dn::parse("dc=x").unwrap()), "{text}");
            assert_eq!(dn.rdns.len(), 2, "{text}");
        }
    }
}
