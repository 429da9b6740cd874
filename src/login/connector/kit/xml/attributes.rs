//! Splits the attributes of a start tag.

use super::XmlError;
use super::characters::{is_white_space, referenced};

/// An attribute as it stands in the tag.
pub(super) struct WrittenAttribute<'a> {
    pub(super) name: &'a str,
    /// The text between the quotation marks.
    pub(super) value: &'a str,
}

/// Splits what follows the name in a start tag: each attribute after white space.
pub(super) fn split(
    tag: &str,
    attributes_max: usize,
) -> Result<Vec<WrittenAttribute<'_>>, XmlError> {
    let mut attributes = Vec::new();
    let mut rest = tag;
    loop {
        let attribute = rest.trim_start_matches(is_white_space);
        if attribute.is_empty() {
            return Ok(attributes);
        }
        if attribute.len() == rest.len() {
            return Err(XmlError::Malformed);
        }
        if attributes.len() >= attributes_max {
            return Err(XmlError::TooLarge("attributes"));
        }
        let (name, value) = attribute.split_once('=').ok_or(XmlError::Malformed)?;
        let name = name.trim_end_matches(is_white_space);
        let value = value.trim_start_matches(is_white_space);
        let quote = value
            .chars()
            .next()
            .filter(|first| matches!(first, '"' | '\''));
        let (value, after) = quote
            .and_then(|quote| value[1..].split_once(quote))
            .ok_or(XmlError::Malformed)?;
        attributes.push(WrittenAttribute { name, value });
        rest = after;
    }
}

/// Replaces references and turns white space into spaces, as XML 1.0 §3.3.3 demands.
pub(super) fn normalize_value(written: &str) -> Result<String, XmlError> {
    let mut value = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(at) = rest.find(['&', '<', '\t', '\n', '\r']) {
        value.push_str(&rest[..at]);
        let special = &rest[at..];
        rest = match special.as_bytes()[0] {
            b'&' => {
                let (reference, after) = special[1..].split_once(';').ok_or(XmlError::Malformed)?;
                value.push(referenced(reference)?);
                after
            }
            b'<' => return Err(XmlError::Malformed),
            _ => {
                value.push(' ');
                &special[1..]
            }
        };
    }
    value.push_str(rest);
    Ok(value)
}
