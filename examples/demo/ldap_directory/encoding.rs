//! BER for the simulated directory.

/// An element with the concatenation of `parts` as its content.
pub fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut bytes = vec![tag];
    match content.len() {
        length @ 0..128 => bytes.push(length as u8),
        length => {
            // As Active Directory writes lengths.
            bytes.push(0x84);
            bytes.extend_from_slice(&(length as u32).to_be_bytes());
        }
    }
    bytes.extend(content);
    bytes
}

pub fn text(text: &str) -> Vec<u8> {
    element(0x04, &[text.as_bytes()])
}

pub fn number(tag: u8, number: i32) -> Vec<u8> {
    element(tag, &[&number.to_be_bytes()])
}

/// A message with controls.
pub fn message(id: i32, operation: &[u8], controls: &[u8]) -> Vec<u8> {
    element(0x30, &[&number(0x02, id), operation, controls])
}

/// The content of an operation with a result.
pub fn result(tag: u8, code: i32, message: &str) -> Vec<u8> {
    element(tag, &[&number(0x0a, code), &text(""), &text(message)])
}

/// The tag and content of the first element, and the rest.
pub fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, first) = (*bytes.first()?, usize::from(*bytes.get(1)?));
    let (header, length) = match first {
        0..128 => (2, first),
        _ => {
            let count = first - 128;
            let digits = bytes.get(2..2 + count)?;
            let length = digits
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (2 + count, length)
        }
    };
    let end = header.checked_add(length)?;
    let content = bytes.get(header..end)?;
    Some((tag, content, &bytes[end..]))
}

/// All elements of a content.
pub fn elements(mut content: &[u8]) -> Vec<(u8, &[u8])> {
    let mut found = Vec::new();
    while let Some((tag, inner, rest)) = split(content) {
        found.push((tag, inner));
        content = rest;
    }
    found
}

/// A search result entry.
pub fn entry(id: i32, dn: &str, attributes: &[(String, Vec<Vec<u8>>)]) -> Vec<u8> {
    let attributes: Vec<u8> = attributes
        .iter()
        .flat_map(|(name, values)| {
            let values: Vec<u8> = values
                .iter()
                .flat_map(|value| element(0x04, &[value]))
                .collect();
            element(0x30, &[&text(name), &element(0x31, &[&values])])
        })
        .collect();
    let operation = element(0x64, &[&text(dn), &element(0x30, &[&attributes])]);
    message(id, &operation, &[])
}

pub fn search_done(id: i32, code: i32, text: &str) -> Vec<u8> {
    message(id, &result(0x65, code, text), &[])
}

/// Result 10 with an URL of another server.
pub fn referral(id: i32, tag: u8, url: &str) -> Vec<u8> {
    let operation = element(
        tag,
        &[
            &number(0x0a, 10),
            &text(""),
            &text("see there"),
            &element(0xa3, &[&text(url)]),
        ],
    );
    message(id, &operation, &[])
}

/// A notice that the server ends the connection.
pub fn notice() -> Vec<u8> {
    let operation = element(
        0x78,
        &[
            &number(0x0a, 52),
            &text(""),
            &text("shutting down"),
            &element(0x8a, &[b"1.3.6.1.4.1.1466.20036"]),
        ],
    );
    message(0, &operation, &[])
}

/// The controls with an error of the password policy.
pub fn password_policy(error: u8) -> Vec<u8> {
    let value = element(0x30, &[&element(0x81, &[&[error]])]);
    controls("1.3.6.1.4.1.42.2.27.8.5.1", &value)
}

pub fn controls(name: &str, value: &[u8]) -> Vec<u8> {
    let control = element(0x30, &[&text(name), &element(0x04, &[value])]);
    element(0xa0, &[&control])
}
