//! Whether an entry of the simulated directory matches an encoded filter.

use super::encoding::elements;
use super::person::Entry;

pub fn matches(entry: &Entry, tag: u8, content: &[u8]) -> bool {
    let inner = || elements(content);
    match tag {
        0xa0 => inner().iter().all(|(tag, one)| matches(entry, *tag, one)),
        0xa1 => inner().iter().any(|(tag, one)| matches(entry, *tag, one)),
        0xa2 => !inner().iter().any(|(tag, one)| matches(entry, *tag, one)),
        0xa3 => match inner()[..] {
            [(_, name), (_, value)] => values(entry, name).any(|found| is_equal(&found, value)),
            _ => false,
        },
        0xa4 => match inner()[..] {
            [(_, name), (_, parts)] => values(entry, name).any(|found| has_parts(&found, parts)),
            _ => false,
        },
        0x87 => values(entry, content).next().is_some(),
        _ => false,
    }
}

fn values(entry: &Entry, name: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let found = entry.values(&String::from_utf8_lossy(name));
    found.into_iter()
}

fn is_equal(found: &[u8], value: &[u8]) -> bool {
    match (std::str::from_utf8(found), std::str::from_utf8(value)) {
        (Ok(found), Ok(value)) => found.to_lowercase() == value.to_lowercase(),
        _ => found == value,
    }
}

fn has_parts(found: &[u8], parts: &[u8]) -> bool {
    elements(parts).iter().all(|(tag, part)| match tag {
        0x80 => found.starts_with(part),
        0x82 => found.ends_with(part),
        _ => found.windows(part.len()).any(|window| window == *part),
    })
}
